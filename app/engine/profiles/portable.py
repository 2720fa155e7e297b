"""Profiles as files that other computers can import: written, read, and judged value by value."""

import ipaddress
import json
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any, cast

import msgspec
import tomlkit

from app import __version__
from app.engine.profiles import document
from app.engine.runtimes.base import Runtimes
from app.wire.errors import AppError, ErrorCode
from app.wire.nouns import Profile, ProfileDraft
from app.wire.options import Option, OptionKind, OptionValue, check_option, value_text
from app.wire.policy import POLICIES
from app.wire.portable import (
    FORMAT,
    FORMAT_VERSION,
    SUFFIX,
    Consent,
    ImportEntry,
    ImportPreview,
    ImportValue,
)
from app.wire.reading import read_toml

_MOST = 200
"""Profiles in one file; more are no file of ours."""
_MODEL = "model"


class Found(msgspec.Struct, frozen=True):
    """One profile of an import: what it says, checked, and what cannot be taken over."""

    entry: ImportEntry
    draft: ProfileDraft | None
    """With everything that needs consent; None for one that cannot be imported."""


def export_text(profile: Profile) -> str:
    """Return a profile as the text of a file that other computers can import.

    Raises AppError for a broken profile.
    """
    if profile.fault is not None:
        raise AppError(
            f"“{profile.name}” cannot be exported: {profile.fault.message}",
            hint="Repair the profile's file first.",
            code=ErrorCode.PROFILE_BROKEN,
        )
    content = tomlkit.document()
    content.add(tomlkit.comment("For MLX Model Manager: which model, and how to serve it."))
    content.add(tomlkit.comment(f"Open it with the app, or: mlxm import FILE{SUFFIX}"))
    content["format"] = FORMAT
    content["version"] = FORMAT_VERSION
    content["written_by"] = f"MLX Model Manager {__version__}"
    table = tomlkit.table()
    draft = ProfileDraft(
        profile.name, profile.model, profile.runtime, profile.options, profile.policy
    )
    document.fill(table, draft, profile.name)
    profiles = tomlkit.aot()
    profiles.append(table)  # pyright: ignore[reportUnknownMemberType] - tomlkit's own
    content["profile"] = profiles
    return tomlkit.dumps(content)


def read_text(text: str) -> list[dict[str, Any]]:
    """Return the tables of the profiles in an exported file.

    A profile's own file is taken, too. Raises AppError with a sentence that names the line.
    """
    if len(text.encode("utf-8", "replace")) > document.MAX_BYTES:
        raise _unreadable(f"it is larger than {document.MAX_BYTES // 1024} KB")
    try:
        content = read_toml(text)
    except tomllib.TOMLDecodeError as error:
        fault = document.syntax_fault(error)
        where = f" (line {fault.line})" if fault.line else ""
        raise _unreadable(f"{fault.message.rstrip('.')}{where}") from error
    if "format" not in content and {"name", _MODEL} <= content.keys():
        return [content]
    version = content.get("version")
    if content.get("format") != FORMAT or not isinstance(version, int):
        raise _unreadable(f"it is no file of profiles; there “format” is “{FORMAT}”")
    if version > FORMAT_VERSION:
        raise _unreadable("it was written by a newer version of this app")
    profiles = content.get("profile")
    is_list = isinstance(profiles, list) and len(cast("list[Any]", profiles)) <= _MOST
    if not is_list or not all(isinstance(p, dict) for p in cast("list[Any]", profiles)):
        raise _unreadable("it has no [[profile]]")
    return cast("list[dict[str, Any]]", profiles)


def judge(
    tables: Iterable[Mapping[str, Any]],
    runtimes: Runtimes,
    existing: Mapping[str, Profile],
    notes: Mapping[int, list[str]] | None = None,
) -> list[Found]:
    """Return what each table would become here, under a name that is free."""
    taken = {profile.name.casefold() for profile in existing.values()}
    found: list[Found] = []
    for number, table in enumerate(tables):
        one = _judged(number, dict(table), runtimes, taken, (notes or {}).get(number, []))
        taken.add(one.entry.name.casefold())
        found.append(one)
    return found


def preview(found: Iterable[Found]) -> ImportPreview:
    """Return what front ends are shown."""
    return ImportPreview(tuple(one.entry for one in found))


