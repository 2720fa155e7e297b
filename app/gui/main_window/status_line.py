"""The line at the bottom of the window: the connection, the one address to use, the key."""

import time

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QWidget

from app.gui.mirror import LinkState, Mirror
from app.gui.theme import theme
from app.gui.widgets import icons


class StatusLine(QWidget):
    """Says whether the engine is there, and where programs reach the servers."""

    address_clicked = Signal()

    def __init__(self, mirror: Mirror, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._mirror = mirror
        self.setFixedHeight(30)
        self._dot = QLabel()
        self._state = QLabel()
        self._key_icon = QLabel()
        self._key = QLabel()
        self._address = QPushButton()
        self._address.setObjectName("statusAddress")
        self._address.setProperty("kind", "flat")
        self._address.setCursor(Qt.CursorShape.PointingHandCursor)
        self._address.clicked.connect(self.address_clicked)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(14, 0, 12, 0)
        layout.setSpacing(6)
        layout.addWidget(self._dot)
        layout.addWidget(self._state, 1)
        layout.addWidget(self._key_icon)
        layout.addWidget(self._key)
        layout.addSpacing(6)
        layout.addWidget(self._address)
        mirror.link_changed.connect(self._refresh)
        mirror.engine_changed.connect(self._refresh)
        mirror.place_changed.connect(self._refresh)
        theme().changed.connect(self._refresh)
        self._refresh()

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Paint the line above."""
        QPainter(self).fillRect(0, 0, self.width(), 1, theme().color("line"))

    def _refresh(self, _changed: object = None) -> None:
        t = theme()
        secondary = f"color: {t.tokens.tx2};"
        for label in (self._state, self._key):
            label.setFont(t.font("secondary"))
            label.setStyleSheet(secondary)
        self._address.setFont(t.font("secondary"))
        colour, text = self._link()
        self._dot.setPixmap(icons.pixmap("dot", t.color(colour).name(), 8, 2.0))
        self._state.setText(text)
        self._show_engine()

    def _link(self) -> tuple[str, str]:
        mirror = self._mirror
        match mirror.link:
            case LinkState.CONNECTING:
                return "warn", mirror.link_text or self.tr("Connecting to the engine…")
            case LinkState.NEEDS_KEY:
                return "warn", mirror.link_text
            case LinkState.STALE if mirror.engine is None:
                return "bad", self.tr("No engine")
            case LinkState.STALE:
                clock = time.strftime("%H:%M:%S", time.localtime(mirror.stale_since))
                return "bad", self.tr("Not connected. Figures are from {}.").format(clock)
            case LinkState.LIVE:
                engine = mirror.engine
                name = engine.machine.name if engine is not None else ""
                chip = engine.machine.chip if engine is not None else ""
                if mirror.place:
                    return "ok", self.tr("Remote engine on {} · {}").format(name, chip)
                return "ok", self.tr("Engine running on {} · {}").format(name, chip)

    def _show_engine(self) -> None:
        engine = self._mirror.engine
        t = theme()
        for widget in (self._address, self._key, self._key_icon):
            widget.setVisible(engine is not None)
        if engine is None:
            return
        # Fusion puts 4 px between icon and text; two thin spaces make it look like one thing.
        self._address.setText(f"\u2009\u2009{engine.gateway_url}/v1")
        self._address.setIcon(icons.icon("copy", t.color("tx2"), 14))
        tip = self.tr("Programs reach all servers here. Click to copy.")
        self._address.setToolTip(f"{tip}\n{engine.gateway_note}".strip())
        self._address.setAccessibleName(self.tr("Copy the address {}").format(engine.gateway_url))
        if engine.key_required:
            icon, colour, text = "lock", "tx2", self.tr("Key required")
        elif engine.open_bind:
            icon, colour, text = "triangle-alert", "bad", self.tr("Open to the network, no key")
        elif self._mirror.place:
            # It listens to its own computer alone; a tunnel or a proxy let us in.
            icon, colour, text = "lock-open", "tx2", self.tr("No key")
        else:
            icon, colour, text = "lock-open", "tx2", self.tr("This computer only, no key")
        self._key_icon.setPixmap(icons.pixmap(icon, t.color(colour).name(), 13, 2.0))
        self._key.setText(text)
        self._key.setStyleSheet(f"color: {getattr(t.tokens, colour)};")
