"""Starts profiles on the user's word: asks first where the memory would not do."""

from collections.abc import Callable
from functools import partial

import msgspec
from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtWidgets import QWidget

from app.gui.dialogs.start_plan import Decision, StartPlanDialog
from app.gui.main_window.session import Session
from app.wire.errors import AppError
from app.wire.hub import Verdict
from app.wire.nouns import Server
from app.wire.plan import StartPlan

_PATIENCE_MS = 300
"""A start does not wait longer for the arithmetic; the engine checks once more by itself."""


class Starting(QObject):
    """One start at a time is asked about; a second press of Start changes nothing."""

    asked = Signal()  # a question is to be seen, which a hidden window would not show

    def __init__(self, session: Session, window: QWidget) -> None:
        super().__init__(window)
        self._session = session
        self._mirror = session.mirror
        self._window = window
        self._asked: str | None = None
        """The profile whose plan is awaited."""
        self._queued: dict[str, set[str]] = {}
        """Profiles that wait for the end of these servers."""
        self.dialog: StartPlanDialog | None = None
        self._patience = QTimer(self)
        self._patience.setSingleShot(True)
        self._patience.setInterval(_PATIENCE_MS)
        self._patience.timeout.connect(self._on_no_answer)
        self._mirror.server_changed.connect(self._on_server_changed)
        self._mirror.server_removed.connect(self._on_server_gone)

    def start(self, profile_id: str) -> None:
        """Start a profile, after a question when it would not fit."""
        if self._asked is not None and self._asked != profile_id:
            self._on_no_answer()
        self._asked = profile_id
        self._patience.start()
        self._session.call(
            "plan",
            lambda api: api.start_plan(profile_id),
            self._on_plan,
            lambda error: self._on_no_plan(profile_id, error),
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

    def _on_plan(self, plan: StartPlan) -> None:
        if plan.profile != self._asked:
            return
        self._patience.stop()
        self._asked = None
        if plan.verdict is Verdict.TOO_BIG:
            self._ask(plan)
        else:
            self._session.launch(plan.profile)

    def _on_no_plan(self, profile_id: str, _error: AppError) -> None:
        # Whatever is wrong, the start itself says it better.
        if profile_id == self._asked:
            self._on_no_answer()

    def _on_no_answer(self) -> None:
        profile_id, self._asked = self._asked, None
        self._patience.stop()
        if profile_id is not None:
            self._session.launch(profile_id)

    def _ask(self, plan: StartPlan) -> None:
        if self.dialog is not None:
            self.dialog.close()
        profile = self._mirror.profiles.get(plan.profile)
        name = plan.profile if profile is None else profile.name
        names = {server.id: server.name for server in self._mirror.servers.values()}
        self.dialog = StartPlanDialog(plan, name, names, self._window)
        self.dialog.decided.connect(partial(self._on_decided, plan))
        self.dialog.finished.connect(self._on_closed)
        self.asked.emit()
        self.dialog.open()

    def _on_closed(self) -> None:
        self.dialog = None

    def _on_decided(self, plan: StartPlan, decision: Decision) -> None:
        waits = {i for i in plan.stop_first if self._has_process(i)}
        if decision is Decision.ANYWAY or not waits:
            self._session.launch(plan.profile)
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
                self._session.launch(profile_id)
