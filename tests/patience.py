"""How long a test waits for what must come, however busy the machine is."""

DEADLINE_S = 90.0
"""Some virtual machines were seen to stand still for half a minute."""
DEADLINE_MS = int(DEADLINE_S * 1000)
