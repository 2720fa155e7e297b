"""The gateway in front of a stand-in for mlx_lm.server: routing, rewriting, who is let in."""

import asyncio
import logging
from typing import Any

import pytest
from gateway_kit import (
    ASK,
    BEARER,
    DONE,
    KEY,
    KEYED,
    MESSAGES,
    SSE_HEAD,
    STREAM,
    USAGE,
    WITH_USAGE,
    Call,
    event,
    get,
    house,
    json_answer,
    post,
    run,
)

from app.gateway import Served
from app.gateway.answer import Answer
from app.gateway.events import MAX_EVENT_BYTES, EventStream, EventTooLargeError
from app.gateway.head import parse_head
from app.gateway.writer import AnswerWriter


def test_health_is_open_and_says_only_that() -> None:
    async def test() -> None:
        async with house(policy=KEYED) as h:
            answer = await h.ask(get("/health"))
            assert (answer.status, answer.body) == (200, b'{"status":"ok"}')
            client = await h.connect()
            await client.send(get("/health", method="HEAD") + get("/health"))
            assert (await client.read("HEAD")).headers["content-length"] == "15"
            assert (await client.read()).body == answer.body

    run(test())


def test_models_lists_what_is_ready() -> None:
    async def test() -> None:
        async with house() as h:
            h.directory.stopped.append(Served("sleeping", "org/other", False, 1.0))
            answer = await h.ask(get("/v1/models?limit=5"))
            assert answer.json == {
                "object": "list",
                "data": [
                    {
                        "id": "coding",
                        "object": "model",
                        "created": 1795444207,
                        "owned_by": "mlx-model-manager",
                        "root": "org/model",
                    }
                ],
            }
            assert h.server.calls == []

    run(test())


@pytest.mark.parametrize(
    ("name", "expected"),
    [("coding", 200), ("org/model", 200), ("org%2Fmodel", 200), ("sleeping", 404), ("no", 404)],
)
def test_one_model_is_found_by_name_or_model(name: str, expected: int) -> None:
    async def test() -> None:
        async with house() as h:
            h.directory.stopped.append(Served("sleeping", "org/other", False, 1.0))
            answer = await h.ask(get(f"/v1/models/{name}"))
            assert answer.status == expected
            if expected == 200:
                assert answer.json["id"] == "coding"

    run(test())


@pytest.mark.parametrize(
    ("method", "path", "expected", "allow"),
    [
        ("GET", "/", 404, None),
        ("GET", "/metrics", 404, None),
        ("POST", "/v1/embeddings", 404, None),
        ("GET", "/v1/chat/completions", 405, "POST"),
        ("DELETE", "/v1/completions", 405, "POST"),
        ("POST", "/v1/models", 405, "GET, HEAD"),
        ("PUT", "/health", 405, "GET, HEAD"),
        ("GET", "/v1/%63ompletions", 404, None),
    ],
)
def test_unknown_path_or_method_is_refused_and_the_connection_lives(
    method: str, path: str, expected: int, allow: str | None
) -> None:
    async def test() -> None:
        async with house() as h:
            client = await h.connect()
            await client.send(get(path, method=method) + get("/health"))
            answer = await client.read()
            assert answer.status == expected
            assert answer.headers.get("allow") == allow
            assert answer.error["message"]
            assert (await client.read()).status == 200

    run(test())


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("coding", "coding"),
        ("writing", "writing"),
        ("org/model", "writing"),
        ("org/solo", "solo"),
        # A profile with the name of a model goes before the servers of that model.
        ("org/famous", "org/famous"),
    ],
)
def test_request_goes_to_the_profile_then_to_the_newest_of_the_model(
    wanted: str, expected: str
) -> None:
    async def test() -> None:
        async with house() as h:
            port = h.directory.upstreams[0].port
            h.directory.add("org/famous", port, "org/solo-2")
            h.directory.add("solo", port, "org/solo")
            h.directory.add("writing", port)
            h.directory.add("fan", port, "org/famous")
            assert (await h.ask(post({**ASK, "model": wanted}))).status == 200
            assert h.server.calls[0].headers["x-upstream-token"] == f"token-{expected}"

    run(test())


