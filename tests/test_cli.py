"""`mlxm` as people run it: a program with output, errors and an exit code."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_kit import DEADLINE_S, RunningEngine, environment, new_home, running_engine, until
from model_kit import make_folder, model_files
from stranger_kit import answering

from app import __version__, paths
from app.cli.main import EXIT_CODES
from app.wire import API_VERSION

KEY = "a-long-secret"
PROGRAM = [sys.executable, "-c", "import sys; from app.__main__ import mlxm; sys.exit(mlxm())"]


def mlxm(
    home: Path, *arguments: str, code: int = 0, **extra: str
) -> subprocess.CompletedProcess[str]:
    """Run one command and check its exit code."""
    done = subprocess.run(
        [*PROGRAM, *arguments],
        env=environment(home, **extra),
        cwd=paths.program_root(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert code in EXIT_CODES
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture(scope="module")
def engine(homes: Path) -> Iterator[RunningEngine]:
    """One engine for all commands."""
    with running_engine(homes) as one:
        yield one


@pytest.fixture(scope="module")
def demo(engine: RunningEngine) -> str:
    """The demo server, started by the command; returns what the command said."""
    return mlxm(engine.home, "start", "demo").stdout


def test_version_is_told_without_an_engine(home: Path) -> None:
    assert mlxm(home, "--version").stdout == f"mlxm {__version__}\n"


def test_help_names_every_command_and_exit_code(home: Path) -> None:
    text = " ".join(mlxm(home, "--help").stdout.split())
    for word in ("engine", "status", "list", "start", "stop", "logs", "selftest"):
        assert word in text
    for code, meaning in EXIT_CODES.items():
        assert f"{code} {meaning}" in text


@pytest.mark.parametrize(
    "arguments",
    [[], ["nonsense"], ["start"], ["list", "--yaml"], ["--engine", "http://x", "engine"]],
)
def test_command_line_that_is_not_understood_exits_2(home: Path, arguments: list[str]) -> None:
    assert "usage" in mlxm(home, *arguments, code=2).stderr


@pytest.mark.parametrize("command", [["status"], ["list"], ["start", "demo"], ["logs", "demo"]])
def test_command_without_an_engine_exits_3(home: Path, command: list[str]) -> None:
    done = mlxm(home, *command, code=3)
    assert done.stderr == "mlxm: No engine is running; open the app or run mlxm engine.\n"
    assert done.stdout == ""


def test_command_with_what_a_dead_engine_left_exits_3(home: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    facts = {"url": url, "gateway_url": "", "pid": 1, "api_version": API_VERSION, "log": ""}
    (home / "run").mkdir()
    (home / "run" / "engine.json").write_text(json.dumps(facts))
    mlxm(home, "status", code=3)
    assert "No engine listens" in mlxm(home, "--engine", url, "status", code=3).stderr


@pytest.mark.parametrize("command", [["status"], ["list"], ["start", "demo"], ["pull", "a/b"]])
def test_engine_of_another_version_is_told_in_a_sentence(home: Path, command: list[str]) -> None:
    with answering({"api_version": API_VERSION + 1}) as other:
        done = mlxm(home, "--engine", other.url, *command, code=1)
    assert "Use the same version of the app on both sides." in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("url", ["127.0.0.1:8798", "ftp://x", "http://", "x y"])
def test_address_that_is_none_exits_1_with_an_example(home: Path, url: str) -> None:
    assert url in mlxm(home, "--engine", url, "status", code=1).stderr


def test_list_shows_profiles_and_faults(engine: RunningEngine) -> None:
    path = engine.write_profile("broken", "name = \n")
    engine.call("PUT", "/api/profiles/nobody", {"name": "n", "model": "m"})
    text = mlxm(engine.home, "list").stdout
    assert any(line.split()[:2] == ["Demo", "demo"] for line in text.splitlines())
    assert "cannot be used" in text
    found = json.loads(mlxm(engine.home, "list", "--json").stdout)
    assert {profile["id"] for profile in found} == {"demo", "broken"}
    path.unlink()


def test_start_says_where_the_server_is(engine: RunningEngine, demo: str) -> None:
    assert f"{engine.gateway_url}/v1" in demo
    assert "“Demo”" in demo
    assert engine.complete().status == 200
    # Again, by its name, while it runs: the same words, no second process.
    assert mlxm(engine.home, "start", "DEMO").stdout == demo


def test_status_shows_engine_and_servers(engine: RunningEngine, demo: str) -> None:
    # An answer that has just ended leaves the server "busy" until its next report.
    until(lambda: engine.call("GET", "/api/servers").json[0]["state"] == "ready")
    text = mlxm(engine.home, "status").stdout
    assert engine.url in text
    assert engine.gateway_url in text
    assert ["Demo", "ready"] in [line.split()[:2] for line in text.splitlines()]
    found = json.loads(mlxm(engine.home, "--engine", engine.url, "status", "--json").stdout)
    assert found["engine"]["url"] == engine.url
    assert found["servers"][0]["state"] == "ready"


def test_logs_show_the_log(engine: RunningEngine, demo: str) -> None:
    assert "Starting httpd" in mlxm(engine.home, "logs", "demo").stdout


@pytest.mark.parametrize("command", [["logs", "demo"], ["status"], ["list", "--json"]])
def test_reader_that_goes_away_is_no_error(
    engine: RunningEngine, demo: str, command: list[str]
) -> None:
    log = engine.home / "logs" / "servers" / "demo.log"
    with log.open("a") as file:
        file.write("a line that fills a pipe\n" * 10_000)
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            [*PROGRAM, *command],
            # Output that waits in a buffer meets the closed pipe only at the very end.
            env=environment(engine.home, PYTHONUNBUFFERED=""),
            cwd=paths.program_root(),
            stdout=write,
            stderr=subprocess.PIPE,
            timeout=DEADLINE_S,
            check=False,
        )
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")


def test_profile_that_is_unknown_exits_1(engine: RunningEngine) -> None:
    for command in ("start", "stop", "logs"):
        done = mlxm(engine.home, command, "nobody", code=1)
        assert "There is no profile “nobody”" in done.stderr
        assert "mlxm list" in done.stderr


def test_start_that_fails_exits_4_and_says_why(engine: RunningEngine) -> None:
    body = {"name": "Missing", "model": "nobody/nothing"}
    engine.call("POST", "/api/profiles", body)
    done = mlxm(engine.home, "start", "missing", code=4)
    assert "nobody/nothing is not on this disk" in done.stderr
    assert "Download" in done.stderr
    assert "is not on this disk" in mlxm(engine.home, "status").stdout
    assert engine.call("DELETE", "/api/profiles/missing").status == 204


def test_keys_are_made_listed_and_revoked(engine: RunningEngine) -> None:
    made = mlxm(engine.home, "keys", "add", "Editor")
    assert made.stdout.startswith("mlxm-")
    assert "not required yet" in made.stderr
    assert "Editor" in mlxm(engine.home, "keys").stdout
    assert "is revoked" in mlxm(engine.home, "keys", "revoke", "Editor").stdout
    assert "no key “Editor”" in mlxm(engine.home, "keys", "revoke", "Editor", code=1).stderr


def test_stop_ends_the_server_and_is_content_without_one(engine: RunningEngine, demo: str) -> None:
    assert mlxm(engine.home, "stop", "demo").stdout == "Demo is stopped\n"
    assert engine.call("GET", "/api/servers/demo").json["state"] == "stopped"
    engine.call("DELETE", "/api/servers/demo")
    assert mlxm(engine.home, "stop", "demo").stdout == "Demo does not run\n"


def test_ctrl_c_while_waiting_exits_130(engine: RunningEngine, tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "model", model_files())
    (folder / "model.safetensors").unlink()
    # Who reads this waits for ever, so that the command does, too.
    os.mkfifo(folder / "model.safetensors")
    engine.write_profile("endless", f'name = "Endless"\nmodel = "{folder}"\n')
    until(lambda: "Endless" in mlxm(engine.home, "list").stdout)
    process = subprocess.Popen(
        [*PROGRAM, "start", "endless"],
        env=environment(engine.home),
        cwd=paths.program_root(),
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    until(lambda: bool(engine.call("GET", "/api/servers").json))
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, errors) == (130, "")
    with engine.api() as api:
        api.stop_server("endless", force=True)
    engine.settle("endless")


def test_auth_02_command_without_the_key_exits_5(homes: Path) -> None:
    with running_engine(homes, key=KEY) as one:
        done = mlxm(one.home, "status", code=5)
        assert "MLX_MANAGER_API_KEY" in done.stderr
        mlxm(one.home, "list", code=5, MLX_MANAGER_API_KEY="wrong")
        done = mlxm(one.home, "status", MLX_MANAGER_API_KEY=KEY)
        assert KEY not in done.stdout + done.stderr


def test_key_that_cannot_be_sent_exits_1_and_is_not_shown(engine: RunningEngine) -> None:
    done = mlxm(engine.home, "status", code=1, MLX_MANAGER_API_KEY="geheim-ü-\u2028")
    assert "geheim" not in done.stderr


def test_engine_runs_until_it_is_interrupted(homes: Path) -> None:
    home = new_home(homes)
    process = subprocess.Popen(
        [*PROGRAM, "engine", "--port", "0", "--gateway-port", "0"],
        env=environment(home),
        cwd=paths.program_root(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    with process.stdout:
        assert json.loads(process.stdout.readline())["pid"] == process.pid
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE_S) == 0
        assert process.stdout.read() == ""


def test_selftest_does_the_main_job_in_a_home_of_its_own(home: Path) -> None:
    report = json.loads(mlxm(home, "selftest", MLX_MANAGER_API_KEY=KEY).stdout)
    assert report["keychain"].startswith("keyring.backends.")
    assert report["ok"]
    assert report["answer"]
    assert not list(home.iterdir())
