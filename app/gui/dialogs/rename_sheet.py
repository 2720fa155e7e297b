"""The sheet in which a profile gets another name."""

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from app.gui.theme import theme

_WIDTH = 400
_LONGEST = 80


class RenameSheet(QDialog):
    """Asks for a name that no other profile has.

    `submitted` hands it out; the owner then accepts the sheet, or calls `show_error`.
    """

    submitted = Signal(object)  # str

    def __init__(self, name: str, taken: set[str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._name = name
        self._taken = taken
        self.setWindowTitle(self.tr("Rename profile"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        label = QLabel(self.tr("Name"), self)
        label.setFont(theme().font("name"))
        self.field = QLineEdit(name, self)
        self.field.setMaxLength(_LONGEST)
        self.field.setAccessibleName(self.tr("Name"))
        self.field.selectAll()
        self.field.textChanged.connect(self._check)
        self.note = QLabel(self)
        self.note.setWordWrap(True)
        self.note.setFont(theme().font("secondary"))
        cancel = QPushButton(self.tr("Cancel"), self)
        cancel.setAutoDefault(False)
        cancel.clicked.connect(self.reject)
        self.button = QPushButton(self.tr("Rename"), self)
        self.button.setProperty("kind", "primary")
        self.button.setDefault(True)
        self.button.clicked.connect(self._on_rename)
        foot = QHBoxLayout()
        foot.setSpacing(8)
        foot.addStretch()
        foot.addWidget(cancel)
        foot.addWidget(self.button)
        column = QVBoxLayout(self)
        column.setContentsMargins(20, 18, 20, 18)
        column.setSpacing(8)
        for widget in (label, self.field, self.note):
            column.addWidget(widget)
        column.addSpacing(8)
        column.addLayout(foot)
        self.setFixedWidth(_WIDTH)
        self._check()

    def show_error(self, message: str) -> None:
        """Say why the name was not taken, and let the user correct it."""
        self._say(message, is_bad=True)
        self.button.setEnabled(True)

    def _check(self) -> None:
        name = self.field.text().strip()
        is_taken = name.casefold() in self._taken
        if is_taken:
            self._say(self.tr("There is already a profile of this name."), is_bad=True)
        else:
            self._say(self.tr("Programs that ask for the old name must use the new one."))
        self.button.setEnabled(bool(name) and not is_taken and name != self._name)

    def _say(self, text: str, *, is_bad: bool = False) -> None:
        self.note.setText(text)
        self.note.setObjectName("settingError" if is_bad else "settingHelp")
        self.note.style().unpolish(self.note)
        self.note.style().polish(self.note)

    def _on_rename(self) -> None:
        self.button.setEnabled(False)
        self.submitted.emit(self.field.text().strip())