@pytest.mark.parametrize("named", [{}, {"model": "default_model"}, {"model": None}])
def test_no_model_means_the_only_ready_server(named: dict[str, Any]) -> None:
    async def test() -> None:
        async with house() as h:
            assert (await h.ask(post({"messages": MESSAGES, **named}))).status == 200
            h.directory.add("writing", 1)
            answer = await h.ask(post({"messages": MESSAGES, **named}))
            assert answer.status == 400
            assert "coding, writing" in answer.error["message"]
            h.directory.upstreams.clear()
            answer = await h.ask(post({"messages": MESSAGES, **named}))
            assert answer.status == 503
            assert len(h.server.calls) == 1

    run(test())


def test_unknown_model_is_not_found_and_never_reaches_a_server() -> None:
    async def test() -> None:
        async with house() as h:
            answer = await h.ask(post({**ASK, "model": "org/not-here"}))
            assert answer.status == 404
            assert answer.error["type"] == "not_found_error"
            assert "org/not-here" in answer.error["message"]
            assert h.server.connections == 0

    run(test())


@pytest.mark.parametrize("wanted", ["my notes", "org/other"])
def test_known_model_that_is_not_running_says_how_to_start_it(wanted: str) -> None:
    async def test() -> None:
        async with house() as h:
            h.directory.stopped.append(Served("my notes", "org/other", False, 1.0))
            answer = await h.ask(post({**ASK, "model": wanted}))
            assert answer.status == 503
            assert int(answer.headers["retry-after"]) > 0
            assert answer.error["message"] == (
                "my notes is not running; start it in the app or with mlxm start 'my notes'."
            )

    run(test())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[1]",
        b'"text"',
        b'{"model": 5}',
        b'{"model": "coding", "messages": [}',
        b'{"model": "coding", "x": "\xff"}',
        b'{"model": "coding"} x',
        b'{"model": "coding", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
def test_body_that_is_not_a_json_object_is_refused(body: bytes) -> None:
    async def test() -> None:
        async with house() as h:
            answer = await h.ask(post(body))
            assert answer.status == 400
            assert answer.error["type"] == "invalid_request_error"
            assert h.server.connections == 0

    run(test())


def test_request_is_built_anew_for_the_server() -> None:
    async def test() -> None:
        async with house(policy=KEYED) as h:
            body = {
                **STREAM,
                "prompt": "Hi",
                "model": "org/model",
                "adapters": "/secret/path",
                "draft_model": "org/draft",
                "stream_options": {"other": 1},
                "xtc_probability": 0.0,
                "seed": 77,
                "large": 12345678901234567890123,
            }
            extra = (
                BEARER,
                "Cookie: a=b",
                "Accept: text/event-stream",
                "Accept-Encoding: gzip",
                "User-Agent: agent/1",
                "X-Request-ID: 77",
                "X-Forwarded-For: 6.6.6.6",
                "Connection: keep-alive, X-Secret-Hop",
                "X-Secret-Hop: 1",
                "Proxy-Authorization: Basic eA==",
                "X-Upstream-Token: forged",
            )
            answer = await h.ask(post(body, *extra, path="/v1/completions?api-version=1"))
            assert answer.status == 200
            call = h.server.calls[0]
            assert call.line == "POST /v1/completions HTTP/1.0"
            assert call.headers == {
                "host": f"127.0.0.1:{h.directory.upstreams[0].port}",
                "connection": "close",
                "content-length": str(len(call.body)),
                "content-type": "application/json",
                "accept": "text/event-stream",
                "user-agent": "agent/1",
                "x-request-id": "77",
                "x-upstream-token": "token-coding",
            }
            expected = {k: v for k, v in body.items() if k not in ("adapters", "draft_model")}
            expected["model"] = "default_model"
            expected["stream_options"] = {"other": 1, "include_usage": True}
            assert call.json == expected
            assert b'"xtc_probability":0.0' in call.body
            assert b"12345678901234567890123" in call.body

    run(test())


def test_stream_is_sent_in_chunks_with_the_clients_name_and_without_usage() -> None:
    async def test() -> None:
        async with house() as h:
            answer = await h.ask(post({**STREAM, "model": "org/model"}))
            assert answer.is_complete
            assert answer.headers["transfer-encoding"] == "chunked"
            assert answer.headers["content-type"].startswith("text/event-stream")
            assert answer.headers["x-accel-buffering"] == "no"
            for dropped in ("server", "date", "access-control-allow-origin", "content-length"):
                assert dropped not in answer.headers
            assert answer.body == (
                b": keepalive 20/21\n\n"
                + event("Hello", "org/model")
                + event(" world", "org/model")
                + DONE
            )

    run(test())


