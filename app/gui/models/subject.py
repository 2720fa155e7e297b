"""Everything that is known of one model, from the engine, the hub and the disk, in words."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePath

from PySide6.QtCore import QCoreApplication

from app.gui import format as fmt
from app.gui.workers.model_folder import ModelFolder
from app.wire.hub import HubDetails, HubFile, HubModel, HubRevision
from app.wire.nouns import Download, Model, ModelSource, Profile, Server

_COMMIT = 40
_SHORT_COMMIT = 8
_MOST_NAMES = 3


def _tr(text: str) -> str:
    return QCoreApplication.translate("ModelPage", text)


@dataclass(frozen=True)
class Link:
    """A part of a fact that leads somewhere."""

    text: str
    kind: str
    """`profile`, `model` or `folder`."""
    target: str


@dataclass(frozen=True)
class Fact:
    """One line about a model."""

    label: str
    text: str = ""
    tip: str = ""
    links: tuple[Link, ...] = ()
    is_bad: bool = False


@dataclass(frozen=True)
class Subject:
    """One model."""

    id: str
    model: Model | None = None
    """As it is on the engine's disk."""
    download: Download | None = None
    details: HubDetails | None = None
    """As it is on the hub."""
    folder: ModelFolder | None = None
    profiles: tuple[Profile, ...] = ()
    """Those that name it."""
    servers: tuple[Server, ...] = ()
    """Those that have a process with it."""

    @property
    def hub(self) -> HubModel | None:
        """The model on the hub, where it was looked up."""
        return self.details.model if self.details is not None else None

    @property
    def name(self) -> str:
        """Its short name."""
        item = self.model or self.hub
        return item.name if item is not None else self.id.rpartition("/")[2]

    @property
    def author(self) -> str:
        """Who published it, or what else it is."""
        if self.model is not None and self.model.source is ModelSource.DEMO:
            return _tr("Comes with the app")
        if self.model is not None and self.model.source is ModelSource.FOLDER:
            return self.model.author or _tr("A folder on this disk")
        return self.id.partition("/")[0]

    @property
    def is_on_hub(self) -> bool:
        """True when the hub may know it."""
        return self.model is None or self.model.source is ModelSource.HUB

    @property
    def files(self) -> tuple[HubFile, ...]:
        """Its files, largest first; those on the disk count before those of the hub."""
        if self.folder is not None and self.folder.files:
            return self.folder.files
        return self.details.files if self.details is not None else ()

    @property
    def size_bytes(self) -> int | None:
        """What it takes on the disk, or what a download would fetch."""
        if self.model is not None:
            return self.model.size_bytes
        return self.hub.size_bytes if self.hub is not None else None

    @property
    def commit(self) -> str | None:
        """The commit that is on the disk, where the folder tells."""
        path = PurePath(self.model.path) if self.model is not None else PurePath()
        is_commit = path.parent.name == "snapshots" and len(path.name) == _COMMIT
        return path.name if is_commit else None

    @property
    def other_revisions(self) -> tuple[HubRevision, ...]:
        """The branches and tags of the hub but for main."""
        known = self.details.revisions if self.details is not None else ()
        return tuple(revision for revision in known if revision.name != "main")

    @property
    def is_outdated(self) -> bool:
        """True when the hub has a newer commit than the disk."""
        newest = self.details.commit if self.details is not None else None
        return None not in (self.commit, newest) and self.commit != newest

    @property
    def context_length(self) -> int | None:
        """Tokens that it was made for."""
        for item in (self.model, self.hub):
            if item is not None and item.context_length:
                return item.context_length
        return None


def facts(subject: Subject) -> list[Fact]:
    """Return what there is to say about a model, in order; nothing is said that is not known."""
    found = [
        _size(subject),
        _parameters(subject),
        _quantization(subject),
        _architecture(subject),
        _context(subject),
        _licence(subject),
        _base(subject),
        *_places(subject),
        _revision(subject),
        _revisions(subject),
        *_dates(subject),
        _fame(subject),
        _users(subject),
    ]
    return [fact for fact in found if fact is not None]


def _size(subject: Subject) -> Fact | None:
    if subject.size_bytes is None:
        return None
    label = _tr("On the disk") if subject.model is not None else _tr("Download")
    count = len(subject.files)
    files = _tr("1 file") if count == 1 else _tr("{} files").format(count)
    size = fmt.file_size(subject.size_bytes)
    return Fact(label, f"{size} · {files}" if count else size)


def _parameters(subject: Subject) -> Fact | None:
    values = [i.parameters for i in (subject.model, subject.hub) if i is not None and i.parameters]
    if not values:
        return None
    return Fact(_tr("Parameters"), fmt.parameters(values[0]), fmt.count(values[0]))


def _quantization(subject: Subject) -> Fact | None:
    item = subject.model or subject.hub
    if item is None or not item.quantization:
        return None
    return Fact(_tr("Quantisation"), item.quantization)


