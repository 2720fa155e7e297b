"""The settings of this computer for the report, with where each comes from."""

import os
from collections.abc import Iterable, Iterator, Mapping

from app import paths
from app.wire.precedence import resolve
from app.wire.reading import read_toml
from app.wire.settings import (
    BY_NAME,
    SETTINGS,
    Scope,
    Setting,
    SettingKind,
    SettingState,
    SettingValue,
)

_FILES = {Scope.ENGINE: "settings.toml", Scope.APP: "app.toml"}


def stored_settings() -> Iterator[SettingState]:
    """Yield what environment and files say, as an engine and a window that start now read it."""
    documents = {scope: _read(name) for scope, name in _FILES.items()}
    for setting in SETTINGS:
        if setting.scope in documents:
            has_token = paths.hub_token().is_file()
            # What does not work is told by the checks.
            document = documents[setting.scope]
            yield resolve(setting, os.environ, document, str, has_secret=has_token)


def setting_lines(states: Iterable[SettingState]) -> str:
    """Return a line for each setting, in words."""
    return "\n".join(
        f"{s.name} is {_in_words(BY_NAME[s.name], s.value)} ({s.source})"
        for s in states
        if s.name in BY_NAME
    )


def _read(name: str) -> Mapping[str, object]:
    try:
        return read_toml((paths.home() / name).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        # The checks say so.
        return {}


def _in_words(setting: Setting, value: SettingValue) -> str:
    if setting.kind is SettingKind.SECRET:
        return "set" if value else "not set"
    if isinstance(value, bool):
        return "on" if value else "off"
    return ", ".join(str(value).splitlines()) or setting.when_empty.lower() or "empty"
