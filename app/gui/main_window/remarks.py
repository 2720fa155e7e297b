"""What the window says quietly after a start: a bad end of the last run, damaged files."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, QUrl
from PySide6.QtGui import QDesktopServices

from app import files, paths
from app.ending import BadEnd
from app.gui.memory import Memory
from app.gui.mirror import LinkState
from app.wire.nouns import EngineInfo

if TYPE_CHECKING:
    from app.gui.main_window.parts import Parts

_PAUSE_MS = 400
"""Between two of them, so that the second is seen to be another one."""
_MEMORY = "told_of_engine"


@dataclass(frozen=True)
class _Remark:
    """A sentence, and what helps to understand it."""

    text: str
    log: Path | None = None
    has_report: bool = False


class Remarks(QObject):
    """Shows one after another, as soon as the engine is there and nothing else is being said.

    What an engine has to say is said once for each of its runs, however often a window connects.
    """

    def __init__(self, parts: "Parts", memory: Memory, bad_end: BadEnd | None) -> None:
        super().__init__(parts)
        self._parts = parts
        self._memory = memory
        self._waiting: deque[_Remark] = deque()
        self._told = _remembered(memory)
        self._has_bad_end = bad_end is not None
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(_PAUSE_MS)
        self._pause.timeout.connect(self._show_next)
        if bad_end is not None:
            text = self.tr("MLX Model Manager did not end properly last time.")
            self._waiting.append(_Remark(text, _telling_log(bad_end), has_report=True))
        parts.mirror.engine_changed.connect(self._take)
        parts.mirror.link_changed.connect(self._come)
        parts.notice.gone.connect(self._pause.start)
        # The sheet of a first run would cover the notice.
        parts.quick.welcoming.answered.connect(self._pause.start)
        parts.mirror.models_changed.connect(self._come)

    def _take(self, engine: EngineInfo) -> None:
        run = f"{engine.pid} {engine.started_at:.0f}"
        if self._told[:1] != [run]:
            self._told = [run]
        is_here = self._parts.session.url is None and "local_disk" in engine.capabilities
        log = Path(engine.log) if is_here else None
        # After a power cut both ended badly, which is one thing to say and not two.
        last_end = "" if self._has_bad_end and is_here else engine.last_end
        for text in (last_end, *engine.troubles):
            if text and text not in self._told:
                self._told.append(text)
                self._waiting.append(_Remark(text, log, has_report=text == last_end))
        self._memory.set_value(_MEMORY, "\n".join(self._told))
        self._come()

    def _come(self, _changed: object = None) -> None:
        if self._waiting and not self._pause.isActive():
            self._pause.start()

    def _show_next(self) -> None:
        parts = self._parts
        is_free = parts.notice.isHidden() and parts.mirror.link is LinkState.LIVE
        if not (self._waiting and is_free) or parts.quick.welcoming.is_due:
            return
        remark = self._waiting.popleft()
        show_log: Callable[[], None] | None = None
        if remark.log is not None:
            show_log = partial(self._open, remark.log)
        report = (self.tr("Report…"), parts.reports.open) if remark.has_report else None
        parts.notice.show_notice(
            remark.text,
            is_bad=False,
            action_text=self.tr("Show log"),
            action=show_log,
            also=report,
        )

    def _open(self, log: Path) -> None:
        for place in (log, log.parent):
            if QDesktopServices.openUrl(QUrl.fromLocalFile(str(place))):
                return
        text = self.tr("{} could not be opened here.").format(log)
        self._parts.notice.show_notice(text, is_bad=True)


def _telling_log(bad_end: BadEnd) -> Path:
    """Return the file that says most about a bad end: of a crash its stack, else the last lines."""
    crash = paths.logs() / "crash.log"
    return crash if files.is_newer(crash, bad_end.started_at) else paths.logs() / "app.log"


def _remembered(memory: Memory) -> list[str]:
    return str(memory.value(_MEMORY) or "").splitlines()
