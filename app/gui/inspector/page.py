"""What the inspector shows about one thing."""

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget


class InspectorPage(QWidget):
    """A page on one model or server; made when it is opened, deleted when it is left.

    It shows its own content below the inspector's head and follows the mirror by itself. A page
    whose thing goes away asks to be closed by `closing_wanted`.
    """

    retitled = Signal()
    closing_wanted = Signal()

    def __init__(self, key: str, title: str, subtitle: str = "") -> None:
        super().__init__()
        self.key = key
        """Names the thing, such as `server:coding`."""
        self._title = title
        self._subtitle = subtitle

    @property
    def title(self) -> str:
        """The name of the thing."""
        return self._title

    @property
    def subtitle(self) -> str:
        """A few words below the name."""
        return self._subtitle

    def retitle(self, title: str, subtitle: str) -> None:
        """Change what the head says."""
        if (title, subtitle) != (self._title, self._subtitle):
            self._title, self._subtitle = title, subtitle
            self.retitled.emit()
