"""What a long log costs in the Log tab: to open, to scroll, to search and to follow."""

from pathlib import Path

import pytest
from measure import Figure, driver, report

pytestmark = pytest.mark.benchmark


@pytest.mark.timeout(300)
@pytest.mark.parametrize("megabytes", [1, 100])
def test_log_of_many_megabytes_stays_fluent(home: Path, megabytes: int) -> None:
    found = driver(home, "log_load.py", str(megabytes))
    assert found["finds"] == 3
    figures = [
        Figure("first lines in sight", found["first_lines_ms"], "ms", 500.0),
        Figure("the whole log there", found["whole_ms"], "ms"),
        Figure("longest pause of the window meanwhile", found["open_gap_ms"], "ms", 100.0),
        Figure("a frame while scrolling", found["frame_ms"], "ms", 16.0),
        Figure("a frame, 99th percentile", found["frame_p99_ms"], "ms", 33.0),
        Figure("search of words", found["search_ms"], "ms"),
        Figure("longest pause during a search", found["search_gap_ms"], "ms", 50.0),
        Figure("the same for one common letter", found["common_letter_gap_ms"], "ms", 100.0),
        Figure("filter", found["filter_ms"], "ms", 100.0),
        Figure("a new line until it is in sight", found["append_ms"], "ms", 250.0),
        Figure("longest pause then", found["append_gap_ms"], "ms", 50.0),
        Figure("lines", found["lines"], ""),
        Figure("memory", found["mib"], "MiB"),
    ]
    report(f"log of {megabytes} MB", figures)
