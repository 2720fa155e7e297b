"""Runs the main job once, with real processes, in a home of its own, and looks for lost modules."""

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from importlib import metadata
from typing import Any, TypeVar

from app import __version__, paths
from app.client import launch
from app.client.api import Api
from app.wire.errors import AppError
from app.wire.nouns import ServerState

_T = TypeVar("_T")
_PROFILE = "demo"
_CHECK_S = 120.0
"""From a cold disk all model modules were seen to take 10 s."""
_MODELS = ("mlx_lm.models", "mlx_lm.tool_parsers", "mlx_lm.chat_templates")
_PRODUCT = 12.0
"""What the check of the device computes."""
_WINDOW = ("app.gui", "pyqtgraph.graphicsItems")
# Ends the process when its own package is not installed; mlx-lm alone cannot run it either.
_CANNOT_LOAD = {"mlx_lm.models.olmo"}


def run() -> int:
    """Do the main job, import what is imported by name, print a JSON report.

    The main job starts an engine and the demo model, asks for one completion and stops all.
    Returns 0 when every step worked.
    """
    report: dict[str, Any] = {
        "version": __version__,
        "frozen": hasattr(sys, "frozen"),
        "mlx": metadata.version("mlx"),
        "mlx_lm": metadata.version("mlx-lm"),
        "demo_model": paths.demo_model().is_dir(),
    }
    with tempfile.TemporaryDirectory(prefix="mlxm-") as home:
        os.environ["MLX_MANAGER_HOME"] = home
        os.environ.pop(launch.KEY_VARIABLE, None)
        ok = _do_main_job(report)
        ok = _timed(report, "checks_s", lambda: _check(report)) and ok
    report["ok"] = ok
    print(json.dumps(report, indent=1))
    return 0 if ok else 1


def _do_main_job(report: dict[str, Any]) -> bool:
    engine = None
    try:
        engine = _timed(report, "engine_s", lambda: launch.start_owned(None, gateway_port=0))
        with Api(engine.address.url) as api:
            _timed(report, "ready_s", lambda: _make_ready(api))
            answer = _timed(report, "completion_s", lambda: _complete(engine.address))
            report["answer"] = answer
            api.stop_server(_PROFILE)
            *_, server = api.wait_settled(_PROFILE)
            report["stopped"] = server.state is ServerState.STOPPED
    except (AppError, OSError) as error:
        report["error"] = str(error)
    finally:
        if engine is not None:
            engine.stop()
            report["engine_exit"] = engine.process.returncode
    return bool(report.get("stopped") and report.get("answer") and report.get("engine_exit") == 0)


def _check(report: dict[str, Any]) -> bool:
    models = report["models"] = _worker("check-modules", *_MODELS)
    tokenizers = report["tokenizers"] = _worker("check-tokenizers")
    device = report["device"] = _worker("check-device")
    gui = report["gui"] = _worker("check-modules", *_WINDOW)
    report["keychain"] = _keychain()
    return (
        models.get("failed", {"?": ""}).keys() <= _CANNOT_LOAD
        and tokenizers.get("failed") == {}
        and device.get("total") == _PRODUCT
        and device.get("name") == ("gpu" if sys.platform == "darwin" else "cpu")
        and gui.get("failed") == {}
        # A window that loads MLX would take ten times the memory.
        and gui.get("loaded") == ["PySide6"]
        # On Linux it may have none, and then keys are in a file.
        and (sys.platform != "darwin" or report["keychain"].startswith("keyring.backends.macOS"))
    )


def _keychain() -> str:
    """Return what keeps keys here; a frozen program may have lost it. Asks nobody anything."""
    import keyring

    found = type(keyring.get_keyring())
    return f"{found.__module__}.{found.__qualname__}"


def _worker(*arguments: str) -> dict[str, Any]:
    """Return the worker's answer, or its last words under `error`."""
    try:
        done = subprocess.run(
            [*paths.program("worker"), *arguments],
            cwd=paths.program_root(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_CHECK_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return {"error": str(error)}
    if done.returncode != 0:
        return {"error": done.stderr.decode(errors="replace")[-500:]}
    return json.loads(done.stdout)


def _complete(address: launch.Address) -> str:
    body = {"model": "Demo", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 24}
    request = urllib.request.Request(  # noqa: S310 - an address of our own engine
        f"{address.gateway_url}/v1/chat/completions",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310
        return json.load(response)["choices"][0]["message"]["content"]


def _make_ready(api: Api) -> None:
    api.start_server(_PROFILE)
    *_, server = api.wait_settled(_PROFILE)
    if not server.state.serves:
        raise AppError(f"The demo server is {server.state.value}: {server.failure}")


def _timed(report: dict[str, Any], name: str, step: Callable[[], _T]) -> _T:
    begin = time.monotonic()
    result = step()
    report[name] = round(time.monotonic() - begin, 2)
    return result
