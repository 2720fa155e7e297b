"""Model servers that the engine did not start: found, listed, and ended only on request."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import psutil
import pytest
from engine_kit import DEADLINE_S, running_engine, wait_for_event
from foreign_kit import fake_server, mlx_command

from app.engine.bus import Bus
from app.engine.foreign import end
from app.engine.readers.foreign import NAMES, ForeignReader, classify
from app.wire.errors import AppError, ErrorCode
from app.wire.events import Event, Removed, Snapshot, Upsert, decode_item
from app.wire.nouns import EngineInfo, ForeignKind, ForeignServer, Machine

_K = ForeignKind
PYTHON = "/opt/homebrew/Cellar/python@3.12/3.12.4/Frameworks/Python.framework/Versions/3.12/bin/python3.12"  # noqa: E501
MAC_PYTHON = "/opt/homebrew/Cellar/python@3.12/Python.app/Contents/MacOS/Python"
STUDIO = "/Applications/LM Studio.app/Contents"


@pytest.mark.parametrize(
    ("kind", "cmdline"),
    [
        (_K.MLX_LM, [PYTHON, "-m", "mlx_lm.server", "--model", "mlx-community/Qwen3-4B-4bit"]),
        (_K.MLX_LM, ["python", "-m", "mlx_lm", "server", "--port", "8080"]),
        (_K.MLX_LM, [MAC_PYTHON, "/Users/a/.venv/bin/mlx_lm.server", "--model", "x"]),
        (_K.MLX_LM, ["/Users/a/.venv/bin/python3", "/Users/a/.venv/bin/mlx_lm", "server"]),
        (_K.MLX_LM, ["python3.13t", "-um", "mlx_lm.server"]),
        (_K.MLX_LM, ["python3", "-X", "dev", "-W", "error", "-u", "-mmlx_lm.server"]),
        (_K.MLX_LM, ["python", "/x/site-packages/mlx_lm/server.py", "--model", "x"]),
        (_K.MLX_LM, ["mlx_lm.server", "--model", "x"]),
        (_K.MLX_VLM, ["python", "-m", "mlx_vlm.server", "--port", "8080"]),
        (_K.MLX_VLM, [PYTHON, "/opt/homebrew/bin/mlx_vlm.server"]),
        (_K.VLLM_MLX, [PYTHON, "/opt/homebrew/bin/vllm-mlx", "serve", "x", "--port", "8000"]),
        (_K.OLLAMA, ["/Applications/Ollama.app/Contents/Resources/ollama", "serve"]),
        (_K.OLLAMA, ["ollama", "serve"]),
        (_K.OLLAMA, ["/usr/local/bin/ollama", "runner", "--ollama-engine", "--port", "54321"]),
        (_K.LLAMA_CPP, ["llama-server", "-m", "/models/x.gguf", "--port", "8081"]),
        (_K.LLAMA_CPP, ["/opt/homebrew/bin/llama-server"]),
        (_K.LM_STUDIO, [f"{STUDIO}/MacOS/LM Studio"]),
        (_K.LM_STUDIO, ["/Users/a/.lmstudio/llmster/0.0.3/llmster"]),
    ],
)
def test_classify_server_command_returns_its_kind(kind: ForeignKind, cmdline: list[str]) -> None:
    assert classify(Path(cmdline[0]).name, cmdline) is kind


@pytest.mark.parametrize(
    "cmdline",
    [
        [],
        [""],
        ["vim", "/home/a/ollama/serve"],
        ["nano", "ollama", "serve"],
        ["grep", "-r", "mlx_lm.server", "."],
        ["grep", "ollama serve"],
        ["tail", "-f", "/Users/a/.ollama/logs/server.log"],
        ["sh", "-c", "mlx_lm.server --model x"],
        ["zsh", "-c", "ollama serve"],
        ["ssh", "studio", "ollama", "serve"],
        ["uv", "run", "mlx_lm.server", "--model", "x"],
        ["ollama"],
        ["ollama", "run", "qwen3"],
        ["ollama", "pull", "serve"],
        ["/Applications/Ollama.app/Contents/MacOS/Ollama"],
        ["python", "-m", "mlx_lm.generate", "--prompt", "server"],
        ["python", "-m", "mlx_lm", "chat"],
        ["python", "-m", "mlx_lm"],
        ["python", "-c", "import mlx_lm.server", "-m", "mlx_lm.server"],
        ["python", "-Ic", "print()", "-m", "mlx_lm.server"],
        ["python", "-m", "pytest", "tests/mlx_lm.server"],
        ["python", "notes.py", "mlx_lm.server"],
        ["python", "/home/a/ollama.py", "serve"],
        ["python", "-"],
        ["python", "-m"],
        ["python"],
        ["lms", "server", "start"],
        [f"{STUDIO}/Frameworks/LM Studio Helper.app/Contents/MacOS/LM Studio Helper", "--type=gpu"],
        [f"{STUDIO}/MacOS/LM Studio", "--type=renderer"],
        ["/opt/lm-studio --type=zygote --no-sandbox"],
        ["llama-server-bench"],
        [PYTHON, "-m", "app", "runner", "--model", "x", "--host", "127.0.0.1", "--port", "0"],
        [PYTHON, "-m", "app", "guard"],
        ["/Applications/MLX Model Manager.app/Contents/MacOS/mlx-model-manager", "runner"],
    ],
)
def test_classify_other_command_returns_none(cmdline: list[str]) -> None:
    assert classify(Path(cmdline[0]).name if cmdline else "kworker", cmdline) is None


def test_classify_without_program_in_command_goes_by_process_name() -> None:
    assert classify("llama-server", [""]) is _K.LLAMA_CPP


def test_names_every_kind_has_one() -> None:
    assert set(NAMES) == set(ForeignKind)


def from_outside() -> ForeignReader:
    """Return a reader of an engine that started nothing, so that children of the test count."""
    return ForeignReader(own_pid=2**22 + 1)


def listed(reader: ForeignReader, pid: int) -> ForeignServer | None:
    return next((s for s in reader.read() if s.pid == pid), None)


def found(pid: int) -> ForeignServer:
    server = listed(from_outside(), pid)
    assert server is not None
    return server


def test_read_running_server_is_listed_with_its_facts(home: Path) -> None:
    with fake_server(home, *mlx_command()) as one:
        server = found(one.pid)
        assert (server.kind, server.name, server.port) == (_K.MLX_LM, "mlx-lm server", one.port)
        assert server.created == pytest.approx(psutil.Process(one.pid).create_time(), abs=1)
        assert server.memory_bytes is not None
        assert server.memory_bytes > 1_000_000


def test_read_ended_server_is_listed_no_more(home: Path) -> None:
    reader = from_outside()
    with fake_server(home, *mlx_command()) as one:
        assert listed(reader, one.pid) is not None
    assert listed(reader, one.pid) is None


def test_read_process_that_becomes_another_program_is_looked_at_again(home: Path) -> None:
    reader = from_outside()
    waits = f'read line; exec "{sys.executable}" -m mlx_lm server'
    with fake_server(home, *mlx_command()):  # lays out the folder
        process = subprocess.Popen(
            ["/bin/sh", "-c", waits], cwd=home, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(home)},
        )  # fmt: skip
        try:
            assert listed(reader, process.pid) is None
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(b"go\n")
            process.stdin.flush()
            process.stdout.readline()
            assert listed(reader, process.pid) is not None
        finally:
            process.kill()
            process.communicate()


def test_read_engine_child_is_never_listed(home: Path) -> None:
    with fake_server(home, *mlx_command()) as one:
        assert listed(ForeignReader(own_pid=os.getpid()), one.pid) is None


def test_read_runner_below_server_counts_as_part_of_it(home: Path) -> None:
    with fake_server(home, "ollama", "serve", "child") as one:
        (child,) = psutil.Process(one.pid).children()
        servers = from_outside().read()
        assert child.pid not in [s.pid for s in servers]
        (server,) = [s for s in servers if s.pid == one.pid]
        alone = psutil.Process(one.pid).memory_info().rss
        assert server.memory_bytes is not None
        assert server.memory_bytes > alone


def test_end_server_is_gone_afterwards(home: Path) -> None:
    with fake_server(home, *mlx_command()) as one:
        end(found(one.pid))
        assert not psutil.pid_exists(one.pid)


def test_end_with_another_create_time_refuses_and_signals_nobody(home: Path) -> None:
    with fake_server(home, *mlx_command()) as one:
        server = found(one.pid)
        with pytest.raises(AppError, match="not running any more") as refusal:
            end(msgspec.structs.replace(server, created=server.created - 60))
        assert refusal.value.code is ErrorCode.NOT_FOUND
        assert one.process.poll() is None


def test_end_of_process_that_is_another_program_by_now_refuses(home: Path) -> None:
    with fake_server(home, *mlx_command()) as one:
        with pytest.raises(AppError, match="not running any more"):
            end(msgspec.structs.replace(found(one.pid), kind=_K.OLLAMA))
        assert one.process.poll() is None


def test_end_server_that_ignores_the_signal_is_told_and_never_killed(home: Path) -> None:
    with fake_server(home, *mlx_command("stubborn")) as one:
        with pytest.raises(AppError, match="still runs after 0 seconds") as refusal:
            end(found(one.pid), deadline_s=0.3)
        assert refusal.value.code is ErrorCode.FOREIGN_REFUSED
        assert one.process.poll() is None


def test_end_server_that_is_gone_already_is_fine(home: Path) -> None:
    with fake_server(home, *mlx_command()) as one:
        server = found(one.pid)
        one.process.kill()
        one.process.wait()
        end(server)


def test_bus_replace_foreign_publishes_only_the_difference() -> None:
    machine = Machine("m", "c", 1)
    bus = Bus(EngineInfo("", 1, 1, "", "", "", 0.0, "", "", False, False, machine, ()))
    one, two = (ForeignServer(n, _K.OLLAMA, "Ollama", 1, 0.0) for n in "ab")
    bus.replace_foreign([one, two])
    before = bus.snapshot()
    bus.replace_foreign([one, two])
    assert bus.snapshot().seq == before.seq
    bus.replace_foreign([two])
    assert (bus.snapshot().foreign, bus.snapshot().seq) == ((two,), before.seq + 1)


def test_snapshot_of_engine_without_the_list_is_read() -> None:
    machine = Machine("m", "c", 1)
    info = EngineInfo("", 1, 1, "", "", "", 0.0, "", "", False, False, machine, ())
    assert Snapshot(1, info, (), (), (), ()).foreign == ()


def test_api_foreign_server_is_listed_and_stopped_and_own_server_is_not(
    homes: Path, home: Path
) -> None:
    with (
        fake_server(home, *mlx_command()) as one,
        running_engine(homes) as engine,
        engine.api() as api,
    ):
        own = engine.start("demo")
        events = api.events()

        def shows(event: Event) -> bool:
            if isinstance(event, Snapshot):
                return one.pid in [s.pid for s in event.foreign]
            if not isinstance(event, Upsert) or event.kind != "foreign":
                return False
            item = decode_item(event)
            return isinstance(item, ForeignServer) and item.pid == one.pid

        wait_for_event(events, shows)
        (server,) = [s for s in api.foreign() if s.pid == one.pid]
        assert server.port == one.port
        api.stop_foreign(server.id)
        assert one.process.wait(DEADLINE_S) == -signal.SIGTERM
        wait_for_event(events, lambda e: isinstance(e, Removed) and e.id == server.id)
        below = {p.pid for p in psutil.Process(engine.process.pid).children(recursive=True)}
        assert own.pid in below
        assert not below & {s.pid for s in api.foreign()}
        events.close()


def test_api_stop_of_unknown_foreign_server_is_404_in_words(homes: Path, home: Path) -> None:
    with fake_server(home, *mlx_command()) as one, running_engine(homes) as engine:
        for name in ("no-such-id", f"{one.pid}-1.00", str(one.pid)):
            answer = engine.call("POST", f"/api/foreign/{name}/stop")
            assert (answer.status, answer.code) == (404, "not_found")
            assert "Nothing was stopped" in answer.json["error"]["hint"]
        assert one.process.poll() is None
        assert isinstance(json.loads(engine.call("GET", "/api/foreign").body), list)
