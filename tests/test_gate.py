"""The gate before every request: who is let in, and what the others are told."""

import hashlib
import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import gate
from app.gate import Policy, Refusal

KEY = "sk-first-9d1f"
OPEN = Policy()
KEYED = Policy.from_key_text(f"{KEY}, second-key")
HOST = (b"host", b"127.0.0.1:8799")
BEARER = (b"authorization", b"Bearer " + KEY.encode())


def status(
    policy: Policy, *headers: tuple[bytes, bytes], method: str = "GET", target: str = "/v1/models"
) -> int:
    """What the request would be answered with, 200 when it is let in."""
    refusal = gate.check(policy, method=method, target=target, headers=headers)
    return 200 if refusal is None else refusal.status


@pytest.mark.parametrize("text", [None, "", "  ", " , "])
def test_policy_without_a_key_asks_for_none(text: str | None) -> None:
    assert Policy.from_key_text(text).keys == ()


def test_policy_from_text_keeps_digests_of_stripped_keys_only() -> None:
    policy = Policy.from_key_text(" one , two ", hosts=["Mac.Example"], origins=["http://a"])
    assert policy.keys == tuple(hashlib.sha256(k).digest() for k in (b"one", b"two"))
    assert policy.hosts == {"mac.example"}
    assert policy.origins == {"http://a"}
    assert "one" not in repr(policy)


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [
        ("GET", "/health", 200),
        ("HEAD", "/health", 200),
        ("POST", "/health", 401),
        ("GET", "/health?x=1", 401),
        ("GET", "/health/", 401),
        ("GET", "//health", 401),
        ("GET", "/%68ealth", 401),
        ("GET", "/v1/../health", 401),
        ("GET", "/Health", 401),
        ("GET", "/nothing/here", 401),
        ("OPTIONS", "/v1/models", 401),
    ],
)
def test_without_a_key_only_the_exact_health_target_is_open(
    method: str, target: str, expected: int
) -> None:
    assert status(KEYED, HOST, method=method, target=target) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"Bearer sk-first-9d1f", 200),
        (b"bearer sk-first-9d1f", 200),
        (b"BEARER   sk-first-9d1f  ", 200),
        (b"Bearer second-key", 200),
        (b"Bearer sk-first-9d1", 401),
        (b"Bearer sk-first-9d1ff", 401),
        (b"Bearer SK-FIRST-9D1F", 401),
        (b"Bearer sk-first-9d1f, second-key", 401),
        (b"Bearersk-first-9d1f", 401),
        (b"Basic sk-first-9d1f", 401),
        (b"sk-first-9d1f", 401),
        (b"Bearer ", 401),
        (b"Bearer", 401),
        (b"", 401),
        (b"Bearer \xff\xfe", 401),
    ],
)
def test_key_is_compared_exactly(value: bytes, expected: int) -> None:
    assert status(KEYED, HOST, (b"authorization", value)) == expected


def test_two_authorization_headers_are_refused_even_if_both_are_valid() -> None:
    assert status(KEYED, HOST, BEARER, BEARER) == 401


def test_every_key_is_compared_even_after_a_match(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []
    compare = gate.hmac.compare_digest
    monkeypatch.setattr(
        gate.hmac, "compare_digest", lambda a, b: compared.append(b) or compare(a, b)
    )
    assert status(KEYED, HOST, BEARER) == 200
    assert tuple(compared) == KEYED.keys


def test_challenge_says_whether_a_token_was_given() -> None:
    silent = gate.check(KEYED, method="GET", target="/", headers=[HOST])
    wrong = gate.check(
        KEYED, method="GET", target="/", headers=[HOST, (b"authorization", b"Bearer no")]
    )
    assert isinstance(silent, Refusal)
    assert isinstance(wrong, Refusal)
    assert ("WWW-Authenticate", 'Bearer realm="mlx-model-manager"') in silent.headers
    challenge = 'Bearer realm="mlx-model-manager", error="invalid_token"'
    assert ("WWW-Authenticate", challenge) in wrong.headers
    assert json.loads(wrong.body)["error"]["type"] == "authentication_error"
    assert ("Content-Type", "application/json") in wrong.headers


def test_key_is_decided_before_host_and_origin() -> None:
    evil = (b"host", b"evil.example"), (b"origin", b"https://evil.example")
    assert status(KEYED, *evil) == 401
    assert status(KEYED, BEARER, *evil) == 403


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (b"127.0.0.1", 200),
        (b"127.0.0.1:8799", 200),
        (b"192.168.1.20:8799", 200),
        (b"[::1]:8799", 200),
        (b"[fe80::1]", 200),
        (b"localhost", 200),
        (b"LOCALHOST:8799", 200),
        (b"localhost.", 200),
        (b"app.localhost:1", 200),
        (b"studio", 200),
        (b"Studio.Lan:8799", 200),
        (b"studio.local", 200),
        (b"friend.example", 200),
        (b"friend.example:443", 200),
        (b"evil.example", 403),
        (b"not-friend.example", 403),
        (b"friend.example.evil.example", 403),
        (b"other.local", 403),
        (b"localhost.evil.example", 403),
        (b"127.0.0.1.evil.example", 403),
        (b"evillocalhost", 403),
        (b"a/?b", 403),
        (b"localhost/", 403),
        (b"user@localhost", 403),
        (b"localhost:8799:1", 403),
        (b"localhost:", 403),
        (b"localhost, evil.example", 403),
        (b"[::1", 403),
        (b"[127.0.0.1]", 403),
        (b"::1", 403),
        (b"2130706433", 403),
        (b"0x7f.1", 403),
        (b"", 403),
        (b"\xe9.example", 403),
    ],
)
def test_host_is_an_address_or_a_name_of_this_machine(
    monkeypatch: pytest.MonkeyPatch, host: bytes, expected: int
) -> None:
    monkeypatch.setattr(gate.socket, "gethostname", lambda: "Studio.lan")
    policy = Policy(hosts=frozenset({"friend.example"}))
    assert status(policy, (b"host", host)) == expected


