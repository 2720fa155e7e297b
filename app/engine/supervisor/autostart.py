"""Starts the servers of profiles that are marked so, when the engine has come up."""

import logging

from app.engine.supervisor.supervisor import Supervisor
from app.wire.errors import AppError, ErrorCode
from app.wire.nouns import Failure, Profile
from app.wire.policy import policy_flag

_log = logging.getLogger("server")


async def start_marked(supervisor: Supervisor) -> None:
    """Start them one after the other, by name; one that does not fit says so on its tile.

    Two models that load at the same time share the disk, and neither knows what the other takes.
    """
    marked = [p for p in supervisor.bus.profiles.values() if _is_marked(p)]
    for profile in sorted(marked, key=lambda p: p.name.casefold()):
        try:
            if shortage := await supervisor.shortage(profile.id):
                supervisor.refuse(profile.id, _no_room(shortage))
            else:
                _log.info("server %s starts with the app", profile.id)
                await supervisor.ensure(profile.id)
        except AppError as error:
            # Its tile tells why; the next one may work.
            _log.info("server %s: %s", profile.id, error.message)


def _is_marked(profile: Profile) -> bool:
    return profile.fault is None and policy_flag(profile.policy, "start_with_app")


def _no_room(shortage: str) -> Failure:
    return Failure(
        ErrorCode.NO_ROOM,
        "Not started with the app: it does not fit the memory now.",
        f"{shortage[:1].upper()}{shortage[1:]}.",
    )