@pytest.mark.parametrize("asked", [False, None, "yes"])
def test_usage_is_taken_out_unless_it_was_asked_for(asked: object) -> None:
    async def test() -> None:
        async with house() as h:
            kept = await h.ask(post(WITH_USAGE))
            taken = await h.ask(post({**STREAM, "stream_options": {"include_usage": asked}}))
            assert [b'"usage"' in a.body for a in (kept, taken)] == [True, False]
            assert kept.is_complete
            assert taken.is_complete
            assert kept.body.replace(USAGE.replace(b"default_model", b"coding"), b"") == taken.body

    run(test())


def test_answer_with_log_probabilities_is_asked_for_in_one_piece() -> None:
    async def test() -> None:
        async with house() as h:
            answer = await h.ask(post({**ASK, "logprobs": True}))
            assert answer.json["model"] == "coding"
            assert answer.headers["content-type"] == "application/json"
            assert h.server.calls[0].json["model"] == "default_model"
            assert not {"stream", "stream_options"} & h.server.calls[0].json.keys()

    run(test())


def test_bytes_after_the_length_of_an_answer_are_left_out() -> None:
    async def script(call: Call) -> None:
        await call.send(json_answer({"id": 1}) + b"junk")

    async def test() -> None:
        async with house(script) as h:
            answer = await h.ask(post({**ASK, "top_logprobs": 3}))
            assert answer.body == b'{"id": 1}'

    run(test())


def test_text_that_looks_like_the_models_name_is_left_alone() -> None:
    text = 'say "model": "default_model" and data: [DONE]\n\n'

    async def script(call: Call) -> None:
        await call.send(SSE_HEAD + event(text) + event("end") + DONE)

    async def test() -> None:
        async with house(script) as h:
            answer = await h.ask(post(STREAM))
            assert answer.body == event(text, "coding") + event("end", "coding") + DONE

    run(test())


@pytest.mark.parametrize("colon", [b'": ', b'":'], ids=["spaced", "compact"])
def test_every_event_has_the_clients_name_of_the_model(colon: bytes) -> None:
    def events(model: str) -> list[bytes]:
        texts = [event(text, model).replace(b'": ', colon) for text in ("a", "b", "c")]
        return [b": keepalive 1/2\n\n", *texts, DONE]

    async def script(call: Call) -> None:
        await call.send(SSE_HEAD)
        for one in events("default_model"):
            await call.send(one)

    async def test() -> None:
        async with house(script) as h:
            answer = await h.ask(post(STREAM))
            assert answer.body == b"".join(events("coding"))

    run(test())


@pytest.mark.parametrize("cut", [1, 7, 100, 4096, 1 << 20])
def test_thousand_events_arrive_byte_for_byte_however_they_are_cut(cut: int) -> None:
    events = b"".join(event(f"token {i} é \u2028") for i in range(1000)) + USAGE + DONE

    async def script(call: Call) -> None:
        await call.send(SSE_HEAD)
        for start in range(0, len(events), max(cut, 300)):
            await call.send(events[start : start + max(cut, 300)])

    async def test() -> None:
        async with house(script) as h:
            body = {**WITH_USAGE, "model": "default_model"}
            answer = await h.ask(post(body))
            assert answer.is_complete
            assert answer.body == events

    run(test())
    # The smallest cuts, without the cost of a send for each.
    stream = EventStream(model="coding", hides_usage=True)
    out = [stream.feed(events[i : i + cut]) for i in range(0, len(events), cut)]
    expected = events.replace(USAGE, b"").replace(b"default_model", b"coding")
    assert b"".join(out) == expected
    assert stream.is_done


@pytest.mark.parametrize("cut", [1, 7, 1000, 1 << 20])
def test_events_end_with_crlf_too(cut: int) -> None:
    stream = EventStream(model=None, hides_usage=True)
    crlf = (event("a") + USAGE + event("b") + DONE).replace(b"\n", b"\r\n")
    out = b"".join(stream.feed(crlf[i : i + cut]) for i in range(0, len(crlf), cut))
    assert out == (event("a") + event("b") + DONE).replace(b"\n", b"\r\n")
    assert stream.is_done


