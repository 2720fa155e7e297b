"""The last figures of each server for the report, from the engine's database."""

import contextlib
import json
import sqlite3
from collections.abc import Iterator

from app import paths
from app.wire.metrics import METRICS

WINDOW_S = 300
_MOST_SERVERS = 20
_BUSY_S = 2.0
_ROWS = (
    'SELECT server, "values" FROM figures WHERE step = 1 AND at > '
    "(SELECT max(at) FROM figures WHERE step = 1) - ? ORDER BY server, at"
)


def last_figures() -> str:
    """Return least, mean, most and last of every metric over the last WINDOW_S with figures."""
    try:
        return "\n".join(_lines(_read()))
    except (sqlite3.Error, ValueError) as error:
        return f"They could not be read: {error}."


def _read() -> dict[str, list[dict[str, float]]]:
    if not paths.history_file().exists():
        return {}
    place = f"{paths.history_file().as_uri()}?mode=ro"
    found: dict[str, list[dict[str, float]]] = {}
    with contextlib.closing(sqlite3.connect(place, uri=True, timeout=_BUSY_S)) as link:
        for server, values in link.execute(_ROWS, (WINDOW_S,)):
            found.setdefault(server, []).append(json.loads(values))
    return found


def _lines(servers: dict[str, list[dict[str, float]]]) -> Iterator[str]:
    for server, rows in list(servers.items())[:_MOST_SERVERS]:
        yield f"{server}: {len(rows)} samples; least, mean, most, last"
        for metric in METRICS:
            values = [row[metric.name] for row in rows if metric.name in row]
            if values:
                four = (min(values), sum(values) / len(values), max(values), values[-1])
                yield f"  {metric.name:<24} {' '.join(f'{value:,.1f}' for value in four)}"
