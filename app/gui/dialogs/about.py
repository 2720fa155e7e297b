"""What this program is, in which version, and what it is built with."""

from typing import Final

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QLinearGradient, QPainter, QPaintEvent
from PySide6.QtWidgets import QDialog, QGridLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from app import __version__
from app.gui.theme import theme
from app.gui.widgets import icons

_BADGE: Final = 72
_GLYPH: Final = 40
_CREDITS: Final = (
    ("Qt and PySide6", "LGPL 3"),
    ("pyqtgraph", "MIT"),
    ("NumPy", "BSD"),
    ("MLX and mlx-lm", "MIT"),
    ("huggingface_hub", "Apache 2"),
    ("Starlette and Uvicorn", "BSD"),
    ("HTTPX2 and msgspec", "BSD"),
    ("psutil", "BSD"),
    ("keyring, platformdirs, TOML Kit", "MIT"),
    ("Lucide icons", "ISC and MIT"),
)
"""What the program is built with, and its licence."""


class AboutDialog(QDialog):
    """Name, version, one sentence and the credits."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("about")
        self.setWindowTitle(self.tr("About MLX Model Manager"))
        self.setFixedWidth(380)
        centre = Qt.AlignmentFlag.AlignHCenter
        name = QLabel("MLX Model Manager", self)
        name.setFont(theme().font("page"))
        version = QLabel(self.tr("Version {0}").format(__version__), self)
        version.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        version.setFont(theme().font("secondary"))
        version.setObjectName("aboutSecondary")
        sentence = QLabel(self.tr("Find, download and serve local language models."), self)
        close = QPushButton(self.tr("Close"), self)
        close.setDefault(True)
        close.clicked.connect(self.close)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(28, 24, 28, 20)
        layout.setSpacing(0)
        layout.addWidget(Badge(self), 0, centre)
        layout.addSpacing(12)
        layout.addWidget(name, 0, centre)
        layout.addSpacing(2)
        layout.addWidget(version, 0, centre)
        layout.addSpacing(10)
        layout.addWidget(sentence, 0, centre)
        layout.addSpacing(18)
        layout.addLayout(self._make_credits())
        layout.addSpacing(20)
        layout.addWidget(close, 0, centre)

    def _make_credits(self) -> QGridLayout:
        grid = QGridLayout()
        grid.setVerticalSpacing(5)
        for row, (what, licence) in enumerate(_CREDITS):
            for column, text in enumerate((what, licence)):
                label = QLabel(text, self)
                label.setFont(theme().font("secondary"))
                label.setObjectName("aboutSecondary")
                right = Qt.AlignmentFlag.AlignRight
                grid.addWidget(label, row, column, right if column else Qt.AlignmentFlag.AlignLeft)
        return grid


class Badge(QWidget):
    """The sign of the app."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFixedSize(_BADGE, _BADGE)
        theme().changed.connect(self.update)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        shade = QLinearGradient(0, 0, 0, _BADGE)
        shade.setColorAt(0, theme().color("memory"))
        shade.setColorAt(1, theme().color("fill_press"))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(shade)
        painter.drawRoundedRect(QRectF(self.rect()), 16, 16)
        colour = theme().tokens.on_fill
        picture = icons.pixmap("boxes", colour, _GLYPH, self.devicePixelRatioF())
        inset = (_BADGE - _GLYPH) // 2
        painter.drawPixmap(inset, inset, picture)
