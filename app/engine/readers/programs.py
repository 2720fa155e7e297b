"""Runs a small program of the operating system and returns what it prints."""

import logging
import subprocess

_log = logging.getLogger("engine")


def output_of(*command: str, timeout_s: float = 2.0) -> bytes | None:
    """Return the standard output of `command`, None where it cannot run or fails.

    Blocks up to `timeout_s`.
    """
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout_s, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        _log.debug("%s gave no figures: %s", command[0], error)
        return None
    return done.stdout if done.returncode == 0 else None
