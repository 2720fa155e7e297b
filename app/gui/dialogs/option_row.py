"""One option of a runtime as a row of the profile form: what is typed, checked as it is typed."""

import contextlib
import re
from pathlib import Path
from typing import Final

from PySide6.QtCore import QCoreApplication, Qt, Signal
from PySide6.QtWidgets import (
    QBoxLayout,
    QComboBox,
    QFileDialog,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QWidget,
)

from app.gui.dialogs.model_picker import ModelPicker
from app.gui.dialogs.setting_row import FormRow
from app.gui.widgets.pop_up import PopUp
from app.gui.widgets.switch import Switch
from app.wire.errors import AppError
from app.wire.options import (
    Option,
    OptionKind,
    OptionValue,
    check_option,
    expected,
    value_text,
)

_NUMBER_WIDTH: Final = 164
_TEXT_WIDTH: Final = 230
_LONG: Final = (OptionKind.PATH, OptionKind.MODEL)
"""Their fields need the whole width, and so do the texts above them."""
_GROUPING: Final = re.compile(r"(?<=\d)[,\s](?=\d{3}(?:\D|$))")
"""Between thousands, as people write them."""


def _tr(text: str) -> str:
    return QCoreApplication.translate("OptionRow", text)


def parse_option(option: Option, text: str) -> OptionValue | None:
    """Return the value that the user typed, None for an empty field.

    Raises ValueError with a sentence for the user.
    """
    text = text.strip()
    if not text:
        return None
    value: OptionValue = text
    with contextlib.suppress(ValueError):
        # What is no number stays text, which the check refuses.
        if option.kind is OptionKind.INT:
            value = int(_GROUPING.sub("", text))
        elif option.kind is OptionKind.FLOAT:
            value = float(text.replace(",", "."))
    try:
        return check_option(option, value)
    except AppError as error:
        raise ValueError(_tr("Enter {what}.").format(what=expected(option))) from error


def default_text(option: Option) -> str:
    """Return what a field says while the profile does not set the option."""
    if option.default is None:
        return _tr("Not set")
    value = f"{option.default:g}" if isinstance(option.default, float) else str(option.default)
    return _tr("Default: {value}").format(value=f"{value} {option.unit}".strip())


def detail_text(option: Option) -> str:
    """Return what counts by itself, what works, and why, as sentences."""
    parts: list[str] = []
    if option.default not in (None, "", "{}"):
        parts.append(_tr("Default: {0}.").format(value_text(option, None)))
    if option.minimum is not None and option.maximum is not None and not option.choices:
        low, high = (f"{limit:,.10g}" for limit in (option.minimum, option.maximum))
        parts.append(_tr("From {0} to {1}.").format(low, high))
    return " ".join([*parts, option.why]).strip()


class OptionRow(FormRow):
    """Label, help and a control of the option's kind; an empty control leaves the option out."""

    edited = Signal()

    def __init__(
        self, option: Option, value: OptionValue | None, parent: QWidget | None = None
    ) -> None:
        super().__init__(option.label, option.help, parent)
        self.option = option
        self._reason = ""
        self._is_detailed = False
        self.control = self._make_control(value)
        self.add_control(self.control)
        if option.kind in _LONG:
            self._box.setDirection(QBoxLayout.Direction.TopToBottom)
            self._box.setSpacing(8)
            self._box.setAlignment(self._controls, Qt.AlignmentFlag(0))
        self._browse: QPushButton | None = None
        if option.kind is OptionKind.PATH:
            self._browse = self._add_browse()
        self._show_note()

    def set_detailed(self, *, is_detailed: bool) -> None:
        """Say below the help, too, what works, what counts by itself, and why."""
        self._is_detailed = is_detailed
        self._show_note()

    def set_unavailable(self, reason: str) -> None:
        """Grey the option out and say why; an empty reason takes it back.

        A value that is set can still be taken out.
        """
        if reason == self._reason:
            return
        self._reason = reason
        is_free = not reason or self._is_set()
        self.control.setEnabled(is_free)
        if self._browse is not None:
            self._browse.setEnabled(is_free)
        self._show_note()

    def _is_set(self) -> bool:
        try:
            return self.value() is not None
        except ValueError:
            return True

    def _show_note(self) -> None:
        details = detail_text(self.option)
        lines = [self.option.help]
        if self._reason:
            lines.append(_tr("Not available: {0}").format(self._reason))
        elif self._is_detailed:
            lines.append(details)
        self._note.setText("\n".join(lines))
        self.setToolTip("" if self._is_detailed else details)
        self.control.setAccessibleDescription(f"{self.option.help} {details}")

    def _make_control(self, value: OptionValue | None) -> QWidget:
        option = self.option
        if option.kind is OptionKind.FLAG:
            switch = Switch(self)
            switch.setChecked(bool(option.default if value is None else value))
            switch.toggled.connect(self._on_edited)
            return switch
        if option.kind is OptionKind.CHOICE:
            choice = PopUp(self)
            choice.addItem(default_text(option), None)
            for name in option.choices:
                choice.addItem(name, name)
            choice.setCurrentIndex(max(0, choice.findData(value)))
            choice.setFixedWidth(_NUMBER_WIDTH)
            choice.currentIndexChanged.connect(self._on_edited)
            return choice
        if option.kind is OptionKind.MODEL:
            picker = ModelPicker(self)
            picker.write("" if value is None else str(value))
            picker.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
            picker.editTextChanged.connect(self._on_edited)
            return picker
        field = QLineEdit(self)
        field.setText("" if value is None else str(value))
        field.setCursorPosition(0)
        field.setPlaceholderText(default_text(option))
        is_short = option.kind in (OptionKind.INT, OptionKind.FLOAT, OptionKind.SIZE)
        if option.kind not in _LONG:
            field.setFixedWidth(_NUMBER_WIDTH if is_short else _TEXT_WIDTH)
        field.textChanged.connect(self._on_edited)
        return field

    def _add_browse(self) -> QPushButton:
        browse = QPushButton(self.tr("Choose…"), self)
        browse.setAutoDefault(False)
        browse.setAccessibleName(self.tr("Choose {0}").format(self.option.label))
        browse.clicked.connect(self._choose_folder)
        self.add_control(browse)
        return browse

    def _choose_folder(self) -> None:
        dialog = QFileDialog(self.window(), self.option.label, str(Path.home()))
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setOption(QFileDialog.Option.ShowDirsOnly)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        if isinstance(self.control, QLineEdit):
            dialog.fileSelected.connect(self.control.setText)
        dialog.open()

    def value(self) -> OptionValue | None:
        """Return what the profile is to hold, None to leave the option out. Raises ValueError."""
        match self.control:
            case Switch():
                is_on = self.control.isChecked()
                return None if is_on == bool(self.option.default) else is_on
            case ModelPicker():
                return self.control.currentText().strip() or None
            case QComboBox():
                data: object = self.control.currentData()
                return data if isinstance(data, str) else None
            case QLineEdit():
                return parse_option(self.option, self.control.text())
            case _:
                return None

    def check(self) -> bool:
        """Show what is wrong with the value at the field; return True when nothing is."""
        try:
            self.value()
        except ValueError as error:
            self.show_error(str(error))
            return False
        self.show_error("")
        return True

    def _on_edited(self) -> None:
        self.check()
        self.edited.emit()
