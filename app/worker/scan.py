"""Finds the models on this disk: in the hub's cache, in other libraries, and the demo model."""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from app.wire.nouns import Model, ModelSource
from app.wire.scan import Place, ScanResult
from app.worker.files import clean
from app.worker.library.elsewhere import Elsewhere, other_libraries
from app.worker.library.folders import folder_models, model_in
from app.worker.library.found import Found
from app.worker.library.hubcache import DamagedError, hub_model, hub_models
from app.worker.library.memory import Memory
from app.worker.library.twins import merge_twins

DEMO_ID = "demo"


def scan(
    cache: Path,
    folders: Sequence[Path] = (),
    demo: Path | None = None,
    *,
    home: Path | None = None,
    memory: Path | None = None,
) -> ScanResult:
    """Return every model in the hub cache, in `folders` and the demo folder.

    home: also look where other programs of this user keep theirs. memory: a file that makes the
    next scan quick. Blocks about 1 ms for each new model, longer on a slow disk. What cannot be
    looked at is a warning.
    """
    known = Memory(memory)
    warnings: list[str] = []
    seen: set[tuple[int, int]] = set()
    found = list(_unseen(_demo(demo.absolute() if demo else None, known, warnings), seen))
    ours = list(_unseen(hub_models(cache, known, warnings), seen))
    places = [Place(str(cache), "Hugging Face", len(ours))]
    found += ours
    others = other_libraries(home) if home is not None else Elsewhere({}, [])
    for folder, name in _roots(folders, others):
        more, place = _searched(folder, name, known, warnings)
        found += _unseen(more, seen)
        places.append(place)
    models = sorted(_rows(found, known), key=lambda m: (m.name.casefold(), m.id))
    known.save()
    hints = tuple(clean(str(path)) for path in others.hints)
    return ScanResult(tuple(models), tuple(warnings), tuple(places), hints)


def scan_repo(cache: Path, repo_id: str) -> ScanResult:
    """Return one model of the hub cache, without a look at the others."""
    repo = f"{os.path.realpath(cache)}/models--{repo_id.replace('/', '--')}"
    try:
        found = hub_model(repo, Memory(None), source=ModelSource.HUB)
    except (DamagedError, OSError) as error:
        return ScanResult((), (f"{clean(repo)}: {error}.",))
    return ScanResult((found.model,) if found is not None else ())


def _roots(folders: Iterable[Path], others: Elsewhere) -> list[tuple[Path, str]]:
    roots = [(folder.absolute(), "") for folder in folders]
    return roots + [(folder, name) for name, found in others.folders.items() for folder in found]


def _searched(
    folder: Path, name: str, memory: Memory, warnings: list[str]
) -> tuple[list[Found], Place]:
    path = clean(str(folder))
    if not _is_folder(folder):
        problem = f"The folder {path} does not exist or may not be read."
        warnings.append(problem)
        gone = [_not_there(model) for model in memory.below(str(folder))]
        return gone, Place(path, name, 0, problem)
    before = len(warnings)
    found = list(folder_models(folder, memory, warnings))
    return found, Place(path, name, len(found), " ".join(warnings[before:]))


def _not_there(model: Model) -> Found:
    """Return a model of a disk that is not connected, so that its row stays."""
    problem = f"Its folder {model.path} is not there now. Connect the disk that it is on."
    gone = msgspec.structs.replace(model, problem=problem)
    return Found(gone, {}, model.path)


def _rows(found: Sequence[Found], memory: Memory) -> list[Model]:
    there = merge_twins((item for item in found if item.files), memory)
    # A copy that cannot be looked at now adds nothing to one that is there.
    known = {(model.name.casefold(), model.size_bytes) for model in there}
    gone = [item.model for item in found if not item.files]
    return there + [m for m in gone if (m.name.casefold(), m.size_bytes) not in known]


def _unseen(found: Iterable[Found], seen: set[tuple[int, int]]) -> Iterator[Found]:
    """Leave out a folder that was reached before, by another link or root."""
    for item in found:
        try:
            status = os.stat(item.folder)  # noqa: PTH116 - as in hubcache
        except OSError:
            # Of a disk that is not connected.
            yield item
            continue
        if (status.st_dev, status.st_ino) not in seen:
            seen.add((status.st_dev, status.st_ino))
            yield item


def _demo(folder: Path | None, memory: Memory, warnings: list[str]) -> Iterator[Found]:
    if folder is None:
        return
    try:
        found = model_in(folder, memory, source=ModelSource.DEMO)
    except OSError as error:
        warnings.append(f"The demo model cannot be read: {error.strerror or error}.")
        return
    if found is None:
        warnings.append("The demo model is not complete. Install the app again.")
        return
    model = msgspec.structs.replace(
        found.model, id=DEMO_ID, name="Demo", author="MLX Model Manager"
    )
    yield msgspec.structs.replace(found, model=model)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False
