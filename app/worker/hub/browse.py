"""Answers the two questions about the hub: which models there are, and what one of them is."""

import time
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as Late
from fnmatch import fnmatch
from pathlib import Path
from urllib.parse import quote

import msgspec

from app.wire.errors import ErrorCode
from app.wire.hub import PAGE_SIZE, HubDetails, HubFile, HubModel, HubPage, HubQuery, HubSort
from app.wire.links import ID
from app.wire.shape import CacheShape, ModelShape
from app.worker.files import (
    Table,
    UnreadableError,
    list_files,
    parse_table,
    read_table,
    table,
)
from app.worker.hub import parse
from app.worker.hub.shapes import Shapes
from app.worker.hub.store import Store
from app.worker.hub.web import HubTrouble, Web, nonsense

_SORTS = {
    HubSort.TRENDING: "trendingScore",
    HubSort.DOWNLOADS: "downloads",
    HubSort.LIKES: "likes",
    HubSort.UPDATED: "lastModified",
    HubSort.SIZE: "downloads",
}
_EXPAND = [
    "author", "config", "gated", "disabled", "likes", "downloads", "trendingScore",
    "lastModified", "tags", "pipeline_tag", "cardData", "sha",
]  # fmt: skip
_MAX_LIST_BYTES = 16_000_000
_MAX_INFO_BYTES = 8_000_000
_MAX_CONFIG_BYTES = 4_000_000
_MAX_CARD_BYTES = 256 * 1024
_MAX_FILES = 1_000
_MAX_TEXT = 200
_PAGES = 4
"""How many pages of the hub one answer may take when a filter leaves nothing of the first."""
_FILL_S = 8.0
_AT_ONCE = 6
_PREFERRED = "mlx-community"


