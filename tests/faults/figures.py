"""Writes measured figures into the documents, when asked to by WRITE_FIGURES=1."""

import os
from pathlib import Path

_DOCS = Path(__file__).parents[2] / "docs"
DOCUMENT = _DOCS / "reliability.md"
PERFORMANCE = _DOCS / "performance.md"
_END = "<!-- end of figures -->"
_SUMMARY = "faults"
_SUMMARY_HEADS = ["fault", "how often tried", "what was lost", "command to repeat"]


def write(name: str, lines: list[str], document: Path = DOCUMENT) -> None:
    """Replace what stands between the two markers of `name` in the document."""
    if os.environ.get("WRITE_FIGURES") != "1":
        return
    head, _, tail = _parts(name, document)
    document.write_text(head + "\n".join(lines) + "\n" + tail, encoding="utf-8")


def record(fault: str, tried: int, lost: str, command: str) -> None:
    """Put one row into the table of all faults, in the place of an older row of that fault.

    `tried` is how often it was really done, `lost` what was found missing afterwards, in words,
    `command` what to type to do it again.
    """
    if os.environ.get("WRITE_FIGURES") != "1":
        return
    rows = {row[0]: row for row in _rows(_parts(_SUMMARY, DOCUMENT)[1])}
    rows[fault] = [fault, f"{tried:,}", lost, f"`{command}`"]
    found = [rows[name] for name in sorted(rows)]
    write(_SUMMARY, ["", *table(_SUMMARY_HEADS, found), ""])


def table(heads: list[str], rows: list[list[str]]) -> list[str]:
    """Return the lines of a Markdown table."""
    return [
        "| " + " | ".join(heads) + " |",
        "|" + "---|" * len(heads),
        *("| " + " | ".join(row) + " |" for row in rows),
    ]


def _parts(name: str, document: Path) -> tuple[str, str, str]:
    """Return the document up to the first marker, what stands between the two, and the rest."""
    begin = f"<!-- figures: {name} -->\n"
    head, rest = document.read_text(encoding="utf-8").split(begin)
    inner, tail = rest.split(_END, 1)
    return head + begin, inner, _END + tail


def _rows(text: str) -> list[list[str]]:
    """Return the cells of a table's rows, without its head."""
    lines = [line for line in text.splitlines() if line.startswith("| ")][1:]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
