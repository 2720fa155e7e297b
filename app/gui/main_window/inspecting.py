"""Opens the inspector on models and servers."""

from collections.abc import Callable

from PySide6.QtCore import QObject, Signal

from app.gui.inspector.frame import Inspector
from app.gui.inspector.model.page import ModelPage
from app.gui.inspector.page import InspectorPage
from app.gui.inspector.server.page import ServerPage, key_of
from app.gui.main_window.session import Session
from app.gui.mirror import Mirror


class Inspecting(QObject):
    """Makes the pages of the inspector and hands them what they may use."""

    model_wish = Signal(object)  # Wish

    def __init__(self, session: Session, inspector: Inspector) -> None:
        super().__init__(inspector)
        self._session = session
        self._inspector = inspector
        self._server_tab = ""
        session.ended.connect(self._leave)

    @property
    def _mirror(self) -> Mirror:
        return self._session.mirror

    def show_model(self, model_id: str) -> None:
        """Show a model, on this disk or on the hub."""
        self._open(f"model:{model_id}", lambda: self._model_page(model_id))

    def _model_page(self, model_id: str) -> ModelPage:
        page = ModelPage(self._mirror, model_id, self._session.call)
        page.wish.connect(self.model_wish)
        return page

    def show_server(self, server_id: str, tab: str = "") -> None:
        """Show a server; without a tab the one that was chosen last, at first the overview."""
        self._open(key_of(server_id), lambda: self._server_page(server_id))
        page = self._inspector.page
        if isinstance(page, ServerPage):
            if tab:
                page.show_tab(tab)
            page.current().focus_first()

    def show_log(self, server_id: str) -> None:
        """Show the log of a server, which follows it."""
        self.show_server(server_id, "log")

    def _server_page(self, server_id: str) -> ServerPage:
        page = ServerPage(self._session, server_id, self._server_tab)
        page.tab_chosen.connect(self._remember_tab)
        return page

    def _remember_tab(self, tab: str) -> None:
        self._server_tab = tab

    def _leave(self) -> None:
        if isinstance(self._inspector.page, ServerPage):
            self._inspector.page.leave()

    def _open(self, key: str, make: Callable[[], InspectorPage]) -> None:
        page = self._inspector.page
        if page is None or page.key != key:
            self._inspector.show_page(make())
