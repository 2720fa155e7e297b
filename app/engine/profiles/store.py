"""The folder of profiles: files read, checked and written without losing what people wrote."""

import contextlib
import logging
import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path

import msgspec
import tomlkit

from app import files, paths
from app.engine.profiles import document
from app.engine.runtimes.base import Runtimes
from app.wire.errors import AppError, ErrorCode
from app.wire.nouns import Profile, ProfileDraft, ProfileFault

_log = logging.getLogger("store")
DEMO_ID = "demo"


class ProfileStore:
    """The folder of profiles. All methods block on the disk for a few milliseconds."""

    def __init__(self, runtimes: Runtimes) -> None:
        self.runtimes = runtimes
        self._folder = paths.profiles()

    def prepare(self) -> None:
        """Make the folder. Raises OSError when it cannot be made, or is gone with its disk."""
        files.make_folder(self._folder)
        files.sweep_temporaries(self._folder)

    def load_all(self) -> list[Profile]:
        """Return every profile in the folder by name; one that cannot be used carries its fault."""
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
        checked = document.checked(draft, self.runtimes)
        profile_id = _free_id(name, existing, self._folder)
        content = tomlkit.document()
        content["schema"] = document.SCHEMA
        document.fill(content, checked, name)
        return self._write(profile_id, tomlkit.dumps(content), name)

    def update(
        self, profile_id: str, draft: ProfileDraft, *, existing: Mapping[str, Profile]
    ) -> Profile:
        """Write a changed profile and return it. Raises AppError; then the file is as it was."""
        current = existing.get(profile_id)
        if current is None:
            raise unknown_profile(profile_id)
        path = self._path(profile_id)
        self._be_there(current.name)
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
        checked = document.checked(draft, self.runtimes)
        try:
            text = document.rewritten(path.read_text(encoding="utf-8"), checked, name)
        except (OSError, ValueError) as error:
            raise _not_overwritten(path, str(error)) from error
        return self._write(profile_id, text, name)

    def delete(self, profile_id: str) -> None:
        """Move the profile's file to the trash. Raises AppError when there is none."""
        self._be_there(profile_id)
        try:
            files.move_to_trash(self._path(profile_id), paths.trash())
        except FileNotFoundError:
            raise unknown_profile(profile_id) from None
        except OSError as error:
            raise _store_failed(profile_id, error) from error

    def restore(self, profile_id: str, *, existing: Mapping[str, Profile]) -> Profile:
        """Bring the file that was deleted last back as it was. Raises AppError.

        Its name may be taken by then: the file still comes back, as one that tells its fault.
        """
        path = self._path(profile_id)
        found = files.newest_in_trash(path, paths.trash())
        if found is None:
            raise unknown_profile(profile_id)
        if profile_id in existing or path.exists():
            raise AppError(
                f"{path.name} is in use again, so the deleted one stays in the trash.",
                hint=f"It is {found}.",
                code=ErrorCode.NAME_TAKEN,
            )
        try:
            files.move_back(found, path)
        except OSError as error:
            raise _store_failed(profile_id, error) from error
        _log.info("profile %s is back from the trash", profile_id)
        return self._read(path)

    def ensure_demo(self) -> None:
        """Make the demo profile's file unless there is one. Raises AppError."""
        if not self._path(DEMO_ID).exists():
            content = tomlkit.document()
            content.add(tomlkit.comment("A tiny model that shows the machinery; see README."))
            content["schema"] = document.SCHEMA
            draft = ProfileDraft("Demo", DEMO_ID, options={"max_tokens": 200, "temp": 0.7})
            content["demo"] = True
            document.fill(content, document.checked(draft, self.runtimes), draft.name)
            self._write(DEMO_ID, tomlkit.dumps(content), draft.name)

    def _paths(self) -> list[Path]:
        # Hidden files are no profiles: macOS leaves `._name.toml` on foreign disks.
        return sorted(p for p in self._folder.glob("*.toml") if not p.name.startswith("."))

    def _path(self, profile_id: str) -> Path:
        return self._folder / f"{profile_id}.toml"

    def _read(self, path: Path) -> Profile:
        return document.read(path, self.runtimes)

    def _checked_name(self, name: str, existing: Mapping[str, Profile], own_id: str | None) -> str:
        name = document.clean_name(name)
        for other in existing.values():
            if other.id != own_id and other.name.casefold() == name.casefold():
                raise AppError(
                    f"There is already a profile named “{other.name}”.",
                    hint="Choose another name.",
                    code=ErrorCode.NAME_TAKEN,
                )
        return name

    def _be_there(self, name: str) -> None:
        try:
            self.prepare()
        except OSError as error:
            raise _store_failed(name, error) from error

    def _write(self, profile_id: str, text: str, name: str) -> Profile:
        path = self._path(profile_id)
        try:
            files.keep_version(path, paths.backups())
            files.write_atomically(path, text)
        except OSError as error:
            raise _store_failed(name, error) from error
        _log.info("profile %s saved", profile_id)
        return self._read(path)


def unknown_profile(profile_id: str) -> AppError:
    """Return the error for an id that no profile has."""
    return AppError(
        f"There is no profile “{profile_id}”.",
        hint="It may have been deleted or renamed.",
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
        f"“{name}” could not be saved: {error.strerror or error}. Nothing was changed.",
        hint="Free some space or repair the folder, then save again.",
        code=ErrorCode.STORE_FAILED,
    )


def _with_line(fault: ProfileFault) -> str:
    return fault.message.rstrip(".") + (f", line {fault.line}" if fault.line else "")


def _free_id(name: str, existing: Mapping[str, Profile], folder: Path) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    base = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:40] or "profile"
    candidate, number = base, 1
    while candidate in existing or (folder / f"{candidate}.toml").exists():
        number += 1
        candidate = f"{base}-{number}"
    return candidate
