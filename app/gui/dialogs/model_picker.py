"""The field in which a model of this disk is chosen, with size and verdict in its list."""

from collections.abc import Iterable, Mapping
from typing import Final

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, Qt
from PySide6.QtGui import QPainter
from PySide6.QtWidgets import QCompleter, QLineEdit, QListView, QWidget

from app.gui import format as fmt
from app.gui.models.model_text import verdict_word
from app.gui.theme import theme
from app.gui.widgets.list_row import PAD, ListRow, write_elided
from app.gui.widgets.pop_up import PopUp
from app.wire.hub import Fit, Verdict
from app.wire.nouns import Model

SIZE_ROLE: Final = Qt.ItemDataRole.UserRole + 1
VERDICT_ROLE: Final = Qt.ItemDataRole.UserRole + 2
_LIST_WIDTH: Final = 360
_RIGHT: Final = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight
_INKS: Final = {Verdict.FITS: "ok", Verdict.TIGHT: "warn", Verdict.TOO_BIG: "bad"}


class ModelPicker(PopUp):
    """Takes any text, since a folder may be written; offers the models on this disk."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setEditable(True)
        self.setInsertPolicy(PopUp.InsertPolicy.NoInsert)
        self.setItemDelegate(_ModelRow(self))
        self.view().setMinimumWidth(_LIST_WIDTH)
        completer = QCompleter(self.model(), self)
        completer.setFilterMode(Qt.MatchFlag.MatchContains)
        completer.setCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        self.setCompleter(completer)
        matches = _match_list()
        completer.setPopup(matches)
        # After setPopup, which brings a delegate of its own.
        matches.setItemDelegate(_ModelRow(matches))
        self._line.setPlaceholderText(self.tr("Search models"))
        # A long id shows its beginning again when it has been chosen.
        self._line.editingFinished.connect(lambda: self._line.setCursorPosition(0))

    @property
    def _line(self) -> QLineEdit:
        line = self.lineEdit()
        assert line is not None, "the box is editable"  # noqa: S101 - guaranteed above
        return line

    def offer(self, models: Iterable[Model], fits: Mapping[str, Fit]) -> None:
        """Offer these models, with what is known of whether they fit; the text stays."""
        text = self.currentText()
        self.clear()
        for row, model in enumerate(sorted(models, key=lambda m: m.id.casefold())):
            self.addItem(model.id)
            self.setItemData(row, fmt.file_size(model.size_bytes), SIZE_ROLE)
            if model.id in fits:
                self.setItemData(row, fits[model.id].verdict, VERDICT_ROLE)
        self.write(text)

    def write(self, text: str) -> None:
        """Put a model or a folder into the field."""
        self.setCurrentIndex(self.findText(text))
        self.setEditText(text)
        self._line.setCursorPosition(0)


class _ModelRow(ListRow):
    """The model's name above its author and size, the verdict on the right."""

    def write(
        self,
        painter: QPainter,
        index: QModelIndex | QPersistentModelIndex,
        lines: tuple[QRect, QRect],
        *,
        is_chosen: bool,
    ) -> None:
        """Write the name above, author, size and verdict below."""
        colours, (top, second) = theme(), lines
        author, _, name = str(index.data()).rpartition("/")
        # Qt hands an enum of texts back as plain text.
        verdict = Verdict(index.data(VERDICT_ROLE) or Verdict.UNKNOWN)
        painter.setFont(colours.font("name"))
        painter.setPen(colours.color("on_fill" if is_chosen else "tx"))
        write_elided(painter, top, name)
        painter.setFont(colours.font("secondary"))
        if word := verdict_word(verdict):
            painter.setPen(colours.color("on_fill" if is_chosen else _INKS.get(verdict, "tx2")))
            painter.drawText(second, _RIGHT, word)
            second.setRight(second.right() - painter.fontMetrics().horizontalAdvance(word) - PAD)
        painter.setPen(colours.color("on_fill" if is_chosen else "tx2"))
        size = str(index.data(SIZE_ROLE) or "")
        write_elided(painter, second, " · ".join(part for part in (author, size) if part))


def _match_list() -> QListView:
    view = QListView()
    view.setObjectName("modelMatches")
    view.setUniformItemSizes(True)
    view.setMinimumWidth(_LIST_WIDTH)
    view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    view.setMouseTracking(True)
    return view
