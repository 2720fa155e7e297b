"""Searching the hub through the engine, on the stand-in with its faults, over real HTTP."""

import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from engine_kit import DEADLINE_S, Answer, RunningEngine, environment, running_engine, until
from hub import Fault, StandInHub, rate_limited, tiny_llama
from hub.demo import add_demo_models
from hypothesis import given, settings
from hypothesis import strategies as st
from model_kit import make_hub_repo, model_files

from app import paths
from app.wire import links
from app.wire.errors import AppError
from app.wire.hub import HubPage, HubQuery, HubSort, Verdict
from app.worker.hub import parse
from app.worker.hub.store import Store

LLAMA = "mlx-community/Demo-Llama-1B-4bit"
LIST = "^/api/models$"


@pytest.fixture(scope="module")
def hub() -> Iterator[StandInHub]:
    with StandInHub(users={"good": "tester"}) as one:
        add_demo_models(one)
        one.add_model("aaa/Demo-Mini-4bit", tiny_llama(hidden=256, layers=2), trendingScore=90)
        one.add_model("mlx-community/Qwen3-Thinking-4B-8bit", tiny_llama(bits=8, hidden=256))
        for model in one.models.values():
            one.full_info(model, blobs=True)
        yield one


@pytest.fixture(scope="module")
def shared(homes: Path, hub: StandInHub) -> Iterator[RunningEngine]:
    env = {"HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0"}
    with running_engine(homes, env=env) as one:
        with one.api() as api:
            # Now, so that no test seems to leave the worker and its helper behind.
            api.hub_model(LLAMA)
        yield one


@pytest.fixture
def engine(shared: RunningEngine, hub: StandInHub) -> Iterator[RunningEngine]:
    hub.log.clear()
    yield shared
    hub.clear_faults()
    # The worker keeps its connections, and each is a thread of the stand-in.
    for listener in hub._servers:
        listener.close_connections()


def search(engine: RunningEngine, text: str = "", **fields: Any) -> HubPage:
    with engine.api() as api:
        return api.search_hub(HubQuery(text, **fields))


def refused(engine: RunningEngine, target: str = "/api/hub/search?text=llama") -> Answer:
    answer = engine.call("GET", target)
    assert answer.status >= 400, answer.body
    return answer


def test_search_finds_mlx_models_of_all_authors_in_the_order_asked_for(
    engine: RunningEngine,
) -> None:
    names = [m.id for m in search(engine).models]
    assert names[:2] == ["aaa/Demo-Mini-4bit", "mlx-community/Demo-Mini-4bit"]
    assert "someone/Demo-Pytorch" not in names
    assert search(engine, sort=HubSort.DOWNLOADS).models[0].id == LLAMA
    assert search(engine, sort=HubSort.LIKES).models[0].likes == 321
    assert search(engine, sort=HubSort.UPDATED).models[0].name == "Demo-Tiny-6bit"


def test_search_prefers_mlx_community_among_equal_matches(engine: RunningEngine) -> None:
    names = [m.id for m in search(engine, "demo-mini").models]
    assert names == ["mlx-community/Demo-Mini-4bit", "aaa/Demo-Mini-4bit"]


def test_search_rows_tell_what_the_list_knows(engine: RunningEngine) -> None:
    (found,) = search(engine, "thinking").models
    assert (found.quantization, found.parameters, found.tags) == (
        "8-bit",
        4 * 10**9,
        ("reasoning",),
    )
    assert (found.licence, found.family, found.supported) == ("apache-2.0", "llama", True)
    (bad,) = search(engine, "unsupported").models
    assert bad.supported is False
    assert "quantum_llama" in bad.reason
    assert bad.fit is not None
    assert bad.fit.verdict is Verdict.UNSUPPORTED
    assert search(engine, "gated").models[0].gated


