"""Numbers and times as people read them. Pure functions; unknown is an en dash."""

import re

from app.wire import amounts

UNKNOWN = "\N{EN DASH}"
_GIB = 2**30
_MIB = 2**20
_SPOKEN_UNITS = {
    "B": "bytes",
    "KB": "kilobytes",
    "MB": "megabytes",
    "GB": "gigabytes",
    "TB": "terabytes",
}
_FAMILY_WORDS = {
    "moe": "MoE",
    "vl": "VL",
    "gpt": "GPT",
    "oss": "OSS",
    "lfm2": "LFM2",
    "glm4": "GLM4",
}


def memory(value: float | None) -> tuple[str, str]:
    """Return number and unit of memory in bytes, in powers of two as Activity Monitor."""
    if value is None:
        return UNKNOWN, ""
    if value < 999.5 * _MIB:
        return f"{value / _MIB:.0f}", "MB"
    return f"{value / _GIB:.1f}", "GB"


def memory_text(value: float | None) -> str:
    """Return an amount of memory as one text, such as `18.9 GB`."""
    return _joined(memory(value))


def file_size(value: float | None) -> str:
    """Return a size on disk in bytes, in powers of ten as Finder."""
    return UNKNOWN if value is None else amounts.file_size(value)


def spoken_size(value: float | None) -> str:
    """Return a size on disk for a screen reader, such as `4.6 gigabytes`."""
    if value is None:
        return "size unknown"
    number, _, unit = file_size(value).partition(" ")
    return f"{number} {_SPOKEN_UNITS[unit]}"


def percent(value: float | None) -> tuple[str, str]:
    """Return number and unit of a percentage."""
    return (UNKNOWN, "") if value is None else (f"{value:.0f}", "%")


def rate(value: float | None) -> tuple[str, str]:
    """Return number and unit of tokens per second."""
    if value is None:
        return UNKNOWN, ""
    return (f"{value:.1f}" if value < 99.95 else f"{value:.0f}"), "tok/s"


def count(value: float | None) -> str:
    """Return a count with thin spaces between thousands; from a million on in short form."""
    if value is None:
        return UNKNOWN
    if value >= 1e9:
        return f"{value / 1e9:.2f} G"
    if value >= 1e6:
        return f"{value / 1e6:.2f} M"
    return f"{value:,.0f}".replace(",", "\u2009")


def duration(seconds: float | None) -> str:
    """Return a time span: `12 s`, `3 min 05 s`, `2 h 14 min`, `3 d 4 h`."""
    if seconds is None:
        return UNKNOWN
    whole = max(0, int(seconds))
    days, rest = divmod(whole, 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, secs = divmod(rest, 60)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes:02d} min"
    if minutes:
        return f"{minutes} min {secs:02d} s"
    return f"{secs} s"


def ago(seconds: float | None) -> str:
    """Return how long ago something was, in its largest unit: `just now`, `3 min ago`."""
    if seconds is None:
        return UNKNOWN
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit} ago"
    return "just now"


def parameters(value: int | None) -> str:
    """Return a parameter count: `8B`, `0.6B`, `160K`."""
    if value is None:
        return UNKNOWN
    for unit, size, least in (("B", 1e9, 1e8), ("M", 1e6, 1e6), ("K", 1e3, 0)):
        if value >= least:
            number = value / size
            return (
                f"{number:.1f}{unit}"
                if number < 9.95 and number % 1 >= 0.05
                else f"{number:.0f}{unit}"
            )
    return str(value)


def family(value: str) -> str:
    """Return the `model_type` of a config.json for people: `qwen2_5_vl` is `Qwen2.5 VL`."""
    text = re.sub(r"(?<=\d)_(?=\d)", ".", value)
    words = text.replace("-", "_").split("_")
    return " ".join(_FAMILY_WORDS.get(w, w[:1].upper() + w[1:]) for w in words if w)


def whole_paths(text: str) -> str:
    """Return the text with word joiners, so that no line of it ends inside a path."""
    return text.replace("/", "/\u2060")


def _joined(parts: tuple[str, str]) -> str:
    return " ".join(part for part in parts if part)
