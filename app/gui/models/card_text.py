"""Model cards made harmless: Markdown without HTML, pictures and depth, in small pieces.

A card is written by anybody. Every expression here takes time that grows with the length only.
"""

import re
from typing import Final, NamedTuple

MOST_CHARS: Final = 256 * 1024
_PIECE: Final = 800
"""Weight after which a piece ends at the next blank line: laid out in a few milliseconds."""
_HEAVIEST_PIECE: Final = 1_200
_LINE_WEIGHT, _CELL_WEIGHT = 60, 40
"""What a line and a cell of a table cost to lay out, in characters."""
_LONGEST_LINE: Final = 600
_DEEPEST_INDENT: Final = 16
_MOST_COLUMNS: Final = 12
_LONGEST_TAG: Final = 4_000

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_TOKEN = re.compile(r"`[^`\n]+`|<(/?)([A-Za-z][A-Za-z0-9-]*)((?:[\s/][^<>]*)?)>")
_HIDDEN = re.compile(r"<(script|style|svg|iframe|object|template|noscript|title)\b", re.IGNORECASE)
_PICTURE = re.compile(r"!\[([^\[\]]*)\](?:\((?:[^()]|\([^()]*\))*\)|\[[^\[\]]*\])")
_EMPTY_LINK = re.compile(r"\[\s*\]\([^()]*\)")
_STARS = re.compile(r"[*_~]{4,}")
_QUOTES = re.compile(r"(?: {0,3}>){4,}")
_SUSPECT = re.compile(r"[*_~]{4}|>[ >]*>[ >]*>[ >]*>|[\[\]]{5}|^ {17}|\t")
_BRACKETS = re.compile(r"[\[\]]{5,}")
_RULE = re.compile(r" {0,3}([*_-])[ \t]*(?:\1[ \t]*){2,}")
_BREAKS = frozenset({"p", "div", "tr", "table", "ul", "ol", "section", "details", "summary"})
_INLINE = {"b": "**", "strong": "**", "i": "*", "em": "*", "code": "`", "kbd": "`"}
_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})


class CardPiece(NamedTuple):
    """A part of a card: Markdown, or code that is shown as it is."""

    text: str
    is_code: bool = False


def card_pieces(card: str) -> tuple[CardPiece, ...]:
    """Return a card in harmless pieces, in order. A picture leaves its description.

    Takes up to 0.2 s for a card that is made to be slow, so it belongs into a worker.
    """
    pieces: list[CardPiece] = []
    lines: list[str] = []
    fence = ""
    for raw in card[:MOST_CHARS].replace("\r\n", "\n").split("\n"):
        mark = _FENCE.match(raw)
        if fence and mark is not None and mark[1].startswith(fence):
            pieces += _pieces(lines, is_code=True)
            lines, fence = [], ""
        elif fence or mark is None:
            lines.append(raw)
        else:
            pieces += _pieces(_plain_lines("\n".join(lines)), is_code=False)
            lines, fence = [], mark[1]
    pieces += _pieces(lines if fence else _plain_lines("\n".join(lines)), is_code=bool(fence))
    return tuple(pieces)


def _plain_lines(text: str) -> list[str]:
    """Return Markdown outside of code fences, line by line, without what must not be in it."""
    text = _without_hidden(_without_comments(text))
    text = _TOKEN.sub(_replace_token, text)
    text = _PICTURE.sub(r"\1", text)
    text = _EMPTY_LINK.sub("", text).replace("![", "[")
    return [part for line in text.split("\n") for part in _tamed(line)]


def _without_comments(text: str) -> str:
    kept: list[str] = []
    at = 0
    while (start := text.find("<!--", at)) >= 0:
        kept.append(text[at:start])
        end = text.find("-->", start)
        at = len(text) if end < 0 else end + 3
    return "".join([*kept, text[at:]])


def _without_hidden(text: str) -> str:
    """Leave out elements whose content is no text for people."""
    kept: list[str] = []
    lower = text.lower()
    at = 0
    while (found := _HIDDEN.search(text, at)) is not None:
        kept.append(text[at : found.start()])
        end = lower.find(f"</{found[1].lower()}", found.end())
        close = lower.find(">", end) if end >= 0 else -1
        at = len(text) if close < 0 else close + 1
    return "".join([*kept, text[at:]])


def _replace_token(token: "re.Match[str]") -> str:
    """Return what stands in place of an HTML tag; code spans stay as they are."""
    name = (token[2] or "").lower()
    if not name:
        return token[0]
    is_end, attributes = bool(token[1]), token[3][:_LONGEST_TAG]
    if name == "img":
        return _attribute(attributes, "alt")
    if name in _HEADINGS:
        return "\n\n" if is_end else f"\n\n{'#' * int(name[1])} "
    return _INLINE.get(name) or _replace_block(name, is_end=is_end)


def _replace_block(name: str, *, is_end: bool) -> str:
    if name == "br":
        return "  \n"
    if name == "li":
        return "" if is_end else "\n- "
    if name in ("td", "th"):
        return "  " if is_end else ""
    if name == "hr":
        return "\n\n---\n\n"
    return "\n\n" if name in _BREAKS else ""


def _attribute(attributes: str, name: str) -> str:
    start = attributes.lower().find(f"{name}=")
    if start < 0:
        return ""
    rest = attributes[start + len(name) + 1 :]
    quote = rest[:1]
    value = rest[1:].partition(quote)[0] if quote in ("'", '"') else rest.partition(" ")[0]
    return re.sub(r"[\[\]()<>`*_|]", " ", value)[:200]


def _tamed(line: str) -> list[str]:
    """Return a line without depth that only serves to keep a reader busy, cut where it is long."""
    columns = line.count("|")
    is_short = len(line) <= _LONGEST_LINE and columns <= _MOST_COLUMNS + 1
    if is_short and _SUSPECT.search(line) is None:
        return [line]
    if _RULE.fullmatch(line[:200]):
        return ["---"]
    body = line.lstrip(" \t")
    indent = len(line[: len(line) - len(body)].expandtabs(4))
    body = _QUOTES.sub("> > > ", body)
    body = _BRACKETS.sub(lambda found: found[0][:4], _STARS.sub("***", body))
    if columns > _MOST_COLUMNS + 1:
        body = "|".join(body.split("|")[: _MOST_COLUMNS + 1]) + "|"
    line = " " * min(indent, _DEEPEST_INDENT) + body
    return [line[at : at + _LONGEST_LINE] for at in range(0, max(1, len(line)), _LONGEST_LINE)]


def _pieces(lines: list[str], *, is_code: bool) -> list[CardPiece]:
    pieces: list[list[str]] = [[]]
    weight = 0
    for line in lines:
        cut = line[:_LONGEST_LINE]
        pieces[-1].append(cut)
        weight += len(cut) + _LINE_WEIGHT + _CELL_WEIGHT * cut.count("|")
        if weight > _HEAVIEST_PIECE or (weight > _PIECE and not cut.strip()):
            pieces.append([])
            weight = 0
    texts = ("\n".join(piece) for piece in pieces)
    return [CardPiece(text, is_code) for text in texts if text.strip()]
