"""Tells a model's reasoning from its answer."""

from typing import NamedTuple

_OPEN, _CLOSE = "<think>", "</think>"


class Spoken(NamedTuple):
    """What a model has said so far."""

    reasoning: str
    answer: str
    is_thinking: bool
    """True while only reasoning has come."""


def spoken(text: str, reasoning: str) -> Spoken:
    """Return both parts of `text`, which may have its reasoning between `<think>` and `</think>`.

    `reasoning` is what the server told apart already. A template that opens the tag itself leaves
    only the closing one in the text.
    """
    head, tag, tail = text.partition(_CLOSE)
    if tag:
        inner = head.lstrip().removeprefix(_OPEN)
        return Spoken((reasoning + inner).strip(), tail.lstrip(), is_thinking=False)
    stripped = text.lstrip()
    if stripped.startswith(_OPEN):
        return Spoken((reasoning + stripped[len(_OPEN) :]).strip(), "", is_thinking=True)
    if stripped and _OPEN.startswith(stripped):
        # The beginning of the tag has come; it would flash up as text.
        return Spoken(reasoning.strip(), "", is_thinking=True)
    return Spoken(reasoning.strip(), stripped, is_thinking=bool(reasoning) and not stripped)
