"""The field in which a profile is searched by name or model, and chosen."""

from PySide6.QtCore import (
    QEvent,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QPoint,
    QRect,
    QSize,
    Qt,
    QTimer,
    Signal,
)
from PySide6.QtGui import QAction, QFocusEvent, QFontMetrics, QKeyEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QComboBox, QCompleter, QLineEdit, QListView, QWidget

from app.gui.guarded import guarded
from app.gui.models.profile_list import FAULT_ROLE, MODEL_ROLE, SEARCH_ROLE, ProfileList
from app.gui.panels.profile_row import ProfileRow
from app.gui.theme import theme
from app.gui.widgets import icons
from app.wire.nouns import Profile

_MINIMUM_WIDTH = 220
_VISIBLE_ROWS = 9
_GAP = 4
"""Pixels between the field and its list."""
_LEAST_BESIDE = 80
"""Fewer pixels tell nothing about a model."""


class _Completer(QCompleter):
    """Finds a profile by any part of its name or model, and writes its name."""

    @guarded("")
    def pathFromIndex(self, index: QModelIndex | QPersistentModelIndex) -> str:
        return str(index.data())


class ProfilePicker(QComboBox):
    """An editable combo box that takes no text of its own, only profiles.

    Typing opens a list of matches, arrows and Enter choose one; Enter in the closed field submits
    the chosen profile.
    """

    chosen = Signal(object)  # str | None, the profile's id
    submitted = Signal(object)  # str, the profile's id

    def __init__(self, profiles: ProfileList, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.profiles = profiles
        self._wanted: str | None = None
        self._rows_are_changing = False
        self.setObjectName("profilePicker")
        self.setEditable(True)
        self.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self.setMaxVisibleItems(_VISIBLE_ROWS)
        self.setMinimumWidth(_MINIMUM_WIDTH)
        self.setMinimumContentsLength(10)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setAccessibleName(self.tr("Profile"))
        self.setView(_list_view())
        self.setModel(profiles)
        self.setItemDelegate(ProfileRow(self))
        self._popup = _list_view()
        self._matches = self._make_completer()
        self.setCompleter(self._matches)
        # After the completer: the last filter is the first to be asked.
        self._popup.installEventFilter(self)
        self.view().installEventFilter(self)
        self.setCurrentIndex(-1)
        self._search = QAction(self)
        self._field.addAction(self._search, QLineEdit.ActionPosition.LeadingPosition)
        self._field.setTextMargins(2, 0, 0, 0)
        self._field.setPlaceholderText(self.tr("Search profiles"))
        # The keyboard is in this field, so a reader hears its name and not the box's.
        self._field.setAccessibleName(self.accessibleName())
        self._field.returnPressed.connect(self._on_return)
        self._field.textChanged.connect(lambda: self.update())
        self.currentIndexChanged.connect(self._on_index_changed)
        for signal in (profiles.rowsAboutToBeInserted, profiles.rowsAboutToBeRemoved):
            signal.connect(self._on_rows_about_to_change)
        for signal in (
            profiles.rowsInserted, profiles.rowsRemoved, profiles.rowsMoved, profiles.dataChanged,
        ):  # fmt: skip
            signal.connect(self._on_rows_changed)
        self.apply_theme()

    @property
    def _field(self) -> QLineEdit:
        field = self.lineEdit()
        assert field is not None, "the combo box is editable"  # noqa: S101 - guaranteed above
        return field

    def _make_completer(self) -> QCompleter:
        completer = _Completer(self)
        completer.setModel(self.profiles)
        completer.setCompletionRole(SEARCH_ROLE)
        completer.setFilterMode(Qt.MatchFlag.MatchContains)
        completer.setCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        completer.setCompletionMode(QCompleter.CompletionMode.PopupCompletion)
        completer.setMaxVisibleItems(_VISIBLE_ROWS)
        completer.setPopup(self._popup)
        self._popup.setItemDelegate(ProfileRow(self._popup))
        return completer

    def profile(self) -> Profile | None:
        """Return the chosen profile."""
        return self.profiles.profile_at(self.currentIndex())

    def choose(self, profile_id: str | None) -> None:
        """Choose a profile; one that is not there yet is chosen when it comes."""
        self._wanted = profile_id
        self.setCurrentIndex(self.profiles.row_of(profile_id))

    def wanted_id(self) -> str | None:
        """Return the id of the profile that was chosen last, also while it is not there."""
        return self._wanted

    def edit_text(self) -> None:
        """Take the keyboard focus with the text selected, so that typing starts a search."""
        self.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self._field.selectAll()

    def _on_index_changed(self, row: int) -> None:
        profile = self.profiles.profile_at(row)
        if profile is not None and not self._rows_are_changing:
            self._wanted = profile.id
            self._field.setCursorPosition(0)
        self.setToolTip("" if profile is None else f"{profile.name}\n{profile.model}".strip())
        self.chosen.emit(None if profile is None else profile.id)

    def _on_rows_about_to_change(self) -> None:
        # The combo box chooses the first row that it ever gets, and a neighbour of a lost one.
        self._rows_are_changing = True

    def _on_rows_changed(self) -> None:
        self._rows_are_changing = False
        row = self.profiles.row_of(self._wanted)
        if row != self.currentIndex():
            self.setCurrentIndex(row)
        else:
            self.chosen.emit(None if row < 0 else self._wanted)

    @guarded(False)
    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() in (QEvent.Type.Show, QEvent.Type.Hide):
            self.profiles.hold(is_held=True)
            # A list hides before it tells what was chosen in it.
            QTimer.singleShot(0, self, self._release_rows)
        if watched is self._popup and event.type() in (QEvent.Type.Show, QEvent.Type.Move):
            self._place_below(self._popup)
        is_escape = isinstance(event, QKeyEvent) and event.key() == Qt.Key.Key_Escape
        if is_escape and event.type() is QEvent.Type.KeyPress and self._popup.isVisible():
            self._popup.hide()
            self._give_up_search()
            return True
        return super().eventFilter(watched, event)

    def _release_rows(self) -> None:
        if not (self._popup.isVisible() or self.view().isVisible()):
            self.profiles.hold(is_held=False)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape and not self._text_is_chosen():
            self._give_up_search()
        else:
            super().keyPressEvent(event)

    def showPopup(self) -> None:
        # The list shows what is chosen; a search that was begun has its own list.
        if not self._text_is_chosen():
            self._write_choice()
        super().showPopup()
        self._place_below(self.view().window())

    def _place_below(self, popup: QWidget) -> None:
        """Let a list leave the field's border free, unless it opened above the field."""
        corner = self.mapToGlobal(QPoint(0, self.height() + _GAP))
        is_below = popup.y() > corner.y() - self.height() - _GAP
        if is_below and popup.pos() != corner:
            popup.move(corner)

    def _on_return(self) -> None:
        if self._popup.isVisible():
            self._choose_match()
            self._popup.hide()
            return
        if not self._text_is_chosen():
            self._choose_match()
        elif (profile := self.profile()) is not None:
            self.submitted.emit(profile.id)

    def _text_is_chosen(self) -> bool:
        profile = self.profile()
        return profile is not None and self._field.text() == profile.name

    def _choose_match(self) -> None:
        """Choose the profile of exactly this name, else the first one that matches."""
        text = self._field.text().strip().casefold()
        rows = [self.profiles.profile_at(row) for row in range(self.profiles.rowCount())]
        profiles = [profile for profile in rows if profile is not None]
        exact = [p for p in profiles if p.name.casefold() == text]
        part = [p for p in profiles if text and text in f"{p.name} {p.model}".casefold()]
        found = next(iter(exact or part), None)
        if found is not None:
            self.choose(found.id)
        self._write_choice()

    def _give_up_search(self) -> None:
        self._write_choice()
        self._field.selectAll()

    def _write_choice(self) -> None:
        profile = self.profile()
        self._field.setText("" if profile is None else profile.name)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        if event.reason() is Qt.FocusReason.PopupFocusReason:
            return
        if not self._text_is_chosen():
            text = self._field.text().strip().casefold()
            matches = self._matches.completionCount() if text else 0
            if matches == 1:
                self._choose_match()
            else:
                self._write_choice()
        # A name that is too long for the field shows its beginning.
        self._field.setCursorPosition(0)

    def apply_theme(self) -> None:
        """Draw the icons in the theme's colours."""
        self._search.setIcon(icons.icon("search", theme().tokens.tx3, 16))

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        painter = QPainter(self)
        mark = icons.pixmap("chevron-down", theme().tokens.tx2, 14, self.devicePixelRatioF())
        painter.drawPixmap(self.width() - 22, (self.height() - 14) // 2, mark)
        # Below the field, whose ground is transparent.
        room, text = self.beside()
        painter.setFont(theme().font("secondary"))
        has_fault = bool(self.currentData(FAULT_ROLE))
        painter.setPen(theme().color("warn" if has_fault else "tx2"))
        painter.drawText(room, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight, text)

    def beside(self) -> tuple[QRect, str]:
        """Return what stands behind the chosen name, its model or what is wrong, and where."""
        field = self._field
        if not self._text_is_chosen():
            return QRect(), ""
        name = field.fontMetrics().horizontalAdvance
        begin = field.cursorRect().center().x() - name(field.text()[: field.cursorPosition()])
        left = field.x() + begin + name(field.text()) + 12
        room = QRect(left, 0, self.width() - 30 - left, self.height())
        if room.width() < _LEAST_BESIDE:
            return QRect(), ""
        model = str(self.currentData(MODEL_ROLE)).rstrip("/").rsplit("/", 1)[-1]
        text = str(self.currentData(FAULT_ROLE)) or model
        metrics = QFontMetrics(theme().font("secondary"))
        return room, metrics.elidedText(text, Qt.TextElideMode.ElideMiddle, room.width())


def _list_view() -> QListView:
    view = QListView()
    view.setObjectName("profileList")
    view.setUniformItemSizes(True)
    view.setMouseTracking(True)
    view.setIconSize(QSize(0, 0))
    return view
