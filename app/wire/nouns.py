"""The nouns that travel between engine and front ends, as frozen structs."""

from enum import StrEnum
from typing import Any

import msgspec

from app.wire.errors import ErrorCode
from app.wire.options import OptionValue, RuntimeInfo
from app.wire.shape import ModelShape


class ServerState(StrEnum):
    """Where a server is in its life; the engine's supervisor is the only writer."""

    STOPPED = "stopped"
    STARTING = "starting"
    READY = "ready"
    BUSY = "busy"
    """Ready, and answering at least one request."""
    STALLED = "stalled"
    """Requests are open, but nothing has been generated for too long."""
    STOPPING = "stopping"
    FAILED = "failed"
    BACKING_OFF = "backing_off"
    """Crashed; waits for its next automatic start."""

    @property
    def has_process(self) -> bool:
        """True while a process belongs to this state."""
        return self.serves or self in (ServerState.STARTING, ServerState.STOPPING)

    @property
    def serves(self) -> bool:
        """True while requests can be sent to the server."""
        return self in (ServerState.READY, ServerState.BUSY, ServerState.STALLED)

    @property
    def is_active(self) -> bool:
        """True while there is something to stop: a process, or a start that will come."""
        return self.has_process or self is ServerState.BACKING_OFF

    @property
    def is_settled(self) -> bool:
        """True when a start or a stop has come to its end."""
        return self.serves or self in (ServerState.STOPPED, ServerState.FAILED)


class Phase(StrEnum):
    """What a starting server is doing, as its runner reports it."""

    SPAWNING = "spawning"
    IMPORTING = "importing"
    LOADING = "loading"


class Failure(msgspec.Struct, frozen=True):
    """Why something did not work, in words for the user."""

    code: ErrorCode
    message: str
    """What happened, to what."""
    hint: str = ""
    """What to do next."""
    log_tail: tuple[str, ...] = ()
    """The last log lines that belong to it, oldest first."""


class Server(msgspec.Struct, frozen=True):
    """A profile's running process, or what is left to say about it."""

    id: str
    """The profile's id: one server, and one tile, for each profile."""
    name: str
    model: str
    state: ServerState
    state_since: float
    """Seconds since the epoch."""
    phase: Phase | None = None
    progress: float | None = None
    """Share of the model that is loaded, 0 to 1; None where it is not known."""
    pid: int | None = None
    port: int | None = None
    """The private loopback port; users reach the server through the gateway."""
    started_at: float | None = None
    """When the process was started, seconds since the epoch."""
    ready_at: float | None = None
    failure: Failure | None = None
    """Why it failed, stalled, or is started again."""
    restarts: int = 0
    """Starts after the first one, by the user or by itself, since the tile is there."""
    next_try_at: float | None = None
    """When a server that backs off is started again, seconds since the epoch."""
    held_bytes: int | None = None
    """Memory that the process had when its stop began."""
    released_bytes: int | None = None
    """How much of it has come back."""
    stop_reason: str = ""
    """Why a stopping or stopped server was stopped when it was not the user's wish, in words."""
    pending: tuple[str, ...] = ()
    """What its profile has changed since the process was started, a line each for people; a restart
    applies it."""


class ProfileFault(msgspec.Struct, frozen=True):
    """Why a profile cannot be used, and where in its file."""

    message: str
    line: int | None = None


class Profile(msgspec.Struct, frozen=True):
    """A model and the options to serve it with, under a name."""

    id: str
    """The name of its file without the suffix; never changes when the profile is renamed."""
    name: str
    model: str
    runtime: str = "mlx_lm"
    options: dict[str, OptionValue] = msgspec.field(default_factory=dict[str, OptionValue])
    policy: dict[str, OptionValue] = msgspec.field(default_factory=dict[str, OptionValue])
    """What the supervisor does with the server; rows of `app.wire.policy.POLICIES`."""
    is_demo: bool = False
    revision: str = ""
    """Changes with every change of the file; a save that names an older one is refused."""
    path: str = ""
    fault: ProfileFault | None = None


