"""The short ways through the app: the first-run sheet and the command palette."""

from collections.abc import Callable, Mapping

from PySide6.QtCore import QObject
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QWidget

from app.gui.main_window.model_actions import ModelActions
from app.gui.main_window.palette_actions import PaletteActions
from app.gui.main_window.session import Session
from app.gui.main_window.welcoming import Welcoming
from app.gui.memory import Memory


class QuickWays(QObject):
    """Belongs to the window; `deeds` do what the palette offers besides the commands."""

    def __init__(
        self,
        session: Session,
        models: ModelActions,
        actions: Mapping[str, QAction],
        deeds: Mapping[str, Callable[[str], object]],
        memory: Memory,
        window: QWidget,
    ) -> None:
        super().__init__(window)
        self.welcoming = Welcoming(session, memory, window)
        self.welcoming.download_wanted.connect(models.download_and_run)
        self.welcoming.demo_wanted.connect(session.start)
        self.welcoming.failed.connect(session.failed)
        self.palette = PaletteActions(session.mirror, actions, deeds, memory, window)

    def commands(self) -> dict[str, Callable[[], object]]:
        """Return what the menus offer, by the command's id."""
        return {"palette": self.palette.toggle, "welcome": self.welcoming.open}
