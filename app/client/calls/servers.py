"""Calls about servers, their logs and requests, and servers of others."""

from collections.abc import Iterator

from app.client.calls.link import CONNECT_S, Link, quote_part
from app.wire.nouns import ForeignServer, Server
from app.wire.requests import RequestRecord

_SLICE_S = 15.0


class ServerCalls(Link):
    """Calls about servers, their logs and requests, and servers of others."""

    def servers(self) -> list[Server]:
        """Return all servers."""
        return self.get("/api/servers", list[Server])

    def server(self, server_id: str, *, wait_s: float = 0.0) -> Server:
        """Return a server; with `wait_s` up to 30 s later, once nothing more happens to it."""
        path = f"/api/servers/{quote_part(server_id)}?wait_s={wait_s:g}"
        return self.get(path, Server, timeout=wait_s + CONNECT_S)

    def wait_settled(self, server_id: str) -> Iterator[Server]:
        """Yield the server every few seconds, the last time when it is ready, stopped or failed."""
        while True:
            server = self.server(server_id, wait_s=_SLICE_S)
            yield server
            if server.state.is_settled:
                return

    def start_server(self, profile_id: str) -> Server:
        """Start a profile; does not wait."""
        return self.send("POST", f"/api/servers/{quote_part(profile_id)}/start", None, Server)

    def stop_server(self, server_id: str, *, force: bool = False) -> Server:
        """Stop a server; does not wait. `force` kills it whatever it holds."""
        path = f"/api/servers/{quote_part(server_id)}/stop?force={int(force)}"
        return self.send("POST", path, None, Server)

    def restart_server(self, server_id: str) -> Server:
        """Restart a server; does not wait."""
        return self.send("POST", f"/api/servers/{quote_part(server_id)}/restart", None, Server)

    def remove_server(self, server_id: str) -> None:
        """Forget a stopped or failed server."""
        self.request("DELETE", f"/api/servers/{quote_part(server_id)}")

    def server_log(self, server_id: str, *, max_bytes: int = 65_536) -> str:
        """Return the end of a server's log."""
        path = f"/api/servers/{quote_part(server_id)}/log?max_bytes={max_bytes}"
        return self.request("GET", path).decode("utf-8", "replace")

    def foreign(self) -> list[ForeignServer]:
        """Return the model servers on the engine's computer that it did not start."""
        return self.get("/api/foreign", list[ForeignServer])

    def stop_foreign(self, foreign_id: str) -> None:
        """Ask such a server to end; returns when it is gone, up to 10 s later."""
        self.request("POST", f"/api/foreign/{quote_part(foreign_id)}/stop")

    def requests(self, *, last: int = 100, server_id: str | None = None) -> list[RequestRecord]:
        """Return the last requests at the gateway, the newest first; of one server if named."""
        suffix = "" if server_id is None else f"&server={quote_part(server_id)}"
        return self.get(f"/api/requests?last={last}{suffix}", list[RequestRecord])
