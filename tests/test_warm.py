"""An engine has run the code of every route once before anybody can ask."""

import asyncio
import re
from pathlib import Path

from engine_kit import running_engine
from starlette.types import Receive, Scope, Send

from app.engine.http.warm import warm
from app.wire.routes import ROUTES

# They do not end, count as a look, ask the hub, start a worker, wait for the first look at the
# disk, or change something at once.
LEFT_OUT = {
    "events", "metrics", "search_hub", "hub_model", "places", "leftovers", "remove_leftovers",
    "models", "model_fit", "verify_model", "preview_removal", "remove_model",
    "scan_models", "pause_downloads", "resume_downloads", "delete_texts",
}  # fmt: skip


def test_every_route_is_run_that_can_be_run_without_a_trace() -> None:
    asked: set[tuple[str, str]] = set()

    async def spy(scope: Scope, _receive: Receive, _send: Send) -> None:
        asked.add((scope["method"], scope["path"]))

    asyncio.run(warm(spy))
    wanted = [route for route in ROUTES if route.name not in LEFT_OUT]
    assert asked == {(route.method, re.sub(r"{[^}]*}", "-", route.path)) for route in wanted}


def test_engine_runs_its_routes_first_and_nothing_comes_of_it(homes: Path) -> None:
    with running_engine(homes, env={"MLX_MANAGER_LOG_LEVEL": "debug"}) as engine:
        assert engine.call("GET", "/api/requests").json == []
        assert engine.call("GET", "/api/downloads").json == []
        assert engine.call("GET", "/api/keys").json == []
        assert [profile["id"] for profile in engine.call("GET", "/api/profiles").json] == ["demo"]
        assert engine.log.index("the gateway ran its routes") < engine.log.index("gateway listens")
        assert "the API ran its routes" in engine.log
        assert "ERROR" not in engine.log
