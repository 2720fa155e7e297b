"""Downloads that end: who waits for them, and which models are to be started then."""

import json
import logging
from enum import Enum

from PySide6.QtCore import QObject, QTimer, Signal

from app.gui.memory import Memory
from app.gui.mirror import LinkState, Mirror

_log = logging.getLogger("gui")
_KEY = "run_after_download"
_DOUBT_MS = 3000
"""The engine first tells that a download is gone, then that its model is there."""


class _Wish(Enum):
    ASKED = "asked"
    """The engine has not answered yet."""
    AGREED = "agreed"


class Arrivals(QObject):
    """Says which model has arrived. What is to run then is remembered over a restart of the app."""

    arrived = Signal(object)  # tuple[str, bool]: a model's id, and whether it is to be started
    renewed = Signal(object)  # str: a model that was there before and is complete and up to date
    wishes_changed = Signal(object)  # frozenset[str]: what is started when it has come

    def __init__(self, mirror: Mirror, memory: Memory, parent: QObject) -> None:
        super().__init__(parent)
        self._mirror = mirror
        self._memory = memory
        self._wishes = dict.fromkeys(_remembered(memory), _Wish.AGREED)
        self._place = ""
        self._elsewhere: dict[str, dict[str, _Wish]] = {}
        """Wishes to engines that are not shown now, by the names of their computers."""
        self._on_way: set[str] = set()
        self._gone: set[str] = set()
        self._done: set[str] = set()
        """Downloads that came to their end; their models follow."""
        self._doubt = QTimer(self)
        self._doubt.setSingleShot(True)
        self._doubt.setInterval(_DOUBT_MS)
        self._doubt.timeout.connect(self._drop_hopeless)
        mirror.download_done.connect(self._done.add)
        mirror.downloads_changed.connect(self._on_changed)
        mirror.models_changed.connect(self._on_models_changed)
        mirror.place_changed.connect(self._turn_to)

    def wishes(self) -> frozenset[str]:
        """Return the ids of the models that are started when they have come."""
        return frozenset(self._wishes)

    def wish(self, model_id: str) -> None:
        """Start this model when it has come; the download has just been asked for."""
        self._wishes[model_id] = _Wish.ASKED
        self._remember()

    def confirm(self, model_id: str) -> None:
        """Take note that the engine has agreed to the download."""
        if model_id in self._wishes:
            self._wishes[model_id] = _Wish.AGREED
        self._on_changed()

    def drop(self, model_id: str) -> None:
        """Do not start this model when it has come."""
        if self._wishes.pop(model_id, None) is not None:
            self._remember()

    def _turn_to(self, place: str) -> None:
        """Take up what was wished there; models of another computer fulfil no wish here."""
        self._elsewhere[self._place] = self._wishes
        self._wishes = self._elsewhere.pop(place, {})
        self._place = place
        for seen in (self._on_way, self._gone, self._done):
            seen.clear()
        self.wishes_changed.emit(self.wishes())

    def _on_models_changed(self) -> None:
        known = self._done - self._gone - self._wishes.keys()
        self._done.clear()
        self._on_changed()
        for model_id in known & self._mirror.models.keys() - self._mirror.downloads.keys():
            self.renewed.emit(model_id)

    def _on_changed(self) -> None:
        models, downloads = self._mirror.models, self._mirror.downloads
        self._gone |= self._on_way - downloads.keys()
        # A model that was there before, and is only checked or renewed, arrives no second time.
        self._on_way = {i for i in downloads if i not in models} | (self._on_way & downloads.keys())
        here = models.keys() - downloads.keys()
        for model_id in [i for i in self._gone if i in here]:
            self._gone.discard(model_id)
            self._tell(model_id)
        for model_id, wish in list(self._wishes.items()):
            if model_id in here and wish is _Wish.AGREED:
                self._tell(model_id)
        if self._gone or self._wishes:
            self._doubt.start()

    def _tell(self, model_id: str) -> None:
        is_wanted = model_id in self._wishes
        self.drop(model_id)
        self.arrived.emit((model_id, is_wanted))

    def _drop_hopeless(self) -> None:
        """Forget what was cancelled, here or elsewhere, while the app was closed or not."""
        mirror = self._mirror
        # Before the first scan of the disk nothing can be said.
        if mirror.link is not LinkState.LIVE or not mirror.models:
            return
        self._gone.clear()
        for model_id, wish in list(self._wishes.items()):
            if wish is _Wish.AGREED and model_id not in mirror.downloads:
                self.drop(model_id)

    def _remember(self) -> None:
        own = self._elsewhere.get("", {}) if self._place else self._wishes
        self._memory.set_value(_KEY, json.dumps(sorted(own)))
        self.wishes_changed.emit(self.wishes())


def _remembered(memory: Memory) -> list[str]:
    try:
        ids: object = json.loads(str(memory.value(_KEY, "[]")))
    except ValueError:
        _log.warning("what was to run after its download cannot be read")
        return []
    return [str(one) for one in ids] if isinstance(ids, list) else []  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] - JSON
