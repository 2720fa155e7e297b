"""Imports everything that is only ever imported by name, which a frozen program can lack."""

import contextlib
import ctypes
import importlib
import pkgutil
import sys
from pathlib import Path

import msgspec

_HEAVY = ("PySide6", "huggingface_hub", "mlx", "mlx_lm", "transformers")


class Findings(msgspec.Struct, frozen=True):
    """What was tried and what did not work."""

    found: int
    failed: dict[str, str]
    """Name to reason."""
    loaded: list[str]
    """Which of the heavy libraries are in memory now."""


def check_modules(packages: list[str]) -> Findings:
    """Import each of these packages and all modules under them."""
    names: list[str] = []
    failed: dict[str, str] = {}
    # Some modules print when they are imported; standard output is for the answer.
    with contextlib.redirect_stdout(sys.stderr):
        for package in packages:
            names.append(package)
            if _import(package, failed):
                path = importlib.import_module(package).__path__
                modules = pkgutil.walk_packages(path, f"{package}.", onerror=lambda _name: None)
                names += [module.name for module in modules]
        for name in names:
            _import(name, failed)
    return _findings(len(names), failed)


def _import(name: str, failed: dict[str, str]) -> bool:
    try:
        importlib.import_module(name)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a module does at its import
        failed[name] = f"{type(error).__name__}: {error}"
        return False
    return True


class Device(msgspec.Struct, frozen=True):
    """What MLX computes on, and whether it does."""

    name: str
    """`gpu` or `cpu`."""
    total: float
    """12 when it computes rightly."""
    library: str
    """The library as the loader names it; its shaders are looked for beside it."""


def check_device() -> Device:
    """Multiply two matrices on the device that servers use."""
    mx = importlib.import_module("mlx.core")
    product = mx.ones((2, 3)) @ mx.ones((3, 2))
    mx.eval(product)
    device = str(mx.default_device())
    return Device("gpu" if "gpu" in device else "cpu", float(product.sum().item()), _library())


def _library() -> str:
    """Return the file of MLX's library as the loader names it; empty where it is not found."""
    if sys.platform == "darwin":
        system = ctypes.CDLL(None)
        name_of = system["_dyld_get_image_name"]
        name_of.restype = ctypes.c_char_p
        images = range(system["_dyld_image_count"]())
        loaded = [(name_of(number) or b"").decode() for number in images]
    else:
        lines = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
        loaded = [line.split(maxsplit=5)[-1] for line in lines]
    return next((name for name in loaded if "libmlx." in name), "")


def check_tokenizers() -> Findings:
    """Load each class of tokenizer that transformers knows for a kind of model."""
    auto = importlib.import_module("transformers.models.auto.tokenization_auto")
    names = {name for name in auto.TOKENIZER_MAPPING_NAMES.values() if name}
    failed: dict[str, str] = {}
    for name in sorted(names):
        try:
            if auto.tokenizer_class_from_name(name) is None:
                failed[name] = "transformers does not find it"
        except Exception as error:  # noqa: BLE001 - whatever a module does at its import
            failed[name] = f"{type(error).__name__}: {error}"
    return _findings(len(names), failed)


def _findings(found: int, failed: dict[str, str]) -> Findings:
    return Findings(found, failed, [name for name in _HEAVY if sys.modules.get(name)])
