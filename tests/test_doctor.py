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


@pytest.mark.parametrize(("name", "text"), [("api-keys.json", "[]"), ("env", "HF_TOKEN=hf_x")])
def test_open_key_file_is_found_and_mended(home: Path, name: str, text: str) -> None:
    file = home / name
    file.write_text(text)
    file.chmod(0o644)
    assert f"TROUBLE {name}" in doctor(home, code=1)
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


@pytest.mark.parametrize("arguments", [(), ("--report", "-")])
def test_reader_that_leaves_ends_it_quietly(home: Path, arguments: tuple[str, ...]) -> None:
    process = subprocess.Popen(
        [*PROGRAM, "doctor", *arguments],
        env=environment(home, PYTHONUNBUFFERED="1"),
        cwd=paths.program_root(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    with process.stderr as errors:
        assert errors.read() == b""
    assert process.wait(DEADLINE_S) == 0


def test_long_logs_are_found_and_cut_to_their_end(home: Path) -> None:
    (home / "logs").mkdir(exist_ok=True)
    log = home / "logs" / "downloads.log"
    log.write_text("early\n" * 900_000 + "the end\n")
    assert "note    logs: 5 MB" in doctor(home, code=0)
    doctor(home, "--fix", code=0)
    assert log.stat().st_size < 2_000_000
    assert log.read_text().endswith("the end\n")


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


def report(home: Path, tmp_path: Path, **extra: str) -> str:
    target = tmp_path / "report.txt"
    doctor(home, "--report", str(target), code=0, **extra)
    return target.read_text()


def test_report_tells_settings_of_engine_and_window_in_words_with_their_sources(
    home: Path, tmp_path: Path
) -> None:
    (home / "app.toml").write_text("confirm_quit = false\n")
    text = report(home, tmp_path, MLX_MANAGER_KEEP_AWAKE="0", HF_TOKEN="hf_secret1234")
    for line in (
        "confirm_quit is off (file)",
        "keep_awake is off (environment)",
        "python is built in (default)",
        "hub_token is set (environment)",
    ):
        assert f"\n{line}\n" in text
    for word in ("True", "False", "''", "hf_secret"):
        assert word not in text


def test_report_holds_the_last_figures_of_each_server(homes: Path, tmp_path: Path) -> None:
    with running_engine(homes) as engine:
        engine.start("demo")
        assert engine.complete().status == 200
        # What is not in the database yet is written at the end.
        engine.stop_server("demo")
    text = report(engine.home, tmp_path)
    assert "demo: " in text
    assert "  memory_bytes " in text
    (engine.home / "history.db").write_bytes(b"torn" * 1000)
    assert "They could not be read" in report(engine.home, tmp_path)


def test_report_holds_every_log_and_each_is_bounded(home: Path, tmp_path: Path) -> None:
    names = ("hub.log", "downloads.log", "engine-start.log", "crash.log", "servers/a.log.crash")
    for name in names:
        path = home / "logs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        early = "2026-11-29 18:16:17,224 - INFO - early\n" * 20_000
        path.write_text(f"{early}the end of {path.name}\n")
    text = report(home, tmp_path)
    for name in names:
        assert f"\n## {name}\n" in text
        assert f"the end of {Path(name).name}\n" in text
    assert len(text) < 200_000


def test_report_holds_no_prompt_and_no_answer_of_a_talkative_server(
    homes: Path, tmp_path: Path
) -> None:
    prompt = "xyzzy one\n2 plugh"
    with running_engine(homes) as engine:
        profile = {"name": "D", "model": "demo", "options": {"log_level": "DEBUG"}}
        assert engine.call("POST", "/api/profiles", profile).status == 201
        engine.start("d")
        messages = [{"role": "user", "content": prompt}]
        answer = engine.complete(model="D", messages=messages, max_tokens=16)
        words = answer.json["choices"][0]["message"]["content"].split()
        engine.stop_server("d")
    log = (engine.home / "logs" / "servers" / "d.log").read_text()
    assert "xyzzy" in log
    text = report(engine.home, tmp_path)
    assert "Starting httpd" in text
    section = text.partition("## servers/d.log")[2]
    for word in ("xyzzy", "plugh", *(f"- {word}\n" for word in words)):
        assert word not in section, section


def test_report_leaves_out_a_text_whose_beginning_is_cut_off(home: Path, tmp_path: Path) -> None:
    folder = home / "logs" / "servers"
    folder.mkdir(parents=True)
    (folder / "a.log").write_text(
        "2026-11-29 18:16:16,224 - DEBUG - Incoming Request Body: {\n"
        + "xyzzy\n" * 20_000
        + "2026-11-29 18:16:17,224 - INFO - Prompt Cache: 0 sequences\n"
        "2026-11-29 18:16:18,224 - ERROR - Invalid Request Body: plugh\nplugh\n"
        '127.0.0.1 - - [29/Nov/2026 18:16:18] "POST /v1/completions HTTP/1.0" 400 -\n'
    )
    text = report(home, tmp_path)
    assert "Prompt Cache" in text
    assert "HTTP/1.0" in text
    assert "xyzzy" not in text
    assert "plugh" not in text


@given(st.from_regex(r"[A-Za-z0-9_-]{43}", fullmatch=True), st.text(max_size=30))
def test_no_key_of_ours_survives_scrubbing(secret: str, around: str) -> None:
    for text in (f"{around} mlxm-{secret}", f"Authorization: Bearer mlxm-{secret} {around}"):
        assert secret not in scrub(text)


_WORD = st.from_regex(r"[A-Za-z0-9]{12,40}", fullmatch=True)
_SHAPES = (
    "Authorization: Basic {}==",
    "Proxy-Authorization: basic {}",
    "GET /v1/models?key={} HTTP/1.1",
    "https://hub.example/x?a=1&api_key={}&b=2",
    "https://hub.example/x?X-Amz-Signature={}",
    "HTTPS_PROXY=http://ada:p@ss{}@proxy:3128",
    "socks5://ada:{}@proxy",
    "http://ada:a@{}@b@proxy:3128/x",
    "/Users/{}/models",
    "/home/{}: no such folder",
    "password: {}",
)


@given(st.sampled_from(_SHAPES), _WORD, st.text(max_size=20))
def test_no_secret_survives_scrubbing_in_any_shape(shape: str, secret: str, around: str) -> None:
    assert secret not in scrub(f"{around} {shape.format(secret)} {around}")


@given(
    st.ip_addresses(v=6).filter(lambda a: not (a.is_loopback or a.is_unspecified)),
    st.binary(min_size=6, max_size=6),
    st.sampled_from(
        ("to {} port 8799", "http://[{}]:8799/x", '"{}"', "({})", "{}, {}", "at:{}%en0")
    ),
)
def test_no_long_address_survives_scrubbing(address: object, mac: bytes, shape: str) -> None:
    assert str(address) not in scrub(shape.format(address, address))
    for text in (mac.hex(":"), mac.hex("-").upper()):
        assert text not in scrub(shape.format(text, text))


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-29 18:16:16,224 INFO    engine: found 2 models in 0.5 s",
        "http://[::1]:8799 and http://127.0.0.1:8799",
        "/Users/Shared/models",
        "libc++abi: std::string, 12:30:00",
        "https://hub.example/org/model?page=2",
    ],
)
def test_scrubbing_leaves_what_tells_nothing(text: str) -> None:
    assert scrub(text) == text
