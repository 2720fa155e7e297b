"""A widget that has just come fades in from the ground behind it."""

from PySide6.QtCore import QEasingCurve, Qt, QVariantAnimation
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

_MS = 160


class _Veil(QWidget):
    """Lies over the widget in the colour of the ground and grows transparent, then goes.

    A graphics effect would paint the widget through a picture of its own at every step.
    """

    def __init__(self, target: QWidget, ground: QColor) -> None:
        super().__init__(target)
        self._ground = QColor(ground)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setGeometry(target.rect())
        self._animation = QVariantAnimation(self)
        self._animation.setDuration(_MS)
        self._animation.setStartValue(1.0)
        self._animation.setEndValue(0.0)
        self._animation.setEasingCurve(QEasingCurve.Type.OutCubic)
        self._animation.valueChanged.connect(self._on_step)
        self._animation.finished.connect(self.deleteLater)
        self.show()
        self.raise_()
        self._animation.start()

    def _on_step(self, alpha: object) -> None:
        self._ground.setAlphaF(float(str(alpha)))
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        QPainter(self).fillRect(self.rect(), self._ground)


def fade_in(target: QWidget, ground: QColor) -> None:
    """Let `target`, which stands on `ground`, appear in a sixth of a second."""
    _Veil(target, ground)