def _architecture(subject: Subject) -> Fact | None:
    hub, model = subject.hub, subject.model
    family = (model and model.family) or (hub and hub.family) or ""
    if not family and hub is None:
        return None
    name = fmt.family(family) if family else _tr("Unknown")
    reason = (model.problem or "") if model is not None and model.needs_python else ""
    if hub is not None and hub.supported is False:
        reason = hub.reason
    if reason:
        text = _tr("{}, not supported").format(name)
        return Fact(_tr("Architecture"), text, reason, is_bad=True)
    if model is not None and model.problem:
        return Fact(_tr("Architecture"), name)
    if hub is not None and hub.supported is None and hub.reason:
        return Fact(_tr("Architecture"), f"{name} {fmt.UNKNOWN} {hub.reason}")
    return Fact(_tr("Architecture"), _tr("{}, supported by mlx-lm").format(name), family)


def _context(subject: Subject) -> Fact | None:
    if subject.context_length is None:
        return None
    return Fact(_tr("Context"), _tr("{} tokens").format(fmt.count(subject.context_length)))


def _licence(subject: Subject) -> Fact | None:
    if subject.hub is None:
        return None
    return Fact(_tr("Licence"), subject.hub.licence or _tr("Not told"))


def _base(subject: Subject) -> Fact | None:
    bases = subject.details.base_models if subject.details is not None else ()
    if not bases:
        return None
    links = tuple(Link(base, "model", base) for base in bases[:_MOST_NAMES])
    return Fact(_tr("Made from"), links=links)


def _places(subject: Subject) -> list[Fact]:
    if subject.model is None:
        return []
    places = subject.model.locations or (subject.model.path,)
    label = _tr("Folder") if len(places) == 1 else _tr("Folders")
    return [
        Fact(
            label if number == 0 else "",
            tip=place,
            links=(Link(short_place(place), "folder", place),),
        )
        for number, place in enumerate(places)
    ]


def short_place(place: str) -> str:
    """Return a folder with only the first letters of a commit, which nobody reads."""
    head, slash, last = place.rpartition("/")
    is_commit = head.endswith("/snapshots") and len(last) == _COMMIT
    return f"{head}{slash}{last[:_SHORT_COMMIT]}…" if is_commit else place


def _revision(subject: Subject) -> Fact | None:
    newest = subject.details.commit if subject.details is not None else None
    commit = subject.commit or newest
    if commit is None:
        return None
    short = commit[:_SHORT_COMMIT]
    if not subject.is_outdated:
        return Fact(_tr("Revision"), f"main · {short}", commit)
    text = _tr("{old}; the hub has the newer {new}").format(
        old=short, new=(newest or "")[:_SHORT_COMMIT]
    )
    return Fact(_tr("Revision"), text, f"{commit}\n{newest}")


def _revisions(subject: Subject) -> Fact | None:
    others = subject.other_revisions
    if not others:
        return None
    texts = [f"{r.name} · {r.commit[:_SHORT_COMMIT]}" for r in others]
    return Fact(_tr("Others"), names([r.name for r in others]), "\n".join(texts))


def _dates(subject: Subject) -> list[Fact]:
    if subject.details is None:
        return []
    dates = (
        (_tr("Updated"), subject.details.model.updated_at),
        (_tr("Created"), subject.details.created_at),
    )
    return [Fact(label, _date(seconds)) for label, seconds in dates if seconds]


def _fame(subject: Subject) -> Fact | None:
    if subject.hub is None:
        return None
    likes = _tr("1 like") if subject.hub.likes == 1 else _tr("{} likes")
    text = _tr("{} downloads").format(fmt.count(subject.hub.downloads))
    return Fact(
        _tr("Popularity"),
        f"{text} · {likes.format(fmt.count(subject.hub.likes))}",
        _tr("Downloads of the last 30 days"),
    )


def _users(subject: Subject) -> Fact | None:
    if subject.model is None:
        return None
    links = tuple(Link(p.name, "profile", p.id) for p in subject.profiles)
    return Fact(_tr("Profiles"), "" if links else _tr("None uses it yet"), links=links)


def _date(seconds: float) -> str:
    day = datetime.fromtimestamp(seconds)  # noqa: DTZ006 - people read their own days
    text = f"{day.day} {day:%b %Y}"
    age = time.time() - seconds
    return f"{text} ({fmt.ago(age)})" if 0 <= age < 30 * 86_400 else text


def names(texts: Sequence[str]) -> str:
    """Return a few names as people list them: `A`, `A and B`, `A, B and 3 more`."""
    if len(texts) > _MOST_NAMES:
        return _tr("{names} and {count} more").format(
            names=", ".join(texts[: _MOST_NAMES - 1]), count=len(texts) - _MOST_NAMES + 1
        )
    if len(texts) < 2:
        return "".join(texts)
    return _tr("{names} and {last}").format(names=", ".join(texts[:-1]), last=texts[-1])
