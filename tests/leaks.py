"""What no test may leave behind: threads, processes, Qt objects and unexpected log records."""

import gc
import logging
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from patience import DEADLINE_S
from PySide6.QtCore import QCoreApplication, QEvent, QThread, QThreadPool
from PySide6.QtWidgets import QApplication, QWidget
from shiboken6 import Shiboken

APP = str(Path(__file__).parent.parent / "app")

# Ends of threads and processes were seen within 0.3 s, a call that waits for the worker's imports

# asyncio makes one thread for each child process on Python 3.11; it ends when the child does.
# "Dummy" is a thread of Qt that ran Python once; Python keeps the entry, so QThreads are looked at.
_KNOWN_THREADS = re.compile(r"asyncio-waitpid-|pytest_timeout|Dummy-")

# Qt makes one label for all tool tips and keeps it.
_KNOWN_WIDGETS = {"QTipLabel"}


@dataclass
class Before:
    """What was there before a test."""

    threads: set[threading.Thread] = field(default_factory=lambda: set(threading.enumerate()))
    children: set[int] = field(default_factory=lambda: {child.pid for child in _children()})
    widgets: set[int] = field(default_factory=lambda: {_address(w) for w in _windows()})
    qthreads: set[int] = field(default_factory=lambda: {_address(t) for t in _running_qthreads()})


def found_since(before: Before) -> list[str]:
    """Return a sentence for each thing that is still there, after waiting for it to go."""
    _settle_qt()
    leaks: list[str] = []
    for find in (_leaked_qthreads, _leaked_widgets, _leaked_children, _leaked_threads):
        leaks += _wait_until_empty(lambda find=find: find(before))
    return leaks


def _wait_until_empty(find: Callable[[], list[str]]) -> list[str]:
    end = time.monotonic() + DEADLINE_S
    found = find()
    while found and time.monotonic() < end:
        # Nothing announces the end of a foreign thread or process, so this has to look again.
        time.sleep(0.01)
        _settle_qt()
        found = find()
    return found


def _leaked_threads(before: Before) -> list[str]:
    return [
        f"thread {thread.name!r} still runs"
        for thread in threading.enumerate()
        if thread not in before.threads and not _KNOWN_THREADS.match(thread.name)
    ]


def _children() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


def _leaked_children(before: Before) -> list[str]:
    return [
        f"process {child.pid} {_describe(child)}"
        for child in _children()
        if child.pid not in before.children and not _is_worker_of(child, before.children)
    ]


def _is_worker_of(child: psutil.Process, known: set[int]) -> bool:
    """True for a worker that an engine has called, which was there before: it ends when idle."""
    try:
        is_worker = "worker" in child.cmdline()
        return is_worker and any(parent.pid in known for parent in child.parents())
    except psutil.NoSuchProcess:
        return False


def _describe(child: psutil.Process) -> str:
    try:
        if child.status() == psutil.STATUS_ZOMBIE:
            return "ended, but nobody waited for it"
        return f"still runs: {' '.join(child.cmdline())}"
    except psutil.NoSuchProcess:
        return "ended just now"


def processes_with_home_under(folder: Path) -> list[psutil.Process]:
    """Return all processes of this user, orphans too, whose MLX_MANAGER_HOME is under `folder`."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        try:
            home = process.environ().get("MLX_MANAGER_HOME", "")
        except (psutil.Error, OSError):
            continue
        if Path(home).is_relative_to(folder) and process.pid != psutil.Process().pid:
            found.append(process)
    return found


def _settle_qt() -> None:
    if QCoreApplication.instance() is not None:
        QCoreApplication.processEvents()
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


def _address(thing: Any) -> int:
    return Shiboken.getCppPointer(thing)[0]


def _windows() -> list[QWidget]:
    """Return all windows without a parent, hidden ones too; the others go with their parent."""
    if not isinstance(QCoreApplication.instance(), QApplication):
        return []
    return [
        widget
        for widget in QApplication.topLevelWidgets()
        if widget.parent() is None and widget.metaObject().className() not in _KNOWN_WIDGETS
    ]


def _leaked_widgets(before: Before) -> list[str]:
    def leaked() -> list[str]:
        return [
            f"window {widget.metaObject().className()} {widget.windowTitle()!r} still exists"
            for widget in _windows()
            if _address(widget) not in before.widgets
        ]

    found = leaked()
    if found:
        # A window in a reference cycle is no leak; it goes with the next collection.
        gc.collect()
        _settle_qt()
        found = leaked()
    return found


def _running_qthreads() -> list[QThread]:
    main = QCoreApplication.instance()
    return [
        thing
        for thing in Shiboken.getAllValidWrappers()
        if isinstance(thing, QThread)
        and thing.isRunning()
        and (main is None or thing is not main.thread())
        and thing is not QThread.currentThread()
    ]


def _leaked_qthreads(before: Before) -> list[str]:
    leaks = [
        f"QThread {type(thread).__name__} {thread.objectName()!r} still runs"
        for thread in _running_qthreads()
        if _address(thread) not in before.qthreads
    ]
    if QThreadPool.globalInstance().activeThreadCount():
        leaks.append("a task still runs in the global QThreadPool")
    return leaks


class LogWatch:
    """Collects the warnings and errors of this program, and knows which of them a test expects."""

    def __init__(self) -> None:
        self._records: list[logging.LogRecord] = []
        self._expected: list[re.Pattern[str]] = []
        self._allowed: list[re.Pattern[str]] = []
        self._make = logging.getLogRecordFactory()

    def start(self) -> None:
        """Watch all log records from now on."""
        # Not a handler: it would miss loggers that do not propagate and handlers being replaced.
        logging.setLogRecordFactory(self._watched)

    def stop(self) -> None:
        """Watch no longer."""
        logging.setLogRecordFactory(self._make)

    def expect(self, pattern: str) -> None:
        """Allow records whose message matches, and demand at least one."""
        self._expected.append(re.compile(pattern))

    def allow(self, pattern: str) -> None:
        """Allow records whose message matches."""
        self._allowed.append(re.compile(pattern))

    def complaints(self) -> list[str]:
        """Return a sentence for each record that was not expected and each that did not come."""
        patterns = self._expected + self._allowed
        texts = [record.getMessage() for record in self._records]
        bad = [
            f"{record.levelname} of logger {record.name!r}: {_with_trace(record)}"
            for record, text in zip(self._records, texts, strict=True)
            if not any(pattern.search(text) for pattern in patterns)
        ]
        missing = [
            f"no log record matched {pattern.pattern!r}"
            for pattern in self._expected
            if not any(pattern.search(text) for text in texts)
        ]
        return bad + missing

    def _watched(self, *args: Any, **kwargs: Any) -> logging.LogRecord:
        record = self._make(*args, **kwargs)
        ours = record.pathname.startswith(APP) or record.name == "asyncio"
        if ours and record.levelno >= logging.WARNING:
            self._records.append(record)
        return record


def _with_trace(record: logging.LogRecord) -> str:
    text = record.getMessage()
    if record.exc_info and record.exc_info[1] is not None:
        text += f" ({record.exc_info[1]!r})"
    return text
