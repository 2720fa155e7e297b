"""Nothing that another program writes makes a parser of ours raise, hang, or lie."""

import hashlib
import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from faults import figures
from fuzz.seeds import seeds_of
from fuzz.targets import TARGETS

RUNS = int(os.environ.get("FUZZ_RUNS", "4000"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))
HERE = Path(__file__).parent
# What once was a finding, by target; each file stays for ever.
CASES = HERE / "cases"


@pytest.fixture(scope="module")
def runs() -> Iterator[dict[str, int]]:
    """How often each target was run without a finding."""
    runs: dict[str, int] = {}
    yield runs
    if runs.keys() == TARGETS.keys():
        figures.record(
            "hostile bytes for each parser, found by a fuzzer that watches the branches taken",
            sum(runs.values()),
            f"nothing; {len(runs)} parsers read or refuse, and none raises or hangs",
            "make fuzz",
        )


def cases() -> list[tuple[str, Path]]:
    return [(file.parent.name, file) for file in sorted(CASES.glob("*/*"))]


@pytest.mark.parametrize("name", TARGETS)
def test_sound_examples_hold(name: str) -> None:
    seeds = seeds_of(name)
    assert seeds
    for data in seeds:
        TARGETS[name](data)


@pytest.mark.parametrize(("name", "case"), cases(), ids=lambda value: Path(value).name)
def test_what_was_found_stays_mended(name: str, case: Path) -> None:
    TARGETS[name](case.read_bytes())


@pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="the fuzzer has no wheel for this system"
)
@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.timeout(0 if RUNS > 100_000 else 180)
def test_fuzzer_finds_nothing(name: str, tmp_path: Path, runs: dict[str, int]) -> None:
    seeds, findings = tmp_path / "seeds", tmp_path / "findings"
    for folder in (seeds, findings):
        folder.mkdir()
    for data in [*seeds_of(name), *(file.read_bytes() for file in CASES.glob(f"{name}/*"))]:
        (seeds / hashlib.sha256(data).hexdigest()).write_bytes(data)
    command = [sys.executable, HERE / "fuzz_one.py", name, str(RUNS), str(SEED), findings, seeds]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    found = {file.name: file.read_bytes() for file in findings.iterdir()}
    assert (done.returncode, found) == (0, {}), done.stdout[-2000:] + done.stderr[-2000:]
    executed = re.search(r"stat::number_of_executed_units:\s*(\d+)", done.stderr)
    assert executed
    assert int(executed[1]) >= RUNS
    runs[name] = int(executed[1])
