"""The library's scan by a worker process, real and misbehaving."""

import asyncio
import os
import shutil
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import psutil
import pytest
from model_kit import make_folder, make_hub_repo, model_files
from patience import DEADLINE_S

from app import paths
from app.engine.library import Library, split_folders
from app.wire.errors import AppError
from app.wire.scan import ScanResult

WORKER = [
    sys.executable,
    "-c",
    "import sys; from app.worker.main import main; sys.exit(main(sys.argv[1:]))",
]
WEIGHTS = "model.safetensors"


def run(work: Coroutine[Any, Any, object]) -> Any:
    return asyncio.run(asyncio.wait_for(work, DEADLINE_S))


def script(text: str) -> list[str]:
    return [sys.executable, "-c", text]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110 - what another process does is no event here
            await asyncio.sleep(0.01)


def test_scan_finds_what_is_on_disk(tmp_path: Path) -> None:
    make_hub_repo(tmp_path / "hub", "mlx-community/Tiny", model_files())
    folder = make_folder(tmp_path / "plain", model_files(max_position_embeddings=2))
    library = Library(
        tmp_path / "hub", folders=lambda: [folder], demo=paths.demo_model(), command=WORKER
    )
    result: ScanResult = run(library.scan())
    assert {model.id for model in result.models} == {"mlx-community/Tiny", str(folder), "demo"}
    assert all(model.problem is None for model in result.models)
    assert {m.id for m in Library(tmp_path).last()} == {m.id for m in result.models}


def test_scan_returns_warnings_and_logs_each_once(
    tmp_path: Path, expect_log: Callable[[str], None], caplog: pytest.LogCaptureFixture
) -> None:
    expect_log("model scan: The folder .* does not exist")
    library = Library(tmp_path, folders=lambda: [tmp_path / "gone"], command=WORKER)

    async def twice() -> ScanResult:
        await library.scan()
        return await library.scan()

    result: ScanResult = run(twice())
    assert len(result.warnings) == 1
    assert len([r for r in caplog.records if "does not exist" in r.message]) == 1


def test_scan_by_the_programs_own_command_works(tmp_path: Path) -> None:
    make_hub_repo(tmp_path, "mlx-community/Tiny", model_files())
    result: ScanResult = run(Library(tmp_path).scan())
    assert [model.id for model in result.models] == ["mlx-community/Tiny"]


def counting(tmp_path: Path) -> tuple[list[str], Path]:
    """Return a worker that notes each run in a file, and that file."""
    runs = tmp_path / "runs"
    text = f"open({str(runs)!r}, 'a').write('x'); print('{{\"models\": []}}')"
    return script(text), runs


def test_scans_that_overlap_share_one_run(tmp_path: Path) -> None:
    command, runs = counting(tmp_path)
    library = Library(tmp_path, command=command)

    async def many() -> None:
        results = await asyncio.gather(*(library.scan() for _ in range(5)))
        assert results == [ScanResult(())] * 5

    run(many())
    assert runs.read_text() == "x"


def test_scans_one_after_another_run_again(tmp_path: Path) -> None:
    command, runs = counting(tmp_path)
    library = Library(tmp_path, command=command)

    async def twice() -> None:
        await library.scan()
        await library.scan()

    run(twice())
    assert runs.read_text() == "xx"


def test_call_during_a_run_gets_what_is_there_afterwards(tmp_path: Path) -> None:
    command, runs = counting(tmp_path)
    library = Library(tmp_path, command=command)

    async def late() -> None:
        first = asyncio.create_task(library.scan())
        await until(lambda: library.began > 0)
        await asyncio.gather(first, *(library.scan() for _ in range(5)))

    run(late())
    assert runs.read_text() == "xx"


def test_cancelled_caller_leaves_the_run_to_the_others(tmp_path: Path) -> None:
    command, runs = counting(tmp_path)
    library = Library(tmp_path, command=command)

    async def cancel_one() -> None:
        first = asyncio.create_task(library.scan())
        second = asyncio.create_task(library.scan())
        await asyncio.sleep(0)
        first.cancel()
        assert await second == ScanResult(())
        assert first.cancelled()

    run(cancel_one())
    assert runs.read_text() == "x"


def test_scan_tells_the_worker_to_stay_offline(tmp_path: Path) -> None:
    text = (
        "import os, sys; sys.exit(os.environ['HF_HUB_OFFLINE'] != '1' or print('{\"models\": []}'))"
    )
    assert run(Library(tmp_path, command=script(text)).scan()) == ScanResult(())


