"""Diagnostics: a report without keys and names, to read, copy and save before it is passed on."""

from pathlib import Path

from PySide6.QtCore import QSize, QTimer, Signal
from PySide6.QtGui import QFontDatabase
from PySide6.QtWidgets import (
    QApplication,
    QDialog,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from app.gui.theme import theme
from app.gui.widgets.button_icon import set_button_icon

_SIZE = QSize(760, 560)
_FONT_PIXELS = 12
_COPIED_MS = 2000
_NAME = "mlx-model-manager-report.txt"


class ReportDialog(QDialog):
    """Shows a report once `set_text` has brought it; makes none itself."""

    save_failed = Signal(object)  # str, a sentence

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Diagnostics"))
        self.resize(_SIZE)
        title = QLabel(self.tr("A report for whoever helps you"), self)
        title.setFont(theme().font("tile"))
        text = QLabel(
            self.tr(
                "Versions, checks, settings, figures and the last log lines. Keys, tokens, "
                "addresses and names are removed, and so are prompts and answers. Nothing is sent."
            ),
            self,
        )
        text.setObjectName("emptyText")
        text.setWordWrap(True)
        self.view = QPlainTextEdit(self)
        self.view.setObjectName("logText")
        self.view.setReadOnly(True)
        self.view.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.view.setPlaceholderText(self.tr("Looking at this installation…"))
        self.view.setAccessibleName(self.tr("Report"))
        font = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
        font.setPixelSize(_FONT_PIXELS)
        self.view.setFont(font)
        self._copy = QPushButton(self.tr("Copy"), self)
        self._copy.clicked.connect(self._on_copy)
        set_button_icon(self._copy, "copy", theme().tokens.tx)
        self._save = QPushButton(self.tr("Save…"), self)
        self._save.clicked.connect(self._on_save)
        for button in (self._copy, self._save):
            button.setAutoDefault(False)
            button.setEnabled(False)
        close = QPushButton(self.tr("Close"), self)
        close.setDefault(True)
        close.clicked.connect(self.close)
        foot = QHBoxLayout()
        foot.setSpacing(8)
        foot.addStretch(1)
        for button in (self._copy, self._save, close):
            foot.addWidget(button)
        column = QVBoxLayout(self)
        column.setContentsMargins(20, 18, 20, 16)
        column.setSpacing(8)
        column.addWidget(title)
        column.addWidget(text)
        column.addSpacing(4)
        column.addWidget(self.view, 1)
        column.addSpacing(4)
        column.addLayout(foot)

    def set_text(self, text: str) -> None:
        """Show the report."""
        self.view.setPlainText(text)
        self._copy.setEnabled(True)
        self._save.setEnabled(True)

    def _on_copy(self) -> None:
        QApplication.clipboard().setText(self.view.toPlainText())
        self._copy.setText(self.tr("Copied"))
        QTimer.singleShot(_COPIED_MS, self, lambda: self._copy.setText(self.tr("Copy")))

    def _on_save(self) -> None:
        start = str(Path.home() / _NAME)
        path, _ = QFileDialog.getSaveFileName(self, self.tr("Save report"), start)
        if path:
            self.save_to(path)

    def save_to(self, path: str) -> None:
        """Write the report into a file; trouble is told by `save_failed`."""
        try:
            Path(path).write_text(self.view.toPlainText(), encoding="utf-8")
        except OSError as error:
            self.save_failed.emit(
                self.tr("{0} could not be written: {1}.").format(path, error.strerror or error)
            )
