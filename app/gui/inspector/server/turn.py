"""One question and its answer, as they stand in a conversation."""

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QGuiApplication, QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from app.gui import format as fmt
from app.gui.guarded import guarded
from app.gui.inspector.server.conversation import Past
from app.gui.inspector.server.markdown_view import MarkdownView
from app.gui.inspector.server.request_rows import seconds
from app.gui.inspector.server.thinking import Spoken, spoken
from app.gui.theme import theme
from app.gui.widgets import icons
from app.gui.workers.chat import ChatEnd, ChatPiece
from app.wire.errors import AppError

_RADIUS = 12


class _Bubble(QLabel):
    """What the user has asked, as plain text on a tint."""

    def __init__(self, text: str, parent: QWidget) -> None:
        super().__init__(text, parent)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setWordWrap(True)
        self.setFont(theme().font("body"))
        self.setContentsMargins(12, 8, 12, 8)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        policy = QSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Minimum)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        theme().changed.connect(self.update)

    @guarded(QSize())
    def sizeHint(self) -> QSize:
        # As wide as the unwrapped text, with less where there is less room: the hint of a label
        # that wraps is narrower than its room, and then the last lines are cut.
        margins = self.contentsMargins()
        text = self.fontMetrics().size(0, self.text())
        width = text.width() + margins.left() + margins.right() + 1
        return QSize(width, self.heightForWidth(width))

    def paintEvent(self, arg__1: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme().color("accs"))
        painter.drawRoundedRect(QRectF(self.rect()), _RADIUS, _RADIUS)
        painter.end()
        super().paintEvent(arg__1)


class Turn(QWidget):
    """Grows while the answer comes; afterwards it tells how long that took."""

    def __init__(self, question: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.question = question
        self.text = ""
        self.reasoning = ""
        self.end: ChatEnd | None = None
        self.error: AppError | None = None
        self._past_figures: str | None = None
        bubble = _Bubble(question, self)
        self.thought_button = QPushButton(self)
        self.thought_button.setProperty("kind", "flat")
        self.thought_button.setCheckable(True)
        self.thought_button.toggled.connect(self._on_thought_toggled)
        self.thought = MarkdownView(self)
        self.answer = MarkdownView(self)
        self.figures = QLabel(self)
        self.figures.setObjectName("emptyText")
        self.figures.setFont(theme().font("label"))
        self.figures.setWordWrap(True)
        self.copy_button = QPushButton(self)
        self.copy_button.setProperty("kind", "flat")
        self.copy_button.setFixedSize(24, 22)
        self.copy_button.setIconSize(QSize(14, 14))
        self.copy_button.setToolTip(self.tr("Copy the answer"))
        self.copy_button.setAccessibleName(self.tr("Copy the answer"))
        self.copy_button.clicked.connect(self._on_copy)
        self._lay_out(bubble)
        theme().changed.connect(self._dress)
        self._dress()
        self.draw()

    @property
    def is_open(self) -> bool:
        """True while the answer comes."""
        return self.end is None and self.error is None and self._past_figures is None

    def spoken(self) -> Spoken:
        """Return reasoning and answer as far as they have come."""
        return spoken(self.text, self.reasoning)

    def past(self) -> Past:
        """Return the turn as it is remembered."""
        return Past(self.question, self.text, self.reasoning, self._figures_text(self.spoken()))

    def recall(self, past: Past) -> None:
        """Show an answer of an earlier time."""
        self.text, self.reasoning, self._past_figures = past.text, past.reasoning, past.figures
        self.draw()

    def take(self, piece: ChatPiece) -> None:
        """Add to the answer; `draw` shows it."""
        self.text += piece.text
        self.reasoning += piece.reasoning

    def finish(self, end: ChatEnd) -> None:
        """The answer is complete, or was cancelled."""
        self.end = end
        self.draw()

    def fail(self, error: AppError) -> None:
        """The answer breaks off, or never began."""
        self.error = error
        self.draw()

    def draw(self) -> None:
        """Show everything that has come."""
        said = self.spoken()
        has_thought = bool(said.reasoning)
        self.thought_button.setVisible(has_thought)
        if has_thought:
            is_thinking = said.is_thinking and self.is_open
            word = self.tr("Thinking…") if is_thinking else self.tr("Thoughts")
            self.thought_button.setText(word)
        self.thought.setVisible(has_thought and self.thought_button.isChecked())
        if self.thought.isVisible() or self.thought_button.isChecked():
            self.thought.show_markdown(said.reasoning)
        self.answer.setVisible(bool(said.answer))
        self.answer.show_markdown(said.answer)
        text = self._figures_text(said)
        self.figures.setText(text)
        self.figures.setVisible(bool(text))
        self.copy_button.setVisible(not self.is_open and bool(said.answer))

    def _figures_text(self, said: Spoken) -> str:
        if self._past_figures is not None:
            return self._past_figures
        if self.error is not None:
            return f"{self.error.message} {self.error.hint}".strip()
        if self.end is None:
            return "" if said.answer or said.reasoning else self.tr("Waiting for the first token…")
        return " · ".join(end_parts(self.end))

    def _lay_out(self, bubble: QWidget) -> None:
        asked = QHBoxLayout()
        asked.setContentsMargins(40, 0, 0, 0)
        asked.addStretch(1)
        asked.addWidget(bubble)
        thinks = QHBoxLayout()
        thinks.setContentsMargins(0, 0, 0, 0)
        thinks.addWidget(self.thought_button)
        thinks.addStretch(1)
        thought = QHBoxLayout()
        thought.setContentsMargins(16, 0, 0, 0)
        thought.addWidget(self.thought)
        foot = QHBoxLayout()
        foot.setSpacing(4)
        foot.addWidget(self.figures, 1)
        foot.addWidget(self.copy_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addLayout(asked)
        column.addLayout(thinks)
        column.addLayout(thought)
        column.addWidget(self.answer)
        column.addLayout(foot)

    def _on_thought_toggled(self, is_open: bool) -> None:
        self.thought.show_markdown(self.spoken().reasoning)
        self.thought.setVisible(is_open)
        self._dress()

    def _on_copy(self) -> None:
        QGuiApplication.clipboard().setText(self.spoken().answer)
        self.copy_button.setIcon(icons.icon("check", theme().tokens.ok))

    def _dress(self) -> None:
        ink = theme().tokens.tx2
        arrow = "chevron-down" if self.thought_button.isChecked() else "chevron-right"
        self.thought_button.setIcon(icons.icon(arrow, ink))
        self.copy_button.setIcon(icons.icon("copy", ink))


def end_parts(end: ChatEnd) -> list[str]:
    """Return what there is to say about an answer that has ended."""
    parts: list[str] = []
    if end.reason is None:
        parts.append("Cancelled")
    elif end.reason == "length":
        parts.append("Cut at the longest answer allowed")
    if end.ttft_s is not None:
        parts.append(f"first token after {seconds(end.ttft_s)}")
    if end.tokens_per_s is not None:
        parts.append(" ".join(fmt.rate(end.tokens_per_s)))
    if end.completion_tokens is not None:
        parts.append(f"{fmt.count(end.prompt_tokens)} → {fmt.count(end.completion_tokens)} tokens")
    parts.append(f"took {seconds(end.duration_s)}")
    return parts
