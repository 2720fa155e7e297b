"""Who uses the machine's memory, and who will: figures that add up to the whole."""

from collections.abc import Callable
from typing import NamedTuple

from app.gui import format as fmt
from app.gui.mirror import Mirror
from app.wire.nouns import ServerState

_GIB = 2**30
_MIB = 2**20
_TENTH = _GIB / 10
_WORTH_TELLING = 256 * _MIB
"""Smaller growth is noise, and no wider than a hair on the bar."""

FOREIGN = -1
"""Colour number of the model servers that the engine did not start."""


class Share(NamedTuple):
    """One user of memory."""

    name: str
    used_bytes: float | None
    """None while it is not known."""
    text: str
    """The amount for people; a server's is the one that its tile shows."""
    colour: int | None
    """Number of the server's colour; None for other apps."""

    @property
    def key(self) -> tuple[str, int | None]:
        """Which share it is, however much it uses."""
        return self.name, self.colour


class Growth(NamedTuple):
    """Memory that a server does not have yet and is about to take, or has had before."""

    name: str
    size_bytes: float
    colour: int


class Preview(NamedTuple):
    """A server that could be started."""

    name: str
    needed_bytes: float
    is_too_big: bool = False
    sentence: str = ""
    """The arithmetic, for the tool-tip."""


def shares_of(
    names: list[tuple[str, float | None, int]], used_bytes: float, other: str
) -> list[Share]:
    """Return every server's share and that of other apps; what is written adds up to the total.

    `names`: name, bytes and colour of each server. The servers' own figures are kept as the tiles
    show them, other apps take up the rounding.
    """
    shares = [Share(name, size, fmt.memory_text(size), colour) for name, size, colour in names]
    known = [size for _, size, _ in names if size is not None]
    total = round(max(used_bytes, sum(known)) / _TENTH) * _TENTH
    rest = max(0.0, total - sum(_written(size) for size in known))
    text = f"{rest / _GIB:.1f} GB"
    shares.append(Share(other, max(0.0, used_bytes - sum(known)), text, None))
    return shares


def _written(size: float) -> float:
    """Return the bytes that the text of an amount stands for."""
    number, unit = fmt.memory(size)
    return float(number) * (_GIB if unit == "GB" else _MIB)


def growth_of(mirror: Mirror, colour_of: Callable[[str], int]) -> list[Growth]:
    """Return what servers will take: the rest of a model that loads, or the most they had."""
    found: list[Growth] = []
    for server in mirror.servers.values():
        series = mirror.series[server.id]
        now = series.latest("memory_bytes") or 0.0
        wanted = 0.0
        if server.state is ServerState.STARTING and server.model in mirror.models:
            wanted = float(mirror.models[server.model].size_bytes)
        elif server.state.serves:
            wanted = series.latest("mlx_peak_bytes") or 0.0
        if wanted - now > _WORTH_TELLING:
            found.append(Growth(server.name, wanted - now, colour_of(server.id)))
    return found
