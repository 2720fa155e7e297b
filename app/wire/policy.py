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
        why="A crash has a cause, and a server that comes back by itself can hide it.",
    ),
    Option(
        "restart_stalled", "", OptionKind.FLAG, "Restart when it stalls",
        "A server with open requests that generates nothing for 30 seconds, or for three times its "
        "own slowest step, is shown as stalled. With this it is also restarted.",
        default=False, group="Reliability",
        why="A long prompt on a busy computer can look like a stall.",
    ),
    Option(
        "idle_probe", "", OptionKind.FLAG, "Check while idle",
        "Asks an idle server for one token every ten minutes, so that a hang is seen before you "
        "need it. Not counted in the figures.",
        default=True, group="Reliability",
        why="A hang is better found while nobody waits.",
    ),
    Option(
        "start_with_app", "", OptionKind.FLAG, "Start with the app",
        "The server starts when the app does, or the engine where there is no app: one after the "
        "other, and only while it fits the memory.",
        default=False, group="On demand", is_basic=True,
        why="Opening the app should not fill the memory by itself.",
    ),
    Option(
        "start_on_request", "", OptionKind.FLAG, "Start on request",
        "A request that names this profile or its model starts the server and waits for it.",
        default=False, group="On demand", is_basic=True,
        why="Loading takes memory that you may need for something else.",
    ),
    Option(
        "idle_stop_minutes", "", OptionKind.INT, "Stop when idle",
        "Stops the server after so many minutes without a request, to free its memory. 0 is never.",
        default=0, minimum=0, maximum=10_080, unit="min", group="On demand", is_basic=True,
        why="A server that you started stays until you stop it, ready at once.",
    ),
    Option(
        "public_port", "", OptionKind.INT, "Port of its own",
        "For programs that can be given a port, but no model: at http://127.0.0.1:<port>/v1 every "
        "request goes to this profile, whatever model it names. 0 is none.",
        default=0, minimum=0, maximum=65_535, group="On demand",
        why="Most programs name a model, and one port then serves all profiles.",
    ),
    Option(
        "pinned", "", OptionKind.FLAG, "Keep running",
        "The server is never stopped to free memory, however long it is idle.",
        default=False, group="On demand",
        why="Memory goes to the server that is in use.",
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


def public_port(policy: Mapping[str, OptionValue]) -> int:
    """Return the port that leads to this profile alone, 0 for none."""
    return int(policy.get("public_port", 0) or 0)


def idle_stop_s(policy: Mapping[str, OptionValue]) -> float | None:
    """Return after how many idle seconds the server is stopped, None for never."""
    minutes = int(policy.get("idle_stop_minutes", _DEFAULTS["idle_stop_minutes"]) or 0)
    return minutes * 60.0 if minutes and not policy_flag(policy, "pinned") else None
