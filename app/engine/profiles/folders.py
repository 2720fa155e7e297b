"""The folders that a profile's options name beside its model, as the server is to get them."""

import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from app.wire.errors import AppError
from app.wire.nouns import Profile
from app.wire.portable import FieldProblem


def with_folders(
    profile: Profile, find_model: Callable[[str], Path]
) -> tuple[Profile, tuple[FieldProblem, ...]]:
    """Return the profile with folders in such options, and what is wrong with those it names.

    find_model: returns the folder of a model, or raises AppError. mlx-lm itself knows neither the
    models of other programs nor `~`.
    """
    options = dict(profile.options)
    problems: list[FieldProblem] = []
    if draft := str(options.get("draft_model", "")).strip():
        try:
            options["draft_model"] = str(find_model(draft))
        except AppError as error:
            sentence = f"The draft model cannot be used: {error.message}"
            problems.append(FieldProblem("draft_model", sentence))
    if adapter := str(options.get("adapter_path", "")).strip():
        # Not Path.expanduser, which raises for a user that does not exist.
        folder = Path(os.path.expanduser(adapter))  # noqa: PTH111
        options["adapter_path"] = str(folder)
        if not (folder / "adapter_config.json").is_file():
            what = "has no adapter_config.json" if folder.is_dir() else "does not exist"
            sentence = f"The adapter folder {folder} {what}."
            problems.append(FieldProblem("adapter_path", sentence))
    return msgspec.structs.replace(profile, options=options), tuple(problems)
