"""Icons for buttons with text, with the space to the text that the style leaves out."""

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QIcon, QPainter, QPixmap
from PySide6.QtWidgets import QPushButton

from app.gui.widgets import icons

_SPACE = 3
"""Fusion puts 4 pixels between icon and text; 7 look right at 13-pixel text."""
_BOX = 14
_SIZES = {"square": 10, "play": 12}
"""Filled shapes look bigger than outlines."""


def set_button_icon(button: QPushButton, name: str, colour: str) -> None:
    """Show an icon before the button's text, centred in a box that is the same for all icons."""
    icon = QIcon()
    size = _SIZES.get(name, _BOX)
    for scale in (1.0, 2.0):
        canvas = QPixmap(QSize(round((_BOX + _SPACE) * scale), round(_BOX * scale)))
        canvas.setDevicePixelRatio(scale)
        canvas.fill(Qt.GlobalColor.transparent)
        painter = QPainter(canvas)
        inset = (_BOX - size) // 2
        painter.drawPixmap(inset, inset, icons.pixmap(name, colour, size, scale))
        painter.end()
        icon.addPixmap(canvas)
        # A disabled button dims its text; a washed-out picture beside it would look broken.
        icon.addPixmap(canvas, QIcon.Mode.Disabled)
    button.setIconSize(QSize(_BOX + _SPACE, _BOX))
    button.setIcon(icon)
