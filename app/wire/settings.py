"""The table of settings: dialog, validation, documentation and environment names follow from it."""

import re

import msgspec

from app.wire.errors import AppError, ErrorCode
from app.wire.hub_settings import HUB_SETTINGS
from app.wire.reading import quoted
from app.wire.setting import Scope, Setting, SettingKind, SettingValue
from app.wire.system_settings import SYSTEM_SETTINGS

# What no file name and no UTF-8 text can hold; Python itself fails on some of it.
_BROKEN_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")

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
    *SYSTEM_SETTINGS,
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
        "model_folders",
        Scope.ENGINE,
        "Models & storage",
        SettingKind.FOLDERS,
        "More model folders",
        "Models in these folders are used where they are, without a copy.",
        "",
    ),
    Setting(
        "other_libraries",
        Scope.ENGINE,
        "Models & storage",
        SettingKind.BOOL,
        "Show models of LM Studio and oMLX",
        "Models that these programs have downloaded are used where they are, without a copy.",
        default=True,
    ),
    *HUB_SETTINGS,
    Setting(
        "memory_budget",
        Scope.ENGINE,
        "Servers & memory",
        SettingKind.TEXT,
        "Memory for all servers",
        "A share of what the GPU may use, such as 80%, or a size, such as 24 GB. Before a server "
        "that a request starts would exceed it, idle ones that requests started are stopped, the "
        "least recently used first. Empty: all that the GPU may use.",
        "",
        pattern=r"(?i)([1-9]\d?|100) ?%|[1-9]\d{0,4}([.]\d{1,2})?( ?GB)?|0[.]\d{1,2}( ?GB)?|",
        expected="a share such as 80%, a size such as 24 GB, or empty",
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
        "python",
        Scope.ENGINE,
        "Servers & memory",
        SettingKind.PATH,
        "Python for servers",
        "An environment that has mlx-lm: its folder, or its Python. Empty: the one that is built "
        "in. A profile can name another.",
        "",
        when_empty="Built in",
    ),
    Setting(
        "new_start_on_request",
        Scope.ENGINE,
        "Servers & memory",
        SettingKind.BOOL,
        "New profiles start on request",
        "A request that names the profile or its model starts the server. Off at first, since "
        "loading takes memory that you may need for something else.",
        default=False,
    ),
    Setting(
        "new_idle_stop_minutes",
        Scope.ENGINE,
        "Servers & memory",
        SettingKind.INT,
        "New profiles stop when idle (minutes)",
        "0 is never, as at first: a server that you started stays ready until you stop it.",
        0,
        minimum=0,
        maximum=10_080,
    ),
    Setting(
        "new_auto_restart",
        Scope.ENGINE,
        "Servers & memory",
        SettingKind.CHOICE,
        "New profiles start again by themselves",
        "Off at first: a crash has a cause, and a server that comes back by itself can hide it.",
        "off",
        choices=(("off", "Off"), ("on crash", "After a crash")),
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
        "download_hours",
        Scope.ENGINE,
        "Models & storage",
        SettingKind.TEXT,
        "Download hours",
        "Downloads wait outside of these hours, such as 22:00-07:00. Empty: they run at any time.",
        "",
        pattern=r"([01]?\d|2[0-3]):[0-5]\d\s*-\s*([01]?\d|2[0-3]):[0-5]\d|",
        expected="two times like 22:00-07:00, or empty",
        when_empty="Any time",
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
        "request_log_days",
        Scope.ENGINE,
        "Network & keys",
        SettingKind.INT,
        "Keep the request log (days)",
        "Figures of every request, so that they survive a restart. 0 keeps none.",
        30,
        minimum=0,
        maximum=365,
    ),
    Setting(
        "record_texts",
        Scope.ENGINE,
        "Network & keys",
        SettingKind.BOOL,
        "Record prompts and answers",
        "Everything that programs ask and are answered is kept in history.db on the engine's "
        "computer, not encrypted, for whoever can read its files or has a key: up to 32,768 "
        "characters of each, 64 MB in all, as long as the request log. A server's page Requests "
        "shows and deletes it. Off: figures only.",
        default=False,
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
        "announce",
        Scope.ENGINE,
        "Network & keys",
        SettingKind.BOOL,
        "Announce on the network",
        "An engine that listens beyond this computer tells its name and address there by Bonjour, "
        "so that the app of another Mac finds it.",
        default=True,
        needs_restart=True,
    ),
    Setting(
        "require_key",
        Scope.ENGINE,
        "Network & keys",
        SettingKind.BOOL,
        "Require a key",
        "Every request must have one of the keys below. MLX_MANAGER_API_KEY switches this on by "
        "itself.",
        default=False,
    ),
    Setting(
        "allowed_hosts",
        Scope.ENGINE,
        "Network & keys",
        SettingKind.TEXT,
        "Other names of this computer",
        "Host names beside its own under which programs reach it, such as that of a proxy. "
        "Separated by commas.",
        "",
    ),
    Setting(
        "origins",
        Scope.ENGINE,
        "Network & keys",
        SettingKind.TEXT,
        "Web pages that may use the servers",
        "Their origins, such as http://localhost:3000, separated by commas. No others can, "
        "whatever page you visit.",
        "",
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

NEW_PROFILES = "new_"
"""Settings of this beginning are policies that new profiles get."""

BY_NAME: dict[str, Setting] = {s.name: s for s in SETTINGS}


class SettingState(msgspec.Struct, frozen=True, omit_defaults=True):
    """A setting's value and where it comes from."""

    name: str
    value: SettingValue
    source: str
    """`flag`, `environment`, `file` or `default`."""
    note: str = ""
    """What the value means now, a line for people, such as versions; mostly empty."""


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
        case SettingKind.SECRET:
            if not isinstance(value, str) or not re.fullmatch(r"[!-~]*", value.strip()):
                # Without the value, which is nobody's business.
                raise AppError(
                    f"{setting.label}: this does not work; it must be one word without accents.",
                    code=ErrorCode.BAD_REQUEST,
                )
            return value.strip()
        case SettingKind.TEXT | SettingKind.PATH | SettingKind.FOLDERS:
            if not isinstance(value, str) or _BROKEN_TEXT.search(value):
                raise _bad(setting, value, "plain text")
            if setting.pattern and not re.fullmatch(setting.pattern, value.strip()):
                raise _bad(setting, value, setting.expected)
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
        f"{setting.label}: {quoted(value)} does not work; it must be {expected}.",
        code=ErrorCode.BAD_REQUEST,
    )
