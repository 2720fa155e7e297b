"""The table of settings: dialog, validation, documentation and environment names follow from it."""

from enum import StrEnum

import msgspec

from app.wire.errors import AppError, ErrorCode

SettingValue = bool | int | str


class SettingKind(StrEnum):
    """What a setting's value is."""

    BOOL = "bool"
    INT = "int"
    TEXT = "text"
    PATH = "path"
    CHOICE = "choice"


class Scope(StrEnum):
    """Who reads a setting, and so whose file it is in."""

    ENGINE = "engine"
    APP = "app"


class Setting(msgspec.Struct, frozen=True):
    """One row of the table."""

    name: str
    scope: Scope
    page: str
    kind: SettingKind
    label: str
    help: str
    default: SettingValue
    minimum: int | None = None
    maximum: int | None = None
    choices: tuple[tuple[str, str], ...] = ()
    """Value and label."""
    needs_restart: bool = False

    @property
    def env(self) -> str:
        """The environment variable that overrides the file."""
        return f"MLX_MANAGER_{self.name.upper()}"


SETTINGS: tuple[Setting, ...] = (
    Setting(
        "appearance",
        Scope.APP,
        "General",
        SettingKind.CHOICE,
        "Appearance",
        "Colours of the window. System follows the setting of your computer.",
        "system",
        choices=(("system", "System"), ("light", "Light"), ("dark", "Dark")),
    ),
    Setting(
        "confirm_quit",
        Scope.APP,
        "General",
        SettingKind.BOOL,
        "Ask before quitting while servers run",
        "Quitting stops the servers that this app started.",
        default=True,
    ),
    Setting(
        "reduce_motion",
        Scope.APP,
        "General",
        SettingKind.BOOL,
        "Reduce motion",
        "New tiles appear at once instead of fading in.",
        default=False,
    ),
    Setting(
        "show_demo",
        Scope.ENGINE,
        "Models & storage",
        SettingKind.BOOL,
        "Show the demo model",
        "A tiny model of the app itself that shows the machinery; its answers make little sense.",
        default=True,
    ),
    Setting(
        "hub_cache",
        Scope.ENGINE,
        "Models & storage",
        SettingKind.PATH,
        "Model folder",
        "The Hugging Face cache that models are looked up in. Empty: the standard folder.",
        "",
        needs_restart=True,
    ),
    Setting(
        "keep_awake",
        Scope.ENGINE,
        "Servers & memory",
        SettingKind.BOOL,
        "Keep this computer awake while a server works",
        "It does not fall asleep while a server starts or answers, and for 30 seconds after. The "
        "display may turn off.",
        default=True,
    ),
    Setting(
        "downloads_at_once",
        Scope.ENGINE,
        "Models & storage",
        SettingKind.INT,
        "Downloads at a time",
        "Further downloads wait in line.",
        2,
        minimum=1,
        maximum=8,
    ),
    Setting(
        "download_limit",
        Scope.ENGINE,
        "Models & storage",
        SettingKind.INT,
        "Download limit (kB/s)",
        "All downloads together stay below this speed. 1 MB/s is 1000; 0 is no limit.",
        0,
        minimum=0,
        maximum=10_000_000,
    ),
    Setting(
        "gateway_port",
        Scope.ENGINE,
        "Network & keys",
        SettingKind.INT,
        "Gateway port",
        "Programs reach all servers at this port. If it is taken, another is used and shown.",
        8799,
        minimum=1024,
        maximum=65535,
        needs_restart=True,
    ),
    Setting(
        "requests_per_server",
        Scope.ENGINE,
        "Network & keys",
        SettingKind.INT,
        "Open requests per server",
        "Further requests are answered with 429 until one of them ends.",
        64,
        minimum=1,
        maximum=1000,
    ),
    Setting(
        "host",
        Scope.ENGINE,
        "Network & keys",
        SettingKind.TEXT,
        "Listen address",
        "127.0.0.1 keeps the servers on this computer. Another address of this computer opens them "
        "to the network and needs an API key.",
        "127.0.0.1",
        needs_restart=True,
    ),
    Setting(
        "allow_open_network",
        Scope.ENGINE,
        "Network & keys",
        SettingKind.BOOL,
        "Allow the network without a key",
        "Everybody who reaches this computer can then use and control its servers.",
        default=False,
        needs_restart=True,
    ),
    Setting(
        "log_level",
        Scope.ENGINE,
        "Advanced",
        SettingKind.CHOICE,
        "Log detail",
        "How much the engine writes to its log.",
        "info",
        choices=(("warning", "Warnings"), ("info", "Normal"), ("debug", "Everything")),
        needs_restart=True,
    ),
)

BY_NAME: dict[str, Setting] = {s.name: s for s in SETTINGS}


class SettingState(msgspec.Struct, frozen=True):
    """A setting's value and where it comes from."""

    name: str
    value: SettingValue
    source: str
    """`flag`, `environment`, `file` or `default`."""


def parse_setting(setting: Setting, value: object) -> SettingValue:
    """Return the checked value. Text from the environment is taken for any kind.

    Raises AppError with a sentence that names the setting.
    """
    match setting.kind:
        case SettingKind.BOOL:
            return _parse_bool(setting, value)
        case SettingKind.INT:
            return _parse_int(setting, value)
        case SettingKind.CHOICE:
            allowed = [choice for choice, _ in setting.choices]
            if value not in allowed:
                raise _bad(setting, value, "one of " + ", ".join(allowed))
            return str(value)
        case SettingKind.TEXT | SettingKind.PATH:
            if not isinstance(value, str):
                raise _bad(setting, value, "text")
            return value


def _parse_bool(setting: Setting, value: object) -> bool:
    if isinstance(value, bool):
        return value
    words = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    if isinstance(value, str) and value.lower() in words:
        return words[value.lower()]
    raise _bad(setting, value, "true or false")


def _parse_int(setting: Setting, value: object) -> int:
    expected = f"a whole number from {setting.minimum} to {setting.maximum}"
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise _bad(setting, value, expected)
    try:
        number = int(value)
    except ValueError:
        raise _bad(setting, value, expected) from None
    low, high = setting.minimum, setting.maximum
    if (low is not None and number < low) or (high is not None and number > high):
        raise _bad(setting, value, expected)
    return number


def _bad(setting: Setting, value: object, expected: str) -> AppError:
    return AppError(
        f"{setting.label}: {value!r} does not work; it must be {expected}.",
        code=ErrorCode.BAD_REQUEST,
    )
