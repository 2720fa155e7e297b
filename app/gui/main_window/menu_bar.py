"""The menu-bar extra: every server with its state, start and stop, without the window."""

import sys
from collections.abc import Callable, Iterable
from enum import Enum
from functools import partial
from typing import Final

from PySide6.QtCore import (
    QCoreApplication,
    QObject,
    QPointF,
    QRectF,
    Qt,
    QTimer,
    Signal,
    SignalInstance,
)
from PySide6.QtGui import QAction, QColor, QIcon, QPainter, QPen, QPixmap
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QMenu, QSystemTrayIcon

from app import paths
from app.gui import format as fmt
from app.gui.mirror import LinkState, Mirror
from app.gui.models.server_state import status
from app.gui.panels.tile_text import no_engine
from app.wire.nouns import Server, ServerState

IS_MAC: Final = sys.platform == "darwin"
_SIZE: Final = 18
"""Points; the menu bar of macOS is 24 high."""
_WIDTH: Final = 300
_RECENT: Final = 5
_TROUBLE: Final = (ServerState.FAILED, ServerState.STALLED, ServerState.BACKING_OFF)


def _tr(text: str) -> str:
    return QCoreApplication.translate("menu_bar", text)


class Mark(Enum):
    """What the icon adds to the app's sign: shapes, since it has no colour on macOS."""

    NONE = "none"
    STARTING = "ring"
    SERVING = "dot"
    TROUBLE = "stroke"