def test_search_filters_and_sorts_by_size(engine: RunningEngine) -> None:
    assert {m.quantization for m in search(engine, quantization="6-bit").models} == {"6-bit"}
    assert [m.name for m in search(engine, tag="reasoning").models] == ["Qwen3-Thinking-4B-8bit"]
    assert all(m.supported is not False for m in search(engine, supported=True).models)
    sizes = [m.size_bytes for m in search(engine, "1B", sort=HubSort.SIZE, details=30).models]
    assert None not in sizes
    assert sizes == sorted(sizes, key=lambda size: size or 0)
    # Now they are known, also without asking for them.
    assert all(m.fit for m in search(engine, "1B").models)


@pytest.mark.parametrize("text", [LLAMA, "{hub}/" + LLAMA, "{hub}/" + LLAMA + "/tree/main?x=1"])
def test_search_for_an_id_or_a_link_finds_that_model_first(
    engine: RunningEngine, hub: StandInHub, text: str
) -> None:
    assert search(engine, text.format(hub=hub.url)).models[0].id == LLAMA


def test_search_for_a_link_to_nothing_says_so(engine: RunningEngine, hub: StandInHub) -> None:
    answer = refused(engine, f"/api/hub/search?text={hub.url}/nobody/nothing")
    assert (answer.status, answer.code) == (404, "repo_not_found")


def test_search_without_a_match_is_an_empty_page(engine: RunningEngine) -> None:
    assert search(engine, "no-such-model-at-all") == HubPage(())
    assert search(engine, "nobody/nothing") == HubPage(())


def test_search_pages_by_the_hubs_cursor(engine: RunningEngine, hub: StandInHub) -> None:
    everything = [m.id for m in search(engine, "demo", sort=HubSort.LIKES).models]
    hub.page_size, found, cursor = 3, [], ""
    try:
        while True:
            page = search(engine, "demo", sort=HubSort.LIKES, cursor=cursor)
            found += [m.id for m in page.models]
            cursor = page.next_cursor or ""
            if not cursor:
                break
    finally:
        hub.page_size = 1000
    assert found == everything


def test_search_ends_on_a_hub_whose_pages_never_end(engine: RunningEngine, hub: StandInHub) -> None:
    link = {"Link": f'<{hub.url}/api/models?cursor=again>; rel="next"'}
    hub.add_fault(Fault("status", LIST, status=200, headers=link, body=b"[]"))
    assert search(engine, "endless") == HubPage(())
    assert len([r for r in hub.log if r.path == "/api/models"]) <= 4


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        (Fault("status", LIST, status=503), "hub_failed", "overloaded"),
        (Fault("status", LIST, status=429, headers={"Retry-After": "42"}), "hub_limited", "42 s"),
        (rate_limited(7, "api", path=LIST, times=None), "hub_limited", "8 s"),
        (Fault("status", LIST, status=200, body=b"<html>Login"), "hub_failed", "web page"),
        (Fault("status", LIST, status=200, body=b'{"a":1}'), "hub_failed", "unexpected"),
        (Fault("status", LIST, status=200, body=b"[{}]"), "hub_failed", "unexpected"),
        (Fault("status", LIST, status=200, body=b"[" * 100_000), "hub_failed", "unexpected"),
        (Fault("status", LIST, status=200, body=b" " * 17_000_000), "hub_failed", "16 MB"),
        (Fault("status", LIST, status=302, headers={"Location": "/api/models"}), "hub_failed", ""),
        (Fault("refuse", LIST), "hub_offline", "cannot be reached"),
        (Fault("delay", LIST, seconds=8.5), "hub_offline", "in time"),
    ],
)  # fmt: skip
def test_search_on_a_hub_in_trouble_is_told_in_words_and_never_empty(
    engine: RunningEngine, hub: StandInHub, fault: Fault, code: str, words: str
) -> None:
    hub.add_fault(fault)
    began = time.monotonic()
    answer = refused(engine)
    assert time.monotonic() - began < 16
    assert answer.code == code
    assert words in answer.json["error"]["message"]
    hub.clear_faults()
    assert search(engine, "llama").models


