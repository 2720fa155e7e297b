"""Whether the chosen model fits the memory: one word, and the arithmetic behind it."""

import re

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QWidget

from app.gui.models.model_text import fit_word
from app.gui.theme import theme
from app.gui.widgets.pill import Pill
from app.wire.hub import Fit, Verdict

_PAD = 16
_UNIT = re.compile(r"(?<=\d) (?=[KMGT]?B\b)")
"""Between a number and its unit, which stay in one line."""
_INKS = {
    Verdict.FITS: ("ok", "oks"),
    Verdict.TIGHT: ("warn", "warns"),
    Verdict.TOO_BIG: ("bad", "bads"),
    Verdict.UNSUPPORTED: ("bad", "bads"),
    Verdict.UNKNOWN: ("tx2", "chip"),
}


class FitLine(QWidget):
    """Hidden until the fit of a model is known."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.fit: Fit | None = None
        self.pill = Pill(theme().font("label"), self)
        self.label = QLabel(self)
        self.label.setObjectName("settingHelp")
        self.label.setFont(theme().font("secondary"))
        self.label.setWordWrap(True)
        self.label.setTextFormat(Qt.TextFormat.PlainText)
        policy = QSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.label.setSizePolicy(policy)
        row = QHBoxLayout(self)
        row.setContentsMargins(_PAD, 8, _PAD, 10)
        row.setSpacing(10)
        row.addWidget(self.pill, 0, Qt.AlignmentFlag.AlignTop)
        row.addWidget(self.label, 1)
        self.hide()

    def show_fit(self, fit: Fit | None) -> None:
        """Show a fit; None hides the line."""
        self.fit = fit
        if fit is not None:
            word = fit_word(fit) or self.tr("Unknown")
            if fit.verdict is Verdict.UNSUPPORTED:
                word = self.tr("Not supported")
            ink, tint = _INKS[fit.verdict]
            self.pill.set_state(word, theme().color(ink), theme().color(tint))
            sentence = f"{fit.sentence[:1].upper()}{fit.sentence[1:]}"
            self.label.setText(_UNIT.sub("\N{NO-BREAK SPACE}", sentence))
        self.setVisible(fit is not None)

    def apply_theme(self) -> None:
        """Take the colours of the theme that is in use now."""
        self.show_fit(self.fit)