class MenuBarExtra(QObject):
    """An icon in the menu bar, or in the tray on Linux, with a menu that lives while it is open."""

    open_requested = Signal()
    settings_requested = Signal()
    quit_requested = Signal()
    start_requested = Signal(object)  # str, the id of a profile
    stop_requested = Signal(object)  # str
    restart_requested = Signal(object)  # str
    log_requested = Signal(object)  # str

    def __init__(
        self, mirror: Mirror, recent: Callable[[], Iterable[str]], parent: QObject | None = None
    ) -> None:
        """Watch a mirror; `recent` tells the ids of profiles that were used, the last one first."""
        super().__init__(parent)
        self._mirror = mirror
        self._recent = recent
        self._mark = Mark.NONE
        self._is_open = False
        self._servers: dict[str, ServerMenu] = {}
        self._starts: list[QAction] = []
        self._late = QTimer(self)
        self._late.setSingleShot(True)
        self._late.timeout.connect(self._refresh_rest)
        self.tray: QSystemTrayIcon | None = None
        self.menu = QMenu()
        # Figures come and go while it is open; its edge stays where it is.
        self.menu.setMinimumWidth(_WIDTH)
        self.destroyed.connect(self.menu.deleteLater)
        self._summary = self.menu.addAction("")
        self._summary.setEnabled(False)
        self.menu.addSeparator()
        self._after_servers = self.menu.addSeparator()
        self._after_starts = self.menu.addSeparator()
        self._add(self.tr("Open MLX Model Manager"), self.open_requested)
        self._add(self.tr("Settings…"), self.settings_requested)
        self.menu.addSeparator()
        self._add(self.tr("Quit"), self.quit_requested)
        self.menu.aboutToShow.connect(self._on_open)
        self.menu.aboutToHide.connect(self._on_closed)
        mirror.server_changed.connect(self._on_server_changed)
        mirror.server_removed.connect(self._refresh)
        mirror.profiles_changed.connect(self._refresh)
        mirror.link_changed.connect(self._refresh)
        mirror.sampled.connect(self._on_sampled)
        self._refresh()

    @property
    def is_shown(self) -> bool:
        """True while the icon is there."""
        return self.tray is not None and self.tray.isVisible()

    def set_shown(self, *, shown: bool) -> None:
        """Show or remove the icon; without a tray on this desktop nothing happens."""
        if shown and self.tray is None and QSystemTrayIcon.isSystemTrayAvailable():
            self.tray = QSystemTrayIcon(self)
            self.tray.setContextMenu(self.menu)
            self.tray.activated.connect(self._on_activated)
            self.tray.messageClicked.connect(self.open_requested)
            self._show_mark()
        if self.tray is not None:
            self.tray.setVisible(shown)

    def _add(self, text: str, signal: SignalInstance) -> None:
        action = self.menu.addAction(text)
        # No role: macOS would move Quit and Settings out of this menu.
        action.setMenuRole(QAction.MenuRole.NoRole)
        action.triggered.connect(lambda _checked=False: signal.emit())

    def _on_activated(self, reason: QSystemTrayIcon.ActivationReason) -> None:
        # On macOS a click opens the menu.
        if not IS_MAC and reason is QSystemTrayIcon.ActivationReason.Trigger:
            self.open_requested.emit()

    def _on_open(self) -> None:
        self._refresh()
        self._is_open = True

    def _on_closed(self) -> None:
        self._is_open = False
        self._refresh()

    def _on_sampled(self, _samples: object) -> None:
        if self._is_open:
            self._refresh_servers()
            self._show_summary()

    def _on_server_changed(self, server: Server) -> None:
        self._show_server(server)
        # Many servers may change at once, and the rest looks at all of them each time.
        self._late.start(0)

    def _refresh(self, _changed: object = None) -> None:
        self._refresh_servers()
        self._refresh_rest()

    def _refresh_rest(self) -> None:
        self._show_summary()
        # Under the pointer nothing may appear or go.
        if not self._is_open:
            self._refresh_starts()
        mark = mark_for(self._mirror)
        if mark is not self._mark:
            self._mark = mark
            self._show_mark()

    def _refresh_servers(self) -> None:
        servers = self._mirror.servers
        for server_id in [i for i in self._servers if i not in servers]:
            if self._is_open:
                self._servers[server_id].menuAction().setEnabled(False)
            else:
                menu = self._servers.pop(server_id)
                self.menu.removeAction(menu.menuAction())
                menu.deleteLater()
        for server in servers.values():
            self._show_server(server)

    def _show_server(self, server: Server) -> None:
        menu = self._servers.get(server.id) or self._add_server(server.id)
        series = self._mirror.series[server.id]
        is_live = not self._mirror.is_stale
        menu.show_server(server, series.latest("tokens_per_s"), is_live=is_live)

    def _show_summary(self) -> None:
        text = summary(self._mirror)
        self._summary.setText(text)
        if self.tray is not None:
            self.tray.setToolTip(f"MLX Model Manager\n{text}")

    def _add_server(self, server_id: str) -> "ServerMenu":
        menu = self._servers[server_id] = ServerMenu(self.menu)
        for action, signal in (
            (menu.start, self.start_requested),
            (menu.stop, self.stop_requested),
            (menu.restart, self.restart_requested),
            (menu.log, self.log_requested),
        ):
            action.triggered.connect(partial(_emit, signal, server_id))
        self.menu.insertMenu(self._after_servers, menu)
        return menu

    def _refresh_starts(self) -> None:
        for action in self._starts:
            self.menu.removeAction(action)
            action.deleteLater()
        self._starts.clear()
        if self._mirror.link is not LinkState.LIVE:
            return
        free = {
            profile.id: profile
            for profile in self._mirror.profiles.values()
            if profile.id not in self._mirror.servers and profile.fault is None
        }
        recent = [free[i] for i in self._recent() if i in free]
        others = sorted(
            (p for p in free.values() if p not in recent), key=lambda p: p.name.casefold()
        )
        for profile in (recent + others)[:_RECENT]:
            action = QAction(self.tr("Start {0}").format(_plain(profile.name)), self.menu)
            action.triggered.connect(partial(_emit, self.start_requested, profile.id))
            self.menu.insertAction(self._after_starts, action)
            self._starts.append(action)

    def _show_mark(self) -> None:
        if self.tray is not None:
            self.tray.setIcon(icon(self._mark))


class ServerMenu(QMenu):
    """One server: its state in its title, and what can be done with it."""

    def __init__(self, parent: QMenu) -> None:
        super().__init__(parent)
        self.start = self.addAction(self.tr("Start"))
        self.stop = self.addAction(self.tr("Stop"))
        self.restart = self.addAction(self.tr("Restart"))
        self.addSeparator()
        self.log = self.addAction(self.tr("Show log"))

    def show_server(self, server: Server, tokens_per_s: float | None, *, is_live: bool) -> None:
        """Bring title and commands in line with the server."""
        self.setTitle(_plain(title(server, tokens_per_s, is_live=is_live)))
        is_active = server.state.is_active
        self.start.setVisible(not is_active)
        self.stop.setVisible(is_active)
        self.restart.setVisible(server.state.serves)
        for action in (self.start, self.restart, self.log):
            action.setEnabled(is_live)
        self.stop.setEnabled(is_live and server.state is not ServerState.STOPPING)
        self.menuAction().setEnabled(True)


