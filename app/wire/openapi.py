"""The control API as an OpenAPI 3.1 document, made from the routes and the wire's types."""

import re
from typing import Any

import msgspec

from app import __version__
from app.wire.errors import HTTP_STATUS, ErrorAnswer, ErrorCode
from app.wire.events import MOST_EVERY_S
from app.wire.history import SPANS_S, ServerHistory
from app.wire.hub import MAX_CONTEXT, PAGE_SIZE, Fit, HubDetails, HubPage, HubSort
from app.wire.keys import KeyDraft, NamedKey, NewKey
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
from app.wire.plan import StartPlan
from app.wire.portable import ImportPreview, ImportRequest, ImportResult, LaunchPreview
from app.wire.requests import RequestRecord, RequestTexts
from app.wire.routes import ROUTES, Route
from app.wire.scan import Place
from app.wire.server_log import MAX_PIECE, LogRun
from app.wire.settings import SettingState
from app.wire.storage import Leftover, MoveRequest, Removal, Removed

_E = ErrorCode
_SAVES = (
    _E.NAME_TAKEN, _E.STALE_REVISION, _E.PROFILE_BROKEN, _E.PROFILE_IN_USE, _E.OPTION_WRONG,
    _E.STORE_FAILED,
)  # fmt: skip
_IMPORTS = (*_SAVES, _E.NOT_FOUND)
_STARTS = (
    _E.PROFILE_BROKEN, _E.PROFILE_IN_USE, _E.OPTION_WRONG, _E.PYTHON_UNUSABLE, _E.MODEL_MISSING,
    _E.MODEL_BROKEN, _E.MODEL_UNSUPPORTED, _E.NO_ROOM,
)  # fmt: skip
_MODELS = (
    _E.MODEL_MISSING, _E.MODEL_BROKEN, _E.MODEL_IN_USE, _E.DOWNLOAD_CONFLICT, _E.STORE_FAILED,
)  # fmt: skip
_HUB = (
    _E.HUB_OFFLINE, _E.HUB_FAILED, _E.HUB_LIMITED, _E.REPO_NOT_FOUND, _E.REVISION_NOT_FOUND,
    _E.REPO_UNSAFE, _E.TOKEN_NEEDED, _E.ACCESS_NEEDED,
)  # fmt: skip
_DOWNLOADS = (_E.DOWNLOAD_CONFLICT, _E.MODEL_IN_USE, _E.STORE_FAILED, _E.DISK_FULL)
_JSON = "application/json"
_TEXT = "text/plain"
_FLAG: dict[str, Any] = {"type": "integer", "minimum": 0, "maximum": 1}
_WORDS: dict[str, Any] = {"type": "string"}
_ID: dict[str, Any] = {"type": "integer", "minimum": 0, "maximum": 2**53}
_CONTEXT: dict[str, Any] = {"type": "integer", "minimum": 0, "maximum": MAX_CONTEXT}


class Shape(msgspec.Struct, frozen=True):
    """What a route takes and gives beside its path."""

    answer: Any = None
    """The type of a success, a media type as text for what is no JSON, None for no body."""
    body: Any = None
    status: int = 200
    query: dict[str, dict[str, Any]] = {}
    errors: tuple[ErrorCode, ...] = ()
    """What it can be refused for beside what every route can."""


def _up_to(maximum: int) -> dict[str, Any]:
    return {"type": "integer", "minimum": 0, "maximum": maximum}


