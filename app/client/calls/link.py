"""One HTTP connection to one engine, with its errors in words."""

import contextlib
import socket
import ssl
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from app.client.errors import EngineGone, EngineSilent, NeedsKey, WrongVersion
from app.wire.errors import AppError, ErrorAnswer, ErrorCode
from app.wire.reading import read_json

if TYPE_CHECKING:
    # Imported by the functions that use it: the window would wait 45 ms for its first frame.
    import httpx2 as httpx

_T = TypeVar("_T")
CONNECT_S = 5.0
READ_S = 30.0


class Link:
    """One HTTP connection to one engine, with its errors in words."""

    def __init__(self, url: str, key: str | None = None) -> None:
        import httpx2 as httpx

        self.url = url.rstrip("/")
        self.stream: Any = None
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        # An engine on this computer must be reached whatever proxy the environment names.
        try:
            # As a look-up of the name does later, where it is no error of the network.
            httpx.URL(self.url).host.encode("idna")
            self.http = httpx.Client(
                base_url=self.url,
                headers=headers,
                timeout=httpx.Timeout(READ_S, connect=CONNECT_S),
                trust_env=False,
            )
        except (httpx.InvalidURL, ValueError) as error:
            # The error's text may quote the key.
            reason = error if isinstance(error, httpx.InvalidURL) else "a character is not allowed"
            raise AppError(
                f"“{url}” or its key cannot be used: {reason}.", code=ErrorCode.BAD_REQUEST
            ) from None
        if self.http.base_url.scheme not in ("http", "https") or not self.http.base_url.host:
            self.http.close()
            raise AppError(
                f"“{url}” is no address of an engine.",
                hint="Write it like http://127.0.0.1:8798.",
                code=ErrorCode.BAD_REQUEST,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self.http.close()

    def interrupt(self) -> None:
        """End an event stream that another thread waits for: its next read fails at once."""
        stream = self.stream
        if stream is not None and (connection := stream.get_extra_info("socket")) is not None:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def get(self, path: str, kind: type[_T], *, timeout: float = READ_S) -> _T:
        """Return the answer to GET as `kind`; `timeout` in seconds."""
        return self.decode(self.request("GET", path, timeout=timeout), kind)

    def send(self, method: str, path: str, body: object, kind: type[_T]) -> _T:
        """Send a body as JSON, None for none, and return the answer as `kind`."""
        content = b"" if body is None else msgspec.json.encode(body)
        return self.decode(self.request(method, path, content), kind)

    def request(
        self, method: str, path: str, content: bytes = b"", *, timeout: float = READ_S
    ) -> bytes:
        """Return the bytes of the answer. Raises AppError for every refusal."""
        return self.answer(method, path, content, timeout=timeout).content

    def answer(
        self, method: str, path: str, content: bytes = b"", *, timeout: float = READ_S
    ) -> "httpx.Response":
        """Return the whole answer. Raises AppError for every refusal."""
        import httpx2 as httpx

        headers = {"Content-Type": "application/json"} if content else {}
        limits = httpx.Timeout(timeout, connect=CONNECT_S)
        try:
            response = self.http.request(
                method, path, content=content, headers=headers, timeout=limits
            )
        except (httpx.HTTPError, OSError) as error:
            raise self.gone(error) from error
        if response.status_code >= 400:
            raise self.error(response)
        return response

    def decode(self, data: bytes, kind: type[_T]) -> _T:
        """Return JSON as `kind`. Raises WrongVersion for anything else."""
        try:
            return read_json(data, kind)
        except msgspec.DecodeError as error:
            raise self.misread(error) from error

    def misread(self, error: Exception) -> WrongVersion:
        """Return the error for an answer that this client does not understand."""
        return WrongVersion(
            f"The engine at {self.url} answered something unexpected ({error}).",
            hint="Use the same version of the app on both sides.",
        )

    def error(self, response: "httpx.Response") -> AppError:
        """Return the error that an answer of status 400 or more tells."""
        try:
            body = read_json(response.content, ErrorAnswer).error
            code = ErrorCode(body.code)
        except (msgspec.DecodeError, ValueError):
            return WrongVersion(f"{self.url} answered with status {response.status_code}.")
        # The control API says "too many" only to those whose keys are wrong.
        if code in (ErrorCode.UNAUTHORIZED, ErrorCode.TOO_MANY_REQUESTS):
            return NeedsKey(body.message, hint=body.hint)
        return AppError(body.message, hint=body.hint, code=code)

    def gone(self, error: Exception) -> EngineGone:
        """Return the error for a connection that does not work."""
        import httpx2 as httpx

        if isinstance(error, httpx.ConnectTimeout | httpx.ReadTimeout):
            return EngineSilent(f"The engine at {self.url} does not answer.")
        if (reason := _tls_trouble(error)) is not None:
            return EngineGone(
                f"The certificate of {self.url} is not accepted: {reason}.",
                hint="Install its authority in the keychain, or use http on a network you trust.",
            )
        if isinstance(error, httpx.ConnectError):
            return EngineGone(f"No engine listens at {self.url}.")
        return EngineGone(f"The connection to the engine at {self.url} broke.")


def _tls_trouble(error: BaseException | None) -> str | None:
    """Return what is wrong with the other side's certificate, None when it is something else."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error.verify_message
        if isinstance(error, ssl.SSLError):
            return "it does not speak TLS there"
        error = error.__cause__ or error.__context__
    return None


def quote_part(text: str) -> str:
    """Return text as one part of a path."""
    return quote(text, safe="")


def query_text(**values: object) -> str:
    """Return the given values, without the empty ones, as the query of an address."""
    given = {name: str(value) for name, value in values.items() if value}
    return f"?{urlencode(given)}" if given else ""
