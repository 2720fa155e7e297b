"""Asks the hub over HTTP, with bounds on time and size, and puts every refusal into words."""

import json
import logging
import os
import re
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

import httpx2
from huggingface_hub import get_token

from app.wire.errors import ErrorCode
from app.wire.nouns import Failure
from app.worker import hub_status
from app.worker.download.trouble import retry_after_s

_log = logging.getLogger("hub")
DEFAULT_ENDPOINT = "https://huggingface.co"
REJECTED = "Your Hugging Face token was rejected, so the hub is asked without it."
# The engine waits 15 s for an answer; one slow request must leave time to say so.
_TOTAL_S = 12.0
_TIMEOUT = httpx2.Timeout(8.0, connect=5.0)
_LEFT = re.compile(r"\br=(\d{1,9})")
RESERVE = 20
"""With fewer requests left in the hub's window, only what the user asks for is asked."""
Parameters = Mapping[str, str | list[str]]


class HubTrouble(Exception):
    """An answer that did not come, with the sentence for the user."""

    def __init__(self, code: ErrorCode, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.failure = Failure(code, message, hint)


@dataclass(frozen=True)
class Reply:
    """An answer of the hub."""

    body: bytes
    headers: Mapping[str, str]
    is_cut: bool


class Web:
    """The hub, to be asked from several threads."""

    def __init__(self) -> None:
        self.endpoint = os.environ.get("HF_ENDPOINT", "").rstrip("/") or DEFAULT_ENDPOINT
        self._client = httpx2.Client(
            timeout=_TIMEOUT,
            follow_redirects=True,
            max_redirects=5,
            headers={"User-Agent": "mlx-model-manager"},
        )
        self._rejected: str | None = None
        self._left: int | None = None

    @property
    def _token(self) -> str | None:
        """The user's token, unless the hub rejected it; read anew, since it may be set any time."""
        token = get_token()
        return None if token == self._rejected else token

    @property
    def is_token_rejected(self) -> bool:
        """True while the token is one that the hub rejected."""
        return self._rejected is not None and self._rejected == get_token()

    @property
    def is_scarce(self) -> bool:
        """True when the hub will soon refuse more requests."""
        return self._left is not None and self._left < RESERVE

    @property
    def has_token(self) -> bool:
        """True while requests carry a token that the hub has not rejected."""
        return self._token is not None

    @property
    def notice(self) -> str:
        """What the user should know about the answers so far."""
        return REJECTED if self.is_token_rejected else ""

    def json(
        self, path: str, parameters: Parameters | None = None, *, limit_bytes: int
    ) -> tuple[object, Mapping[str, str]]:
        """Return a JSON answer and its headers. Blocks up to 12 s. Raises HubTrouble."""
        reply = self.read(path, parameters, limit_bytes=limit_bytes)
        if reply.is_cut:
            raise HubTrouble(
                ErrorCode.HUB_FAILED,
                f"The hub's answer is larger than {limit_bytes // 1_000_000} MB.",
                "Search for something more exact.",
            )
        try:
            return json.loads(reply.body), reply.headers
        except (ValueError, RecursionError):
            raise self._nonsense(reply) from None

    def read(self, path: str, parameters: Parameters | None = None, *, limit_bytes: int) -> Reply:
        """Return an answer, cut at `limit_bytes`. Blocks up to 12 s. Raises HubTrouble."""
        if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
            raise HubTrouble(
                ErrorCode.HUB_OFFLINE,
                "The hub is turned off by HF_HUB_OFFLINE.",
                "Start the app without this variable.",
            )
        deadline = time.monotonic() + _TOTAL_S
        token = self._token
        try:
            reply, status = self._ask(path, parameters, token, limit_bytes, deadline)
            if status == 401 and token and not reply.headers.get("X-Error-Code"):
                # A stale token is refused even for what everybody may see.
                reply, status = self._ask(path, parameters, None, limit_bytes, deadline)
                if status != 401:
                    self._rejected = token
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, OSError) as error:
            raise self._unreachable(error) from error
        if status != 200:
            raise self._refusal(path, status, reply)
        return reply

    def _ask(
        self,
        path: str,
        parameters: Parameters | None,
        token: str | None,
        limit_bytes: int,
        deadline: float,
    ) -> tuple[Reply, int]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        url = self.endpoint + quote(path)
        body = bytearray()
        with self._client.stream("GET", url, params=parameters, headers=headers) as response:
            for piece in response.iter_bytes():
                body += piece
                if len(body) > limit_bytes:
                    break
                if time.monotonic() > deadline:
                    raise httpx2.ReadTimeout("the answer takes too long")
            self._count(response.headers.get("RateLimit", ""))
            cut = len(body) > limit_bytes
            return Reply(bytes(body[:limit_bytes]), response.headers, cut), response.status_code

    def _count(self, text: str) -> None:
        match = _LEFT.search(text)
        if match and '"api"' in text:
            self._left = int(match[1])

    def _unreachable(self, error: Exception) -> HubTrouble:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, ssl.SSLCertVerificationError):
                return HubTrouble(
                    ErrorCode.HUB_FAILED,
                    "The hub's certificate is not trusted.",
                    "Check the network: a login page or a filter may answer in the hub's place.",
                )
            cause = cause.__cause__ or cause.__context__
        if isinstance(error, httpx2.TimeoutException):
            return HubTrouble(
                ErrorCode.HUB_OFFLINE,
                "The hub does not answer in time.",
                "Check the network, then try again.",
            )
        if isinstance(error, httpx2.InvalidURL | httpx2.UnsupportedProtocol):
            return HubTrouble(
                ErrorCode.HUB_FAILED,
                f"The hub's address {self.endpoint} cannot be used.",
                "Correct HF_ENDPOINT.",
            )
        if isinstance(error, httpx2.RequestError) and not isinstance(error, httpx2.TransportError):
            return HubTrouble(ErrorCode.HUB_FAILED, "The hub answers something unexpected.")
        return HubTrouble(
            ErrorCode.HUB_OFFLINE,
            "The hub cannot be reached.",
            "Check the network; the models on this disk work without it.",
        )

    def _refusal(self, path: str, status: int, reply: Reply) -> HubTrouble:
        _log.info("the answer for %s has the status %d", path, status)
        if status == 429:
            after_s = retry_after_s(reply.headers.get)
            when = f" Try again in {after_s:.0f} s." if after_s else " Try again in a few minutes."
            return HubTrouble(
                ErrorCode.HUB_LIMITED,
                f"The hub limits requests.{when}",
                "" if self._token else "Users who are logged in may ask it more often.",
            )
        if status == 400 and path == "/api/models":
            return HubTrouble(
                ErrorCode.BAD_REQUEST,
                "The hub does not understand this search.",
                "Begin it anew, without the cursor.",
            )
        repo = path.removeprefix("/api/models/").partition("/revision/")[0]
        code = reply.headers.get("X-Error-Code")
        if path.startswith("/api/models/") and (code == "RepoNotFound" or status == 404):
            advice = (
                "use a token that may read it"
                if self._token
                else "it needs a Hugging Face token, see Settings"
            )
            return HubTrouble(
                ErrorCode.REPO_NOT_FOUND,
                f"There is no model {repo} on the hub, or it is private.",
                f"Check the name; if it is private, {advice}.",
            )
        if status in (401, 403):
            return HubTrouble(
                ErrorCode.ACCESS_NEEDED,
                "The hub does not show this.",
                "Ask its authors for access on its page, and set a Hugging Face token in Settings.",
            )
        return HubTrouble(
            ErrorCode.HUB_FAILED, f"The hub {hub_status.trouble(status)}.", "Try again later."
        )

    def _nonsense(self, reply: Reply) -> HubTrouble:
        if reply.body.lstrip()[:1] == b"<":
            return HubTrouble(
                ErrorCode.HUB_FAILED,
                "A web page came instead of the hub's answer.",
                "Open a browser: the network may want you to log in first.",
            )
        return nonsense()


def nonsense() -> HubTrouble:
    """Return the trouble of an answer that makes no sense."""
    return HubTrouble(
        ErrorCode.HUB_FAILED, "The hub answers something unexpected.", "Try again later."
    )
