"""Calls about servers, their logs and requests, and servers of others."""

from collections.abc import Iterator

from app.client.calls.link import CONNECT_S, Link, query_text, quote_part
from app.wire.history import ServerHistory
from app.wire.nouns import ForeignServer, Server
from app.wire.requests import RequestRecord, RequestTexts
from app.wire.server_log import (
    MAX_PIECE,
    OFFSET_HEADER,
    PRESENT,
    SIZE_HEADER,
    VERSION_HEADER,
    LogPiece,
    LogRun,
)

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

    def server_log_piece(
        self,
        server_id: str,
        *,
        offset: int | None = None,
        max_bytes: int = MAX_PIECE,
        run: str = PRESENT,
    ) -> LogPiece:
        """Return bytes of a run's log from `offset` on; None asks for the end of the log."""
        where = "" if offset is None else f"&offset={offset}"
        path = f"/api/servers/{quote_part(server_id)}/log"
        answer = self.answer("GET", f"{path}?run={quote_part(run)}&max_bytes={max_bytes}{where}")
        facts = answer.headers
        try:
            begin, size = int(facts[OFFSET_HEADER]), int(facts[SIZE_HEADER])
            return LogPiece(answer.content, begin, size, facts[VERSION_HEADER])
        except (KeyError, ValueError) as error:
            raise self.misread(error) from error

    def server_log_runs(self, server_id: str) -> list[LogRun]:
        """Return the runs of a server whose logs are kept, the newest first."""
        return self.get(f"/api/servers/{quote_part(server_id)}/log/runs", list[LogRun])

    def foreign(self) -> list[ForeignServer]:
        """Return the model servers on the engine's computer that it did not start."""
        return self.get("/api/foreign", list[ForeignServer])

    def stop_foreign(self, foreign_id: str) -> None:
        """Ask such a server to end; returns when it is gone, up to 10 s later."""
        self.request("POST", f"/api/foreign/{quote_part(foreign_id)}/stop")

    def server_history(self, server_id: str, *, span_s: int) -> ServerHistory:
        """Return a server's figures over one of `app.wire.history.SPANS_S`, up to now."""
        path = f"/api/servers/{quote_part(server_id)}/history?span_s={span_s}"
        return self.get(path, ServerHistory)

    def requests(
        self, *, last: int = 100, server_id: str | None = None, before: int | None = None
    ) -> list[RequestRecord]:
        """Return up to 1000 requests at the gateway, the newest first.

        Of one server if it is named; `before`: only those with a smaller id, for the next page.
        """
        query = query_text(last=last, server=server_id, before=before)
        return self.get(f"/api/requests{query}", list[RequestRecord])

    def request_texts(self, request_id: int) -> RequestTexts:
        """Return prompt and answer of a request that has ended. Raises AppError without them."""
        return self.get(f"/api/requests/{request_id}/texts", RequestTexts)

    def delete_texts(self) -> None:
        """Delete all prompts and answers."""
        self.request("DELETE", "/api/requests/texts")
