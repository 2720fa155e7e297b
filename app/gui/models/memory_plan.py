"""What a model would need at a context length, beside what runs: pure sums over the mirror."""

from dataclasses import dataclass

from app.gui.mirror import Mirror
from app.wire.fit import default_context, fit
from app.wire.hub import Fit
from app.wire.nouns import Model
from app.wire.shape import ModelShape

_SHORTEST = 2_048
_UNKNOWN_LENGTH = 131_072
"""Tokens, for a model that does not tell what it was made for."""


@dataclass(frozen=True)
class Room:
    """The memory that models share on the engine's computer, in bytes."""

    limit_bytes: int
    others_bytes: int
    """What the servers hold that have another model, and servers that are not ours."""


def limit_bytes(mirror: Mirror) -> int:
    """Return what all model servers may hold together; 0 while the machine is not known."""
    engine = mirror.engine
    if engine is None:
        return 0
    machine = engine.machine
    return engine.memory_limit_bytes or machine.gpu_limit_bytes or machine.memory_bytes


def room_for(model_id: str, mirror: Mirror) -> Room | None:
    """Return the room for a model; None while the machine is not known.

    Servers that have this very model are left out: nobody loads it a second time.
    """
    if mirror.engine is None:
        return None
    held = 0
    for server in mirror.servers.values():
        series = mirror.series.get(server.id)
        if series is not None and server.model != model_id and server.state.has_process:
            values = (series.latest("memory_bytes"), series.latest("mlx_active_bytes"))
            held += int(max(value or 0 for value in values))
    held += sum(server.memory_bytes or 0 for server in mirror.foreign.values())
    return Room(limit_bytes(mirror), held)


def plan(shape: ModelShape, room: Room, context: int) -> Fit:
    """Return whether a model fits with a context of so many tokens."""
    return fit(shape, limit_bytes=room.limit_bytes, others_bytes=room.others_bytes, context=context)


def fit_of(model: Model, mirror: Mirror) -> Fit | None:
    """Return whether a model on this disk fits now; None where nothing can be said."""
    room = room_for(model.id, mirror)
    if room is None or model.shape is None or model.problem:
        return None
    return plan(model.shape, room, default_context(model.shape))


def stops(shape: ModelShape | None, context_length: int | None = None) -> tuple[int, ...]:
    """Return the context lengths to choose from: doubling from 2k, and the model's own at last."""
    own = (shape.context_length if shape else None) or context_length or _UNKNOWN_LENGTH
    found: list[int] = []
    step = _SHORTEST
    while step < own:
        found.append(step)
        step *= 2
    return (*found, own)


def first_stop(lengths: tuple[int, ...], shape: ModelShape | None) -> int:
    """Return the number of the length that is shown first."""
    wanted = min(default_context(shape), lengths[-1])
    return max(n for n, length in enumerate(lengths) if length <= wanted or n == 0)


def tokens(count: int) -> str:
    """Return a context length in short form: `32k`, `1M`, `500`."""
    if count >= 1024 * 1024:
        number = count / (1024 * 1024)
        return f"{number:.0f}M" if number == int(number) else f"{number:.1f}M"
    return f"{count // 1024}k" if count >= 1024 else str(count)
