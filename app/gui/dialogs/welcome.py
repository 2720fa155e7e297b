"""The first-run sheet: this computer, one model to begin with, and one button that does it all."""

from enum import Enum
from typing import Final

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QDialog,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from app.gui import format as fmt
from app.gui.dialogs.about import Badge
from app.gui.models.model_text import verdict_word
from app.gui.models.starter import Starter, parameters_that_fit
from app.gui.theme import theme
from app.gui.widgets import icons
from app.gui.widgets.note_line import NoteLine
from app.gui.widgets.pill import Pill
from app.wire.errors import AppError, ErrorCode
from app.wire.fit import rounded_down
from app.wire.hub import HubModel, Verdict
from app.wire.nouns import Machine

_WIDTH: Final = 500
_ICON: Final = 22
_LOOKS: Final = {
    Verdict.FITS: ("ok", "oks"),
    Verdict.TIGHT: ("warn", "warns"),
    Verdict.TOO_BIG: ("bad", "bads"),
}


class WelcomeAnswer(Enum):
    """What the user chose."""

    DOWNLOAD = "download"
    DEMO = "demo"
    LATER = "later"


class WelcomeSheet(QDialog):
    """Emits one answer and closes; Esc and Not now are the same."""

    answered = Signal(object)  # WelcomeAnswer
    asked_again = Signal()

    def __init__(
        self, machine: Machine, starter: Starter, parent: QWidget | None, *, has_demo: bool
    ) -> None:
        super().__init__(parent)
        self.setObjectName("welcome")
        self.setWindowTitle(self.tr("Welcome"))
        self.setFixedWidth(_WIDTH)
        self._answer = WelcomeAnswer.LATER
        self._column = QVBoxLayout(self)
        self._machine_icon = QLabel(self)
        self._model_icon = QLabel(self)
        self.amount = _text("secondary", "aboutSecondary", self)
        self.pill = Pill(theme().font("label"), self)
        self.pill.hide()
        self.note = NoteLine("warn", self)
        self.note.button_clicked.connect(self.asked_again)
        self.download = QPushButton(self.tr("Download and run"), self)
        self.download.clicked.connect(lambda: self._choose(WelcomeAnswer.DOWNLOAD))
        self.demo = QPushButton(self.tr("Try the demo"), self)
        self.demo.clicked.connect(lambda: self._choose(WelcomeAnswer.DEMO))
        self.demo.setVisible(has_demo)
        self.demo.setToolTip(self.tr("A tiny model that comes with the app; it talks nonsense"))
        self.later = QPushButton(self.tr("Not now"), self)
        self.later.setAutoDefault(False)
        self.later.clicked.connect(self.reject)
        self.finished.connect(self._on_finished)
        self._lay_out(machine, starter)
        theme().changed.connect(self._dress)
        self._dress()
        self.show_asking()

    def show_asking(self) -> None:
        """Tell that the model is being looked up."""
        self.note.say("")
        self.amount.setText(self.tr("Looking it up on Hugging Face…"))
        self._set_main(self.download)

    def show_model(self, model: HubModel) -> None:
        """Show how much is downloaded, and whether it fits."""
        self.note.say("")
        size = fmt.file_size(model.size_bytes) if model.size_bytes else fmt.UNKNOWN
        self.amount.setText(self.tr("{size} to download").format(size=size))
        fit = model.fit
        if fit is not None and fit.verdict in _LOOKS:
            ink, tint = _LOOKS[fit.verdict]
            self.pill.set_state(verdict_word(fit.verdict), theme().color(ink), theme().color(tint))
            self.pill.setToolTip(fit.sentence)
            self.pill.show()
        self.download.setEnabled(True)
        self._set_main(self.download)

    def show_trouble(self, error: AppError) -> None:
        """Say that the hub cannot be reached; the demo is the way to go then."""
        self.amount.setText(self.tr("Needs Hugging Face once, for the download."))
        text = f"{error.message} {error.hint}".strip()
        if error.code is ErrorCode.REPO_NOT_FOUND:
            # It was us who chose the name: nobody can check it, or log in for it.
            text = self.tr(
                "The hub does not have this model now. Close this and search for another."
            )
        self.note.say(text, button=self.tr("Try again"))
        self.download.setEnabled(False)
        self._set_main(self.demo if self.demo.isVisibleTo(self) else self.later)

    def _choose(self, answer: WelcomeAnswer) -> None:
        self._answer = answer
        self.accept()

    def _on_finished(self, _result: int) -> None:
        self.answered.emit(self._answer)

    def _set_main(self, main: QPushButton) -> None:
        for button in (self.download, self.demo, self.later):
            button.setProperty("kind", "primary" if button is main else "")
            button.setDefault(button is main)
            button.style().unpolish(button)
            button.style().polish(button)
        main.setFocus()
        # Wrapped texts ask for more than they need.
        self.setFixedHeight(self._column.totalHeightForWidth(_WIDTH))

    def _lay_out(self, machine: Machine, starter: Starter) -> None:
        centre = Qt.AlignmentFlag.AlignHCenter
        title = _text("page", "", self)
        title.setText(self.tr("Welcome to MLX Model Manager"))
        lead = _text("body", "aboutSecondary", self)
        lead.setText(self.tr("Find, download and serve language models on your own computer."))
        column = self._column
        column.setContentsMargins(32, 28, 32, 24)
        column.setSpacing(0)
        column.addWidget(Badge(self), 0, centre)
        column.addSpacing(14)
        for label, space in ((title, 4), (lead, 20)):
            label.setAlignment(centre)
            label.setWordWrap(False)
            column.addWidget(label)
            column.addSpacing(space)
        column.addWidget(self._machine_card(machine))
        column.addSpacing(10)
        column.addWidget(self._model_card(starter))
        column.addSpacing(10)
        column.addWidget(self.note)
        column.addSpacing(14)
        foot = QHBoxLayout()
        foot.setSpacing(8)
        foot.addWidget(self.later)
        foot.addStretch()
        foot.addWidget(self.demo)
        foot.addWidget(self.download)
        column.addLayout(foot)

    def _machine_card(self, machine: Machine) -> QFrame:
        memory = self.tr("{} memory").format(_memory(machine.memory_bytes))
        limit = machine.gpu_limit_bytes or machine.memory_bytes
        name = " · ".join(part for part in (machine.chip, memory) if part)
        title = _text("name", "", self)
        title.setText(name)
        detail = _text("secondary", "aboutSecondary", self)
        billions = parameters_that_fit(limit)
        text = self.tr("{room} for models: up to about {count}B parameters, 4\u00a0bits each.")
        if not billions:
            text = self.tr("Models can use {room}.")
        detail.setText(text.format(room=_memory(limit), count=billions))
        return _card(self._machine_icon, title, [detail])

    def _model_card(self, starter: Starter) -> QFrame:
        title = _text("name", "", self)
        title.setText(starter.title)
        about = _text("secondary", "aboutSecondary", self)
        about.setText(starter.about)
        title.setToolTip(starter.id)
        return _card(self._model_icon, title, [about, self.amount], self.pill)

    def _dress(self) -> None:
        scale = max(2.0, self.devicePixelRatioF())
        tokens = theme().tokens
        self._machine_icon.setPixmap(icons.pixmap("memory-stick", tokens.acc, _ICON, scale))
        self._model_icon.setPixmap(icons.pixmap("sparkles", tokens.acc, _ICON, scale))


def _memory(size: int) -> str:
    """Return an amount of memory as it is on the box: 36 GB rather than 36.0 GB."""
    return fmt.memory_text(rounded_down(size)).replace(".0 ", " ")


def _text(role: str, name: str, parent: QWidget) -> QLabel:
    label = QLabel(parent)
    label.setFont(theme().font(role))
    label.setObjectName(name)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(True)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
    return label


def _card(icon: QLabel, title: QLabel, texts: list[QLabel], extra: QWidget | None = None) -> QFrame:
    card = QFrame()
    card.setObjectName("settingsCard")
    row = QHBoxLayout(card)
    row.setContentsMargins(14, 12, 14, 12)
    row.setSpacing(12)
    row.addWidget(icon, 0, Qt.AlignmentFlag.AlignTop)
    column = QVBoxLayout()
    column.setSpacing(3)
    head = QHBoxLayout()
    head.addWidget(title, 1)
    if extra is not None:
        head.addWidget(extra)
    column.addLayout(head)
    for text in texts:
        column.addWidget(text)
    row.addLayout(column, 1)
    return card