def test_nothing_is_written_while_an_event_is_incomplete() -> None:
    written: list[bytes] = []

    class Transport(asyncio.Transport):
        def write(self, data: Any) -> None:
            written.append(bytes(data))

    request = parse_head(post(STREAM).partition(b"{")[0])
    writer = AnswerWriter(Transport(), request, lambda keeps_alive: None)
    answer = Answer(writer, server="coding", model="coding", hides_usage=True)
    answer.feed(SSE_HEAD)
    # An empty chunk would end the answer: for half an event, and for one that is taken out.
    for piece in (b"data: {", b"}\n\n", USAGE[:50], USAGE[50:], USAGE):
        answer.feed(piece)
    assert written[1:] == [b"a\r\ndata: {}\n\n\r\n"]
    answer.feed(DONE)
    assert written[2:] == [b"e\r\n" + DONE + b"\r\n0\r\n\r\n"]


def test_event_without_an_end_is_not_kept_for_ever() -> None:
    stream = EventStream(model=None, hides_usage=False)
    with pytest.raises(EventTooLargeError):
        stream.feed(b"data: " + b"x" * MAX_EVENT_BYTES)


def test_old_client_gets_an_answer_that_ends_with_the_connection() -> None:
    async def test() -> None:
        async with house() as h:
            answer = await h.ask(post(STREAM, version="1.0"))
            assert "transfer-encoding" not in answer.headers
            assert answer.headers["connection"] == "close"
            assert answer.body.endswith(DONE)

    run(test())


def test_answer_is_over_at_done_even_if_the_server_lingers() -> None:
    async def script(call: Call) -> None:
        await call.send(SSE_HEAD + event("a") + DONE)
        await call.hung_up.wait()

    async def test() -> None:
        async with house(script) as h:
            answer = await h.ask(post(STREAM))
            assert answer.is_complete
            await h.server.calls[0].hung_up.wait()

    run(test())


def test_without_the_key_everything_but_health_is_refused_before_the_body() -> None:
    async def test() -> None:
        async with house(policy=KEYED) as h:
            for request in (get("/v1/models"), get("/nothing"), post(ASK)):
                answer = await h.ask(request)
                assert answer.status == 401
                assert answer.headers["www-authenticate"].startswith("Bearer realm=")
            wrong = await h.ask(get("/v1/models", "Authorization: Bearer wrong"))
            assert 'error="invalid_token"' in wrong.headers["www-authenticate"]
            # Only a head: the answer does not wait for the 20 MB.
            client = await h.connect()
            await client.send(post(b"x" * 20_000_000)[:200])
            answer = await client.read()
            assert (answer.status, answer.headers["connection"]) == (401, "close")
            assert (await h.ask(get("/v1/models", BEARER))).status == 200
            assert h.server.connections == 0

    run(test())


def test_refused_client_that_sends_its_body_first_still_reads_the_answer() -> None:
    async def test() -> None:
        async with house(policy=KEYED) as h:
            answer = await h.ask(post(b"x" * 5_000_000))
            assert answer.status == 401

    run(test())


def test_host_and_origin_are_checked() -> None:
    async def test() -> None:
        async with house() as h:
            rebound = get("/v1/models").replace(b"localhost", b"evil.example")
            assert (await h.ask(rebound)).status == 403
            assert (await h.ask(get("/v1/models", "Origin: https://evil.example"))).status == 403
            blind = post(ASK, "Sec-Fetch-Site: cross-site").replace(
                b"application/json", b"text/plain"
            )
            assert (await h.ask(blind)).status == 403
            assert h.server.connections == 0

    run(test())


def test_policy_is_replaced_while_a_connection_is_open() -> None:
    async def test() -> None:
        async with house() as h:
            client = await h.connect()
            await client.send(get("/v1/models"))
            assert (await client.read()).status == 200
            h.gateway.policy = KEYED
            await client.send(get("/v1/models"))
            assert (await client.read()).status == 401

    run(test())


@pytest.mark.expect_log("coding stopped in mid-answer")
def test_key_prompt_and_answer_are_never_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def die(call: Call) -> None:
        await call.send(SSE_HEAD + event("secret answer"))

    async def test() -> None:
        messages = [{"role": "user", "content": "secret prompt"}]
        body = {**STREAM, "messages": messages, "prompt": "secret prompt"}
        async with house(policy=KEYED) as h:
            await h.ask(post(body, BEARER))
            await h.ask(post(body, "Authorization: Bearer presented-77"))
            h.server.script = die
            await h.ask(post(body, BEARER, path="/v1/completions?key=in-the-target"))

    run(test())
    assert "stopped in mid-answer" in caplog.text
    for secret in (KEY, "presented-77", "secret", "token-coding", "in-the-target"):
        assert secret not in caplog.text
