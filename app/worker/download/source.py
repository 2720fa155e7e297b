"""Where the bytes of a download come from: the hub's address of a file, and what answers mean."""

import logging
import re
import threading
from dataclasses import dataclass
from urllib.parse import quote

from app.wire.errors import ErrorCode
from app.worker.download.metadata import Login, refused, rejected_or_refused
from app.worker.download.plan import Plan, PlannedFile
from app.worker.download.transport import Answer, Connections, origin
from app.worker.download.trouble import Later, Trouble, later_for_status

_log = logging.getLogger("download")
_RANGE = re.compile(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15})")
_EXPIRED = (401, 403, 404, 410)


@dataclass(frozen=True)
class Body:
    """The answer that holds a part of a file, from `offset` to `end`."""

    response: Answer
    url: str
    offset: int
    end: int


class Source:
    """The files of one plan on the hub."""

    def __init__(self, endpoint: str, plan: Plan, login: Login) -> None:
        self._endpoint = endpoint.rstrip("/")
        self._origin = origin(self._endpoint)
        self._plan = plan
        self._login = login
        self._lock = threading.Lock()
        self._links: dict[str, str] = {}

    def open(self, file: PlannedFile, start: int, end: int, connections: Connections) -> Body:
        """Ask for a part of a file. The answer may hold the whole of it instead.

        Raises OSError, http.client.HTTPException, Stopped, Later or Trouble.
        """
        link = self._links.get(file.etag)
        response, url = self._ask(file, link or self._address(file), start, end, connections)
        if link and response.status in _EXPIRED:
            # Signed links live for an hour or less: ask the hub for another one.
            connections.drop(url)
            self._forget(file, link)
            response, url = self._ask(file, self._address(file), start, end, connections)
        try:
            return self._checked(file, response, url)
        except (Later, Trouble):
            connections.drop(url)
            raise

    def _address(self, file: PlannedFile) -> str:
        plan = self._plan
        return f"{self._endpoint}/{plan.repo_id}/resolve/{plan.commit}/{quote(file.name)}"

    def _ask(
        self, file: PlannedFile, url: str, start: int, end: int, connections: Connections
    ) -> tuple[Answer, str]:
        headers = {"Accept-Encoding": "identity", "User-Agent": "mlx-model-manager"}
        if (start, end) != (0, file.size):
            headers["Range"] = f"bytes={start}-{end - 1}"
        response, url = connections.get(
            url, headers, token=self._login.token, token_origin=self._origin
        )
        if response.status in (200, 206) and origin(url) != self._origin:
            with self._lock:
                self._links[file.etag] = url
        return response, url

    def _forget(self, file: PlannedFile, link: str) -> None:
        with self._lock:
            if self._links.get(file.etag) == link:
                del self._links[file.etag]

    def _checked(self, file: PlannedFile, response: Answer, url: str) -> Body:
        if response.status == 200:
            if response.length not in (None, file.size):
                raise _other_size(file)
            return Body(response, url, 0, file.size)
        if response.status == 206:
            match = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
            if match is None or int(match[3]) != file.size:
                raise _other_size(file)
            return Body(response, url, int(match[1]), int(match[2]) + 1)
        if response.status == 416:
            raise _other_size(file)
        raise self._refusal(file, response, is_hub=origin(url) == self._origin)

    def _refusal(self, file: PlannedFile, response: Answer, *, is_hub: bool) -> Later | Trouble:
        status, repo_id = response.status, self._plan.repo_id
        _log.info("%s: the answer for %s has the status %d", repo_id, file.name, status)
        later = later_for_status(status, response.headers.get)
        if later is not None:
            return later
        if not is_hub:
            return Later(f"The hub's file server refuses {file.name}", tries=6)
        if response.headers.get("X-Error-Code") == "GatedRepo":
            return refused(repo_id, status, self._login)
        if status in (401, 403):
            # A proxy or a filter says 403 for a moment too; the hub itself gives a reason.
            if status == 403 and not response.headers.get("X-Error-Message"):
                return Later(f"The hub refuses {file.name}", tries=6)
            return rejected_or_refused(repo_id, status, self._login)
        return Trouble(
            ErrorCode.HUB_FAILED,
            f"Download of {repo_id} stopped: the hub lists {file.name} but does not give it.",
            "Try again later, or choose another revision.",
        )


def _other_size(file: PlannedFile) -> Later:
    return Later(f"The hub sends another size of {file.name} than it lists", tries=4)
