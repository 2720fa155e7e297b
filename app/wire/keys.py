"""API keys that the user makes and names, one for each program or person."""

import msgspec

MAX_NAME = 60


class NamedKey(msgspec.Struct, frozen=True):
    """An API key without its secret, which only its owner has."""

    id: str
    name: str
    created_at: float
    """Seconds since the epoch."""
    last_used_at: float | None = None
    """Seconds since the epoch, to about a minute; None when it was never used. Counted only while
    keys are required."""


class KeyDraft(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a client sends to make a key."""

    name: str


class NewKey(msgspec.Struct, frozen=True):
    """A key that was just made, with its secret: it cannot be shown again."""

    key: NamedKey
    secret: str
