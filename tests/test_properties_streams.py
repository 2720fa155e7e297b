"""Whatever other programs send or print: events, answers of servers, registries, headers."""

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from property_kit import DEEP, JSON, examples, words

from app.cli import main as cli
from app.client.api import Api
from app.client.errors import EngineGone, WrongVersion
from app.client.stream import LineTooLongError, data_of
from app.engine.readers.gpu import parse_ioreg
from app.gateway.answer import Answer
from app.gateway.body import ChunkedBody
from app.gateway.errors import RequestError
from app.gateway.gathering import Gathering
from app.gateway.reader import RequestReader
from app.gui.inspector.server.log_text import Block
from app.gui.workers.chat import ChatRequest, ChatWorker
from app.wire.errors import AppError
from app.wire.events import Heartbeat, Removed, decode_event
from app.wire.reading import read_json
from app.worker.files import UnreadableError
from app.worker.safetensors import count_parameters, precision, read_header

EVENT = b'{"event":"removed","seq":1,"kind":"model","id":"%b"}'


def cut(data: bytes, places: list[int]) -> Iterator[bytes]:
    """Yield data in pieces, as a network delivers it."""
    ends = sorted({min(place, len(data)) for place in places})
    for begin, end in zip([0, *ends], [*ends, len(data)], strict=True):
        yield data[begin:end]


PLACES = st.lists(st.integers(0, 400), max_size=8)


@given(st.lists(words(20), max_size=5), PLACES)
@examples(80)
def test_events_survive_every_cut_and_every_character(ids: list[str], places: list[int]) -> None:
    sent = [Removed(number, "model", text) for number, text in enumerate(ids)]
    stream = b"".join(b"data: " + msgspec.json.encode(event) + b"\n\n" for event in sent)
    assert [decode_event(data) for data in data_of(cut(stream, places))] == sent


@given(st.binary(max_size=300), PLACES)
@examples(60)
def test_any_bytes_are_lines_of_a_stream(data: bytes, places: list[int]) -> None:
    found = list(data_of(cut(data, places)))
    assert found == list(data_of([data]))
    assert all(b"\n" not in line for line in found)


def test_line_without_an_end_is_refused() -> None:
    with pytest.raises(LineTooLongError):
        list(data_of([b"data: "] + [b"x" * 100] * 20, most_bytes=1000))


def events_of(body: bytes) -> list[Any]:
    """Return what a client reads from an engine that sends `body` as its events."""
    with Api("http://engine") as api:
        api.http.close()
        api.http = httpx2.Client(
            base_url="http://engine",
            transport=httpx2.MockTransport(lambda _: httpx2.Response(200, content=body)),
        )
        return list(api.events())


@pytest.mark.parametrize(
    "line",
    [
        b"\xff", b"{}", b"5", b'{"event":"news","seq":1}', DEEP, b'{"event":"heartbeat"}',
        b'{"event":"upsert","seq":1,"kind":"model","item":{"id":5}}',
        b'{"event":"upsert","seq":1,"kind":"model","item":"\xff"}',
        b'{"event":"upsert","seq":1,"kind":"server","item":' + DEEP + b"}",
    ],
)  # fmt: skip
def test_event_that_is_none_is_told_to_the_user(line: bytes) -> None:
    with pytest.raises(WrongVersion, match="something unexpected"):
        events_of(b"data: " + line + b"\n\n")


def test_events_with_separators_of_lines_in_their_text_are_read() -> None:
    name = "a\u2028b\u2029c\x85d"
    body = b": comment\n\nretry: 5\n\ndata: " + EVENT % name.encode() + b"\n\n"
    with Api("http://engine") as api:
        api.http.close()
        transport = httpx2.MockTransport(lambda _: httpx2.Response(200, content=body))
        api.http = httpx2.Client(base_url="http://engine", transport=transport)
        events = api.events()
        assert next(events) == Removed(1, "model", name)
        with pytest.raises(EngineGone):
            next(events)


@given(JSON)
@examples(80)
def test_any_json_as_an_event_is_refused_or_an_event(value: Any) -> None:
    data = json.dumps(value).encode()
    try:
        event = decode_event(data)
    except msgspec.DecodeError:
        return
    assert isinstance(event, Heartbeat | Removed)


@pytest.mark.parametrize(
    "url", ["http://" + "a" * 70 + ".b", "http://.", "http://[::1", "http://x\n", "ftp://x", ""]
)
def test_address_that_is_none_is_refused_in_words(url: str) -> None:
    with pytest.raises(AppError):
        Api(url)


