"""The control API as methods: one for each route. Every call blocks and has a deadline."""

import contextlib
import socket
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from app.client.errors import EngineGone, NeedsKey, WrongVersion
from app.wire import API_VERSION
from app.wire.errors import AppError, ErrorAnswer, ErrorCode
from app.wire.events import SILENCE_S, Event, decode_event
from app.wire.hub import Fit, HubDetails, HubPage, HubQuery
from app.wire.nouns import (
    Download,
    DownloadRequest,
    EngineInfo,
    ForeignServer,
    Model,
    Profile,
    ProfileDraft,
    Server,
)
from app.wire.requests import RequestRecord
from app.wire.settings import SettingState, SettingValue

if TYPE_CHECKING:
    # Imported by the functions that use it: the window would wait 45 ms for its first frame.
    import httpx2 as httpx

_T = TypeVar("_T")
_CONNECT_S = 5.0
_READ_S = 30.0
_SLICE_S = 15.0
_DELETE_S = 120.0
"""A slow external disk takes its time to delete many gigabytes."""


class Api:
    """A connection to one engine. Calls raise AppError; one object belongs to one thread."""

    def __init__(self, url: str, key: str | None = None) -> None:
        import httpx2 as httpx

        self.url = url.rstrip("/")
        self._stream: Any = None
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        # An engine on this computer must be reached whatever proxy the environment names.
        try:
            self._http = httpx.Client(
                base_url=self.url,
                headers=headers,
                timeout=httpx.Timeout(_READ_S, connect=_CONNECT_S),
                trust_env=False,
            )
        except (httpx.InvalidURL, ValueError) as error:
            # The error's text may quote the key.
            reason = error if isinstance(error, httpx.InvalidURL) else "a character is not allowed"
            raise AppError(
                f"“{url}” or its key cannot be used: {reason}.", code=ErrorCode.BAD_REQUEST
            ) from None
        if self._http.base_url.scheme not in ("http", "https") or not self._http.base_url.host:
            self._http.close()
            raise AppError(
                f"“{url}” is no address of an engine.",
                hint="Write it like http://127.0.0.1:8798.",
                code=ErrorCode.BAD_REQUEST,
            )

    def __enter__(self) -> "Api":
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
        self._http.close()

    def interrupt(self) -> None:
        """End an event stream that another thread waits for: its next read fails at once."""
        stream = self._stream
        if stream is not None and (connection := stream.get_extra_info("socket")) is not None:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def health(self) -> bool:
        """Return True when an engine answers."""
        return self._get("/health", dict[str, Any]).get("status") == "ok"

    def engine(self) -> EngineInfo:
        """Return the engine's facts. Raises WrongVersion for one that this client misreads."""
        facts = self._get("/api/engine", dict[str, Any])
        version = facts.get("api_version")
        if version != API_VERSION:
            raise WrongVersion(
                f"The engine at {self.url} speaks version {version}, this app {API_VERSION}.",
                hint="Use the same version of the app on both sides.",
            )
        try:
            return msgspec.convert(facts, EngineInfo)
        except msgspec.ValidationError as error:
            raise self._misread(error) from error

    def profiles(self) -> list[Profile]:
        """Return all profiles."""
        return self._get("/api/profiles", list[Profile])

    def create_profile(self, draft: ProfileDraft) -> Profile:
        """Create a profile."""
        return self._send("POST", "/api/profiles", draft, Profile)

    def update_profile(self, profile_id: str, draft: ProfileDraft) -> Profile:
        """Change a profile."""
        return self._send("PUT", f"/api/profiles/{_part(profile_id)}", draft, Profile)

    def delete_profile(self, profile_id: str) -> None:
        """Move a profile to the trash."""
        self._request("DELETE", f"/api/profiles/{_part(profile_id)}")

    def servers(self) -> list[Server]:
        """Return all servers."""
        return self._get("/api/servers", list[Server])

    def server(self, server_id: str, *, wait_s: float = 0.0) -> Server:
        """Return a server; with `wait_s` up to 30 s later, once nothing more happens to it."""
        path = f"/api/servers/{_part(server_id)}?wait_s={wait_s:g}"
        return self._get(path, Server, timeout=wait_s + _CONNECT_S)

    def wait_settled(self, server_id: str) -> Iterator[Server]:
        """Yield the server every few seconds, the last time when it is ready, stopped or failed."""
        while True:
            server = self.server(server_id, wait_s=_SLICE_S)
            yield server
            if server.state.is_settled:
                return

    def start_server(self, profile_id: str) -> Server:
        """Start a profile; does not wait."""
        return self._send("POST", f"/api/servers/{_part(profile_id)}/start", None, Server)

    def stop_server(self, server_id: str, *, force: bool = False) -> Server:
        """Stop a server; does not wait. `force` kills it whatever it holds."""
        path = f"/api/servers/{_part(server_id)}/stop?force={int(force)}"
        return self._send("POST", path, None, Server)

    def restart_server(self, server_id: str) -> Server:
        """Restart a server; does not wait."""
        return self._send("POST", f"/api/servers/{_part(server_id)}/restart", None, Server)

    def remove_server(self, server_id: str) -> None:
        """Forget a stopped or failed server."""
        self._request("DELETE", f"/api/servers/{_part(server_id)}")

    def server_log(self, server_id: str, *, max_bytes: int = 65_536) -> str:
        """Return the end of a server's log."""
        path = f"/api/servers/{_part(server_id)}/log?max_bytes={max_bytes}"
        return self._request("GET", path).decode("utf-8", "replace")

    def models(self) -> list[Model]:
        """Return the models on the engine's disk."""
        return self._get("/api/models", list[Model])

    def scan_models(self) -> None:
        """Have the engine look at its disk again."""
        self._request("POST", "/api/models/scan")

    def foreign(self) -> list[ForeignServer]:
        """Return the model servers on the engine's computer that it did not start."""
        return self._get("/api/foreign", list[ForeignServer])

    def stop_foreign(self, foreign_id: str) -> None:
        """Ask such a server to end; returns when it is gone, up to 10 s later."""
        self._request("POST", f"/api/foreign/{_part(foreign_id)}/stop")

    def downloads(self) -> list[Download]:
        """Return all downloads."""
        return self._get("/api/downloads", list[Download])

    def add_download(self, request: DownloadRequest) -> Download:
        """Download a model, or go on with its download; does not wait."""
        return self._send("POST", "/api/downloads", request, Download)

    def pause_download(self, download_id: str) -> Download:
        """Pause a download; every byte stays."""
        return self._send("POST", f"/api/downloads/{_part(download_id)}/pause", None, Download)

    def resume_download(self, download_id: str) -> Download:
        """Go on with a download."""
        return self._send("POST", f"/api/downloads/{_part(download_id)}/resume", None, Download)

    def retry_download(self, download_id: str) -> Download:
        """Try a failed, blocked or waiting download again now."""
        return self._send("POST", f"/api/downloads/{_part(download_id)}/retry", None, Download)

    def remove_download(self, download_id: str, *, keep: bool = False) -> None:
        """Cancel a download; with `keep` its unfinished files stay for another try."""
        suffix = "?keep=true" if keep else ""
        self._request("DELETE", f"/api/downloads/{_part(download_id)}{suffix}")

    def remove_model(self, model_id: str) -> int:
        """Delete a model from the hub's cache; return the bytes that this freed."""
        path = f"/api/models/{_part(model_id)}"
        data = self._request("DELETE", path, timeout=_DELETE_S)
        return self._decode(data, dict[str, int])["freed_bytes"]

    def requests(self, *, last: int = 100, server_id: str | None = None) -> list[RequestRecord]:
        """Return the last requests at the gateway, the newest first; of one server if named."""
        suffix = "" if server_id is None else f"&server={_part(server_id)}"
        return self._get(f"/api/requests?last={last}{suffix}", list[RequestRecord])

    def metrics(self) -> str:
        """Return all metrics in the text format of Prometheus."""
        return self._request("GET", "/metrics").decode("utf-8", "replace")

    def model_fit(self, model_id: str, *, context: int | None = None) -> Fit:
        """Return whether a model on the engine's disk fits its memory; context in tokens."""
        path = f"/api/models/{_part(model_id)}/fit{_query(context=context)}"
        return self._get(path, Fit)

    def search_hub(self, query: HubQuery) -> HubPage:
        """Return a page of a search of the hub. Blocks up to 16 s."""
        values = {**msgspec.to_builtins(query), "supported": int(query.supported)}
        return self._get(f"/api/hub/search{_query(**values)}", HubPage)

    def hub_model(self, model_id: str, *, context: int | None = None) -> HubDetails:
        """Return everything about a model on the hub. Blocks up to 16 s; context in tokens."""
        path = f"/api/hub/models/{_part(model_id)}{_query(context=context)}"
        return self._get(path, HubDetails)

    def settings(self) -> list[SettingState]:
        """Return the engine's settings."""
        return self._get("/api/settings", list[SettingState])

    def change_settings(self, changes: Mapping[str, SettingValue]) -> list[SettingState]:
        """Change some of the engine's settings."""
        return self._send("PATCH", "/api/settings", changes, list[SettingState])

    def events(self) -> Iterator[Event]:
        """Yield the engine's events, a snapshot first, until EngineGone.

        That is raised when the engine ends, and after 6 s of silence.
        """
        import httpx2 as httpx

        timeout = httpx.Timeout(SILENCE_S, connect=_CONNECT_S)
        try:
            with self._http.stream("GET", "/api/events", timeout=timeout) as response:
                if response.status_code != 200:
                    response.read()
                    raise self._error(response)
                self._stream = response.extensions.get("network_stream")
                for line in response.iter_lines():
                    if line.startswith("data: "):
                        yield self._decoded_event(line[6:])
        except (httpx.HTTPError, OSError) as error:
            raise self._gone(error) from error
        raise EngineGone(f"The engine at {self.url} has ended.")

    def _get(self, path: str, kind: type[_T], *, timeout: float = _READ_S) -> _T:
        return self._decode(self._request("GET", path, timeout=timeout), kind)

    def _send(self, method: str, path: str, body: object, kind: type[_T]) -> _T:
        content = b"" if body is None else msgspec.json.encode(body)
        return self._decode(self._request(method, path, content), kind)

    def _decode(self, data: bytes, kind: type[_T]) -> _T:
        try:
            return msgspec.json.decode(data, type=kind)
        except msgspec.DecodeError as error:
            raise self._misread(error) from error

    def _decoded_event(self, text: str) -> Event:
        try:
            return decode_event(text.encode())
        except msgspec.DecodeError as error:
            raise self._misread(error) from error

    def _misread(self, error: msgspec.DecodeError) -> WrongVersion:
        return WrongVersion(
            f"The engine at {self.url} answered something unexpected ({error}).",
            hint="Use the same version of the app on both sides.",
        )

    def _request(
        self, method: str, path: str, content: bytes = b"", *, timeout: float = _READ_S
    ) -> bytes:
        import httpx2 as httpx

        headers = {"Content-Type": "application/json"} if content else {}
        limits = httpx.Timeout(timeout, connect=_CONNECT_S)
        try:
            response = self._http.request(
                method, path, content=content, headers=headers, timeout=limits
            )
        except (httpx.HTTPError, OSError) as error:
            raise self._gone(error) from error
        if response.status_code >= 400:
            raise self._error(response)
        return response.content

    def _error(self, response: "httpx.Response") -> AppError:
        try:
            body = msgspec.json.decode(response.content, type=ErrorAnswer).error
            code = ErrorCode(body.code)
        except (msgspec.DecodeError, ValueError):
            return WrongVersion(f"{self.url} answered with status {response.status_code}.")
        # The control API says "too many" only to those whose keys are wrong.
        if code in (ErrorCode.UNAUTHORIZED, ErrorCode.TOO_MANY_REQUESTS):
            return NeedsKey(body.message, hint=body.hint)
        return AppError(body.message, hint=body.hint, code=code)

    def _gone(self, error: Exception) -> EngineGone:
        import httpx2 as httpx

        if isinstance(error, httpx.ConnectTimeout | httpx.ReadTimeout):
            return EngineGone(f"The engine at {self.url} does not answer.")
        if isinstance(error, httpx.ConnectError):
            return EngineGone(f"No engine listens at {self.url}.")
        return EngineGone(f"The connection to the engine at {self.url} broke.")


def _part(text: str) -> str:
    return quote(text, safe="")


def _query(**values: object) -> str:
    given = {name: str(value) for name, value in values.items() if value}
    return f"?{urlencode(given)}" if given else ""
