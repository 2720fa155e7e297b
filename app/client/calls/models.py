"""Calls about models on the disk and on the hub."""

import msgspec

from app.client.calls.link import Link, query_text, quote_part
from app.wire.hub import Fit, HubDetails, HubPage, HubQuery
from app.wire.nouns import Model

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

    def remove_model(self, model_id: str) -> int:
        """Delete a model from the hub's cache; return the bytes that this freed."""
        path = f"/api/models/{quote_part(model_id)}"
        data = self.request("DELETE", path, timeout=_DELETE_S)
        return self.decode(data, dict[str, int])["freed_bytes"]

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
