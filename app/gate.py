"""The one gate before every request of both ports: key, Host, Origin and browser forms."""

import hashlib
import hmac
import logging
import re
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from app.throttle import Throttle
from app.wire.errors import HTTP_STATUS, ErrorCode, error_answer

_log = logging.getLogger("http")
Headers = Sequence[tuple[bytes, bytes]]
"""Header fields in the order they came, names in lower case."""

_REALM = 'Bearer realm="mlx-model-manager"'

# RFC 9110, section 11.4: the scheme's name ignores case, and spaces follow it.
_BEARER = re.compile(rb"bearer +([^ ].*?) *", re.IGNORECASE)

# An address or a name with a port, and nothing that a URL parser could read as path or query.
_HOST = re.compile(
    r"(?:\[(?P<v6>[0-9A-Fa-f:.]{2,45})\]"
    r"|(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252}[A-Za-z0-9])?)\.?)"
    r"(?::[0-9]{1,5})?"
)

_FIELD_NAMES = re.compile(rb"[A-Za-z0-9_-]+(?: *, *[A-Za-z0-9_-]+)*")
_MAX_NAMES = 1024

_CHANGING_METHODS = frozenset({"POST", "PUT", "PATCH", "DELETE"})


@dataclass(frozen=True, slots=True)
class Policy:
    """Who is let in: no keys means that nobody is asked for one."""

    keys: tuple[bytes, ...] = ()
    """SHA-256 digests of the keys that are accepted."""
    hosts: frozenset[str] = frozenset()
    """Host names beside this machine's own, in lower case, without a port."""
    origins: frozenset[str] = frozenset()
    """Origins of web pages that may send requests, as browsers write them."""
    names: Mapping[bytes, str] = field(default_factory=dict[bytes, str], compare=False, repr=False)
    """Names of keys, by their digests."""
    on_key: Callable[[bytes], None] | None = field(default=None, compare=False, repr=False)
    """Is told the digest of each key that was let in."""

    @classmethod
    def from_key_text(
        cls, text: str | None, *, hosts: Iterable[str] = (), origins: Iterable[str] = ()
    ) -> "Policy":
        """Return the policy for comma-separated keys; None or blank text asks for no key."""
        keys = [key for part in (text or "").split(",") if (key := part.strip())]
        return cls(
            keys=tuple(hashlib.sha256(key.encode()).digest() for key in keys),
            hosts=frozenset(host.lower() for host in hosts),
            origins=frozenset(origins),
        )


