"""The dialog in which a profile is made or changed; its fields come from the option table."""

import contextlib
from collections.abc import Callable, Mapping

from PySide6.QtCore import QSize, Qt, QTimer, Signal
from PySide6.QtWidgets import (
    QDialog,
    QFrame,
    QLabel,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from app.gui.dialogs.fit_line import FitLine
from app.gui.dialogs.form_card import FormCard
from app.gui.dialogs.launch_card import LaunchCard
from app.gui.dialogs.model_picker import ModelPicker
from app.gui.dialogs.option_row import OptionRow
from app.gui.dialogs.setting_row import FormRow
from app.gui.models.profile_list import fault_text
from app.gui.theme import theme
from app.gui.widgets.button_icon import set_button_icon
from app.gui.widgets.question import Question
from app.gui.widgets.sheet_foot import sheet_foot
from app.wire.hub import Fit
from app.wire.nouns import Model, Profile, ProfileDraft
from app.wire.options import Option, OptionValue, RuntimeInfo
from app.wire.policy import POLICIES
from app.wire.portable import LaunchPreview

_SIZE = QSize(620, 660)
_FRAME = 32
"""Pixels for the title bar that some systems put above the dialog."""
_FIELD_WIDTH = 290
_SIDE = 20
_REST_MS = 250
"""After the last key, before the engine is asked about the draft."""
_Values = dict[str, OptionValue]
_Rows = dict[str, OptionRow]


class ProfileForm(QDialog):
    """Name, model and the runtime's options; an option that is left empty is not in the profile.

    `submitted` hands the draft out; the owner then accepts the dialog, or calls `show_error`.
    """

    submitted = Signal(object)  # ProfileDraft
    draft_changed = Signal(object)  # ProfileDraft, what is right of it, after a moment of rest
    model_chosen = Signal(object)  # str, a model on this disk

    def __init__(
        self,
        runtime: RuntimeInfo,
        profile: Profile | None,
        models: list[Model],
        fits: Mapping[str, Fit],
        parent: QWidget | None = None,
    ) -> None:
        """`fits`: whether models fit now, by their id, as far as it is known."""
        super().__init__(parent)
        self._runtime = runtime
        self._profile = profile
        self._models = {model.id: model for model in models}
        self._fits = fits
        self._options: dict[str, OptionValue] = dict(profile.options) if profile else {}
        self._policy: dict[str, OptionValue] = dict(profile.policy) if profile else {}
        self._groups: list[tuple[QLabel, FormCard]] = []
        self.rows: dict[str, OptionRow] = {}
        self.policy_rows: dict[str, OptionRow] = {}
        self._sought: QWidget | None = None
        self._told: set[str] = set()
        """Fields at which the engine's word about the draft is shown."""
        self._resting = QTimer(self)
        self._resting.setSingleShot(True)
        self._resting.setInterval(_REST_MS)
        self._resting.timeout.connect(self.ask)
        is_new = profile is None or not profile.id
        self.setWindowTitle(self.tr("New profile") if is_new else self.tr("Edit profile"))
        self._fit_in(parent)
        self.name_field = QLineEdit(self)
        self.model_field = ModelPicker(self)
        self.all_button = QPushButton(self)
        self.error_label = QLabel(self)
        self.cancel_button = QPushButton(self.tr("Cancel"), self)
        self.save_button = QPushButton(self.tr("Create") if is_new else self.tr("Save"), self)
        self._build()
        self._show_all(is_shown=False)
        if profile is not None and profile.fault is not None:
            self._refuse(profile)
        theme().changed.connect(self._apply_theme)
        self._apply_theme()
        self._unchanged = self._state()
        self.name_field.setFocus()

    def _fit_in(self, parent: QWidget | None) -> None:
        size = _SIZE
        if parent is not None:
            room = parent.window().size() - QSize(0, _FRAME)
            size = size.boundedTo(room)
        self.resize(size)

    def _refuse(self, profile: Profile) -> None:
        """Say that a file with a mistake is not overwritten from here."""
        text = self.tr("{trouble} Repair the file in a text editor; it cannot be changed here.")
        trouble = fault_text(profile)
        self.error_label.setText(text.format(trouble=f"{trouble}."))
        self._page.setEnabled(False)
        self.save_button.setEnabled(False)

    def _build(self) -> None:
        self._page = QWidget()
        self._page.setObjectName("profileFormPage")
        column = QVBoxLayout(self._page)
        column.setContentsMargins(_SIDE, 18, _SIDE, 18)
        column.setSpacing(6)
        column.addWidget(self._identity_card())
        self._add_groups(column, self._runtime.options, self._options, self.rows)
        self._add_groups(column, POLICIES, self._policy, self.policy_rows)
        self.all_button.setProperty("kind", "flat")
        self.all_button.setCheckable(True)
        self.all_button.setAutoDefault(False)
        self.all_button.toggled.connect(self._on_all_toggled)
        column.addSpacing(8)
        column.addWidget(self.all_button, 0, Qt.AlignmentFlag.AlignLeft)
        column.addWidget(self._heading(self.tr("Command line")))
        self.launch_card = LaunchCard(self._page)
        column.addWidget(self.launch_card)
        column.addStretch(1)
        self._scroll = QScrollArea(self)
        self._scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._scroll.setObjectName("profileFormScroll")
        self._scroll.setFrameShape(QFrame.Shape.NoFrame)
        self._scroll.setWidgetResizable(True)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._scroll.setWidget(self._page)
        self._scroll.verticalScrollBar().rangeChanged.connect(self._seek)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(0)
        whole.addWidget(self._scroll, 1)
        whole.addWidget(self._foot())

    def _identity_card(self) -> FormCard:
        card = FormCard(self)
        self._name_row = FormRow(self.tr("Name"), self.tr("How the app and clients call it."), card)
        self.name_field.setFixedWidth(_FIELD_WIDTH)
        self.name_field.setPlaceholderText(self.tr("for example Coding assistant"))
        self.name_field.textChanged.connect(self._on_name_edited)
        self._name_row.add_control(self.name_field)
        help_text = self.tr("A model on this disk, or its folder.")
        self._model_row = FormRow(self.tr("Model"), help_text, card)
        field = self.model_field
        field.setFixedWidth(_FIELD_WIDTH)
        field.offer(self._models.values(), self._fits)
        field.write(self._profile.model if self._profile else "")
        field.editTextChanged.connect(self._on_model_edited)
        self._model_row.add_control(field)
        self.name_field.setText(self._profile.name if self._profile else "")
        self.fit_line = FitLine(card)
        card.add(self._name_row)
        card.add(self._model_row)
        card.attach(self.fit_line)
        return card

    def _add_groups(
        self,
        column: QVBoxLayout,
        options: tuple[Option, ...],
        values: dict[str, OptionValue],
        rows: dict[str, OptionRow],
    ) -> None:
        cards: dict[str, FormCard] = {}
        for option in options:
            card = cards.get(option.group)
            if card is None:
                heading = self._heading(option.group)
                card = cards[option.group] = FormCard(self._page)
                self._groups.append((heading, card))
                column.addWidget(heading)
                column.addWidget(card)
            row = OptionRow(option, values.get(option.name), card)
            rows[option.name] = row
            row.set_unavailable(self._runtime.unsupported.get(option.name, ""))
            row.edited.connect(self._resting.start)
            if isinstance(row.control, ModelPicker):
                row.control.offer(self._models.values(), self._fits)
            card.add(row)

    def _heading(self, text: str) -> QLabel:
        heading = QLabel(text, self._page)
        heading.setFont(theme().font("name"))
        heading.setContentsMargins(2, 12, 0, 0)
        return heading

    def _foot(self) -> QWidget:
        self.save_button.clicked.connect(self._on_save)
        return sheet_foot(self, self.error_label, self.cancel_button, self.save_button)

    def _on_all_toggled(self) -> None:
        self._show_all(is_shown=self.all_button.isChecked())

    def _show_all(self, *, is_shown: bool) -> None:
        """Show every option, or the basic ones and those that the profile sets."""
        hidden = 0
        for rows, values in ((self.rows, self._options), (self.policy_rows, self._policy)):
            for name, row in rows.items():
                is_wanted = row.option.is_basic or name in values
                row.setVisible(is_shown or is_wanted)
                row.set_detailed(is_detailed=is_shown)
                hidden += not is_wanted
        for heading, card in self._groups:
            has_rows = card.draw_lines()
            heading.setVisible(has_rows)
            card.setVisible(has_rows)
        self.all_button.setVisible(hidden > 0)
        more = self.tr("All options ({count} more)").format(count=hidden)
        self.all_button.setText(self.tr("Fewer options") if is_shown else more)

    def _on_name_edited(self) -> None:
        self._name_row.show_error("")
        self.error_label.clear()
        self._resting.start()

    def _on_model_edited(self) -> None:
        self.model_field.setToolTip(self.model_field.currentText())
        self._model_row.show_error(self._model_problem())
        self.error_label.clear()
        self.fit_line.show_fit(None)
        self._resting.start()

    def _model_problem(self) -> str:
        model = self._models.get(self.model_field.currentText().strip())
        # What only the built-in Python cannot do is for the engine to say: it knows which is used.
        return model.problem or "" if model and not model.needs_python else ""

    def _faulty_control(self) -> QWidget | None:
        """Mark every field that is wrong; return the first one's control."""
        faulty: list[QWidget] = []
        if not self.name_field.text().strip():
            self._name_row.show_error(self.tr("Enter a name."))
            faulty.append(self.name_field)
        if not self.model_field.currentText().strip():
            self._model_row.show_error(self.tr("Choose a model."))
            faulty.append(self.model_field)
        rows = [*self.rows.values(), *self.policy_rows.values()]
        faulty += [row.control for row in rows if not row.check()]
        return faulty[0] if faulty else None

    def _on_save(self) -> None:
        faulty = self._faulty_control()
        if faulty is not None:
            self._go_to(faulty)
            return
        self.error_label.clear()
        self.save_button.setEnabled(False)
        self.submitted.emit(self.draft())

    def _state(self) -> ProfileDraft | None:
        """Return what stands in the form, None while a field is wrong."""
        try:
            return self.draft()
        except ValueError:
            return None

    def may_close(self) -> bool:
        """Return True when nothing was changed, or the user agrees to lose it."""
        if not self._page.isEnabled() or self._state() == self._unchanged:
            return True
        box = Question(self, self.windowTitle(), "pencil")
        box.setText(self.tr("Close without saving?"))
        box.setInformativeText(self.tr("What you have changed here is lost."))
        return box.ask(self.tr("Discard changes"))

    def reject(self) -> None:
        """Close the form by Cancel, Esc or its frame, unless the user wants to keep the input."""
        if self.may_close():
            super().reject()

    def show_field(self, name: str) -> None:
        """Bring the field of an option into sight, with the keyboard in it."""
        if name in self.rows:
            self._go_to(self.rows[name].control)

    def _go_to(self, control: QWidget) -> None:
        if not control.isVisibleTo(self):
            self.all_button.setChecked(True)
        control.setFocus()
        self._sought = control
        self._seek()

    def _seek(self) -> None:
        """Keep the field in sight that somebody was led to, while the page gets its height."""
        if self._sought is not None and self._sought is self.focusWidget():
            self._scroll.ensureWidgetVisible(self._sought, 0, 60)

    def draft(self) -> ProfileDraft:
        """Return the profile as it stands in the form. Raises ValueError while a field is wrong."""
        return self._draft(_values)

    def _draft(self, read: Callable[[_Values, _Rows], _Values]) -> ProfileDraft:
        return ProfileDraft(
            name=self.name_field.text().strip(),
            model=self.model_field.currentText().strip(),
            runtime=self._runtime.id,
            options=read(self._options, self.rows),
            policy=read(self._policy, self.policy_rows),
            revision="" if self._profile is None else self._profile.revision,
            id="" if self._profile is None else self._profile.id,
        )

    def ask(self) -> None:
        """Have the owner ask about the draft as it stands, wrong fields left out."""
        if not self._page.isEnabled():
            return
        model = self.model_field.currentText().strip()
        if model in self._models and self.fit_line.fit is None:
            self.model_chosen.emit(model)
        self.draft_changed.emit(self._draft(_right_values))

    def show_preview(self, preview: LaunchPreview) -> None:
        """Show what the draft would start, and the engine's word at the fields that it is about."""
        self.launch_card.show_preview(preview)
        unsupported = preview.python.unsupported if preview.python is not None else {}
        for name, row in self.rows.items():
            row.set_unavailable(unsupported.get(name, ""))
        problems = {problem.field: problem.message for problem in preview.problems}
        for name in self._told - problems.keys():
            self._tell_at(name, "")
        for name, message in problems.items():
            self._tell_at(name, message)
        self._told = set(problems)

    def _tell_at(self, name: str, message: str) -> None:
        if name == "name":
            # Nobody is told off for what is not written yet.
            self._name_row.show_error(message if self.name_field.text().strip() else "")
        elif name == "model":
            completer = self.model_field.completer()
            popup = completer.popup() if completer is not None else None
            is_choosing = popup is not None and popup.isVisible()
            is_written = bool(self.model_field.currentText().strip()) and not is_choosing
            self._model_row.show_error(self._model_problem() or (message if is_written else ""))
        elif (row := self.rows.get(name) or self.policy_rows.get(name)) and row.check():
            row.show_error(message)

    def show_fit(self, model_id: str, fit: Fit) -> None:
        """Show whether the chosen model fits; an answer about another model is out of date."""
        if self.model_field.currentText().strip() == model_id:
            self.fit_line.show_fit(fit)

    def show_error(self, message: str) -> None:
        """Say why the draft was not taken, and let the user correct it."""
        self.error_label.setText(message)
        self.save_button.setEnabled(True)

    def _apply_theme(self) -> None:
        self.launch_card.apply_theme()
        self.fit_line.apply_theme()
        set_button_icon(self.all_button, "sliders-horizontal", theme().tokens.tx2)


def _values(before: _Values, rows: _Rows) -> _Values:
    """Return what the rows say, and what the profile sets that has no row."""
    values = {name: value for name, value in before.items() if name not in rows}
    for name, row in rows.items():
        value = row.value()
        if value is not None:
            values[name] = value
    return values


def _right_values(before: _Values, rows: _Rows) -> _Values:
    """Return the same without the rows that are wrong now."""
    right: _Rows = {}
    for name, row in rows.items():
        with contextlib.suppress(ValueError):
            row.value()
            right[name] = row
    return _values({n: v for n, v in before.items() if n not in rows}, right)
