"""The log of one server in a window of its own."""

from PySide6.QtCore import QSize, QTimer, Signal
from PySide6.QtGui import QFontDatabase, QHideEvent, QShowEvent, QTextCursor
from PySide6.QtWidgets import (
    QApplication,
    QDialog,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from app.gui.theme import theme
from app.gui.widgets.button_icon import set_button_icon
from app.gui.widgets.elided_label import ElidedLabel
from app.gui.widgets.switch import Switch

_REFRESH_MS = 1000
_FONT_PIXELS = 12
_SIZE = QSize(820, 520)


class LogView(QDialog):
    """Shows a text that grows. It fetches nothing: `refresh_wanted` asks for `set_text`.

    While following it stays at the end; scrolling up pauses that, scrolling to the end resumes.
    """

    refresh_wanted = Signal(object)  # str, the server's id

    def __init__(self, server_id: str, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._server_id = server_id
        self._name = name
        self._text = ""
        self.setWindowTitle(self.tr("Log of {name}").format(name=name))
        self.resize(_SIZE)
        self._build()
        self._lay_out()
        self._timer = QTimer(self)
        self._timer.setInterval(_REFRESH_MS)
        self._timer.timeout.connect(lambda: self.refresh_wanted.emit(self._server_id))
        theme().changed.connect(self._apply_theme)
        self._apply_theme()
        self._show_count()

    def _build(self) -> None:
        self.title = ElidedLabel(theme().font("tile"), parent=self)
        self.title.setText(self._name)
        self.text_view = QPlainTextEdit(self)
        self.text_view.setObjectName("logText")
        self.text_view.setReadOnly(True)
        self.text_view.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.text_view.setAccessibleName(self.tr("Log text"))
        font = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
        font.setPixelSize(_FONT_PIXELS)
        self.text_view.setFont(font)
        self.follow_box = Switch(self)
        self.follow_box.setAccessibleName(self.tr("Follow"))
        self.follow_box.setChecked(True)
        self.follow_box.setToolTip(self.tr("Stay at the end while the log grows"))
        self.follow_box.toggled.connect(self._on_follow_toggled)
        self.text_view.verticalScrollBar().sliderMoved.connect(self._on_user_scrolled)
        self.text_view.verticalScrollBar().actionTriggered.connect(self._on_user_scrolled)
        self._count = QLabel(self)
        self._count.setObjectName("emptyText")
        self.copy_button = QPushButton(self.tr("Copy all"), self)
        self.copy_button.setAutoDefault(False)
        self.copy_button.clicked.connect(self._on_copy)
        self.close_button = QPushButton(self.tr("Close"), self)
        self.close_button.setDefault(True)
        self.close_button.clicked.connect(self.close)

    def _lay_out(self) -> None:
        head = QHBoxLayout()
        head.addWidget(self.title, 1)
        head.addWidget(QLabel(self.tr("Follow"), self))
        head.addWidget(self.follow_box)
        foot = QHBoxLayout()
        foot.setSpacing(8)
        foot.addWidget(self._count)
        foot.addStretch(1)
        foot.addWidget(self.copy_button)
        foot.addWidget(self.close_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(20, 16, 20, 16)
        column.setSpacing(12)
        column.addLayout(head)
        column.addWidget(self.text_view, 1)
        column.addLayout(foot)

    def set_text(self, text: str) -> None:
        """Show the whole log as it is now. What was appended is added, the rest stays in place."""
        if text == self._text:
            return
        bar = self.text_view.verticalScrollBar()
        place = bar.value()
        old, self._text = self._text, text
        if old and text.startswith(old):
            # An own cursor: the user's selection and place stay.
            cursor = QTextCursor(self.text_view.document())
            cursor.movePosition(QTextCursor.MoveOperation.End)
            cursor.insertText(text[len(old) :])
        else:
            self.text_view.setPlainText(text)
        bar.setValue(bar.maximum() if self.follow_box.isChecked() else min(place, bar.maximum()))
        self._show_count()

    def _show_count(self) -> None:
        lines = self._text.count("\n") + (0 if self._text.endswith("\n") or not self._text else 1)
        if not lines:
            self._count.setText(self.tr("The log is empty."))
        elif lines == 1:
            self._count.setText(self.tr("1 line"))
        else:
            self._count.setText(self.tr("{count} lines").format(count=lines))
        self.copy_button.setEnabled(bool(self._text))

    def _on_user_scrolled(self, _action: int) -> None:
        bar = self.text_view.verticalScrollBar()
        at_end = bar.sliderPosition() >= bar.maximum() - 1
        self.follow_box.setChecked(at_end)

    def _on_follow_toggled(self, follows: bool) -> None:
        bar = self.text_view.verticalScrollBar()
        if follows and bar.value() != bar.maximum():
            bar.setValue(bar.maximum())

    def _on_copy(self) -> None:
        QApplication.clipboard().setText(self._text)
        self.copy_button.setText(self.tr("Copied"))
        QTimer.singleShot(_REFRESH_MS * 2, self, self._reset_copy_text)

    def _reset_copy_text(self) -> None:
        self.copy_button.setText(self.tr("Copy all"))

    def _apply_theme(self) -> None:
        self.title.set_colour(theme().color("tx"))
        set_button_icon(self.copy_button, "copy", theme().tokens.tx)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._timer.start()
        self.refresh_wanted.emit(self._server_id)

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._timer.stop()
