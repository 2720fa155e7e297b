"""`mlxm doctor` and the report: what is found, what is mended, and what never leaves."""

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from engine_kit import DEADLINE_S, environment, new_home, running_engine
from hypothesis import given
from hypothesis import strategies as st

from app import paths
from app.doctor import checks
from app.doctor.scrub import scrub

PROGRAM = [sys.executable, "-c", "import sys; from app.__main__ import mlxm; sys.exit(mlxm())"]


def doctor(home: Path, *arguments: str, code: int, **extra: str) -> str:
    done = subprocess.run(
        [*PROGRAM, "doctor", *arguments],
        env=environment(home, **extra),
        cwd=paths.program_root(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert "Traceback" not in done.stderr
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def home(homes: Path) -> Path:
    """A home whose gateway port is free."""
    folder = new_home(homes)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "settings.toml").write_text(f"gateway_port = {port}\n")
    return folder


def test_fresh_home_is_in_order(home: Path) -> None:
    assert "TROUBLE" not in doctor(home, code=0)


def test_open_key_file_is_found_and_mended(home: Path) -> None:
    file = home / "api-keys.json"
    file.write_text("[]")
    file.chmod(0o644)
    assert "TROUBLE api-keys.json" in doctor(home, code=1)
    assert "mended" in doctor(home, "--fix", code=0)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "TROUBLE" not in doctor(home, code=0)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("gateway_port = [", "no TOML file"),
        ("gateway_port = 5", "Gateway port: 5"),
        ("colour = 1", "no setting “colour”"),
    ],
)
def test_settings_that_do_not_work_are_told_and_left(home: Path, text: str, sentence: str) -> None:
    (home / "settings.toml").write_text(text)
    assert sentence in doctor(home, "--fix", code=1)
    assert (home / "settings.toml").read_text() == text


def test_broken_profile_is_named_with_its_line(home: Path) -> None:
    (home / "profiles").mkdir(exist_ok=True)
    (home / "profiles" / "coding.toml").write_text('schema = 1\nname = "Coding\n')
    assert "TROUBLE profile coding: " in (text := doctor(home, code=1))
    assert "line 2" in text


def test_address_of_a_killed_engine_is_found_and_removed(home: Path) -> None:
    (home / "run").mkdir()
    file = home / "run" / "engine.json"
    file.write_text("{}")
    file.chmod(0o600)
    assert "none runs: it was killed" in doctor(home, code=0)
    doctor(home, "--fix", code=0)
    assert not file.exists()


def plant_remains(home: Path) -> list[Path]:
    """Leave what writes leave that were interrupted more than an hour ago."""
    files = [folder / ".tmp-1" for folder in (home, home / "run", home / "backups" / "app")]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        os.utime(file, (0, 0))
    return files


def test_remains_of_interrupted_writes_are_removed_on_wish_and_by_the_next_engine(
    homes: Path, home: Path
) -> None:
    remains = plant_remains(home)
    assert "3 files of interrupted writes" in doctor(home, code=0)
    doctor(home, "--fix", code=0)
    assert not [file for file in remains if file.exists()]
    remains = plant_remains(home)
    with running_engine(homes, home=home):
        assert not [file for file in remains if file.exists()]


def test_engine_that_runs_is_named_and_its_port_is_no_trouble(homes: Path) -> None:
    with running_engine(homes) as engine:
        text = doctor(engine.home, "--fix", code=0)
        assert f"It runs at {engine.url}." in text
        assert (engine.home / "run" / "engine.json").exists()


def test_port_of_another_program_is_trouble(home: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        (home / "settings.toml").write_text(f"gateway_port = {port}\n")
        assert f"Another program holds port {port}" in doctor(home, code=1)


def test_check_that_fails_is_a_finding(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setenv("MLX_MANAGER_HOME", str(home / "settings.toml" / "below"))
    found = [f for f in checks.all_checks() if f.subject == "home"]
    assert found[0].level is checks.Level.TROUBLE


def test_report_holds_the_logs_and_no_secret(home: Path, tmp_path: Path) -> None:
    logs = home / "logs"
    logs.mkdir(exist_ok=True)
    (logs / "engine.log").write_text(
        "sent Authorization: Bearer abcdef123456 to 192.168.1.7\n"
        f"api_key='mlxm-{'x' * 43}' hf_{'a' * 30} ada@example.org\n"
        f"a file below {Path.home()}/models\n"
    )
    target = tmp_path / "report.txt"
    doctor(home, "--report", str(target), code=0)
    text = target.read_text()
    assert "a file below ~/models" in text
    for secret in ("abcdef123456", "x" * 20, "a" * 20, "ada@example.org", "192.168.1.7"):
        assert secret not in text
    assert "127.0.0.1" not in scrub("http://10.0.0.1:8799")
    assert scrub("http://127.0.0.1:8799") == "http://127.0.0.1:8799"


@given(st.from_regex(r"[A-Za-z0-9_-]{43}", fullmatch=True), st.text(max_size=30))
def test_no_key_of_ours_survives_scrubbing(secret: str, around: str) -> None:
    for text in (f"{around} mlxm-{secret}", f"Authorization: Bearer mlxm-{secret} {around}"):
        assert secret not in scrub(text)
