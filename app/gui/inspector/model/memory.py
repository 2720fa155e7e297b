"""Memory against context: a slider, the sum that goes with it, and what that means."""

import html

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QWidget

from app.gui.inspector.model.section import Section
from app.gui.mirror import Mirror
from app.gui.models.memory_plan import Room, first_stop, plan, room_for, stops, tokens
from app.gui.models.model_text import fit_word
from app.gui.theme import theme
from app.gui.widgets.elided_label import ElidedLabel
from app.gui.widgets.parts_bar import BarPart, PartsBar
from app.gui.widgets.pill import Pill
from app.gui.widgets.stop_slider import StopSlider
from app.wire.hub import Fit, Verdict
from app.wire.shape import ModelShape

_TERMS = (
    ("weights ", "memory"),
    ("cache at ", "gpu"),
    ("runtime ", "cpu"),
    ("running servers ", "other"),
)
"""How the terms of the sum begin, and their colours in the bar."""


class MemorySection(Section):
    """Counts by itself while the shape of the model is known; then sliding asks nobody."""

    def __init__(self, mirror: Mirror, model_id: str, parent: QWidget | None = None) -> None:
        super().__init__("", parent)
        self.heading.setText(self.tr("Memory"))
        self._mirror = mirror
        self._id = model_id
        self._shape: ModelShape | None = None
        self._said: Fit | None = None
        self._lengths: tuple[int, ...] = ()
        self.pill = Pill(theme().font("label"), self)
        self.summary = ElidedLabel(theme().font("body"), parent=self)
        self.bar = PartsBar(self)
        self.sentence = QLabel(self)
        self.sentence.setFont(theme().font("secondary"))
        self.sentence.setObjectName("settingHelp")
        self.sentence.setTextFormat(Qt.TextFormat.RichText)
        self.sentence.setWordWrap(True)
        self.sentence.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self.slider = StopSlider(self)
        self.slider.setAccessibleName(self.tr("Context length"))
        self.slider.setToolTip(self.tr("Context length in tokens"))
        self.slider.valueChanged.connect(self.refresh)
        head = QHBoxLayout()
        head.setSpacing(8)
        head.addWidget(self.pill, 0, Qt.AlignmentFlag.AlignVCenter)
        head.addWidget(self.summary, 1)
        self.body.addLayout(head)
        for widget in (self.bar, self.sentence, self.slider):
            self.body.addWidget(widget)
        theme().changed.connect(self.refresh)
        self.show_waiting("")

    def show_waiting(self, text: str) -> None:
        """Say why there is no sum yet."""
        if self._shape is None and self._said is None:
            self._say(self.tr("Looking it up"), "tx2", "chip", text)

    def show_verdict(self, found: Fit) -> None:
        """Show what the engine says where no sum can be made of it."""
        self._said = found
        self.refresh()

    def show_shape(self, shape: ModelShape, context_length: int | None) -> None:
        """Count with this shape from now on; the chosen context stays."""
        lengths = stops(shape, context_length)
        chosen = self.context
        self._shape = shape
        if lengths != self._lengths:
            self._lengths = lengths
            self.slider.blockSignals(True)
            self.slider.set_stops([tokens(length) for length in lengths])
            near = max((n for n, x in enumerate(lengths) if x <= (chosen or 0)), default=None)
            self.slider.setValue(first_stop(lengths, shape) if near is None else near)
            self.slider.blockSignals(False)
        self.refresh()

    @property
    def context(self) -> int | None:
        """The chosen context in tokens; None before there is a choice."""
        return self._lengths[self.slider.value()] if self._lengths else None

    def refresh(self, _changed: object = None) -> None:
        """Count again, as what runs beside it has changed."""
        room = room_for(self._id, self._mirror)
        context = self.context
        if self._said is not None and self._said.verdict is Verdict.UNSUPPORTED:
            self._say(self.tr("Not supported"), "bad", "bads", self._said.sentence)
        elif self._shape is None or room is None or context is None:
            if self._said is not None:
                self._say(self.tr("Not known"), "tx2", "chip", self._said.sentence)
        elif self._shape.weights_bytes is None:
            text = self.tr("The size of its weights is not known.")
            self._say(self.tr("Not known"), "tx2", "chip", text)
        else:
            self._show_sum(self._shape, room, context)

    def _say(self, word: str, ink: str, tint: str, text: str) -> None:
        self.pill.set_state(word, theme().color(ink), theme().color(tint))
        self.summary.setText("")
        self._write(html.escape(text), text)
        self.sentence.setVisible(bool(text))
        self.bar.hide()
        self.slider.hide()

    def _show_sum(self, shape: ModelShape, room: Room, context: int) -> None:
        found = plan(shape, room, context)
        word, ink, tint = {
            Verdict.FITS: (self.tr("Fits"), "ok", "oks"),
            Verdict.TIGHT: (self.tr("Tight"), "warn", "warns"),
            Verdict.TOO_BIG: (self.tr("Too big"), "bad", "bads"),
        }.get(found.verdict, (fit_word(found) or self.tr("Not known"), "tx2", "chip"))
        self.pill.set_state(word, theme().color(ink), theme().color(tint))
        self.summary.setText(self._summary(found, shape))
        self.summary.set_colour(theme().color("tx"))
        self.bar.show_parts(
            (
                BarPart(found.weights_bytes or 0, "memory"),
                BarPart(found.cache_bytes or 0, "gpu"),
                BarPart(found.runtime_bytes, "cpu"),
                BarPart(found.others_bytes, "other"),
            ),
            found.limit_bytes,
        )
        sentence = found.sentence[:1].upper() + found.sentence[1:]
        self._write(_with_dots(found.sentence), sentence)
        self.bar.setToolTip(sentence)
        self.bar.setAccessibleName(sentence)
        self.slider.setAccessibleDescription(f"{tokens(context)}, {word}")
        for widget in (self.bar, self.sentence):
            widget.show()
        self.slider.setVisible(shape.cache is not None and len(self._lengths) > 1)

    def _write(self, text: str, spoken: str) -> None:
        if text != self.sentence.text():
            self.sentence.setText(text)
            self.sentence.setAccessibleName(spoken)

    def _summary(self, found: Fit, shape: ModelShape) -> str:
        if shape.cache is None:
            return self.tr("Its cache is not known")
        if found.largest_context is None:
            return self.tr("Not even a short conversation fits")
        if found.largest_context >= self._lengths[-1]:
            return self.tr("up to its whole context of {}").format(tokens(self._lengths[-1]))
        return self.tr("up to {} of context").format(tokens(found.largest_context))


def _with_dots(sentence: str) -> str:
    """Return the sum as HTML with a dot before each term, in the colour of its part of the bar."""
    text = html.escape(sentence)
    for start, token in _TERMS:
        dot = f'<span style="color: {theme().color(token).name()}">●</span>\N{NO-BREAK SPACE}'
        named = start.replace(" ", "\N{NO-BREAK SPACE}")
        text = text.replace(start, dot + named, 1)
    return text.replace("weights", "Weights", 1)
