"""The surroundings of every test: no screen, no network, no real home, and nothing left behind."""

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import leaks
import pytest
import uvloop
from hub import StandInHub

# Before the first QApplication and the first import of MLX or keyring: they read these once.
for _name in [n for n in os.environ if n.startswith(("MLX_MANAGER_", "HF_"))]:
    del os.environ[_name]
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ |= {
    # MLX on Linux would call g++ for its first kernels, which takes 2 s.
    "MLX_DISABLE_COMPILE": "1",
    # One thread for each core and process makes tests on small machines slower, not faster.
    "OPENBLAS_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
    # What other programs of whoever runs the tests have downloaded is nobody's business.
    "MLX_MANAGER_OTHER_LIBRARIES": "0",
    "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
}
# How long an example takes says something of the machine, nothing of the code.
hypothesis.settings.register_profile(
    "machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("machine")
# A shell lets what it starts in the background ignore interrupts, and children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
# What runs in the engine's loop is tested in that loop.
asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())


@pytest.fixture(scope="session")
def homes() -> Iterator[Path]:
    """The folder of all homes; after the last test no process may use one of them."""
    # Not tmp_path: on macOS its name is too long for the address of a socket.
    folder = Path(tempfile.mkdtemp(prefix="mlxm-", dir="/tmp")).resolve()
    yield folder
    left = leaks.processes_with_home_under(folder)
    lines = [f"{p.pid}: {' '.join(p.cmdline())}" for p in left if p.is_running()]
    for process in left:
        process.kill()
    shutil.rmtree(folder, ignore_errors=True)
    if lines:
        pytest.fail("processes outlived the tests:\n" + "\n".join(lines), pytrace=False)


@pytest.fixture(autouse=True)
def no_leaks() -> Iterator[None]:
    """Fail a test that leaves a thread, a process, a window or a QThread."""
    before = leaks.Before()
    yield
    found = leaks.found_since(before)
    if found:
        pytest.fail("left behind:\n" + "\n".join(found), pytrace=False)


@pytest.fixture(autouse=True)
def log_watch(request: pytest.FixtureRequest, no_leaks: None) -> Iterator[leaks.LogWatch]:
    """Fail a test in which the program logs a warning or an error that the test does not expect."""
    watch = leaks.LogWatch()
    for mark in request.node.iter_markers("expect_log"):
        watch.expect(*mark.args)
    watch.start()
    yield watch
    watch.stop()
    complaints = watch.complaints()
    if complaints:
        pytest.fail("log:\n" + "\n".join(complaints), pytrace=False)


@pytest.fixture
def expect_log(log_watch: leaks.LogWatch) -> Callable[[str], None]:
    """Call with a pattern: such warnings and errors are allowed, and at least one must come."""
    return log_watch.expect


@pytest.fixture
def allow_log(log_watch: leaks.LogWatch) -> Callable[[str], None]:
    """Call with a pattern: such warnings and errors are allowed; for what depends on timing."""
    return log_watch.allow


@pytest.fixture(autouse=True)
def home(homes: Path, log_watch: leaks.LogWatch, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A fresh home with a short path for the program, and inside it one for the hub library."""
    folder = Path(tempfile.mkdtemp(prefix="", dir=homes))
    monkeypatch.setenv("MLX_MANAGER_HOME", str(folder))
    monkeypatch.setenv("HF_HOME", str(folder / "hf"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def standin() -> Iterator[StandInHub]:
    """A hub of our own on loopback, without models and without faults."""
    with StandInHub() as hub:
        yield hub