class Client:
    """Takes what the gateway would send to its client."""

    def __init__(self) -> None:
        self.ends: list[str] = []
        self.sent = b""

    def send_whole(self, body: bytes) -> None:
        self.ends.append("whole")
        self.sent += body

    def send_error(self, error: RequestError) -> None:
        self.ends.append("error")

    def start_events(self) -> None: ...

    def flush(self) -> None: ...

    def send_events(self, events: bytes) -> None:
        self.sent += events

    def end_events(self, events: bytes) -> None:
        self.ends.append("events")
        self.sent += events

    def cut_events(self, error: RequestError) -> None:
        self.ends.append("cut")


SSE = b"HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
WHOLE = b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n"
REFUSED = b"HTTP/1.0 400 Bad\r\nContent-Type: application/json\r\n\r\n"
CHUNK = (
    b'data: {"id":1,"model":"default_model","created":1,"choices":[{"delta":{"content":"x"}}]}\n\n'
)
BRICKS = st.sampled_from(
    [
        CHUNK, b"data: [DONE]\n\n", b": ping\n\n", b"\n\n", b"data:\n", b"\r\n\r\n", b"\xff",
        b'data: {"id":1,"model":1,"created":1,"choices":[],"usage":{"prompt_tokens":1}}\n\n',
        b'data: {"choices":[],"usage":' + DEEP + b"\n\n", b"data: " + DEEP + b"\n\n",
        b'data: {"id":"\xff","model":1,"created":1,"choices":[]}\n\n', b'{"error":"\xff"}', DEEP,
        b'{"error":{"message":5}}', b'{"usage":"\xff"}', b'data: {"id":1,"choices":5}\n\n',
    ]
)  # fmt: skip
BODIES = st.lists(BRICKS | st.binary(max_size=20), max_size=6).map(b"".join)


