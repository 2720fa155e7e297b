"""The row of the settings that clears unfinished files which no download owns."""

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QPushButton, QWidget

from app.gui import format as fmt
from app.gui.dialogs.setting_row import FormRow
from app.gui.models.subject import names
from app.wire.storage import Leftover


class LeftoversRow(FormRow):
    """Says how much there is and of what, and offers to remove it."""

    remove_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("", "", parent)
        self._label.setText(self.tr("Unfinished files"))
        self.button = QPushButton(self.tr("Remove"), self)
        self.button.setAutoDefault(False)
        self.button.clicked.connect(self._on_remove)
        self._say(self.tr("Looking for them…"))
        self.add_control(self.button)

    def show_found(self, found: Sequence[Leftover]) -> None:
        """Tell what was left by downloads that nobody goes on with."""
        if not found:
            self._say(self.tr("There are none: every unfinished file belongs to a download."))
            return
        size = fmt.file_size(sum(item.size_bytes for item in found))
        text = self.tr("{size} of downloads that nobody goes on with: {models}.")
        self._say(text.format(size=size, models=names([item.id for item in found])))
        self.button.setEnabled(True)

    def show_error(self, message: str) -> None:
        """Say why they could not be looked at, or removed."""
        self._say(message)

    def _say(self, text: str) -> None:
        self._note.setText(text)
        self.button.setEnabled(False)
        self.button.setAccessibleDescription(text)

    def _on_remove(self) -> None:
        self.button.setEnabled(False)
        self.remove_requested.emit()
