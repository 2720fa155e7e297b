"""What people see of every refusal, and what a hub that means harm cannot do."""

import itertools
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from download_kit import ID, MB, add_model, check_files, files, snapshot, worker
from engine_kit import RunningEngine
from hub import Fault, StandInHub
from test_downloads import engine_for, finish, follow

from app.wire.nouns import Download, DownloadRequest, DownloadState
from app.worker.download.metadata import from_transport
from app.worker.download.trouble import from_os_error

_S = DownloadState
FINE = "mlx-community/Fine"


def shown(download: Download) -> str:
    """Return the sentence that people see."""
    failure = download.failure
    return f"{failure.message} {failure.hint}" if failure else download.waiting or download.notice


def stop_at(engine: RunningEngine, repo_id: str) -> Download:
    """Return a download when it does not go on by itself, or waits."""
    found = follow(engine, lambda d: not d.state.is_active or d.state is _S.WAITING, repo_id)
    with engine.api() as api:
        api.remove_download(repo_id)
    return found


# Every row of refusals has a state, and a sentence of its own that says what to do.
ROWS: dict[str, tuple[dict[str, Any], dict[str, str], DownloadState, str]] = {
    "missing": ({}, {}, _S.FAILED, "There is no model {id} on the hub"),
    "missing, with a token": ({}, {"HF_TOKEN": "good"}, _S.FAILED, "private. Check the name;"),
    "private": ({"private": True}, {}, _S.FAILED, "it needs a Hugging Face token"),
    "gated, no token": ({"gated": "auto"}, {}, _S.BLOCKED, "needs a login"),
    "gated, not allowed": (
        {"gated": "manual"}, {"HF_TOKEN": "good"}, _S.BLOCKED, "must allow you to download it",
    ),
    "gated, bad token": (
        {"gated": "auto"}, {"HF_TOKEN": "bad"}, _S.BLOCKED, "and your token was rejected",
    ),
    "disabled": ({"disabled": True}, {}, _S.FAILED, "The hub has disabled {id}"),
    "revision": ({"revision": "v9"}, {}, _S.FAILED, "has no revision “v9”"),
    "no weights": ({"files": {"config.json": {}}}, {}, _S.FAILED, "no weights that MLX can load"),
    "hub is down": ({}, {"HF_ENDPOINT": "http://127.0.0.1:9"}, _S.WAITING, "No network"),
    "proxy is down": ({}, {"HTTP_PROXY": "http://127.0.0.1:9"}, _S.WAITING, "No network"),
    "offline by order": ({}, {"HF_HUB_OFFLINE": "1"}, _S.BLOCKED, "HF_HUB_OFFLINE"),
}  # fmt: skip


def test_every_refusal_has_its_own_state_and_sentence(standin: StandInHub, homes: Path) -> None:
    standin.users["good"] = "tester"
    sentences: dict[str, str] = {}
    for env, rows in itertools.groupby(sorted(ROWS, key=_env_of), key=_env_of):
        with engine_for(standin, homes, **dict(env)) as engine, engine.api() as api:
            for name in rows:
                options, _, state, part = ROWS[name]
                repo_id = f"a/{name.replace(' ', '-').replace(',', '')}"
                if options.keys() & {"private", "gated", "disabled"}:
                    add_model(standin, 1 * MB, repo_id=repo_id, **options)
                elif "files" in options or "revision" in options:
                    standin.add_model(repo_id, options.get("files", files(1 * MB)))
                api.add_download(DownloadRequest(repo_id, options.get("revision", "main")))
                found = stop_at(engine, repo_id)
                assert found.state is state, name
                assert part.format(id=repo_id) in shown(found), name
                assert "status" not in shown(found), name
                if state is not _S.WAITING:
                    assert found.failure is not None
                    assert found.failure.hint, name
                sentences[name] = shown(found).replace(repo_id, "")
    # The two ways to have no network are one thing for people, as are the two ways of no model.
    assert len(set(sentences.values())) >= len(ROWS) - 2


def _env_of(name: str) -> tuple[tuple[str, str], ...]:
    return tuple(ROWS[name][1].items())


def test_rejected_token_is_a_notice_and_the_download_goes_on(
    standin: StandInHub, homes: Path
) -> None:
    add_model(standin, 4 * MB)
    standin.rate = 2 * MB
    with engine_for(standin, homes, HF_TOKEN="stale") as engine, engine.api() as api:
        api.add_download(DownloadRequest(ID))
        assert "token was rejected" in follow(engine, lambda d: bool(d.notice)).notice
        standin.rate = None
        finish(engine)


def test_certificate_that_is_not_trusted_is_no_missing_network() -> None:
    error = ConnectionError("x")
    error.__cause__ = ssl.SSLCertVerificationError("self-signed")
    later = from_transport(error)
    assert later.text == "The hub's certificate is not trusted"
    assert later.tries == 3
    assert from_transport(ConnectionError("x")).tries is None


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError(28, "No space left on device"), "disk_full"),
        (OSError(122, "Quota exceeded"), "disk_full"),
        (OSError(30, "Read-only file system"), "store_failed"),
        (PermissionError(13, "Permission denied"), "store_failed"),
    ],
)
def test_disk_in_trouble_blocks_with_a_sentence(error: OSError, code: str) -> None:
    trouble = from_os_error(error, ID)
    assert trouble.failure.code == code
    assert trouble.needs_user
    assert ID in trouble.failure.message
    assert trouble.failure.hint


