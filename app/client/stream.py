"""Cuts an event stream into its events, whatever comes and however it is cut on the way."""

from collections.abc import Iterable, Iterator

MOST_BYTES = 64 * 1024 * 1024
"""Of one line; the snapshot of an engine with a thousand models has 2 MB."""


class LineTooLongError(ValueError):
    """The other side sends a line without an end."""

    def __init__(self) -> None:
        super().__init__("a line of its events does not end")


def data_of(pieces: Iterable[bytes], *, most_bytes: int = MOST_BYTES) -> Iterator[bytes]:
    """Yield what stands behind `data:` in each complete line. Raises LineTooLongError.

    Line feeds alone end a line: JSON may hold the other characters that text is cut at.
    """
    held = bytearray()
    for piece in pieces:
        begin = 0
        while (end := piece.find(b"\n", begin)) >= 0:
            held += piece[begin:end]
            begin = end + 1
            if held.startswith(b"data:"):
                yield bytes(held[5:]).strip()
            held.clear()
        held += piece[begin:]
        if len(held) > most_bytes:
            raise LineTooLongError
