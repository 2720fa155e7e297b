"""What the engine remembers of a server's figures, for charts."""

import msgspec

SPANS_S = (300, 3_600, 86_400)
"""The spans that a chart can show: five minutes, an hour, a day."""
MAX_POINTS = 600
"""The most values of one metric in an answer; longer spans are down-sampled."""


class ServerHistory(msgspec.Struct, frozen=True):
    """The figures of one server over a span, oldest first, at equal distances."""

    begins_at: float
    """When the first value was taken, seconds since the epoch."""
    step_s: float
    """From one value to the next."""
    values: dict[str, list[float | None]]
    """By metric of `app.wire.metrics`, all of one length; None where nothing is known. With more
    than one sample in a step it is their mean, for counters the last."""
