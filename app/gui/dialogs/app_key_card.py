"""The key that this app sends to an engine it did not start: a group of the settings."""

from PySide6.QtWidgets import QFrame, QLabel, QPushButton, QVBoxLayout, QWidget

from app.gui.dialogs.setting_row import FormRow
from app.gui.theme import theme


class AppKeyCard(QWidget):
    """Whether a key is stored for the engine in use. The key itself is not shown."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        heading = QLabel(self.tr("This app's own key"), self)
        heading.setFont(theme().font("name"))
        heading.setContentsMargins(2, 0, 0, 0)
        card = QFrame(self)
        card.setObjectName("settingsCard")
        self._row = FormRow("", "", card)
        self._status = QLabel(self._row)
        self._status.setObjectName("settingHelp")
        self._status.setFont(theme().font("secondary"))
        self.set_button = QPushButton(self.tr("Set…"), self._row)
        self.forget_button = QPushButton(self.tr("Forget"), self._row)
        for control in (self._status, self.set_button, self.forget_button):
            self._row.add_control(control)
        for button in (self.set_button, self.forget_button):
            button.setAutoDefault(False)
        inner = QVBoxLayout(card)
        inner.setContentsMargins(0, 2, 0, 2)
        inner.addWidget(self._row)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 16, 0, 0)
        column.setSpacing(6)
        column.addWidget(heading)
        column.addWidget(card)
        self.hide()

    def show_engine(self, name: str, *, is_stored: bool) -> None:
        """Name the engine and tell whether this app has a key for it."""
        title = self.tr("Key this app uses for {}").format(name)
        self._row.set_texts(
            title, self.tr("Sent only to that engine. Programs send one of the keys above.")
        )
        self._status.setText(self.tr("Stored") if is_stored else self.tr("Not stored"))
        self.set_button.setText(self.tr("Change…") if is_stored else self.tr("Set…"))
        self.set_button.setAccessibleName(title)
        self.forget_button.setAccessibleName(self.tr("Forget the key for {}").format(name))
        self.forget_button.setVisible(is_stored)
