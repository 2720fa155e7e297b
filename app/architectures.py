"""Which architectures an mlx-lm can load, found without importing it."""

import ast
import importlib.util
import pkgutil
from functools import cache
from pathlib import Path

import msgspec


class Architectures(msgspec.Struct, frozen=True):
    """The architectures of one mlx-lm."""

    modules: frozenset[str]
    """Names of the files in its folder of models."""
    renamed: dict[str, str]
    """`model_type` to another module, its MODEL_REMAPPING."""
    renamed_by_class: dict[tuple[str, str], str]
    """`model_type` and class to another module, its MODEL_ARCHITECTURE_REMAPPING."""

    def can_load(self, model_type: str, classes: tuple[str, ...]) -> bool:
        """True if there is a module for this `model_type`; classes: the config's architectures."""
        for name in classes:
            module = self.renamed_by_class.get((model_type, name))
            if module is not None:
                return module in self.modules
        return self.renamed.get(model_type, model_type) in self.modules


@cache
def installed_architectures() -> Architectures | None:
    """Return what the built-in mlx-lm loads, None where it cannot be told."""
    spec = importlib.util.find_spec("mlx_lm")
    for place in (spec.submodule_search_locations or []) if spec else []:
        if (found := architectures_in(Path(place))) is not None:
            return found
    return None


def architectures_in(package: Path) -> Architectures | None:
    """Return what the mlx_lm in this folder loads, None where it cannot be told.

    Importing mlx_lm would take 2 s and 80 MB, so its folder and the text of its utils are read.
    """
    # By pkgutil, which also lists modules that a frozen program keeps in its archive.
    modules = {module.name for module in pkgutil.iter_modules([str(package / "models")])}
    text = _source(package / "utils.py")
    return _from_source(frozenset(modules), text) if modules and text is not None else None


class _Config(msgspec.Struct):
    """The part of a model's config.json that decides which module loads it."""

    model_type: str = ""
    architectures: tuple[str, ...] = ()
    model_file: str | None = None


def unknown_architecture(model: Path, known: Architectures | None) -> str:
    """Return the architecture of the model in a folder if it is not `known`, otherwise ""."""
    try:
        config = msgspec.json.decode((model / "config.json").read_bytes(), type=_Config)
    except (OSError, msgspec.DecodeError):
        # Something else is wrong with it, and said elsewhere.
        return ""
    family = config.model_type
    # Code that the model brings along replaces mlx-lm's own.
    if not family or known is None or config.model_file is not None:
        return ""
    return "" if known.can_load(family, config.architectures) else family[:80]


def _source(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _from_source(modules: frozenset[str], text: str) -> Architectures | None:
    """Return None when the text has no table of renames: then nothing may be called unsupported."""
    tables: dict[str, dict[object, object]] = {}
    try:
        for node in ast.parse(text).body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                name = node.targets[0].id
                if name in ("MODEL_REMAPPING", "MODEL_ARCHITECTURE_REMAPPING"):
                    tables[name] = dict(ast.literal_eval(node.value))
        return Architectures(
            modules,
            msgspec.convert(tables["MODEL_REMAPPING"], dict[str, str]),
            msgspec.convert(
                tables.get("MODEL_ARCHITECTURE_REMAPPING", {}), dict[tuple[str, str], str]
            ),
        )
    except (SyntaxError, ValueError, TypeError, KeyError, msgspec.ValidationError):
        return None
