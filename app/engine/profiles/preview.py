"""What a draft would start, and what is wrong with it, before anything is saved."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec

from app.engine.listen import holder, is_free
from app.engine.profiles import document
from app.engine.profiles.folders import with_folders
from app.engine.runtimes.base import Runtimes
from app.wire.errors import AppError
from app.wire.nouns import Profile, ProfileDraft
from app.wire.options import Option, check_option
from app.wire.policy import POLICIES
from app.wire.portable import FieldProblem, LaunchPreview

_PORT = "public_port"


def preview(
    draft: ProfileDraft,
    runtimes: Runtimes,
    existing: Mapping[str, Profile],
    find_model: Callable[[str], Path],
    bound: Callable[[Profile, Path], Profile],
) -> LaunchPreview:
    """Return the command of a draft and its problems. May block for seconds, on another Python.

    existing: all profiles by id. bound: adds the limits that a start would have.
    """
    runtime = runtimes.get(draft.runtime)
    rows = runtime.info.options if runtime is not None else ()
    own = existing.get(draft.id)
    others = [profile for profile in existing.values() if profile is not own]
    problems = [*_name_problems(draft.name, others)]
    options, bad_options = _checked(draft.options, rows)
    policy, bad_policy = _checked(draft.policy, POLICIES)
    problems += [*bad_options, *bad_policy, *_port_problems(policy, own, others)]
    model = draft.model.strip()
    try:
        folder = str(find_model(model)) if model else ""
    except AppError as error:
        problems.append(FieldProblem("model", f"{error.message} {error.hint}".strip()))
        folder = model
    if runtime is None or not folder:
        return LaunchPreview("", tuple(problems))
    profile = Profile("", draft.name, model, draft.runtime, options, policy)
    served, bad_folders = with_folders(profile, find_model)
    found = runtime.preview(bound(served, Path(folder)), folder)
    return msgspec.structs.replace(found, problems=(*problems, *bad_folders, *found.problems))


def _name_problems(name: str, others: list[Profile]) -> Iterator[FieldProblem]:
    try:
        name = document.clean_name(name)
    except AppError as error:
        yield FieldProblem("name", error.message)
        return
    for other in others:
        if other.name.casefold() == name.casefold():
            yield FieldProblem("name", f"There is already a profile named “{other.name}”.")


def _checked(
    values: Mapping[str, object], rows: tuple[Option, ...]
) -> tuple[dict[str, bool | int | float | str], list[FieldProblem]]:
    table = {row.name: row for row in rows}
    good: dict[str, bool | int | float | str] = {}
    problems: list[FieldProblem] = []
    for name, value in values.items():
        if name not in table:
            problems.append(FieldProblem(name, f"There is no option “{name}”."))
            continue
        try:
            good[name] = check_option(table[name], value)
        except AppError as error:
            problems.append(FieldProblem(name, error.message))
    return good, problems


def _port_problems(
    policy: Mapping[str, object], own: Profile | None, others: list[Profile]
) -> Iterator[FieldProblem]:
    port = policy.get(_PORT)
    if not isinstance(port, int) or isinstance(port, bool) or not port:
        return
    rival = next((p for p in others if p.policy.get(_PORT) == port), None)
    if rival is not None:
        yield FieldProblem(_PORT, f"“{rival.name}” has port {port}. Choose another one.")
    elif (own is None or own.policy.get(_PORT) != port) and not is_free(port):
        yield FieldProblem(_PORT, f"Port {port} is taken by {holder(port)}. Choose another one.")
