"""Reads what people paste into the search field."""

import re
from urllib.parse import unquote

_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
_ADDRESS = re.compile(r"https?://[^/\s]+/(?:models/)?", re.IGNORECASE)
_OF_REVISIONS = ("tree", "blob", "commit", "resolve")


def hub_id(text: str) -> str | None:
    """Return the id that a text names, as `author/name` or as a page of the hub; else None."""
    text = text.strip()
    if (address := _ADDRESS.match(text)) is not None:
        parts = re.split(r"[?#]", text[address.end() :])[0].split("/")
        text = "/".join(parts[:2])
    return text if _ID.fullmatch(text) else None


def wanted_revision(text: str, model_id: str) -> str:
    """Return `author/name@revision` for an address of another than `main`, else the id."""
    address = _ADDRESS.match(text := text.strip())
    parts = re.split(r"[?#]", text[address.end() :])[0].split("/") if address is not None else []
    is_named = "/".join(parts[:2]) == model_id and len(parts) > 3 and parts[2] in _OF_REVISIONS
    is_other = is_named and parts[3] not in ("", "main")
    return f"{model_id}@{unquote(parts[3])}" if is_other else model_id


def search_words(text: str) -> tuple[str, ...]:
    """Return the lower-case words of a search; an id or the address of a page is one word."""
    found = hub_id(text)
    return (found.lower(),) if found is not None else tuple(text.lower().split())
