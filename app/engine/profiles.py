"""Profiles as TOML files: read, checked, written without losing what people wrote in them."""

import asyncio
import contextlib
import hashlib
import logging
import re
import tomllib
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import msgspec
import tomlkit
from tomlkit.exceptions import TOMLKitError

from app import files, paths
from app.engine.bus import Bus
from app.engine.runtimes.base import Runtime
from app.wire.errors import AppError, ErrorCode
from app.wire.nouns import Profile, ProfileDraft, ProfileFault
from app.wire.options import check_options
from app.wire.policy import POLICIES

_log = logging.getLogger("store")
_SCHEMA = 1
_LOOK_S = 2.0
"""How often the folder is looked at for changes by other programs; a look takes under 1 ms."""
_MAX_BYTES = 256 * 1024
_NAME_LIMIT = 80
_PATH_LIMIT = 1024
DEMO_ID = "demo"


class ProfileStore:
    """The folder of profiles. All methods block on the disk for a few milliseconds."""

    def __init__(self, runtimes: Mapping[str, Runtime]) -> None:
        self._runtimes = runtimes
        self._folder = paths.profiles()

    def load_all(self) -> list[Profile]:
        """Return every profile in the folder by name; one that cannot be used carries its fault."""
        self._folder.mkdir(parents=True, exist_ok=True)
        files.sweep_temporaries(self._folder)
        loaded = [self._read(path) for path in self._paths()]
        seen: dict[str, Profile] = {}
        result: list[Profile] = []
        for profile in loaded:
            # One that is broken already takes no name away from one that works.
            twin = profile if profile.fault else seen.setdefault(profile.name.casefold(), profile)
            if twin is not profile:
                sentence = (
                    f"“{profile.name}” is also the name in {twin.id}.toml. Give one of the two "
                    "another name."
                )
                profile = msgspec.structs.replace(profile, fault=ProfileFault(sentence))
            result.append(profile)
        return sorted(result, key=lambda p: (p.is_demo, p.name.casefold()))

    def fingerprint(self) -> tuple[tuple[str, int, int], ...]:
        """Return something that changes when a profile's file does."""
        found: list[tuple[str, int, int]] = []
        for path in self._paths():
            with contextlib.suppress(OSError):
                status = path.stat()
                found.append((path.name, status.st_mtime_ns, status.st_size))
        return tuple(found)

    def create(self, draft: ProfileDraft, *, existing: Mapping[str, Profile]) -> Profile:
        """Write a new profile and return it. Raises AppError; then nothing was written."""
        name = self._checked_name(draft.name, existing, own_id=None)
        checked = self._checked(draft)
        profile_id = _free_id(name, existing, self._folder)
        document = tomlkit.document()
        document["schema"] = _SCHEMA
        return self._write(profile_id, document, checked, name)

    def update(
        self, profile_id: str, draft: ProfileDraft, *, existing: Mapping[str, Profile]
    ) -> Profile:
        """Write a changed profile and return it. Raises AppError; then the file is as it was."""
        current = existing.get(profile_id)
        if current is None:
            raise unknown_profile(profile_id)
        path = self._path(profile_id)
        on_disk = self._read(path)
        if on_disk.fault is not None:
            raise _not_overwritten(path, _with_line(on_disk.fault))
        if draft.revision and draft.revision != on_disk.revision:
            raise AppError(
                f"“{current.name}” was changed meanwhile by somebody else.",
                hint="Close the form and open it again to see the other change.",
                code=ErrorCode.STALE_REVISION,
            )
        name = self._checked_name(draft.name, existing, own_id=profile_id)
        checked = self._checked(draft)
        try:
            document = tomlkit.parse(path.read_text(encoding="utf-8"))
        except (OSError, TOMLKitError) as error:
            raise _not_overwritten(path, str(error)) from error
        return self._write(profile_id, document, checked, name)

    def delete(self, profile_id: str) -> None:
        """Move the profile's file to the trash. Raises AppError when there is none."""
        try:
            files.move_to_trash(self._path(profile_id), paths.trash())
        except FileNotFoundError:
            raise unknown_profile(profile_id) from None
        except OSError as error:
            raise _store_failed(profile_id, error) from error

    def ensure_demo(self) -> None:
        """Make the demo profile's file unless there is one. Raises AppError."""
        if not self._path(DEMO_ID).exists():
            document = tomlkit.document()
            document.add(tomlkit.comment("A tiny model that shows the machinery; see README."))
            document["schema"] = _SCHEMA
            draft = ProfileDraft("Demo", DEMO_ID, options={"max_tokens": 200, "temp": 0.7})
            document["demo"] = True
            self._write(DEMO_ID, document, self._checked(draft), draft.name)

    def _paths(self) -> list[Path]:
        # Hidden files are no profiles: macOS leaves `._name.toml` on foreign disks.
        return sorted(p for p in self._folder.glob("*.toml") if not p.name.startswith("."))

    def _path(self, profile_id: str) -> Path:
        return self._folder / f"{profile_id}.toml"

    def _read(self, path: Path) -> Profile:
        data, text = b"", ""
        try:
            data = path.read_bytes()
            if len(data) > _MAX_BYTES:
                raise AppError(f"{path.name} is larger than {_MAX_BYTES // 1024} KB.")  # noqa: TRY301
            text = data.decode("utf-8")
            return self._parse(path, tomllib.loads(text), _revision(data))
        except tomllib.TOMLDecodeError as error:
            fault = _syntax_fault(error)
        except RecursionError:
            fault = ProfileFault("The file has too many levels of brackets.")
        except UnicodeDecodeError:
            fault = ProfileFault("The file is not UTF-8 text.", line=1)
        except OSError as error:
            fault = ProfileFault(f"The file cannot be read: {error.strerror}.")
        except AppError as error:
            fault = ProfileFault(error.message, _line_of(text, error))
        name = _written_name(text) or path.stem
        return Profile(path.stem, name, "", revision=_revision(data), path=str(path), fault=fault)

    def _parse(self, path: Path, table: dict[str, Any], revision: str) -> Profile:
        schema = table.get("schema", _SCHEMA)
        if not isinstance(schema, int) or schema > _SCHEMA:
            raise AppError(f"“schema” {schema!r} was written by a newer version of this app.")
        runtime = table.get("runtime", "mlx_lm")
        for key, value in (
            ("name", table.get("name")), ("model", table.get("model")), ("runtime", runtime),
        ):  # fmt: skip
            if not isinstance(value, str) or not value.strip():
                raise AppError(f"“{key}” is missing or not text.")
        draft = self._checked(
            ProfileDraft(
                table["name"], table["model"], runtime,
                _sub_table(table, "options"), _sub_table(table, "policy"),
            )
        )  # fmt: skip
        return Profile(
            id=path.stem,
            name=_clean_name(table["name"]),
            model=table["model"].strip(),
            runtime=runtime,
            options=draft.options,
            policy=draft.policy,
            is_demo=table.get("demo") is True,
            revision=revision,
            path=str(path),
        )

    def _checked(self, draft: ProfileDraft) -> ProfileDraft:
        runtime = self._runtimes.get(draft.runtime)
        if runtime is None:
            known = ", ".join(self._runtimes)
            raise AppError(
                f"runtime “{draft.runtime}” is not known; it must be one of {known}.",
                code=ErrorCode.BAD_REQUEST,
            )
        model = draft.model.strip()
        is_sane = 0 < len(model) <= _PATH_LIMIT and model.isprintable()
        if not is_sane or model.startswith("-"):
            raise AppError(
                "A profile needs a “model”: its hub id or its folder.", code=ErrorCode.BAD_REQUEST
            )
        return msgspec.structs.replace(
            draft,
            options=check_options(draft.options, runtime.info.options),
            policy=check_options(draft.policy, POLICIES),
        )

    def _checked_name(self, name: str, existing: Mapping[str, Profile], own_id: str | None) -> str:
        name = _clean_name(name)
        for other in existing.values():
            if other.id != own_id and other.name.casefold() == name.casefold():
                raise AppError(
                    f"There is already a profile named “{other.name}”.",
                    hint="Choose another name.",
                    code=ErrorCode.NAME_TAKEN,
                )
        return name

    def _write(
        self,
        profile_id: str,
        document: tomlkit.TOMLDocument,
        draft: ProfileDraft,
        name: str,
    ) -> Profile:
        document["name"] = name
        document["model"] = draft.model.strip()
        document["runtime"] = draft.runtime
        _write_table(document, "options", draft.options)
        _write_table(document, "policy", draft.policy)
        path = self._path(profile_id)
        try:
            files.keep_version(path, paths.backups())
            files.write_atomically(path, tomlkit.dumps(document))
        except OSError as error:
            raise _store_failed(name, error) from error
        _log.info("profile %s saved", profile_id)
        return self._read(path)


