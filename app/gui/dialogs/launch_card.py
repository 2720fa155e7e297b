"""What a profile would start, at the end of its form: the Python, and the command to copy."""

from PySide6.QtCore import Qt
from PySide6.QtGui import QFontDatabase, QFontMetrics, QGuiApplication
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from app.gui.theme import theme
from app.gui.widgets.button_icon import set_button_icon
from app.wire.portable import LaunchPreview

_PAD = 16
_LINES = 7
_MONO_PX = 12


class LaunchCard(QFrame):
    """Shows the engine's answer about a draft; empty until there is one."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("settingsCard")
        self.facts_label = QLabel(self)
        self.facts_label.setObjectName("settingHelp")
        self.facts_label.setFont(theme().font("secondary"))
        self.facts_label.setWordWrap(True)
        self.facts_label.setTextFormat(Qt.TextFormat.PlainText)
        self.command_view = QPlainTextEdit(self)
        self.command_view.setObjectName("commandText")
        self.command_view.setReadOnly(True)
        self.command_view.setTabChangesFocus(True)
        self.command_view.setAccessibleName(self.tr("Command line"))
        font = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
        font.setPixelSize(_MONO_PX)
        self.command_view.setFont(font)
        height = QFontMetrics(font).lineSpacing() * _LINES
        self.command_view.setFixedHeight(height + 18)
        self.copy_button = QPushButton(self.tr("Copy"), self)
        self.copy_button.setAutoDefault(False)
        self.copy_button.setAccessibleName(self.tr("Copy the command line"))
        self.copy_button.clicked.connect(self._copy)
        head = QHBoxLayout()
        head.setSpacing(12)
        head.addWidget(self.facts_label, 1)
        head.addWidget(self.copy_button, 0, Qt.AlignmentFlag.AlignTop)
        column = QVBoxLayout(self)
        column.setContentsMargins(_PAD, 12, _PAD, 14)
        column.setSpacing(10)
        column.addLayout(head)
        column.addWidget(self.command_view)
        self.show_preview(None)
        self.apply_theme()

    def show_preview(self, preview: LaunchPreview | None) -> None:
        """Show what would be started; None while nothing is known."""
        python = preview.python if preview is not None else None
        facts = python.text if python is not None else ""
        if python is not None and python.problem:
            facts = python.problem
        # A Python that was chosen is named, the built-in one only by what it has.
        if python is not None and python.path and not python.problem:
            facts = self.tr("{0}\n{1}").format(facts, python.path)
        self.facts_label.setText(facts or self.tr("Runs as soon as it has a model."))
        command = preview.command if preview is not None else ""
        if command != self.command_view.toPlainText():
            self.command_view.setPlainText(command)
        self.copy_button.setEnabled(bool(command))

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self.command_view.toPlainText())
        self.copy_button.setText(self.tr("Copied"))

    def apply_theme(self) -> None:
        """Take the colours of the theme that is in use now."""
        set_button_icon(self.copy_button, "copy", theme().tokens.tx2)
