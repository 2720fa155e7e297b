"""One setting as a row: label, help, a control of its kind, and what is wrong with its value."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final, assert_never

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from app.gui.dialogs.secret import SecretControl
from app.gui.theme import theme
from app.gui.widgets.pop_up import PopUp
from app.gui.widgets.switch import RING, Switch
from app.wire.errors import AppError
from app.wire.settings import Setting, SettingKind, SettingState, SettingValue, parse_setting

_CHEVRON: Final = 14
_PAD: Final = 16
_NARROW, _WIDE = 132, 220
_OF_FOLDERS: Final = (SettingKind.PATH, SettingKind.FOLDERS)


class FormRow(QWidget):
    """Label and help on the left, a control on the right, an error below."""

    def __init__(self, label: str, help_text: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._label = QLabel(label, self)
        self._label.setFont(theme().font("body"))
        self._note = QLabel(help_text, self)
        self._note.setObjectName("settingHelp")
        self._error = QLabel(self)
        self._error.setObjectName("settingError")
        for text in (self._label, self._note, self._error):
            text.setTextFormat(Qt.TextFormat.PlainText)
            text.setWordWrap(True)
            # A wrapping label asks for the height of its preferred, not its real width: with a
            # policy that takes this as the least height the page would end in empty space.
            policy = QSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
            policy.setHeightForWidth(True)
            text.setSizePolicy(policy)
        for text in (self._note, self._error):
            text.setFont(theme().font("secondary"))
        self._error.hide()
        texts = QVBoxLayout()
        texts.setSpacing(3)
        for text in (self._label, self._note, self._error):
            texts.addWidget(text)
        self._controls = QHBoxLayout()
        self._controls.setSpacing(8)
        self._box = QHBoxLayout(self)
        self._box.setContentsMargins(_PAD, 12, _PAD, 12)
        self._box.setSpacing(24)
        self._box.addLayout(texts, 1)
        self._box.addLayout(self._controls)
        self._box.setAlignment(self._controls, Qt.AlignmentFlag.AlignVCenter)

    def add_control(self, control: QWidget) -> None:
        """Put a control at the right end; a screen reader hears label and help with it."""
        if not control.accessibleName():
            control.setAccessibleName(self._label.text())
        control.setAccessibleDescription(self._note.text())
        if isinstance(control, QComboBox) and (field := control.lineEdit()) is not None:
            # The keyboard is in this field, so a reader hears its name and not the box's.
            field.setAccessibleName(control.accessibleName())
            field.setAccessibleDescription(self._note.text())
        if isinstance(control, Switch):
            # Its focus ring hangs over the margin; the switch itself ends with the other controls.
            self._box.setContentsMargins(_PAD, 12, _PAD - RING, 12)
        self._controls.addWidget(control)

    def set_texts(self, label: str, help_text: str) -> None:
        """Say something else than at the start."""
        self._label.setText(label)
        self._note.setText(help_text)

    def show_error(self, message: str) -> None:
        """Say what is wrong; an empty message takes it back."""
        self._error.setText(message)
        self._error.setVisible(bool(message))


class SettingRow(FormRow):
    """A row of the settings table; reports what the user chose."""

    chosen = Signal(object)  # SettingValue

    def __init__(self, setting: Setting, parent: QWidget | None = None) -> None:
        super().__init__(setting.label, "", parent)
        self._setting = setting
        self._state = SettingState(setting.name, setting.default, "default")
        self._value = setting.default
        """What the user chose last; differs from the state until it is saved."""
        self._control = self._make_control()
        self.add_control(self._control)
        self._browse: QPushButton | None = None
        self._offered: QPushButton | None = None
        if setting.kind in _OF_FOLDERS:
            self._browse = QPushButton(self.tr("Choose…"), self)
            self._browse.setAutoDefault(False)
            self._browse.setAccessibleName(self.tr("Choose {0}").format(setting.label))
            self._browse.clicked.connect(self._choose_folder)
            self.add_control(self._browse)
        self._show_state()

    def offer(self, text: str, act: Callable[[], object]) -> None:
        """Put a button before the control, or with an empty text take it away."""
        if self._offered is not None:
            self._offered.deleteLater()
            self._offered = None
        if text:
            self._offered = QPushButton(text, self)
            self._offered.setAutoDefault(False)
            self._offered.clicked.connect(lambda: act())
            self._controls.insertWidget(0, self._offered)

    def set_state(self, state: SettingState) -> None:
        """Show a value, unless it is the known one and the user is correcting a refused one."""
        if state != self._state or not self._error.isVisibleTo(self):
            self._state = state
            self._show_state()

    def _make_control(self) -> QWidget:
        setting = self._setting
        match setting.kind:
            case SettingKind.BOOL:
                control = Switch(self)
                control.toggled.connect(self._choose)
            case SettingKind.CHOICE:
                control = PopUp(self)
                for value, label in setting.choices:
                    control.addItem(label, value)
                # As wide as its widest choice.
                control.setMinimumWidth(_NARROW)
                control.currentIndexChanged.connect(self._choose_item)
            case SettingKind.SECRET:
                question = self.tr("{0}:").format(setting.label)
                control = SecretControl(setting.label, question, self)
                control.given.connect(self.chosen)
                control.forgotten.connect(lambda: self.chosen.emit(""))
            case SettingKind.INT | SettingKind.TEXT | SettingKind.PATH | SettingKind.FOLDERS:
                control = QLineEdit(self)
                control.setFixedWidth(_WIDE if setting.kind in _OF_FOLDERS else _NARROW)
                control.editingFinished.connect(self._choose_text)
                if setting.kind is SettingKind.PATH:
                    control.setPlaceholderText(setting.when_empty or self.tr("Standard folder"))
                elif setting.kind is SettingKind.FOLDERS:
                    control.setPlaceholderText(self.tr("None"))
            case _:
                assert_never(setting.kind)
        return control

    def _show_state(self) -> None:
        control, value = self._control, self._state.value
        self._value = value
        with QSignalBlocker(control):
            match control:
                case Switch():
                    control.setChecked(bool(value))
                case SecretControl():
                    control.set_stored(is_stored=bool(value))
                case QComboBox():
                    control.setCurrentIndex(control.findData(value))
                case QLineEdit() if not (control.hasFocus() and control.isModified()):
                    control.setText(str(value))
                case _:
                    pass
        is_free = self._state.source not in ("environment", "flag")
        control.setEnabled(is_free)
        if self._browse is not None:
            self._browse.setEnabled(is_free)
        self._note.setText(self._note_text())
        control.setAccessibleDescription(self._note.text())
        self.show_error("")

    def _note_text(self) -> str:
        parts = [self._setting.help, self._state.note]
        match self._state.source:
            case "environment":
                parts.append(self.tr("Set by {0}.").format(self._setting.env))
            case "flag":
                parts.append(self.tr("Set by an option of the command line."))
            case _ if self._setting.needs_restart:
                parts.append(self.tr("Takes effect at the next start."))
            case _:
                pass
        return "\n".join(filter(None, parts))

    def _choose(self, value: SettingValue) -> None:
        self._value = value
        self.show_error("")
        self.chosen.emit(value)

    def _choose_item(self, index: int) -> None:
        if isinstance(self._control, QComboBox):
            self._choose(self._control.itemData(index))

    def _choose_text(self) -> None:
        # Also called when the field only loses the focus.
        if not isinstance(self._control, QLineEdit):
            return
        self._control.setModified(False)
        try:
            value = parse_setting(self._setting, self._control.text().strip())
        except AppError as error:
            self.show_error(str(error))
        else:
            if value != self._value:
                self._choose(value)
            else:
                self.show_error("")

    def _choose_folder(self) -> None:
        # Of several folders the last: one more is likely to be near it.
        start = str(self._state.value).rpartition(os.pathsep)[2] or str(Path.home())
        dialog = QFileDialog(self.window(), self._setting.label, start)
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setOption(QFileDialog.Option.ShowDirsOnly)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(self._use_folder)
        dialog.open()

    def _use_folder(self, folder: str) -> None:
        if isinstance(self._control, QLineEdit):
            known = self._control.text().strip().rstrip(os.pathsep)
            if self._setting.kind is SettingKind.FOLDERS and known:
                folder = f"{known}{os.pathsep}{folder}"
            self._control.setText(folder)
            self._choose_text()
