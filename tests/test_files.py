"""Documents on disk, logs and their handlers."""

import errno
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from patience import DEADLINE_S

from app import files, logs


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_write_makes_folder_and_file_with_mode(tmp_path: Path) -> None:
    path = tmp_path / "new" / "secret.json"
    files.write_atomically(path, "grüße", mode=0o600)
    assert path.read_text(encoding="utf-8") == "grüße"
    assert path.stat().st_mode & 0o777 == 0o600
    assert names(path.parent) == ["secret.json"]


@pytest.mark.parametrize("step", ["fsync", "open", "write"])
def test_write_that_fails_leaves_old_content_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "a.toml"
    path.write_text("old")

    def full(*_: object, **__: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    text = "new"
    if step == "write":
        text = "\ud800"  # cannot be encoded, so the write itself fails
    else:
        monkeypatch.setattr(files.os, step, full)
    with pytest.raises((OSError, UnicodeEncodeError)):
        files.write_atomically(path, text)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.toml"]


def test_versions_beyond_the_newest_ten_go(tmp_path: Path) -> None:
    path, backups = tmp_path / "a.toml", tmp_path / "backups"
    for number in range(files.KEPT_VERSIONS + 3):
        path.write_text(str(number))
        files.keep_version(path, backups)
    kept = [file.read_text() for file in sorted((backups / "a").iterdir())]
    assert kept == [str(number) for number in range(3, files.KEPT_VERSIONS + 3)]


def test_version_on_a_full_disk_leaves_no_half_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.toml"
    path.write_text("old")

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        files.keep_version(path, tmp_path / "backups")
    assert names(tmp_path / "backups" / "a") == []


def test_update_of_toml_keeps_comments_and_unknown_keys(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text('# mine\nhost = "a"  # why\nfuture = [1, 2]\n')
    files.update_toml(path, {"host": "b", "gateway_port": 5000}, tmp_path / "backups")
    text = path.read_text()
    assert "# mine" in text
    assert 'host = "b"  # why' in text
    assert "future = [1, 2]" in text
    assert "gateway_port = 5000" in text


def test_update_of_broken_toml_raises_and_leaves_it(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text("host = \n")
    with pytest.raises(ValueError, match="line 1"):
        files.update_toml(path, {"host": "b"}, tmp_path / "backups")
    assert path.read_text() == "host = \n"


def test_trash_keeps_two_of_one_name(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    for text in ("one", "two"):
        path.write_text(text)
        files.move_to_trash(path, tmp_path / "trash")
        assert not path.exists()
    assert sorted(file.read_text() for file in (tmp_path / "trash").iterdir()) == ["one", "two"]


def test_sweep_removes_only_old_temporaries(tmp_path: Path) -> None:
    for name in (".tmp-old", ".tmp-new", "a.toml"):
        (tmp_path / name).touch()
    os.utime(tmp_path / ".tmp-old", (0, 0))
    files.sweep_temporaries(tmp_path)
    assert names(tmp_path) == [".tmp-new", "a.toml"]


def test_rotation_shifts_and_drops_the_last(tmp_path: Path) -> None:
    log = tmp_path / "demo.log"
    for text in "abcd":
        log.write_text(text)
        files.rotate(log, keep=2)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "demo.log.1": "d",
        "demo.log.2": "c",
    }


def test_bugfix_02_removal_of_a_log_takes_its_versions_and_no_other(tmp_path: Path) -> None:
    for name in ("a.log", "a.log.1", "a.log.3", "a.log.log", "ab.log", "[x].log", "x.log.1"):
        (tmp_path / name).touch()
    files.remove_rotated(tmp_path / "a.log")
    files.remove_rotated(tmp_path / "[x].log")
    files.remove_rotated(tmp_path / "gone.log")
    assert names(tmp_path) == ["a.log.log", "ab.log", "x.log.1"]


def test_bugfix_02_sweep_of_logs_drops_old_ones_then_the_oldest(tmp_path: Path) -> None:
    for age, name in enumerate(("new.log", "middle.log.1", "last.log"), start=1):
        (tmp_path / name).write_bytes(bytes(100))
        os.utime(tmp_path / name, (10**9 - age, 10**9 - age))
    (tmp_path / "ancient.log").touch()
    os.utime(tmp_path / "ancient.log", (0, 0))
    now = (tmp_path / "new.log").stat().st_mtime
    for name in ("new.log", "middle.log.1", "last.log"):
        status = (tmp_path / name).stat()
        shift = files.time.time() - now
        os.utime(tmp_path / name, (status.st_mtime + shift, status.st_mtime + shift))
    files.sweep_logs(tmp_path, max_bytes=250, max_age_s=3600)
    assert names(tmp_path) == ["middle.log.1", "new.log"]


def test_log_that_is_trimmed_keeps_its_newest_lines_and_takes_more(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    assert not files.trim(log)
    with log.open("ab", buffering=0) as writer:
        writer.write(b"".join(b"line %d\n" % number for number in range(100)))
        assert not files.trim(log, max_bytes=10_000)
        assert files.trim(log, max_bytes=100)
        writer.write(b"more\n")
    lines = log.read_text().splitlines()
    assert lines == [*(f"line {number}" for number in range(94, 100)), "more"]


def test_tail_starts_at_a_line(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"first line\nsecond\xff line\nthird\n")
    assert files.tail(path, 1000).startswith("first line\n")
    assert files.tail(path, 16) == "third\n"
    assert "�" in files.tail(path, 1000)
    assert files.tail(tmp_path / "gone", 1000) == ""


@pytest.fixture
def log_file(tmp_path: Path) -> Iterator[Path]:
    """A log as a program of the app sets it up."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    for handler in before:
        root.removeHandler(handler)
    path = tmp_path / "logs" / "engine.log"
    logs.set_up(path)
    yield path
    for handler in root.handlers[:]:
        root.removeHandler(handler)
        handler.close()
    for handler in before:
        root.addHandler(handler)
    root.setLevel(level)
    logging.captureWarnings(capture=False)


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer sk-abcdef123456",
        "api_key=sk-abcdef123456",
        '{"api_key": "sk-abcdef123456"}',
        "token hf_sk-abcdef123456",
    ],
)
def test_log_hides_what_looks_like_a_key(log_file: Path, text: str) -> None:
    logging.getLogger("http").info("told %s", text)
    try:
        raise ValueError(text)  # noqa: TRY301 - the trace is what the test is about
    except ValueError:
        logging.getLogger("http").info("with a trace", exc_info=True)
    written = log_file.read_text()
    assert written.count("[redacted]") == 2
    assert "abcdef" not in written


def test_bugfix_05_debug_output_is_off_unless_asked_for(log_file: Path) -> None:
    logging.getLogger("engine").debug("chatter")
    logging.getLogger("engine").info("life")
    assert "chatter" not in log_file.read_text()
    assert "life" in log_file.read_text()


CRASHES = {
    "main": "raise RuntimeError('lost')",
    "thread": "import threading\nt = threading.Thread(target=lambda: 1 / 0)\nt.start()\nt.join()",
    "finaliser": "class A:\n    def __del__(self):\n        raise RuntimeError('lost')\nA()",
}


@pytest.mark.parametrize("kind", CRASHES)
def test_bugfix_01_exception_that_nobody_handles_is_logged(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "engine.log"
    code = (
        f"from pathlib import Path\nfrom app import logs\nlogs.set_up(Path({str(file)!r}))\n"
        f"logs.hook_exceptions('engine')\n{CRASHES[kind]}\n"
    )
    subprocess.run([sys.executable, "-c", code], check=False, timeout=DEADLINE_S)
    text = file.read_text()
    assert text.count("unhandled exception") == 1
    assert "Traceback" in text


def test_ctrl_c_is_no_error_in_the_log(log_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    logs.hook_exceptions("engine")
    hook: Callable[..., None] = sys.excepthook
    hook(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert not log_file.exists()
