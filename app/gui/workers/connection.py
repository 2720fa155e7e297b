"""Which engine the window talks to, and how it was found or started."""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtCore import QCoreApplication

from app import environment
from app.client import credentials, launch
from app.client.api import Api
from app.client.errors import EngineRunning, EngineSilent
from app.client.launch import OwnedEngine, end_running, servers_running
from app.client.nearby import NearbyEngine, look_around
from app.wire.errors import AppError
from app.wire.nouns import EngineInfo

_OTHER_S = 120.0
"""As long as an engine may take for its start or its end."""
_AGAIN_S = 1.0
__all__ = [
    "Connection",
    "EngineSilent",
    "KeyWanted",
    "NearbyEngine",
    "OwnedEngine",
    "Quest",
    "connect",
    "end_running",
    "look_around",
    "servers_running",
]


@dataclass(frozen=True)
class Connection:
    """A way to one engine."""

    url: str
    key: str | None
    info: EngineInfo
    owned: OwnedEngine | None = None
    """The process, when this app started the engine and ends it at quit."""

    @property
    def shown_key(self) -> str | None:
        """The key that the user's own programs can use, as far as this app knows one."""
        return _first_key(os.environ.get(launch.KEY_VARIABLE)) if self.owned else self.key


class KeyWanted(AppError):
    """An engine that this app did not start wants a key."""

    def __init__(self, url: str, *, was_wrong: bool, is_own: bool = False) -> None:
        sentence = f"The engine at {url} asks for a key."
        if was_wrong:
            sentence = f"The engine at {url} does not accept this key."
        super().__init__(sentence)
        self.url = url
        self.was_wrong = was_wrong
        self.is_own = is_own
        """True for the engine of this home, which is found, not chosen."""


class Quest:
    """A search for an engine: what it tells on its way, and the wish to give it up."""

    def __init__(self, tell: Callable[[str], object] = str) -> None:
        self.tell = tell
        self.given_up = threading.Event()


def connect(
    url: str | None,
    key: str | None = None,
    after: OwnedEngine | None = None,
    quest: Quest | None = None,
) -> Connection:
    """Return a connection to the engine at `url`, else to this home's own, started if need be.

    Blocks up to 4 minutes. `key` is one that the user has just typed, `after` an engine of this
    home that is on its way out: no other is looked for or started before it is gone. Raises
    KeyWanted, or AppError.
    """
    if url is not None:
        # The key of this computer's environment is nothing for whoever answers at another address.
        return _attach(url, key or credentials.load_key(url))
    if after is not None:
        # It still answers, and still holds the home.
        after.wait()
    return _find_or_start(key, quest or Quest())


def _find_or_start(key: str | None, quest: Quest) -> Connection:
    """Use the engine of this home, wait for one that starts or ends, or start one."""
    deadline = time.monotonic() + _OTHER_S
    while True:
        found = launch.find()
        if found is not None and not found.owned:
            own_key = credentials.load_key(found.url) or _first_key(
                os.environ.get(launch.KEY_VARIABLE)
            )
            return _attach(found.url, key or own_key, is_own=True)
        if found is not None:
            # One window for each home: the owner is gone, and its engine is about to be.
            quest.tell(_tr("The last engine is still ending…"))
        else:
            try:
                return _start()
            except EngineRunning:
                quest.tell(_tr("An engine is starting…"))
        if quest.given_up.wait(_AGAIN_S) or time.monotonic() > deadline:
            raise EngineSilent(
                _tr("The engine does not answer."),
                hint=_tr("It runs on this computer, but it is busy or hangs."),
            )


def _tr(text: str) -> str:
    return QCoreApplication.translate("connection", text)


def _start() -> Connection:
    # Here, in a worker: a shell takes its time.
    environment.adopt_shell()
    key = os.environ.get(launch.KEY_VARIABLE)
    owned = launch.start_owned(key)
    try:
        with Api(owned.address.url, owned.owner_key) as api:
            return Connection(owned.address.url, owned.owner_key, api.engine(), owned)
    except AppError:
        owned.stop()
        raise


def _attach(url: str, key: str | None, *, is_own: bool = False) -> Connection:
    try:
        with Api(url, key) as api:
            return Connection(url, key, api.engine())
    except AppError as error:
        if error.status == 401:
            raise KeyWanted(url, was_wrong=key is not None, is_own=is_own) from error
        raise


def _first_key(text: str | None) -> str | None:
    """Return the first of several comma-separated keys."""
    keys = [part.strip() for part in (text or "").split(",") if part.strip()]
    return keys[0] if keys else None


def remember_key(url: str, key: str) -> str:
    """Keep a key for the next time and return where, in words. Raises AppError."""
    try:
        return credentials.store_key(url, key)
    except OSError as error:
        raise AppError(f"The key could not be stored: {error.strerror or error}.") from error


def key_place() -> str:
    """Return where a key would be kept, in words."""
    return credentials.place()


def forget_key(url: str) -> None:
    """Remove a stored key."""
    credentials.forget_key(url)


def has_stored_key(url: str) -> bool:
    """Return True when a key for this engine is stored."""
    return credentials.load_key(url) is not None
