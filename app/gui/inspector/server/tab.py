"""What the tabs of a server's page share: the server, the engine, and asking only while visible."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from PySide6.QtCore import QTimer
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import QWidget

from app.gui.mirror import LinkState, Mirror
from app.gui.workers.connection import Connection
from app.gui.workers.door import Api
from app.gui.workers.thread import Crew
from app.wire.errors import AppError
from app.wire.nouns import Profile, Server

_T = TypeVar("_T")
_POLL_MS = 1000


class Host(Protocol):
    """What a page uses of the window's session."""

    mirror: Mirror
    crew: Crew

    @property
    def connection(self) -> Connection | None:
        """The engine in use; None before the first connection."""
        ...

    def call(
        self,
        name: str,
        work: Callable[[Api], _T],
        on_success: Callable[[_T], object] | None = None,
        on_failure: Callable[[AppError], object] | None = None,
    ) -> None:
        """Run `work` in a worker."""
        ...

    def start(self, profile_id: str) -> None:
        """Start a profile."""
        ...


class Tab(QWidget):
    """One tab. While it is visible, `poll` is called at once and then every second.

    It has one question to the engine open at most, so that a slow engine is not flooded.
    """

    def __init__(self, host: Host, server_id: str) -> None:
        super().__init__()
        self.host = host
        self.server_id = server_id
        self._is_asking = False
        self._on_answer: Callable[[object], object] | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(_POLL_MS)
        self._timer.timeout.connect(self._on_tick)

    @property
    def mirror(self) -> Mirror:
        """The state of the engine."""
        return self.host.mirror

    @property
    def server(self) -> Server | None:
        """The server; None before its first start and after its tile was removed."""
        return self.mirror.servers.get(self.server_id)

    @property
    def profile(self) -> Profile | None:
        """The profile; None when it was deleted while its server runs."""
        return self.mirror.profiles.get(self.server_id)

    @property
    def is_polling(self) -> bool:
        """True while it asks the engine again and again."""
        return self._timer.isActive()

    @property
    def can_ask(self) -> bool:
        """True when a question would be heard and none is open."""
        is_live = self.mirror.link is LinkState.LIVE and self.host.connection is not None
        return is_live and not self._is_asking

    def poll(self) -> None:
        """Do what is due each second while this is visible."""

    def refresh(self) -> None:
        """Show what the mirror knows now."""

    def focus_first(self) -> None:
        """Take the keyboard where it is of most use."""
        self.setFocus()

    def leave(self) -> None:
        """End what goes on in the background; the window is about to end."""

    def show_trouble(self, error: AppError) -> None:
        """Say that a question was not answered."""

    def ask(self, name: str, work: Callable[[Api], _T], on_answer: Callable[[_T], object]) -> bool:
        """Have `work` done in a worker and `on_answer` called with its result, unless this is gone.

        Return False when it cannot be asked now.
        """
        if not self.can_ask:
            return False
        self._is_asking = True
        self._on_answer = on_answer  # pyright: ignore[reportAttributeAccessIssue] - one at a time
        # Methods of this object: Qt drops the connection when it is deleted before the answer.
        self.host.call(name, work, self._take_answer, self._take_trouble)
        return True

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.refresh()
        self._timer.start()
        self.poll()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._timer.stop()

    def _on_tick(self) -> None:
        # A minimised window stays visible for Qt.
        if not self.window().isMinimized():
            self.poll()

    def _take_answer(self, answer: object) -> None:
        on_answer, self._on_answer = self._on_answer, None
        self._is_asking = False
        if on_answer is not None:
            on_answer(answer)

    def _take_trouble(self, error: AppError) -> None:
        self._on_answer = None
        self._is_asking = False
        self.show_trouble(error)