@dataclass(frozen=True, slots=True)
class Refusal:
    """The complete answer to a request that goes no further, but for its Content-Length.

    A browser's question in advance is answered like this too, with status 200.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    is_wrong_key: bool = False
    """True when a key was sent and it is none of ours."""


def admit(
    policy: Policy, throttle: Throttle, address: str, *, method: str, target: str, headers: Headers
) -> Refusal | None:
    """Return what `check` returns, but answer an address that guesses keys with 429.

    A right key is never affected. `address` is the client's, without its port.
    """
    refusal = check(policy, method=method, target=target, headers=headers)
    if refusal is None and policy.on_key is not None and policy.keys and target != "/health":
        policy.on_key(_digest(_values(headers, b"authorization")) or b"")
    if refusal is None or not refusal.is_wrong_key:
        return refusal
    verdict = throttle.add(address)
    if verdict.is_news:
        _log.info("%s sent an API key that is not valid", address)
    if verdict.retry_after_s is None:
        return refusal
    slower = _refusal(
        ErrorCode.TOO_MANY_REQUESTS,
        "Too many API keys that are not valid came from this address.",
        ("Retry-After", str(verdict.retry_after_s)),
    )
    return replace(slower, is_wrong_key=True)


def check(policy: Policy, *, method: str, target: str, headers: Headers) -> Refusal | None:
    """Return why the request is refused, None when it is let in; `target` is as it was sent."""
    # Only the raw target counts: what a router makes of other spellings must not open a door.
    if target == "/health" and method in ("GET", "HEAD"):
        return None
    if method == "OPTIONS" and (answer := _preflight(policy, headers)) is not None:
        return answer
    if not policy.keys:
        return (
            _check_host(policy, headers)
            or _check_origin(policy, headers)
            or _check_form(method, headers)
        )
    # The key comes first, so that a stranger learns nothing about paths, hosts or bodies.
    return (
        _check_key(policy.keys, _values(headers, b"authorization"))
        or _check_host(policy, headers)
        or _check_origin(policy, headers)
    )


def key_name(policy: Policy, headers: Headers) -> str:
    """Return the name of the key that was sent; empty for none, or for one without a name."""
    digest = _digest(_values(headers, b"authorization")) if policy.names else None
    return policy.names.get(digest, "") if digest is not None else ""


def cors_headers(policy: Policy, headers: Headers) -> tuple[tuple[str, str], ...]:
    """Return what an answer needs so that a page of an allowed origin may read it."""
    if not policy.origins:
        return ()
    origins = [value.decode("latin-1") for value in _values(headers, b"origin")]
    if len(origins) == 1 and origins[0] in policy.origins:
        return (("Access-Control-Allow-Origin", origins[0]), ("Vary", "Origin"))
    return (("Vary", "Origin"),)


def _preflight(policy: Policy, headers: Headers) -> Refusal | None:
    """Return the answer to a browser that asks in advance for an allowed page.

    It never sends a key with that question. (Fetch standard, section 3.2.)
    """
    allowed = cors_headers(policy, headers)
    wanted = _values(headers, b"access-control-request-method")
    if len(allowed) < 2 or len(wanted) != 1 or _check_host(policy, headers) is not None:
        return None
    names = b",".join(_values(headers, b"access-control-request-headers"))[:_MAX_NAMES]
    fields = [("Access-Control-Allow-Methods", "GET, POST"), ("Access-Control-Max-Age", "600")]
    if _FIELD_NAMES.fullmatch(names):
        fields.append(("Access-Control-Allow-Headers", names.decode("ascii")))
    if _values(headers, b"access-control-request-private-network") == [b"true"]:
        fields.append(("Access-Control-Allow-Private-Network", "true"))
    # Who writes the answer adds what goes with every answer for this origin.
    return Refusal(200, tuple(fields), b"")


def _values(headers: Headers, name: bytes) -> list[bytes]:
    return [value for key, value in headers if key == name]


def _refusal(code: ErrorCode, message: str, *headers: tuple[str, str]) -> Refusal:
    return Refusal(
        status=HTTP_STATUS[code],
        headers=(("Content-Type", "application/json"), *headers),
        body=error_answer(code, message),
    )


def _check_key(keys: tuple[bytes, ...], given: list[bytes]) -> Refusal | None:
    digest = _digest(given)
    if digest is None:
        return _refusal(
            ErrorCode.UNAUTHORIZED,
            "This address needs an API key: send one header 'Authorization: Bearer <key>'.",
            ("WWW-Authenticate", _REALM),
        )
    # Every key is compared: the time taken must not tell which one matched, or how nearly.
    matches = [hmac.compare_digest(digest, key) for key in keys]
    if any(matches):
        return None
    refusal = _refusal(
        ErrorCode.UNAUTHORIZED,
        "The API key is not valid.",
        ("WWW-Authenticate", f'{_REALM}, error="invalid_token"'),
    )
    return replace(refusal, is_wrong_key=True)


def _digest(given: list[bytes]) -> bytes | None:
    """Return the digest of the key in the one Authorization header; None without such."""
    bearer = _BEARER.fullmatch(given[0]) if len(given) == 1 else None
    return None if bearer is None else hashlib.sha256(bearer[1]).digest()


def _check_host(policy: Policy, headers: Headers) -> Refusal | None:
    hosts = _values(headers, b"host")
    if len(hosts) == 1 and _is_own_host(hosts[0].decode("latin-1"), policy.hosts):
        return None
    # A web page can point its own name at this machine (DNS rebinding); its Host gives it away.
    return _refusal(
        ErrorCode.FORBIDDEN,
        "This host name is not served here, as a protection against DNS rebinding. "
        "Use an IP address or localhost, or add the name to the allowed host names.",
    )


def _is_own_host(value: str, extra: frozenset[str]) -> bool:
    match = _HOST.fullmatch(value)
    if match is None:
        return False
    if match["v6"] is not None:
        return _is_address(match["v6"], socket.AF_INET6)
    name = match["name"].lower()
    if name == "localhost" or name.endswith(".localhost") or name in extra:
        return True
    return _is_address(name, socket.AF_INET) or name in _machine_names()


def _is_address(text: str, family: int) -> bool:
    try:
        socket.inet_pton(family, text)
    except OSError:
        return False
    return True


def _machine_names() -> frozenset[str]:
    # Asked each time: a Mac's name follows the network it is in.
    full = socket.gethostname().lower()
    short = full.split(".", 1)[0]
    return frozenset({full, short, f"{short}.local"})


def _check_origin(policy: Policy, headers: Headers) -> Refusal | None:
    for origin in _values(headers, b"origin"):
        if origin.decode("latin-1") not in policy.origins:
            return _refusal(
                ErrorCode.FORBIDDEN,
                "Web pages of this origin may not send requests here. "
                "Add it to the allowed origins if you trust it.",
            )
    return None


def _check_form(method: str, headers: Headers) -> Refusal | None:
    """Refuse what a web page can send blindly, without asking: a form or a plain-text POST."""
    if method not in _CHANGING_METHODS:
        return None
    if not any(name in (b"origin", b"sec-fetch-site") for name, _ in headers):
        return None
    kinds = _values(headers, b"content-type")
    if len(kinds) == 1 and kinds[0].split(b";", 1)[0].strip().lower() == b"application/json":
        return None
    return _refusal(
        ErrorCode.FORBIDDEN, "Requests from a browser must have the Content-Type application/json."
    )