def allowed_draft(one: Found, allow: Iterable[str]) -> tuple[ProfileDraft | None, list[str]]:
    """Return a profile without what needs consent and has none, and what that leaves out."""
    allowed, entry = set(allow), one.entry
    if one.draft is None:
        return None, [f"{entry.original_name}: {entry.problem}"]
    refused = {
        value.key.partition(".")[2]: value
        for value in entry.values
        if value.consent is not None and not allowed & {value.key, value.consent.value}
    }
    lines = [f"{entry.name}: {v.label} ({v.value})" for v in refused.values()]
    if _MODEL in refused:
        return None, lines
    keep = {
        part: {name: v for name, v in getattr(one.draft, part).items() if name not in refused}
        for part in ("options", "policy")
    }
    return msgspec.structs.replace(one.draft, **keep), lines


def _judged(
    number: int, table: dict[str, Any], runtimes: Runtimes, taken: set[str], notes: list[str]
) -> Found:
    try:
        draft = document.draft_of(table)
        # Without its options, which are judged one by one.
        plain = msgspec.structs.replace(draft, options={}, policy={})
        document.checked(plain, runtimes)
        original = document.clean_name(draft.name)
    except AppError as error:
        name = str(table.get("name") or f"Profile {number + 1}")[:80]
        return Found(ImportEntry(number, name, name, "", problem=error.message), None)
    rows = runtimes[draft.runtime].info.options
    notes = [*notes]
    options = _good_values(draft.options, rows, notes)
    policy = _good_values(draft.policy, POLICIES, notes)
    values = [
        *_model_value(number, draft.model.strip()),
        *_values(number, options, rows),
        *_values(number, policy, POLICIES),
    ]
    entry = ImportEntry(
        number, document.free_name(original, taken), original, draft.model.strip(),
        tuple(values), tuple(notes),
    )  # fmt: skip
    wanted = ProfileDraft(entry.name, entry.model, draft.runtime, options, policy)
    return Found(entry, wanted)


def _good_values(
    values: Mapping[str, Any], rows: tuple[Option, ...], notes: list[str]
) -> dict[str, OptionValue]:
    """Return the values that work here; of the others, a sentence each goes to the notes."""
    table = {row.name: row for row in rows}
    good: dict[str, OptionValue] = {}
    for name, value in values.items():
        if name not in table:
            notes.append(f"This app has no option “{name[:40]}”, so it is left out.")
            continue
        try:
            good[name] = check_option(table[name], value)
        except AppError as error:
            notes.append(f"{error.message.rstrip('.')}, so it is left out.")
    return good


def _model_value(number: int, model: str) -> list[ImportValue]:
    if not _is_path(model):
        return []
    return [ImportValue(f"{number}.{_MODEL}", "Model folder", model, "not set", Consent.PATHS)]


def _values(
    number: int, values: Mapping[str, OptionValue], rows: tuple[Option, ...]
) -> list[ImportValue]:
    return [
        ImportValue(
            f"{number}.{row.name}", row.label, value_text(row, values[row.name]),
            value_text(row, None), _consent(row, values[row.name]),
        )
        for row in rows
        if row.name in values and values[row.name] != row.default
    ]  # fmt: skip


def _consent(row: Option, value: OptionValue) -> Consent | None:
    if row.name == "trust_remote_code":
        return Consent.CODE if value else None
    if row.name == "environment":
        return Consent.ENVIRONMENT if json.loads(str(value)) else None
    if "host" in row.name.split("_"):
        return None if _is_loopback(str(value)) else Consent.NETWORK
    if row.kind is OptionKind.PATH or (isinstance(value, str) and _is_path(value)):
        return Consent.PATHS if value else None
    return None


def _is_path(text: str) -> bool:
    # Also in steps upwards: from the app's folder they reach everything.
    return text.startswith(("/", "~", "\\")) or ".." in text.split("/") or text[1:3] == ":\\"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.casefold() in ("", "localhost")


def _unreadable(reason: str) -> AppError:
    return AppError(
        f"The file cannot be imported: {reason}.",
        hint="Export the profile again, or correct the file in a text editor.",
        code=ErrorCode.BAD_REQUEST,
    )
