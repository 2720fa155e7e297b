"""The facts of a server: what runs, where, since when, and what its profile changes."""

import time

from PySide6.QtCore import QSize, Qt, QTimer
from PySide6.QtGui import QGuiApplication, QPainter, QPaintEvent
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QPushButton, QWidget

from app.gui import format as fmt
from app.gui.inspector.server.words import clock
from app.gui.mirror import Mirror
from app.gui.theme import theme
from app.gui.widgets import icons
from app.gui.widgets.card import paint_card
from app.gui.widgets.elided_label import ElidedLabel
from app.wire.nouns import EngineInfo, Profile, Server
from app.wire.options import value_text

_PAD = 14
_TOLD_MS = 1600
_COPIED = frozenset({"Address", "Model"})


class FactsCard(QWidget):
    """Rows of a name and a value. A row without a value is hidden."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(_PAD, _PAD - 2, _PAD, _PAD - 2)
        self._grid.setHorizontalSpacing(16)
        self._grid.setVerticalSpacing(6)
        self._grid.setColumnStretch(1, 1)
        self._values: dict[str, ElidedLabel | QLabel] = {}
        self._widgets: dict[str, list[QWidget]] = {}
        self._copies: list[QPushButton] = []
        theme().changed.connect(self._dress)

    def show_facts(self, mirror: Mirror, server_id: str) -> None:
        """Show what is known now."""
        server, profile = mirror.servers.get(server_id), mirror.profiles.get(server_id)
        rows = facts(mirror.engine, server, profile)
        for name, value in rows:
            if name not in self._values:
                self._add(name)
            label = self._values[name]
            if label.text() != value:
                label.setText(value)
            for widget in self._widgets[name]:
                widget.setVisible(bool(value))

    def text(self) -> str:
        """Return all rows that are shown, a line each."""
        return "\n".join(f"{name}: {v.text()}" for name, v in self._values.items() if v.text())

    def paintEvent(self, _event: QPaintEvent) -> None:
        paint_card(QPainter(self), self)

    def _add(self, name: str) -> None:
        t, row = theme(), self._grid.rowCount()
        title = QLabel(name, self)
        title.setObjectName("emptyText")
        title.setFont(t.font("secondary"))
        # Beside a button the line is higher than its text.
        side = Qt.AlignmentFlag.AlignVCenter if name in _COPIED else Qt.AlignmentFlag.AlignTop
        self._grid.addWidget(title, row, 0, side)
        if name in _COPIED:
            value: ElidedLabel | QLabel = ElidedLabel(
                t.font("secondary"), elide=Qt.TextElideMode.ElideMiddle, parent=self
            )
            line = QHBoxLayout()
            line.setContentsMargins(0, 0, 0, 0)
            line.setSpacing(6)
            button = self._copy_button(name, value)
            line.addWidget(value, 1)
            line.addWidget(button)
            self._grid.addLayout(line, row, 1)
            self._widgets[name] = [title, value, button]
        else:
            value = QLabel(self)
            value.setFont(t.font("secondary"))
            value.setTextFormat(Qt.TextFormat.PlainText)
            value.setWordWrap(True)
            value.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            self._grid.addWidget(value, row, 1)
            self._widgets[name] = [title, value]
        self._values[name] = value
        self._dress()

    def _copy_button(self, name: str, value: QWidget) -> QPushButton:
        button = QPushButton(self)
        button.setProperty("kind", "flat")
        button.setFixedSize(28, 26)
        button.setIconSize(QSize(14, 14))
        tip = self.tr("Copy {}").format(name.lower())
        button.setToolTip(tip)
        button.setAccessibleName(tip)

        def copy() -> None:
            if isinstance(value, ElidedLabel):
                QGuiApplication.clipboard().setText(value.text())
                button.setIcon(icons.icon("check", theme().tokens.ok))
                QTimer.singleShot(_TOLD_MS, self, self._dress)

        button.clicked.connect(copy)
        self._copies.append(button)
        return button

    def _dress(self) -> None:
        t = theme()
        for button in self._copies:
            button.setIcon(icons.icon("copy", t.tokens.tx2))
        for value in self._values.values():
            if isinstance(value, ElidedLabel):
                value.set_colour(t.color("tx"))
        self.update()


def facts(
    engine: EngineInfo | None, server: Server | None, profile: Profile | None
) -> list[tuple[str, str]]:
    """Return name and value of each fact; an empty value where there is none now."""
    model = server.model if server else profile.model if profile else ""
    is_on = server is not None and server.state.has_process
    now = time.time()
    started = ""
    if server is not None and is_on and server.started_at:
        ago = fmt.duration(now - server.started_at)
        started = f"{clock(server.started_at)}, {ago} ago"
    port = f"{server.port}, for the gateway only" if server is not None and server.port else ""
    failure = server.failure if server is not None else None
    return [
        ("Profile", profile.name if profile else "Deleted; it runs until it is stopped"),
        ("Model", model),
        ("Address", f"{engine.gateway_url}/v1" if engine else ""),
        ("Own port", port if is_on else ""),
        ("Process", str(server.pid) if server is not None and is_on and server.pid else ""),
        ("Started", started),
        ("Restarts", str(server.restarts) if server is not None and is_on else ""),
        ("Last trouble", f"{failure.message} {failure.hint}".strip() if failure else ""),
        ("Options", "\n".join(changed_options(engine, profile))),
        ("At next start", "\n".join(server.pending) if server is not None else ""),
        ("Runs on", _runtime(engine, profile)),
    ]


def changed_options(engine: EngineInfo | None, profile: Profile | None) -> list[str]:
    """Return a line for each option that is not as the runtime would have it."""
    if engine is None or profile is None:
        return []
    tables = [runtime.options for runtime in engine.runtimes if runtime.id == profile.runtime]
    rows = {option.name: option for table in tables for option in table}
    lines = [
        f"{rows[name].label}: {value_text(rows[name], value)}"
        for name, value in profile.options.items()
        if name in rows and value != rows[name].default
    ]
    return lines or ["All as usual"]


def _runtime(engine: EngineInfo | None, profile: Profile | None) -> str:
    if engine is None or profile is None:
        return ""
    named = [f"{r.name} {r.version}" for r in engine.runtimes if r.id == profile.runtime]
    return named[0] if named else profile.runtime
