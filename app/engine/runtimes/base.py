"""What the engine must know of a kind of server software."""

from typing import Protocol

from app.wire.nouns import Failure, Profile
from app.wire.options import RuntimeInfo

UPSTREAM_TOKEN = "MLX_MANAGER_UPSTREAM_TOKEN"  # noqa: S105 - the variable's name


class Runtime(Protocol):
    """One kind of server software."""

    @property
    def info(self) -> RuntimeInfo:
        """Name, version and option table."""
        ...

    def command(self, profile: Profile, model: str) -> list[str]:
        """Return the program and arguments that serve `model` (a folder) for this profile."""
        ...

    def explain(self, stage: str, error: str, profile: Profile) -> Failure:
        """Return what the runner reported as failed, in words for the user."""
        ...
