"""Reads what people paste into the search field."""

import re

_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
_ADDRESS = re.compile(r"https?://[^/\s]+/(?:models/)?", re.IGNORECASE)


def hub_id(text: str) -> str | None:
    """Return the id that a text names, as `author/name` or as a page of the hub; else None."""
    text = text.strip()
    if (address := _ADDRESS.match(text)) is not None:
        parts = re.split(r"[?#]", text[address.end() :])[0].split("/")
        text = "/".join(parts[:2])
    return text if _ID.fullmatch(text) else None


def search_words(text: str) -> tuple[str, ...]:
    """Return the lower-case words of a search; an id or the address of a page is one word."""
    found = hub_id(text)
    return (found.lower(),) if found is not None else tuple(text.lower().split())
