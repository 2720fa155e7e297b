"""Calls about models on the disk and on the hub."""

import msgspec

from app.client.calls.link import Link, query_text, quote_part
from app.wire.hub import Fit, HubDetails, HubPage, HubQuery
from app.wire.nouns import Model
from app.wire.scan import Place
from app.wire.storage import Leftover, Removal, Removed

_DELETE_S = 120.0
"""A slow external disk takes its time to delete many gigabytes."""


class ModelCalls(Link):
    """Calls about models on the disk and on the hub."""

    def models(self) -> list[Model]:
        """Return the models on the engine's disk."""
        return self.get("/api/models", list[Model])

    def scan_models(self) -> None:
        """Have the engine look at its disk again."""
        self.request("POST", "/api/models/scan")

    def verify_model(self, model_id: str) -> Model:
        """Begin to compare a model's files with their checksums; does not wait."""
        return self.send("POST", f"/api/models/{quote_part(model_id)}/verify", None, Model)

    def stop_verify(self, model_id: str) -> None:
        """End the check of a model's files, or forget what it found."""
        self.request("DELETE", f"/api/models/{quote_part(model_id)}/verify")

    def preview_removal(self, model_id: str) -> Removal:
        """Return what deleting a model would do."""
        return self.get(f"/api/models/{quote_part(model_id)}/removal", Removal)

    def remove_model(self, model_id: str, *, location: str = "", force: bool = False) -> Removed:
        """Delete a model from the disk: of several folders the first, or `location`.

        force: in spite of profiles that use it.
        """
        query = query_text(location=location or None, force=int(force) or None)
        path = f"/api/models/{quote_part(model_id)}{query}"
        return self.decode(self.request("DELETE", path, timeout=_DELETE_S), Removed)

    def places(self) -> list[Place]:
        """Return the folders that the engine looks for models in."""
        return self.get("/api/places", list[Place])

    def leftovers(self) -> list[Leftover]:
        """Return unfinished files in the hub's cache that no download owns."""
        return self.get("/api/leftovers", list[Leftover])

    def remove_leftovers(self) -> list[Leftover]:
        """Remove unfinished files that no download owns, and return what was removed."""
        data = self.request("DELETE", "/api/leftovers", timeout=_DELETE_S)
        return self.decode(data, list[Leftover])

    def model_fit(self, model_id: str, *, context: int | None = None) -> Fit:
        """Return whether a model on the engine's disk fits its memory; context in tokens."""
        path = f"/api/models/{quote_part(model_id)}/fit{query_text(context=context)}"
        return self.get(path, Fit)

    def search_hub(self, query: HubQuery) -> HubPage:
        """Return a page of a search of the hub. Blocks up to 16 s."""
        values = {**msgspec.to_builtins(query), "supported": int(query.supported)}
        return self.get(f"/api/hub/search{query_text(**values)}", HubPage)

    def hub_model(self, model_id: str, *, context: int | None = None) -> HubDetails:
        """Return everything about a model on the hub. Blocks up to 16 s; context in tokens."""
        path = f"/api/hub/models/{quote_part(model_id)}{query_text(context=context)}"
        return self.get(path, HubDetails)
