"""Running programs for measurements, and the place where the figures go."""

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
REPORT = ROOT / ".build" / "benchmarks.json"
DRIVERS = Path(__file__).parent
DEADLINE_S = 120.0
MIB = 2**20


@dataclass(frozen=True)
class Figure:
    """One measured value. `budget` is the bound that fails the run, None for report only."""

    name: str
    value: float
    unit: str
    budget: float | None = None

    @property
    def is_over(self) -> bool:
        return self.budget is not None and self.value > self.budget


def environment(home: Path) -> dict[str, str]:
    """The environment for measured programs: modules compiled, in a cache of their own."""
    own = {
        "MLX_MANAGER_HOME": str(home),
        "HF_HOME": str(home / "hf"),
        # The first run fills it, so installers and settings that skip compiling change nothing.
        "PYTHONPYCACHEPREFIX": str(ROOT / ".build" / "benchmark-pyc"),
    }
    return {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"} | own


def run(home: Path, *arguments: str) -> str:
    """Run Python with `arguments` and return its output."""
    result = subprocess.run(
        [sys.executable, *arguments],
        env=environment(home), cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE_S,
        check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return result.stdout


def driver(home: Path, name: str, *arguments: str) -> dict[str, Any]:
    """Run a driver of this folder and return the JSON object that it prints last."""
    return json.loads(run(home, str(DRIVERS / name), *arguments).splitlines()[-1])


def memory(pid: int) -> dict[str, float]:
    """Memory of a process in MiB: resident, proportional and unique, as far as the system tells."""
    # Imported here: drivers use this module too and shall not pay for what they do not call.
    import psutil

    full = psutil.Process(pid).memory_full_info()
    names = ("rss", "pss", "uss")
    return {name: getattr(full, name) / MIB for name in names if hasattr(full, name)}


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of the sorted values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def middle(values: Sequence[float]) -> float:
    return statistics.median(values)


def machine() -> str:
    """What figures depend on, in words."""
    return f"{platform.system()} with {os.cpu_count()} cores and Python {platform.python_version()}"


def report(
    subject: str, figures: Sequence[Figure], notes: str = "", *, published: bool = False
) -> None:
    """Print the figures, keep them in REPORT, and fail when one is over its budget.

    published: put them into docs/performance.md too, when asked to by WRITE_FIGURES=1.
    """
    print(f"\n{subject}" + (f" ({notes})" if notes else ""))
    for figure in figures:
        budget = "" if figure.budget is None else f"  budget {figure.budget:g}"
        mark = "  OVER" if figure.is_over else ""
        print(f"  {figure.name:<52}{figure.value:>10.2f} {figure.unit:<4}{budget}{mark}")
    REPORT.parent.mkdir(exist_ok=True)
    kept = json.loads(REPORT.read_text(encoding="utf-8")) if REPORT.exists() else {}
    kept[subject] = {
        "at": time.strftime("%Y-%m-%dT%H:%M:%S"),
        "load": os.getloadavg()[0],
        "figures": {f.name: {"value": round(f.value, 3), "unit": f.unit} for f in figures},
    }
    REPORT.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
    if published:
        _publish(subject, figures)
    over = [f"{f.name}: {f.value:.2f} {f.unit}, budget {f.budget:g}" for f in figures if f.is_over]
    assert not over, "; ".join(over)


def _publish(subject: str, figures: Sequence[Figure]) -> None:
    # Here, as drivers use this module too, without the folder of tests.
    from faults import figures as documents

    rows = [
        [f.name, f"{f.value:.3g} {f.unit}".strip(), "" if f.budget is None else f"{f.budget:.3g}"]
        for f in figures
    ]
    lines = documents.table(["", "measured", "at most"], rows)
    documents.write(subject, ["", *lines, ""], documents.PERFORMANCE)
