"""The app: sets up Qt, shows the window before anything heavy, and ends in order."""

import argparse
import errno
import faulthandler
import gc
import logging
import os
import signal
import socket
import sys
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TextIO

from PySide6.QtCore import (
    QMessageLogContext,
    QObject,
    QSize,
    QSocketNotifier,
    QTimer,
    QtMsgType,
    qInstallMessageHandler,
)
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import QApplication

from app import __version__, environment, files, logs, paths
from app.ending import BadEnd, Ending
from app.gui.instance import Claim, SingleInstance, end_silent_window, silent_window
from app.gui.links import absolute, is_link, is_profile_file
from app.gui.main_window import MainWindow
from app.gui.main_window.system_events import SystemEvents
from app.gui.theme import theme

_log = logging.getLogger("gui")
_GC_MS = 2000
_FULL_GC_MS = 60_000
"""A closed tile or dialog is old garbage, which only a full collection finds; it takes 30 ms."""
_FULL = (errno.ENOSPC, errno.EDQUOT)
_ICON_SIZES = (16, 32, 48, 64, 128, 256)
_QT_LEVELS = {
    QtMsgType.QtDebugMsg: logging.DEBUG,
    QtMsgType.QtInfoMsg: logging.INFO,
    QtMsgType.QtWarningMsg: logging.WARNING,
    QtMsgType.QtCriticalMsg: logging.ERROR,
    QtMsgType.QtFatalMsg: logging.CRITICAL,
}


def main(argv: list[str]) -> int:
    """Show the window and run until it is closed. Returns the exit status."""
    options = _parse(argv)
    app = make_application()
    crash_file = _open_home()
    if crash_file is None:
        return 1
    logs.hook_exceptions("gui")
    environment.adopt_file()
    qInstallMessageHandler(_on_qt_message)
    with crash_file:
        faulthandler.enable(crash_file)
        try:
            return _run(app, options, crash_file)
        finally:
            faulthandler.disable()


def _open_home() -> TextIO | None:
    """Make the home ready and return the crash file; None when the user gave up on that."""
    while True:
        try:
            paths.run().mkdir(parents=True, exist_ok=True)
            files.hold_home(paths.home())
            logs.set_up(paths.logs() / "app.log")
            files.trim(paths.logs() / "crash.log")
            return (paths.logs() / "crash.log").open("a", encoding="utf-8")
        except OSError as error:
            if error.errno in _FULL:
                # Models are deleted with this app; crashes are told to nobody meanwhile.
                return Path(os.devnull).open("a", encoding="utf-8")
            # Before the log is there, somebody at a terminal learns it, too.
            sys.stderr.write(f"{paths.home()} cannot be used: {error.strerror or error}.\n")
            # Here, since it is hardly ever needed, and the first frame waits for all imports.
            from app.gui.dialogs.start_trouble import asks_again_for_home

            if not asks_again_for_home(error):
                return None


def make_application() -> QApplication:
    """Return the QApplication with the app's names, style and theme."""
    app = QApplication.instance()
    if not isinstance(app, QApplication):
        app = QApplication(sys.argv[:1])
    app.setApplicationName("MLX Model Manager")
    app.setApplicationVersion(__version__)
    app.setStyle("Fusion")
    app.setDesktopFileName("mlx-model-manager")
    app.setWindowIcon(_window_icon())
    app.styleHints().colorSchemeChanged.connect(theme().refresh)
    return app


def _window_icon() -> QIcon:
    icon = QIcon()
    for size in _ICON_SIZES:
        icon.addFile(str(paths.resources() / f"icons/app/{size}.png"), QSize(size, size))
    return icon


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="mlx-model-manager")
    parser.add_argument("--engine", metavar="URL", help="use the engine at this address")
    parser.add_argument(
        "targets",
        metavar="LINK_OR_FILE",
        nargs="*",
        help="an mlxmanager: link to follow, or a .mlxprofile file to import",
    )
    options = parser.parse_args(argv)
    for target in options.targets:
        if not (is_link(target) or is_profile_file(target)):
            parser.error(f"{target} is no mlxmanager: link and no .mlxprofile file")
    options.targets = [absolute(target) for target in options.targets]
    return options