def test_search_with_absurd_figures_drops_them(engine: RunningEngine, hub: StandInHub) -> None:
    row = {"id": "a/b", "likes": -5, "downloads": 1e30, "lastModified": "soon", "gated": 7,
           "trendingScore": "x", "config": {"model_type": 5}, "tags": {"a": 1}}  # fmt: skip
    body = json.dumps([row, {"id": "../../etc"}, 5, None]).encode()
    hub.add_fault(Fault("status", LIST, status=200, body=body))
    (found,) = search(engine, "absurd").models
    assert (found.id, found.likes, found.downloads, found.updated_at) == ("a/b", 0, 0, None)


@pytest.mark.parametrize(
    "query", ["sort=best", "details=31", "supported=2", "unknown=1", "details=x"]
)
def test_search_that_is_not_understood_is_a_bad_request(engine: RunningEngine, query: str) -> None:
    assert refused(engine, f"/api/hub/search?{query}").status == 400


def test_details_tell_files_card_and_fit(engine: RunningEngine, hub: StandInHub) -> None:
    with engine.api() as api:
        found = api.hub_model(LLAMA, context=8192)
    files = hub.models[LLAMA].files
    assert {f.name: f.size_bytes for f in found.files} == {n: f.size for n, f in files.items()}
    assert found.card == "# Demo model"
    assert found.commit == hub.models[LLAMA].sha
    assert found.url == f"{hub.url}/{LLAMA}"
    shape, fit = found.model.shape, found.model.fit
    assert shape is not None
    assert fit is not None
    weights = [f.size for n, f in files.items() if n.endswith(".safetensors")]
    assert shape.weights_bytes == sum(weights)
    assert fit.cache_bytes == 2 * 8 * 4 * 128 * 2 * 8192
    assert fit.sentence.startswith("weights 0.1 + cache at 8k 0.2 + runtime 0.7 = 1.0 of ")


def test_details_are_not_asked_for_again_within_minutes(
    engine: RunningEngine, hub: StandInHub
) -> None:
    with engine.api() as api:
        first = api.hub_model(LLAMA)
        hub.log.clear()
        assert api.hub_model(LLAMA) == first
    assert not hub.log


def test_details_of_gated_model_without_access_say_what_is_missing(engine: RunningEngine) -> None:
    with engine.api() as api:
        found = api.hub_model("mlx-community/Demo-Gated-4bit").model
    assert found.gated
    assert found.size_bytes
    assert found.fit is not None
    assert found.fit.verdict is Verdict.UNKNOWN
    assert found.must_ask


def test_gated_model_that_the_token_opens_needs_no_asking_until_the_token_is_gone(
    home: Path, standin: StandInHub
) -> None:
    standin.users["good"] = "tester"
    standin.add_model("a/b", tiny_llama(hidden=256), gated="manual", granted=["tester"])
    look = {"order": "describe", "id": "a/b"}
    (answer,) = worker(home, look, hub=standin, HF_TOKEN="good")
    found = answer["details"]["model"]
    assert (found["gated"], found["granted"]) == (True, True)
    assert found["shape"]["cache"]
    (answer,) = worker(home, look, hub=standin)
    assert not answer["details"]["model"]["granted"]


def test_details_of_model_without_mlx_weights_are_unsupported(engine: RunningEngine) -> None:
    with engine.api() as api:
        found = api.hub_model("someone/Demo-Pytorch").model
    assert found.supported is False
    assert found.reason == parse.NO_WEIGHTS


@pytest.mark.parametrize(
    ("repo_id", "status"), [("nobody/nothing", 404), ("a", 400), ("..%2fx", 400), ("a/b/c", 400)]
)
def test_details_of_no_model_are_told(engine: RunningEngine, repo_id: str, status: int) -> None:
    assert refused(engine, f"/api/hub/models/{repo_id}").status == status


def test_command_search_prints_id_size_fit_and_downloads(engine: RunningEngine) -> None:
    def mlxm(*arguments: str) -> str:
        code = "import sys; from app.__main__ import mlxm; sys.exit(mlxm())"
        return subprocess.run(
            [sys.executable, "-c", code, "search", *arguments],
            env=environment(engine.home), cwd=paths.program_root(), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=DEADLINE_S, check=True,
        ).stdout  # fmt: skip

    head, *rows = mlxm("llama-1b-4bit").splitlines()
    assert head.split() == ["MODEL", "SIZE", "FIT", "DOWNLOADS"]
    assert [row.split() for row in rows] == [[LLAMA, "61", "MB", "fits", "120,000"]]
    assert json.loads(mlxm("llama-1b-4bit", "--json"))["models"][0]["id"] == LLAMA
    assert [row.split()[0] for row in mlxm("llama-1b", "4bit").splitlines()[1:]] == [LLAMA]
    assert "matches “no such model”" in mlxm("no", "such", "model")


