"""Opens the inspector on models and servers."""

from collections.abc import Callable

from PySide6.QtCore import QObject

from app.gui.inspector.frame import Inspector
from app.gui.inspector.page import InspectorPage
from app.gui.main_window.session import Session
from app.gui.mirror import Mirror


class Inspecting(QObject):
    """Makes the pages of the inspector and hands them what they may use."""

    def __init__(self, session: Session, inspector: Inspector) -> None:
        super().__init__(inspector)
        self._session = session
        self._inspector = inspector

    @property
    def _mirror(self) -> Mirror:
        return self._session.mirror

    def _open(self, key: str, make: Callable[[], InspectorPage]) -> None:
        page = self._inspector.page
        if page is None or page.key != key:
            self._inspector.show_page(make())