class ProfileDraft(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a client sends to create or change a profile."""

    name: str
    model: str
    runtime: str = "mlx_lm"
    options: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])
    policy: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])
    revision: str = ""
    """For a change: the revision that was edited; empty overwrites whatever is there."""
    id: str = ""
    """For a preview: the profile that would be changed; empty for a new one."""


class ModelSource(StrEnum):
    """Where a model on this disk comes from."""

    HUB = "hub"
    FOLDER = "folder"
    DEMO = "demo"


class Model(msgspec.Struct, frozen=True):
    """A model on this disk."""

    id: str
    """Hub id (`author/name`), or the absolute folder."""
    name: str
    author: str
    source: ModelSource
    path: str
    size_bytes: int
    quantization: str | None = None
    """For people, such as `4-bit` or `fp16`."""
    parameters: int | None = None
    family: str | None = None
    """The `model_type` of its config.json."""
    context_length: int | None = None
    """Tokens."""
    tags: tuple[str, ...] = ()
    """Short words for chips: vision, tools, embedding."""
    problem: str | None = None
    """Why it cannot be served, in words; None when it can."""
    needs_python: bool = False
    """True when the problem is only that the built-in mlx-lm does not know its architecture: a
    profile with another Python may serve it."""
    repairable: bool = False
    """True when the problem is that a download is not complete, or damaged."""
    modified_at: float = 0.0
    locations: tuple[str, ...] = ()
    """Every folder that holds these weights; the first is `path`."""
    check: "ModelCheck | None" = None
    """What the last check of its files has found, or how far it is."""
    shape: ModelShape | None = None
    """What its memory depends on, by its files; the cache only where a formula tells it."""

    @property
    def is_damaged(self) -> bool:
        """True when the last check found damaged or missing files."""
        return self.check is not None and self.check.state is CheckState.DAMAGED

    @property
    def can_repair(self) -> bool:
        """True when a download mends what is wrong with it."""
        return self.source is ModelSource.HUB and (self.repairable or self.is_damaged)

    def is_named(self, text: str) -> bool:
        """True if `text` stands for this model: its id, or one of its folders."""
        return text == self.id or text.rstrip("/") in self.locations


class CheckState(StrEnum):
    """How far a check of a model's files is, or what it found."""

    WAITING = "waiting"
    """Another check runs first."""
    RUNNING = "running"
    INTACT = "intact"
    DAMAGED = "damaged"
    FAILED = "failed"
    """Nothing can be said: the files cannot be read, or have no checksums."""

    @property
    def is_active(self) -> bool:
        """True while the check goes on."""
        return self in (CheckState.WAITING, CheckState.RUNNING)


class ModelCheck(msgspec.Struct, frozen=True):
    """A check of all files of a model against their checksums."""

    state: CheckState
    text: str
    """For people: "Checking, 34%", "All 12 files are intact", or what is wrong and what to do."""
    done_bytes: int = 0
    total_bytes: int = 0
    files_done: int = 0
    files_total: int = 0
    damaged: tuple[str, ...] = ()
    """Names of the damaged and missing files."""
    at: float = 0.0
    """When it ended, seconds since the epoch; 0 while it goes on."""


class DownloadState(StrEnum):
    """Where a download is in its life; the engine's downloads are the only writer."""

    QUEUED = "queued"
    RESOLVING = "resolving"
    DOWNLOADING = "downloading"
    WAITING = "waiting"
    VERIFYING = "verifying"
    PAUSED = "paused"
    BLOCKED = "blocked"
    FAILED = "failed"

    @property
    def is_active(self) -> bool:
        """True while the download goes on by itself."""
        return self not in (DownloadState.PAUSED, DownloadState.BLOCKED, DownloadState.FAILED)


class Download(msgspec.Struct, frozen=True):
    """A model on its way to this disk."""

    id: str
    """The hub id of the model."""
    state: DownloadState
    total_bytes: int | None = None
    """From the hub's list of files; None until that is known. Never grows."""
    done_bytes: int = 0
    failure: Failure | None = None
    """Why it is blocked or failed. Blocked: the user must do what the hint says first."""
    revision: str = "main"
    """What was asked for: a branch, a tag or a commit."""
    commit: str | None = None
    """The commit that it is pinned to."""
    bytes_per_s: float | None = None
    """Smoothed; None while nothing moves."""
    eta_s: float | None = None
    """Seconds to go, rounded; None until the speed is stable."""
    files_done: int = 0
    """Files that are complete and checked."""
    files_total: int | None = None
    waiting: str = ""
    """Why a waiting download waits, in words."""
    retry_at: float | None = None
    """When a waiting download tries again, seconds since the epoch."""
    notice: str = ""
    """Something to know about a download that goes on, such as a rejected token."""
    place: int | None = None
    """For one that is in line or waits for its hours: 1 is the next to start."""
    added_at: float = 0.0
    """Seconds since the epoch."""
    verify: bool = False
    """True when files that were there before are checked too."""
    any_time: bool = False
    """True when it runs outside of the hours of downloads too."""


class DownloadRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a client sends to download a model, or to go on with it."""

    id: str
    revision: str = "main"
    verify: bool = False


class ForeignKind(StrEnum):
    """What a model server is that the engine did not start."""

    MLX_LM = "mlx_lm"
    MLX_VLM = "mlx_vlm"
    VLLM_MLX = "vllm_mlx"
    OLLAMA = "ollama"
    LM_STUDIO = "lm_studio"
    LLAMA_CPP = "llama_cpp"


class ForeignServer(msgspec.Struct, frozen=True):
    """A model server on this computer that the engine did not start; shown, never managed."""

    id: str
    """Names this process and no later one with the same pid."""
    kind: ForeignKind
    name: str
    """The software's name, for people."""
    pid: int
    created: float
    """When the process was started, seconds since the epoch."""
    port: int | None = None
    """The port that it listens on; None where there is none or the system hides it."""
    memory_bytes: int | None = None
    """Memory of the process and everything below it; None where the system hides it."""


class Machine(msgspec.Struct, frozen=True):
    """The computer that the engine runs on."""

    name: str
    chip: str
    memory_bytes: int
    gpu_limit_bytes: int | None = None
    """What Metal lets the GPU use; None without Metal."""
    has_gpu: bool = False


class PublicPort(msgspec.Struct, frozen=True):
    """A port of the gateway that leads to one profile only."""

    profile: str
    """Its id."""
    port: int
    url: str = ""
    """Where it is reached; empty while it cannot be opened."""
    note: str = ""
    """Why it cannot be opened, in words."""


class EngineInfo(msgspec.Struct, frozen=True):
    """What a front end must know about the engine that it talks to."""

    version: str
    api_version: int
    pid: int
    url: str
    gateway_url: str
    gateway_note: str
    """Why the gateway is not where the settings want it; empty when it is."""
    started_at: float
    home: str
    log: str
    key_required: bool
    open_bind: bool
    """True when it listens beyond loopback without a key."""
    machine: Machine
    runtimes: tuple[RuntimeInfo, ...]
    capabilities: tuple[str, ...] = ()
    """`local_disk`: paths of this engine can be opened by a front end on the same machine.
    `predecessor`: there are profiles of an earlier app to import."""
    public_ports: tuple[PublicPort, ...] = ()
    """The ports that lead to one profile each, open or not."""
    new_policy: dict[str, OptionValue] = msgspec.field(default_factory=dict[str, OptionValue])
    """What the settings want new profiles to say beyond the defaults."""
    last_end: str = ""
    """That the last run of this engine did not end in order, in words; empty when it did."""
    troubles: tuple[str, ...] = ()
    """What is wrong with the engine's files, in sentences for the user, oldest first."""
    records_texts: bool = False
    """True while prompts and answers are kept."""
    memory_limit_bytes: int = 0
    """What all model servers may hold together: the budget of the settings, or what the machine
    lets the GPU use; 0 where the engine does not say."""
