"""What counts when nobody has chosen anything: value, reason and where to change it."""

from collections.abc import Iterable

import msgspec

from app.wire.options import Option, value_text
from app.wire.policy import POLICIES
from app.wire.settings import BY_NAME, NEW_PROFILES, Setting

_POLICIES = ("start_on_request", "idle_stop_minutes", "auto_restart", "start_with_app")
_OPTIONS = ("decode_concurrency", "prompt_cache_size", "prompt_cache_bytes", "max_tokens")
_IN_PROFILE = "in the profile"


class Default(msgspec.Struct, frozen=True):
    """One row of the table of defaults, for people."""

    label: str
    value: str
    why: str
    where: str


def defaults(options: Iterable[Option]) -> tuple[Default, ...]:
    """Return what counts by itself, with a runtime's options."""
    table = {row.name: row for row in (*POLICIES, *options)}
    rows = [_of_profile(table[name]) for name in (*_POLICIES, *_OPTIONS) if name in table]
    return (*rows, _of_setting(BY_NAME["keep_awake"]))


def _of_profile(row: Option) -> Default:
    where = _IN_PROFILE
    if f"{NEW_PROFILES}{row.name}" in BY_NAME:
        where = f"{_IN_PROFILE}; for new ones, in the settings"
    value = "a share of the free memory" if row.name == "prompt_cache_bytes" else ""
    if row.name == "idle_stop_minutes" and not row.default:
        value = "never"
    return Default(row.label, value or value_text(row, None), row.why, where)


def _of_setting(setting: Setting) -> Default:
    value = "on" if setting.default is True else str(setting.default)
    why = "A computer that falls asleep ends the answers that programs wait for."
    return Default(setting.label, value, why, "in the settings")
