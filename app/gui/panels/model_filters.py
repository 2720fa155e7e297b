"""The filters of the model list: a button with all of them, and a bar with those in use."""

import sys
from collections.abc import Callable
from typing import Final

import msgspec
from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QMenu, QPushButton, QToolButton, QWidget

from app.gui import format as fmt
from app.gui.delegates.tile_look import MARGIN
from app.gui.guarded import guarded
from app.gui.models.facets import TAGS, Facets, tag_name
from app.gui.theme import theme
from app.gui.widgets import icons

_HEIGHT: Final = 24
_GAP: Final = 6
_BELOW: Final = 8
Choices = Callable[[], dict[str, list[str]]]
_Change = tuple[str, Facets]


def fits_name() -> str:
    """Return what the filter by memory is called."""
    return "Fits this Mac" if sys.platform == "darwin" else "Fits this computer"


class FilterButton(QPushButton):
    """Offers every filter in its menu; lit while one is in use."""

    changed = Signal(object)  # Facets

    def __init__(self, choices: Choices, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("modelsFilter")
        self._choices = choices
        self._facets = Facets()
        menu = QMenu(self)
        menu.aboutToShow.connect(self._fill)
        self.setMenu(menu)
        theme().changed.connect(self._refresh)
        self._refresh()

    def set_facets(self, facets: Facets) -> None:
        """Show these filters as in use."""
        self._facets = facets
        self._refresh()

    def _fill(self) -> None:
        menu, facets, choices = self.menu(), self._facets, self._choices()
        menu.clear()
        for name, field in (
            (self.tr(fits_name()), "fits"),
            (self.tr("Supported by the installed mlx-lm"), "supported"),
            (self.tr("No access needed"), "open"),
        ):
            self._add(menu, name, field, value=not getattr(facets, field), empty=False)
        menu.addSeparator()
        for tag in TAGS:
            self._add(menu, tag_name(tag), "tags", value=facets.tags ^ {tag}, is_on=tag)
        menu.addSeparator()
        titles = {
            "quantization": self.tr("Quantisation"),
            "family": self.tr("Family"),
            "licence": self.tr("Licence"),
        }
        for field, title in titles.items():
            values = choices[field]
            in_use = getattr(facets, field)
            if in_use and in_use not in values:
                values = [in_use, *values]
            submenu = menu.addMenu(title)
            submenu.menuAction().setEnabled(bool(values))
            self._add(submenu, self.tr("Any"), field, value="", empty=in_use)
            for value in values:
                name = fmt.family(value) if field == "family" else value
                self._add(submenu, name, field, value=value)
        menu.addSeparator()
        clear = menu.addAction(self.tr("Clear filters"))
        clear.setEnabled(bool(facets.names))
        clear.triggered.connect(lambda: self.changed.emit(Facets()))

    def _add(
        self,
        menu: QMenu,
        name: str,
        field: str,
        *,
        value: object,
        empty: object = None,
        is_on: str | None = None,
    ) -> None:
        now = getattr(self._facets, field)
        action = menu.addAction(name)
        action.setCheckable(True)
        if is_on is not None:
            action.setChecked(is_on in now)
        else:
            action.setChecked(bool(now) if empty is False else now == value)
        after = msgspec.structs.replace(self._facets, **{field: value})
        action.triggered.connect(lambda: self.changed.emit(after))

    def _refresh(self) -> None:
        count = len(self._facets.names)
        token = theme().tokens.acc if count else theme().tokens.tx2
        self.setIcon(icons.icon("filter", token))
        text = self.tr("Filter models")
        if count:
            text = self.tr("Filter models, {} in use").format(count)
        self.setAccessibleName(text)
        self.setToolTip(text)


class FilterBar(QWidget):
    """One line of chips: those in use, how many there are, and some that may be of use."""

    changed = Signal(object)  # Facets

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._facets = Facets()
        self._suggests = False
        self._chips: list[QToolButton] = []
        self._clear = QPushButton(self)
        self._clear.setObjectName("filterClear")
        self._clear.setProperty("kind", "flat")
        self._clear.setFont(theme().font("secondary"))
        # Higher than a chip, it would move the list when the first filter comes.
        self.setFixedHeight(_HEIGHT + _BELOW)
        self._clear.clicked.connect(lambda: self.changed.emit(Facets()))
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(MARGIN, 0, MARGIN, _BELOW)
        self._row.setSpacing(_GAP)
        self._row.addStretch(1)
        self._row.addWidget(self._clear)
        theme().changed.connect(self._paint_icons)
        self._refresh()

    @property
    def in_use(self) -> list[str]:
        """What the visible chips of filters in use say."""
        return [c.text() for c in self._chips if c.isChecked() and not c.isHidden()]

    def chip(self, text: str) -> QToolButton:
        """Return the chip that says `text`. Raises LookupError."""
        for chip in self._chips:
            if chip.text() == text:
                return chip
        raise LookupError(text)

    def set_facets(self, facets: Facets, *, suggests: bool) -> None:
        """Show the filters in use; suggests: also some that are not."""
        if (facets, suggests) != (self._facets, self._suggests):
            self._facets, self._suggests = facets, suggests
            self._refresh()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    @guarded(QSize())
    def minimumSizeHint(self) -> QSize:
        # What does not fit is left out; the chips must not widen the panel.
        return QSize(0, super().minimumSizeHint().height())

    def _refresh(self) -> None:
        had_keyboard = any(chip.hasFocus() for chip in self._chips)
        for chip in self._chips:
            self._row.removeWidget(chip)
            chip.hide()
            chip.deleteLater()
        names = self._facets.names
        on = {key: self.tr(fits_name()) if key == "fits" else name for key, name in names.items()}
        self._chips = [
            self._make(name, self._facets.without(key), is_on=True) for key, name in on.items()
        ]
        if self._suggests:
            self._chips += [self._make(name, facets, is_on=False) for name, facets in self._more()]
        for number, chip in enumerate(self._chips):
            self._row.insertWidget(number, chip)
        self._clear.setVisible(bool(on))
        self._clear.setText(
            self.tr("1 filter · Clear") if len(on) == 1
            else self.tr("{} filters · Clear").format(len(on))
        )  # fmt: skip
        self._clear.setAccessibleName(self.tr("Clear filters"))
        self.setVisible(bool(self._chips))
        self._paint_icons()
        self._fit()
        if had_keyboard and self._chips:
            self._chips[0].setFocus(Qt.FocusReason.OtherFocusReason)

    def _more(self) -> list[_Change]:
        facets, replace = self._facets, msgspec.structs.replace
        found: list[_Change] = []
        if not facets.fits:
            found.append((self.tr(fits_name()), replace(facets, fits=True)))
        if not facets.quantization:
            found += [(v, replace(facets, quantization=v)) for v in ("4-bit", "8-bit")]
        for tag in ("vision", "tools", "reasoning"):
            if tag not in facets.tags:
                found.append((tag_name(tag), replace(facets, tags=facets.tags | {tag})))
        return found

    def _make(self, text: str, after: Facets, *, is_on: bool) -> QToolButton:
        chip = QToolButton(self)
        chip.setObjectName("filterChip")
        chip.setText(text)
        chip.setFont(theme().font("label"))
        chip.setCheckable(True)
        chip.setChecked(is_on)
        chip.setFixedHeight(_HEIGHT)
        chip.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        what = self.tr("Remove the filter {}") if is_on else self.tr("Show only: {}")
        chip.setToolTip(what.format(text))
        chip.setAccessibleName(what.format(text))
        chip.clicked.connect(lambda: self.changed.emit(after))
        return chip

    def _fit(self) -> None:
        """Show as many chips as there is room for."""
        room = self.width() - 2 * MARGIN
        if not self._clear.isHidden():
            room -= self._clear.sizeHint().width() + _GAP
        for chip in self._chips:
            room -= chip.sizeHint().width()
            chip.setVisible(room >= 0)
            room -= _GAP
            if room < 0:
                room = -1

    def _paint_icons(self) -> None:
        for chip in self._chips:
            if chip.isChecked():
                chip.setIcon(icons.icon("x", theme().tokens.acc, 12))
                chip.setIconSize(QSize(12, 12))
                chip.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
                chip.setLayoutDirection(Qt.LayoutDirection.RightToLeft)
