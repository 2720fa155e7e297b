"""The Requests tab: what was asked of the server, live; its text only where that is recorded."""

from PySide6.QtCore import QEvent, QModelIndex, QPersistentModelIndex, QPoint, Qt
from PySide6.QtGui import QGuiApplication, QKeyEvent, QKeySequence, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QMenu,
    QPushButton,
    QStackedWidget,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from app.gui import format as fmt
from app.gui.inspector.server.request_rows import Column, RequestRows
from app.gui.inspector.server.request_texts import RecordingNote, TextsView
from app.gui.inspector.server.rule import Rule
from app.gui.inspector.server.tab import Host, Tab
from app.gui.theme import theme
from app.gui.widgets.empty_state import EmptyState
from app.wire.errors import AppError
from app.wire.requests import RequestRecord, RequestTexts

_SIDE = 20
_PAGE = 100
_ROW = 28
_CELL_PAD = 9
_NEAR_END = 12
"""Rows from the end at which the next page is asked for."""
_WIDTHS = {
    Column.TIME: 76, Column.STATE: 86, Column.CLIENT: 96, Column.MODEL: 150, Column.TOKENS: 86,
    Column.FIRST: 68, Column.RATE: 58, Column.DURATION: 68,
}  # fmt: skip
_FROM = {Column.DURATION: 440, Column.CLIENT: 680, Column.MODEL: 720}
"""From these widths on there is room for a column and, first of all, for why a request failed; the
tool-tip has everything anyway."""


class _WholeRow(QStyledItemDelegate):
    """Tints the whole row below the pointer, as a press selects it."""

    def __init__(self, table: "RequestTable") -> None:
        super().__init__(table)
        self._table = table

    def initStyleOption(
        self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        super().initStyleOption(option, index)
        state = QStyle.StateFlag(option.state)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownArgumentType, reportUnknownMemberType] - not in the stubs
        over = QStyle.StateFlag.State_MouseOver
        is_over = index.row() == self._table.hovered_row
        option.state = state | over if is_over else state & ~over  # pyright: ignore[reportAttributeAccessIssue] - not in the stubs


class RequestTable(QTableView):
    """Rows stay where they are when new ones come above, unless the first row is in sight."""

    def __init__(self, rows: RequestRows, tab: "RequestsTab") -> None:
        super().__init__(tab)
        self._tab = tab
        self._height = 0
        self.hovered_row = -1
        """The row below the pointer, -1 for none."""
        self.setItemDelegate(_WholeRow(self))
        self.setMouseTracking(True)
        self.entered.connect(self._on_entered)
        self.viewportEntered.connect(lambda: self._hover(-1))
        # Before setModel: the view's own handlers would have laid out the new rows already.
        rows.rowsAboutToBeInserted.connect(self._before_insert)
        rows.rowsInserted.connect(self._after_insert)
        self.setModel(rows)
        self.setObjectName("requestTable")
        self.setAccessibleName(self.tr("Requests"))
        self.setFrameShape(QTableView.Shape.NoFrame)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.setCornerButtonEnabled(False)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setTabKeyNavigation(False)
        self.setFont(theme().font("secondary"))
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(_ROW)
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.verticalScrollBar().setSingleStep(_ROW)
        head = self.horizontalHeader()
        head.setHighlightSections(False)
        head.setSectionsClickable(False)
        head.setFont(theme().font("label"))
        head.setMinimumSectionSize(40)
        head.setFixedHeight(_ROW)
        head.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.customContextMenuRequested.connect(self._show_menu)
        self._fit()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.matches(QKeySequence.StandardKey.Copy):
            self._tab.copy_rows()
        elif event.key() == Qt.Key.Key_Escape and self.selectionModel().hasSelection():
            self.clearSelection()
        else:
            super().keyPressEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self._hover(-1)

    def _on_entered(self, index: QModelIndex) -> None:
        self._hover(index.row())

    def _hover(self, row: int) -> None:
        if row != self.hovered_row:
            self.hovered_row = row
            self.viewport().update()

    def selected_rows(self) -> list[int]:
        """Return the numbers of the selected rows, in order."""
        return sorted(index.row() for index in self.selectionModel().selectedRows())

    def _fit(self) -> None:
        width = self.viewport().width()
        shown = [c for c in Column if width >= _FROM.get(c, 0)]
        taken = sum(_WIDTHS[c] for c in shown)
        for column in Column:
            self.setColumnHidden(column, column not in shown)
            extra = max(0, width - taken) if column is Column.STATE else 0
            self.setColumnWidth(column, _WIDTHS[column] + extra)

    def _before_insert(self, _parent: QModelIndex, first: int, _last: int) -> None:
        bar = self.verticalScrollBar()
        reads = bar.value() > 0 or self.selectionModel().hasSelection()
        self._height = bar.value() if first == 0 and reads and self._tab.has_rows else -1

    def _after_insert(self, _parent: QModelIndex, first: int, last: int) -> None:
        # Which row is below a resting pointer now is known with its next move.
        self._hover(-1)
        if self._height >= 0:
            self.executeDelayedItemsLayout()
            self.updateGeometries()
            self.verticalScrollBar().setValue(self._height + (last - first + 1) * _ROW)

    def _show_menu(self, place: QPoint) -> None:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        copy = menu.addAction(self.tr("Copy"), self._tab.copy_rows)
        copy.setShortcut(QKeySequence.StandardKey.Copy)
        copy.setEnabled(bool(self.selected_rows()))
        menu.addAction(self.tr("Select all"), self.selectAll)
        menu.popup(self.viewport().mapToGlobal(place))


