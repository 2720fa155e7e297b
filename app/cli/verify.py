"""`mlxm verify`: compares a model's files with their checksums."""

import argparse
import sys

from app.client.api import Api
from app.wire.errors import AppError, ErrorCode
from app.wire.events import Event, Removed, Snapshot, Upsert, decode_item
from app.wire.nouns import CheckState, Model


def set_up(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("model", metavar="ID", help="its id on the hub, author/name, or its folder")
    parser.set_defaults(run=verify)


def verify(api: Api, options: argparse.Namespace) -> int:
    """Check a model and show how far that is. Ctrl-C ends the check."""
    model = api.verify_model(options.model)
    try:
        check = _follow(api, model.id)
    except KeyboardInterrupt:
        api.stop_verify(model.id)
        raise
    if sys.stdout.isatty():
        sys.stdout.write("\r")
    if check.check is None:
        raise AppError(f"The check of {model.name} was ended.", code=ErrorCode.NOT_FOUND)
    if check.check.state is CheckState.INTACT:
        print(f"{model.name}: {check.check.text}")
        return 0
    for name in check.check.damaged:
        print(name)
    raise AppError(
        f"{model.name}: {check.check.text}.",
        hint=f"mlxm pull --verify {model.id} fetches what is damaged."
        if check.check.state is CheckState.DAMAGED and not model.id.startswith("/")
        else "",
        code=ErrorCode.CHECKSUM_WRONG,
    )


def _follow(api: Api, model_id: str) -> Model:
    """Return the model when its check has ended."""
    shown = ""
    for event in api.events():
        model = _of_event(event, model_id)
        if model is None:
            continue
        if model.check is None or not model.check.state.is_active:
            return model
        if sys.stdout.isatty() and model.check.text != shown:
            shown = model.check.text
            sys.stdout.write(f"\r{shown}   ")
            sys.stdout.flush()
    raise AppError("The engine has ended.", code=ErrorCode.ENGINE_GONE)


def _of_event(event: Event, model_id: str) -> Model | None:
    """Return the model if the event tells of it. Raises AppError when it is gone."""
    match event:
        case Snapshot(models=models):
            found = next((m for m in models if m.id == model_id), None)
            if found is None:
                raise _gone(model_id)
            return found
        case Upsert(kind="model"):
            item = decode_item(event)
            return item if isinstance(item, Model) and item.id == model_id else None
        case Removed(kind="model", id=gone) if gone == model_id:
            raise _gone(model_id)
        case _:
            return None


def _gone(model_id: str) -> AppError:
    return AppError(f"{model_id} is not on this disk any more.", code=ErrorCode.NOT_FOUND)
