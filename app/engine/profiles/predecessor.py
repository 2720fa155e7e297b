"""Profiles of the earlier MLX Manager, read from its database, which is never written."""

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

from app import paths
from app.wire.errors import AppError, ErrorCode

# Tables and columns as in mlx-manager 1.0 to 1.2; a column that is not there is no value.
_TABLES = ("server_profiles", "execution_profiles")
_OPTIONS = {
    "temperature": "temp", "default_temperature": "temp",
    "max_tokens": "max_tokens", "default_max_tokens": "max_tokens",
    "top_p": "top_p", "default_top_p": "top_p",
    "max_concurrency": "decode_concurrency",
    "trust_remote_code": "trust_remote_code",
    "log_level": "log_level",
}  # fmt: skip
_LOST = {
    "system_prompt": "The system prompt is not taken over: here, programs send their own.",
    "context_length": "The context length is not taken over: here, it is the model's own.",
    "chat_template_file": "The file of the chat template is not taken over; paste its text.",
    "tool_call_parser": "The tool parser is not taken over: here, the model's own is found.",
}
_SINGLE = 1
"""Its own default for parallel requests, which says nothing."""


def database() -> Path | None:
    """Return the earlier app's database, None when there is none."""
    path = paths.predecessor_database()
    return path if path.is_file() else None


def read(path: Path) -> tuple[list[dict[str, Any]], dict[int, list[str]]]:
    """Return its profiles as tables for an import, and what cannot be taken over by number.

    Raises AppError when the file cannot be read.
    """
    # Immutable: SQLite then makes neither a lock nor a file beside it.
    address = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    try:
        with contextlib.closing(sqlite3.connect(address, uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            rows = _rows(connection)
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise AppError(
            f"The profiles of the earlier MLX Manager cannot be read: {error}.",
            hint=f"Its database is {path}.",
            code=ErrorCode.BAD_REQUEST,
        ) from error
    return [_table(row) for row in rows], {n: _notes(row) for n, row in enumerate(rows)}


def _rows(connection: sqlite3.Connection) -> list[dict[str, Any]]:
    names = {row["name"] for row in connection.execute("SELECT name FROM sqlite_master")}
    models: dict[Any, str] = {}
    if "models" in names:
        for row in map(dict, connection.execute("SELECT * FROM models")):
            path = row.get("repo_id") or row.get("model_id") or row.get("local_path")
            models[row.get("id")] = str(path or "")
    found: list[dict[str, Any]] = []
    for table in _TABLES:
        if table in names:
            # The name is one of two constants.
            found += map(dict, connection.execute(f"SELECT * FROM {table} ORDER BY id"))  # noqa: S608
    for row in found:
        if not row.get("model_path"):
            row["model_path"] = models.get(row.get("model_id"), "")
    return found


def _table(row: dict[str, Any]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for theirs, ours in _OPTIONS.items():
        value = row.get(theirs)
        if value is not None and not (ours == "decode_concurrency" and value == _SINGLE):
            options[ours] = _converted(ours, value)
    template = row.get("model_options") or row.get("chat_template_kwargs")
    if isinstance(template, str) and template.strip().startswith("{"):
        options["chat_template_args"] = template
    policy = {"start_with_app": True} if row.get("auto_start") else {}
    name, model = str(row.get("name") or ""), str(row.get("model_path") or "")
    return {"name": name, "model": model, "options": options, "policy": policy}


def _converted(name: str, value: Any) -> Any:
    if name == "trust_remote_code":
        return bool(value)
    if name == "log_level":
        return str(value).upper()
    return value


def _notes(row: dict[str, Any]) -> list[str]:
    return [sentence for column, sentence in _LOST.items() if row.get(column)]
