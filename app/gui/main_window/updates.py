"""Asks once a day for a newer version of the app, if the user wants that, and offers it quietly."""

import logging
import time
from collections.abc import Callable
from typing import Final

import msgspec
from PySide6.QtCore import QObject, QProcess, QTimer

from app import __version__, paths
from app.gui.memory import Memory
from app.wire.release import Release, ReleaseAnswer, is_newer

_log = logging.getLogger("gui")
_SOON_MS: Final = 20_000
"""The start of the app has more important things to do."""
_LOOK_MS: Final = 60_000
_DAY_S: Final = 24 * 3600
_AGAIN_S: Final = 3600
"""After a question that got no answer, as on a computer that just woke up."""
_PATIENCE_MS: Final = 30_000
"""Twice what the question takes at most."""
_END_MS: Final = 1000
_NEXT: Final = "updates_next"
_SKIPPED: Final = "updates_skipped"


class Updates(QObject):
    """Hands a newer version to `offer` until that takes it; does nothing while it is off."""

    def __init__(
        self,
        memory: Memory,
        offer: Callable[[Release], bool],
        *,
        url: str,
        parent: QObject | None = None,
    ) -> None:
        """Remember in `memory`; `offer` returns False when the user cannot be told now."""
        super().__init__(parent)
        self._memory = memory
        self._offer = offer
        self._url = url
        self._found: Release | None = None
        self._process: QProcess | None = None
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.look)

    def set_on(self, *, is_on: bool) -> None:
        """Begin to ask, or stop."""
        if not is_on or not self._url:
            self.end()
        elif not self._timer.isActive():
            self._timer.start(_SOON_MS)

    def end(self) -> None:
        """Stop at once, with a question that is under way."""
        self._timer.stop()
        self._found = None
        if (process := self._take_process()) is not None:
            process.kill()
            process.waitForFinished(_END_MS)
            process.deleteLater()

    def skip(self, release: Release) -> None:
        """Never offer this version again."""
        self._memory.set_value(_SKIPPED, release.version)

    def look(self) -> None:
        """Offer what is known, or ask if it is time."""
        self._timer.start(_LOOK_MS)
        if self._found is not None:
            if self._offer(self._found):
                self._found = None
        elif self._process is None and self._is_due():
            self._ask()

    def _is_due(self) -> bool:
        following = self._memory.value(_NEXT)
        try:
            wait_s = int(str(following)) - time.time()
        except ValueError:
            return True
        # More than a day ahead: the clock was wrong when it was written.
        return not 0 < wait_s <= _DAY_S

    def _ask(self) -> None:
        self._wait(_DAY_S)
        program, *arguments = paths.program("worker")
        process = self._process = QProcess(self)
        process.setProgram(program)
        process.setArguments([*arguments, "releases", self._url])
        if (root := paths.program_root()) is not None:
            process.setWorkingDirectory(root)
        process.finished.connect(self._on_finished)
        process.errorOccurred.connect(self._on_error)
        QTimer.singleShot(_PATIENCE_MS, process, process.kill)
        process.start()

    def _wait(self, seconds: int) -> None:
        self._memory.set_value(_NEXT, int(time.time()) + seconds)

    def _take_process(self) -> QProcess | None:
        """Return the question under way, which nobody listens to any more."""
        process, self._process = self._process, None
        if process is not None:
            process.finished.disconnect(self._on_finished)
            process.errorOccurred.disconnect(self._on_error)
        return process

    def _on_error(self, error: QProcess.ProcessError) -> None:
        # What has started reports its end, too.
        if error is QProcess.ProcessError.FailedToStart:
            self._on_finished()

    def _on_finished(self, _status: int = 0) -> None:
        process = self._take_process()
        if process is None:
            return
        answer = _answer(bytes(process.readAllStandardOutput().data()))
        process.deleteLater()
        release = answer.release
        if release is None:
            _log.info("no word of a newer version: %s", answer.trouble)
            self._wait(_AGAIN_S)
        elif (
            is_newer(release.version, __version__)
            and self._memory.value(_SKIPPED) != release.version
        ):
            _log.info("version %s is available", release.version)
            self._found = release
            self.look()


def _answer(line: bytes) -> ReleaseAnswer:
    try:
        return msgspec.json.decode(line, type=ReleaseAnswer)
    except msgspec.MsgspecError:
        return ReleaseAnswer(trouble="the question was not answered")
