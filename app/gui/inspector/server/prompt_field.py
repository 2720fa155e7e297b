"""The field for a question: Return sends, Shift and Return begin a new line."""

from PySide6.QtCore import QEvent, QSize, Qt, Signal
from PySide6.QtGui import QFontMetrics, QKeyEvent
from PySide6.QtWidgets import QPlainTextEdit, QSizePolicy, QWidget

from app.gui.guarded import guarded
from app.gui.theme import theme

_MOST_LINES = 6
_FRAME = 12
_ENTER = (Qt.Key.Key_Return, Qt.Key.Key_Enter)


class PromptField(QPlainTextEdit):
    """As high as its text, up to six lines."""

    sent = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("promptField")
        self.setFont(theme().font("body"))
        self.setTabChangesFocus(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.document().setDocumentMargin(2)
        self.textChanged.connect(self._fit)
        self._fit()

    @guarded(False)
    def event(self, event: QEvent) -> bool:
        # In here Return sends with Ctrl, too; in the window it would start the chosen profile.
        if (
            event.type() == QEvent.Type.ShortcutOverride
            and isinstance(event, QKeyEvent)
            and event.key() in _ENTER
        ):
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in _ENTER and not event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            self.sent.emit()
        elif event.key() == Qt.Key.Key_Escape:
            # The tab cancels an answer with it, the inspector closes.
            event.ignore()
        else:
            super().keyPressEvent(event)

    @guarded(QSize())
    def sizeHint(self) -> QSize:
        return QSize(200, self.height())

    def _fit(self) -> None:
        lines = round(self.document().size().height())
        height = QFontMetrics(self.font()).lineSpacing() * min(max(lines, 1), _MOST_LINES)
        policy = Qt.ScrollBarPolicy
        is_full = lines > _MOST_LINES
        self.setVerticalScrollBarPolicy(
            policy.ScrollBarAsNeeded if is_full else policy.ScrollBarAlwaysOff
        )
        self.setFixedHeight(height + _FRAME)
