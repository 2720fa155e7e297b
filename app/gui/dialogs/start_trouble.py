"""What is said before there is a window: the home cannot be used, or another window hangs."""

import os
from collections.abc import Sequence

from PySide6.QtCore import QCoreApplication, Qt
from PySide6.QtGui import QFontMetrics
from PySide6.QtWidgets import QMessageBox

from app import paths
from app.gui.format import whole_paths
from app.gui.theme import theme
from app.gui.widgets import icons

_ICON = 32
_WIDEST = 420
"""Of a path; a longer one loses its middle."""


def _tr(text: str) -> str:
    return QCoreApplication.translate("start_trouble", text)


def asks_again_for_home(error: OSError) -> bool:
    """Say that the home cannot be used; return True when it is to be tried again, False to quit."""
    metrics = QFontMetrics(theme().font("body"))
    home = metrics.elidedText(str(paths.home()), Qt.TextElideMode.ElideMiddle, _WIDEST)
    # A path is read as one word.
    home = whole_paths(home.replace(" ", "\u00a0"))
    reason = error.strerror or str(error)
    todo = _tr("Connect its disk, or make the folder writable for you, and try again.")
    if os.environ.get("MLX_MANAGER_HOME"):
        todo = f"{todo} {_tr('MLX_MANAGER_HOME may name another folder.')}"
    text = _tr("MLX Model Manager cannot use its folder")
    detail = _tr("Profiles, settings and logs are kept here:\n{0}\n{1}.").format(home, reason)
    return _ask(text, f"{detail}\n\n{todo}", [_tr("Try again"), _tr("Quit")]) == 0


def ask_about_silent_window(*, can_end: bool) -> str:
    """Say that the window that is open hangs; return `again`, `end` or `quit`."""
    answers = ["again", "quit"]
    labels = [_tr("Try again"), _tr("Quit")]
    text = _tr("MLX Model Manager is open but does not answer")
    detail = _tr("It may be busy, or it hangs.")
    if can_end:
        ending = _tr("To end it stops the servers that it has started; nothing saved is lost.")
        detail = f"{detail} {ending}"
        answers.insert(1, "end")
        labels.insert(1, _tr("End it and start anew"))
    return answers[_ask(text, detail, labels)]


def _ask(text: str, detail: str, labels: Sequence[str]) -> int:
    """Show a box with these buttons and return the number of the pressed one; the last is Esc."""
    theme().refresh()
    box = QMessageBox()
    box.setWindowTitle("MLX Model Manager")
    scale = box.devicePixelRatioF()
    box.setIconPixmap(icons.pixmap("triangle-alert", theme().tokens.warn, _ICON, scale))
    box.setText(text)
    box.setInformativeText(detail)
    buttons = [box.addButton(label, QMessageBox.ButtonRole.ActionRole) for label in labels]
    buttons[0].setProperty("kind", "primary")
    buttons[0].style().unpolish(buttons[0])
    buttons[0].style().polish(buttons[0])
    box.setStyleSheet(
        "QLabel#qt_msgbox_label { font-weight: 600; }"
        f"QLabel#qt_msgbox_informativelabel {{ min-width: {_WIDEST}px; }}"
    )
    box.setDefaultButton(buttons[0])
    box.setEscapeButton(buttons[-1])
    if (layout := box.layout()) is not None:
        layout.setContentsMargins(22, 20, 20, 18)
    box.exec()
    pressed = box.clickedButton()
    box.deleteLater()
    return next(number for number, button in enumerate(buttons) if button is pressed)
