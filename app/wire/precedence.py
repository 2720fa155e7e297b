"""Which value of a setting counts: the environment's, the file's, or the default."""

from collections.abc import Callable, Mapping

from app.wire.errors import AppError
from app.wire.settings import Setting, SettingKind, SettingState, parse_setting


def resolve(
    setting: Setting,
    environment: Mapping[str, str],
    document: Mapping[str, object],
    on_bad: Callable[[str], object],
    *,
    has_secret: bool = False,
) -> SettingState:
    """Return the value that counts, with its source.

    Values that do not work are passed over; `on_bad` gets a sentence about each. Of a secret only
    whether there is one is told: `has_secret` says that for the file that keeps it.
    """
    # Proxies are often written in small letters.
    variable = environment.get(setting.env, environment.get(setting.env.lower()))
    if setting.kind is SettingKind.SECRET:
        source = "environment" if variable else "file" if has_secret else "default"
        return SettingState(setting.name, bool(variable) or has_secret, source)
    for value, source in ((variable, "environment"), (document.get(setting.name), "file")):
        if value is not None:
            try:
                return SettingState(setting.name, parse_setting(setting, value), source)
            except AppError as error:
                on_bad(f"{error.message} The {source} is ignored here.")
    return SettingState(setting.name, setting.default, "default")
