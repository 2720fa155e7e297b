"""Keeps an exception in a value-returning Qt override from reaching C++."""

import functools
import logging
from collections.abc import Callable
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_R = TypeVar("_R")
_log = logging.getLogger("gui")


def guarded(default: _R) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Return a decorator that logs an exception of the override and returns `default` instead.

    On Python 3.11 some exceptions that leave such an override end the process with a
    segmentation fault instead of reaching `sys.excepthook`.
    """

    def decorate(override: Callable[_P, _R]) -> Callable[_P, _R]:
        @functools.wraps(override)
        def call(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            try:
                return override(*args, **kwargs)
            except Exception:  # noqa: BLE001 - boundary between Qt and Python
                _log.exception("error in %s", override.__qualname__)
                return default

        return call

    return decorate
