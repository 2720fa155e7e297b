"""Decides whether the first-run sheet is due, and does what is answered."""

from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtWidgets import QWidget

from app.gui.dialogs.welcome import WelcomeAnswer, WelcomeSheet
from app.gui.main_window.session import Session
from app.gui.memory import Memory
from app.gui.mirror import LinkState
from app.gui.models.starter import starter_for
from app.wire.errors import AppError
from app.wire.hub import HubDetails
from app.wire.nouns import ModelSource

_KEY = "welcomed"
_QUIET_MS = 700
"""The models of a first scan come one by one; the sheet waits until no more do."""


class Welcoming(QObject):
    """Shows the sheet once, to somebody who has no model, and again on request."""

    download_wanted = Signal(object)  # str, a hub id: download it and run it
    demo_wanted = Signal(object)  # str, the id of the demo's profile
    failed = Signal(object)  # AppError
    answered = Signal()

    def __init__(self, session: Session, memory: Memory, window: QWidget) -> None:
        super().__init__(window)
        self._session = session
        self._mirror = session.mirror
        self._memory = memory
        self._window = window
        self._model_id = ""
        self.sheet: WelcomeSheet | None = None
        self._quiet = QTimer(self)
        self._quiet.setSingleShot(True)
        self._quiet.setInterval(_QUIET_MS)
        self._quiet.timeout.connect(self._consider)
        if not self._is_answered:
            for signal in (
                self._mirror.models_changed,
                self._mirror.downloads_changed,
                self._mirror.link_changed,
            ):
                signal.connect(self._wait)

    @property
    def is_due(self) -> bool:
        """True while the sheet is open, or may open as soon as the models are known."""
        if self.sheet is not None:
            return True
        mirror = self._mirror
        has_own = any(m.source is not ModelSource.DEMO for m in mirror.models.values())
        is_new = self._session.url is None and not has_own and not mirror.downloads
        return is_new and not self._is_answered

    @property
    def _is_answered(self) -> bool:
        return str(self._memory.value(_KEY, "")).lower() == "true"

    def open(self) -> None:
        """Show the sheet, whatever was answered before."""
        engine = self._mirror.engine
        if engine is None:
            sentence = self.tr("There is no engine yet; wait until it has started.")
            self.failed.emit(AppError(sentence))
            return
        if self.sheet is not None:
            self.sheet.raise_()
            return
        starter = starter_for(engine.machine.memory_bytes)
        self._model_id = starter.id
        sheet = WelcomeSheet(
            engine.machine, starter, self._window, has_demo=self._demo_id() is not None
        )
        sheet.answered.connect(self._on_answered)
        sheet.asked_again.connect(self._ask)
        self.sheet = sheet
        self._ask()
        sheet.open()

    def _wait(self, _changed: object = None) -> None:
        if not self._is_answered and self.sheet is None:
            self._quiet.start()

    def _consider(self) -> None:
        mirror = self._mirror
        # An engine somewhere else belongs to somebody who knows what it has. Without any model
        # the first scan has not ended: the demo is always among them.
        if self.is_due and mirror.link is LinkState.LIVE and mirror.models:
            self.open()

    def _ask(self) -> None:
        if self.sheet is None:
            return
        self.sheet.show_asking()
        model_id = self._model_id
        self._session.call(
            "hub-model", lambda api: api.hub_model(model_id), self._on_described, self._on_trouble
        )

    def _on_described(self, details: HubDetails) -> None:
        if self.sheet is not None:
            self.sheet.show_model(details.model)

    def _on_trouble(self, error: AppError) -> None:
        if self.sheet is not None:
            self.sheet.show_trouble(error)

    def _on_answered(self, answer: WelcomeAnswer) -> None:
        if self.sheet is not None:
            self.sheet.deleteLater()
            self.sheet = None
        self._memory.set_value(_KEY, "true")
        self.answered.emit()
        demo = self._demo_id()
        match answer:
            case WelcomeAnswer.DOWNLOAD:
                self.download_wanted.emit(self._model_id)
            case WelcomeAnswer.DEMO if demo is not None:
                self.demo_wanted.emit(demo)
            case _:
                pass

    def _demo_id(self) -> str | None:
        return next((p.id for p in self._mirror.profiles.values() if p.is_demo), None)
