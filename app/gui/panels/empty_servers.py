"""What the servers half says while there is no server."""

from collections.abc import Callable, Sequence
from functools import partial

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from app.gui.format import whole_paths
from app.gui.mirror import LinkState, Mirror
from app.gui.panels.tile_text import no_engine
from app.gui.theme import theme
from app.gui.widgets import icons
from app.gui.widgets.button_icon import set_button_icon

_ICON = 40


class EmptyServers(QWidget):
    """Says what to do first, with a button for it."""

    start_requested = Signal(object)  # str, a profile id
    new_requested = Signal()
    import_requested = Signal()

    def __init__(self, mirror: Mirror, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._mirror = mirror
        self._demo_id: str | None = None
        self._icon = QLabel(self)
        self._title = QLabel(self)
        self._title.setFont(theme().font("tile"))
        self._text = QLabel(self)
        self._text.setFont(theme().font("body"))
        self._text.setObjectName("emptyText")
        self._text.setWordWrap(True)
        self.button = QPushButton(self)
        self.button.clicked.connect(self._on_clicked)
        self.import_button = QPushButton(self.tr("Import from the earlier MLX Manager…"), self)
        self.import_button.setProperty("kind", "flat")
        self.import_button.clicked.connect(lambda: self.import_requested.emit())
        self.import_button.hide()
        centre = Qt.AlignmentFlag.AlignHCenter
        column = QVBoxLayout(self)
        column.addStretch(2)
        for widget, space in ((self._icon, 12), (self._title, 4), (self._text, 16)):
            widget.setAlignment(centre)
            column.addWidget(widget, 0)
            column.addSpacing(space)
        column.addWidget(self.button, 0, centre)
        column.addSpacing(4)
        column.addWidget(self.import_button, 0, centre)
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addStretch(1)
        self._ways = [QPushButton(self) for _ in range(3)]
        self._ways[0].setProperty("kind", "primary")
        self._actions: list[Callable[[], None]] = []
        for number, button in enumerate(self._ways):
            button.hide()
            button.clicked.connect(partial(self._take_way, number))
            row.addWidget(button)
        row.addStretch(1)
        column.addLayout(row)
        column.addStretch(3)
        self.apply_theme()
        self.refresh()

    def refresh(self) -> None:
        """Offer the demo when there is one, a new profile when there is none at all."""
        if self._mirror.engine is None:
            is_connecting = self._mirror.link is LinkState.CONNECTING
            title = self.tr("Connecting to the engine") if is_connecting else self.tr("No engine")
            self._title.setText(self._mirror.link_text.rstrip(".") or title)
            self._text.setText(whole_paths(self._mirror.link_detail))
            self.button.hide()
            self.import_button.hide()
            return
        has_old = "predecessor" in self._mirror.engine.capabilities
        has_own = any(not profile.is_demo for profile in self._mirror.profiles.values())
        self.import_button.setVisible(has_old and not has_own)
        self.import_button.setEnabled(not self._mirror.is_stale)
        self._title.setText(self.tr("No server is running"))
        self.button.setEnabled(not self._mirror.is_stale)
        self.button.setToolTip(no_engine() if self._mirror.is_stale else "")
        profiles = self._mirror.profiles.values()
        self._demo_id = next((p.id for p in profiles if p.is_demo), None)
        if self._mirror.profiles:
            self._text.setText(self.tr("Choose a profile above and press Start."))
        else:
            self._text.setText(self.tr("A profile names a model and how to serve it."))
        demo, new = self.tr("Start the demo"), self.tr("New profile")
        self.button.setText(demo if self._demo_id else new)
        self.button.setVisible(self._demo_id is not None or not self._mirror.profiles)
        self._dress()

    def show_ways(self, ways: Sequence[tuple[str, Callable[[], None]]]) -> None:
        """Offer these ways out, the best first, while there is no engine."""
        self._actions = [action for _, action in ways]
        for button in self._ways[len(ways) :]:
            button.hide()
        for button, (label, _) in zip(self._ways, ways, strict=False):
            button.setText(label)
            button.show()

    def _take_way(self, number: int) -> None:
        self._actions[number]()

    def _on_clicked(self) -> None:
        if self._demo_id is None:
            self.new_requested.emit()
        else:
            self.start_requested.emit(self._demo_id)

    def _dress(self) -> None:
        name = "play" if self._demo_id else "plus"
        tokens = theme().tokens
        set_button_icon(self.button, name, tokens.tx if self.button.isEnabled() else tokens.tx3)

    def apply_theme(self) -> None:
        """Take the colours of the theme that is in use now."""
        scale = max(2.0, self.devicePixelRatioF())
        self._icon.setPixmap(icons.pixmap("server", theme().tokens.tx3, _ICON, scale))
        self._dress()
