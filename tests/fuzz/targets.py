"""What is fuzzed: every parser of ours that reads what other programs wrote, with what must hold.

A target takes any bytes and returns; whatever it raises is a finding.
"""

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from app.client.stream import data_of
from app.engine.readers.gpu import parse_ioreg
from app.gateway.answer import Answer
from app.gateway.body import ChunkedBody
from app.gateway.errors import RequestError
from app.gateway.gathering import Gathering
from app.gateway.reader import RequestReader
from app.gui.inspector.server.log_text import Block
from app.wire.events import decode_event
from app.worker.files import UnreadableError
from app.worker.safetensors import count_parameters, precision, read_header

_HEAD = b"HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"


class Taker:
    """Takes what the gateway would send to its client, and counts the ends."""

    def __init__(self) -> None:
        self.ends = 0

    def send_whole(self, body: bytes) -> None:
        self.ends += 1

    def send_error(self, error: RequestError) -> None:
        self.ends += 1

    def start_events(self) -> None: ...

    def flush(self) -> None: ...

    def send_events(self, events: bytes) -> None: ...

    def end_events(self, events: bytes) -> None:
        self.ends += 1

    def cut_events(self, error: RequestError) -> None:
        self.ends += 1


def _cut(data: bytes) -> Iterator[bytes]:
    """Yield the data in pieces whose lengths its own first bytes choose."""
    sizes, rest = data[:4], data[4:]
    for size in sizes:
        yield rest[:size]
        rest = rest[size:]
    yield rest


def safetensors(data: bytes) -> None:
    """A header is read or refused in words, by its bytes alone and with its length before it."""
    descriptor, name = tempfile.mkstemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
    try:
        os.write(descriptor, len(data).to_bytes(8, "little") + data)
        for size in (len(data) + 8, 2**40):
            with contextlib.suppress(UnreadableError):
                tensors = read_header(name, size)
                count_parameters(tensors, bits=4, bits_by_layer={})
                precision(tensors.values())
    finally:
        os.close(descriptor)
        Path(name).unlink()


def log_lines(data: bytes) -> None:
    """A log loses nothing but the ends of its lines."""
    block = Block(data)
    lines = [block.line(number) for number in range(len(block))]
    assert b"".join(lines).replace(b"\r", b"") == data.replace(b"\n", b"").replace(b"\r", b"")


def events(data: bytes) -> None:
    """Our own stream is the same however it is cut; each line of it is an event or refused."""
    found = list(data_of(_cut(data)))
    assert found == list(data_of([data[4:]]))
    for line in found:
        with contextlib.suppress(msgspec.DecodeError):
            decode_event(line)


def answer(data: bytes) -> None:
    """The answer of a server has exactly one end, streamed or gathered."""
    for is_gathered in (False, True):
        taker = Taker()
        side = Gathering(taker, is_chat=True) if is_gathered else taker
        given = Answer(side, server="s", model="m", hides_usage=True)
        for piece in (_HEAD, *_cut(data)) if data[:1] < b"\x80" else _cut(data[1:]):
            if not given.is_over:
                given.feed(piece)
        given.end()
        assert given.is_over
        assert taker.ends == 1


def request(data: bytes) -> None:
    """What a client sends is requests, or refused with its status."""
    reader = RequestReader()
    with contextlib.suppress(RequestError):
        for piece in _cut(data):
            reader.feed(piece)
            while not reader.is_in_body and reader.take_head() is not None:
                if reader.take_body() is None:
                    break
            if reader.is_in_body:
                reader.take_body()
    assert reader.waiting <= len(data)


def chunks(data: bytes) -> None:
    """A chunked body is the same however it is cut, or refused."""

    def taken(pieces: Iterator[bytes]) -> tuple[bytes | None, bytes] | int:
        body, buffer = ChunkedBody(), bytearray()
        whole = None
        try:
            for piece in pieces:
                buffer += piece
                if whole is None:
                    whole = body.take(buffer)
        except RequestError as error:
            return error.status
        return whole, bytes(buffer) if whole is not None else b""

    assert taken(_cut(data)) == taken(iter([data[4:]]))


def ioreg(data: bytes) -> None:
    """A registry yields shares and times that can be, or nothing."""
    wrapped = b'<?xml version="1.0"?><plist version="1.0">' + data + b"</plist>"
    for text in (data, wrapped):
        figures = parse_ioreg(text)
        assert figures.device_percent is None or 0 <= figures.device_percent <= 100
        assert all(0 <= spent < 1e10 for spent in figures.seconds_by_pid.values())


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target
    for target in (safetensors, log_lines, events, answer, request, chunks, ioreg)
}
