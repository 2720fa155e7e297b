"""Several real servers at once, under load from a real client, as their tiles show them."""

import re
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import openai
import pytest
from engine_kit import ENDLESS
from window_kit import DEADLINE_S, Desk, write_profile

from app.gui.format import count
from app.gui.panels.server_tile import ServerTile
from app.gui.workers.door import Api
from app.wire.errors import AppError
from app.wire.nouns import Server, ServerState

NAMES = ("Alpha", "Beta", "Gamma")
STREAMS = 2
"""For each server, at the same time."""
TOKENS = 600
READY = ServerState.READY
MESSAGES: list[Any] = [{"role": "user", "content": "Tell me a story"}]


def figures(tile: ServerTile) -> dict[str, str]:
    return {cell.label(): cell.text() for cell in tile.cells.values()}


def rate(tile: ServerTile) -> float:
    text = figures(tile)["Tokens/s"]
    return float(text) if re.fullmatch(r"[\d.]+", text) else 0.0


def stream(client: openai.OpenAI, model: str) -> int:
    """Have one answer streamed; return the tokens of prompt and answer."""
    total = 0
    for chunk in client.chat.completions.create(
        model=model, messages=MESSAGES, max_tokens=TOKENS, stream=True,
        stream_options={"include_usage": True}, extra_body=ENDLESS,
    ):  # fmt: skip
        total = chunk.usage.total_tokens if chunk.usage is not None else total
    return total


def ask(client: openai.OpenAI, model: str, is_seen: Event) -> tuple[str, int]:
    """Have answers streamed, one at least, until the tiles have shown it; return all tokens."""
    total = stream(client, model)
    while not is_seen.is_set():
        total += stream(client, model)
    return model, total


def test_tiles_of_several_servers_tell_what_a_client_had_of_each(desk: Desk) -> None:
    files = [write_profile(desk.home, name.lower(), name, "demo") for name in NAMES]
    desk.until(lambda: {name.lower() for name in NAMES} <= desk.mirror.profiles.keys())
    for name in NAMES:
        desk.choose(name)
        desk.click(desk.panel.header, "Start")
    for name in NAMES:
        desk.until_state(name.lower(), READY)
    tiles = {name: desk.tile(name.lower()) for name in NAMES}
    assert desk.mirror.engine is not None
    client = openai.OpenAI(
        base_url=f"{desk.mirror.engine.gateway_url}/v1", api_key="none", max_retries=0
    )
    seen: dict[str, set[str]] = defaultdict(set)
    rates: dict[str, float] = defaultdict(float)
    wanted = {"Generating", f"{STREAMS} requests open"}
    is_seen = Event()

    def look() -> bool:
        for name, tile in tiles.items():
            seen[name] |= {tile.pill.text(), tile.requests_label.text()}
            rates[name] = max(rates[name], rate(tile))
        return all(seen[name] >= wanted and rates[name] > 1 for name in NAMES)

    with client, ThreadPoolExecutor(len(NAMES) * STREAMS) as pool:
        jobs = [pool.submit(ask, client, name, is_seen) for name in NAMES * STREAMS]
        try:
            desk.until(look, 2 * DEADLINE_S)
        finally:
            is_seen.set()
        desk.until(lambda: all(job.done() for job in jobs), 2 * DEADLINE_S)
        had: dict[str, int] = defaultdict(int)
        for job in jobs:
            model, total = job.result()
            had[model] += total
    for name, tile in tiles.items():
        desk.until(lambda n=name, t=tile: t.tokens_label.text() == f"{count(had[n])} tokens")
        desk.until(lambda t=tile: t.requests_label.text() == "No open requests")
        desk.until(lambda t=tile: t.pill.text() == "Ready")
        assert had[name] > STREAMS * TOKENS
        assert not any(text.startswith("0 open") for text in seen[name])
        assert re.fullmatch(r"[\d.]+ (MB|GB)", figures(tile)["Memory"])

    desk.click(tiles["Beta"], "Stop")
    desk.until_state("beta", ServerState.STOPPED)
    assert [desk.state(name.lower()) for name in ("Alpha", "Gamma")] == [READY, READY]
    assert desk.chat("Gamma", tokens=8)["usage"]["completion_tokens"]
    for file in files:
        file.unlink()
    desk.until(lambda: desk.mirror.profiles.keys().isdisjoint(name.lower() for name in NAMES))


def test_refused_stop_gives_the_button_back_and_says_why(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    tile = desk.start("Demo", "demo")

    def refuse(_api: Api, server_id: str, *, force: bool = False) -> Server:
        raise AppError(f"“{server_id}” cannot be stopped now. {force}")

    with monkeypatch.context() as patch:
        patch.setattr(Api, "stop_server", refuse)
        desk.click(tile, "Stop")
        assert not desk.button(tile, "Stop").isEnabled()
        desk.until(lambda: "cannot be stopped now" in desk.window.parts.notice.text)
        assert desk.button(tile, "Stop").isEnabled()
    desk.click(tile, "Stop")
    desk.until_state("demo", ServerState.STOPPED)
