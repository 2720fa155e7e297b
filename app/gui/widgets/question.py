"""A question with one or two ways to go on, and Cancel."""

from PySide6.QtCore import QCoreApplication
from PySide6.QtWidgets import QMessageBox, QPushButton, QWidget

from app.gui.theme import theme
from app.gui.widgets import icons

_ICON = 32


class Question(QMessageBox):
    """Looks the same for everything that the window asks before it ends or loses something."""

    def __init__(self, window: QWidget, title: str, icon: str) -> None:
        super().__init__(window)
        self.setWindowTitle(title)
        scale = window.devicePixelRatioF()
        self.setIconPixmap(icons.pixmap(icon, theme().tokens.acc, _ICON, scale))

    def ask(self, agree: str, *, is_default: bool = True, is_danger: bool = False) -> bool:
        """Show the question and return whether the user agreed. Enter agrees if it is default.

        is_danger: it cannot be undone; Enter never agrees to that.
        """
        return self.choose(agree, is_default=is_default, is_danger=is_danger) == agree

    def choose(
        self, first: str, second: str = "", *, is_default: bool = True, is_danger: bool = False
    ) -> str:
        """Show the question with these buttons and return the pressed one's text, "" for Cancel."""
        self.offer(first, second, is_default=is_default, is_danger=is_danger)
        self.exec()
        self.deleteLater()
        pressed = self.clickedButton()
        return "" if pressed is self.escapeButton() else pressed.text()

    def offer(
        self, first: str, second: str = "", *, is_default: bool = True, is_danger: bool = False
    ) -> QPushButton:
        """Add these buttons and Cancel, and return the first."""
        # Texts of our own: standard buttons bring pictures of another style.
        button = self.addButton(first, QMessageBox.ButtonRole.AcceptRole)
        button.setProperty("kind", "danger" if is_danger else "primary")
        button.style().unpolish(button)
        button.style().polish(button)
        if second:
            self.addButton(second, QMessageBox.ButtonRole.DestructiveRole)
        text = QCoreApplication.translate("questions", "Cancel")
        cancel = self.addButton(text, QMessageBox.ButtonRole.RejectRole)
        self.setDefaultButton(button if is_default and not is_danger else cancel)
        self.setEscapeButton(cancel)
        if (layout := self.layout()) is not None:
            layout.setContentsMargins(22, 20, 20, 18)
        return button
