"""What a person can want with a model; the window fulfils it."""

from enum import Enum
from typing import NamedTuple


class ModelWish(Enum):
    """What is wanted."""

    DOWNLOAD = "download"
    DOWNLOAD_AND_RUN = "download_and_run"
    UPDATE = "update"
    RUN = "run"
    NEW_PROFILE = "new_profile"
    EDIT_PROFILE = "edit_profile"
    """The subject is a profile's id."""
    OPEN_PAGE = "open_page"
    """Its page on the hub; the subject is an address."""
    OPEN_LINK = "open_link"
    """A link of its card; the subject is an address."""
    REVEAL = "reveal"
    """The subject is a folder."""
    COPY_ID = "copy_id"
    CHECK = "check"
    """To compare its files with their checksums."""
    END_CHECK = "end_check"
    REPAIR = "repair"
    """To download what is damaged."""
    DELETE = "delete"
    SHOW = "show"
    """Another model's page."""


class Wish(NamedTuple):
    """What is wanted, with what: a model's id where nothing else is said."""

    kind: ModelWish
    subject: str
