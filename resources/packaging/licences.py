"""Writes the licences of everything that the frozen program brings along, from installed packages.

build.spec calls it; `python resources/packaging/licences.py FILE` writes the same file by hand.
"""

import re
import sys
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = "mlx-model-manager"

STANDARD = ROOT / "resources/packaging/licences"
_STANDARD_TEXTS = (
    # The LGPL is an addition to the GPL.
    ("LGPL-3.0", ("LGPL-3.0.txt", "GPL-3.0.txt")),
    ("Apache", ("Apache-2.0.txt",)),
)
_LICENCE_FILE = re.compile(r"(licen[cs]e|copying|notice|authors)([-._].*)?", re.IGNORECASE)
_RULE = "-" * 78
_PYTHON_TERMS = (
    "Python is copyright of the Python Software Foundation, under the PSF licence version 2;\n"
    "its text comes with every Python installation as LICENSE.txt.\n"
)


def write(target: Path) -> Path:
    """Write the file and return where it is."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text(), encoding="utf-8")
    return target


def text() -> str:
    """Return name, version, licence and licence texts of every package, in order of names."""
    icons = (ROOT / "resources/icons/LICENSE").read_text(encoding="utf-8")
    parts = [
        "MLX Model Manager is free software under the MIT licence. It comes with:\n",
        _section("Python", sys.version.split()[0], "PSF-2.0", [_python_licence()]),
        _section("Lucide icons", "", "ISC", [icons]),
    ]
    for name in sorted(package_names()):
        package = metadata.distribution(name)
        texts = licence_texts(package)
        parts.append(_section(package.name, package.version, licence_of(package), texts))
    return "\n".join(parts)


def package_names() -> set[str]:
    """Return the canonical names of the packages that the app needs here, without itself."""
    found: set[str] = set()
    waiting = [(PROJECT, frozenset[str]())]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        entry = waiting.pop()
        if entry in seen:
            continue
        seen.add(entry)
        name, extras = entry
        found.add(name)
        for line in metadata.distribution(name).requires or ():
            requirement = Requirement(line)
            if _applies(requirement, extras):
                needed = canonicalize_name(requirement.name)
                waiting.append((needed, frozenset(requirement.extras)))
    return found - {PROJECT}


def licence_of(package: metadata.Distribution) -> str:
    """Return the licence that a package names, by its newest field first."""
    facts = package.metadata
    if expression := facts.get("License-Expression"):
        return expression
    short = (facts.get("License") or "").strip()
    if short and "\n" not in short and len(short) < 100:
        return short
    marks = [c for c in facts.get_all("Classifier") or () if c.startswith("License ::")]
    return ", ".join(mark.rpartition(" :: ")[2] for mark in marks) or "see its text"


def licence_texts(package: metadata.Distribution) -> list[str]:
    """Return the licence texts that a package brings, else the one that its licence names.

    Raises LookupError when there is neither: the program may not be given away without.
    """
    texts: dict[str, None] = {}
    for file in sorted(package.files or ()):
        if ".dist-info" in file.parts[0] and _LICENCE_FILE.fullmatch(file.name):
            content = Path(str(file.locate())).read_text(encoding="utf-8", errors="replace")
            texts[content] = None
    licence = licence_of(package)
    for mark, names in () if texts else _STANDARD_TEXTS:
        if mark in licence:
            return [(STANDARD / name).read_text(encoding="utf-8") for name in names]
    if not texts:
        raise LookupError(f"{package.name} brings no licence text, and {licence} is not known")
    return list(texts)


def _applies(requirement: Requirement, extras: frozenset[str]) -> bool:
    if requirement.marker is None:
        return True
    return any(requirement.marker.evaluate({"extra": extra}) for extra in (extras or {""}))


def _python_licence() -> str:
    for place in (Path(sys.base_prefix), Path(sys.base_prefix) / "lib" / _python_folder()):
        for name in ("LICENSE.txt", "LICENSE"):
            if (place / name).is_file():
                return (place / name).read_text(encoding="utf-8", errors="replace")
    return _PYTHON_TERMS


def _python_folder() -> str:
    return f"python{sys.version_info.major}.{sys.version_info.minor}"


def _section(name: str, version: str, licence: str, texts: list[str]) -> str:
    head = f"{name} {version}".strip()
    return "\n".join([_RULE, f"{head}: {licence}", _RULE, "", *(t.strip() + "\n" for t in texts)])


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / ".build/licences.txt")