def test_host_must_be_there_exactly_once() -> None:
    assert status(OPEN) == 403
    assert status(OPEN, HOST, HOST) == 403


@pytest.mark.parametrize(
    ("origins", "expected"),
    [
        ([], 200),
        ([b"http://good.example"], 200),
        ([b"http://good.example", b"http://evil.example"], 403),
        ([b"http://evil.example"], 403),
        ([b"null"], 403),
        ([b""], 403),
        ([b"http://127.0.0.1:8799"], 403),
    ],
)
def test_origin_must_be_on_the_list(origins: list[bytes], expected: int) -> None:
    policy = Policy(origins=frozenset({"http://good.example"}))
    headers = [(b"origin", origin) for origin in origins]
    assert status(policy, HOST, *headers) == expected


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("application/json", 200),
        ("Application/JSON; charset=utf-8", 200),
        ("text/plain", 403),
        ("application/x-www-form-urlencoded", 403),
        ("text/plain; application/json", 403),
        (None, 403),
    ],
)
def test_browser_request_without_keys_must_be_json(
    method: str, content_type: str | None, expected: int
) -> None:
    kind = [] if content_type is None else [(b"content-type", content_type.encode())]
    browser = (b"sec-fetch-site", b"cross-site")
    assert status(OPEN, HOST, browser, *kind, method=method) == expected
    assert status(OPEN, HOST, *kind, method=method) == 200
    assert status(OPEN, HOST, browser, *kind, method="GET") == 200


NAMES = st.sampled_from(
    [b"authorization", b"host", b"origin", b"content-type", b"sec-fetch-site", b"cookie"]
)
VALUES = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([b"Bearer ", b"Bearer x", b"localhost", b"[::1]:", b"[:::::]", b"127.0.0.1"]),
)
HEADERS = st.lists(st.tuples(NAMES | st.binary(max_size=12), VALUES), max_size=12)


@given(method=st.text(max_size=8), target=st.text(max_size=20), headers=HEADERS)
def test_no_soup_of_headers_lets_anyone_in_without_the_key(
    method: str, target: str, headers: list[tuple[bytes, bytes]]
) -> None:
    refusal = gate.check(KEYED, method=method, target=target, headers=headers)
    assert (target == "/health" and method in ("GET", "HEAD")) or (
        refusal is not None and refusal.status == 401
    )


@given(method=st.sampled_from(["GET", "POST", "X"]), target=st.text(max_size=20), headers=HEADERS)
def test_no_soup_of_headers_raises_when_the_key_is_right(
    method: str, target: str, headers: list[tuple[bytes, bytes]]
) -> None:
    others = [header for header in headers if header[0] != b"authorization"]
    refusal = gate.check(KEYED, method=method, target=target, headers=[BEARER, *others])
    assert refusal is None or refusal.status == 403


def test_neither_key_nor_token_is_ever_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    given_token = b"Bearer presented-token-77"
    for headers in ([HOST, (b"authorization", given_token)], [HOST, BEARER, BEARER], [BEARER]):
        refusal = gate.check(KEYED, method="GET", target="/", headers=headers)
        assert refusal is not None
        told = repr(refusal) + caplog.text
        assert "presented-token-77" not in told
        assert KEY not in told
