"""Cuts the power in every moment of every write. Usage: power_cut.py WORK_FOLDER [STORE...]

For each store: an old document is saved, then a process that saves a new one dies by SIGKILL at its
n-th step on the disk, for every n. What it had written and not synced is torn, as after a power
cut. Prints a JSON line for each store: moments, and what the next start then read, by value.
"""

import contextlib
import json
import logging
import os
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STEPS = ("open", "fsync", "replace", "rename", "unlink", "mkdir", "close")
_truncate, _scan, _kill = os.truncate, os.walk, os.kill


@dataclass
class Store:
    """A writer of files. `save` writes value 1 over value 0; `load` returns what is read."""

    name: str
    save: Callable[[int], object]
    load: Callable[[], object]
    values: tuple[object, object]


class Power:
    """Counts steps on the disk and dies at one of them; remembers what has reached the disk."""

    def __init__(self, home: Path, dies_at: int) -> None:
        self._home = home
        self._left = dies_at
        self._before = {inode: stamp for inode, _, stamp in files_below(home)}
        self._synced: set[int] = set()

    def arm(self) -> None:
        """Stand before every step from now on."""
        for name in STEPS:
            setattr(os, name, self._watched(name, getattr(os, name)))
        fdopen = os.fdopen

        def opened(*arguments: Any, **options: Any) -> Any:
            file = fdopen(*arguments, **options)
            write = file.write

            def halves(data: Any) -> int:
                half = write(data[: len(data) // 2])
                file.flush()
                self._step()
                return half + write(data[len(data) // 2 :])

            file.write = halves
            return file

        os.fdopen = opened

    def _watched(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any, **options: Any) -> Any:
            self._step()
            result = call(*arguments, **options)
            if name == "fsync":
                self._synced.add(os.fstat(arguments[0]).st_ino)
            return result

        return step

    def _step(self) -> None:
        self._left -= 1
        if self._left < 0:
            for inode, path, stamp in files_below(self._home):
                if inode not in self._synced and self._before.get(inode) != stamp:
                    _truncate(path, path.stat().st_size // 2)
            _kill(os.getpid(), signal.SIGKILL)


def files_below(home: Path) -> list[tuple[int, Path, tuple[int, int]]]:
    """Return (inode, path, (size, change)) of every file."""
    found: list[tuple[int, Path, tuple[int, int]]] = []
    for folder, _, names in _scan(home):
        for path in (Path(folder) / name for name in names):
            status = path.stat()
            found.append((status.st_ino, path, (status.st_size, status.st_mtime_ns)))
    return found


def cut_everywhere(store: Store, home: Path, most: int = 500) -> dict[str, Any]:
    """Return how often the power was cut, and what was read afterwards how often."""
    fresh(home)
    store.save(0)
    base = home.with_name("base")
    shutil.rmtree(base, ignore_errors=True)
    shutil.copytree(home, base)
    read: Counter[str] = Counter()
    torn: list[str] = []
    for moment in range(most):
        shutil.rmtree(home)
        shutil.copytree(base, home)
        died = in_a_child(lambda moment=moment: saving(store, home, moment))
        if not died:
            break
        torn += torn_files(home)
        value = store.load()
        read[{store.values[0]: "old", store.values[1]: "new"}.get(value, repr(value))] += 1
        # Nothing that is left may be in the way of the next save.
        store.save(1)
        if store.load() != store.values[1]:
            torn.append(f"moment {moment}: the next save did not work")
    return {"store": store.name, "moments": moment, "read": dict(read), "torn": torn}


def saving(store: Store, home: Path, moment: int) -> None:
    """Save the new document, with the power going at a moment."""
    Power(home, moment).arm()
    store.save(1)


def in_a_child(work: Callable[[], object]) -> bool:
    """Run in a process of its own; return True when it was killed."""
    pid = os.fork()
    if pid == 0:
        status = 1
        with contextlib.suppress(BaseException):
            work()
            status = 0
        os._exit(status)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        return True
    if os.WEXITSTATUS(status):
        raise SystemExit("the write itself failed")
    return False


def torn_files(home: Path) -> list[str]:
    """Return files with a good name whose content is of neither version."""
    found: list[str] = []
    for _, path, _ in files_below(home):
        is_document = path.suffix in (".toml", ".json", ".alive", ".mlxprofile")
        if is_document and not path.name.startswith(".tmp-"):
            text = path.read_text(encoding="utf-8", errors="replace")
            with contextlib.suppress(ValueError):
                parse(path, text)
                continue
            found.append(f"{path.relative_to(home)}: {text!r}")
    return found


def parse(path: Path, text: str) -> None:
    """Read a document. Raises ValueError."""
    if path.suffix in (".toml", ".mlxprofile"):
        import tomllib

        if not tomllib.loads(text):
            raise ValueError("empty")
    else:
        json.loads(text)


def fresh(home: Path) -> None:
    """Make the folder empty."""
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()


def main(work: Path, wanted: list[str]) -> None:
    """Cut the power for all stores, or for those that are named."""
    home = work / "home"
    os.environ |= {"MLX_MANAGER_HOME": str(home), "XDG_CONFIG_HOME": str(home / "config")}
    os.environ |= {"HOME": str(home), "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"}
    logging.disable()
    fresh(home)
    from faults.stores import all_stores

    for store in all_stores():
        if not wanted or store.name in wanted:
            sys.stdout.write(json.dumps(cut_everywhere(store, home)) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    sys.path.insert(0, str(Path(__file__).parents[2]))
    from faults import power_cut

    # Under its own name, so that the stores' Store is this one.
    power_cut.main(Path(sys.argv[1]), sys.argv[2:])
