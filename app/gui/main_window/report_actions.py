"""Makes the diagnostic report, in a worker, and shows it."""

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QWidget

from app.doctor.report import make_report
from app.gui import format  # noqa: A004 - the project's module of number formats
from app.gui.dialogs.report import ReportDialog
from app.gui.main_window.session import Session
from app.gui.preferences import Preferences
from app.wire.errors import AppError
from app.wire.fit import rounded_down
from app.wire.settings import SettingState


class ReportActions(QObject):
    """Opens Diagnostics."""

    failed = Signal(object)  # AppError
    told = Signal(object)  # str

    def __init__(self, session: Session, preferences: Preferences, window: QWidget) -> None:
        super().__init__(window)
        self._session = session
        self._preferences = preferences
        self._window = window
        self.dialog: ReportDialog | None = None

    def open(self) -> None:
        """Show the window of the report, and fill it as soon as the report is made."""
        if self.dialog is not None:
            self.dialog.raise_()
            self.dialog.activateWindow()
            return
        self.dialog = ReportDialog(self._window)
        self.dialog.save_failed.connect(self.told)
        self.dialog.finished.connect(self._on_closed)
        self.dialog.show()
        if self._session.door is None:
            self._make([])
        else:
            self._session.call(
                "report-settings", lambda api: api.settings(), self._on_settings, self._skip
            )

    def _skip(self, _error: AppError) -> None:
        self._make([])

    def _on_settings(self, settings: list[SettingState]) -> None:
        self._make([*settings, *self._preferences.states()])

    def _make(self, settings: list[SettingState]) -> None:
        facts = (
            ("Engine", self._engine()),
            ("Servers", self._servers()),
        )
        self._session.crew.run(
            "report", lambda: make_report(facts, settings), self._show, self.failed.emit
        )

    def _engine(self) -> str:
        engine = self._session.mirror.engine
        if engine is None:
            return f"None: {self._session.mirror.link_text}"
        machine = engine.machine
        memory = format.memory_text(rounded_down(machine.memory_bytes))
        gpu = machine.gpu_limit_bytes
        limit = format.memory_text(None if gpu is None else rounded_down(gpu))
        keys = "required" if engine.key_required else "not required"
        bind = "open to the network" if engine.open_bind else "bound safely"
        lines = [
            f"version {engine.version}, {machine.chip}, {memory} of memory, GPU limit {limit}",
            f"keys {keys}, {bind}. {engine.gateway_note}",
            *(f"{runtime.name} {runtime.version}" for runtime in engine.runtimes),
        ]
        return "\n".join(lines)

    def _servers(self) -> str:
        lines: list[str] = []
        for server in self._session.mirror.servers.values():
            failure = f": {server.failure.message}" if server.failure else ""
            series = self._session.mirror.series.get(server.id)
            memory = format.memory_text(series.latest("memory_bytes") if series else None)
            lines.append(f"{server.model}, {server.state.value}, {memory}{failure}")
        return "\n".join(lines)

    def _show(self, text: str) -> None:
        if self.dialog is not None:
            self.dialog.set_text(text)

    def _on_closed(self, _result: int) -> None:
        if self.dialog is not None:
            self.dialog.deleteLater()
            self.dialog = None
