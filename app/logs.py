"""Log handlers, rotation and redaction, the same for every program of the app."""

import logging
import logging.handlers
import re
import sys
import threading
from pathlib import Path
from types import TracebackType

SUBJECTS = ("server", "download", "http", "gateway", "gui", "engine", "library", "store")
"""Loggers are named by subject, not by module."""

_SECRET = re.compile(
    r"(?i)(bearer\s+|api[_-]?key[\"'=:\s]+|hf_|mlxm-(?=[\w-]{40}))[A-Za-z0-9._~+/=-]{6,}"
)


class _Redacting(logging.Formatter):
    """Replaces what looks like a key, in the message and in a trace."""

    def format(self, record: logging.LogRecord) -> str:
        return _SECRET.sub(r"\1[redacted]", super().format(record))


class _File(logging.handlers.RotatingFileHandler):
    """A log file; that it cannot be written is told once, and the program goes on."""

    _is_told = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - of logging
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self._is_told and sys.stderr is not None:
            sys.stderr.write(f"{self.baseFilename} cannot be written: {error.strerror}.\n")
            self._is_told = True


def set_up(file: Path, *, level: str = "info", to_stderr: bool = False) -> None:
    """Send all logs to `file` (5 files of 2 MB at most) and, if asked, to standard error."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handlers: list[logging.Handler] = [
        _File(file, maxBytes=2_000_000, backupCount=4, encoding="utf-8", delay=True)
    ]
    if to_stderr:
        handlers.append(logging.StreamHandler(sys.stderr))
    formatter = _Redacting("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
        old.close()
    for handler in handlers:
        handler.setFormatter(formatter)
        root.addHandler(handler)
    root.setLevel(level.upper())
    # One line a request, every second while a window is open, says nothing to anybody.
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)


def hook_exceptions(subject: str) -> None:
    """Log every exception that nobody handled: in the main thread, in threads, in finalisers."""
    log = logging.getLogger(subject)

    def on_exception(
        kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        if issubclass(kind, KeyboardInterrupt):
            return
        log.critical("unhandled exception", exc_info=(kind, error, trace))

    def on_thread(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None:
            on_exception(args.exc_type, args.exc_value, args.exc_traceback)

    def on_unraisable(args: "sys.UnraisableHookArgs") -> None:
        if args.exc_value is not None:
            on_exception(args.exc_type, args.exc_value, args.exc_traceback)

    sys.excepthook = on_exception
    threading.excepthook = on_thread
    sys.unraisablehook = on_unraisable
