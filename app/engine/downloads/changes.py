"""Changes of the models on disk that a scan, begun earlier, cannot know."""

import time
from collections.abc import Iterable

from app.wire.nouns import Model


class ModelChanges:
    """Models that came or went, with the monotonic time of that."""

    def __init__(self) -> None:
        self._changes: dict[str, tuple[float, Model | None]] = {}

    def note(self, model_id: str, model: Model | None) -> None:
        """Take note that a model is there now, or that it is gone."""
        self._changes[model_id] = (time.monotonic(), model)

    def merge(self, models: Iterable[Model], *, since: float) -> list[Model]:
        """Return what a scan that started at `since` found, with the changes that came later."""
        found = {model.id: model for model in models}
        for model_id, (at, model) in list(self._changes.items()):
            if at < since:
                del self._changes[model_id]
            elif model is None:
                found.pop(model_id, None)
            else:
                found[model_id] = model
        return list(found.values())