SHAPES: dict[str, Shape] = {
    "health": Shape(dict[str, str]),
    "engine": Shape(EngineInfo),
    "profiles": Shape(list[Profile]),
    "create_profile": Shape(Profile, ProfileDraft, 201, errors=_SAVES),
    "update_profile": Shape(Profile, ProfileDraft, errors=_SAVES),
    "delete_profile": Shape(status=204, errors=_SAVES),
    "restore_profile": Shape(Profile, errors=_SAVES),
    "export_profile": Shape("application/toml", errors=_SAVES),
    "preview_profile": Shape(LaunchPreview, ProfileDraft, errors=_STARTS),
    "preview_import": Shape(ImportPreview, ImportRequest, errors=_IMPORTS),
    "import_profiles": Shape(ImportResult, ImportRequest, 201, errors=_IMPORTS),
    "start_plan": Shape(StartPlan, query={"context": _CONTEXT}, errors=_STARTS),
    "servers": Shape(list[Server]),
    "server": Shape(Server, query={"wait_s": {"type": "number", "minimum": 0, "maximum": 30}}),
    "start_server": Shape(Server, status=202, errors=_STARTS),
    "stop_server": Shape(Server, status=202, query={"force": _FLAG}, errors=_STARTS),
    "restart_server": Shape(Server, status=202, errors=_STARTS),
    "remove_server": Shape(status=204, errors=_STARTS),
    "server_log": Shape(
        _TEXT,
        query={"max_bytes": _up_to(MAX_PIECE), "offset": _ID, "run": _WORDS},
        errors=(_E.STORE_FAILED,),
    ),
    "server_log_runs": Shape(list[LogRun]),
    "server_history": Shape(
        ServerHistory,
        query={"span_s": {"type": "integer", "enum": list(SPANS_S)}},
        errors=(_E.STORE_FAILED,),
    ),
    "models": Shape(list[Model]),
    "scan_models": Shape(status=202),
    "foreign": Shape(list[ForeignServer]),
    "stop_foreign": Shape(status=204, errors=(_E.FOREIGN_REFUSED,)),
    "verify_model": Shape(Model, status=202, errors=_MODELS),
    "stop_verify": Shape(status=204, errors=_MODELS),
    "preview_removal": Shape(Removal, errors=_MODELS),
    "remove_model": Shape(Removed, query={"location": _WORDS, "force": _FLAG}, errors=_MODELS),
    "places": Shape(list[Place]),
    "leftovers": Shape(list[Leftover], errors=_MODELS),
    "remove_leftovers": Shape(list[Leftover], errors=_MODELS),
    "model_fit": Shape(Fit, query={"context": _CONTEXT}, errors=_MODELS),
    "search_hub": Shape(
        HubPage,
        query={
            "text": _WORDS,
            "sort": {"type": "string", "enum": [sort.value for sort in HubSort]},
            "cursor": _WORDS,
            "author": _WORDS,
            "quantization": _WORDS,
            "tag": _WORDS,
            "supported": _FLAG,
            "details": _up_to(PAGE_SIZE),
        },
        errors=_HUB,
    ),
    "hub_model": Shape(HubDetails, query={"context": _CONTEXT}, errors=_HUB),
    "downloads": Shape(list[Download]),
    "add_download": Shape(Download, DownloadRequest, 202, errors=_DOWNLOADS),
    "pause_download": Shape(Download, status=202, errors=_DOWNLOADS),
    "pause_downloads": Shape(status=202, errors=_DOWNLOADS),
    "resume_downloads": Shape(status=202, errors=_DOWNLOADS),
    "move_download": Shape(Download, MoveRequest, errors=_DOWNLOADS),
    "resume_download": Shape(Download, status=202, errors=_DOWNLOADS),
    "retry_download": Shape(Download, status=202, errors=_DOWNLOADS),
    "remove_download": Shape(
        status=204, query={"keep": {"type": "string", "enum": ["true", "false"]}}, errors=_DOWNLOADS
    ),
    "requests": Shape(
        list[RequestRecord],
        query={"last": _up_to(1000), "server": _WORDS, "before": _ID},
        errors=(_E.STORE_FAILED,),
    ),
    "request_texts": Shape(RequestTexts),
    "delete_texts": Shape(status=204),
    "metrics": Shape(_TEXT),
    "named_keys": Shape(list[NamedKey]),
    "create_key": Shape(NewKey, KeyDraft, 201, errors=(_E.NAME_TAKEN, _E.STORE_FAILED)),
    "revoke_key": Shape(status=204, errors=(_E.STORE_FAILED,)),
    "settings": Shape(list[SettingState]),
    "change_settings": Shape(
        list[SettingState], dict[str, bool | int | str], errors=(_E.STORE_FAILED,)
    ),
    "events": Shape("text/event-stream", query={"every": _up_to(MOST_EVERY_S)}),
}
"""By the name of the route."""


def document() -> dict[str, Any]:
    """Return the document as a value that JSON can hold."""
    types = [t for shape in SHAPES.values() for t in (shape.answer, shape.body) if _is_type(t)]
    schemas, components = msgspec.json.schema_components(
        [*types, ErrorAnswer], ref_template="#/components/schemas/{name}"
    )
    by_type = dict(zip(map(_name, [*types, ErrorAnswer]), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        path = re.sub(r"{(\w+):path}", r"{\1}", route.path)
        paths.setdefault(path, {})[route.method.lower()] = _operation(route, by_type)
    return {
        "openapi": "3.1.0",
        "info": {"title": "MLX Model Manager, control API", "version": __version__},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _is_type(value: Any) -> bool:
    return value is not None and not isinstance(value, str)


def _name(value: Any) -> str:
    return repr(value)


def _operation(route: Route, by_type: dict[str, Any]) -> dict[str, Any]:
    shape = SHAPES[route.name]
    names = re.findall(r"{(\w+)", route.path)
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in names
    ]
    parameters += [
        {"name": name, "in": "query", "required": False, "schema": schema}
        for name, schema in shape.query.items()
    ]
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.doc,
        "parameters": parameters,
        "responses": {
            str(shape.status): _response(shape.answer, by_type),
            **_refusals(route, shape, by_type[_name(ErrorAnswer)]),
        },
    }
    if route.name != "health":
        operation["security"] = [{"key": []}, {}]
    if shape.body is not None:
        content = {_JSON: {"schema": by_type[_name(shape.body)]}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _response(answer: Any, by_type: dict[str, Any]) -> dict[str, Any]:
    response: dict[str, Any] = {"description": "It worked."}
    if isinstance(answer, str):
        response["content"] = {answer: {"schema": {"type": "string"}}}
    elif answer is not None:
        response["content"] = {_JSON: {"schema": by_type[_name(answer)]}}
    return response


def _refusals(route: Route, shape: Shape, schema: Any) -> dict[str, Any]:
    """Return a response for each status that is no success, with the codes that have it."""
    codes = {_E.FORBIDDEN, *shape.errors}
    if route.name != "health":
        codes |= {_E.UNAUTHORIZED, _E.TOO_MANY_REQUESTS}
    if "{" in route.path:
        codes |= {_E.NOT_FOUND, _E.BAD_REQUEST}
    if shape.query:
        codes.add(_E.BAD_REQUEST)
    if shape.body is not None:
        codes |= {_E.BAD_REQUEST, _E.TOO_LARGE}
    by_status: dict[int, list[str]] = {}
    for code in sorted(codes):
        by_status.setdefault(HTTP_STATUS[code], []).append(code)
    return {
        str(status): {
            "description": f"It did not work ({', '.join(names)}); the body says why.",
            "content": {_JSON: {"schema": schema}},
        }
        for status, names in sorted(by_status.items())
    }
