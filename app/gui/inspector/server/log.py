"""The Log tab: follows a server's log, searches and filters it."""

import sys
from pathlib import Path

from PySide6.QtCore import QEvent, QProcess, QSize, Qt, QTimer, QUrl
from PySide6.QtGui import QDesktopServices, QGuiApplication, QKeyEvent, QKeySequence
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
)

from app.gui import format as fmt
from app.gui.guarded import guarded
from app.gui.inspector.server.log_feed import LogFeed, Prepended
from app.gui.inspector.server.log_find import LogFinder
from app.gui.inspector.server.log_lines import LogLines
from app.gui.inspector.server.log_text import Level, LogText, Spot
from app.gui.inspector.server.rule import Rule
from app.gui.inspector.server.tab import Host, Tab
from app.gui.inspector.server.words import clock
from app.gui.theme import theme
from app.gui.widgets import icons
from app.gui.widgets.empty_state import EmptyState
from app.gui.widgets.pop_up import PopUp
from app.gui.widgets.search_field import SearchField
from app.gui.widgets.switch import Switch
from app.wire.errors import AppError
from app.wire.server_log import CRASH, PRESENT, LogRun

_SIDE = 20
_RUNS_EVERY = 10
"""Seconds from one look at the list of runs to the next."""
_TOLD_MS = 1600


class _FindField(SearchField):
    """Return goes on to the next find, Shift and Return to the one before."""

    def __init__(self, tab: "LogTab") -> None:
        super().__init__(tab.tr("Search this log"), tab)
        self._tab = tab

    def _update_extras(self) -> None:
        super()._update_extras()
        # The same key leads to the models' field from elsewhere; one hint in sight is enough.
        self._hint.hide()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            is_back = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
            self._tab.go_to_find(-1 if is_back else 1)
        else:
            super().keyPressEvent(event)


