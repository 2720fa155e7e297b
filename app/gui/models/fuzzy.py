"""Finds what people type, letter by letter, in names: pure and quick enough for each key."""

from typing import Final, NamedTuple

_AT_START: Final = 120.0
_AT_WORD: Final = 100.0
_INSIDE: Final = 60.0
_SCATTERED: Final = 20.0
_PER_WORD_START: Final = 6.0
_PER_GAP: Final = 1.0
_PER_LETTER: Final = 0.2
"""Of two texts that match alike, the shorter one is meant."""


class Found(NamedTuple):
    """How well a text matches, and by which letters."""

    score: float
    places: tuple[int, ...]
    """Positions of the letters in the text, ascending."""


def find(query: str, text: str) -> Found | None:
    """Return how a text matches all words of a query, in any order; None when it does not.

    The letters of a word must be in the text in their order. Whole words count more than parts of
    words, and those more than scattered letters.
    """
    lower = text.lower()
    if len(lower) != len(text):
        # Letters whose small form is longer would shift the places.
        lower = text
    places: set[int] = set()
    score = -_PER_LETTER * len(text)
    for word in query.lower().split():
        found = _find_word(word, lower)
        if found is None:
            return None
        score += found.score
        places.update(found.places)
    return Found(score, tuple(sorted(places)))


def _find_word(word: str, text: str) -> Found | None:
    at = text.find(word)
    best = at
    while at >= 0:
        if _starts_word(text, at):
            score = _AT_WORD if at else _AT_START
            return Found(score + len(word), tuple(range(at, at + len(word))))
        at = text.find(word, at + 1)
    if best >= 0:
        return Found(_INSIDE + len(word), tuple(range(best, best + len(word))))
    places = _scattered(word, text, prefers_starts=True) or _scattered(
        word, text, prefers_starts=False
    )
    if places is None:
        return None
    starts = sum(_starts_word(text, place) for place in places)
    gaps = places[-1] - places[0] + 1 - len(places)
    return Found(_SCATTERED + starts * _PER_WORD_START - gaps * _PER_GAP, places)


def _scattered(word: str, text: str, *, prefers_starts: bool) -> tuple[int, ...] | None:
    places: list[int] = []
    at = -1
    for letter in word:
        following = text.find(letter, at + 1)
        if following < 0:
            return None
        is_next = following == at + 1 and at >= 0
        if prefers_starts and not is_next:
            start = following
            while start >= 0 and not _starts_word(text, start):
                start = text.find(letter, start + 1)
            following = start if start >= 0 else following
        places.append(following)
        at = following
    return tuple(places)


def _starts_word(text: str, place: int) -> bool:
    return place == 0 or (text[place].isalnum() and not text[place - 1].isalnum())