class Browser:
    """Looks at the hub. Calls may come from several threads and block up to 12 s each request."""

    def __init__(self, web: Web, store: Store, shapes: Shapes) -> None:
        self._web = web
        self._store = store
        self._shapes = shapes

    def search(self, query: HubQuery) -> HubPage:
        """Return a page of a search. Raises HubTrouble."""
        text = query.text.strip()[:_MAX_TEXT]
        repo_id, is_link = parse.id_in(text, self._web.endpoint)
        first = self._direct(repo_id, is_link=is_link) if repo_id and not query.cursor else None
        if is_link:
            models, cursor = [], None
        else:
            models, cursor = self._pages(query, text)
        models = _ranked(models, query.sort, text)
        if first is not None:
            models = [first, *(m for m in models if m.id != first.id)]
        models = self._filled([self._known(model) for model in models], query.details)
        if query.sort is HubSort.SIZE:
            models.sort(key=lambda m: (m.size_bytes is None, m.size_bytes or 0))
        return HubPage(tuple(models), cursor, self._web.notice)

    def describe(self, repo_id: str) -> HubDetails:
        """Return everything about one model. Raises HubTrouble.

        While the hub cannot be asked, what is known from an earlier look is better than nothing.
        """
        if not ID.fullmatch(repo_id):
            raise HubTrouble(
                ErrorCode.BAD_REQUEST,
                f"“{repo_id[:80]}” is no id of a model.",
                "Write it like author/name.",
            )
        known = self._usable(self._store.get(repo_id, fresh=True))
        if known is not None:
            return known
        try:
            return self._look_up(repo_id)
        except HubTrouble as trouble:
            known = self._store.get(repo_id)
            may_be_stale = trouble.failure.code in (
                ErrorCode.HUB_OFFLINE, ErrorCode.HUB_FAILED, ErrorCode.HUB_LIMITED
            )  # fmt: skip
            if known is None or not may_be_stale:
                raise
            notice = f"{trouble.failure.message} This is from an earlier look."
            return msgspec.structs.replace(known, notice=notice)

    def measure(self, folder: Path) -> ModelShape:
        """Return the shape of a model on this disk. Raises HubTrouble."""
        try:
            files = list_files(folder)
            config = read_table(folder / "config.json", limit_bytes=_MAX_CONFIG_BYTES)
        except (OSError, UnreadableError) as error:
            raise HubTrouble(
                ErrorCode.MODEL_BROKEN,
                f"The model in {folder.name} cannot be read: {error}.",
                "Download the model again.",
            ) from error
        weights = sum(size for name, size in files.items() if fnmatch(name, parse.WEIGHTS))
        cache, _ = self._shapes.look(config)
        return ModelShape(weights or None, cache, parse.context_length(config))

    def _direct(self, repo_id: str, *, is_link: bool) -> HubModel | None:
        try:
            value, _ = self._web.json(
                f"/api/models/{repo_id}", {"expand": _EXPAND}, limit_bytes=_MAX_INFO_BYTES
            )
        except HubTrouble as trouble:
            # Two words with a slash may be a part of a name; only a link must lead somewhere.
            if is_link or trouble.failure.code is not ErrorCode.REPO_NOT_FOUND:
                raise
            return None
        return parse.model_of(table(value))

    def _pages(self, query: HubQuery, text: str) -> tuple[list[HubModel], str | None]:
        cursor: str | None = query.cursor or None
        found: list[HubModel] = []
        for _ in range(_PAGES):
            models, following = self._page(query, text, cursor)
            found += [model for model in models if _is_wanted(model, query)]
            # A hub that leads around in a circle has no further page.
            cursor, before = (following if following != cursor else None), cursor
            if found or cursor is None or cursor == before:
                break
        unique = {model.id: model for model in found}
        return list(unique.values()), cursor

    def _page(
        self, query: HubQuery, text: str, cursor: str | None
    ) -> tuple[list[HubModel], str | None]:
        parameters: dict[str, str | list[str]] = {
            "filter": "mlx",
            "sort": _SORTS[query.sort],
            "limit": str(PAGE_SIZE),
            "expand": _EXPAND,
        }
        if text:
            parameters["search"] = text
        if query.author:
            parameters["author"] = query.author[:_MAX_TEXT]
        if cursor:
            parameters["cursor"] = cursor
        value, headers = self._web.json("/api/models", parameters, limit_bytes=_MAX_LIST_BYTES)
        models = parse.models_of(value)
        if models is None:
            raise nonsense()
        return models, parse.next_cursor(headers)

    def _known(self, model: HubModel) -> HubModel:
        """Return a row with what an earlier look at its details found."""
        known = self._usable(self._store.same(model))
        if known is None:
            return model
        same = known.model
        return msgspec.structs.replace(
            same,
            likes=model.likes,
            downloads=model.downloads,
            trending=model.trending,
            gated=model.gated,
        )

    def _usable(self, known: HubDetails | None) -> HubDetails | None:
        """Return an earlier look, unless it was one with a token that is gone."""
        is_foreign = known is not None and known.model.granted and not self._web.has_token
        return None if is_foreign else known

    def _filled(self, models: list[HubModel], count: int) -> list[HubModel]:
        """Return the rows with the first ones looked up, as far as that goes in a few seconds."""
        missing = [model for model in models[:count] if model.size_bytes is None]
        if not missing or self._web.is_scarce:
            return models
        found: dict[str, HubModel] = {}
        end = time.monotonic() + _FILL_S
        pool = ThreadPoolExecutor(_AT_ONCE)
        try:
            tasks = {m.id: pool.submit(self._look_up, m.id, is_short=True) for m in missing}
            for repo_id, task in tasks.items():
                try:
                    found[repo_id] = task.result(max(0.0, end - time.monotonic())).model
                except (HubTrouble, Late):
                    # The row stays as the list has it; its details tell why when they are opened.
                    continue
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
        return [found.get(model.id, model) for model in models]

    def _look_up(self, repo_id: str, *, is_short: bool = False) -> HubDetails:
        value, _ = self._web.json(
            f"/api/models/{repo_id}", {"blobs": "true"}, limit_bytes=_MAX_INFO_BYTES
        )
        row = table(value)
        files = parse.files_of(row)
        listed = parse.model_of(row)
        if listed is None:
            raise nonsense()
        commit = row.get("sha")
        revision = commit if isinstance(commit, str) and commit.isalnum() else "main"
        known = self._usable(self._store.same(listed))
        if known is not None and known.model.shape is not None and (known.card or is_short):
            self._store.put(known, is_fresh=bool(known.card))
            return known
        config = self._config(listed.id, revision, files)
        model = self._model(row, config, files)
        details = HubDetails(
            model,
            revision if revision != "main" else None,
            parse.seconds(row.get("createdAt")),
            tuple(files[:_MAX_FILES]),
            base_models=parse.base_models(row),
            url=f"{self._web.endpoint}/{quote(listed.id)}",
            notice=self._web.notice,
        )
        if not is_short:
            details = self._with_revisions(self._with_card(details, revision))
        # Not before everything is known: what the helper was too slow for is asked again.
        shape = model.shape
        if shape is not None and (shape.cache is not None or model.supported is False):
            self._store.put(msgspec.structs.replace(details, notice=""), is_fresh=not is_short)
        return details

    def _model(self, row: Table, config: Table | None, files: list[HubFile]) -> HubModel:
        model = parse.model_of(row, config)
        if model is None:
            raise nonsense()
        weights = parse.weights_bytes(files)
        supported, reason = model.supported, model.reason
        if files and not any(fnmatch(file.name, parse.WEIGHTS) for file in files):
            supported, reason = False, parse.NO_WEIGHTS
        elif config is None and model.gated:
            reason = reason or "Its files are shown only to users with access."
        granted = model.gated and config is not None
        cache: CacheShape | None = None
        parameters = model.parameters
        if config is not None and supported:
            cache, exact = self._shapes.look(config)
            parameters = exact or parameters
        return msgspec.structs.replace(
            model,
            granted=granted,
            size_bytes=parse.download_bytes(files) if files else None,
            parameters=parameters,
            supported=supported,
            reason=reason,
            shape=ModelShape(weights, cache, model.context_length),
        )

    def _config(self, repo_id: str, revision: str, files: list[HubFile]) -> Table | None:
        if not any(file.name == "config.json" for file in files):
            return None
        path = f"/{repo_id}/resolve/{revision}/config.json"
        try:
            reply = self._web.read(path, limit_bytes=_MAX_CONFIG_BYTES)
            return None if reply.is_cut else parse_table(reply.body)
        except (HubTrouble, UnreadableError):
            return None

    def _with_revisions(self, details: HubDetails) -> HubDetails:
        if self._web.is_scarce:
            return details
        path = f"/api/models/{details.model.id}/refs"
        try:
            value, _ = self._web.json(path, None, limit_bytes=_MAX_INFO_BYTES)
        except HubTrouble:
            return details
        return msgspec.structs.replace(details, revisions=parse.revisions_of(value))

    def _with_card(self, details: HubDetails, revision: str) -> HubDetails:
        if not any(file.name == "README.md" for file in details.files):
            return details
        path = f"/{details.model.id}/resolve/{revision}/README.md"
        try:
            reply = self._web.read(path, limit_bytes=_MAX_CARD_BYTES)
        except HubTrouble:
            return details
        return msgspec.structs.replace(
            details, card=parse.card_text(reply.body), is_card_cut=reply.is_cut
        )


def _is_wanted(model: HubModel, query: HubQuery) -> bool:
    return (
        (not query.quantization or model.quantization == query.quantization.lower())
        and (not query.tag or query.tag.lower() in model.tags)
        and (not query.supported or model.supported is not False)
    )


def _ranked(models: list[HubModel], sort: HubSort, text: str) -> list[HubModel]:
    """Return the models in the hub's order, except that trending ones are ranked by their match.

    Of two equal matches, the one of mlx-community comes first.
    """
    if not text or sort is not HubSort.TRENDING:
        return models
    words = text.lower().split()

    def rank(model: HubModel) -> tuple[int, bool]:
        name, repo_id = model.name.lower(), model.id.lower()
        if text.lower() in (name, repo_id):
            match = 0
        elif name.startswith(words[0]) and all(word in name for word in words):
            match = 1
        else:
            match = 2 if all(word in name for word in words) else 3
        return match, model.author != _PREFERRED

    return sorted(models, key=rank)
