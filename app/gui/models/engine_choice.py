"""Engines that the window can show: this computer's, and others that are known."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class EngineChoice:
    """One engine that the user may connect to."""

    url: str
    name: str = ""
    needs_key: bool = False
    is_nearby: bool = False

    @property
    def title(self) -> str:
        """Its computer and address, as far as they are known."""
        address = self.url.removeprefix("http://")
        return f"{self.name}  ·  {address}" if self.name else self.url


def stored(choices: Sequence[EngineChoice]) -> list[str]:
    """Return the choices as texts that `restored` reads."""
    return [f"{c.url} {'locked' if c.needs_key else 'open'} {c.name}" for c in choices]


def restored(texts: Sequence[str]) -> list[EngineChoice]:
    """Return what `stored` wrote; a text may be a bare address."""
    parts = [text.split(" ", 2) for text in texts if text.strip()]
    padded = [(*part, "", "")[:3] for part in parts]
    return [EngineChoice(url, name, mark == "locked") for url, mark, name in padded]
