"""What the project is made of and where it lies, as its card asks for."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def imported_in(folder: str) -> set[str]:
    """Return the packages that the files of a folder import anywhere, inside functions too."""
    found: set[str] = set()
    for file in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            match node:
                case ast.Import(names=names):
                    found |= {name.name.partition(".")[0] for name in names}
                case ast.ImportFrom(module=str(module), level=0):
                    found.add(module.partition(".")[0])
                case _:
                    pass
    return found


@pytest.mark.parametrize(
    ("package", "folder"),
    [
        ("psutil", "app/engine"),
        ("mlx_lm", "app/runner"),
        ("huggingface_hub", "app/worker"),
        ("pytestqt", "tests/gui"),
    ],
)
def test_card_05_library_does_its_job_where_the_map_says(package: str, folder: str) -> None:
    assert package in imported_in(folder)


@pytest.mark.parametrize("name", ["pyproject.toml", "build.spec", "README.md"])
def test_card_06_top_level_has_the_file(name: str) -> None:
    assert (ROOT / name).is_file()


@pytest.mark.parametrize("name", ["app", "resources", "tests"])
def test_card_06_top_level_has_the_folder(name: str) -> None:
    assert any((ROOT / name).iterdir())
