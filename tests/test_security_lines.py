"""Every line of docs/security.md names tests, and each of them is there and looks at something."""

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parent
DOCUMENT = TESTS.parent / "docs" / "security.md"
_NAME = re.compile(r"`(test_\w+)`")


def _rows() -> list[tuple[str, list[str]]]:
    cells = [line.split("|") for line in DOCUMENT.read_text(encoding="utf-8").splitlines()]
    rows = [(row[1].strip(), _NAME.findall(row[2])) for row in cells if len(row) == 4]
    return [row for row in rows if row[0] != "line" and not row[0].startswith("---")]


def _tests() -> dict[str, ast.AST]:
    found: dict[str, ast.AST] = {}
    for path in TESTS.rglob("test_*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found |= {
            node.name: node
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }
    return found


def _is_skipped(test: ast.AST) -> bool:
    marks = [ast.unparse(mark) for mark in getattr(test, "decorator_list", [])]
    return any(re.match(r"pytest\.mark\.(skip\b|xfail|soak)", mark) for mark in marks)


def test_every_line_of_the_threat_model_names_tests_that_run() -> None:
    rows, tests = _rows(), _tests()
    assert len(rows) >= 20
    for line, names in rows:
        assert names, f"no test holds “{line}”"
        for name in names:
            assert name in tests, f"{name}, which should hold “{line}”, is not there"
            assert not _is_skipped(tests[name]), f"{name} does not run by default"


def test_every_attacker_of_the_threat_model_has_lines() -> None:
    parts = re.split(r"^### ", DOCUMENT.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    attackers = {part.splitlines()[0]: len(_NAME.findall(part)) for part in parts}
    assert len(attackers) == 6
    assert all(attackers.values()), attackers