def _run(app: QApplication, options: argparse.Namespace, crash_file: TextIO) -> int:
    app.setQuitOnLastWindowClosed(False)
    instance = SingleInstance()
    if not _is_first(instance, options.targets):
        return 0
    ending = Ending("app")
    window = MainWindow(options.engine, bad_end=_last_end(ending))
    # A disk may take seconds for it, and the window's first frame must not wait.
    window.saver.save("app.alive", partial(ending.begin, os.getpid()))
    window.open_targets(options.targets)
    instance.raise_wanted.connect(window.come_to_front)
    instance.open_wanted.connect(window.open_targets)
    # Before the next line: at the end it must let Qt's own Quit through.
    app.installEventFilter(SystemEvents(app, window))
    window.closed.connect(app.quit)
    _quit_on_signals(app, window)
    _collect_in_gui_thread(app)
    window.show()
    status = app.exec()
    has_joined = window.join()
    # In this order: the next app must not take the note for that of a crash.
    _end(ending)
    if not has_joined:
        # A QThread that is destroyed while it runs aborts the process; its stack tells why.
        faulthandler.dump_traceback(crash_file, all_threads=True)
        logging.shutdown()
        os._exit(status or 1)
    instance.release()
    return status


def _is_first(instance: SingleInstance, targets: list[str]) -> bool:
    """Claim the home; return False when another window has it, or the user gave up on one."""
    while (claim := instance.claim(targets)) is Claim.SILENT:
        from app.gui.dialogs.start_trouble import ask_about_silent_window

        match ask_about_silent_window(can_end=silent_window() is not None):
            case "end":
                end_silent_window()
            case "quit":
                return False
            case _:
                pass
    return claim is Claim.OURS


def _last_end(ending: Ending) -> BadEnd | None:
    try:
        bad = ending.last()
    except OSError as error:
        _log.warning("how the last run ended cannot be read: %s", error)
        return None
    if bad is not None:
        _log.warning("the last run, process %d, did not end properly: %s", bad.pid, bad.cause.value)
    return bad


def _end(ending: Ending) -> None:
    try:
        ending.end()
    except OSError as error:
        _log.warning("the note that the app ran cannot be removed: %s", error)


def _quit_on_signals(app: QApplication, window: MainWindow) -> None:
    """Turn SIGINT and SIGTERM into an orderly quit; Qt alone would not notice them."""
    reading, writing = socket.socketpair()
    reading.setblocking(False)
    writing.setblocking(False)
    signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _wake_only)

    def on_signal() -> None:
        reading.recv(64)
        window.quit()

    notifier = QSocketNotifier(reading.fileno(), QSocketNotifier.Type.Read, app)
    notifier.activated.connect(on_signal)
    app.setProperty("signal_sockets", _Keep(app, reading, writing))


def _wake_only(_number: int, _frame: FrameType | None) -> None:
    """Leave it to the wake-up descriptor."""


class _Keep(QObject):
    """Keeps objects alive as long as its parent."""

    def __init__(self, parent: QObject, *kept: object) -> None:
        super().__init__(parent)
        self.kept = kept


def _collect_in_gui_thread(app: QApplication) -> None:
    """Collect garbage only here: a collection in a worker would destroy widgets from there."""
    gc.collect()
    gc.freeze()
    gc.disable()
    for interval_ms, generation in ((_GC_MS, 1), (_FULL_GC_MS, 2)):
        timer = QTimer(app)
        timer.timeout.connect(partial(gc.collect, generation))
        timer.start(interval_ms)


def _on_qt_message(kind: QtMsgType, _context: QMessageLogContext, message: str) -> None:
    _log.log(_QT_LEVELS.get(kind, logging.WARNING), "Qt: %s", message)
