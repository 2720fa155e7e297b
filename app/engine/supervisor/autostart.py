"""Starts the servers of profiles that are marked so, when the engine has come up."""

import asyncio
import logging

from app.engine.supervisor import preflight
from app.engine.supervisor.supervisor import Supervisor
from app.wire.errors import AppError
from app.wire.nouns import Profile
from app.wire.policy import policy_flag

_log = logging.getLogger("server")


async def start_marked(supervisor: Supervisor) -> None:
    """Start them one after the other, by name; one that does not fit beside the others is not.

    Two models that load at the same time share the disk, and neither knows what the other takes.
    """
    marked = [p for p in supervisor.bus.profiles.values() if _is_marked(p)]
    for profile in sorted(marked, key=lambda p: p.name.casefold()):
        try:
            if await _fits(supervisor, profile):
                _log.info("server %s starts with the app", profile.id)
                await supervisor.ensure(profile.id)
            else:
                text = "server %s does not start with the app: it does not fit beside the others"
                _log.warning(text, profile.id)
        except AppError as error:
            # Its tile tells why; the next one may work.
            _log.info("server %s: %s", profile.id, error.message)


def _is_marked(profile: Profile) -> bool:
    return profile.fault is None and policy_flag(profile.policy, "start_with_app")


async def _fits(supervisor: Supervisor, profile: Profile) -> bool:
    models, cache = dict(supervisor.bus.models), supervisor.cache

    def weights() -> int:
        return preflight.weights_bytes(preflight.resolve_model(profile.model, models, cache))

    try:
        size = await asyncio.to_thread(weights)
    except AppError:
        # The start itself tells it, on the tile.
        return True
    return supervisor.has_room(profile, size)
