"""The app's own engine while the window shows another one: its servers go on."""

from PySide6.QtCore import QObject

from app.gui.mirror import LinkState, Mirror
from app.gui.workers.connection import Connection
from app.gui.workers.metrics_feed import MetricsFeed
from app.gui.workers.thread import Crew
from app.wire.events import SLOW_S, Event


class KeptEngine(QObject):
    """Follows an engine that nobody looks at, so that quitting knows what it would end."""

    def __init__(
        self, connection: Connection, last: Mirror, crew: Crew, parent: QObject | None = None
    ) -> None:
        """Begin with what the window's mirror, `last`, has shown of it."""
        super().__init__(parent)
        self.connection = connection
        self.mirror = Mirror(self)
        self.mirror.take_over(last)
        self.mirror.set_link(last.link, last.link_text)
        self._feed = MetricsFeed(connection, every_s=SLOW_S)
        self._feed.received.connect(self._take)
        self._feed.lost.connect(self._on_lost)
        crew.start(self._feed)

    def stop(self) -> None:
        """Follow it no more; the engine goes on."""
        self._feed.stop()

    def _take(self, event: Event) -> None:
        self.mirror.set_link(LinkState.LIVE)
        self.mirror.apply(event)

    def _on_lost(self, sentence: str) -> None:
        self.mirror.set_link(LinkState.STALE, sentence)
