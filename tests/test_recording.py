"""Prompts and answers: kept only where the user wants that, within bounds, and deleted for good."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from engine_kit import call, chat, new_home, running_engine, until
from gateway_kit import ASK, DONE, SSE_HEAD, STREAM, Call, event, house, post, run, stalled
from gateway_kit import until as until_so
from patience import DEADLINE_S
from request_kit import SECRET

from app import paths
from app.engine.history import History, texts
from app.wire.errors import AppError
from app.wire.requests import MAX_TEXT, RequestRecord, RequestState, RequestTexts

ANSWER = "the words of the model"


async def answering(call: Call) -> None:
    for text in (ANSWER[:9], ANSWER[9:]):
        await call.send((SSE_HEAD if text == ANSWER[:9] else b"") + event(text))
    await call.send(DONE)


def said(*messages: object) -> list[dict[str, object]]:
    return [{"role": "user", "content": message} for message in messages]


@pytest.mark.parametrize("asked", [ASK, STREAM], ids=["whole", "stream"])
def test_prompt_and_answer_are_handed_over_while_that_is_wanted(asked: dict[str, Any]) -> None:
    kept: list[RequestTexts] = []
    is_on = False

    async def test() -> None:
        async with house(answering, keep_texts=lambda: kept.append if is_on else None) as h:
            nonlocal is_on
            parts = [{"type": "text", "text": SECRET}, {"type": "image_url", "image_url": {}}]
            body = post({**asked, "messages": said("Hi", parts)})
            assert (await h.ask(body)).status == 200
            assert kept == []
            is_on = True
            answer = await h.ask(body)
            assert ANSWER[9:] in answer.body.decode()
            prompt = f"user: Hi\n\nuser: {SECRET}\n[image_url]"
            assert kept == [RequestTexts(2, prompt, ANSWER)]
            assert SECRET not in repr(h.gateway.ledger.last(9))

    run(test())


def test_what_has_come_of_an_answer_is_kept_when_the_client_hangs_up() -> None:
    kept: list[RequestTexts] = []

    async def test() -> None:
        async with house(stalled, keep_texts=lambda: kept.append) as h:
            client = await h.connect()
            await client.send(post({**STREAM, "messages": said("x" * (MAX_TEXT + 50))}))
            await client.reader.readuntil(b"data: ")
            assert kept == []
            client.writer.close()
            await until_so(lambda: kept)
            assert kept[0].answer == "a"
            assert len(kept[0].prompt) == MAX_TEXT
            assert kept[0].is_cut

    run(test())


def test_texts_are_bounded_together_and_go_with_their_requests(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(texts, "MAX_TEXTS_BYTES", 100)
    days = 30

    async def live() -> None:
        nonlocal days
        history = History(paths.history_file(), days=lambda: days)
        await history.open()

        async def kept() -> list[int]:
            found: list[int] = []
            for number in range(1, 9):
                try:
                    found.append((await history.texts(number)).id)
                except AppError:
                    continue
            return found

        for number in range(1, 9):
            history.put_request(
                RequestRecord(time.time() - 60, "c", "s", "S", "m", RequestState.DONE, id=number)
            )
            history.put_texts(RequestTexts(number, "p" * 20, "a" * 10))
        await history._write()
        assert await kept() == [6, 7, 8]
        days = 0
        history.put_texts(RequestTexts(9, "p", "a"))
        await history._write()
        assert await kept() == []
        await history.close()

    asyncio.run(asyncio.wait_for(live(), DEADLINE_S))


def test_recording_is_a_choice_that_is_shown_and_can_be_undone(homes: Path) -> None:
    home = new_home(homes)
    with running_engine(homes, home=home) as engine, engine.api() as api:
        engine.start("demo")
        ask = chat(SECRET, max_tokens=8)
        assert not api.engine().records_texts
        call(engine.gateway_url, "POST", "/v1/chat/completions", ask)
        assert engine.call("GET", "/api/requests/1/texts").status == 404
        api.change_settings({"record_texts": True})
        assert api.engine().records_texts
        answer = call(engine.gateway_url, "POST", "/v1/chat/completions", ask).json
        found = api.request_texts(2)
        assert found.prompt == f"user: {SECRET}"
        assert found.answer == answer["choices"][0]["message"]["content"]
        assert SECRET not in json.dumps(engine.call("GET", "/api/requests").json)
        assert SECRET not in api.metrics()
        for nonsense in ("x", "-1", "9" * 40):
            assert engine.call("GET", f"/api/requests/{nonsense}/texts").status == 404
        until(lambda: holds(home, SECRET))
        api.change_settings({"record_texts": False})
        call(engine.gateway_url, "POST", "/v1/chat/completions", ask)
        assert engine.call("GET", "/api/requests/3/texts").status == 404
        assert api.request_texts(2) == found
        api.delete_texts()
        assert engine.call("GET", "/api/requests/2/texts").status == 404
        assert not holds(home, SECRET)
        assert [record.id for record in api.requests()] == [3, 2, 1]


def holds(home: Path, text: str) -> bool:
    """Whether a file of the app has this text."""
    files = [path for path in home.rglob("*") if path.is_file()]
    return any(text.encode() in path.read_bytes() for path in files)
