"""Finds the models on this disk: in the hub's cache, in plain folders, and the demo model."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
from huggingface_hub import CachedRepoInfo, HFCacheInfo, scan_cache_dir
from huggingface_hub.errors import CacheNotFound

from app.wire.nouns import Model, ModelSource
from app.wire.scan import ScanResult
from app.worker.describe import describe, is_model
from app.worker.files import clean, is_sendable, list_files

DEMO_ID = "demo"
# author/model below a folder that holds one more level, as LM Studio's and others' do.
_MAX_DEPTH = 3
_MAX_FOLDERS = 5_000


def scan(cache: Path, folders: Sequence[Path] = (), demo: Path | None = None) -> ScanResult:
    """Return every model in the hub cache, in `folders` and the demo folder.

    Blocks about 5 ms for each model, longer on a slow disk. What cannot be looked
    at is a warning.
    """
    warnings: list[str] = []
    models = [
        *_demo(demo.absolute() if demo else None, warnings),
        *_hub_models(cache, warnings),
        *(m for folder in folders for m in _folder_models(folder.absolute(), warnings)),
    ]
    unique = {model.id: model for model in models}
    found = sorted(unique.values(), key=lambda m: (m.name.casefold(), m.id))
    return ScanResult(tuple(found), tuple(warnings))


def scan_repo(cache: Path, repo_id: str) -> ScanResult:
    """Return one model of the hub cache, without a look at the others."""
    repo = cache / ("models--" + repo_id.replace("/", "--"))
    warnings: list[str] = []
    with TemporaryDirectory() as name:
        (Path(name) / repo.name).symlink_to(repo, target_is_directory=True)
        return ScanResult(tuple(_hub_models(Path(name), warnings)), tuple(warnings))


def _demo(folder: Path | None, warnings: list[str]) -> Iterator[Model]:
    if folder is None:
        return
    try:
        model = _model_in(folder)
    except OSError as error:
        warnings.append(f"The demo model cannot be read: {_reason(error)}.")
        return
    if model is None:
        warnings.append("The demo model is not complete. Install the app again.")
        return
    yield msgspec.structs.replace(
        model, id=DEMO_ID, name="Demo", author="MLX Model Manager", source=ModelSource.DEMO
    )


def _hub_models(cache: Path, warnings: list[str]) -> Iterator[Model]:
    for info in _scan_cache(cache, warnings):
        # The library also warns of stray files and of data sets, which are not ours to judge.
        texts = [clean(str(warning)) for warning in info.warnings]
        warnings += [f"Model cache: {text}" for text in texts if "models--" in text]
        partial = {file.file_path.parent.parent for file in info.incomplete_files}
        for repo in info.repos:
            try:
                model = _repo_model(repo, has_partial_files=repo.repo_path in partial)
            except OSError as error:
                warnings.append(f"{repo.repo_id} cannot be read: {_reason(error)}.")
                continue
            if model is not None:
                yield model


def _scan_cache(cache: Path, warnings: list[str]) -> Iterator[HFCacheInfo]:
    try:
        yield scan_cache_dir(cache)
    except CacheNotFound:
        return
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: a link to itself
        if not _is_folder(cache):
            warnings.append(f"The model folder {_text(cache)} cannot be read: {_reason(error)}.")
            return
        # One entry that the library cannot look at makes it give up on all of them.
        yield from _scan_one_by_one(cache, warnings)


def _scan_one_by_one(cache: Path, warnings: list[str]) -> Iterator[HFCacheInfo]:
    """Scan each model of the cache through a folder of its own that links to it."""
    try:
        repos = sorted(path for path in cache.iterdir() if path.name.startswith("models--"))
    except OSError as error:
        warnings.append(f"The model folder {_text(cache)} cannot be read: {_reason(error)}.")
        return
    for repo in repos:
        with TemporaryDirectory() as name:
            (Path(name) / repo.name).symlink_to(repo, target_is_directory=True)
            try:
                yield scan_cache_dir(name)
            except (OSError, ValueError, RuntimeError) as error:
                warnings.append(f"{_text(repo)} cannot be read: {_reason(error)}.")


def _repo_model(repo: CachedRepoInfo, *, has_partial_files: bool) -> Model | None:
    """Return the model that `main` of a cached repo points to, None if it is not for us.

    mlx-lm loads a hub id by its `main`; other revisions cannot be served by that id.
    """
    revision = repo.refs.get("main")
    if repo.repo_type != "model" or revision is None:
        return None
    # Not the link that `_scan_one_by_one` may have made: that is gone in a moment.
    folder = repo.repo_path.resolve() / "snapshots" / revision.commit_hash
    files = list_files(folder)
    if not is_model(files, has_partial_files=has_partial_files) or not is_sendable(folder):
        return None
    author, _, name = repo.repo_id.rpartition("/")
    found = describe(folder, files, has_partial_files=has_partial_files)
    return Model(
        id=repo.repo_id,
        name=name,
        author=author,
        source=ModelSource.HUB,
        path=str(folder),
        size_bytes=revision.size_on_disk,
        modified_at=revision.last_modified,
        **msgspec.structs.asdict(found),
    )


def _folder_models(root: Path, warnings: list[str]) -> Iterator[Model]:
    """Yield the model in `root`, or those in the folders below it."""
    if not _is_folder(root):
        warnings.append(f"The folder {_text(root)} does not exist or may not be read.")
        return
    waiting = [(root, 0)]
    visited = 0
    while waiting:
        folder, depth = waiting.pop()
        visited += 1
        if visited > _MAX_FOLDERS:
            warnings.append(f"The folder {_text(root)} holds too many folders to search them all.")
            return
        try:
            model = _model_in(folder)
            if model is None and depth < _MAX_DEPTH:
                waiting += [(below, depth + 1) for below in _folders_in(folder)]
        except OSError as error:
            warnings.append(f"{_text(folder)} cannot be read: {_reason(error)}.")
            continue
        if model is not None:
            author = folder.parent.name if depth > 1 else ""
            yield msgspec.structs.replace(model, author=author)


def _folders_in(folder: Path) -> list[Path]:
    """Return the folders to search; not through links, which may lead around in a circle."""
    with os.scandir(folder) as entries:
        return [
            folder / entry.name
            for entry in entries
            if entry.is_dir(follow_symlinks=False)
            and not entry.name.startswith((".", "models--"))
            and is_sendable(Path(entry.name))
        ]


def _model_in(folder: Path) -> Model | None:
    """Return the model whose files are in `folder` itself, None if there is none."""
    files = list_files(folder)
    if not is_model(files):
        return None
    size_bytes, modified_at = _size_of(folder)
    return Model(
        id=str(folder),
        name=folder.name,
        author="",
        source=ModelSource.FOLDER,
        path=str(folder),
        size_bytes=size_bytes,
        modified_at=modified_at,
        **msgspec.structs.asdict(describe(folder, files)),
    )


def _size_of(folder: Path) -> tuple[int, float]:
    """Return bytes of all files at and below `folder`, hard links once, and their newest time."""
    sizes: dict[tuple[int, int], int] = {}
    newest = 0.0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                status = (Path(place) / name).stat()
            except OSError:
                continue
            sizes[status.st_dev, status.st_ino] = status.st_size
            newest = max(newest, status.st_mtime)
    return sum(sizes.values()), newest


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False


def _reason(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) else None
    return clean(text or str(error) or type(error).__name__)


def _text(path: Path) -> str:
    return clean(str(path))
