"""`mlxm export` and `mlxm import`: profiles that go to other computers and come from them."""

import argparse
import sys
from pathlib import Path

from app import paths
from app.client.api import Api
from app.wire.errors import AppError, ErrorCode
from app.wire.nouns import Profile
from app.wire.portable import CONSENT_TEXT, SUFFIX, Consent, ImportEntry, ImportRequest

_MOST_BYTES = 256 * 1024
_STANDARD = "-"


def set_up_export(parser: argparse.ArgumentParser) -> None:
    """Give a parser what `mlxm export` takes."""
    parser.add_argument("profile", metavar="PROFILE", help="its name or id")
    parser.add_argument(
        "file", metavar="FILE", nargs="?",
        help=f"where to (default: its name with {SUFFIX}; - is standard output)",
    )  # fmt: skip
    parser.set_defaults(run=export)


def set_up_import(parser: argparse.ArgumentParser) -> None:
    """Give a parser what `mlxm import` takes."""
    parser.add_argument("file", metavar="FILE", help="the file; - is standard input")
    parser.add_argument(
        "--allow", metavar="KINDS", default="",
        help="what may be taken over, by commas: " + ", ".join([*Consent, "all"]),
    )  # fmt: skip
    parser.add_argument("--preview", action="store_true", help="show it and change nothing")
    parser.set_defaults(run=import_file)


def export(api: Api, options: argparse.Namespace) -> int:
    """Write a profile to a file, never over another one."""
    profile = find_profile(api, options.profile)
    text = api.export_profile(profile.id)
    if options.file == _STANDARD:
        sys.stdout.write(text)
        return 0
    path = Path(options.file or f"{profile.name.replace('/', '-')}{SUFFIX}")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise AppError(
            f"{path} could not be written: {error.strerror or error}.",
            hint="Name another file.",
            code=ErrorCode.STORE_FAILED,
        ) from error
    print(f"{profile.name} is in {path}")
    return 0


def import_file(api: Api, options: argparse.Namespace) -> int:
    """Make the profiles of a file; what needs consent and has none is shown and left out."""
    request = ImportRequest(_read(options.file), allow=_allowed(options.allow))
    entries = api.preview_import(request).entries
    for entry in entries:
        _show(entry, request.allow)
    if options.preview:
        return 0
    result = api.import_profiles(request)
    for profile in result.profiles:
        print(f"Imported {profile.name} ({profile.id})")
    for line in result.left_out:
        print(f"Left out: {line}", file=sys.stderr)
    if not result.profiles:
        print("mlxm: Nothing was imported.", file=sys.stderr)
        return 1
    return 0


def find_profile(api: Api, text: str) -> Profile:
    """Return the profile of an id or a name. Raises AppError when there is none."""
    profiles = api.profiles()
    named = [p for p in profiles if p.name.casefold() == text.casefold()]
    found = next((p for p in profiles if p.id == text), None) or next(iter(named), None)
    if found is None:
        raise AppError(
            f"There is no profile “{text}”.",
            hint=f"mlxm list shows all; they are files in {paths.profiles()}.",
            code=ErrorCode.NOT_FOUND,
        )
    return found


def _show(entry: ImportEntry, allowed: tuple[str, ...]) -> None:
    print(f"{entry.name}: {entry.model or entry.problem}")
    if entry.problem and entry.model:
        print(f"  {entry.problem}")
    for value in entry.values:
        print(f"  {value.label}: {value.value} (default: {value.default})")
        if value.consent is not None and value.consent.value not in allowed:
            print(f"    {CONSENT_TEXT[value.consent]} Needs --allow {value.consent.value}")
    for note in entry.notes:
        print(f"  {note}")


def _allowed(text: str) -> tuple[str, ...]:
    kinds = [word.strip() for word in text.split(",") if word.strip()]
    if kinds == ["all"]:
        return tuple(kind.value for kind in Consent)
    unknown = [kind for kind in kinds if kind not in list(Consent)]
    if unknown:
        raise AppError(
            f"There is nothing called “{unknown[0]}” to allow.",
            hint="It is one of " + ", ".join([*Consent, "all"]) + ".",
            code=ErrorCode.BAD_REQUEST,
        )
    return tuple(kinds)


def _read(name: str) -> str:
    try:
        if name == _STANDARD:
            return sys.stdin.read(_MOST_BYTES + 1)
        with Path(name).open("rb") as file:
            return file.read(_MOST_BYTES + 1).decode("utf-8-sig")
    except OSError as error:
        reason = error.strerror or str(error)
    except UnicodeDecodeError:
        reason = "it is not UTF-8 text"
    raise AppError(f"{name} cannot be imported: {reason}.", code=ErrorCode.BAD_REQUEST)
