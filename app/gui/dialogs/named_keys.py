"""The named API keys of an engine: a card of the settings, and the sheet that shows a new key."""

import time
from collections.abc import Sequence
from functools import partial

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QFontDatabase
from PySide6.QtWidgets import (
    QApplication,
    QDialog,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from app.gui import format  # noqa: A004 - the project's module of number formats
from app.gui.dialogs.setting_row import FormRow
from app.gui.theme import theme
from app.gui.widgets.button_icon import set_button_icon
from app.wire.keys import MAX_NAME, NamedKey, NewKey

_WIDTH = 480
_COPIED_MS = 2000
_FIELD_PAD = 28
"""What a text field needs around its text, its frame included."""


class NamedKeysCard(QWidget):
    """Lists the keys and says what the user wants with them; it asks no engine itself."""

    create_requested = Signal(object)  # str, a name
    revoke_requested = Signal(object)  # NamedKey
    resized = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        heading = QLabel(self.tr("Keys that programs send"), self)
        heading.setFont(theme().font("name"))
        heading.setContentsMargins(2, 0, 0, 0)
        card = QFrame(self)
        card.setObjectName("settingsCard")
        self._keys: tuple[NamedKey, ...] | None = None
        self._name = QLineEdit(self)
        self._name.setMaxLength(MAX_NAME)
        example = self.tr("Name, such as Editor")
        self._name.setFixedWidth(self._name.fontMetrics().horizontalAdvance(example) + _FIELD_PAD)
        self._name.setPlaceholderText(example)
        self._name.setAccessibleName(self.tr("Name of the new key"))
        self._name.returnPressed.connect(self._create)
        self._name.textChanged.connect(self._refresh_button)
        self._make = QPushButton(self.tr("Make key"), self)
        self._make.setAutoDefault(False)
        self._make.clicked.connect(self._create)
        self._head = FormRow(
            self.tr("New key"),
            self.tr("One for each program or person, so that each can be revoked on its own."),
            self,
        )
        self._head.add_control(self._name)
        self._head.add_control(self._make)
        self._rows = QVBoxLayout()
        self._rows.setSpacing(0)
        self._column = QVBoxLayout(card)
        self._column.setContentsMargins(0, 2, 0, 2)
        self._column.setSpacing(0)
        self._column.addWidget(self._head)
        self._column.addLayout(self._rows)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(6)
        outer.addWidget(heading)
        outer.addWidget(card)
        self.set_keys(())
        self._refresh_button()

    def put_first(self, row: QWidget) -> None:
        """Let a row about all keys head them."""
        self._column.insertWidget(0, row)
        self._column.insertWidget(1, _line(self))

    def set_keys(self, keys: Sequence[NamedKey]) -> None:
        """Show these keys."""
        if tuple(keys) == self._keys:
            return
        self._keys = tuple(keys)
        while (item := self._rows.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        for key in keys:
            self._rows.addWidget(_line(self))
            self._rows.addWidget(self._row(key))
        self.resized.emit()

    def show_error(self, message: str) -> None:
        """Say why the last wish did not come true; an empty message takes it back."""
        self._head.show_error(message)
        self.resized.emit()

    def clear_name(self) -> None:
        """Empty the field: the key was made."""
        self._name.clear()
        self.show_error("")

    def _row(self, key: NamedKey) -> FormRow:
        now = time.time()
        made = format.ago(now - key.created_at)
        used = format.ago(now - key.last_used_at) if key.last_used_at else ""
        note = self.tr("Made {0} · last used {1}") if used else self.tr("Made {0} · not used yet")
        row = FormRow(key.name, note.format(made, used), self)
        button = QPushButton(self.tr("Revoke…"), row)
        button.setAutoDefault(False)
        button.setAccessibleName(self.tr("Revoke the key {0}").format(key.name))
        button.clicked.connect(partial(self._on_revoke_clicked, key))
        row.add_control(button)
        return row

    def _on_revoke_clicked(self, key: NamedKey) -> None:
        self.revoke_requested.emit(key)

    def _create(self) -> None:
        if name := self._name.text().strip():
            self.create_requested.emit(name)

    def _refresh_button(self) -> None:
        self._make.setEnabled(bool(self._name.text().strip()))


def _line(parent: QWidget) -> QFrame:
    line = QFrame(parent)
    line.setObjectName("settingsLine")
    line.setFixedHeight(1)
    return line


class NewKeySheet(QDialog):
    """Shows a key once, to be copied."""

    def __init__(self, made: NewKey, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("New key"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setModal(True)
        self.setFixedWidth(_WIDTH)
        title = QLabel(self.tr("The key “{0}” is ready").format(made.key.name), self)
        title.setFont(theme().font("tile"))
        text = QLabel(
            self.tr(
                "Copy it now: only its fingerprint is kept, so it cannot be shown again. Programs "
                "send it as “Authorization: Bearer …”; most call it the API key."
            ),
            self,
        )
        text.setObjectName("emptyText")
        text.setWordWrap(True)
        self.secret = QLineEdit(made.secret, self)
        self.secret.setReadOnly(True)
        self.secret.setAccessibleName(self.tr("The new key"))
        font = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
        font.setPixelSize(12)
        self.secret.setFont(font)
        self.secret.setCursorPosition(0)
        self._copy = QPushButton(self.tr("Copy"), self)
        self._copy.setProperty("kind", "primary")
        self._copy.clicked.connect(self._on_copy)
        set_button_icon(self._copy, "copy", theme().tokens.on_fill)
        done = QPushButton(self.tr("Done"), self)
        done.clicked.connect(self.accept)
        line = QHBoxLayout()
        line.setSpacing(8)
        line.addWidget(self.secret, 1)
        line.addWidget(self._copy)
        foot = QHBoxLayout()
        foot.addStretch(1)
        foot.addWidget(done)
        column = QVBoxLayout(self)
        column.setContentsMargins(24, 22, 24, 20)
        column.setSpacing(10)
        column.addWidget(title)
        column.addWidget(text)
        column.addSpacing(4)
        column.addLayout(line)
        column.addSpacing(8)
        column.addLayout(foot)
        self._copy.setDefault(True)
        self._copy.setFocus()

    def _on_copy(self) -> None:
        QApplication.clipboard().setText(self.secret.text())
        self._copy.setText(self.tr("Copied"))
        QTimer.singleShot(_COPIED_MS, self, lambda: self._copy.setText(self.tr("Copy")))
