"""`mlxm search`: models on the hub as a table."""

import argparse
import json
import sys

import msgspec

from app.client.api import Api
from app.wire.amounts import file_size
from app.wire.hub import PAGE_SIZE, HubModel, HubQuery, Verdict

_WORDS = {
    Verdict.FITS: "fits",
    Verdict.TIGHT: "tight",
    Verdict.TOO_BIG: "too big",
    Verdict.UNSUPPORTED: "unsupported",
    Verdict.UNKNOWN: "unknown",
}


def search(api: Api, options: argparse.Namespace) -> int:
    """Print the first page of a search with sizes and fits."""
    text = " ".join(options.text)
    page = api.search_hub(HubQuery(text=text, details=PAGE_SIZE))
    if options.json:
        print(json.dumps(msgspec.to_builtins(page), indent=2, ensure_ascii=False))
        return 0
    if page.notice:
        print(f"mlxm: {page.notice}", file=sys.stderr)
    if not page.models:
        print(f"No MLX model on the hub matches “{text}”.")
        return 0
    width = max(len(model.id) for model in page.models)
    print(f"{'MODEL':<{width}}  {'SIZE':>9}  {'FIT':<11}  {'DOWNLOADS':>10}")
    for model in page.models:
        print(_row(model, width))
    return 0


def _row(model: HubModel, width: int) -> str:
    size = "?" if model.size_bytes is None else file_size(model.size_bytes)
    fit = _WORDS[model.fit.verdict] if model.fit else "?"
    return f"{model.id:<{width}}  {size:>9}  {fit:<11}  {model.downloads:>10,}"
