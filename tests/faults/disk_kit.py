"""A real disk that can be filled, protected and ejected; skipped where none can be mounted."""

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# Enough for the files of an engine, and filled in a moment.
_SIZE = "24m"


def _mount(*arguments: object) -> bool:
    command = shutil.which("mount")
    return command is not None and not _status(command, *arguments)


def _status(*command: object) -> int:
    return subprocess.run(
        [str(part) for part in command], capture_output=True, check=False
    ).returncode


class Disk:
    """A small disk in memory, which a second place holds while it is ejected."""

    def __init__(self, folder: Path) -> None:
        self.path, self._second = folder / "disk", folder / "kept"
        for place in (self.path, self._second):
            place.mkdir()
        if not _mount("-t", "tmpfs", "-o", f"size={_SIZE}", "tmpfs", self._second):
            pytest.skip("no disk can be mounted here")
        self.plug_in()
        self.home = self.path / "home"
        self.home.mkdir()

    def fill(self) -> None:
        with contextlib.suppress(OSError), (self.path / "filler").open("wb", 0) as file:
            while True:
                file.write(bytes(4096))

    def empty(self) -> None:
        (self.path / "filler").unlink()

    def protect(self) -> None:
        assert _mount("--bind", self.path, self.path)
        assert _mount("-o", "remount,ro,bind", self.path)

    def unprotect(self) -> None:
        assert not _status("umount", self.path)

    def eject(self) -> None:
        assert not _status("umount", "--lazy", self.path)

    def plug_in(self) -> None:
        assert _mount("--bind", self._second, self.path)

    def close(self) -> None:
        for place in (self.path, self.path, self._second):
            _status("umount", "--lazy", place)


@pytest.fixture
def disk(homes: Path) -> Iterator[Disk]:
    folder = Path(tempfile.mkdtemp(prefix="disk", dir=homes))
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        stack.callback(_status, "umount", "--lazy", folder / "kept")
        disk = Disk(folder)
        stack.callback(disk.close)
        yield disk


FAULTS: dict[str, tuple[Callable[[Disk], None], Callable[[Disk], None], str]] = {
    "full": (Disk.fill, Disk.empty, "No space left on device"),
    "read-only": (Disk.protect, Disk.unprotect, "Read-only file system"),
    "ejected": (Disk.eject, Disk.plug_in, "is gone"),
}
