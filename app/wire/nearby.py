"""How engines make themselves known on the local network (DNS-SD, RFC 6763)."""

SERVICE = "_mlx-manager._tcp.local."
KEY_FIELD = "key"
"""`1` when the engine wants a key."""
VERSION_FIELD = "version"
"""The engine's version, for people."""
