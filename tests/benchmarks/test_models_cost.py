"""What the list of models costs: a key in the search field, and one row that changes."""

from pathlib import Path

import pytest
from measure import Figure, driver, report

pytestmark = pytest.mark.benchmark


@pytest.mark.parametrize("place", ["installed", "hub"])
@pytest.mark.parametrize(("count", "budget"), [(1_000, 5.0), (10_000, 16.0)])
def test_key_until_the_list_is_painted(home: Path, place: str, count: int, budget: float) -> None:
    found = driver(home, "model_keys.py", str(count), place)
    assert found["paints"] >= found["keys"], "a key painted nothing, so nothing was measured"
    figures = [
        Figure("CPU of a key until its list is painted, middle", found["key_ms"], "ms", budget),
        Figure("the slowest of them", found["worst_ms"], "ms"),
        Figure("of this, filter", found["filter_ms"], "ms"),
        Figure("CPU of one row's change, middle", found["change_ms"], "ms", 0.5),
        Figure("CPU of a download's progress, middle", found["progress_ms"], "ms", 0.5),
        Figure("rows painted for a change", found["change_rows"], ""),
        Figure("first paint of the list", found["first_ms"], "ms"),
    ]
    report(f"models panel with {count} rows, {place}", figures, published=True)
