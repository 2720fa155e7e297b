"""HTTP servers that are no engine, or one that is not understood."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Stranger:
    """An HTTP server that is no engine, or a strange one."""

    def __init__(self, answer: Callable[[str], tuple[int, bytes]]) -> None:
        self.keys: list[str | None] = []
        """The `Authorization` of each request, None without one."""
        keys = self.keys

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                keys.append(self.headers.get("Authorization"))
                status, body = answer(self.path)
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = False
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def __enter__(self) -> "Stranger":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def answering(body: object, status: int = 200) -> Stranger:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Stranger(lambda _: (status, data))
