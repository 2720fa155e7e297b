"""The modes `hub` and `probe`: orders come on standard input, answers go to standard output."""

import logging
import os
import select
import sys
import threading
import time
from pathlib import Path

import msgspec

from app import paths
from app.wire.errors import ErrorCode
from app.wire.hub import (
    Describe,
    Described,
    Found,
    HubAnswer,
    HubOrder,
    Measure,
    Measured,
    Refused,
    Search,
    decode_hub_order,
)
from app.wire.nouns import Failure
from app.worker.hub.browse import Browser
from app.worker.hub.shapes import Shapes
from app.worker.hub.store import Store
from app.worker.hub.web import HubTrouble, Web

_log = logging.getLogger("hub")
_AT_ONCE = 8
_MAX_LINE = 1 << 20


class Orders:
    """Carries out each order in a thread of its own, as many at once as the hub should see."""

    def __init__(self, browser: Browser, out: int) -> None:
        self._browser = browser
        self._out = out
        self._lock = threading.Lock()
        self._room = threading.Semaphore(_AT_ONCE)
        self._open = 0
        self.active_at = time.monotonic()
        """When something last began or ended, monotonic."""

    @property
    def is_busy(self) -> bool:
        """True while an answer is owed."""
        return self._open > 0

    def obey(self, line: bytes) -> None:
        """Begin with one order."""
        order = decode_hub_order(line)
        with self._lock:
            self._open += 1
            self.active_at = time.monotonic()
        # Daemons: at the owner's end nobody waits for the hub.
        threading.Thread(target=self._run, args=(order,), name="order", daemon=True).start()

    def _run(self, order: HubOrder) -> None:
        with self._room:
            try:
                answer = self._answer(order)
            except HubTrouble as trouble:
                answer = Refused(order.number, trouble.failure)
            except Exception:  # noqa: BLE001 - worker run()
                # Whatever happens, the engine must not wait for nothing.
                _log.exception("an order failed")
                answer = Refused(
                    order.number,
                    Failure(ErrorCode.INTERNAL, "The hub could not be looked at.", "See hub.log."),
                )
        with self._lock:
            # In one piece and unbuffered: threads of a process that ends must hold no locks of it.
            data = msgspec.json.encode(answer) + b"\n"
            while data:
                data = data[os.write(self._out, data) :]
            self._open -= 1
            self.active_at = time.monotonic()

    def _answer(self, order: HubOrder) -> HubAnswer:
        match order:
            case Search(number=number, query=query):
                return Found(number, self._browser.search(query))
            case Describe(number=number, id=repo_id):
                return Described(number, self._browser.describe(repo_id))
            case Measure(number=number, folder=folder):
                return Measured(number, self._browser.measure(Path(folder)))


def run(*, idle_s: float) -> None:
    """Obey orders until standard input ends or nothing has happened for `idle_s`."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)-7s %(message)s"
    )
    for noisy in ("httpx2", "httpcore2", "huggingface_hub"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    out = os.dup(1)
    # Whatever a library prints must not look like an answer.
    os.dup2(2, 1)
    cache = paths.home() / "cache"
    # Without it the disk was ejected, and this would begin a second, empty home.
    if paths.run().is_dir():
        cache.mkdir(exist_ok=True)
    store, shapes = Store(cache / "hub.sqlite"), Shapes()
    orders = Orders(Browser(Web(), store, shapes), out)
    try:
        _read(orders, idle_s)
    except Exception:  # noqa: BLE001 - process entry
        _log.exception("the worker ends by an error in the program")
    finally:
        shapes.close()
        store.close()
        sys.stderr.flush()
        # Threads that still wait for the hub must not hold up the end.
        os._exit(0)


def _read(orders: Orders, idle_s: float) -> None:
    buffer = b""
    while True:
        left = max(0.0, orders.active_at + idle_s - time.monotonic())
        ready, _, _ = select.select([0], [], [], left if not orders.is_busy else idle_s)
        if not ready:
            if not orders.is_busy and time.monotonic() - orders.active_at >= idle_s:
                return
            continue
        data = os.read(0, 65_536)
        if not data:
            return
        *lines, buffer = (buffer + data).split(b"\n")
        if len(buffer) > _MAX_LINE:
            buffer = b""
        for line in lines:
            try:
                orders.obey(line)
            except msgspec.DecodeError as error:
                _log.error("an order was not understood: %s", error)
