"""Fuzz one target: fuzz_one.py NAME RUNS SEED FINDINGS SEEDS...

Exits 0 after RUNS runs without a finding. A finding ends it with the traceback, and the input that
made it lies in the folder FINDINGS.
"""

import sys
from pathlib import Path

import atheris

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS.parent)]

with atheris.instrument_imports(include=["app"], enable_loader_override=False):
    from fuzz.targets import TARGETS

# Past any read at once: what is long is for the property tests.
_MOST_BYTES = 4096


def main(name: str, runs: str, seed: str, findings: str, *seeds: str) -> None:
    options = [
        f"-runs={runs}",
        f"-seed={seed}",
        f"-max_len={_MOST_BYTES}",
        f"-artifact_prefix={findings}/",
        "-timeout=20",
        "-rss_limit_mb=2048",
        "-print_final_stats=1",
        "-verbosity=0",
    ]
    atheris.Setup([sys.argv[0], *options, *seeds], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