class RequestsTab(Tab):
    """The latest requests, and older ones as the table is scrolled down."""

    def __init__(self, host: Host, server_id: str) -> None:
        super().__init__(host, server_id)
        self.rows = RequestRows(self)
        self._has_answer = False
        self._has_all = False
        self._trouble = ""
        self._unseen = 0
        self._read: RequestRecord | None = None
        """The one whose text is shown or asked for."""
        self.note = RecordingNote(self)
        self.note.delete_requested.connect(self._delete_texts)
        self.texts = TextsView(self)
        self.table = RequestTable(self.rows, self)
        self.empty = EmptyState(self)
        self._stack = QStackedWidget(self)
        self._stack.addWidget(self.empty)
        self._stack.addWidget(self.table)
        self.count = QLabel(self)
        self.count.setObjectName("emptyText")
        self.count.setFont(theme().font("secondary"))
        self.new_button = QPushButton(self)
        self.new_button.setProperty("kind", "flat")
        self.new_button.clicked.connect(self._to_top)
        self.copy_button = QPushButton(self.tr("Copy"), self)
        self.copy_button.setToolTip(self.tr("Copy the selected rows, or all of them"))
        self.copy_button.clicked.connect(self.copy_rows)
        self._lay_out()
        self.table.verticalScrollBar().valueChanged.connect(self._on_scrolled)
        self.table.selectionModel().selectionChanged.connect(self._on_selected)
        self._show_state()

    @property
    def has_rows(self) -> bool:
        """True once there is something to read."""
        return bool(self.rows.records)

    def poll(self) -> None:
        server_id = self.server_id
        self.ask("requests", lambda api: api.requests(last=_PAGE, server_id=server_id), self._take)

    @property
    def is_recording(self) -> bool:
        """True while the engine keeps prompts and answers."""
        return self.mirror.engine is not None and self.mirror.engine.records_texts

    def refresh(self) -> None:
        self._show_state()

    def focus_first(self) -> None:
        self.table.setFocus()

    def show_trouble(self, error: AppError) -> None:
        self._trouble = f"{error.message} {error.hint}".strip()
        self._show_state()

    def copy_rows(self) -> None:
        """Put the selected rows on the clipboard, or all where none is selected."""
        rows = self.table.selected_rows() or range(len(self.rows.records))
        QGuiApplication.clipboard().setText(self.rows.as_text(rows))

    def _lay_out(self) -> None:
        foot = QHBoxLayout()
        foot.setContentsMargins(_SIDE, 6, _SIDE, 6)
        foot.setSpacing(8)
        foot.addWidget(self.count)
        foot.addWidget(self.new_button)
        foot.addStretch(1)
        foot.addWidget(self.copy_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(Rule(self))
        column.addLayout(_inset(self.note))
        # The text of the first column stands below the title.
        middle = QHBoxLayout()
        middle.setContentsMargins(_SIDE - _CELL_PAD, 0, _SIDE - _CELL_PAD, 0)
        middle.addWidget(self._stack)
        column.addLayout(middle, 1)
        column.addLayout(_inset(self.texts))
        column.addWidget(Rule(self))
        column.addLayout(foot)

    def _take(self, newest: list[RequestRecord]) -> None:
        self._trouble = ""
        self._has_answer = True
        known = {record.id for record in self.rows.records}
        if newest and known and not any(record.id in known for record in newest):
            # Another engine, or more than a page since the last look: begin anew.
            self.rows.clear()
            self._has_all = False
        self._has_all |= not self.rows.records and len(newest) < _PAGE
        is_first = not self.rows.records
        added = self.rows.sync(newest)
        bar = self.table.verticalScrollBar()
        self._unseen = self._unseen + added if bar.value() > 0 and not is_first else 0
        self._show_state()
        self._ask_texts()
        self._ask_older()

    def _take_older(self, older: list[RequestRecord]) -> None:
        self._has_all = len(older) < _PAGE
        self.rows.add_older(older)
        self._show_state()

    def _on_scrolled(self, value: int) -> None:
        if value == 0 and self._unseen:
            self._unseen = 0
            self._show_state()
        self._ask_older()

    def _ask_older(self) -> None:
        """Ask for the next page when the end of this one comes into sight."""
        bar = self.table.verticalScrollBar()
        is_near = bar.maximum() - bar.value() <= _NEAR_END * _ROW
        if is_near and bar.value() and self.has_rows and not self._has_all:
            server_id, before = self.server_id, self.rows.records[-1].id
            self.ask(
                "requests",
                lambda api: api.requests(last=_PAGE, server_id=server_id, before=before),
                self._take_older,
            )

    def _on_selected(self) -> None:
        self._show_state()
        self._ask_texts()

    def _ask_texts(self) -> None:
        """Have the text of the one chosen request shown, again when its answer has ended."""
        rows = self.table.selected_rows()
        record = self.rows.records[rows[0]] if len(rows) == 1 else None
        before, self._read = self._read, record
        if record is None:
            self.texts.show_note("")
        elif before is None or (record.id, record.state) != (before.id, before.state):
            self.host.call(
                "texts", lambda api: api.request_texts(record.id), self._take_texts, self._no_texts
            )

    def _take_texts(self, texts: RequestTexts) -> None:
        if self._read is not None and self._read.id == texts.id:
            self.texts.show_texts(texts)
            self.note.show_state(is_on=self.is_recording, has_texts=True)

    def _no_texts(self, _error: AppError) -> None:
        note = ""
        if self.is_recording and self._read is not None:
            note = (
                self.tr("The text is here when the answer has ended.")
                if self._read.state.is_open
                else self.tr("No text of this request was recorded.")
            )
        self.texts.show_note(note)

    def _delete_texts(self) -> None:
        self.host.call("texts", lambda api: api.delete_texts(), self._on_deleted, self.show_trouble)

    def _on_deleted(self, _nothing: object) -> None:
        self._read = None
        self.table.clearSelection()
        self._show_state()

    def _to_top(self) -> None:
        self.table.verticalScrollBar().setValue(0)

    def _show_state(self, _changed: object = None) -> None:
        count = len(self.rows.records)
        self._stack.setCurrentWidget(self.table if count else self.empty)
        number = fmt.count(count) if self._has_all else f"{fmt.count(count)}+"
        text = self.tr("1 request") if number == "1" else self.tr("{} requests").format(number)
        selected = len(self.table.selected_rows())
        if selected > 1:
            text = self.tr("{} selected").format(fmt.count(selected))
        self.count.setText(self._trouble or (text if count else ""))
        self.new_button.setVisible(self._unseen > 0)
        self.new_button.setText(self.tr("↑ {} new").format(fmt.count(self._unseen)))
        self.copy_button.setEnabled(count > 0)
        self.note.show_state(is_on=self.is_recording, has_texts=self.texts.isVisible())
        if not count:
            self._show_emptiness()

    def _show_emptiness(self) -> None:
        if self._trouble:
            self.empty.show_message(
                icon="triangle-alert", title=self.tr("No answer"), text=self._trouble
            )
        elif not self._has_answer:
            self.empty.show_message(icon="loader", title=self.tr("Looking for requests…"))
        else:
            self.empty.show_message(
                icon="activity",
                title=self.tr("No requests yet"),
                text=self.tr("They show up here the moment a program asks this server something. ")
                + (
                    self.tr("Prompts and answers are recorded.")
                    if self.is_recording
                    else self.tr("Only figures are kept, never the text of a prompt or an answer.")
                ),
            )


def _inset(widget: QWidget) -> QVBoxLayout:
    """Return a row with the page's margins, which takes no room while its widget is hidden."""
    row = QVBoxLayout()
    row.setContentsMargins(_SIDE, 8, _SIDE, 8)
    row.addWidget(widget)
    return row
