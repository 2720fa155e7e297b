"""Asks the project's page for its newest release: one plain request that says nothing of us."""

import json
import time
from typing import Any
from urllib.parse import urlsplit

import httpx2
import msgspec

from app.wire.release import Release, ReleaseAnswer, version_in

_TIMEOUT = httpx2.Timeout(5.0)
_TOTAL_S = 10.0
_MOST_BYTES = 512 * 1024
"""A release lists its files and what changed; 10 kB are usual."""
_MOST_REDIRECTS = 3
_REDIRECTS = (301, 302, 303, 307, 308)
# A name is demanded; a version, a system or a number would be an identifier.
# Unpacked answers only: a packed one may be a thousand times larger than what came.
_HEADERS = {
    "User-Agent": "mlx-model-manager",
    "Accept": "application/json",
    "Accept-Encoding": "identity",
}


class _Nothing(Exception):
    """No release can be told; the text says why."""


class _Head(msgspec.Struct):
    """The fields of a release as GitHub, Forgejo and others tell it."""

    tag_name: str
    html_url: str
    draft: bool = False
    prerelease: bool = False


def newest(url: str) -> ReleaseAnswer:
    """Return the newest release that an address tells. Blocks up to 15 s. Never raises."""
    try:
        return ReleaseAnswer(_release(_read(url), url))
    except _Nothing as reason:
        return ReleaseAnswer(trouble=str(reason))
    except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, OSError) as error:
        return ReleaseAnswer(trouble=f"{type(error).__name__}: {error}"[:200])


def _read(url: str) -> bytes:
    deadline = time.monotonic() + _TOTAL_S
    with httpx2.Client(timeout=_TIMEOUT, headers=_HEADERS) as client:
        for _ in range(_MOST_REDIRECTS + 1):
            # A new jar each time: what a page leaves behind is not sent back.
            client.cookies.clear()
            with client.stream("GET", url) as response:
                if response.status_code not in _REDIRECTS:
                    return _body(response, deadline)
                url = _next(url, response)
    raise _Nothing("too many redirects")


def _next(url: str, response: httpx2.Response) -> str:
    target = str(response.url.join(response.headers.get("Location", "")))
    schemes = ("https",) if urlsplit(url).scheme == "https" else ("http", "https")
    if urlsplit(target).scheme not in schemes:
        raise _Nothing("a redirect to something else than a secure page")
    return target


def _body(response: httpx2.Response, deadline: float) -> bytes:
    if response.status_code != 200:
        raise _Nothing(f"status {response.status_code}")
    body = b""
    for piece in response.iter_raw():
        body += piece
        if len(body) > _MOST_BYTES:
            raise _Nothing(f"an answer of more than {_MOST_BYTES // 1024} kB")
        if time.monotonic() > deadline:
            raise _Nothing(f"an answer that takes longer than {_TOTAL_S:.0f} s")
    return body


def _release(body: bytes, asked: str) -> Release:
    try:
        answer: Any = json.loads(body)
        head = msgspec.convert(answer, _Head)
    except (ValueError, RecursionError, msgspec.ValidationError):
        raise _Nothing("an answer that is no release") from None
    version = version_in(head.tag_name)
    if head.draft or head.prerelease or version is None:
        raise _Nothing("no finished version")
    if not _is_page_of(head.html_url, asked):
        raise _Nothing("a release with a page somewhere else")
    return Release(version, head.html_url)


def _is_page_of(page: str, asked: str) -> bool:
    """Return True for a page on the host that was asked, or the one it is the `api.` of."""
    try:
        shown, source = urlsplit(page), urlsplit(asked)
        ports = (shown.port, source.port)
    except ValueError:
        return False
    return (
        page.isprintable()
        and shown.scheme == source.scheme
        and shown.hostname in (source.hostname, (source.hostname or "").removeprefix("api."))
        and ports[0] == ports[1]
        and shown.username is None
    )
