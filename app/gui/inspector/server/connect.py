"""The Connect tab: address, model and key for other programs, and ready snippets for them."""

from collections.abc import Callable

from PySide6.QtCore import QSize, Qt, QTimer
from PySide6.QtGui import QFontDatabase, QGuiApplication, QPainter, QPaintEvent
from PySide6.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from app.gui.inspector.server.page_scroll import PageScroll
from app.gui.inspector.server.tab import Host, Tab
from app.gui.inspector.server.words import is_serving
from app.gui.theme import theme
from app.gui.widgets import icons
from app.gui.widgets.button_icon import set_button_icon
from app.gui.widgets.card import paint_card
from app.gui.widgets.elided_label import ElidedLabel
from app.gui.widgets.pop_up import PopUp
from app.wire.errors import AppError
from app.wire.keys import NewKey
from app.wire.snippets import HIDDEN_KEY, Target, snippets

_PAD = 14
_TOLD_MS = 1600
_FONT_PIXELS = 12
_LEADING = 4


class ConnectTab(Tab):
    """A key is shown only while the user wants to see it; what is copied has it."""

    def __init__(self, host: Host, server_id: str) -> None:
        super().__init__(host, server_id)
        self._made_key: str | None = None
        self._shows_key = False
        self._trouble = ""
        self._build()
        self._lay_out()
        self.key_button.clicked.connect(self._on_key_clicked)
        self.make_button.clicked.connect(self._on_make_clicked)
        self.program.currentIndexChanged.connect(self.refresh)
        self.copy_button.clicked.connect(self._on_copy)
        self.mirror.engine_changed.connect(self.refresh)
        theme().changed.connect(self._dress)
        self._dress()
        self.refresh()

    def refresh(self, _changed: object = None) -> None:
        target, engine = self._target(), self.mirror.engine
        self.rows["url"].setText(target.base_url)
        self.rows["model"].setText(target.model)
        is_needed = engine is not None and engine.key_required
        self.rows["key"].setText(self._key_text(is_needed=is_needed))
        has_key = is_needed and self._key is not None
        self.key_button.setVisible(has_key)
        self.key_button.setToolTip(self.tr("Hide key") if self._shows_key else self.tr("Show key"))
        self.key_button.setAccessibleName(self.key_button.toolTip())
        self.copies["key"].setVisible(has_key)
        self.make_button.setVisible(is_needed and not has_key)
        self.make_button.setEnabled(self.can_ask)
        self.state.setText(self._trouble or self._state_text())
        self.state.setVisible(bool(self.state.text()))
        found = snippets(self._shown(target))[max(0, self.program.currentIndex())]
        if self.snippet.toPlainText() != found.text:
            self.snippet.setPlainText(found.text)
            self._fit_snippet()
        tested = (
            self.tr("Tested with {}.").format(found.tested)
            if found.tested
            else (self.tr("Not tested with this app."))
        )
        self.note.setText(f"{found.note.rstrip('.')}. {tested}")
        self._dress()

    def focus_first(self) -> None:
        self.program.setFocus()

    def show_trouble(self, error: AppError) -> None:
        self._trouble = f"{error.message} {error.hint}".strip()
        self.refresh()

    @property
    def _key(self) -> str | None:
        """The key that the user's own programs can use, as far as this app knows one."""
        connection = self.host.connection
        known = connection.shown_key if connection is not None else None
        return known or self._made_key

    def _target(self) -> Target:
        engine, server, profile = self.mirror.engine, self.server, self.profile
        name = profile.name if profile else self.server_id
        if server is not None and (profile is None or server.state.serves):
            # The name that it was started with; a new one counts from the next start on.
            name = server.name
        is_needed = engine is not None and engine.key_required
        return Target(
            self.mirror.base_url(self.server_id), name, (self._key or "") if is_needed else None
        )

    def _shown(self, target: Target) -> Target:
        """Return the target as it may be shown."""
        if target.key is None or self._shows_key:
            return target
        return Target(target.base_url, target.model, HIDDEN_KEY)

    def _key_text(self, *, is_needed: bool) -> str:
        if not is_needed:
            return self.tr("Not needed")
        if self._key is None:
            return self.tr("Needed; this app knows none")
        return self._key if self._shows_key else HIDDEN_KEY

    def _state_text(self) -> str:
        engine = self.mirror.engine
        if engine is not None and engine.gateway_note:
            return engine.gateway_note
        if note := self.mirror.port_note(self.server_id):
            return self.tr("{} The address above is the common one.").format(note)
        if self.mirror.is_stale:
            return self.tr("The engine does not answer.")
        if is_serving(self.server):
            return ""
        profile = self.profile
        if profile is not None and profile.policy.get("start_on_request") is True:
            return self.tr("It is not running; the first request starts it.")
        return self.tr("It is not running. Start it before a program asks for it.")

    def _build(self) -> None:
        t = theme()
        self.state = QLabel(self)
        self.state.setObjectName("emptyText")
        self.state.setFont(t.font("secondary"))
        self.state.setWordWrap(True)
        self.rows: dict[str, ElidedLabel] = {}
        self.copies: dict[str, QPushButton] = {}
        for name in ("url", "model", "key"):
            self.rows[name] = ElidedLabel(
                t.font("body"), elide=Qt.TextElideMode.ElideMiddle, parent=self
            )
            self.copies[name] = self._icon_button()
        self.copies["url"].setToolTip(self.tr("Copy the address"))
        self.copies["model"].setToolTip(self.tr("Copy the name of the model"))
        self.copies["key"].setToolTip(self.tr("Copy the key"))
        for name, button in self.copies.items():
            button.setAccessibleName(button.toolTip())
            button.clicked.connect(_copier(self, name))
        self.key_button = self._icon_button()
        self.make_button = QPushButton(self.tr("Make a key"), self)
        self.make_button.setToolTip(
            self.tr("Makes a named key; it can be seen here until you leave this page")
        )
        self.program = PopUp(self)
        self.program.setAccessibleName(self.tr("Program"))
        for found in snippets(Target("", "")):
            self.program.addItem(found.name)
        self.copy_button = QPushButton(self.tr("Copy"), self)
        self.snippet = QPlainTextEdit(self)
        self.snippet.setObjectName("snippet")
        self.snippet.setReadOnly(True)
        self.snippet.setTabChangesFocus(True)
        self.snippet.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.snippet.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.snippet.setAccessibleName(self.tr("Snippet"))
        font = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
        font.setPixelSize(_FONT_PIXELS)
        self.snippet.setFont(font)
        self.note = QLabel(self)
        self.note.setObjectName("emptyText")
        self.note.setFont(t.font("secondary"))
        self.note.setWordWrap(True)
        self.note.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)

    def _icon_button(self) -> QPushButton:
        button = QPushButton(self)
        button.setProperty("kind", "flat")
        button.setFixedSize(28, 26)
        button.setIconSize(QSize(15, 15))
        return button

    def _lay_out(self) -> None:
        card = _Card(self)
        grid = QGridLayout(card)
        grid.setContentsMargins(_PAD, 8, 8, 8)
        grid.setHorizontalSpacing(12)
        grid.setVerticalSpacing(4)
        grid.setColumnStretch(1, 1)
        names = {"url": self.tr("Base URL"), "model": self.tr("Model"), "key": self.tr("API key")}
        for row, (name, text) in enumerate(names.items()):
            label = QLabel(text, card)
            label.setObjectName("emptyText")
            label.setFont(theme().font("secondary"))
            buttons = QHBoxLayout()
            buttons.setSpacing(2)
            if name == "key":
                buttons.addWidget(self.make_button)
                buttons.addWidget(self.key_button)
            buttons.addWidget(self.copies[name])
            grid.addWidget(label, row, 0)
            grid.addWidget(self.rows[name], row, 1)
            grid.addLayout(buttons, row, 2, Qt.AlignmentFlag.AlignRight)
            grid.setRowMinimumHeight(row, 28)
        chooser = QHBoxLayout()
        chooser.setSpacing(8)
        chooser.addWidget(self.program, 1)
        chooser.addWidget(self.copy_button)
        scroll = PageScroll(self)
        inside = scroll.column
        for part in (self.state, card, chooser, self.snippet, self.note):
            if isinstance(part, QWidget):
                inside.addWidget(part)
            else:
                inside.addSpacing(8)
                inside.addLayout(part)
        inside.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(scroll)

    def _fit_snippet(self) -> None:
        lines = self.snippet.blockCount()
        metrics = self.snippet.fontMetrics()
        # Room for the bar at the bottom, which comes and goes with the length of the lines.
        self.snippet.setFixedHeight(lines * metrics.lineSpacing() + 40 + _LEADING)

    def _on_key_clicked(self) -> None:
        self._shows_key = not self._shows_key
        self.refresh()

    def _on_make_clicked(self) -> None:
        name = self._target().model[:60]
        self.ask("make-key", lambda api: api.create_key(name), self._take_key)

    def _take_key(self, made: NewKey) -> None:
        self._trouble = ""
        self._made_key = made.secret
        self._shows_key = True
        self.refresh()

    def copy_row(self, name: str) -> None:
        """Put one of the facts on the clipboard."""
        target = self._target()
        text = {"url": target.base_url, "model": target.model, "key": target.key or ""}[name]
        QGuiApplication.clipboard().setText(text)
        self.copies[name].setIcon(icons.icon("check", theme().tokens.ok))
        QTimer.singleShot(_TOLD_MS, self, self._dress)

    def _on_copy(self) -> None:
        found = snippets(self._target())[max(0, self.program.currentIndex())]
        QGuiApplication.clipboard().setText(found.text)
        set_button_icon(self.copy_button, "check", theme().tokens.ok)
        QTimer.singleShot(_TOLD_MS, self, self._dress)

    def _dress(self) -> None:
        t = theme()
        for row in self.rows.values():
            row.set_colour(t.color("tx"))
        for button in self.copies.values():
            button.setIcon(icons.icon("copy", t.tokens.tx2))
        eye = "eye-off" if self._shows_key else "eye"
        self.key_button.setIcon(icons.icon(eye, t.tokens.tx2))
        set_button_icon(self.copy_button, "copy", t.tokens.tx)
        has_key = self._target().key and not self._shows_key
        tip = self.tr("Copy it, with the key in clear") if has_key else self.tr("Copy it")
        self.copy_button.setToolTip(tip)


class _Card(QWidget):
    """A rounded ground."""

    def paintEvent(self, _event: QPaintEvent) -> None:
        paint_card(QPainter(self), self)


def _copier(tab: ConnectTab, name: str) -> Callable[[], None]:
    return lambda: tab.copy_row(name)