def test_fit_of_local_model_is_told(engine: RunningEngine) -> None:
    with engine.api() as api:
        found = api.model_fit("demo", context=1024)
        assert (found.verdict, found.context) == (Verdict.FITS, 1024)
        with pytest.raises(AppError, match="There is no model"):
            api.model_fit("nobody/nothing")


@pytest.mark.parametrize(
    ("files", "verdict", "sentence"),
    [
        ({"model.safetensors": b"cut"}, Verdict.UNKNOWN, "Its file model.safetensors is"),
        ({"config.json": b'{"model_type": "llama9"}'}, Verdict.UNSUPPORTED, "does not know"),
    ],
)
def test_fit_of_damaged_model_is_not_called_unsupported(
    homes: Path, files: dict[str, bytes], verdict: Verdict, sentence: str
) -> None:
    with running_engine(homes) as engine, engine.api() as api:
        make_hub_repo(engine.home / "hf" / "hub", "a/one", model_files() | files)
        api.scan_models()
        until(lambda: [m for m in api.models() if m.id == "a/one"])
        found = api.model_fit("a/one")
        assert found.verdict is verdict
        assert sentence in found.sentence


def test_worker_that_dies_is_started_again(homes: Path, hub: StandInHub) -> None:
    env = {"HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0"}
    with running_engine(homes, env=env) as engine:
        search(engine, "one")
        (first,) = _hub_workers(engine)
        first.kill()
        first.wait(DEADLINE_S)
        assert search(engine, "llama").models
        assert _hub_workers(engine) != [first]


@pytest.mark.parametrize(("token", "notice"), [("stale", True), ("good", False)])
def test_rejected_token_is_told_and_the_hub_asked_without_it(
    home: Path, hub: StandInHub, token: str, notice: bool
) -> None:
    hub.log.clear()
    (found, *_) = worker(home, {"order": "search", "query": {"text": "gated"}}, hub, HF_TOKEN=token)
    assert found["page"]["models"]
    assert ("token was rejected" in found["page"].get("notice", "")) is notice
    sent = [r.headers.get("authorization") for r in hub.log]
    assert sent == ([f"Bearer {token}", None] if notice else [f"Bearer {token}"])


def test_hub_turned_off_is_told(home: Path, hub: StandInHub) -> None:
    (found,) = worker(home, {"order": "search", "query": {}}, hub, HF_HUB_OFFLINE="1")
    assert found["failure"]["code"] == "hub_offline"


def test_broken_cache_is_made_anew(home: Path, hub: StandInHub) -> None:
    path = home / "cache" / "hub.sqlite"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no database " * 1000)
    (found,) = worker(home, {"order": "describe", "id": LLAMA}, hub)
    assert found["details"]["model"]["id"] == LLAMA
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT id FROM details").fetchall() == [(LLAMA,)]
    db.close()


def test_details_from_an_earlier_look_are_better_than_nothing(home: Path, hub: StandInHub) -> None:
    (home / "run").mkdir(parents=True, exist_ok=True)
    worker(home, {"order": "describe", "id": LLAMA}, hub)
    db = sqlite3.connect(home / "cache" / "hub.sqlite")
    with db:
        db.execute("UPDATE details SET at = 0")
    db.close()
    (found,) = worker(home, {"order": "describe", "id": LLAMA}, None)
    assert "cannot be reached" in found["details"]["notice"]
    assert found["details"]["card"] == "# Demo model"


