"""The section below the tiles: model servers on the engine's computer that it did not start."""

from PySide6.QtCore import QRectF, Qt, QTimer, Signal
from PySide6.QtGui import QFontMetrics, QPainter, QPaintEvent
from PySide6.QtWidgets import (
    QAbstractButton,
    QHBoxLayout,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from app.gui import format as fmt
from app.gui.mirror import Mirror
from app.gui.panels.tile_text import no_engine
from app.gui.theme import theme
from app.gui.widgets.elided_label import ElidedLabel
from app.gui.widgets.question import Question
from app.wire.nouns import ForeignServer

ROW_HEIGHT = 34
MOST_ROWS = 3
"""Further rows scroll, so that the tiles keep their room."""
_PAD = 16
_TOP = 9
_RIGHT = 9
_COLUMN_GAP = 18
# The engine gives a server 10 s to end; a button that still says so later would wait for ever.
_PATIENCE_MS = 12_000


class ForeignRow(QWidget):
    """One foreign server. The widgets stay while the figures change."""

    stop_pressed = Signal(object)  # ForeignServer

    def __init__(self, server: ForeignServer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.server = server
        secondary, strong = theme().font("secondary"), theme().font("secondary_strong")
        right = Qt.AlignmentFlag.AlignRight
        self._name = ElidedLabel(theme().font("name"), parent=self)
        self._pid = ElidedLabel(secondary, parent=self)
        self._port = ElidedLabel(secondary, parent=self)
        self._memory = ElidedLabel(strong, align=right, parent=self)
        self.stop_button = QPushButton(self)
        self.stop_button.setProperty("kind", "flat")
        self.stop_button.clicked.connect(lambda: self.stop_pressed.emit(self.server))
        # As wide as its longest text, which stands at the right: the columns stay in line.
        self.stop_button.setStyleSheet("text-align: right")
        self._patience = QTimer(self)
        self._patience.setSingleShot(True)
        self._patience.setInterval(_PATIENCE_MS)
        self._patience.timeout.connect(self._offer_stop)
        for label, widest, font in (
            (self._pid, self.tr("process {}").format("9999999"), secondary),
            (self._port, self.tr("port {}").format("65535"), secondary),
            (self._memory, "999.9 GB", strong),
        ):
            label.setFixedWidth(QFontMetrics(font).horizontalAdvance(widest) + 2)
            label.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self._lay_out()
        self.stop_button.setText(self.tr("Stopping…"))
        self.stop_button.setFixedWidth(self.stop_button.sizeHint().width())
        self._offer_stop()
        self.apply_theme()
        self.show_server(server)

    def _lay_out(self) -> None:
        self.setFixedHeight(ROW_HEIGHT)
        row = QHBoxLayout(self)
        row.setContentsMargins(_PAD - 1, 0, _RIGHT, 0)
        row.setSpacing(_COLUMN_GAP)
        row.addWidget(self._name, 1)
        for widget in (self._pid, self._port, self._memory, self.stop_button):
            row.addWidget(widget)

    def show_server(self, server: ForeignServer) -> None:
        """Show the newest figures."""
        self.server = server
        port = fmt.UNKNOWN if server.port is None else str(server.port)
        self._name.setText(server.name)
        self._pid.setText(self.tr("process {}").format(server.pid))
        self._port.setText(self.tr("port {}").format(port))
        self._port.set_reason("" if server.port else self.tr("No port is known of this server."))
        self._memory.setText(fmt.memory_text(server.memory_bytes))
        self.setAccessibleName(", ".join(self.texts()))
        self.stop_button.setAccessibleName(self.tr("Stop {}").format(server.name))

    def texts(self) -> list[str]:
        """Return what the row says, from the left."""
        return [label.text() for label in (self._name, self._pid, self._port, self._memory)]

    def show_stopping(self) -> None:
        """Say that a stop is under way."""
        self.stop_button.setText(self.tr("Stopping…"))
        self.stop_button.setEnabled(False)
        self._patience.start()

    def set_live(self, *, is_live: bool) -> None:
        """Take presses only while the engine is there to stop something."""
        self.stop_button.setEnabled(is_live and not self._patience.isActive())
        self.stop_button.setToolTip("" if is_live else no_engine())

    def apply_theme(self) -> None:
        """Take the colours of the theme."""
        colours = theme()
        self._name.set_colour(colours.color("tx"))
        self._memory.set_colour(colours.color("tx"))
        for label in (self._pid, self._port):
            label.set_colour(colours.color("tx2"))

    def _offer_stop(self) -> None:
        self.stop_button.setText(self.tr("Stop…"))
        self.stop_button.setEnabled(True)


class ForeignList(QWidget):
    """Lists them, the oldest first, and is hidden when there is none.

    It stands below the scrolling tiles, so that its coming and going moves none of them.
    """

    stop_requested = Signal(object)  # ForeignServer, after the user has agreed

    def __init__(self, mirror: Mirror, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._mirror = mirror
        self._rows: dict[str, ForeignRow] = {}
        self._title = ElidedLabel(theme().font("label"), parent=self)
        self._content = QWidget()
        self._column = QVBoxLayout(self._content)
        self._scroll = QScrollArea(self)
        self._lay_out()
        self.apply_theme()
        self.refresh()

    def _lay_out(self) -> None:
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(0)
        self._scroll.setObjectName("tileScroll")
        self._content.setObjectName("tileGrid")
        self._scroll.setFrameShape(QScrollArea.Shape.NoFrame)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._scroll.setWidgetResizable(True)
        self._scroll.setWidget(self._content)
        self._scroll.viewport().setAutoFillBackground(False)
        self._content.setAutoFillBackground(False)
        column = QVBoxLayout(self)
        column.setContentsMargins(1, _TOP, 1, 5)
        column.setSpacing(2)
        head = QHBoxLayout()
        head.setContentsMargins(_PAD - 1, 0, _PAD - 1, 0)
        head.addWidget(self._title)
        column.addLayout(head)
        column.addWidget(self._scroll)

    def rows(self) -> list[ForeignRow]:
        """Return the rows from the top."""
        return list(self._rows.values())

    def title(self) -> str:
        """Return the heading."""
        return self._title.text()

    def refresh(self) -> None:
        """Take the servers from the mirror; rows that stay keep focus and hover."""
        servers = self._mirror.foreign
        for gone in self._rows.keys() - servers.keys():
            row = self._rows.pop(gone)
            self._column.removeWidget(row)
            row.hide()
            row.deleteLater()
        for server_id, server in servers.items():
            if server_id in self._rows:
                self._rows[server_id].show_server(server)
            else:
                self._add(server)
        for row in self._rows.values():
            row.set_live(is_live=not self._mirror.is_stale)
        machine = None if self._mirror.engine is None else self._mirror.engine.machine
        is_mac = machine is not None and machine.has_gpu
        self._title.setText(
            self.tr("Other model servers on this Mac")
            if is_mac
            else self.tr("Other model servers on this computer")
        )
        self._scroll.setFixedHeight(ROW_HEIGHT * min(len(self._rows), MOST_ROWS))
        self.setVisible(bool(self._rows))

    def apply_theme(self) -> None:
        """Take the colours of the theme."""
        self._title.set_colour(theme().color("tx2"))
        for row in self._rows.values():
            row.apply_theme()
        self.update()

    def _add(self, server: ForeignServer) -> None:
        row = ForeignRow(server, self._content)
        row.stop_pressed.connect(self._ask)
        self._rows[server.id] = row
        self._column.addWidget(row)

    def _ask(self, server: ForeignServer) -> None:
        box = Question(self, self.tr("Stop a server"), "server")
        place = self._mirror.place
        here, there = self.tr("Stop {} (process {})?"), self.tr("Stop {} (process {}) on {}?")
        box.setText((there if place else here).format(server.name, server.pid, place))
        memory = self.tr("It uses {} of memory. ").format(fmt.memory_text(server.memory_bytes))
        box.setInformativeText(
            (memory if server.memory_bytes else "")
            + self.tr(
                "It was not started by this app, and cannot be started again from here. "
                "Programs that use it lose their connection."
            )
        )
        stop = box.offer(self.tr("Stop"), is_danger=True)

        def on_clicked(button: QAbstractButton) -> None:
            if button is stop:
                if (row := self._rows.get(server.id)) is not None:
                    row.show_stopping()
                self.stop_requested.emit(server)

        box.buttonClicked.connect(on_clicked)
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.open()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(theme().color("line"))
        painter.setBrush(theme().color("card"))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 10, 10)
