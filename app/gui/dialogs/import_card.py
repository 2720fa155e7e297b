"""One profile of an import: what it is, how it differs, and what it must be allowed."""

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QCheckBox, QFrame, QGridLayout, QHBoxLayout, QLabel, QVBoxLayout
from PySide6.QtWidgets import QWidget as Widget

from app.gui.theme import theme
from app.gui.widgets import icons
from app.gui.widgets.elided_label import ElidedLabel
from app.wire.portable import CONSENT_TEXT, Consent, ImportEntry, ImportValue

_PAD = 16
_INDENT = 24
"""Text stands below the name, not below its tick."""
_ICON = 14


class ImportCard(QFrame):
    """A tick for the profile, and one for everything of it that needs consent."""

    changed = Signal()

    def __init__(
        self, entry: ImportEntry, parent: Widget | None = None, *, has_model: bool
    ) -> None:
        super().__init__(parent)
        self.entry = entry
        self.setObjectName("settingsCard")
        self.tick = QCheckBox(entry.name.replace("&", "&&"), self)
        self.tick.setFont(theme().font("name"))
        self.consents: dict[str, QCheckBox] = {}
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(_PAD, 12, _PAD, 14)
        self._column.setSpacing(4)
        self._column.addWidget(self.tick)
        body = self._indented()
        if entry.name != entry.original_name:
            text = self.tr("“{0}” is taken here, so it gets this name.")
            body.addWidget(self._note(text.format(entry.original_name)))
        if entry.model:
            body.addWidget(self._model(has_model=has_model))
        if entry.problem:
            body.addWidget(self._note(entry.problem, name="settingError"))
        plain = [value for value in entry.values if value.consent is None]
        if plain:
            body.addSpacing(6)
            body.addLayout(self._table(plain))
        for sentence in entry.notes:
            body.addWidget(self._note(sentence))
        for value in entry.values:
            if value.consent is not None:
                self._add_consent(value)
        self.tick.setChecked(not entry.problem and not self._model_key())
        self.tick.setEnabled(not entry.problem)
        self.tick.toggled.connect(self._on_toggled)
        self._on_toggled()

    @property
    def can_be_chosen(self) -> bool:
        """True unless the profile cannot be imported at all."""
        return not self.entry.problem

    @property
    def is_chosen(self) -> bool:
        """True while it is to be imported."""
        return self.tick.isChecked() and self.can_be_chosen

    def allowed(self) -> list[str]:
        """Return the keys of what the user has allowed."""
        return [key for key, box in self.consents.items() if box.isChecked()]

    def _model_key(self) -> str:
        """Return the key of the consent without which there is no model, if it is asked for."""
        key = f"{self.entry.number}.model"
        return key if key in self.consents else ""

    def _on_toggled(self) -> None:
        for box in self.consents.values():
            box.setEnabled(self.can_be_chosen)
        if (key := self._model_key()) and self.tick.isChecked():
            # Without its folder it would have no model; ticking the profile asks for both.
            self.consents[key].setChecked(True)
        self.changed.emit()

    def _on_consent(self) -> None:
        key = self._model_key()
        if key and not self.consents[key].isChecked():
            self.tick.setChecked(False)
        self.changed.emit()

    def _indented(self) -> QVBoxLayout:
        body = QVBoxLayout()
        body.setContentsMargins(_INDENT, 0, 0, 0)
        body.setSpacing(3)
        self._column.addLayout(body)
        return body

    def _model(self, *, has_model: bool) -> Widget:
        label = ElidedLabel(
            theme().font("secondary"), elide=Qt.TextElideMode.ElideMiddle, parent=self
        )
        text = self.entry.model
        if not has_model and not self._is_folder():
            text = self.tr("{0} · not on this disk yet").format(text)
        label.setText(text)
        label.set_colour(theme().color("tx2"))
        return label

    def _is_folder(self) -> bool:
        return any(value.key.endswith(".model") for value in self.entry.values)

    def _note(self, text: str, *, name: str = "settingHelp") -> QLabel:
        label = QLabel(text, self)
        label.setObjectName(name)
        label.setWordWrap(True)
        label.setTextFormat(Qt.TextFormat.PlainText)
        label.setFont(theme().font("secondary"))
        return label

    def _table(self, values: list[ImportValue]) -> QGridLayout:
        grid = QGridLayout()
        grid.setHorizontalSpacing(16)
        grid.setVerticalSpacing(2)
        grid.setColumnStretch(1, 1)
        for row, value in enumerate(values):
            label = self._note(value.label)
            label.setWordWrap(False)
            text = ElidedLabel(
                theme().font("secondary_strong"), elide=Qt.TextElideMode.ElideMiddle, parent=self
            )
            text.setText(" ".join(value.value.split()))
            text.set_colour(theme().color("tx"))
            usual = self._note(self.tr("default {0}").format(value.default))
            usual.setWordWrap(False)
            grid.addWidget(label, row, 0)
            grid.addWidget(text, row, 1)
            grid.addWidget(usual, row, 2, Qt.AlignmentFlag.AlignRight)
        return grid

    def _add_consent(self, value: ImportValue) -> None:
        if value.consent is None:
            return
        frame = QFrame(self)
        frame.setObjectName("importConsent")
        box = QCheckBox(self.tr("Allow: {0}").format(value.label), frame)
        box.setFont(theme().font("secondary_strong"))
        box.setAccessibleDescription(f"{value.value}. {CONSENT_TEXT[value.consent]}")
        box.toggled.connect(self._on_consent)
        mark = QLabel(frame)
        scale = max(2.0, self.devicePixelRatioF())
        mark.setPixmap(icons.pixmap("triangle-alert", theme().tokens.warn, _ICON, scale))
        column = QVBoxLayout()
        column.setSpacing(2)
        column.addWidget(box)
        below = QVBoxLayout()
        below.setContentsMargins(_INDENT, 0, 0, 0)
        below.setSpacing(2)
        if value.consent is not Consent.CODE:
            # That one is on or off, and here it is on.
            shown = ElidedLabel(
                theme().font("secondary"), elide=Qt.TextElideMode.ElideMiddle, parent=frame
            )
            shown.setText(" ".join(value.value.split()))
            shown.set_colour(theme().color("tx"))
            below.addWidget(shown)
        below.addWidget(self._note(CONSENT_TEXT[value.consent]))
        column.addLayout(below)
        row = QHBoxLayout(frame)
        row.setContentsMargins(12, 8, 12, 8)
        row.setSpacing(10)
        row.addLayout(column, 1)
        row.addWidget(mark, 0, Qt.AlignmentFlag.AlignTop)
        self.consents[value.key] = box
        self._column.addSpacing(6)
        self._column.addWidget(frame)
