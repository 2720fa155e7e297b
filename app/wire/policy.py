"""What the supervisor does with a server, as options of the profile beside the runtime's own."""

from collections.abc import Mapping

from app.wire.options import Option, OptionKind, OptionValue

OFF = "off"
ON_CRASH = "on crash"

POLICIES: tuple[Option, ...] = (
    Option(
        "auto_restart", "", OptionKind.CHOICE, "Start again by itself",
        "After a crash: waits 1 second, then longer each time, and gives up after five starts in "
        "ten minutes. A model that cannot be loaded is never tried again.",
        default=OFF, choices=(OFF, ON_CRASH), group="Reliability", is_basic=True,
    ),
    Option(
        "restart_stalled", "", OptionKind.FLAG, "Restart when it stalls",
        "A server with open requests that generates nothing for 30 seconds, or for three times its "
        "own slowest step, is shown as stalled. With this it is also restarted.",
        default=False, group="Reliability",
    ),
    Option(
        "idle_probe", "", OptionKind.FLAG, "Check while idle",
        "Asks an idle server for one token every ten minutes, so that a hang is seen before you "
        "need it. Not counted in the figures.",
        default=True, group="Reliability",
    ),
)  # fmt: skip

LARGE_BYTES = 8 * 2**30
"""Killing a process that holds this much can leave wired memory lost until a reboot of the Mac."""

_DEFAULTS = {row.name: row.default for row in POLICIES}


def policy_text(policy: Mapping[str, OptionValue], name: str) -> str:
    """Return the value of a choice, or its default."""
    return str(policy.get(name, _DEFAULTS[name]))


def policy_flag(policy: Mapping[str, OptionValue], name: str) -> bool:
    """Return the value of a flag, or its default."""
    return bool(policy.get(name, _DEFAULTS[name]))
