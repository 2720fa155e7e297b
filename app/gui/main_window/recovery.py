"""What the window offers while its engine is lost, hangs or is of another version."""

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QWidget

from app import paths
from app.gui.main_window.questions import may_take_over
from app.gui.main_window.session import Session
from app.gui.mirror import LinkState, Trouble
from app.gui.panels.empty_servers import EmptyServers
from app.gui.widgets.notice_bar import NoticeBar
from app.gui.workers.connection import servers_running

Way = tuple[str, Callable[[], None]]


class Recovery(QObject):
    """Says once what is wrong: in the middle of an empty window, else in a notice over the data."""

    log_wanted = Signal(object)  # str, a path

    def __init__(
        self, session: Session, notice: NoticeBar, empty: EmptyServers, window: QWidget
    ) -> None:
        super().__init__(window)
        self._session = session
        self._mirror = session.mirror
        self._notice = notice
        self._empty = empty
        self._window = window
        self._mirror.link_changed.connect(self._on_link_changed)

    def _on_link_changed(self, state: LinkState) -> None:
        mirror = self._mirror
        ways = self._ways()
        self._empty.show_ways(ways if mirror.engine is None else [])
        if mirror.engine is not None and state is LinkState.STALE and not self._session.has_ended:
            text = f"{mirror.link_text} {mirror.link_detail}".strip()
            (label, action), *others = ways
            self._notice.show_notice(
                self.tr("{} The last figures stay in sight.").format(text),
                action_text=label,
                action=action,
                also=others[-1] if others else None,
            )
        elif state is LinkState.LIVE and self._notice.offers_action:
            # What could not be done meanwhile is over with it.
            self._notice.clear()

    def _ways(self) -> list[Way]:
        """Return what helps now, the best first."""
        session, mirror = self._session, self._mirror
        is_waiting = mirror.link is LinkState.CONNECTING
        if mirror.link is not LinkState.STALE and not (is_waiting and mirror.link_detail):
            return []
        again: Way = (self.tr("Try again"), session.reconnect)
        log: Way = (self.tr("Show log"), self._show_log)
        match mirror.trouble:
            case Trouble.ENDED:
                ways = [(self.tr("Start again"), session.reconnect), log]
            case Trouble.SILENT:
                ways = [(self.tr("End it and start anew"), self._ask_to_take_over), again, log]
            case Trouble.OTHER_VERSION:
                ways = [(self.tr("Use one of this version…"), self._ask_to_take_over), again]
            case Trouble.NONE if session.url is not None:
                ways = [(self.tr("Connect again"), session.reconnect)]
            case Trouble.NONE:
                ways = [again, log]
        # What is under way needs no other try.
        return [w for w in ways if not (is_waiting and w[1] == session.reconnect)]

    def _ask_to_take_over(self) -> None:
        def ask(servers: list[str]) -> None:
            if not servers or may_take_over(self._window, servers):
                self._session.take_over()

        self._session.crew.run("servers", servers_running, ask)

    def _show_log(self) -> None:
        engine = self._mirror.engine
        log = Path(engine.log) if engine is not None else paths.logs() / "engine.log"
        self.log_wanted.emit(str(log))
