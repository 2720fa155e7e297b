"""The window's session with one engine: connect, follow, start servers, end in order."""

import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from PySide6.QtCore import QObject, QTimer, Signal

from app.gui.main_window import link_words
from app.gui.main_window.kept_engine import KeptEngine
from app.gui.main_window.launches import Launches
from app.gui.mirror import LinkState, Mirror, Trouble
from app.gui.workers.connection import (
    Connection,
    KeyWanted,
    OwnedEngine,
    Quest,
    connect,
    end_running,
)
from app.gui.workers.door import Api, Door
from app.gui.workers.metrics_feed import MetricsFeed
from app.gui.workers.thread import Crew, Worker
from app.wire.errors import AppError, ErrorCode
from app.wire.events import Event, Snapshot
from app.wire.nouns import EngineInfo

_T = TypeVar("_T")
_JOIN_S = 5.0
_LONG_MS = 15_000
"""A start takes 2 s, on a busy disk 5; who waits longer wants to know why."""


class Session(QObject):
    """Connects the mirror to an engine and turns the user's wishes into calls."""

    failed = Signal(object)  # AppError: for the user, something did not work
    refused = Signal(object)  # str: the id of a server with which nothing happens for now
    key_wanted = Signal(object)  # KeyWanted
    connected = Signal(object)  # Connection
    ended = Signal()
    _told = Signal(object)  # str: how the search for an engine goes

    def __init__(self, mirror: Mirror, url: str | None, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.mirror = mirror
        self.url = url
        self.door: Door | None = None
        self.crew = Crew(self)
        self._feed: MetricsFeed | None = None
        self._every_s = 1
        self.launches = Launches(self.crew, self)
        self.launches.refused.connect(self._on_refused)
        self.starter: Callable[[str], object] = self.launch
        self._left: OwnedEngine | None = None
        self._kept: KeptEngine | None = None
        """This app's own engine while another one is shown."""
        self._is_ending = False
        self.has_ended = False
        self._is_beginning = False
        self._quest = Quest()
        self._waits_for_other = False
        self._told.connect(self._on_told)
        self._long = QTimer(self)
        self._long.setSingleShot(True)
        self._long.setInterval(_LONG_MS)
        self._long.timeout.connect(self._on_long)
        self._asked = 0
        self._adopted = 0
        """The number of the wish that the connection in use comes from; earlier ones are late."""
        self._switch: tuple[int, str | None] | None = None
        """The wish for another engine that is awaited: its number and the address."""

    @property
    def connection(self) -> Connection | None:
        """The engine in use; None before the first connection."""
        return self.door.connection if self.door is not None else None

    @property
    def owns_engine(self) -> bool:
        """True when the engine in use is the one that quitting ends with its servers."""
        return self.connection is not None and self.connection.owned is not None

    @property
    def own_mirror(self) -> Mirror:
        """What is known of the engine that quitting ends, shown or not."""
        return self.mirror if self._kept is None else self._kept.mirror

    def servers_at_stake(self) -> list[str]:
        """Return the names of the servers that quitting ends."""
        mirror = self.own_mirror
        is_owned = self.owns_engine or self._kept is not None
        if not is_owned or mirror.link is not LinkState.LIVE:
            return []
        return [s.name for s in mirror.servers.values() if s.state.has_process]

    def begin(self, key: str | None = None) -> None:
        """Find or start the engine, in a worker; `key` is one that the user has just typed."""
        if self._is_beginning:
            # Two would both start an engine for the same home.
            return
        self._is_beginning, self._waits_for_other = True, False
        self._long.start()
        quest = self._quest = Quest(self._told.emit)
        self.mirror.set_link(LinkState.CONNECTING, self.tr("Connecting to the engine…"))
        self._asked += 1
        url, left, number = self.url, self._left, self._asked

        def adopt(result: Connection) -> None:
            self._is_beginning = False
            self._long.stop()
            self._adopt(number, result)

        def fail(error: AppError) -> None:
            self._is_beginning = False
            self._long.stop()
            if number > self._adopted:
                self._on_connect_failed(error)

        self.crew.run("connect", lambda: connect(url, key, left, quest), adopt, fail)

    def switch(self, url: str | None, key: str | None = None) -> None:
        """Connect to another engine; this one is left once that answers.

        The app's own engine goes on unseen, and is back at once. Of several such wishes the last
        one counts.
        """
        if url is None and self._kept is not None:
            self._switch = None
            self._take_back(self._kept)
            return
        if key is None and self._switch is not None and self._switch[1] == url:
            return
        self._asked += 1
        number, left = self._asked, self._left
        wish = self._switch = (number, url)

        def adopt(result: Connection) -> None:
            if self._switch != wish:
                self._dismiss(result)
                return
            if not self._is_ending:
                self._keep_or_leave()
                self._show_other(url, result.info)
            self._switch = None
            self._adopt(number, result)

        def fail(error: AppError) -> None:
            if self._switch == wish:
                # Stay where we are and say why.
                self._switch = None
                if not self._is_ending:
                    (self.key_wanted if isinstance(error, KeyWanted) else self.failed).emit(error)

        self.crew.run("connect", lambda: connect(url, key, left), adopt, fail)

    def cancel_switch(self) -> None:
        """Stay where we are, whatever the other engine answers."""
        self._switch = None

    def reconnect(self) -> None:
        """Leave an engine that is lost, ending it if it is owned, and find or start it again."""
        self.mirror.set_link(LinkState.CONNECTING, self.tr("Connecting to the engine…"))
        # Only then: two engines of one home would fight for its lock.
        self._leave(then=self._begin_again)

    def take_over(self) -> None:
        """End the engine of this home, whoever started it, and start one of our own."""
        self.mirror.set_link(LinkState.CONNECTING, self.tr("Ending the engine…"))
        owned = self.connection.owned if self.connection is not None else None
        self.crew.run(
            "end-engine",
            end_running if owned is None else owned.kill,
            lambda _: self.reconnect(),
            self._on_connect_failed,
        )

    def start(self, profile_id: str) -> None:
        """Start a profile as the user wants it: `starter` may look and ask first."""
        self.starter(profile_id)

    def launch(self, profile_id: str) -> None:
        """Start a profile now; a ServerLauncher owns the start until it is ready or not."""
        self._launch(profile_id, restart=False)

    def restart(self, server_id: str) -> None:
        """Restart a server."""
        self._launch(server_id, restart=True)

    def kill(self, server_id: str) -> None:
        """Kill a server that takes long to stop, on the user's word."""
        self.launches.cancel(server_id)
        self._wish("kill", server_id, lambda api: api.stop_server(server_id, force=True))

    def stop(self, server_id: str) -> None:
        """Stop a server, or give up its start."""
        self.launches.cancel(server_id)
        self._wish("stop", server_id, lambda api: api.stop_server(server_id))

    def remove(self, server_id: str) -> None:
        """Take away the tile of a server that does not run."""
        self._wish("remove", server_id, lambda api: api.remove_server(server_id))

    def _wish(self, name: str, server_id: str, work: Callable[[Api], object]) -> None:
        self.call(name, work, None, partial(self._on_refused, server_id))

    def _on_refused(self, server_id: str, error: AppError) -> None:
        self.refused.emit(server_id)
        if not self._is_ending:
            self.failed.emit(error)

    def call(
        self,
        name: str,
        work: Callable[[Api], _T],
        on_success: Callable[[_T], object] | None = None,
        on_failure: Callable[[AppError], object] | None = None,
    ) -> None:
        """Run `work(api)` in a worker. Without an engine it fails at once."""
        if self.door is None:
            (on_failure or self.failed.emit)(self._no_engine())
            return
        self.door.call(name, work, on_success, on_failure)

    def end(self) -> None:
        """Stop following and end an owned engine; emits `ended` when all is gone."""
        self._is_ending = True
        self.launches.detach()
        self._quest.given_up.set()
        connection = self.connection if self._kept is None else self._kept.connection
        if connection is None or connection.owned is None:
            self._on_engine_ended()
            return
        # The stream goes on: it tells how far the servers' stop is.
        worker = Worker("end-engine", connection.owned.stop)
        worker.finished.connect(self._on_engine_ended)
        self.crew.start(worker)

    def join(self) -> bool:
        """Wait for every worker; return False when one did not end."""
        return self.crew.join(_JOIN_S)

    def _on_engine_ended(self) -> None:
        self._stop_following()
        if self._kept is not None:
            self._kept.stop()
        self.has_ended = True
        self.ended.emit()

    def _launch(self, profile_id: str, *, restart: bool) -> None:
        if self.connection is None:
            self._on_refused(profile_id, self._no_engine())
            return
        self.launches.begin(self.connection, profile_id, restart=restart)

    def _no_engine(self) -> AppError:
        sentence = self.tr("There is no engine yet; wait until it has started.")
        return AppError(sentence, code=ErrorCode.ENGINE_GONE)

    def _adopt(self, number: int, result: Connection) -> None:
        """Use this connection, unless it comes too late."""
        # Quit, or another engine, was chosen while this one was being started.
        if self._is_ending or number < self._adopted:
            self._dismiss(result)
            return
        self._adopted = number
        self._on_connected(result)

    def _dismiss(self, result: Connection) -> None:
        if result.owned is not None:
            self._left = result.owned
            self.crew.run("end-engine", result.owned.stop)

    def _on_connected(self, result: Connection) -> None:
        self.mirror.set_place(result.info.machine.name if self.url is not None else "")
        self.door = Door(result, self.crew, self)
        self.door.failed.connect(self.failed)
        self._feed = MetricsFeed(result, every_s=self._every_s)
        self._feed.received.connect(self._on_event)
        self._feed.lost.connect(self._on_lost)
        self._feed.failed.connect(self._on_connect_failed)
        self.crew.start(self._feed)
        self.connected.emit(result)

    def set_pace(self, every_s: int) -> None:
        """Want figures every `every_s` seconds from now on."""
        self._every_s = every_s
        if self._feed is not None:
            self._feed.set_pace(every_s)

    def _on_event(self, event: Event) -> None:
        self.mirror.set_link(LinkState.LIVE)
        self.mirror.apply(event)

    def _on_told(self, sentence: str) -> None:
        self._waits_for_other = True
        if self._is_beginning and self.mirror.trouble is Trouble.NONE:
            self.mirror.set_link(LinkState.CONNECTING, sentence)

    def _on_long(self) -> None:
        said = link_words.long(is_here=self.url is None, waits=self._waits_for_other)
        self._tell_link(LinkState.CONNECTING, said)

    def _on_lost(self, error: AppError) -> None:
        if self._is_ending:
            return
        owned = self.connection.owned if self.connection is not None else None
        status = None if owned is None or owned.is_alive() else owned.process.returncode
        self._tell_link(LinkState.STALE, link_words.lost(error, status, is_here=self.url is None))

    def _on_connect_failed(self, error: AppError) -> None:
        if self._is_ending:
            return
        if isinstance(error, KeyWanted):
            self.mirror.set_link(LinkState.NEEDS_KEY, error.message)
            self.key_wanted.emit(error)
        elif error.status == 401 and self.connection is not None:
            self._on_connect_failed(KeyWanted(self.connection.url, was_wrong=True))
        else:
            self._tell_link(LinkState.STALE, link_words.failed(error, is_here=self.url is None))

    def _tell_link(self, state: LinkState, said: link_words.Said) -> None:
        since = time.time() if state is LinkState.STALE else None
        self.mirror.set_link(state, said.text, since, detail=said.detail, trouble=said.trouble)

    def _keep_or_leave(self) -> None:
        """Stop showing this engine; an own one that lives goes on in the background."""
        connection = self.connection
        if connection is None or connection.owned is None or not connection.owned.is_alive():
            self._leave()
            return
        self._stop_following()
        self.door = None
        self._kept = KeptEngine(connection, self.mirror, self.crew, self)

    def _take_back(self, kept: KeptEngine) -> None:
        """Show the app's own engine again, or start it anew when it has died meanwhile."""
        connection = kept.connection
        self._kept = None
        kept.stop()
        kept.deleteLater()
        self._leave()
        self._show_other(None, connection.info)
        if connection.owned is not None and not connection.owned.is_alive():
            self._dismiss(connection)
            self.begin()
            return
        self.mirror.take_over(kept.mirror)
        self._asked += 1
        self._adopt(self._asked, connection)

    def _show_other(self, url: str | None, engine: EngineInfo) -> None:
        """Let nothing of the engine before be taken for a part of this one."""
        self.url = url
        self.mirror.set_place(engine.machine.name if url is not None else "")
        text = self.tr("Connecting to {}…").format(engine.machine.name)
        self.mirror.set_link(LinkState.CONNECTING, text)
        self.mirror.machine = None
        self.mirror.apply(Snapshot(0, engine, (), (), (), ()))

    def _leave(self, then: Callable[[object], object] | None = None) -> None:
        """Stop following this engine, end it if it is owned, then call `then`."""
        connection = self.connection
        self._stop_following()
        self.door = None
        if connection is not None and connection.owned is not None:
            self._left = connection.owned
            self.crew.run("end-engine", connection.owned.stop, then, then)
        elif then is not None:
            then(None)

    def _begin_again(self, _result: object) -> None:
        if not self._is_ending and self.door is None:
            self.begin()

    def _stop_following(self) -> None:
        self.launches.detach()
        if self._feed is not None:
            self._feed.stop()
            self._feed = None