class Profiles:
    """The published profiles: every change goes to the disk first. Belongs to the engine's loop."""

    def __init__(self, store: ProfileStore, bus: Bus, shows_demo: Callable[[], bool]) -> None:
        self._store = store
        self._bus = bus
        self._shows_demo = shows_demo
        # One reader or writer at a time: two drafts of one name must not both find it free, and a
        # list that was read before a change must not be published after it.
        self._lock = asyncio.Lock()
        self._fingerprint: tuple[tuple[str, int, int], ...] | None = None

    async def create(self, draft: ProfileDraft) -> Profile:
        """Make a new profile. Raises AppError; then nothing changed."""
        async with self._lock:
            known = dict(self._bus.profiles)
            profile = await asyncio.to_thread(self._store.create, draft, existing=known)
            await self._load()
        return profile

    async def update(self, profile_id: str, draft: ProfileDraft) -> Profile:
        """Change a profile. Raises AppError; then its file is as it was."""
        async with self._lock:
            # First, so that whoever is told of another change can see it.
            await self._load()
            known = dict(self._bus.profiles)
            profile = await asyncio.to_thread(self._store.update, profile_id, draft, existing=known)
            await self._load()
        return profile

    async def delete(self, profile: Profile) -> None:
        """Move a profile to the trash. Raises AppError; then it is still there."""
        async with self._lock:
            # Before the wait, so that no server is started for it meanwhile.
            self._bus.remove(profile)
            try:
                await asyncio.to_thread(self._store.delete, profile.id)
            finally:
                await self._load()

    async def load(self) -> None:
        """Publish what is on the disk. Raises OSError when the folder cannot be made."""
        async with self._lock:
            await self._load()

    async def follow(self) -> None:
        """Publish what people change in the files, for ever."""
        while True:
            await asyncio.sleep(_LOOK_S)
            if await asyncio.to_thread(self._store.fingerprint) != self._fingerprint:
                await self.load()

    async def _load(self) -> None:
        shows_demo = self._shows_demo()
        if shows_demo:
            try:
                await asyncio.to_thread(self._store.ensure_demo)
            except AppError as error:
                _log.warning("the demo profile could not be made: %s", error.message)
        self._fingerprint = await asyncio.to_thread(self._store.fingerprint)
        loaded = await asyncio.to_thread(self._store.load_all)
        profiles = {p.id: p for p in loaded if shows_demo or not p.is_demo}
        for gone in [p for p in self._bus.profiles.values() if p.id not in profiles]:
            self._bus.remove(gone)
        for profile in profiles.values():
            before = self._bus.profiles.get(profile.id)
            if profile.fault is not None and (before is None or before.fault != profile.fault):
                _log.warning("profile %s: %s", profile.id, profile.fault.message)
            self._bus.put(profile)