def title(server: Server, tokens_per_s: float | None, *, is_live: bool) -> str:
    """Return name, state and speed of a server in one line."""
    # Any speed at all is work; the open requests are not needed to say so.
    parts = [server.name, status(server, tokens_per_s, is_live=is_live).word]
    if is_live and tokens_per_s and server.state.serves:
        parts.append(" ".join(fmt.rate(tokens_per_s)))
    elif is_live and server.state is ServerState.STARTING and server.progress is not None:
        parts.append(f"{server.progress:.0%}")
    return "  ·  ".join(parts)


def summary(mirror: Mirror) -> str:
    """Return how things are in one line."""
    if mirror.link is LinkState.CONNECTING:
        return mirror.link_text or _tr("Connecting to the engine…")
    if mirror.is_stale:
        return no_engine()
    servers = mirror.servers.values()
    serving = [s for s in servers if s.state.serves]
    failed = sum(s.state in _TROUBLE and not s.state.serves for s in servers)
    if not serving:
        return _tr("{} failed").format(failed) if failed else _tr("No server is running")
    speed = sum(mirror.series[s.id].latest("tokens_per_s") or 0.0 for s in serving)
    counted = _tr("1 server") if len(serving) == 1 else _tr("{} servers").format(len(serving))
    if failed:
        counted = _tr("{} running, {} failed").format(len(serving), failed)
    return f"{counted}  ·  {' '.join(fmt.rate(speed))}" if speed else counted


def mark_for(mirror: Mirror) -> Mark:
    """Return the mark of the worst or busiest server."""
    states = {server.state for server in mirror.servers.values()}
    if mirror.is_stale or states & set(_TROUBLE):
        return Mark.TROUBLE
    if ServerState.STARTING in states:
        return Mark.STARTING
    return Mark.SERVING if any(state.serves for state in states) else Mark.NONE


def icon(mark: Mark) -> QIcon:
    """Return the icon: a template that macOS tints, in colours of its own on Linux."""
    result = QIcon()
    for scale in (1, 2):
        result.addPixmap(_pixmap(mark, scale))
    result.setIsMask(IS_MAC)
    return result


def _pixmap(mark: Mark, scale: int) -> QPixmap:
    side = _SIZE if IS_MAC else 22
    image = QPixmap(side * scale, side * scale)
    image.fill(Qt.GlobalColor.transparent)
    painter = QPainter(image)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.scale(side * scale / _SIZE, side * scale / _SIZE)
    name = "menu-bar/menu-bar.svg" if IS_MAC else "app/app-32.svg"
    QSvgRenderer(str(paths.resources() / "icons" / name)).render(
        painter, QRectF(0, 0, _SIZE, _SIZE)
    )
    if mark is not Mark.NONE:
        _paint_mark(painter, mark)
    painter.end()
    image.setDevicePixelRatio(scale)
    return image


def _paint_mark(painter: QPainter, mark: Mark) -> None:
    colours = {Mark.SERVING: "#1FBF6B", Mark.STARTING: "#F5A524", Mark.TROUBLE: "#E5484D"}
    colour = QColor("#000000" if IS_MAC else colours[mark])
    centre = QPointF(14.0, 14.0)
    painter.setPen(Qt.PenStyle.NoPen)
    # A gap keeps the mark apart from the bars behind it.
    painter.setCompositionMode(QPainter.CompositionMode.CompositionMode_Clear)
    painter.setBrush(Qt.GlobalColor.black)
    painter.drawEllipse(centre, 4.5, 4.5)
    painter.setCompositionMode(QPainter.CompositionMode.CompositionMode_SourceOver)
    if mark is Mark.SERVING:
        painter.setBrush(colour)
        painter.drawEllipse(centre, 3.0, 3.0)
    elif mark is Mark.STARTING:
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(colour, 1.5))
        painter.drawEllipse(centre, 2.5, 2.5)
    else:
        painter.setBrush(colour)
        painter.drawRoundedRect(QRectF(13.0, 10.5, 2.0, 4.5), 0.8, 0.8)
        painter.drawEllipse(QPointF(14.0, 16.75), 1.1, 1.1)


def _emit(signal: SignalInstance, value: str, _checked: bool = False) -> None:
    signal.emit(value)


def _plain(text: str) -> str:
    """Return a text for a menu, in which a single & would mark a key."""
    return text.replace("&", "&&")
