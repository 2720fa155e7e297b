"""Recorded prompts and answers in the Requests tab: the warning above, the chosen one below."""

from PySide6.QtCore import Signal
from PySide6.QtGui import QFont, QTextCharFormat, QTextCursor
from PySide6.QtWidgets import QMessageBox, QPlainTextEdit, QWidget

from app.gui import format as fmt
from app.gui.theme import theme
from app.gui.widgets.note_line import NoteLine
from app.wire.requests import RequestTexts

_LOWEST, _HEIGHT = 84, 190


class RecordingNote(NoteLine):
    """Says that texts are recorded, or that some are still there, and deletes them on request."""

    delete_requested = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__("warn", parent)
        self.button_clicked.connect(self._ask)

    def show_state(self, *, is_on: bool, has_texts: bool) -> None:
        """Say what is true now; nothing where nothing is or was recorded."""
        text = ""
        if is_on:
            text = self.tr(
                "Prompts and answers are recorded, not encrypted. Settings turns that off."
            )
        elif has_texts:
            text = self.tr("Prompts and answers recorded earlier are still there.")
        if text != self.text():
            self.say(text, button=self.tr("Delete all…"))
        self.setVisible(bool(text))

    def _ask(self) -> None:
        box = QMessageBox(self)
        box.setIcon(QMessageBox.Icon.Question)
        box.setWindowTitle(self.tr("Delete recorded texts"))
        box.setText(self.tr("Delete all recorded prompts and answers?"))
        box.setInformativeText(
            self.tr("Those of every server go, and cannot be brought back. The figures stay.")
        )
        delete = box.addButton(self.tr("Delete"), QMessageBox.ButtonRole.AcceptRole)
        box.setDefaultButton(box.addButton(QMessageBox.StandardButton.Cancel))
        delete.clicked.connect(self.delete_requested)
        box.open()


class TextsView(QPlainTextEdit):
    """Prompt and answer of the chosen request; hidden without one."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setReadOnly(True)
        self.setObjectName("snippet")
        self.setFont(theme().font("secondary"))
        self.setMinimumHeight(_LOWEST)
        self.setMaximumHeight(_HEIGHT)
        self.setAccessibleName(self.tr("Prompt and answer"))
        self.hide()

    def show_texts(self, texts: RequestTexts) -> None:
        """Show them."""
        self.clear()
        cursor = self.textCursor()
        strong, plain = QTextCharFormat(), QTextCharFormat()
        strong.setFontWeight(QFont.Weight.DemiBold)
        answer = self.tr("Answer, cut like any longer text") if texts.is_cut else self.tr("Answer")
        cursor.insertText(self.tr("Prompt") + "\n", strong)
        cursor.insertText((texts.prompt or fmt.UNKNOWN) + "\n\n", plain)
        cursor.insertText(answer + "\n", strong)
        cursor.insertText(texts.answer or fmt.UNKNOWN, plain)
        self.moveCursor(QTextCursor.MoveOperation.Start)
        self.show()

    def show_note(self, note: str) -> None:
        """Say why there is no text; nothing hides the view."""
        self.setPlainText(note)
        self.setVisible(bool(note))
