"""Calls about named API keys."""

from app.client.calls.link import Link, quote_part
from app.wire.keys import KeyDraft, NamedKey, NewKey


class KeyCalls(Link):
    """Calls about named API keys."""

    def named_keys(self) -> list[NamedKey]:
        """Return all named keys."""
        return self.get("/api/keys", list[NamedKey])

    def create_key(self, name: str) -> NewKey:
        """Make a named key and return it with its secret, which cannot be had again."""
        return self.send("POST", "/api/keys", KeyDraft(name), NewKey)

    def revoke_key(self, key_id: str) -> None:
        """Forget a named key: it opens nothing from now on."""
        self.request("DELETE", f"/api/keys/{quote_part(key_id)}")