class LogTab(Tab):
    """One run of the server's log at a time, the present one first."""

    def __init__(self, host: Host, server_id: str) -> None:
        super().__init__(host, server_id)
        self._text = LogText()
        self.feed = LogFeed(self, self._text)
        self.finder = LogFinder(self._text, self)
        self.lines = LogLines(self._text, self)
        self._runs: list[LogRun] = []
        self._runs_due = 0
        self._trouble = ""
        self._shown_find: Spot | None = None
        self._build()
        self._lay_out()
        self._connect()
        theme().changed.connect(self._dress)
        self._dress()
        self._fill_runs()
        self._show_counts()

    def poll(self) -> None:
        if not self.can_ask:
            self._show_counts()
            return
        self._runs_due -= 1
        if self._runs_due < 0 and self.feed.has_answer:
            self._runs_due = _RUNS_EVERY
            server_id = self.server_id
            self.ask("log-runs", lambda api: api.server_log_runs(server_id), self._take_runs)
        else:
            self.feed.read()

    def refresh(self) -> None:
        self._runs_due = 0
        self._fill_runs()
        self._show_counts()

    def focus_first(self) -> None:
        self.lines.setFocus()

    def show_trouble(self, error: AppError) -> None:
        self._trouble = f"{error.message} {error.hint}".strip()
        self._show_counts()

    def go_to_find(self, by: int) -> None:
        """Go to the next find, or the one before."""
        spot = self.finder.step(by)
        if spot is not None:
            self.lines.show_row(self._text.row_of(spot.block, spot.line))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        keys = QKeySequence.StandardKey
        if event.matches(keys.Find):
            self.find_field.setFocus()
            self.find_field.selectAll()
        elif event.matches(keys.FindNext):
            self.go_to_find(1)
        elif event.matches(keys.FindPrevious):
            self.go_to_find(-1)
        else:
            super().keyPressEvent(event)

    @guarded(False)
    def event(self, event: QEvent) -> bool:
        # In here ⌘F is ours, not the window's.
        if event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent):
            keys = QKeySequence.StandardKey
            if any(event.matches(key) for key in (keys.Find, keys.FindNext, keys.FindPrevious)):
                event.accept()
                return True
        return super().event(event)

    def _build(self) -> None:
        self.run_box = PopUp(self)
        self.run_box.setAccessibleName(self.tr("Run"))
        self.level_box = PopUp(self)
        self.level_box.setAccessibleName(self.tr("Lines to show"))
        for text in (self.tr("All lines"), self.tr("Warnings"), self.tr("Errors")):
            self.level_box.addItem(text)
        self.copy_button = self._icon_button(self.tr("Copy the lines"))
        self.reveal_button = self._icon_button(
            self.tr("Show in Finder") if sys.platform == "darwin" else self.tr("Open the folder")
        )
        self.find_field = _FindField(self)
        self._found = QLabel(self)
        self._found.setObjectName("emptyText")
        self._found.setFont(theme().font("label"))
        self.back_button = self._icon_button(self.tr("Previous find"))
        self.next_button = self._icon_button(self.tr("Next find"))
        self.empty = EmptyState(self)
        self.empty.button_clicked.connect(self._show_all)
        self.count = QLabel(self)
        self.count.setObjectName("emptyText")
        self.count.setFont(theme().font("secondary"))
        self.routine_button = QPushButton(self)
        self.routine_button.setProperty("kind", "flat")
        self.routine_button.setCheckable(True)
        self.routine_button.setToolTip(
            self.tr("Health checks, progress of prompts and the state of the prompt cache")
        )
        self.follow_box = Switch(self)
        self.follow_box.setChecked(True)
        self.follow_box.setAccessibleName(self.tr("Follow"))
        self.follow_box.setToolTip(self.tr("Stay at the end while the log grows"))

    def _icon_button(self, tip: str) -> QPushButton:
        button = QPushButton(self)
        button.setProperty("kind", "flat")
        button.setFixedSize(28, 28)
        button.setIconSize(QSize(16, 16))
        button.setToolTip(tip)
        button.setAccessibleName(tip)
        return button

    def _lay_out(self) -> None:
        first, second, foot = QHBoxLayout(), QHBoxLayout(), QHBoxLayout()
        first.setSpacing(8)
        first.addWidget(self.run_box, 1)
        first.addWidget(self.level_box)
        first.addWidget(self.copy_button)
        first.addWidget(self.reveal_button)
        second.setSpacing(4)
        second.addWidget(self.find_field, 1)
        for widget in (self._found, self.back_button, self.next_button):
            second.addWidget(widget)
        head = QVBoxLayout()
        head.setContentsMargins(_SIDE, 0, _SIDE, 10)
        head.setSpacing(8)
        head.addLayout(first)
        head.addLayout(second)
        foot.setContentsMargins(_SIDE, 6, _SIDE, 6)
        foot.setSpacing(8)
        foot.addWidget(self.count)
        foot.addWidget(self.routine_button)
        foot.addStretch(1)
        label = QLabel(self.tr("Follow"), self)
        label.setFont(theme().font("secondary"))
        foot.addWidget(label)
        foot.addWidget(self.follow_box)
        self._stack = QStackedWidget(self)
        self._stack.addWidget(self.lines)
        self._stack.addWidget(self.empty)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(head)
        column.addWidget(Rule(self))
        column.addWidget(self._stack, 1)
        column.addWidget(Rule(self))
        column.addLayout(foot)

    def _connect(self) -> None:
        self.feed.began.connect(self._on_began)
        self.feed.prepended.connect(self._on_prepended)
        self.feed.appended.connect(self._on_appended)
        self.feed.completed.connect(self._show_counts)
        self.finder.changed.connect(self._show_finds)
        self.find_field.textChanged.connect(self.finder.look_for)
        self.find_field.down_pressed.connect(self.lines.setFocus)
        self.back_button.clicked.connect(lambda: self.go_to_find(-1))
        self.next_button.clicked.connect(lambda: self.go_to_find(1))
        self.level_box.currentIndexChanged.connect(self._on_filter)
        self.routine_button.toggled.connect(self._on_filter)
        self.run_box.activated.connect(self._on_run_chosen)
        self.copy_button.clicked.connect(self._on_copy)
        self.reveal_button.clicked.connect(self._on_reveal)
        self.follow_box.toggled.connect(self.lines.set_follows)
        self.lines.following_changed.connect(self.follow_box.setChecked)
        self._show_finds()

    def _on_began(self) -> None:
        self._trouble = ""
        self.lines.renew()
        self.finder.again()
        self._show_counts()

    def _on_prepended(self, earlier: Prepended) -> None:
        self.lines.add_before(earlier.rows)
        self.finder.shift(earlier.blocks)
        self._shown_find = self.finder.current
        self._show_counts()

    def _on_appended(self) -> None:
        self._trouble = ""
        self.lines.add_behind()
        self.finder.look_at_last(len(self._text.blocks) - 1)
        self._show_counts()

    def _on_filter(self, _changed: object = None) -> None:
        level = (Level.ALL, Level.WARNINGS, Level.ERRORS)[self.level_box.currentIndex()]
        self._text.set_filter(level, with_chatter=self.routine_button.isChecked())
        self.lines.renew()
        self.finder.again()
        self._show_counts()

    def _show_all(self) -> None:
        self.level_box.setCurrentIndex(0)
        self.routine_button.setChecked(True)

    def _show_finds(self) -> None:
        finder = self.finder
        before = finder.current
        self.lines.mark(finder.words, before)
        has_words = bool(finder.words)
        for widget in (self._found, self.back_button, self.next_button):
            widget.setVisible(has_words)
        for button in (self.back_button, self.next_button):
            button.setEnabled(bool(finder.spots))
        if not finder.spots:
            text = self.tr("Searching…") if finder.is_searching else self.tr("Not found")
        else:
            count = fmt.count(len(finder.spots)) + ("+" if finder.is_cut else "")
            text = self.tr("{number} of {count}").format(
                number=fmt.count(finder.number), count=count
            )
        self._found.setText(text)
        if before is not None and before != self._shown_find:
            self.lines.show_row(self._text.row_of(before.block, before.line))
        self._shown_find = before

    def _take_runs(self, runs: list[LogRun]) -> None:
        self._runs = runs
        self._fill_runs()
        self._show_counts()
        # The look at the runs has taken the place of a look at the log.
        self.feed.read()

    def _fill_runs(self) -> None:
        wanted = [(self._run_text(run), run.id) for run in self._runs]
        if not any(run.id == self.feed.run for run in self._runs):
            wanted.insert(0, (self._run_text(None), self.feed.run))
        if wanted != [(self.run_box.itemText(n), self.run_box.itemData(n))
                      for n in range(self.run_box.count())]:  # fmt: skip
            self.run_box.clear()
            for text, run in wanted:
                self.run_box.addItem(text, run)
        self.run_box.setCurrentIndex([run for _, run in wanted].index(self.feed.run))

    def _run_text(self, run: LogRun | None) -> str:
        server = self.server
        if run is None or run.id == PRESENT:
            is_on = server is not None and server.state.has_process
            return self.tr("This run") if is_on else self.tr("Last run")
        when = clock(run.ended_at)
        if run.id == CRASH:
            return self.tr("Last crash, {time}").format(time=when)
        return self.tr("Run until {time}").format(time=when)

    def _on_run_chosen(self, index: int) -> None:
        run = str(self.run_box.itemData(index))
        if run != self.feed.run:
            self.lines.set_follows(run == PRESENT)
            self.feed.choose(run)

    def _show_counts(self) -> None:
        shown, lines = len(self._text), self._text.lines
        hidden = lines - shown
        is_routine = self.routine_button.isChecked()
        text = self.tr("1 line") if shown == 1 else self.tr("{} lines").format(fmt.count(shown))
        if self._trouble:
            text = self._trouble
        elif self.feed.missing_bytes:
            done = 1 - self.feed.missing_bytes / max(1, self.feed.total_bytes)
            text = self.tr("Reading, {percent}").format(percent=f"{done:.0%}")
        self.count.setText(text if lines or self._trouble else "")
        is_all = self.level_box.currentIndex() == 0
        self.routine_button.setVisible(is_all and (hidden > 0 or is_routine))
        if is_routine:
            self.routine_button.setText(self.tr("Hide routine"))
        else:
            self.routine_button.setText(self.tr("Show {} routine").format(fmt.count(hidden)))
        self.copy_button.setEnabled(shown > 0)
        self.reveal_button.setVisible(self._file() is not None)
        self._show_emptiness(shown, lines)

    def _show_emptiness(self, shown: int, lines: int) -> None:
        self._stack.setCurrentWidget(self.lines if shown else self.empty)
        if shown:
            return
        if lines:
            self.empty.show_message(
                icon="filter", title=self.tr("Nothing to show"),
                text=self.tr("The filter hides all {} lines.").format(fmt.count(lines)),
                button=self.tr("Show everything"),
            )  # fmt: skip
        elif self._trouble:
            self.empty.show_message(
                icon="triangle-alert", title=self.tr("The log cannot be read"), text=self._trouble
            )
        elif not self.feed.has_answer:
            self.empty.show_message(icon="loader", title=self.tr("Reading the log…"))
        else:
            self.empty.show_message(
                icon="file-text", title=self.tr("No log yet"),
                text=self.tr("It begins when the server is started."),
            )  # fmt: skip

    def _on_copy(self) -> None:
        if text := self.lines.selected_text():
            self._take_copy(text)
        else:
            # A million lines take a second.
            self.host.crew.run("copy-log", self._text.exporter(), self._take_copy)

    def _take_copy(self, text: str) -> None:
        QGuiApplication.clipboard().setText(text)
        self.copy_button.setIcon(icons.icon("check", theme().tokens.ok))
        QTimer.singleShot(_TOLD_MS, self, self._dress)

    def _file(self) -> Path | None:
        """Return the log's file when it is on this computer."""
        engine = self.mirror.engine
        if engine is None or "local_disk" not in engine.capabilities:
            return None
        for run in self._runs:
            if run.id == self.feed.run and Path(run.path).exists():
                return Path(run.path)
        return None

    def _on_reveal(self) -> None:
        file = self._file()
        if file is None:
            return
        if sys.platform == "darwin":
            QProcess.startDetached("open", ["-R", str(file)])
        else:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(file.parent)))

    def _dress(self) -> None:
        ink = theme().tokens.tx2
        for button, name in (
            (self.copy_button, "copy"), (self.reveal_button, "folder-open"),
            (self.back_button, "chevron-up"), (self.next_button, "chevron-down"),
        ):  # fmt: skip
            button.setIcon(icons.icon(name, ink))