def _sub_table(table: dict[str, Any], name: str) -> dict[str, Any]:
    value: Any = table.get(name, {})
    if not isinstance(value, dict):
        raise AppError(f"[{name}] is not a table.")
    return cast(dict[str, Any], value)


def _write_table(document: Any, name: str, values: dict[str, Any]) -> None:
    """Make a table of the document hold these values; comments of what stays stay too."""
    if not isinstance(document.get(name), dict):
        if not values:
            return
        document[name] = tomlkit.table()
    table = document[name]
    for key in [key for key in table if key not in values]:
        del table[key]
    for key, value in values.items():
        if table.get(key) != value:
            table[key] = value


def _clean_name(text: str) -> str:
    name = text.strip()
    if not name or len(name) > _NAME_LIMIT or not name.isprintable():
        raise AppError(
            f"A profile's “name” has 1 to {_NAME_LIMIT} printable characters.",
            code=ErrorCode.BAD_REQUEST,
        )
    return name


def unknown_profile(profile_id: str) -> AppError:
    """Return the error for an id that no profile has."""
    return AppError(
        f"There is no profile “{profile_id}”.",
        hint="mlxm list shows all profiles.",
        code=ErrorCode.NOT_FOUND,
    )


def _not_overwritten(path: Path, reason: str) -> AppError:
    return AppError(
        f"{path.name} cannot be read ({reason}), so it is not overwritten.",
        hint="Repair the file in a text editor first.",
        code=ErrorCode.PROFILE_BROKEN,
    )


def _store_failed(name: str, error: OSError) -> AppError:
    return AppError(
        f"“{name}” could not be saved: {error.strerror or error}. The file is as it was before.",
        hint="Free some space or repair the folder, then save again.",
        code=ErrorCode.STORE_FAILED,
    )


def _revision(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def _syntax_fault(error: tomllib.TOMLDecodeError) -> ProfileFault:
    """Return the parser's message as a sentence, and its line, which is told on its own."""
    message, _, place = str(error).partition(" (at line ")
    return ProfileFault(f"{message}.", int(place.partition(",")[0]) if place else None)


def _with_line(fault: ProfileFault) -> str:
    return fault.message.rstrip(".") + (f", line {fault.line}" if fault.line else "")


def _written_name(text: str) -> str | None:
    """Return the name that a broken file has on a line of its own, before its first table."""
    head = re.split(r"^\s*\[", text, maxsplit=1, flags=re.MULTILINE)[0]
    for line in re.findall(r"^\s*name\s*=.*$", head, re.MULTILINE):
        with contextlib.suppress(tomllib.TOMLDecodeError, AppError, RecursionError):
            return _clean_name(str(tomllib.loads(line)["name"]))
    return None


def _line_of(text: str, error: AppError) -> int | None:
    """Return the line that holds the option or key which the message names, if there is one."""
    names = re.findall(r"\((\w+)\)|“(\w+)”", error.message)
    for name in (part for pair in names for part in pair if part):
        for number, line in enumerate(text.splitlines(), start=1):
            if re.match(rf"\s*{re.escape(name)}\s*=", line):
                return number
    return None


def _free_id(name: str, existing: Mapping[str, Profile], folder: Path) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    base = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:40] or "profile"
    candidate, number = base, 1
    while candidate in existing or (folder / f"{candidate}.toml").exists():
        number += 1
        candidate = f"{base}-{number}"
    return candidate
