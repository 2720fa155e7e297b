"""Fixtures for all tests of the GUI."""

import gc
import warnings
from collections.abc import Iterator

import pytest
from window_kit import desk, own_home, shared_home, shared_window

__all__ = ["desk", "own_home", "shared_home", "shared_window"]


@pytest.fixture(autouse=True, scope="package")
def collect_in_gui_thread_alone() -> Iterator[None]:
    """Collect garbage only between tests, as the app does it only in its own thread.

    A collection that happens to start in another thread, and there is one for the time limit of
    each test, would destroy widgets there while they are painted here.
    """
    with warnings.catch_warnings():
        # What a cancelled start of a process left in another package is not the fault of a widget.
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    gc.disable()
    yield
    gc.collect()
    gc.enable()


@pytest.fixture(autouse=True)
def collect_garbage() -> Iterator[None]:
    """Free what a test has left behind, before the next one."""
    yield
    gc.collect(1)
