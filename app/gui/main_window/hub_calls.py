"""How the models panel asks the hub: through the engine, in workers."""

from collections.abc import Callable

from app.gui.main_window.session import Session
from app.gui.panels.hub_results import HubCalls
from app.wire.errors import AppError
from app.wire.hub import Fit, HubDetails, HubPage, HubQuery

HUB_PAGE = "https://huggingface.co/"
"""With a model's id behind it, the address of its page."""


def hub_calls(session: Session) -> HubCalls:
    """Return the calls of a session; each runs in a worker and answers in the GUI thread."""

    def search(
        query: HubQuery,
        on_success: Callable[[HubPage], object],
        on_failure: Callable[[AppError], object],
    ) -> None:
        session.call("search-hub", lambda api: api.search_hub(query), on_success, on_failure)

    def describe(
        model_id: str,
        on_success: Callable[[HubDetails], object],
        on_failure: Callable[[AppError], object],
    ) -> None:
        session.call("hub-model", lambda api: api.hub_model(model_id), on_success, on_failure)

    def measure(
        model_id: str,
        on_success: Callable[[Fit], object],
        on_failure: Callable[[AppError], object],
    ) -> None:
        session.call("row-fit", lambda api: api.model_fit(model_id), on_success, on_failure)

    return HubCalls(search, describe, measure)
