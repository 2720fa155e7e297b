"""Writes docs/reference.md and docs/openapi.json from the tables in the code."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from app.engine.runtimes.mlx_lm_options import TABLE
from app.wire.defaults import defaults
from app.wire.errors import HTTP_STATUS
from app.wire.metrics import METRICS
from app.wire.openapi import document
from app.wire.options import Option, expected, value_text
from app.wire.policy import POLICIES
from app.wire.routes import ROUTES
from app.wire.settings import SETTINGS, Setting

OPENAPI = Path(__file__).parent.parent.parent / "docs" / "openapi.json"
REFERENCE = Path(__file__).parent.parent.parent / "docs" / "reference.md"


INTRODUCTION = """\
Made from the tables in `app/wire` and `app/engine/runtimes` by `make docs`; change it there."""
SETTINGS_TEXT = """\
A flag wins over the environment, the environment over `settings.toml`, and that over the default.
The settings window shows where each value comes from; one without a variable is kept by the system
itself, and shown and changed there. Two more names exist only in the environment:
`MLX_MANAGER_HOME` moves every file of the app, and `MLX_MANAGER_API_KEY` turns the API key on."""
PROFILES_TEXT = """\
One TOML file each in the folder `profiles`: `name`, `model`, and these options of mlx-lm. What is
left out counts as its default."""
POLICY_TEXT = "What the engine does with the server:"
DEFAULTS_TEXT = "What counts when nobody has chosen anything, and why."
ROUTES_TEXT = """\
JSON over HTTP on the engine's own port. The gateway's port answers `/health` and the OpenAI-style
paths under `/v1`."""
ERRORS_TEXT = """\
Every answer that is not a success carries an object `error` with `message`, `type`, `code`, `hint`
and `param`."""
METRICS_TEXT = "A metric that cannot be read is absent, never 0."


def reference() -> str:
    """Return the text of the reference."""
    settings = (
        (f"`{s.name}`", f"`{s.env}`" if s.env else "", _values(s), _default(s), _purpose(s))
        for s in SETTINGS
    )
    routes = ((f"`{r.name}`", f"`{r.method} {r.path}`", r.doc) for r in ROUTES)
    counts = ((d.label, d.value, d.why, d.where) for d in defaults(TABLE))
    errors = ((f"`{code}`", str(status)) for code, status in HTTP_STATUS.items())
    metrics = ((f"`{m.name}`", m.unit.replace("_", " "), m.label, m.help) for m in METRICS)
    parts = [
        "# Reference",
        INTRODUCTION,
        "## Settings",
        SETTINGS_TEXT,
        _table("Name in `settings.toml` | Environment | Values | Default | What it does", settings),
        "## Profiles",
        PROFILES_TEXT,
        _table("Name in `[options]` | Values | Default | What it does", _options(TABLE)),
        POLICY_TEXT,
        _table("Name in `[policy]` | Values | Default | What it does", _options(POLICIES)),
        "## Defaults",
        DEFAULTS_TEXT,
        _table("What | Value | Why | Where to change it", counts),
        "## Control API",
        ROUTES_TEXT,
        _table("Name | Request | What it does", routes),
        "## Errors",
        ERRORS_TEXT,
        _table("Code | HTTP status", errors),
        "## Metrics",
        METRICS_TEXT,
        _table("Name | Unit | Shown as | What it means", metrics),
    ]
    return "\n\n".join(parts) + "\n"


def _table(head: str, rows: Iterable[tuple[str, ...]]) -> str:
    cells = [tuple(head.split(" | ")), ("---",) * (head.count(" | ") + 1), *rows]
    return "\n".join("| " + " | ".join(c.replace("|", "\\|") for c in row) + " |" for row in cells)


def _options(rows: Iterable[Option]) -> Iterator[tuple[str, ...]]:
    for row in rows:
        purpose = f"{row.label}. {row.help} {row.why}"
        yield f"`{row.name}`", expected(row), value_text(row, None), purpose


def _values(setting: Setting) -> str:
    if setting.choices:
        return ", ".join(f"`{value}`" for value, _ in setting.choices)
    if setting.minimum is not None:
        return f"{setting.minimum} to {setting.maximum}"
    return {"bool": "`true`, `false`"}.get(setting.kind, setting.kind)


def _default(setting: Setting) -> str:
    text = str(setting.default)
    return f"`{text.lower() if isinstance(setting.default, bool) else text}`" if text else "empty"


def _purpose(setting: Setting) -> str:
    restart = " Takes effect after a restart of the engine." if setting.needs_restart else ""
    return f"{setting.label}. {setting.help}{restart}"


def openapi() -> str:
    """Return the text of the OpenAPI document of the control API."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    OPENAPI.write_text(openapi(), encoding="utf-8")
    REFERENCE.write_text(reference(), encoding="utf-8")
