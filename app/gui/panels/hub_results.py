"""What the hub answered to the search in the models panel, page by page, and how that goes."""

import re
import time
from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec
from PySide6.QtCore import QObject, QTimer, Signal

from app.wire.errors import AppError, ErrorCode
from app.wire.hub import Fit, HubDetails, HubModel, HubPage, HubQuery

DEBOUNCE_MS: Final = 300
"""The hub is asked when nobody has typed for so long."""
_TIMEOUT_MS: Final = 20_000
"""The engine gives up after 15 s and says why; later than this nothing will come."""
_SECONDS = re.compile(r"\s*Try again in (\d{1,5}) s\.?")


class HubCalls(NamedTuple):
    """How the hub is asked; all return at once, and one of the functions is called later."""

    search: Callable[[HubQuery, Callable[[HubPage], object], Callable[[AppError], object]], object]
    describe: Callable[[str, Callable[[HubDetails], object], Callable[[AppError], object]], object]
    measure: Callable[[str, Callable[[Fit], object], Callable[[AppError], object]], object]
    """Of a model on this disk; the answer holds its shape."""


class HubResults(QObject):
    """Asks when the typing rests, forgets late answers, and adds pages without doubles."""

    changed = Signal()

    def __init__(self, calls: HubCalls, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._calls = calls
        self._wanted: HubQuery | None = None
        self._number = 0
        self._is_asking = False
        self._cursor: str | None = None
        self._limited_until = 0.0
        self.models: dict[str, HubModel] = {}
        """In the order of the answers. Those of an earlier search stay until the next answer."""
        self.answered: HubQuery | None = None
        """The search that `models` belong to."""
        self.failure: AppError | None = None
        """Why the last question had no answer."""
        self.notice = ""
        self.pages = 0
        self.version = 0
        """Another number whenever other models are listed."""
        self._pause = _single_shot(DEBOUNCE_MS, self._ask_first, self)
        self._patience = _single_shot(_TIMEOUT_MS, self._give_up, self)
        self._tick = QTimer(self)
        self._tick.setInterval(1000)
        self._tick.timeout.connect(self._on_tick)

    @property
    def wanted(self) -> HubQuery | None:
        """The search that is wanted now; None when nobody wants to know anything of the hub."""
        return self._wanted

    @property
    def is_current(self) -> bool:
        """True when `models` answer what is wanted."""
        return self._wanted is not None and self.answered == self._wanted

    @property
    def is_searching(self) -> bool:
        """True from the wish until its first page, or until that failed."""
        return self._wanted is not None and not self.is_current and self.failure is None

    @property
    def is_paging(self) -> bool:
        """True while a further page is on its way."""
        return self.is_current and self._is_asking

    @property
    def has_more(self) -> bool:
        """True when there is a further page."""
        return self.is_current and self._cursor is not None

    @property
    def wait_s(self) -> int:
        """Seconds until the hub may be asked again after it refused to answer so often."""
        return max(0, round(self._limited_until - time.monotonic()))

    def want(self, query: HubQuery | None, *, at_once: bool = False) -> None:
        """Search for this when the typing rests; None forgets everything."""
        if query == self._wanted:
            if at_once:
                self.force()
            return
        self._number += 1
        self._is_asking = False
        self._patience.stop()
        self._wanted, self.failure = query, None
        if query is None:
            self._pause.stop()
            self._tick.stop()
            self.models, self.answered, self._cursor, self.notice = {}, None, None, ""
            self.version += 1
        elif at_once:
            self._ask_first()
        else:
            self._pause.start()
        self.changed.emit()

    def force(self) -> None:
        """Ask now if a question waits for the typing to rest."""
        if self._pause.isActive():
            self._ask_first()

    def more(self) -> None:
        """Ask for the next page, if there is one and it is not on its way."""
        if self.has_more and not self._is_asking and self.failure is None:
            self._ask(self._cursor or "")
            self.changed.emit()

    def retry(self) -> None:
        """Ask again what had no answer."""
        if self.failure is None or self._wanted is None:
            return
        self.failure = None
        self._ask(self._cursor or "" if self.is_current else "")
        self.changed.emit()

    def put(self, model: HubModel) -> None:
        """Keep what became known of a model, for as long as it is listed."""
        if model.id in self.models:
            self.models[model.id] = model

    def _ask_first(self) -> None:
        self._ask("")

    def _ask(self, cursor: str) -> None:
        if self._wanted is None:
            return
        self._pause.stop()
        self._number += 1
        number = self._number
        self._is_asking = True
        self._patience.start()
        query = msgspec.structs.replace(self._wanted, cursor=cursor)
        self._calls.search(
            query,
            lambda page: self._on_page(number, page),
            lambda error: self._on_failure(number, error),
        )

    def _on_page(self, number: int, page: HubPage) -> None:
        if number != self._number:
            return
        self._end_of_question()
        is_first = not self.is_current
        known, self.answered = self.models, self._wanted
        self.version += 1
        if is_first:
            self.models, self.pages = {}, 0
        self.pages += 1
        for model in page.models:
            self.models.setdefault(model.id, _richer(model, known.get(model.id)))
        # A hub that leads around in a circle has no further page.
        self._cursor = page.next_cursor if page.next_cursor != self._cursor or is_first else None
        self.notice = page.notice
        self.failure = None
        self.changed.emit()

    def _on_failure(self, number: int, error: AppError) -> None:
        if number != self._number:
            return
        self._end_of_question()
        if not self.is_current:
            self.models, self.answered, self._cursor = {}, None, None
            self.version += 1
        seconds = _SECONDS.search(error.message) if error.code is ErrorCode.HUB_LIMITED else None
        if seconds is not None:
            self._limited_until = time.monotonic() + int(seconds[1])
            # The seconds are counted down beside it.
            message = _SECONDS.sub("", error.message)
            error = AppError(message, hint=error.hint, code=error.code)
            self._tick.start()
        self.failure = error
        self.changed.emit()

    def _give_up(self) -> None:
        late = AppError(
            self.tr("The hub does not answer in time."),
            hint=self.tr("Check the network, then try again."),
            code=ErrorCode.HUB_OFFLINE,
        )
        self._on_failure(self._number, late)

    def _end_of_question(self) -> None:
        self._number += 1
        self._is_asking = False
        self._patience.stop()
        self._tick.stop()

    def _on_tick(self) -> None:
        if self.wait_s == 0:
            self._tick.stop()
        self.changed.emit()


def _richer(model: HubModel, known: HubModel | None) -> HubModel:
    """Return what was looked up before for a row that comes again without it."""
    is_same = known is not None and known.updated_at == model.updated_at
    return known if known is not None and is_same and model.shape is None else model


def _single_shot(interval_ms: int, slot: Callable[[], None], parent: QObject) -> QTimer:
    timer = QTimer(parent)
    timer.setSingleShot(True)
    timer.setInterval(interval_ms)
    timer.timeout.connect(slot)
    return timer
