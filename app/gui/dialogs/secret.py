"""A control for what may be set and forgotten, but is never shown."""

from typing import Final

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QInputDialog, QLabel, QLineEdit, QPushButton, QWidget

from app.gui.theme import theme

_GAP: Final = 8


class SecretControl(QWidget):
    """Whether it is stored, with Set and Forget."""

    given = Signal(object)  # str
    forgotten = Signal()

    def __init__(self, name: str, question: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._name = name
        self._question = question
        self._status = QLabel(self)
        self._status.setObjectName("settingHelp")
        self._status.setFont(theme().font("secondary"))
        self._set = QPushButton(self)
        self._set.setAccessibleName(self.tr("Set {0}").format(name))
        self._set.clicked.connect(self._ask)
        self._forget = QPushButton(self.tr("Forget"), self)
        self._forget.setAccessibleName(self.tr("Forget {0}").format(name))
        self._forget.clicked.connect(self.forgotten)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(_GAP)
        row.addWidget(self._status)
        for button in (self._set, self._forget):
            button.setAutoDefault(False)
            row.addWidget(button)
        self.set_stored(is_stored=False)

    def set_stored(self, *, is_stored: bool) -> None:
        """Tell whether it is stored."""
        self._status.setText(self.tr("Stored") if is_stored else self.tr("Not set"))
        self._set.setText(self.tr("Change…") if is_stored else self.tr("Set…"))
        self._forget.setVisible(is_stored)

    def _ask(self) -> None:
        dialog = QInputDialog(self.window())
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setWindowTitle(self._name)
        dialog.setLabelText(self._question)
        dialog.setTextEchoMode(QLineEdit.EchoMode.Password)
        dialog.textValueSelected.connect(self._take)
        dialog.open()

    def _take(self, text: str) -> None:
        if text.strip():
            self.given.emit(text.strip())