def test_worker_that_fails_is_an_error_with_its_trace_in_the_log(
    tmp_path: Path, expect_log: Callable[[str], None]
) -> None:
    expect_log("(?s)worker: .*surprise")
    expect_log("model scan failed")
    with pytest.raises(AppError, match="status 1") as raised:
        run(Library(tmp_path, command=script("raise LookupError('surprise')")).scan())
    assert raised.value.hint


def test_worker_that_prints_nonsense_is_an_error(
    tmp_path: Path, expect_log: Callable[[str], None]
) -> None:
    expect_log("model scan failed")
    with pytest.raises(AppError, match="makes no sense"):
        run(Library(tmp_path, command=script("print('hello')")).scan())


def test_worker_that_cannot_start_is_an_error(
    tmp_path: Path, expect_log: Callable[[str], None]
) -> None:
    expect_log("model scan failed")
    with pytest.raises(AppError, match="cannot be started"):
        run(Library(tmp_path, command=["/no/such/program"]).scan())


HANGING = """
import os, sys, time
open(sys.argv[sys.argv.index("--cache") + 1] + "/pid", "w").write(f"{os.getpid()}.")
time.sleep(60)
"""


def test_worker_that_hangs_is_killed_at_the_deadline(
    tmp_path: Path, expect_log: Callable[[str], None]
) -> None:
    expect_log("model scan failed")
    began = time.monotonic()
    with pytest.raises(AppError, match="took longer than"):
        run(Library(tmp_path, command=script(HANGING), deadline_s=1.0).scan())
    assert time.monotonic() - began < 50


def test_close_ends_a_run_and_its_worker(tmp_path: Path) -> None:
    library = Library(tmp_path, command=script(HANGING))
    note = tmp_path / "pid"

    async def close() -> int:
        waiting = asyncio.create_task(library.scan())
        await until(lambda: note.exists() and note.read_text().endswith("."))
        await library.close()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        return int(note.read_text()[:-1])

    assert not psutil.pid_exists(run(close()))


def test_close_without_a_run_does_nothing(tmp_path: Path) -> None:
    run(Library(tmp_path).close())


def test_look_tells_of_every_change(tmp_path: Path) -> None:
    hub, root = tmp_path / "hub", tmp_path / "root"
    library = Library(hub, folders=lambda: [root])

    async def differs(change: Callable[[], object]) -> bool:
        before = await library.look()
        assert await library.look() == before
        change()
        return await library.look() != before

    files = model_files()
    assert run(differs(lambda: make_hub_repo(hub, "a/one", files)))
    repo = hub / "models--a--one"
    assert run(differs(lambda: make_hub_repo(hub, "a/one", files, commit="b" * 40)))
    assert run(differs(lambda: (repo / "snapshots" / ("b" * 40) / "config.json").unlink()))
    assert run(differs(lambda: os.truncate(repo / "snapshots" / ("b" * 40) / WEIGHTS, 9)))
    assert run(differs(lambda: shutil.rmtree(repo)))
    assert run(differs(lambda: make_folder(root / "ann/two", files)))
    assert run(differs(lambda: os.truncate(root / "ann/two" / WEIGHTS, 9)))
    assert run(differs(lambda: (root / "ann/two/config.json").write_bytes(b"{}")))
    assert run(differs(lambda: (root / "ann/two/config.json").unlink()))
    assert run(differs(lambda: (root / "ann").rename(root / "bob")))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (".lmstudio/models/ann/one", ""),
        (".cache/lm-studio/models/ann/one", ""),
        (".omlx/models/one", ""),
        (".lmstudio-home-pointer", "~/moved"),
        (".lmstudio/settings.json", '{"downloadsFolder": "~/moved/models"}'),
        (".omlx/settings.json", '{"model": {"model_dirs": ["~/moved"]}}'),
    ],
)
def test_look_tells_of_another_programs_library_that_comes_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    make_folder(tmp_path / "moved/models/ann/two", model_files())
    library = Library(tmp_path / "hub", looks_elsewhere=lambda: True, command=WORKER)

    async def found() -> int:
        assert (await library.scan()).models == ()
        before = await library.look()
        place = tmp_path / name
        if text:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
        else:
            make_folder(place, model_files())
        assert await library.look() != before
        return len((await library.scan()).models)

    assert run(found()) == 1


@pytest.mark.parametrize(
    ("text", "folders"),
    [
        ("", []),
        ("/a:/b c", ["/a", "/b c"]),
        (" /a \n/b\n\n", ["/a", "/b"]),
        ("~nobody-here/x", ["~nobody-here/x"]),
    ],
)
def test_folders_are_split_by_line_and_separator(text: str, folders: list[str]) -> None:
    assert split_folders(text) == [Path(f) for f in folders]
