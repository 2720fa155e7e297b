"""Answers one request to the stand-in as the hub or its content network does."""

import re
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

from hub.answers import Abort, Answers, HubError, LoggedRequest
from hub.blobs import BytesBlob
from hub.catalogue import HubModel, tree_entry

DETAIL_ONLY_FIELDS = {"usedStorage", "baseModels", "childrenModelCount"}
"""The list endpoint refuses to expand these."""


class Handler(Answers):
    def log_message(self, *args: Any) -> None:
        pass

    def version_string(self) -> str:
        return "standin-hub"

    def do_GET(self) -> None:  # noqa: N802 - the name that the standard library calls
        self._serve()

    do_HEAD = do_POST = do_GET  # noqa: N815 - as above

    def _serve(self) -> None:
        hub, started = self.server.hub, time.monotonic()
        parts = urlsplit(self.path)
        self.route = unquote(parts.path)
        self.query = parse_qs(parts.query, keep_blank_values=True)
        received = {name.lower(): value for name, value in self.headers.items()}
        self.entry = LoggedRequest(
            self.server.side, self.command, self.route, parts.query, received
        )
        hub.log.append(self.entry)
        body_length = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(body_length) if body_length else b""
        self.active = hub.faults_for(self.server.side, self.command, self.route)
        try:
            for fault in self.active:
                if fault.kind == "delay":
                    hub.wait(fault.seconds)
                elif fault.kind == "refuse":
                    raise Abort  # noqa: TRY301 - the end of a connection is one place
                elif fault.kind == "status":
                    self._reply(
                        fault.status, fault.body, headers=fault.headers, kind="application/json"
                    )
                    return
            try:
                if self.server.side == "cdn":
                    self._cdn()
                else:
                    self._hub()
            except HubError as error:
                headers = {"X-Error-Message": str(error), **error.headers}
                if error.code:
                    headers["X-Error-Code"] = error.code
                self._json({"error": str(error)}, status=error.status, headers=headers)
        except (Abort, ConnectionError, TimeoutError):
            self.close_connection = True
        finally:
            self.entry.seconds = time.monotonic() - started

    @property
    def user(self) -> str | None:
        header = self.headers.get("Authorization")
        if not header:
            return None
        token = header.removeprefix("Bearer ").strip()
        try:
            return self.server.hub.users[token]
        except KeyError:
            raise HubError(401, "Invalid credentials in Authorization header") from None

    def _flag(self, name: str) -> bool:
        return self.query.get(name, ["false"])[-1].lower() in ("1", "true", "yes")

    # -- routes of the hub

    def _hub(self) -> None:
        path = self.route
        if path == "/api/models":
            return self._list_models()
        if path == "/api/whoami-v2":
            user = self.user
            if user is None:
                raise HubError(401, "Invalid username or password.")
            facts = {"type": "user", "id": "0", "name": user, "fullname": user, "orgs": []}
            token = {"displayName": "standin", "role": "read"}
            return self._json(facts | {"auth": {"type": "access_token", "accessToken": token}})
        if path == "/api/agent-harnesses":
            return self._json({"standardEnvVars": [], "harnesses": {}})
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/(.*))?", path):
            return self._model_api(match[1], match[2] or "")
        if match := re.fullmatch(r"/api/resolve-cache/models/([^/]+/[^/]+)/([^/]+)/(.+)", path):
            return self._resolve(match[1], match[2], match[3], raw=False, cached=True)
        if match := re.fullmatch(r"/([^/]+/[^/]+)/(resolve|raw)/([^/]+)/(.+)", path):
            return self._resolve(match[1], match[3], match[4], raw=match[2] == "raw")
        raise HubError(404, f"Cannot {self.command} {path}")

    def _list_models(self) -> None:
        hub, q, user = self.server.hub, self.query, self.user
        expand = q.get("expand", []) + q.get("expand[]", [])
        if refused := DETAIL_ONLY_FIELDS.intersection(expand):
            raise HubError(400, f"Invalid expand: {', '.join(sorted(refused))}")
        tags = [t.lower() for value in q.get("filter", []) for t in value.split(",")]
        found = []
        for model in list(hub.models.values()):
            if model.private and user not in model.granted:
                continue
            info = hub.full_info(model, blobs=False)
            have = {t.lower() for t in info["tags"]} | {
                str(info["library_name"]).lower(),
                str(info["pipeline_tag"]),
            }
            words = " ".join(q.get("search", [""])).lower().split()
            if (
                any(t not in have for t in tags)
                or any(w not in model.repo_id.lower() for w in words)
                or ("author" in q and model.author.lower() != q["author"][0].lower())
                or ("pipeline_tag" in q and info["pipeline_tag"] != q["pipeline_tag"][0])
                or ("gated" in q and bool(model.gated) != self._flag("gated"))
                or not _within(
                    info.get("safetensors", {}).get("total", 0), q.get("num_parameters", [""])[0]
                )
            ):
                continue
            found.append(info)
        key = q.get("sort", ["trendingScore"])[0]
        if key not in ("downloads", "likes", "lastModified", "createdAt", "trendingScore"):
            raise HubError(400, f"Invalid sort: {key}")
        found.sort(key=lambda info: (info[key], info["id"]), reverse=True)
        limit = min(int(q.get("limit", [hub.page_size])[0]), hub.page_size)
        cursor = q.get("cursor", ["0"])[0]
        if not (cursor.isascii() and cursor.isdecimal()):
            raise HubError(400, "Invalid cursor")
        start = int(cursor)
        headers = {}
        if start + limit < len(found):
            following = [(k, v) for k, values in q.items() if k != "cursor" for v in values]
            link = f"{hub.url}/api/models?{urlencode([*following, ('cursor', str(start + limit))])}"
            headers["Link"] = f'<{link}>; rel="next"'
        page = found[start : start + limit]
        basic = (
            "_id", "id", "modelId", "likes", "trendingScore", "private", "downloads", "tags",
            "pipeline_tag", "library_name", "createdAt",
        )  # fmt: skip
        if expand:
            page = [{k: i[k] for k in ("_id", "id", "modelId", *expand) if k in i} for i in page]
        elif self._flag("full"):
            drop = (
                "cardData",
                "config",
                "safetensors",
                "usedStorage",
                "downloadsAllTime",
                "spaces",
            )
            keep = [
                n
                for n, on in (
                    ("cardData", self._flag("cardData")),
                    ("config", self._flag("config")),
                )
                if on
            ]
            page = [{k: v for k, v in i.items() if k not in drop or k in keep} for i in page]
        else:
            page = [{k: i[k] for k in basic} for i in page]
        self._json(page, headers=headers)

    def _model_api(self, repo_id: str, rest: str) -> None:
        hub = self.server.hub
        if rest == "auth-check":
            hub.model_for(repo_id, self.user, content=True)
            return self._json({})
        model = hub.model_for(repo_id, self.user, content=False)
        match = re.fullmatch(r"revision/([^/]+)", rest)
        if rest == "" or match:
            if match:
                hub.check_revision(model, match[1])
            info = hub.full_info(model, blobs=self._flag("blobs"))
            if expand := self.query.get("expand", []) + self.query.get("expand[]", []):
                info = {k: info[k] for k in ("_id", "id", "modelId", *expand) if k in info}
            return self._json(info)
        if rest == "refs":
            tags = [{"name": tag, "ref": f"refs/tags/{tag}", "targetCommit": model.sha}
                    for tag in model.tags]  # fmt: skip
            return self._json({"tags": tags, "converts": [],
                               "branches": [{"name": "main", "ref": "refs/heads/main",
                                             "targetCommit": model.sha}]})  # fmt: skip
        if match := re.fullmatch(r"tree/([^/]+)(?:/(.*))?", rest):
            hub.check_revision(model, match[1])
            return self._tree(model, match[2] or "")
        if match := re.fullmatch(r"paths-info/([^/]+)", rest):
            hub.check_revision(model, match[1])
            wanted = parse_qs(self.body.decode()).get("paths", [])
            return self._json([tree_entry(model.files[p]) for p in wanted if p in model.files])
        raise HubError(404, f"Cannot {self.command} {self.route}")

    def _tree(self, model: HubModel, folder: str) -> None:
        hub = self.server.hub
        prefix = f"{folder}/" if folder else ""
        entries: dict[str, dict[str, Any]] = {}
        for f in model.files.values():
            if not f.path.startswith(prefix):
                continue
            parts = f.path[len(prefix) :].split("/")
            for depth in range(1, len(parts)):
                name = prefix + "/".join(parts[:depth])
                entries.setdefault(
                    name, {"type": "directory", "oid": "0" * 40, "size": 0, "path": name}
                )
                if not self._flag("recursive"):
                    break
            if len(parts) == 1 or self._flag("recursive"):
                entries[f.path] = tree_entry(f)
        if folder and not entries:
            raise HubError(404, f'"{folder}" does not exist on "main"', "EntryNotFound")
        listing = list(entries.values())
        start = int(self.query.get("cursor", ["0"])[0])
        page, headers = listing[start : start + hub.page_size], {}
        if start + hub.page_size < len(listing):
            query = urlencode(
                {"recursive": self._flag("recursive"), "cursor": start + hub.page_size}
            )
            headers["Link"] = f'<{hub.url}{quote(self.route)}?{query}>; rel="next"'
        self._json(page, headers=headers)

    def _resolve(
        self, repo_id: str, revision: str, path: str, *, raw: bool, cached: bool = False
    ) -> None:
        hub = self.server.hub
        model = hub.model_for(repo_id, self.user, content=True)
        hub.check_revision(model, revision)
        headers = {"X-Repo-Commit": model.sha, "Accept-Ranges": "bytes"}
        f = model.files.get(path)
        if f is None:
            raise HubError(404, "Entry not found", "EntryNotFound", headers)
        if not f.lfs and not raw and not cached and hub.resolve_cache:
            headers["Location"] = f"/api/resolve-cache/models/{repo_id}/{model.sha}/{quote(path)}"
            return self._reply(307, b"Temporary Redirect", headers=headers)
        if not f.lfs or raw:
            content = BytesBlob(f.lfs_pointer()) if f.lfs else f.blob
            return self._content(content, {**headers, "ETag": f'"{f.git_oid}"'}, compressible=True)
        headers |= {
            "X-Linked-Etag": f'"{f.etag}"',
            "X-Linked-Size": str(f.size),
            "ETag": f'"{f.etag}"',
        }
        name = quote(Path(path).name)
        headers["Location"] = (
            f"{hub.cdn_url}/{f.sha256}?filename={name}&Expires={int(time.time()) + 3600}"
        )
        self._reply(302, b"Found. Redirecting", headers=headers, kind="text/plain")
        return None

    # -- routes of the content delivery network

    def _cdn(self) -> None:
        hub = self.server.hub
        match = re.fullmatch(r"/([0-9a-f]{64})", self.route)
        f = hub.file_by_etag(match[1]) if match else None
        if match is None or f is None:
            raise HubError(403, "AccessDenied")
        self._content(f.blob, {"ETag": f'"{f.sha256}"', "Accept-Ranges": "bytes"}, paced=True)


def _within(total: int, rule: str) -> bool:
    """The hub's ``num_parameters`` rule: "min:6B,max:128B"."""
    units = {"K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}
    for part in filter(None, rule.split(",")):
        side, _, value = part.partition(":")
        number = (
            float(value[:-1]) * units[value[-1].upper()]
            if value[-1:].upper() in units
            else float(value)
        )
        if (side == "min" and total < number) or (side == "max" and total > number):
            return False
    return True
