"""What macOS must know about the app: the content of its Info.plist, as plain data."""

OLDEST_SYSTEM = "14.0"
"""What our libraries ask for at least; a build with newer wheels asks for more."""

PROFILE_SUFFIX = "mlxprofile"
"""A profile as a file to give away; TOML inside."""

URL_SCHEME = "mlxmanager"
SERVICE = "_mlx-manager._tcp"
"""The name under which engines would announce themselves in a local network."""

_GUARDED_PLACES = (
    "NSDesktopFolderUsageDescription",
    "NSDocumentsFolderUsageDescription",
    "NSDownloadsFolderUsageDescription",
    "NSNetworkVolumesUsageDescription",
    "NSRemovableVolumesUsageDescription",
)


def info_plist(
    name: str, identifier: str, version: str, *, oldest_system: str = OLDEST_SYSTEM
) -> dict[str, object]:
    """Return the Info.plist of the app."""
    return {
        "CFBundleName": name,
        "CFBundleDisplayName": name,
        "CFBundleIdentifier": identifier,
        "CFBundleShortVersionString": version,
        "CFBundleVersion": version,
        "CFBundleDevelopmentRegion": "en",
        "LSMinimumSystemVersion": oldest_system,
        "LSArchitecturePriority": ["arm64"],
        "LSRequiresNativeExecution": True,
        "LSApplicationCategoryType": "public.app-category.developer-tools",
        "NSPrincipalClass": "NSApplication",
        "NSHighResolutionCapable": True,
        # Dark mode.
        "NSRequiresAquaSystemAppearance": False,
        # The tiles move while the window is behind others.
        "NSAppSleepDisabled": True,
        # Servers must be stopped in order, so the app is asked before it ends.
        "NSSupportsAutomaticTermination": False,
        "NSSupportsSuddenTermination": False,
        # Without it macOS refuses connections to other computers and does not ask.
        "NSLocalNetworkUsageDescription": "To connect to an engine on another computer.",
        "NSBonjourServices": [SERVICE],
        # For models in places that macOS guards; it asks in any case, here with a reason.
        **dict.fromkeys(_GUARDED_PLACES, "To use the models that you keep there."),
        "NSHumanReadableCopyright": "MIT licence",
        **_documents(identifier),
        **_links(identifier),
    }


def _documents(identifier: str) -> dict[str, object]:
    kind = f"{identifier}.profile"
    return {
        "CFBundleDocumentTypes": [
            {
                "CFBundleTypeName": "MLX profile",
                # It is read, never written back.
                "CFBundleTypeRole": "Viewer",
                "LSHandlerRank": "Owner",
                "LSItemContentTypes": [kind],
            }
        ],
        "UTExportedTypeDeclarations": [
            {
                "UTTypeIdentifier": kind,
                "UTTypeDescription": "MLX profile",
                "UTTypeConformsTo": ["public.utf8-plain-text"],
                "UTTypeTagSpecification": {"public.filename-extension": [PROFILE_SUFFIX]},
            }
        ],
    }


def _links(identifier: str) -> dict[str, object]:
    return {
        "CFBundleURLTypes": [
            {
                "CFBundleURLName": f"{identifier}.link",
                "CFBundleTypeRole": "Viewer",
                "CFBundleURLSchemes": [URL_SCHEME],
            }
        ]
    }
