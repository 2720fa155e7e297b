"""One file for each kind of server software, and the table of them."""

from app.engine.runtimes.base import Runtime
from app.engine.runtimes.mlx_lm import MlxLm


def all_runtimes() -> dict[str, Runtime]:
    """Return the runtimes by id."""
    runtimes: tuple[Runtime, ...] = (MlxLm(),)
    return {runtime.info.id: runtime for runtime in runtimes}