# A hub that means harm


@contextmanager
def served(answer: Callable[[socket.socket, bytes], None]) -> Iterator[str]:
    """Serve whatever `answer` does with a connection and the head of its request."""
    listener = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []

    def talk(connection: socket.socket) -> None:
        with connection:
            try:
                head = b""
                while b"\r\n\r\n" not in head and (data := connection.recv(65536)):
                    head += data
                if head:
                    answer(connection, head)
            except OSError:
                pass

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threads.append(threading.Thread(target=talk, args=(connection,)))
            threads[-1].start()

    threads.append(threading.Thread(target=accept))
    threads[0].start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for thread in threads:
            thread.join(10)


complete: list[bytes] = []
"""Kinds of answers that somebody has read to their ends of 240 MB."""


def endless(kind: bytes, piece: bytes) -> Callable[[socket.socket, bytes], None]:
    def answer(connection: socket.socket, _: bytes) -> None:
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Type: " + kind + b"\r\nConnection: close\r\n\r\n"
        )
        # Long before this a client that has bounds hangs up, which is an OSError here.
        for _ in range(4000):
            connection.sendall(piece)
        complete.append(kind)

    return answer


def fixed(body: bytes, *headers: bytes) -> Callable[[socket.socket, bytes], None]:
    head = b"".join(line + b"\r\n" for line in headers)

    def answer(connection: socket.socket, _: bytes) -> None:
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nConnection: close\r\n"
            + head
            + b"Content-Length: %d\r\n\r\n" % len(body)
            + body
        )

    return answer


