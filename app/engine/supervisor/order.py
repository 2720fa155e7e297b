"""The order that starts a server: its profile as it is now, its model found, its log begun."""

import secrets
from pathlib import Path

import msgspec

from app.engine.profiles.folders import with_folders
from app.engine.supervisor import logfiles, preflight, runfile
from app.engine.supervisor.context import Context
from app.wire.errors import AppError, ErrorCode
from app.wire.nouns import Profile, Server


class Order(msgspec.Struct, frozen=True):
    """What one start of a server is made of."""

    profile: Profile
    launch: preflight.Launch
    token: str
    """What the runner demands of every request."""
    python: str
    """The Python of the settings at this start, for people."""
    deadline_s: float
    """How long the start may take in all."""


def make_order(server: Server, log: Path, context: Context) -> Order:
    """Return the order for a start now, with a fresh log. Blocks; raises AppError."""
    profile = context.bus.profiles.get(server.id)
    if profile is None or profile.fault is not None:
        raise AppError(
            f"The profile of “{server.name}” cannot be used any more.",
            code=ErrorCode.PROFILE_BROKEN,
        )

    def find_model(model: str) -> Path:
        return preflight.resolve_model(model, context.bus.models, context.cache)

    folder = find_model(profile.model)
    served, problems = with_folders(profile, find_model)
    if problems:
        raise AppError(
            problems[0].message,
            hint="Choose another one in the profile.",
            code=ErrorCode.OPTION_WRONG,
        )
    logfiles.begin(log)
    token = secrets.token_urlsafe(24)
    runtime = context.runtimes[profile.runtime]
    launch = preflight.make_launch(
        served, runtime, folder, token=token, log=log, run_id=runfile.new_run_id()
    )
    deadline_s = preflight.start_deadline_s(folder)
    return Order(profile, launch, token, runtime.info.python, deadline_s)
