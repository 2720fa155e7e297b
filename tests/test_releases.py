"""The question for a newer version: what is sent, and what comes of every kind of answer."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from release_kit import PATH, Page

from app.wire.release import Release, ReleaseAnswer, is_newer, version_in
from app.worker import main as worker
from app.worker import releases
from app.worker.releases import newest


@pytest.fixture
def page() -> Iterator[Page]:
    made = Page()
    yield made
    made.close()


def test_release_is_told_with_its_page(page: Page, capfdbinary: pytest.CaptureFixture[Any]) -> None:
    page.tell(page.release(body="What is new", assets=[{"name": "x"}], draft=False))
    assert worker.main(["releases", page.url]) == 0
    answer = msgspec.json.decode(capfdbinary.readouterr().out, type=ReleaseAnswer)
    assert answer.release == Release("1.2", f"{page.root}/acme/app/releases/v1.2")


def test_question_says_nothing_about_its_user(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLX_MANAGER_API_KEY", "secret-1")
    monkeypatch.setenv("HF_TOKEN", "secret-2")
    page.tell(b"", 302, Location="/elsewhere", Set_Cookie="id=1")
    page.tell(page.release(), path="/elsewhere")
    assert newest(page.url).release is not None
    for _, headers in page.asked:
        assert headers == {
            "host": page.root.removeprefix("http://"),
            "accept": "application/json",
            "accept-encoding": "identity",
            "connection": "keep-alive",
            "user-agent": "mlx-model-manager",
        }


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 200),
        (b"<html>Log in to the network</html>", 200),
        (b"[1, 2]", 200),
        (b"null", 200),
        (b"[" * 100_000, 200),
        (b'{"tag_name": 5, "html_url": 6}', 200),
        (b"\xff\xfe\x00", 200),
        (b"{}", 404),
        (b"slow down", 429),
        (b"oh", 500),
        (b" " * 600_000, 200),
    ],
)
def test_garbage_is_no_release_and_no_crash(page: Page, body: bytes, status: int) -> None:
    page.tell(body, status)
    answer = newest(page.url)
    assert answer.release is None
    assert answer.trouble
    assert answer.trouble.isprintable()


@pytest.mark.parametrize(
    "fields",
    [
        {"draft": True},
        {"prerelease": True},
        {"tag_name": "v2.0-rc1"},
        {"tag_name": "nightly"},
        {"tag_name": "v1.2\n"},
        {"html_url": "https://example.org/acme"},
        {"html_url": "file:///etc/passwd"},
        {"html_url": "javascript:alert(1)"},
        {"html_url": "http://me@127.0.0.1/acme"},
        {"html_url": "http://127.0.0.1:99999/acme"},
        {"html_url": ""},
    ],
)
def test_odd_release_is_not_offered(page: Page, fields: dict[str, Any]) -> None:
    page.tell(page.release(**fields))
    assert newest(page.url).release is None


def test_page_of_the_host_behind_the_api_is_accepted() -> None:
    is_page_of = releases._is_page_of
    api = "https://api.example.org/repos/acme/app/releases/latest"
    assert is_page_of("https://example.org/acme/app/releases/tag/v1", api)
    assert not is_page_of("http://example.org/acme", api)
    assert not is_page_of("https://evil.example.org/acme", api)
    assert not is_page_of("https://example.org.evil.net/acme", api)


@pytest.mark.parametrize(
    "target", [PATH, "file:///etc/passwd", "ftp://example.org/", "javascript:1", "http://[::1"]
)
def test_redirect_in_a_circle_or_to_something_else_is_given_up(page: Page, target: str) -> None:
    page.tell(b"", 302, Location=target)
    assert newest(page.url).release is None
    assert len(page.asked) <= 4


def test_secure_page_is_never_left_for_an_open_one() -> None:
    class Response:
        url = releases.httpx2.URL("https://example.org/latest")
        headers = {"Location": "http://example.org/latest"}  # noqa: RUF012 - a stand-in

    with pytest.raises(releases._Nothing):
        releases._next("https://example.org/latest", Response())  # type: ignore[arg-type]


def test_answer_that_trickles_is_given_up_in_time(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(releases, "_TOTAL_S", 0.2)
    gone = threading.Event()

    def trickle(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "100000")
        handler.end_headers()
        try:
            while not gone.wait(0.02):
                handler.wfile.write(b" ")
        except OSError:
            gone.set()

    page.answers[PATH] = trickle
    begin = time.monotonic()
    assert "longer than" in newest(page.url).trouble
    # The whole answer would take more than half an hour.
    assert time.monotonic() - begin < 60
    gone.set()


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/x", "nonsense", "http://[::1", ""])
def test_address_that_does_not_answer_is_no_crash(url: str) -> None:
    assert newest(url).trouble


@pytest.mark.parametrize(
    ("version", "than", "newer"),
    [
        ("1.2", "1.1", True),
        ("1.10.0", "1.9", True),
        ("v2.0", "1.9.9", True),
        ("1.2", "1.2.0", False),
        ("1.2.0", "1.2.1", False),
        ("1.2.0.1", "1.2", True),
        ("1.3-rc1", "1.2", False),
        ("", "1.2", False),
        ("9" * 5000 + ".1", "1.2", False),
    ],
)
def test_later_version_is_newer(version: str, than: str, *, newer: bool) -> None:
    assert is_newer(version, than) is newer


@given(st.text(max_size=20), st.text(max_size=20))
def test_any_two_texts_are_never_both_newer(first: str, second: str) -> None:
    assert not (is_newer(first, second) and is_newer(second, first))
    assert version_in(first) is None or version_in(first) in first
