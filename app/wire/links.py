"""Addresses of models on the hub, as people copy them from a browser."""

import re
from collections.abc import Iterable
from urllib.parse import unquote, urlsplit

import msgspec

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_HOSTS = frozenset({"huggingface.co", "www.huggingface.co", "hf.co"})
_BEFORE_REVISION = ("tree", "blob", "resolve", "raw", "commit")


class HubLink(msgspec.Struct, frozen=True):
    """What an address leads to."""

    id: str
    revision: str = ""
    """Empty for the page of the model itself."""


def is_link(text: str, hosts: Iterable[str] = ()) -> bool:
    """True if a text is an address and no id or words. hosts: names of the hub beside its own."""
    return "://" in text or text.partition("/")[0].lower() in _HOSTS.union(hosts)


def read_link(text: str, hosts: Iterable[str] = ()) -> HubLink | None:
    """Return what an address leads to, None if that is no model of the hub."""
    if "://" not in text:
        text = f"https://{text}"
    try:
        parts = urlsplit(text)
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or parts.netloc.lower() not in _HOSTS.union(hosts):
        return None
    path = parts.path.strip("/").removeprefix("api/").removeprefix("models/")
    names = [unquote(name) for name in path.split("/")]
    repo_id = "/".join(names[:2])
    if not ID.fullmatch(repo_id):
        return None
    has_revision = len(names) > 3 and names[2] in _BEFORE_REVISION
    return HubLink(repo_id, names[3] if has_revision else "")
