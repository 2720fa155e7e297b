"""What is wrong with the engine's files: once in the log, and published for whoever connects."""

import logging

import msgspec

from app.engine.bus import Bus

_log = logging.getLogger("engine")
_MOST = 20


class Troubles:
    """Sentences for the user, in the order in which they came. Belongs to the engine's loop."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._by_subject: dict[str, str] = {}

    def tell(self, *sentences: str, is_logged: bool = False) -> None:
        """Publish what is not empty and not known yet; `is_logged`: the log has it already."""
        known = self._bus.info.troubles
        new = tuple(s for s in dict.fromkeys(sentences) if s and s not in known)
        for sentence in new:
            if not is_logged:
                _log.warning("%s", sentence)
        if new:
            # A bound, since a disk that fails again and again must not fill every snapshot.
            self._publish((*known, *new)[-_MOST:])

    def follow(self, subject: str, sentence: str) -> None:
        """Publish a sentence until the next one of its subject; the empty one says it is over."""
        before = self._by_subject.get(subject, "")
        if sentence != before:
            self._by_subject[subject] = sentence
            self._publish(tuple(s for s in self._bus.info.troubles if s != before))
            self.tell(sentence)

    def _publish(self, sentences: tuple[str, ...]) -> None:
        self._bus.put_info(msgspec.structs.replace(self._bus.info, troubles=sentences))
