"""Variables for programs that no shell has started: the file in the home and the login shell."""

import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from app import environment


def _write(home: Path, text: str, mode: int = 0o600) -> None:
    (home / "env").write_text(text)
    (home / "env").chmod(mode)


def test_file_gives_what_the_environment_lacks(home: Path) -> None:
    _write(
        home,
        "# my proxy\nhttps_proxy=http://proxy:3128\nexport HF_TOKEN='hf_x=y'\n"
        'MLX_MANAGER_API_KEY="a key"\nHF_HOME=/from/file\n\nnonsense\n',
    )
    found = {"HF_HOME": "/mine"}
    assert environment.adopt_file(found) == ["https_proxy", "HF_TOKEN", "MLX_MANAGER_API_KEY"]
    assert found == {
        "HF_HOME": "/mine",
        "https_proxy": "http://proxy:3128",
        "HF_TOKEN": "hf_x=y",
        "MLX_MANAGER_API_KEY": "a key",
    }


def test_file_gives_nothing_that_changes_how_programs_run(home: Path) -> None:
    _write(home, "LD_PRELOAD=/evil.so\nPYTHONPATH=/x\nDYLD_X=1\nMLX_MANAGER_HOME=/elsewhere\n")
    found: dict[str, str] = {}
    assert environment.adopt_file(found) == []
    assert found == {}


def test_file_without_content_or_absent_gives_nothing(home: Path) -> None:
    assert environment.adopt_file({}) == []
    _write(home, "")
    assert environment.adopt_file({}) == []


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_file_that_others_may_write_is_ignored_and_said_so(
    home: Path, expect_log: Callable[[str], None], mode: int
) -> None:
    expect_log("others may write")
    _write(home, "HF_TOKEN=x", mode)
    assert environment.adopt_file({}) == []


def test_file_that_others_may_read_is_taken_and_said_so(
    home: Path, expect_log: Callable[[str], None]
) -> None:
    expect_log("can be read by others; chmod 600")
    _write(home, "HF_TOKEN=x", 0o644)
    assert environment.adopt_file({}) == ["HF_TOKEN"]


def test_file_that_is_no_text_is_said_so(home: Path, expect_log: Callable[[str], None]) -> None:
    expect_log("cannot be read")
    (home / "env").write_bytes(b"\xff\xfe")
    assert environment.adopt_file({}) == []


def _shell(folder: Path, script: str) -> str:
    file = folder / "shell"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return str(file)


def test_shell_tells_its_variables_whatever_it_prints_before(tmp_path: Path) -> None:
    shell = _shell(tmp_path, 'echo "Welcome A=B"; export HF_HOME="a\nb"; eval "$2"')
    found = environment.ask_shell(shell)
    assert found["HF_HOME"] == "a\nb"
    assert "A" not in found


def test_shell_that_hangs_is_left_and_ended_with_its_children(
    tmp_path: Path, expect_log: Callable[[str], None]
) -> None:
    expect_log("took longer")
    shell = _shell(tmp_path, f"sleep 97.{os.getpid()} & sleep 60")
    begin = time.monotonic()
    assert environment.ask_shell(shell, timeout_s=0.3) == {}
    assert time.monotonic() - begin < 50
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    assert f"sleep 97.{os.getpid()}" not in listed.stdout


def test_shell_that_is_not_there_is_said_so(expect_log: Callable[[str], None]) -> None:
    expect_log("cannot be asked")
    assert environment.ask_shell("/no/such/shell") == {}


@pytest.mark.parametrize(
    ("platform", "parent", "variables", "expected"),
    [
        ("darwin", 1, {}, True),
        ("darwin", 1, {"TERM": "xterm"}, False),
        ("darwin", 500, {}, False),
        ("linux", 1, {}, False),
    ],
)
def test_only_a_start_from_finder_asks_the_shell(
    monkeypatch: pytest.MonkeyPatch,
    platform: str,
    parent: int,
    variables: dict[str, str],
    expected: bool,
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(os, "getppid", lambda: parent)
    assert environment.is_from_finder(variables) is expected


def test_start_from_finder_takes_allowed_variables_and_the_path_of_the_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "is_from_finder", lambda _environment: True)
    shell = _shell(tmp_path, 'export HF_TOKEN=t EDITOR=vi PATH="$PATH:/opt/bin"; eval "$2"')
    found = {"SHELL": shell, "PATH": "/usr/bin:/bin:/usr/sbin:/sbin"}
    environment.adopt_shell(found)
    assert found["HF_TOKEN"] == "t"
    assert found["PATH"].endswith(":/opt/bin")
    assert "EDITOR" not in found
    own = {"SHELL": shell, "PATH": "/my/bin"}
    environment.adopt_shell(own)
    assert own["PATH"] == "/my/bin"
