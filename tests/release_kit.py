"""A project's page on this computer that tells releases the way GitHub does."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = Callable[[BaseHTTPRequestHandler], None]
PATH = "/repos/acme/app/releases/latest"


class Page:
    """A project's page on this computer, and what it was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.over = threading.Event()
        page = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                page.asked.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
                page.answers[self.path](self)

            def log_message(self, *_: object) -> None:
                """Keep standard error clean."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()
        self.root = f"http://127.0.0.1:{self.server.server_port}"
        self.url = self.root + PATH

    def tell(self, body: bytes, status: int = 200, path: str = PATH, **headers: str) -> None:
        def answer(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(status)
            for name, value in headers.items():
                handler.send_header(name.replace("_", "-"), value)
            handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body)

        self.answers[path] = answer

    def hold(self) -> None:
        """Take the question and say nothing until the end."""

        def answer(_handler: BaseHTTPRequestHandler) -> None:
            self.over.wait(30)

        self.answers[PATH] = answer

    def release(self, **fields: Any) -> bytes:
        told = {"tag_name": "v1.2", "html_url": f"{self.root}/acme/app/releases/v1.2"} | fields
        return json.dumps(told).encode()

    def close(self) -> None:
        self.over.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
