"""The JSON lines that a guard and the runner behind it write for the engine."""

import msgspec

from app.wire.reading import JsonReader


class Spawned(msgspec.Struct, frozen=True, tag="spawned", tag_field="event"):
    """The guard has started the server process."""

    pid: int


class Exited(msgspec.Struct, frozen=True, tag="exited", tag_field="event"):
    """The server process is gone, and so is every process of its group."""

    code: int | None = None
    """Exit status; None after a signal."""
    signal: int | None = None


class SpawnFailed(msgspec.Struct, frozen=True, tag="spawn_failed", tag_field="event"):
    """The server program could not be started at all."""

    error: str


class Importing(msgspec.Struct, frozen=True, tag="importing", tag_field="event"):
    """The runner is importing MLX."""

    pid: int


class Loading(msgspec.Struct, frozen=True, tag="loading", tag_field="event"):
    """The runner is loading the model."""

    model: str


class Listening(msgspec.Struct, frozen=True, tag="listening", tag_field="event"):
    """The server's socket is bound."""

    port: int


class Loaded(msgspec.Struct, frozen=True, tag="loaded", tag_field="event"):
    """The model is in memory."""

    seconds: float
    gpu_limit_bytes: int | None = None


class RunnerFailed(msgspec.Struct, frozen=True, tag="failed", tag_field="event"):
    """The runner gives up; the process ends next."""

    stage: str
    """`import`, `load`, `bind`, `generate` or `run`."""
    error: str


class RunnerStats(msgspec.Struct, frozen=True, tag="stats", tag_field="event"):
    """Figures from inside the server, once a second and when a request ends."""

    prompt_tokens: int
    """Prompt tokens since the start."""
    completion_tokens: int
    """Generated tokens since the start."""
    requests_open: int
    requests_total: int
    pulses: int = 0
    """Signs of life of the generation thread: tokens and steps of prompts since the start."""
    silent_s: float = 0.0
    """For how long requests have been open without a pulse; 0 when none is open."""
    slow_gap_s: float = 0.0
    """The 99th percentile of the time between two pulses under work."""
    active_bytes: int = 0
    cache_bytes: int = 0
    peak_bytes: int = 0


ChildEvent = (
    Spawned
    | Exited
    | SpawnFailed
    | Importing
    | Loading
    | Listening
    | Loaded
    | RunnerFailed
    | RunnerStats
)

_decoder: JsonReader[ChildEvent] = JsonReader(ChildEvent)


def decode_child_event(line: bytes) -> ChildEvent:
    """Return the event in one line. Raises msgspec.DecodeError for anything else."""
    return _decoder.decode(line)
