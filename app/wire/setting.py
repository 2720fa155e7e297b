"""What a row of the table of settings holds."""

from enum import StrEnum

import msgspec

SettingValue = bool | int | str


class SettingKind(StrEnum):
    """What a setting's value is."""

    BOOL = "bool"
    INT = "int"
    TEXT = "text"
    PATH = "path"
    FOLDERS = "folders"
    """Any number of paths in one text, a line each, or with the system's separator of paths."""
    CHOICE = "choice"
    SECRET = "secret"  # noqa: S105 - a kind, no secret
    """A text that nobody can read back: its value is whether there is one."""


class Scope(StrEnum):
    """Who reads a setting, and so whose file it is in."""

    ENGINE = "engine"
    APP = "app"
    SYSTEM = "system"
    """The system around the app keeps it, so that it has neither file nor variable."""


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
    pattern: str = ""
    """What a text must match as a whole, as a regular expression; empty takes any."""
    expected: str = ""
    """What the pattern means, for people."""
    needs_restart: bool = False
    when_empty: str = ""
    """What an empty text means, in a word or two."""

    variable: str = ""
    """The environment variable, where other programs know it by a name of theirs."""

    @property
    def env(self) -> str:
        """The environment variable that overrides the file; empty where there is none."""
        if self.scope is Scope.SYSTEM:
            return ""
        return self.variable or f"MLX_MANAGER_{self.name.upper()}"
