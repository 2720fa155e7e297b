"""What a profile's file says: its tables, its faults and the lines that they are in."""

import contextlib
import hashlib
import re
import tomllib
from pathlib import Path
from typing import Any, cast

import msgspec
import tomlkit
from tomlkit.exceptions import TOMLKitError

from app.engine.runtimes.base import Runtimes
from app.wire.errors import AppError, ErrorCode
from app.wire.nouns import Profile, ProfileDraft, ProfileFault
from app.wire.options import check_options
from app.wire.policy import POLICIES
from app.wire.reading import quoted, read_toml

SCHEMA = 1
MAX_BYTES = 256 * 1024
_NAME_LIMIT = 80
_OURS = frozenset({"name", "model", "runtime", "options", "policy"})
_SCATTERED = "its options are scattered; put them together below a line [options]"
_PATH_LIMIT = 1024


def read(path: Path, runtimes: Runtimes) -> Profile:
    """Return the profile in a file; one that cannot be used carries its fault."""
    data, text = b"", ""
    try:
        data = path.read_bytes()
        if len(data) > MAX_BYTES:
            raise AppError(f"{path.name} is larger than {MAX_BYTES // 1024} KB.")  # noqa: TRY301
        text = data.decode("utf-8")
        return _profile(path, read_toml(text), _revision(data), runtimes)
    except tomllib.TOMLDecodeError as error:
        fault = syntax_fault(error)
    except UnicodeDecodeError:
        fault = ProfileFault("The file is not UTF-8 text.", line=1)
    except OSError as error:
        fault = ProfileFault(f"The file cannot be read: {error.strerror}.")
    except AppError as error:
        fault = ProfileFault(error.message, line_of(text, error))
    name = _written_name(text) or path.stem
    return Profile(path.stem, name, "", revision=_revision(data), path=str(path), fault=fault)


def _profile(path: Path, table: dict[str, Any], revision: str, runtimes: Runtimes) -> Profile:
    schema = table.get("schema", SCHEMA)
    if not isinstance(schema, int) or schema > SCHEMA:
        raise AppError(f"“schema” {quoted(schema)} was written by a newer version of this app.")
    draft = checked(draft_of(table), runtimes)
    return Profile(
        id=path.stem,
        name=clean_name(table["name"]),
        model=table["model"].strip(),
        runtime=draft.runtime,
        options=draft.options,
        policy=draft.policy,
        is_demo=table.get("demo") is True,
        revision=revision,
        path=str(path),
    )


def draft_of(table: dict[str, Any]) -> ProfileDraft:
    """Return what a table holds, its options and policy unchecked. Raises AppError."""
    runtime = table.get("runtime", "mlx_lm")
    for key, value in (
        ("name", table.get("name")), ("model", table.get("model")), ("runtime", runtime),
    ):  # fmt: skip
        if not isinstance(value, str) or not value.strip():
            raise AppError(f"“{key}” is missing or not text.")
    return ProfileDraft(
        table["name"], table["model"], runtime,
        _sub_table(table, "options"), _sub_table(table, "policy"),
    )  # fmt: skip


def checked(draft: ProfileDraft, runtimes: Runtimes) -> ProfileDraft:
    """Return the draft checked against its runtime's options and the policies. Raises AppError."""
    runtime = runtimes.get(draft.runtime)
    if runtime is None:
        known = ", ".join(runtimes)
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


def fill(document: Any, draft: ProfileDraft, name: str) -> None:
    """Make a document hold a checked draft; comments of what stays stay too."""
    document["name"] = name
    document["model"] = draft.model.strip()
    document["runtime"] = draft.runtime
    _write_table(document, "options", draft.options)
    _write_table(document, "policy", draft.policy)


def rewritten(text: str, draft: ProfileDraft, name: str) -> str:
    """Return a file's text with a checked draft in it; comments and unknown keys stay.

    Raises ValueError for a text that cannot be changed without harm.
    """
    try:
        content = tomlkit.parse(text)
        fill(content, draft, name)
        new_text = tomlkit.dumps(content)
    except (TOMLKitError, LookupError, TypeError, AttributeError, RecursionError) as error:
        # TOMLKit loses its way in tables whose keys are scattered over the file.
        raise ValueError(_SCATTERED) from error
    table, before = read_toml(new_text), read_toml(text)
    said = (table["name"], _sub_table(table, "options"), _sub_table(table, "policy"))
    rest = {key: value for key, value in table.items() if key not in _OURS}
    if said != (name, draft.options, draft.policy) or rest != {
        key: value for key, value in before.items() if key not in _OURS
    }:
        raise ValueError(_SCATTERED)
    return new_text


def _sub_table(table: dict[str, Any], name: str) -> dict[str, Any]:
    value: Any = table.get(name, {})
    if not isinstance(value, dict):
        raise AppError(f"[{name}] is not a table.")
    return cast(dict[str, Any], value)


def _write_table(document: Any, name: str, values: dict[str, Any]) -> None:
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


def clean_name(text: str) -> str:
    """Return a profile's name without the space around it. Raises AppError."""
    name = text.strip()
    if not name or len(name) > _NAME_LIMIT or not name.isprintable():
        raise AppError(
            f"A profile's “name” has 1 to {_NAME_LIMIT} printable characters.",
            code=ErrorCode.BAD_REQUEST,
        )
    return name


def free_name(wanted: str, taken: set[str]) -> str:
    """Return the name, with a number where it is taken; `taken` holds case-folded names."""
    name, number = wanted, 1
    while name.casefold() in taken:
        number += 1
        suffix = f" {number}"
        name = wanted[: _NAME_LIMIT - len(suffix)].rstrip() + suffix
    return name


def _revision(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def syntax_fault(error: tomllib.TOMLDecodeError) -> ProfileFault:
    """Return the parser's message as a sentence, and its line, which is told on its own."""
    message, _, place = str(error).partition(" (at line ")
    return ProfileFault(f"{message}.", int(place.partition(",")[0]) if place else None)


def _written_name(text: str) -> str | None:
    """Return the name that a broken file has on a line of its own, before its first table."""
    head = re.split(r"^\s*\[", text, maxsplit=1, flags=re.MULTILINE)[0]
    for line in re.findall(r"^\s*name\s*=.*$", head, re.MULTILINE):
        with contextlib.suppress(tomllib.TOMLDecodeError, AppError):
            return clean_name(str(read_toml(line)["name"]))
    return None


def line_of(text: str, error: AppError) -> int | None:
    """Return the line that holds the option or key which the message names, if there is one."""
    names = re.findall(r"\((\w+)\)|“(\w+)”", error.message)
    for name in (part for pair in names for part in pair if part):
        for number, line in enumerate(text.splitlines(), start=1):
            if re.match(rf"\s*{re.escape(name)}\s*=", line):
                return number
    return None
