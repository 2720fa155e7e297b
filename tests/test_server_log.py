"""The log of a server in pieces: only what is asked for, of any run that is kept."""

from pathlib import Path

import pytest
from engine_kit import running_engine

from app import paths
from app.engine.supervisor import logfiles, logpieces
from app.wire.errors import AppError
from app.wire.server_log import CRASH, PRESENT


@pytest.fixture
def log() -> Path:
    path = paths.logs() / "servers" / "p.log"
    path.parent.mkdir(parents=True)
    return path


def test_piece_has_the_bytes_that_were_asked_for(log: Path) -> None:
    log.write_bytes(b"one\ntwo\nthree\n")
    end = logpieces.piece(log, PRESENT, None, 6)
    assert (end.data, end.offset, end.size) == (b"three\n", 8, 14)
    middle = logpieces.piece(log, PRESENT, 4, 4)
    assert (middle.data, middle.offset, middle.size) == (b"two\n", 4, 14)
    assert logpieces.piece(log, PRESENT, 14, 100).data == b""
    assert logpieces.piece(log, PRESENT, 99, 100).offset == 14


def test_new_lines_keep_the_version_and_a_new_run_changes_it(log: Path) -> None:
    log.write_bytes(b"one\n")
    first = logpieces.piece(log, PRESENT, 0, 100)
    with log.open("ab") as file:
        file.write(b"two\n")
    second = logpieces.piece(log, PRESENT, first.size, 100)
    assert (second.data, second.version) == (b"two\n", first.version)
    logfiles.begin(log)
    log.write_bytes(b"another run\n")
    assert logpieces.piece(log, PRESENT, 0, 100).version != first.version


def test_log_that_was_cut_is_another_version_and_keeps_its_text(log: Path) -> None:
    log.write_bytes(b"".join(b"line %d\n" % n for n in range(100)))
    whole = logpieces.piece(log, PRESENT, 0, 10_000)
    assert logfiles.shorten(log, max_bytes=500)
    with log.open("ab") as file:
        file.write(b"after the cut\n")
    cut = logpieces.piece(log, PRESENT, 0, 10_000)
    assert cut.version != whole.version
    assert cut.data == whole.data[-500:] + b"after the cut\n"
    across = logpieces.piece(log, PRESENT, 495, 12)
    assert across.data == cut.data[495:507]


def test_runs_are_listed_newest_first_and_a_crash_by_its_own_name(log: Path) -> None:
    assert logpieces.runs(log) == []
    for text in ("first\n", "second\n", "third\n"):
        logfiles.begin(log)
        log.write_text(text)
    assert [(run.id, run.size_bytes) for run in logpieces.runs(log)] == [
        (PRESENT, 6), ("1", 7), ("2", 6),
    ]  # fmt: skip
    assert logpieces.piece(log, "2", 0, 100).data == b"first\n"
    logfiles.keep_crash(log)
    # The run that crashed is still there under its own name, so it is listed once.
    assert CRASH not in [run.id for run in logpieces.runs(log)]
    for _ in range(logfiles.KEPT_RUNS + 1):
        logfiles.begin(log)
        log.write_text("later\n")
    found = {run.id: run for run in logpieces.runs(log)}
    assert found[CRASH].size_bytes == 6
    assert logpieces.piece(log, CRASH, 0, 100).data == b"third\n"


def test_run_that_does_not_exist_is_refused(log: Path) -> None:
    with pytest.raises(AppError, match="no run"):
        logpieces.piece(log, "../../engine", 0, 100)


def test_client_reads_pieces_and_runs_of_a_real_engine(homes: Path) -> None:
    with running_engine(homes) as engine:
        engine.start("demo")
        engine.stop_server("demo")
        with engine.api() as api:
            (run,) = api.server_log_runs("demo")
            assert Path(run.path).stat().st_size == run.size_bytes
            whole = api.server_log_piece("demo", offset=0)
            assert whole.data == Path(run.path).read_bytes()
            end = api.server_log_piece("demo", max_bytes=10)
            assert (end.data, end.size) == (whole.data[-10:], whole.size)
            with pytest.raises(AppError):
                api.server_log_piece("demo", run="x")
        answer = engine.call("GET", "/api/servers/demo/log?offset=-1")
        assert answer.status == 400
