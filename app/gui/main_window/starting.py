"""Starts profiles on the user's word: asks first where the memory would not do."""

from collections.abc import Callable
from functools import partial
from itertools import count

import msgspec
from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtWidgets import QWidget

from app.gui.dialogs.start_plan import Decision, StartPlanDialog
from app.gui.main_window.questions import may_start_unchecked
from app.gui.main_window.session import Session
from app.wire.errors import AppError, ErrorCode
from app.wire.hub import Verdict
from app.wire.nouns import Server
from app.wire.plan import StartPlan

_MOMENT_MS = 300
"""A check that takes longer is shown."""
_DEADLINE_MS = 8000
"""The engine's own is 5 s; nothing is started unchecked without a question."""


class Starting(QObject):
    """Starts nothing before the arithmetic is there; a second press of Start changes nothing."""

    asked = Signal()  # a question is to be seen, which a hidden window would not show
    begun = Signal(object)  # str, a profile whose start the user wants and that begins now
    checking = Signal(object)  # frozenset[str], profiles whose check takes more than a moment

    def __init__(self, session: Session, window: QWidget) -> None:
        super().__init__(window)
        self._session = session
        self._mirror = session.mirror
        self._window = window
        self._numbers = count()
        self._awaited: dict[str, int] = {}
        """Profiles whose plan is awaited, each with the number of its question."""
        self._later: list[str] = []
        """Profiles to ask about when the open question has been answered."""
        self._queued: dict[str, set[str]] = {}
        """Profiles that wait for the end of these servers."""
        self.dialog: StartPlanDialog | None = None
        self._moment = QTimer(self)
        self._moment.setSingleShot(True)
        self._moment.setInterval(_MOMENT_MS)
        self._moment.timeout.connect(self._tell_checking)
        self._mirror.server_changed.connect(self._on_server_changed)
        self._mirror.server_removed.connect(self._on_server_gone)

    def start(self, profile_id: str) -> None:
        """Start a profile, after a question when it would not fit."""
        if profile_id in self._awaited:
            return
        number = self._awaited[profile_id] = next(self._numbers)
        self._moment.start()
        late = self.tr("The engine did not say in time whether it fits.")
        QTimer.singleShot(
            _DEADLINE_MS, self, lambda: self._on_no_plan(profile_id, number, AppError(late))
        )
        self._session.call(
            "plan",
            lambda api: api.start_plan(profile_id),
            lambda plan: self._on_plan(number, plan),
            lambda error: self._on_no_plan(profile_id, number, error),
        )

    def make_room(self, profile_id: str) -> None:
        """Ask which server to stop for a profile whose memory ran out, though it may fit now."""

        def ask(plan: StartPlan) -> None:
            largest = max(plan.others_bytes, key=plan.others_bytes.__getitem__, default=None)
            first = plan.stop_first or ((largest,) if largest is not None else ())
            self._ask(msgspec.structs.replace(plan, stop_first=first))

        self._session.call("plan", lambda api: api.start_plan(profile_id), ask)

    def fetch(self, profile_id: str, on_plan: Callable[[StartPlan], object]) -> None:
        """Ask for the arithmetic alone; silence when there is none."""
        if self._session.connection is not None:
            self._session.call(
                "plan", lambda api: api.start_plan(profile_id), on_plan, lambda _error: None
            )

    def forget(self, _connection: object = None) -> None:
        """Start nothing of what still waits: it was meant for another engine."""
        self._queued.clear()
        self._awaited.clear()
        self._later.clear()
        self._tell_checking()

    def _tell_checking(self) -> None:
        self.checking.emit(frozenset(self._awaited))

    def _take(self, profile_id: str, number: int) -> bool:
        """Return True for the answer that is awaited."""
        if self._awaited.get(profile_id) != number:
            return False
        del self._awaited[profile_id]
        self._tell_checking()
        return True

    def _on_plan(self, number: int, plan: StartPlan) -> None:
        if not self._take(plan.profile, number):
            return
        if plan.verdict is Verdict.TOO_BIG:
            self._ask(plan)
        else:
            self._launch(plan.profile)

    def _on_no_plan(self, profile_id: str, number: int, error: AppError) -> None:
        if not self._take(profile_id, number):
            return
        self._session.refused.emit(profile_id)
        if error.code is not ErrorCode.INTERNAL:
            # No engine, or no such profile: a start would say the same.
            self._session.failed.emit(error)
            return
        self.asked.emit()
        if may_start_unchecked(self._window, self._name(profile_id), error.message):
            self._launch(profile_id)

    def _launch(self, profile_id: str) -> None:
        self.begun.emit(profile_id)
        self._session.launch(profile_id)

    def _name(self, profile_id: str) -> str:
        profile = self._mirror.profiles.get(profile_id)
        return profile_id if profile is None else profile.name

    def _ask(self, plan: StartPlan) -> None:
        # Whatever the answer is, no button waits for it.
        self._session.refused.emit(plan.profile)
        if self.dialog is not None:
            self._later.append(plan.profile)
            return
        names = {server.id: server.name for server in self._mirror.servers.values()}
        self.dialog = StartPlanDialog(plan, self._name(plan.profile), names, self._window)
        self.dialog.decided.connect(partial(self._on_decided, plan))
        self.dialog.finished.connect(self._on_closed)
        self.asked.emit()
        self.dialog.open()

    def _on_closed(self) -> None:
        self.dialog = None
        if self._later:
            # What was found out by then may have changed with the answer.
            self.start(self._later.pop(0))

    def _on_decided(self, plan: StartPlan, decision: Decision) -> None:
        waits = {i for i in plan.stop_first if self._has_process(i)}
        if decision is Decision.ANYWAY or not waits:
            self._launch(plan.profile)
            return
        self._queued[plan.profile] = waits
        for server_id in waits:
            self._session.stop(server_id)

    def _has_process(self, server_id: str) -> bool:
        server = self._mirror.servers.get(server_id)
        return server is not None and server.state.has_process

    def _on_server_changed(self, server: Server) -> None:
        if not server.state.has_process:
            self._on_server_gone(server.id)

    def _on_server_gone(self, server_id: str) -> None:
        for profile_id, waits in list(self._queued.items()):
            waits.discard(server_id)
            if not waits:
                del self._queued[profile_id]
                self._launch(profile_id)
