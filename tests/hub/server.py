"""The stand-in itself: the catalogue, the faults, the request log and two listeners."""

import contextlib
import re
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hub.answers import HubError, LoggedRequest
from hub.blobs import Blob, as_blob
from hub.catalogue import HubFile, HubModel, model_info
from hub.faults import Fault
from hub.handler import Handler

LFS_SUFFIXES = (".safetensors", ".npz", ".gguf", ".bin", ".model", ".pt", ".onnx")
LFS_THRESHOLD = 10 << 20


class StandInHub:
    """The catalogue, the fault list, the request log, and the two loopback listeners."""

    def __init__(  # noqa: PLR0913 - the options of a test
        self,
        port: int = 0,
        cdn_port: int = 0,
        *,
        gzip_text: bool = False,
        page_size: int = 1000,
        packed_counts: bool = False,
        resolve_cache: bool = True,
        rate: float | None = None,
        users: Mapping[str, str] | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        self.host = host
        self.gzip_text = gzip_text
        self.page_size = page_size
        self.packed_counts = (
            packed_counts  # how repos processed before August 2026 report quantised parameters
        )
        self.resolve_cache = (
            resolve_cache  # redirect small files to /api/resolve-cache, as the hub does
        )
        # Bytes per second of all large downloads together; None is unlimited.
        self.rate = rate
        self.users = dict(users or {})  # access token -> user name
        self.keeps_alive = True
        """False: every connection, which is a thread here, ends with its first answer."""
        self.models: dict[str, HubModel] = {}
        self.faults: list[Fault] = []
        self.log: list[LoggedRequest] = []
        self._lock = threading.RLock()
        self._stopping = threading.Event()
        self._bucket = time.monotonic()
        self._servers = [
            Listener((host, port), self, "hub"),
            Listener((host, cdn_port), self, "cdn"),
        ]
        self._threads: list[threading.Thread] = []
        self.url = f"http://{host}:{self._servers[0].server_address[1]}"
        self.cdn_url = f"http://{host}:{self._servers[1].server_address[1]}"

    # -- catalogue

    def add_model(
        self,
        repo_id: str,
        files: Mapping[str, bytes | str | Path | Blob | dict | list],
        *,
        private: bool = False,
        gated: str | bool = False,
        disabled: bool = False,
        granted: Iterable[str] = (),
        **info: Any,
    ) -> HubModel:
        """`info` overrides any field of the API answer, such as likes, tags or lastModified."""
        hub_files = {}
        for path, value in files.items():
            blob = as_blob(value)
            lfs = path.endswith(LFS_SUFFIXES) or blob.size > LFS_THRESHOLD
            hub_files[path] = HubFile(path, blob, lfs)
        model = HubModel(repo_id, hub_files, info, private, gated, disabled, set(granted))
        with self._lock:
            self.models[repo_id] = model
        return model

    def add_folder(self, folder: str | Path) -> int:
        """Add every ``folder/owner/name`` directory as a model. Returns how many were added."""
        count = 0
        for repo in sorted(p for p in Path(folder).glob("*/*") if p.is_dir()):
            files = {
                str(p.relative_to(repo).as_posix()): p
                for p in sorted(repo.rglob("*"))
                if p.is_file()
            }
            self.add_model(f"{repo.parent.name}/{repo.name}", files)
            count += 1
        return count

    def add_fault(self, fault: Fault) -> Fault:
        with self._lock:
            self.faults.append(fault)
        return fault

    def clear_faults(self) -> None:
        with self._lock:
            self.faults.clear()

    def faults_for(self, side: str, method: str, path: str) -> list[Fault]:
        with self._lock:
            return [f for f in self.faults if f.takes(side, method, path)]

    def bytes_sent(self, path: str = "") -> int:
        return sum(r.sent for r in self.log if r.method == "GET" and re.search(path, r.path))

    # -- life cycle

    def start(self) -> "StandInHub":
        for server in self._servers:
            thread = threading.Thread(
                target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
            )
            thread.start()
            self._threads.append(thread)
        return self

    def stop(self) -> None:
        self._stopping.set()
        for server in self._servers:
            if self._threads:
                server.shutdown()
            server.server_close()
            server.close_connections()
        for thread in self._threads:
            thread.join(5)

    def __enter__(self) -> "StandInHub":
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def wait(self, seconds: float) -> bool:
        """Sleep unless the server is being stopped; true when it is."""
        return self._stopping.wait(seconds)

    def pace(self, count: int) -> None:
        """Block so that all large downloads together stay within `rate`."""
        if not self.rate:
            return
        with self._lock:
            now = time.monotonic()
            self._bucket = max(self._bucket, now - 0.05) + count / self.rate
            pause = self._bucket - now
        if pause > 0:
            self.wait(pause)

    # -- answers that do not depend on the connection

    def model_for(self, repo_id: str, user: str | None, *, content: bool) -> HubModel:
        model = self.models.get(repo_id)
        if model is None or (model.private and user not in model.granted):
            # The hub does not tell an anonymous caller a missing repo from a private one.
            raise HubError(404 if user else 401, "Repository not found", "RepoNotFound")
        if model.disabled:
            raise HubError(403, "Access to this resource is disabled.")
        if content and model.gated and user not in model.granted:
            page = f"Visit https://huggingface.co/{repo_id} to ask for access."
            if user is None:
                raise HubError(
                    401,
                    f"Access to model {repo_id} is restricted. You must have access to it and be "
                    "authenticated to access it. Please log in.",
                    "GatedRepo",
                )
            raise HubError(
                403,
                f"Access to model {repo_id} is restricted and you are not in the authorized list. "
                f"{page}",
                "GatedRepo",
            )
        return model

    def check_revision(self, model: HubModel, revision: str) -> None:
        if revision not in ("main", model.sha, *model.tags):
            raise HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")

    def full_info(self, model: HubModel, *, blobs: bool) -> dict[str, Any]:
        if blobs not in model.cache:
            model.cache[blobs] = model_info(model, blobs=blobs, packed_counts=self.packed_counts)
        return model.cache[blobs]

    def file_by_etag(self, etag: str) -> HubFile | None:
        with self._lock:
            models = list(self.models.values())
        for model in models:
            for f in model.files.values():
                if f.lfs and etag == f.sha256:
                    return f
        return None


class Listener(socketserver.ThreadingMixIn, socketserver.TCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], hub: "StandInHub", side: str) -> None:
        self.hub = hub
        self.side = side
        self._open: set[socket.socket] = set()
        super().__init__(address, Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def close_connections(self) -> None:
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that went away is ordinary here; anything else is a fault of the stand-in.
        if not isinstance(sys.exception(), OSError | ValueError):
            super().handle_error(request, client_address)
