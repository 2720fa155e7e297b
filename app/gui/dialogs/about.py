"""What this program is, in which version, and what it is built with."""

from typing import Final

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QFontDatabase, QPainter, QPaintEvent, QPixmap
from PySide6.QtWidgets import (
    QDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from app import __version__, paths
from app.gui.theme import theme

_BADGE: Final = 72
_MARGIN: Final = 22
"""Of 256; what is around the drawing, which is its shadow."""
CREDITS: Final = (
    ("Qt and PySide6", "LGPL 3", ("PySide6-Essentials",)),
    ("pyqtgraph", "MIT", ("pyqtgraph",)),
    ("NumPy", "BSD", ("numpy",)),
    ("MLX and mlx-lm", "MIT", ("mlx", "mlx-lm")),
    ("Transformers and Tokenizers", "Apache 2", ("transformers", "tokenizers")),
    ("huggingface_hub", "Apache 2", ("huggingface_hub",)),
    ("Starlette and Uvicorn", "BSD", ("starlette", "uvicorn")),
    ("h11", "MIT", ("h11",)),
    ("uvloop", "MIT and Apache 2", ("uvloop",)),
    ("HTTPX2 and msgspec", "BSD", ("httpx2", "msgspec")),
    ("psutil", "BSD", ("psutil",)),
    ("zeroconf", "LGPL 2.1", ("zeroconf",)),
    ("keyring, platformdirs, TOML Kit", "MIT", ("keyring", "platformdirs", "tomlkit")),
    ("Lucide icons", "ISC and MIT", ()),
)
"""What the program is built with, its licence, and the packages that this stands for."""


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
        layout.addLayout(self._make_buttons())

    def _make_buttons(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addStretch()
        # A program that runs from its source brings nothing of others.
        if licences():
            texts = QPushButton(self.tr("Licences…"), self)
            texts.setAutoDefault(False)
            texts.clicked.connect(self._show_licences)
            row.addWidget(texts)
        close = QPushButton(self.tr("Close"), self)
        close.setDefault(True)
        close.clicked.connect(self.close)
        close.setFocus()
        row.addWidget(close)
        row.addStretch()
        return row

    def _show_licences(self) -> None:
        view = LicencesView(licences(), self)
        view.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        view.open()

    def _make_credits(self) -> QGridLayout:
        grid = QGridLayout()
        grid.setVerticalSpacing(5)
        for row, (what, licence, _packages) in enumerate(CREDITS):
            for column, text in enumerate((what, licence)):
                label = QLabel(text, self)
                label.setFont(theme().font("secondary"))
                label.setObjectName("aboutSecondary")
                right = Qt.AlignmentFlag.AlignRight
                grid.addWidget(label, row, column, right if column else Qt.AlignmentFlag.AlignLeft)
        return grid


class Badge(QWidget):
    """The icon of the app."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFixedSize(_BADGE, _BADGE)
        self._picture = QPixmap(str(paths.resources() / "icons/app/256.png"))

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        # The drawing has a margin, as icons of macOS have; here it stands without.
        source = QRectF(self._picture.rect()).adjusted(_MARGIN, _MARGIN, -_MARGIN, -_MARGIN)
        painter.drawPixmap(QRectF(self.rect()), self._picture, source)


class LicencesView(QDialog):
    """The licences of everything that the program brings along, to be read and copied."""

    def __init__(self, text: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Licences"))
        self.resize(720, 560)
        view = QPlainTextEdit(text, self)
        view.setReadOnly(True)
        view.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        view.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        view.setAccessibleName(self.windowTitle())
        close = QPushButton(self.tr("Close"), self)
        close.setDefault(True)
        close.clicked.connect(self.close)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(20, 20, 20, 20)
        layout.setSpacing(16)
        layout.addWidget(view, 1)
        layout.addWidget(close, 0, Qt.AlignmentFlag.AlignRight)


def licences() -> str:
    """Return the licences of what this program brings; empty for one that runs from its source."""
    try:
        return (paths.resources() / "licences.txt").read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
