"""What a running server does not know yet of its profile."""

from typing import Any

import msgspec

from app.engine.supervisor.context import Context
from app.wire.nouns import Profile, Server
from app.wire.options import OptionValue, RuntimeInfo, change_text

_LONGEST = 60
"""Characters of a text that a line can show."""


def follow(
    started: Profile, server: Server, context: Context, python: str
) -> tuple[Profile, dict[str, Any]]:
    """Return the profile that a server runs with, and what of the server changes by its file.

    Name and policy count at once; everything else waits for a restart. `python` is the one of the
    settings when the server was started.
    """
    now = context.bus.profiles.get(started.id)
    if now is None or now.fault is not None:
        return started, {"pending": ()}
    runtime = context.runtimes.get(started.runtime)
    info = runtime.info if runtime is not None else None
    lines: tuple[str, ...] = ()
    if server.state.has_process:
        lines = changes(started, now, info) + _python_change(started, now, info, python)
    running = msgspec.structs.replace(started, name=now.name, policy=now.policy)
    return running, {"pending": lines, "name": now.name}


def changes(started: Profile, now: Profile, runtime: RuntimeInfo | None) -> tuple[str, ...]:
    """Return what a restart would change, a line each."""
    if now.revision == started.revision:
        return ()
    lines: list[str] = []
    if now.model != started.model:
        lines.append(f"Model: {_short(started.model)} → {_short(now.model)}")
    if now.runtime != started.runtime:
        lines.append(f"Runtime: {started.runtime} → {now.runtime}")
    for row in runtime.options if runtime is not None else ():
        # Written out or not, a default is the same to the server.
        old, new = (_or_default(p.options.get(row.name), row.default) for p in (started, now))
        if old != new:
            lines.append(change_text(row, _shown(old), _shown(new)))
    return tuple(lines)


def _python_change(
    started: Profile, now: Profile, runtime: RuntimeInfo | None, python: str
) -> tuple[str, ...]:
    """Return what a change of the settings means, for a profile that leaves the Python to them."""
    names_one = any(profile.options.get("python") for profile in (started, now))
    if runtime is None or names_one or runtime.python == python:
        return ()
    return (f"Python of the settings: {python} → {runtime.python}",)


def _or_default(value: OptionValue | None, default: OptionValue | None) -> OptionValue | None:
    return default if value is None else value


def _shown(value: OptionValue | None) -> OptionValue | None:
    return _short(value) if isinstance(value, str) else value


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
