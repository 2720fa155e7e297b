"""The Try tab: a conversation with the server through the gateway, as any program has it."""

import time

from PySide6.QtCore import QEvent, QSize, Qt, QTimer
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
)

from app.gui.guarded import guarded
from app.gui.inspector.server.conversation import Conversation
from app.gui.inspector.server.page_scroll import SIDE, PageScroll
from app.gui.inspector.server.prompt_field import PromptField
from app.gui.inspector.server.rule import Rule
from app.gui.inspector.server.tab import Host, Tab
from app.gui.inspector.server.turn import Turn
from app.gui.inspector.server.words import is_serving
from app.gui.theme import theme
from app.gui.widgets import icons
from app.gui.widgets.button_icon import set_button_icon
from app.gui.widgets.empty_state import EmptyState
from app.gui.widgets.switch import Switch
from app.gui.workers.chat import ChatEnd, ChatPiece, ChatRequest, ChatWorker
from app.wire.errors import AppError
from app.wire.nouns import ServerState

_DRAW_MS = 40
_SHARE = 0.25
"""Of the window's time that drawing a long answer may take while it comes."""


class TryTab(Tab):
    """Turns live as long as the page; nothing of them is written down unless that is asked for."""

    def __init__(self, host: Host, server_id: str) -> None:
        super().__init__(host, server_id)
        self.turns: list[Turn] = []
        self._worker: ChatWorker | None = None
        engine = host.mirror.engine
        self._memory = Conversation(engine, server_id) if engine is not None else None
        self._follows = True
        self._draw_timer = QTimer(self)
        self._draw_timer.setSingleShot(True)
        self._draw_timer.timeout.connect(self._draw)
        self._draw_ms = _DRAW_MS
        self._build()
        self._lay_out()
        self.prompt.sent.connect(self.send)
        self.prompt.textChanged.connect(self.refresh)
        self.send_button.clicked.connect(self._on_send_clicked)
        self.start_button.clicked.connect(self._on_start)
        self.clear_button.clicked.connect(self.clear)
        self.empty.button_clicked.connect(self._on_start)
        for field in (self.temperature, self.longest):
            field.textChanged.connect(self.refresh)
        bar = self._scroll.verticalScrollBar()
        bar.rangeChanged.connect(self._keep_end)
        bar.actionTriggered.connect(self._on_user_scroll)
        theme().changed.connect(self._dress)
        self._dress()
        self._recall()
        self.remember.toggled.connect(self._remember)
        self.refresh()

    @property
    def is_answering(self) -> bool:
        """True while an answer comes."""
        return self._worker is not None

    def focus_first(self) -> None:
        self.prompt.setFocus()

    def refresh(self) -> None:
        server = self.server
        runs = is_serving(server) and not self.mirror.is_stale
        starts = server is not None and server.state in (
            ServerState.STARTING, ServerState.BACKING_OFF,
        )  # fmt: skip
        self._stack.setCurrentWidget(self._scroll if self.turns else self.empty)
        self._show_emptiness(runs=runs, starts=starts)
        self.prompt.setEnabled(runs)
        self.prompt.setPlaceholderText(
            self.tr("Ask {name} something").format(name=self._name()) if runs
            else self.tr("The engine does not answer") if self.mirror.is_stale
            else self.tr("{name} is not running").format(name=self._name())
        )  # fmt: skip
        can_start = not runs and not self.mirror.is_stale
        self.start_button.setVisible(can_start and bool(self.turns))
        self.start_button.setEnabled(not starts)
        has_text = bool(self.prompt.toPlainText().strip())
        is_fine = self._number(self.temperature, 0, 5) is not False
        is_fine = is_fine and self._number(self.longest, 1, 1_000_000) is not False
        self.send_button.setEnabled(self.is_answering or (runs and has_text and is_fine))
        self.clear_button.setEnabled(bool(self.turns) and not self.is_answering)
        self._dress()

    def send(self) -> None:
        """Ask what is in the field."""
        text = self.prompt.toPlainText().strip()
        connection, engine = self.host.connection, self.mirror.engine
        if self.is_answering or not text or not self.send_button.isEnabled():
            return
        if connection is None or engine is None:
            return
        temperature = self._number(self.temperature, 0, 5)
        longest = self._number(self.longest, 1, 1_000_000)
        request = ChatRequest(
            engine.gateway_url,
            connection.key,
            self._name(),
            (*self._said(), ("user", text)),
            None if temperature is None else float(temperature),
            None if longest is None else int(longest),
        )
        self._add(Turn(text, self))
        self.prompt.clear()
        self._follows = True
        worker = ChatWorker(request)
        worker.received.connect(self._take)
        worker.succeeded.connect(self._on_end)
        worker.failed.connect(self._on_failed)
        # The page may be left in the middle of an answer, which nobody wants any more then.
        self.destroyed.connect(worker.cancel)
        self._worker = worker
        self.host.crew.start(worker)
        self.refresh()

    def _add(self, turn: Turn) -> None:
        self.turns.append(turn)
        self._column.insertWidget(self._column.count() - 1, turn)

    def _recall(self) -> None:
        """Show what is remembered; a small file, and only for those who asked for it."""
        past = self._memory.read() if self._memory is not None else None
        self.remember.setEnabled(self._memory is not None)
        self.remember.setChecked(past is not None)
        for one in past or ():
            turn = Turn(one.question, self)
            turn.recall(one)
            self._add(turn)

    def _remember(self) -> None:
        """Keep the conversation on the disk as it stands, or nothing of it."""
        if self._memory is None:
            return
        is_wanted = self.remember.isChecked()
        self._memory.want([turn.past() for turn in self.turns] if is_wanted else None)
        self.host.crew.run("remember", self._memory.store, None, self._on_not_stored)
        self.refresh()

    def _on_not_stored(self, error: AppError) -> None:
        self._remember_label.setText(error.message)

    def cancel(self) -> None:
        """Hang up; what has come stays."""
        if self._worker is not None:
            self._worker.cancel()

    def leave(self) -> None:
        self.cancel()

    def clear(self) -> None:
        """Forget all turns."""
        if self.is_answering:
            return
        for turn in self.turns:
            self._column.removeWidget(turn)
            turn.deleteLater()
        self.turns = []
        if self.remember.isChecked():
            self._remember()
        self.refresh()
        self.prompt.setFocus()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape and self.is_answering:
            self.cancel()
        else:
            super().keyPressEvent(event)

    @guarded(False)
    def event(self, event: QEvent) -> bool:
        # While an answer comes, Esc is ours, not the window's.
        if (
            event.type() == QEvent.Type.ShortcutOverride
            and isinstance(event, QKeyEvent)
            and event.key() == Qt.Key.Key_Escape
            and self.is_answering
        ):
            event.accept()
            return True
        return super().event(event)

    def _build(self) -> None:
        self.empty = EmptyState(self)
        self.prompt = PromptField(self)
        self.prompt.setAccessibleName(self.tr("Question"))
        self.send_button = QPushButton(self)
        self.send_button.setProperty("kind", "primary")
        self.start_button = QPushButton(self.tr("Start"), self)
        self.start_button.setProperty("kind", "primary")
        self.clear_button = QPushButton(self)
        self.clear_button.setProperty("kind", "flat")
        self.clear_button.setFixedSize(28, 28)
        self.clear_button.setIconSize(QSize(16, 16))
        self.clear_button.setToolTip(self.tr("Forget this conversation"))
        self.clear_button.setAccessibleName(self.tr("Forget this conversation"))
        self.remember = Switch(self)
        self._remember_label = QLabel(self.tr("Remember this conversation"), self)
        self._remember_label.setObjectName("emptyText")
        self._remember_label.setFont(theme().font("label"))
        self._remember_label.setBuddy(self.remember)
        self.remember.setAccessibleName(self._remember_label.text())
        self.remember.setToolTip(
            self.tr("Keeps it on this computer's disk until you switch this off or forget it.")
        )
        self.temperature = self._option(self.tr("Temperature"), 50)
        self.longest = self._option(self.tr("Longest answer"), 60)
        self.temperature.setToolTip(
            self.tr("How freely it chooses its words, from 0 to 5. Empty is what the profile says.")
        )
        self.longest.setToolTip(self.tr("In tokens. Empty is what the profile says."))
        self._scroll = PageScroll(self, top=4, spacing=18)
        self._column = self._scroll.column
        self._column.addStretch(1)

    def _option(self, name: str, width: int) -> QLineEdit:
        field = QLineEdit(self)
        field.setFixedWidth(width)
        field.setPlaceholderText(self.tr("auto"))
        field.setAccessibleName(name)
        field.setFont(theme().font("secondary"))
        return field

    def _lay_out(self) -> None:
        self._stack = QStackedWidget(self)
        self._stack.addWidget(self.empty)
        self._stack.addWidget(self._scroll)
        options = QHBoxLayout()
        options.setSpacing(6)
        for field in (self.temperature, self.longest):
            label = QLabel(field.accessibleName(), self)
            label.setObjectName("emptyText")
            label.setFont(theme().font("label"))
            label.setBuddy(field)
            options.addWidget(label)
            options.addWidget(field)
            options.addSpacing(6)
        options.addStretch(1)
        keeps = QHBoxLayout()
        keeps.setSpacing(6)
        keeps.addWidget(self.remember)
        keeps.addWidget(self._remember_label, 1)
        keeps.addWidget(self.clear_button)
        asks = QHBoxLayout()
        asks.setSpacing(8)
        asks.addWidget(self.prompt, 1)
        asks.addWidget(self.start_button, 0, Qt.AlignmentFlag.AlignBottom)
        asks.addWidget(self.send_button, 0, Qt.AlignmentFlag.AlignBottom)
        foot = QVBoxLayout()
        foot.setContentsMargins(SIDE, 10, SIDE, 12)
        foot.setSpacing(8)
        foot.addLayout(asks)
        foot.addLayout(options)
        foot.addLayout(keeps)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self._stack, 1)
        column.addWidget(Rule(self))
        column.addLayout(foot)

    def _show_emptiness(self, *, runs: bool, starts: bool) -> None:
        name = self._name()
        if runs:
            self.empty.show_message(
                icon="message-square",
                title=self.tr("Try {name}").format(name=name),
                text=self.tr("Your question takes the way that any program's takes. {end}").format(
                    end=self.tr("The conversation is kept until you forget it.")
                    if self.remember.isChecked()
                    else self.tr("The conversation is forgotten when you leave this page.")
                ),
            )
        elif self.mirror.is_stale:
            self.empty.show_message(
                icon="wifi-off",
                title=self.tr("The engine does not answer"),
                text=self.tr("You can ask again as soon as it does."),
            )
        elif starts:
            self.empty.show_message(
                icon="loader",
                title=self.tr("{name} is starting").format(name=name),
                text=self.tr("You can ask as soon as the model is in memory."),
            )
        else:
            self.empty.show_message(
                icon="play",
                title=self.tr("{name} is not running").format(name=name),
                text=self.tr("Start it to ask it something."),
                button=self.tr("Start"),
            )

    def _name(self) -> str:
        """Return what programs call this server: the name that it was started with."""
        server, profile = self.server, self.profile
        return server.name if server else profile.name if profile else self.server_id

    def _said(self) -> tuple[tuple[str, str], ...]:
        """Return the turns so far, without reasoning and without those that failed."""
        said: list[tuple[str, str]] = []
        for turn in self.turns:
            if answer := turn.spoken().answer:
                said += [("user", turn.question), ("assistant", answer)]
        return tuple(said)

    def _number(self, field: QLineEdit, least: float, most: float) -> float | bool | None:
        """Return the number in a field, None when it is empty, False when it is none."""
        text = field.text().strip().replace(",", ".")
        if not text:
            return None
        try:
            value = float(text)
        except ValueError:
            return False
        return value if least <= value <= most else False

    def _take(self, piece: ChatPiece) -> None:
        if self.turns:
            self.turns[-1].take(piece)
            if not self._draw_timer.isActive():
                self._draw_timer.start(self._draw_ms)

    def _draw(self) -> None:
        if not self.turns or not self.isVisible():
            return
        begin = time.monotonic()
        self.turns[-1].draw()
        # Long answers are laid out as a whole each time; then more rarely.
        took_ms = (time.monotonic() - begin) * 1000
        self._draw_ms = round(max(_DRAW_MS, took_ms / _SHARE))

    def _on_end(self, end: ChatEnd) -> None:
        self._worker = None
        self.turns[-1].finish(end)
        self._on_turn_ended()

    def _on_failed(self, error: AppError) -> None:
        self._worker = None
        self.turns[-1].fail(error)
        self._on_turn_ended()

    def _on_turn_ended(self) -> None:
        if self.remember.isChecked():
            self._remember()
        self.refresh()

    def _on_send_clicked(self) -> None:
        if self.is_answering:
            self.cancel()
        else:
            self.send()
        self.prompt.setFocus()

    def _on_start(self) -> None:
        self.host.start(self.server_id)

    def _on_user_scroll(self, _action: int) -> None:
        bar = self._scroll.verticalScrollBar()
        self._follows = bar.sliderPosition() >= bar.maximum() - 4

    def _keep_end(self, _least: int, most: int) -> None:
        if self._follows:
            self._scroll.verticalScrollBar().setValue(most)

    def _dress(self) -> None:
        if self.is_answering:
            self.send_button.setText(self.tr("Cancel"))
            self.send_button.setToolTip(self.tr("Stop the answer (Esc)"))
            set_button_icon(self.send_button, "square", theme().tokens.on_fill)
        else:
            self.send_button.setText(self.tr("Send"))
            self.send_button.setToolTip(self.tr("Send (Return)"))
            is_on = self.send_button.isEnabled()
            ink = theme().tokens.on_fill if is_on else theme().tokens.tx3
            set_button_icon(self.send_button, "arrow-up", ink)
        self.clear_button.setIcon(icons.icon("trash-2", theme().tokens.tx2))
