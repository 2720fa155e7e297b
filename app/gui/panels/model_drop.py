"""Where a model that is dragged from the list can be dropped to be run."""

from PySide6.QtCore import QRectF, Qt, Signal
from PySide6.QtGui import QColor, QDropEvent, QFontMetrics, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

from app.gui.mirror import Mirror
from app.gui.models.model_list import MIME
from app.gui.theme import theme
from app.gui.widgets import icons

_INSET = 10
_HEIGHT = 52
_ICON = 16


class ModelDrop(QWidget):
    """Covers the panel while a model is dragged over it and says what a drop does."""

    dropped = Signal(object)  # str, the model's id

    def __init__(self, mirror: Mirror, parent: QWidget) -> None:
        super().__init__(parent)
        self._mirror = mirror
        self._panel = parent
        self._text = ""
        self._can_run = False
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.hide()

    def text(self) -> str:
        """Return what the cover says; empty while nothing is dragged."""
        return "" if self.isHidden() else self._text

    def take(self, event: QDropEvent) -> None:
        """Accept a drag of a model that can be run; tell what is wrong with any other model."""
        model_id = _model_of(event)
        if model_id is None:
            return
        model = self._mirror.models.get(model_id)
        name = model_id.rpartition("/")[2] if model is None else model.name
        problem = None if model is None else model.problem
        self._can_run = problem is None and not self._mirror.is_stale
        if problem is not None:
            self._text = self.tr("{name} cannot be run").format(name=name)
        elif self._mirror.is_stale:
            self._text = self.tr("The engine does not answer.")
        else:
            self._text = self.tr("Run {name}").format(name=name)
        if self._can_run:
            event.acceptProposedAction()
        self.setGeometry(self._panel.rect())
        self.show()
        self.raise_()
        self.update()

    def drop(self, event: QDropEvent) -> None:
        """Run what was dropped."""
        self.hide()
        model_id = _model_of(event)
        if model_id is not None and self._can_run:
            event.acceptProposedAction()
            self.dropped.emit(model_id)

    def paintEvent(self, _event: QPaintEvent) -> None:
        colours = theme()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        frame = QRectF(self.rect()).adjusted(_INSET, _INSET, -_INSET, -_INSET)
        ink = colours.color("acc" if self._can_run else "bad")
        ground = QColor(colours.color("win"))
        ground.setAlphaF(0.72)
        painter.fillRect(self.rect(), ground)
        tint = QColor(ink)
        tint.setAlphaF(0.08)
        painter.setBrush(tint)
        painter.setPen(QPen(ink, 2))
        painter.drawRoundedRect(frame, 12, 12)
        self._paint_label(painter, frame, ink)

    def _paint_label(self, painter: QPainter, frame: QRectF, ink: QColor) -> None:
        font = theme().font("tile")
        metrics = QFontMetrics(font)
        text = metrics.elidedText(
            self._text, Qt.TextElideMode.ElideMiddle, int(frame.width()) - 120
        )
        width = metrics.horizontalAdvance(text) + _ICON + 8 + 40
        box = QRectF(
            frame.center().x() - width / 2, frame.center().y() - _HEIGHT / 2, width, _HEIGHT
        )
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme().color("fill") if self._can_run else ink)
        painter.drawRoundedRect(box, _HEIGHT / 2, _HEIGHT / 2)
        colour = theme().tokens.on_fill if self._can_run else theme().tokens.card
        name = "play" if self._can_run else "triangle-alert"
        mark = icons.pixmap(name, colour, _ICON, self.devicePixelRatioF())
        painter.drawPixmap(round(box.left()) + 20, round(box.center().y() - _ICON / 2), mark)
        painter.setFont(font)
        painter.setPen(QColor(colour))
        painter.drawText(
            box.adjusted(20 + _ICON + 8, 0, -16, 0), Qt.AlignmentFlag.AlignVCenter, text
        )


def _model_of(event: QDropEvent) -> str | None:
    data = event.mimeData()
    if not data.hasFormat(MIME):
        return None
    try:
        return bytes(data.data(MIME).data()).decode()
    except UnicodeDecodeError:
        return None