@pytest.mark.parametrize("data", [b'"\xff"', b"[" * 100_000, b"", b"1" * 5000])
def test_json_that_is_none_is_one_kind_of_error(data: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        read_json(data, object)


@pytest.mark.parametrize("body", [b'{"error":"\xff"}', DEEP, b""])
def test_refusal_that_cannot_be_read_is_a_refusal(body: bytes) -> None:
    client = Client()
    answer = Answer(client, server="s", model=None, hides_usage=False)
    answer.feed(REFUSED + body)
    answer.end()
    assert client.ends == ["error"]


@given(st.sampled_from([SSE, WHOLE, REFUSED, b""]), BODIES, PLACES, st.booleans())
@example(b"HTTP/1.0 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n", b"", [], False)
@examples(150)
def test_any_answer_of_a_server_has_one_end(
    head: bytes, body: bytes, places: list[int], is_gathered: bool
) -> None:
    client = Client()
    side = Gathering(client, is_chat=True) if is_gathered else client
    answer = Answer(side, server="s", model="m", hides_usage=True)
    for piece in cut(head + body, places):
        if not answer.is_over:
            answer.feed(piece)
    answer.end()
    assert answer.is_over
    assert len(client.ends) == 1


HEADS = st.lists(
    st.sampled_from(
        [
            b"POST /v1/chat/completions HTTP/1.1\r\n", b"Host: a\r\n", b"Content-Length: 5\r\n",
            b"Content-Length: " + b"9" * 18 + b"\r\n", b"Transfer-Encoding: chunked\r\n", b"\r\n",
            b"Expect: 100-continue\r\n", b"5\r\nhello\r\n", b"0\r\n\r\n", b"Connection: close\r\n",
        ]
    )
    | st.binary(max_size=12),
    max_size=8,
).map(b"".join)  # fmt: skip


@given(HEADS, PLACES)
@examples(120)
def test_any_bytes_of_a_client_are_requests_or_refused(data: bytes, places: list[int]) -> None:
    reader = RequestReader()
    try:
        for piece in cut(data, places):
            reader.feed(piece)
            while not reader.is_in_body and (reader.take_head()) is not None:
                if reader.take_body() is None:
                    break
            if reader.is_in_body:
                reader.take_body()
    except RequestError as error:
        assert 400 <= error.status < 500  # noqa: PT017 - not always
    assert reader.waiting <= len(data)


@given(st.binary(max_size=60), PLACES)
@examples(40)
def test_any_chunks_are_a_body_or_refused(data: bytes, places: list[int]) -> None:
    body, buffer = ChunkedBody(), bytearray()
    try:
        for piece in cut(data, places):
            buffer += piece
            body.take(buffer)
    except RequestError as error:
        assert error.status in (400, 413)  # noqa: PT017 - not always


@given(BODIES | JSON.map(lambda value: b"data: " + json.dumps(value).encode() + b"\n"))
@example(b'data: {"choices":[5]}\n')
@example(b'data: {"usage":{"completion_tokens":' + b"9" * 400 + b"}}\n")
@examples(80)
def test_chat_takes_any_event(body: bytes) -> None:
    worker = ChatWorker(ChatRequest("http://x", None, "m", ()))
    for data in data_of([body]):
        try:
            worker._take(data)
        except AppError:
            continue


def plist(inner: bytes) -> bytes:
    return b'<?xml version="1.0"?><plist version="1.0">' + inner + b"</plist>"


LOAD = (
    b"<dict><key>PerformanceStatistics</key><dict><key>Device Utilization %%</key>%b</dict></dict>"
)
USER = (
    b"<dict><key>IOUserClientCreator</key><string>%b</string><key>AppUsage</key><array><dict>"
    b"<key>accumulatedGPUTime</key>%b</dict></array></dict>"
)
VALUES = st.sampled_from(
    [
        b"<integer>5</integer>", b"<integer>0x" + b"f" * 4000 + b"</integer>", b"<true/>",
        b"<real>nan</real>", b"<real>inf</real>", b"<integer>-1</integer>", b"<date>x</date>",
        b"<string>5</string>", b"<data>!</data>", b"<array/>", b"<dict/>", b"<key>a</key>",
    ]
)  # fmt: skip
OWNERS = st.sampled_from([b"pid 5, x", b"pid " + b"9" * 5000, b"pid \xd9\xa3, x", b""])


@given(st.binary(max_size=80) | VALUES, VALUES, OWNERS)
@examples(80)
def test_any_registry_is_read(data: bytes, value: bytes, owner: bytes) -> None:
    for text in (data, plist(data), plist(LOAD % value), plist(USER % (owner, value))):
        figures = parse_ioreg(text)
        assert figures.device_percent is None or 0 <= figures.device_percent <= 100
        assert all(0 <= spent < 1e10 for spent in figures.seconds_by_pid.values())
    # Another form of the same lists, which ioreg never prints.
    assert parse_ioreg(b"bplist00" + data).seconds_by_pid == {}


TENSOR = st.fixed_dictionaries(
    {},
    optional={
        "dtype": st.sampled_from(["BF16", "U32", "?"]) | JSON,
        "shape": st.lists(st.integers(-1, 2**70), max_size=70) | JSON,
        "data_offsets": st.lists(st.integers(-1, 2**70), max_size=3) | JSON,
    },
)
HEADERS = st.dictionaries(
    st.sampled_from(["__metadata__", "a.weight", "a.scales"]) | words(5), TENSOR
)


@given(HEADERS.map(lambda v: json.dumps(v).encode()) | st.binary(max_size=40) | st.just(DEEP))
@examples(80)
def test_any_weights_are_read_or_refused(tmp_path: Path, header: bytes) -> None:
    path = tmp_path / "model.safetensors"
    for data in (len(header).to_bytes(8, "little") + header, header):
        path.write_bytes(data)
        try:
            tensors = read_header(path, len(data))
        except UnreadableError:
            continue
        count_parameters(tensors, bits=4, bits_by_layer={})
        precision(tensors.values())


def test_weights_with_a_million_dimensions_are_refused(tmp_path: Path) -> None:
    shape = [2**62] * 1_000_000
    header = json.dumps({"a": {"dtype": "F32", "shape": shape, "data_offsets": [0, 0]}}).encode()
    path = tmp_path / "model.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(UnreadableError):
        read_header(path, path.stat().st_size)


@given(
    st.lists(st.sampled_from([b" - ERROR - x", b"\n", b"\r\n"]) | st.binary(max_size=9)).map(
        b"".join
    )
)
@examples(60)
def test_any_log_is_cut_into_lines(data: bytes) -> None:
    block = Block(data)
    lines = [block.line(number) for number in range(len(block))]
    assert b"".join(lines).replace(b"\r", b"") == data.replace(b"\n", b"").replace(b"\r", b"")


ARGUMENTS = st.lists(
    st.sampled_from(
        ["status", "list", "start", "pull", "import", "export", "keys", "--json", "--engine", "--"]
    )
    | st.text(st.characters(exclude_characters="\0"), max_size=8)
    | st.just("\udcff"),
    max_size=4,
).filter(lambda words: not {"selftest", "doctor"} & set(words))


@given(ARGUMENTS)
@example(["search", "\udcff"])
@example(["--engine", "http://.", "list"])
@examples(60)
def test_any_command_line_ends_with_a_documented_code(
    home: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    out: Callable[[], io.TextIOWrapper] = lambda: io.TextIOWrapper(io.BytesIO(), encoding="utf-8")  # noqa: E731 - short
    monkeypatch.setattr("sys.stdout", out())
    monkeypatch.setattr("sys.stderr", out())
    try:
        code: Any = cli.main(arguments)
    except SystemExit as end:
        code = end.code or 0
    assert code in cli.EXIT_CODES
