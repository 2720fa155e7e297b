"""Writes measured figures into docs/reliability.md, when asked to by WRITE_FIGURES=1."""

import os
from pathlib import Path

DOCUMENT = Path(__file__).parents[2] / "docs" / "reliability.md"


def write(name: str, lines: list[str]) -> None:
    """Replace what stands between the two markers of `name` in the document."""
    if os.environ.get("WRITE_FIGURES") != "1":
        return
    text = DOCUMENT.read_text(encoding="utf-8")
    begin, end = f"<!-- figures: {name} -->\n", "<!-- end of figures -->"
    head, rest = text.split(begin)
    _, tail = rest.split(end, 1)
    DOCUMENT.write_text(head + begin + "\n".join(lines) + "\n" + end + tail, encoding="utf-8")


def table(heads: list[str], rows: list[list[str]]) -> list[str]:
    """Return the lines of a Markdown table."""
    return [
        "| " + " | ".join(heads) + " |",
        "|" + "---|" * len(heads),
        *("| " + " | ".join(row) + " |" for row in rows),
    ]
