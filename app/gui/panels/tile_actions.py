"""What can be done with a server in each of its states: buttons and menu entries."""

from enum import Enum
from typing import NamedTuple

from PySide6.QtCore import QCoreApplication

from app.gui.models.server_state import was_refused
from app.wire.errors import ErrorCode
from app.wire.nouns import Server, ServerState
from app.wire.policy import LARGE_BYTES


class TileAction(Enum):
    """What the user can do with a server."""

    START = "start"
    STOP = "stop"
    RESTART = "restart"
    REMOVE = "remove"
    LOG = "log"
    COPY_URL = "copy_url"
    KILL = "kill"
    EDIT = "edit"
    TRY = "try"
    INSPECT = "inspect"
    CONNECT = "connect"
    PYTHON = "python"
    MODEL = "model"
    FREE_MEMORY = "free_memory"


class Face(NamedTuple):
    """One button: its words, its picture and what it does."""

    text: str
    icon: str
    action: TileAction
    tip: str = ""
    kind: str = ""
    is_open: bool = True
    is_short: bool = False
    """Shows its picture only; the words are for the tool-tip."""


def _tr(text: str) -> str:
    return QCoreApplication.translate("ServerTile", text)


class MenuEntry(NamedTuple):
    """One command of a tile's menu."""

    text: str
    action: TileAction
    is_open: bool


def menu_entries(server: Server, *, is_live: bool, has_profile: bool) -> list[MenuEntry | None]:
    """Return the commands for a server, None between two groups."""
    state = server.state
    is_stopping = state is ServerState.STOPPING
    can_stop = is_live and state.is_active and not is_stopping
    start = _tr("Start now") if state is ServerState.BACKING_OFF else _tr("Start")
    can_start = is_live and (not state.is_active or state is ServerState.BACKING_OFF)
    entries: list[MenuEntry | None] = [
        MenuEntry(start, TileAction.START, can_start),
        MenuEntry(_tr("Stop"), TileAction.STOP, can_stop),
        MenuEntry(_tr("Restart"), TileAction.RESTART, is_live and state.serves),
    ]
    if is_stopping and _is_large(server):
        entries.append(MenuEntry(_tr("End now"), TileAction.KILL, is_live))
    return [
        *entries,
        None,
        MenuEntry(_tr("Overview"), TileAction.INSPECT, is_live),
        MenuEntry(_tr("Try it…"), TileAction.TRY, is_live and state.serves),
        MenuEntry(_tr("Show log"), TileAction.LOG, is_live),
        MenuEntry(_tr("Connect a program…"), TileAction.CONNECT, is_live),
        MenuEntry(_tr("Copy address"), TileAction.COPY_URL, is_open=True),
        MenuEntry(_tr("Edit profile…"), TileAction.EDIT, is_live and has_profile),
        None,
        MenuEntry(_tr("Remove"), TileAction.REMOVE, is_live and not state.is_active),
    ]


def _is_large(server: Server) -> bool:
    return (server.held_bytes or 0) > LARGE_BYTES


def faces(server: Server) -> tuple[Face, ...]:
    """Return the main buttons of a server in its state, from the left."""
    match server.state:
        case ServerState.READY | ServerState.BUSY | ServerState.STALLED | ServerState.STOPPING:
            return _running_faces(server)
        case ServerState.BACKING_OFF:
            return (
                Face(_tr("Start now"), "play", TileAction.START),
                Face(_tr("Show log"), "file-text", TileAction.LOG),
                Face(_tr("Stop trying"), "x", TileAction.STOP, kind="flat"),
            )
        case ServerState.STARTING:
            return (Face(_tr("Cancel"), "x", TileAction.STOP),)
        case ServerState.STOPPED:
            return (
                Face(_tr("Start"), "play", TileAction.START),
                Face(_tr("Remove"), "x", TileAction.REMOVE, _tr("Remove this tile")),
            )
        case ServerState.FAILED if was_refused(server):
            tip = _tr("Show what it needs and what to stop for it; it starts if it fits by now")
            return (
                Face(_tr("Start…"), "play", TileAction.START, tip),
                Face(_tr("Dismiss"), "x", TileAction.REMOVE, kind="flat"),
            )
        case ServerState.FAILED:
            return _failed_faces(server)


def _failed_faces(server: Server) -> tuple[Face, ...]:
    again = Face(_tr("Start again"), "play", TileAction.START)
    dismiss = Face(_tr("Dismiss"), "x", TileAction.REMOVE, kind="flat")
    if (cure := _cure(server)) is not None:
        # The log keeps its icon on the right; three long texts have no room.
        return (again, cure, dismiss._replace(is_short=True))
    return (again, Face(_tr("Show log"), "file-text", TileAction.LOG), dismiss)


def _cure(server: Server) -> Face | None:
    """Return the button that leads to where the hint of a failure can be followed."""
    edit = Face(_tr("Edit profile…"), "pencil", TileAction.EDIT)
    match server.failure and server.failure.code:
        case ErrorCode.MODEL_UNSUPPORTED | ErrorCode.PYTHON_UNUSABLE:
            return Face(_tr("Use another Python…"), "terminal", TileAction.PYTHON)
        case ErrorCode.MODEL_MISSING | ErrorCode.MODEL_BROKEN:
            is_hub_id = server.model.count("/") == 1 and not server.model.startswith(("/", "~"))
            return Face(_tr("Download…"), "download", TileAction.MODEL) if is_hub_id else edit
        case ErrorCode.OUT_OF_MEMORY:
            return Face(_tr("Free memory…"), "memory-stick", TileAction.FREE_MEMORY)
        case ErrorCode.OPTION_WRONG | ErrorCode.PROFILE_BROKEN:
            return edit
        case _:
            return None


def _running_faces(server: Server) -> tuple[Face, ...]:
    is_open = server.state is not ServerState.STOPPING
    stop = Face(_tr("Stop"), "square", TileAction.STOP, is_open=is_open)
    restart = Face(_tr("Restart"), "rotate-cw", TileAction.RESTART, is_open=is_open)
    if server.state is ServerState.STALLED:
        tip = _tr("End the process and start it again. Open requests are lost.")
        restart = restart._replace(tip=tip, kind="primary")
    if is_open or not _is_large(server):
        return (stop, restart)
    tip = _tr("Kill it now. Memory that it holds may stay lost until the next reboot.")
    # Beside the others: a second click on Stop or Restart must not kill.
    return (stop, restart, Face(_tr("End now"), "circle-stop", TileAction.KILL, tip))
