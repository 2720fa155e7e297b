"""Nothing that was saved is lost, wherever in a save the power goes."""

import json
import subprocess
import sys
from pathlib import Path

from faults import figures, power_cut

DEADLINE_S = 120


def test_power_cut_at_any_step_of_any_save_leaves_the_old_or_the_new(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, Path(power_cut.__file__), tmp_path],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(results) == 17
    for result in results:
        assert not result["torn"], result
        # Both: a cut that comes too early or too late only would prove nothing.
        assert set(result["read"]) == {"old", "new"}, result
    figures.record(
        "power cut at every step of every save",
        sum(result["moments"] for result in results),
        f"nothing; {len(results)} kinds of files, each the old or the new one",
        "make test ARGS=tests/faults/test_stores.py",
    )