def test_idle_worker_ends_by_itself(home: Path, hub: StandInHub) -> None:
    process = subprocess.Popen(
        [*paths.program("worker"), "hub", "--idle-s", "0.2"],
        stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=paths.program_root(),
        env=environment(home, HF_ENDPOINT=hub.url),
    )  # fmt: skip
    assert process.wait(DEADLINE_S) == 0
    assert process.stdin is not None
    process.stdin.close()


def test_store_forgets_rows_that_make_no_sense(tmp_path: Path, expect_log: Any) -> None:
    expect_log("makes no sense")
    store = Store(tmp_path / "hub.sqlite")
    db = sqlite3.connect(tmp_path / "hub.sqlite")
    with db:
        db.execute("INSERT INTO details VALUES ('a/b', 1, 9e9, 'x')")
    db.close()
    assert store.get("a/b", fresh=True) is None
    store.close()


def _hub_workers(engine: RunningEngine) -> list[psutil.Process]:
    children = psutil.Process(engine.process.pid).children()
    return [child for child in children if child.cmdline()[-2:] == ["worker", "hub"]]


def worker(
    home: Path, order: dict[str, Any], hub: StandInHub | None, **env: str
) -> list[dict[str, Any]]:
    """Give one order to a real worker, and return its answers until it ends."""
    url = hub.url if hub else "http://127.0.0.1:9"
    process = subprocess.Popen(
        [*paths.program("worker"), "hub"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        cwd=paths.program_root(),
        env=environment(home, **{"HF_ENDPOINT": url, "HF_HUB_OFFLINE": "0", **env}),
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps({"number": 1, **order}).encode() + b"\n")
        process.stdin.flush()
        line = process.stdout.readline()
        process.stdin.close()
        assert process.wait(DEADLINE_S) == 0
        return [json.loads(line)]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner),
    max_leaves=6,
)
KEYS = [
    "id", "modelId", "likes", "downloads", "lastModified", "trendingScore", "config", "tags",
    "cardData", "gated", "disabled", "pipeline_tag", "siblings", "sha", "model_type", "lfs",
    "quantization", "rfilename", "size", "text_config", "license", "base_model", "bits",
]  # fmt: skip
ROW = st.dictionaries(
    st.sampled_from(KEYS),
    JSON | st.just("a/b") | st.dictionaries(st.sampled_from(KEYS), JSON)
    | st.lists(st.dictionaries(st.sampled_from(KEYS), JSON), max_size=3),
)  # fmt: skip


@given(ROW)
@settings(max_examples=60)
def test_parsers_take_any_object(row: dict[str, Any]) -> None:
    found = parse.model_of({**row, "id": "a/b"}, row)
    if row.get("disabled") is not True:
        assert found is not None
        assert min(found.likes, found.downloads) >= 0
    parse.model_of(row)
    files = parse.files_of(row)
    for total in (parse.download_bytes(files), parse.weights_bytes(files)):
        assert total is None or total >= 0
    assert all(links.ID.fullmatch(name) for name in parse.base_models(row))


@given(JSON | st.lists(ROW, max_size=3))
@settings(max_examples=40)
def test_parser_of_lists_takes_anything(value: Any) -> None:
    found = parse.models_of(value)
    assert found is None or all(links.ID.fullmatch(m.id) for m in found)


@given(st.text(max_size=300) | st.text('<>;,rel="next? cursor&=/:[]', max_size=300))
def test_parser_of_links_takes_anything(text: str) -> None:
    parse.next_cursor({"Link": text})
    parse.next_cursor({"Link": f'<{text}>; rel="next"'})
    for start in ("", "https://huggingface.co/", "http://["):
        repo_id, _ = parse.id_in(start + text, "http://hub")
        assert repo_id is None or links.ID.fullmatch(repo_id)


@given(st.binary(max_size=2000))
def test_parser_of_cards_takes_anything(data: bytes) -> None:
    assert "\0" not in parse.card_text(b"---\nlicense: mit\n---\n" + data)


def test_parser_of_long_hostile_headers_is_fast() -> None:
    began = time.monotonic()
    parse.next_cursor({"Link": "<" * 1_000_000})
    parse.next_cursor({"Link": "<a>; " * 200_000})
    # What looks at every pair of characters would take minutes.
    assert time.monotonic() - began < 60
