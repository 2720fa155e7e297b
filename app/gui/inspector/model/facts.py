"""What there is to say about a model, line by line."""

import html
import re

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QGridLayout, QLabel, QSizePolicy, QWidget

from app.gui.inspector.model.section import Section
from app.gui.inspector.model.wishes import ModelWish, Wish
from app.gui.models.subject import Fact
from app.gui.theme import theme

_LABEL_WIDTH = 92
_LINKS = (
    Qt.TextInteractionFlag.LinksAccessibleByMouse | Qt.TextInteractionFlag.LinksAccessibleByKeyboard
)
_KINDS = {
    "profile": ModelWish.EDIT_PROFILE,
    "model": ModelWish.SHOW,
    "folder": ModelWish.REVEAL,
}
# Where a long path or id may be broken. A copy would contain it, so links cannot be selected.
_BREAK = "\N{ZERO WIDTH SPACE}"
_BREAKABLE = re.compile(r"[/_.-]|[^/_.-]{20}")


class FactsSection(Section):
    """Labels on the left, values on the right; values can be selected, links clicked."""

    wish = Signal(object)  # Wish

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("", parent)
        self._facts: list[Fact] = []
        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(12)
        self._grid.setVerticalSpacing(7)
        self._grid.setColumnMinimumWidth(0, _LABEL_WIDTH)
        self._grid.setColumnStretch(1, 1)
        self.body.addLayout(self._grid)
        self._rows: list[tuple[QLabel, QLabel]] = []
        theme().changed.connect(self._dress)

    def facts(self) -> list[Fact]:
        """Return what is shown."""
        return self._facts

    def value(self, row: int) -> QLabel:
        """Return what shows the value of a line."""
        return self._rows[row][1]

    def show_facts(self, facts: list[Fact]) -> None:
        """Show these lines; those that stay the same are left alone."""
        before, self._facts = self._facts, facts
        while len(self._rows) < len(facts):
            self._add_row()
        for number, (label, value) in enumerate(self._rows):
            is_used = number < len(facts)
            label.setVisible(is_used)
            value.setVisible(is_used)
            if is_used and (number >= len(before) or before[number] != facts[number]):
                label.setText(facts[number].label)
                self._fill(number, facts[number])

    def _add_row(self) -> None:
        label, value = QLabel(self), QLabel(self)
        label.setFont(theme().font("secondary"))
        label.setObjectName("settingHelp")
        value.setFont(theme().font("secondary"))
        value.setWordWrap(True)
        value.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        value.linkActivated.connect(self._on_link)
        row = len(self._rows)
        self._grid.addWidget(label, row, 0, Qt.AlignmentFlag.AlignTop)
        self._grid.addWidget(value, row, 1)
        self._rows.append((label, value))

    def _fill(self, row: int, fact: Fact) -> None:
        value = self._rows[row][1]
        value.setToolTip(fact.tip or (fact.links[0].text if len(fact.links) == 1 else ""))
        if fact.links:
            value.setTextInteractionFlags(_LINKS)
            value.setTextFormat(Qt.TextFormat.RichText)
            texts = [_anchor(f"{row}:{n}", link.text) for n, link in enumerate(fact.links)]
            value.setText(", ".join(texts))
            value.setAccessibleName(", ".join(link.text for link in fact.links))
        else:
            value.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            value.setTextFormat(Qt.TextFormat.PlainText)
            value.setText(fact.text)
            value.setAccessibleName(fact.text)
        value.setStyleSheet(f"color: {theme().tokens.bad};" if fact.is_bad else "")

    def _on_link(self, address: str) -> None:
        row, number = (int(part) for part in address.split(":"))
        link = self._facts[row].links[number]
        self.wish.emit(Wish(_KINDS[link.kind], link.target))

    def _dress(self) -> None:
        for row, fact in enumerate(self._facts):
            self._fill(row, fact)


def _anchor(address: str, text: str) -> str:
    broken = html.escape(_BREAKABLE.sub(rf"\g<0>{_BREAK}", text))
    colour = theme().tokens.acc
    return f'<a href="{address}" style="color: {colour}; text-decoration: none">{broken}</a>'
