"""What the engine must know of a kind of server software."""

from collections.abc import Mapping
from typing import Protocol

from app.wire.nouns import Failure, Profile
from app.wire.options import RuntimeInfo
from app.wire.portable import LaunchPreview

UPSTREAM_TOKEN = "MLX_MANAGER_UPSTREAM_TOKEN"  # noqa: S105 - the variable's name


class Runtime(Protocol):
    """One kind of server software."""

    @property
    def info(self) -> RuntimeInfo:
        """Name, version and option table."""
        ...

    def refresh(self) -> None:
        """Look again at what the settings name; may block for seconds."""
        ...

    def command(self, profile: Profile, model: str) -> list[str]:
        """Return the program and arguments that serve `model` (a folder) for this profile.

        May block for seconds. Raises AppError when they cannot be told.
        """
        ...

    def environment(self, profile: Profile) -> dict[str, str]:
        """Return the environment variables that the profile adds for its server."""
        ...

    def preview(self, profile: Profile, model: str) -> LaunchPreview:
        """Return what `command` would start, for people; may block for seconds."""
        ...

    def explain(self, stage: str, error: str, profile: Profile) -> Failure:
        """Return what the runner reported as failed, in words for the user."""
        ...


Runtimes = Mapping[str, Runtime]
"""The runtimes by id."""
