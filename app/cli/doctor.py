"""`mlxm doctor`: checks an installation without an engine, and mends what is safe to mend."""

import argparse
import sys
from pathlib import Path

from app.doctor.checks import all_checks
from app.doctor.finding import Finding, Level
from app.doctor.report import make_report

_MARKS = {Level.FINE: "ok     ", Level.NOTE: "note   ", Level.TROUBLE: "TROUBLE"}


def set_up(parser: argparse.ArgumentParser) -> None:
    """Give the command its options."""
    parser.add_argument("--fix", action="store_true", help="mend what can be mended safely")
    parser.add_argument(
        "--report", metavar="FILE", help="write a report without keys and names; - for the screen"
    )


def run(options: argparse.Namespace) -> int:
    """Print what was found; 0 when nothing is in trouble any more, else 1."""
    if options.report is not None:
        return _write_report(options.report)
    troubles = 0
    for finding in all_checks():
        is_mended = _tell(finding, fixes=options.fix)
        troubles += finding.level is Level.TROUBLE and not is_mended
    if troubles:
        print(f"{troubles} in trouble.", file=sys.stderr)
    return 1 if troubles else 0


def _tell(finding: Finding, *, fixes: bool) -> bool:
    print(f"{_MARKS[finding.level]} {finding.subject}: {finding.sentence}")
    if finding.fix is not None and fixes:
        try:
            print(f"        mended: {finding.fix()}")
        except OSError as error:
            print(f"        could not be mended: {error}")
        else:
            return True
    elif finding.fix is not None:
        print(f"        {finding.hint} mlxm doctor --fix does it.")
    elif finding.hint:
        print(f"        {finding.hint}")
    return False


def _write_report(target: str) -> int:
    text = make_report()
    if target == "-":
        sys.stdout.write(text)
        return 0
    try:
        Path(target).write_text(text, encoding="utf-8")
    except OSError as error:
        print(f"mlxm: {target} could not be written: {error.strerror or error}.", file=sys.stderr)
        return 1
    print(f"Written to {target}. Read it before you pass it on.")
    return 0
