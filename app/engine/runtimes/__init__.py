"""One file for each kind of server software, and the table of them."""

from collections.abc import Callable

from app.engine.runtimes.base import Runtime
from app.engine.runtimes.mlx_lm import MlxLm


def all_runtimes(python: Callable[[], str] = str) -> dict[str, Runtime]:
    """Return the runtimes by id; `python` tells the one that the settings name, empty for ours."""
    runtimes: tuple[Runtime, ...] = (MlxLm(python),)
    return {runtime.info.id: runtime for runtime in runtimes}
