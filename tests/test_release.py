"""The workflow that makes a release, and what goes with it, as far as can be seen without a Mac."""

import hashlib
import importlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from app import __version__, login_item

ROOT = Path(__file__).parent.parent
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
PYTHONS = ("3.11", "3.12", "3.13")


def _workflow(name: str) -> dict[Any, Any]:
    # YAML reads the key `on` as true.
    return yaml.safe_load((ROOT / ".github/workflows" / name).read_text(encoding="utf-8"))


def _steps(job: dict[str, Any]) -> list[dict[str, Any]]:
    return job["steps"]


@pytest.fixture
def cask() -> Iterator[Any]:
    """The program that writes the cask."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "resources/packaging")
        yield importlib.import_module("cask")
        sys.modules.pop("cask", None)


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_workflow_is_whole_and_its_scripts_are_shell(file: Path) -> None:
    workflow = _workflow(file.name)
    assert workflow["permissions"] == {"contents": "read"}
    for name, job in workflow["jobs"].items():
        assert job["timeout-minutes"] > 0, name
        for need in [job["needs"]] if "needs" in job else []:
            assert need in workflow["jobs"]
        for step in _steps(job):
            assert ("run" in step) != ("uses" in step)
            if "run" in step:
                # Values of others are handed over as variables: in a script they would be code.
                assert "${{" not in step["run"], step
                done = subprocess.run(
                    ["bash", "-n"], input=step["run"], text=True, capture_output=True, check=False
                )
                assert done.returncode == 0, done.stderr


def test_every_commit_is_tested_frozen_and_audited() -> None:
    workflow = _workflow("ci.yml")
    assert {"push", "pull_request", "schedule"} <= set(workflow[True])
    scripts = [step.get("run", "") for job in workflow["jobs"].values() for step in _steps(job)]
    for wanted in (".ci/run", "make bundle", "make audit"):
        assert wanted in scripts
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    recipe = makefile.split("\naudit:")[1].split("\n\n")[0]
    for wanted in ("requirements.lock", "--require-hashes", "--strict"):
        assert wanted in recipe


def test_release_is_tested_on_linux_before_it_is_built_on_macos() -> None:
    jobs = _workflow("release.yml")["jobs"]
    linux = " ".join(step.get("run", "") for step in _steps(jobs["linux"]))
    assert ".ci/run" in linux
    assert "make bundle" in linux
    assert jobs["macos"]["needs"] == "linux"
    assert jobs["publish"]["needs"] == "macos"
    assert jobs["publish"]["permissions"] == {"contents": "write"}


def test_release_without_secrets_builds_and_tests_all_the_same() -> None:
    macos = _workflow("release.yml")["jobs"]["macos"]
    for step in _steps(macos):
        text = step.get("run", "")
        needs_secret = "notarytool" in text or "security " in text
        assert needs_secret is ("if" in step), step
        if needs_secret:
            assert "CERTIFICATE != ''" in step["if"]
    script = "\n".join(step.get("run", "") for step in _steps(macos))
    for wanted in ("--selftest", "start demo", "chat/completions", "hdiutil", "shasum -a 256"):
        assert wanted in script


def test_release_takes_the_packages_of_the_oldest_macos() -> None:
    macos = _workflow("release.yml")["jobs"]["macos"]
    (step,) = [s for s in _steps(macos) if "macosx_14_0_arm64" in s.get("run", "")]
    assert step["env"]["MACOSX_DEPLOYMENT_TARGET"] == "14.0"
    assert "--require-hashes" in step["run"]


def test_cask_names_image_checksum_and_every_folder(cask: Any, tmp_path: Path) -> None:
    image = tmp_path / f"MLX-Model-Manager-{__version__}-arm64.dmg"
    image.write_bytes(b"not a real image")
    text = cask.cask(image, "someone/mlx-model-manager")
    assert "@" not in text
    assert f'version "{__version__}"' in text
    assert hashlib.sha256(b"not a real image").hexdigest() in text
    assert "v#{version}/MLX-Model-Manager-#{version}-arm64.dmg" in text
    for kind in login_item.Kind:
        assert f'"{login_item.IDENTIFIER}.{kind.value}"' in text
        assert f"~/Library/LaunchAgents/{login_item.IDENTIFIER}.{kind.value}.plist" in text
    # Models are not ours to throw away.
    assert "huggingface" not in text
    if shutil.which("ruby"):
        subprocess.run(["ruby", "-c"], input=text, text=True, check=True, capture_output=True)


def test_cask_of_another_file_is_refused(cask: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="named as a release"):
        cask.cask(tmp_path / "other.dmg", "a/b")


def test_lock_has_hashes_for_every_package_that_a_mac_needs() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    entries = re.split(r"\n(?=[A-Za-z0-9])", lock)
    names = {re.match(r"[A-Za-z0-9._-]+", entry)[0]: entry for entry in entries if entry.strip()}  # type: ignore[index]
    for name in ("mlx", "mlx-metal", "mlx-lm", "pyside6-essentials", "macholib"):
        assert "--hash=sha256:" in names[name], name
    # One wheel for each macOS that has shaders of its own, and each Python of mlx itself.
    assert names["mlx-metal"].count("--hash=") >= 1
    assert names["mlx"].count("--hash=") >= len(PYTHONS)


@pytest.mark.bundle
@pytest.mark.parametrize("python", PYTHONS)
def test_lock_has_a_wheel_of_every_package_for_a_mac(python: str, tmp_path: Path) -> None:
    uv = shutil.which("uv", path=f"{os.environ['PATH']}:{ROOT / '.tools/bin'}")
    if uv is None:
        pytest.skip("needs uv")
    done = subprocess.run(
        [uv, "pip", "compile", "pyproject.toml", "--constraint", "requirements.lock",
         "--python-platform", "aarch64-apple-darwin", "--python-version", python,
         "--only-binary", ":all:", "--no-header", "--no-annotate", "--quiet",
         "--output-file", str(tmp_path / "mac.txt")],
        cwd=ROOT,
        env=os.environ | {"MACOSX_DEPLOYMENT_TARGET": "14.0"},
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    locked = _pins((ROOT / "requirements.lock").read_text(encoding="utf-8"))
    wanted = _pins((tmp_path / "mac.txt").read_text(encoding="utf-8"))
    assert wanted <= locked
    assert any(line.startswith("mlx-metal==") for line in wanted)


def _pins(text: str) -> set[str]:
    return set(re.findall(r"^([\w.-]+==[\w.]+)", text, re.MULTILINE))