ANSWERS: dict[str, Callable[[socket.socket, bytes], None]] = {
    "endless list": endless(b"application/json", b'{"siblings": [' + b"0," * 30_000),
    "no JSON": fixed(b"{", b"Content-Type: application/json"),
    "another JSON": fixed(b"[1, 2]", b"Content-Type: application/json"),
    "packed": fixed(b"\x1f\x8b\x08", b"Content-Encoding: gzip"),
    "deep": fixed(b"[" * 200_000, b"Content-Type: application/json"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_hub_that_answers_nonsense_is_told_and_costs_little(
    home: Path, tmp_path: Path, name: str
) -> None:
    with (
        served(ANSWERS[name]) as url,
        worker(None, tmp_path, home, env={"HF_ENDPOINT": url}) as w,
    ):
        w.start()
        waiting = w.wait_for("progress", lambda e: bool(e["waiting"]))
        assert waiting["waiting"] == "The hub answers something unexpected"
        while True:
            w.order("hurry", id=ID)
            event = w.lines.event()
            if event["event"] == "gave_up":
                break
        assert event["failure"]["code"] == "hub_failed"
        assert w.rss_bytes() < 300 * MB
    assert complete == []
    assert list(tmp_path.iterdir()) == []


def test_web_page_in_the_hubs_place_is_named_and_waited_for(home: Path, tmp_path: Path) -> None:
    page = fixed(b"<html>Log in to this network</html>", b"Content-Type: text/html")
    with served(page) as url, worker(None, tmp_path, home, env={"HF_ENDPOINT": url}) as w:
        w.start()
        waiting = w.wait_for("progress", lambda e: bool(e["waiting"]))
        assert "log in to this network in a browser" in waiting["waiting"]
        for _ in range(6):
            w.order("hurry", id=ID)
            w.wait_for("progress")


SIZES: dict[str, tuple[dict[str, Any], str]] = {
    "a petabyte": ({"size": 10**15}, "repo_unsafe"),
    "more than any disk": ({"size": 4 * 10**12}, "disk_full"),
    "text": ({"size": "3"}, "repo_unsafe"),
    "true": ({"size": True}, "repo_unsafe"),
}


@pytest.mark.parametrize("name", SIZES)
def test_absurd_sizes_are_refused_before_anything_is_written(
    standin: StandInHub, home: Path, tmp_path: Path, name: str
) -> None:
    fields, code = SIZES[name]
    siblings = [
        {"rfilename": "config.json", "size": 3, "blobId": "a" * 40},
        {"rfilename": "model.safetensors", "blobId": "b" * 40} | fields,
    ]
    standin.add_model(ID, files(1 * MB), siblings=siblings)
    with worker(standin, tmp_path, home) as w:
        w.start()
        assert w.gave_up()["code"] == code
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and p.suffix != ".lock"]


def test_list_with_too_many_files_is_refused(
    standin: StandInHub, home: Path, tmp_path: Path
) -> None:
    siblings = [{"rfilename": f"{n}.json", "size": 1, "blobId": f"{n:040x}"} for n in range(10_001)]
    standin.add_model(ID, files(1 * MB), siblings=siblings)
    with worker(standin, tmp_path, home) as w:
        w.start()
        assert "more than 10000 files" in w.gave_up()["message"]


def test_huge_readme_is_part_of_the_plan_and_streamed(
    standin: StandInHub, home: Path, tmp_path: Path
) -> None:
    standin.add_model(ID, files(1 * MB) | {"README.md": b"#" * (80 * MB)})
    with worker(standin, tmp_path, home) as w:
        w.start()
        assert w.wait_for("planned")["total_bytes"] > 80 * MB
        w.fetched()
        assert w.rss_bytes() < 200 * MB
    check_files(tmp_path, standin)


REDIRECTS = {
    "in a circle": "/{id}/resolve/{sha}/config.json",
    "to a file": "file:///etc/passwd",
    "to nothing": "http://",
    "to another scheme": "ftp://127.0.0.1/x",
}


@pytest.mark.parametrize("name", REDIRECTS)
def test_redirect_to_nowhere_ends_in_words(
    standin: StandInHub, home: Path, tmp_path: Path, name: str
) -> None:
    add_model(standin, 1 * MB)
    model = standin.models[ID]
    target = REDIRECTS[name].format(id=ID, sha=model.sha)
    standin.add_fault(Fault("status", path="/resolve/", status=302, headers={"Location": target}))
    with worker(standin, tmp_path, home) as w:
        w.start()
        w.wait_for("planned")
        event: dict[str, Any] = {"event": ""}
        while event["event"] != "gave_up":
            w.order("hurry", id=ID)
            event = w.lines.event()
        assert event["failure"]["code"] == "hub_failed"
    assert not snapshot(tmp_path, standin).exists()


def test_token_does_not_follow_a_redirect_to_another_host(
    standin: StandInHub, home: Path, tmp_path: Path
) -> None:
    seen: list[bytes] = []

    def steal(connection: socket.socket, head: bytes) -> None:
        seen.append(head)
        fixed(b"")(connection, head)

    standin.users["good"] = "tester"
    add_model(standin, 1 * MB)
    with served(steal) as url:
        standin.add_fault(
            Fault("status", path="/resolve/", status=302, headers={"Location": f"{url}/x"})
        )
        with worker(standin, tmp_path, home, env={"HF_TOKEN": "good"}) as w:
            w.start()
            w.wait_for("progress", lambda e: bool(e["waiting"]))
            w.order("pause", id=ID)
            w.wait_for("stopped")
    assert seen
    assert not any(b"authorization" in head.lower() for head in seen)


def test_body_that_is_longer_than_it_should_be_is_cut_off(
    standin: StandInHub, home: Path, tmp_path: Path
) -> None:
    add_model(standin, 4 * MB)
    etag = standin.models[ID].files["model.safetensors"].sha256

    def pour(connection: socket.socket, head: bytes) -> None:
        endless(b"application/octet-stream", os.urandom(65536))(connection, head)

    with served(pour) as url:
        fault = standin.add_fault(
            Fault("status", path=r"/resolve/.*model", status=302, headers={"Location": f"{url}/x"})
        )
        with worker(standin, tmp_path, home) as w:
            w.start()
            # Only its checksum can tell that these are not the bytes that were asked for.
            assert w.gave_up()["code"] == "checksum_wrong"
            assert not any(p.stat().st_size > 4 * MB for p in tmp_path.rglob("*") if p.is_file())
            standin.faults.remove(fault)
            w.start()
            w.fetched()
    check_files(tmp_path, standin)
    assert etag


# The bars of a download that goes on


def test_burst_of_refusals_ends_well_by_itself(
    standin: StandInHub, home: Path, tmp_path: Path
) -> None:
    add_model(standin, 12 * MB)
    standin.rate = 40 * MB
    cdn = {"path": r"^/[0-9a-f]{64}", "side": "cdn"}
    for status in (503, 403, 429):
        headers = {"Retry-After": "0"} if status == 429 else {}
        standin.add_fault(Fault("status", status=status, times=1, headers=headers, **cdn))
    standin.add_fault(Fault("reset", after=3 * MB, times=2, **cdn))
    with worker(standin, tmp_path, home) as w:
        w.start()
        w.fetched()
    check_files(tmp_path, standin)
    assert standin.bytes_sent("^/[0-9a-f]{64}") <= 12 * MB * 1.01


def test_cancel_of_one_leaves_the_other_alone(
    standin: StandInHub, home: Path, tmp_path: Path
) -> None:
    add_model(standin, 64 * MB)
    add_model(standin, 8 * MB, repo_id=FINE)
    standin.rate = 8 * MB
    with worker(standin, tmp_path, home) as w:
        w.start()
        w.start(FINE)
        w.wait_for("progress", lambda e: e["id"] == ID and e["done_bytes"] > 1 * MB)
        w.order("discard", id=ID)
        w.wait_for("stopped")
        # Not when all of it was there.
        assert standin.bytes_sent("^/[0-9a-f]{64}") < 50 * MB
        assert w.fetched()["id"] == FINE
    check_files(tmp_path, standin, FINE)
    assert not (tmp_path / f"models--{ID.replace('/', '--')}").exists()
