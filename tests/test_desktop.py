"""The menu entry on Linux: desktops can read it, links reach the app by it, and it goes again."""

import configparser
import os
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from patience import DEADLINE_S

from app import __main__ as program
from app import desktop, paths
from app.gui import links

ROOT = Path(__file__).parent.parent
LINUX_ONLY = pytest.mark.skipif(sys.platform != "linux", reason="desktops of Linux")


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test may touch the real folder."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data"


def _section(text: str) -> configparser.SectionProxy:
    parser = configparser.RawConfigParser(delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(text)
    return parser["Desktop Entry"]


def test_entry_takes_links_and_profile_files_to_this_program(home: Path) -> None:
    section = _section(desktop.menu_entry())
    assert section["Exec"].endswith(f'"MLX_MANAGER_HOME={home}" "{sys.executable}" "-m" "app" %U')
    assert section["Path"] == paths.program_root()
    assert f"x-scheme-handler/{links.SCHEME}" in section["MimeType"].split(";")
    assert desktop.MIME_TYPE in section["MimeType"].split(";")
    # Under this name Wayland finds the icon of a window.
    assert f'setDesktopFileName("{section["Icon"]}")' in (ROOT / "app/gui/main.py").read_text()


@LINUX_ONLY
def test_install_and_uninstall_leave_nothing_but_folders(
    data: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: "/bin/true")
    assert program.mlxm(["desktop", "--install"]) == 0
    menu = data / "applications/mlx-model-manager.desktop"
    assert str(menu) in capsys.readouterr().out
    assert menu.read_text() == desktop.menu_entry()
    (kind,) = ElementTree.parse(data / "mime/packages/mlx-model-manager.xml").getroot()  # noqa: S314 - ours
    assert kind.attrib["type"] == desktop.MIME_TYPE
    patterns = [node.attrib.get("pattern") for node in kind]
    assert f"*{paths.PROFILE_SUFFIX}" in patterns
    assert (data / "icons/hicolor/256x256/apps/mlx-model-manager.png").stat().st_size > 1000
    assert program.mlxm(["desktop", "--uninstall"]) == 0
    assert [path for path in data.rglob("*") if path.is_file()] == []
    assert program.mlxm(["desktop", "--uninstall"]) == 0


@LINUX_ONLY
def test_desktop_without_its_tools_is_told_what_is_missing(
    data: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    assert program.mlxm(["desktop", "--install"]) == 1
    assert "install desktop-file-utils" in capsys.readouterr().err
    assert (data / "applications/mlx-model-manager.desktop").exists()


@LINUX_ONLY
def test_folder_that_takes_no_files_is_told(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data.write_text("a file where a folder should be")
    assert program.mlxm(["desktop", "--install"]) == 1
    assert "could not be written" in capsys.readouterr().err


def test_mac_needs_nothing_of_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert program.mlxm(["desktop", "--install"]) == 1
    assert "nothing to install" in capsys.readouterr().err


def test_file_comes_as_a_path_or_as_an_address() -> None:
    assert links.absolute("file:///home/me/My%20%C3%BC.mlxprofile") == "/home/me/My ü.mlxprofile"
    assert links.absolute("/home/me/50%25.mlxprofile") == "/home/me/50%25.mlxprofile"


@LINUX_ONLY
@pytest.mark.skipif(shutil.which("desktop-file-validate") is None, reason="asks that program")
def test_validator_of_the_desktop_accepts_the_entry(home: Path) -> None:
    menu = desktop.install()
    done = subprocess.run(
        ["desktop-file-validate", str(menu)],
        capture_output=True, text=True, timeout=DEADLINE_S, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "")


@LINUX_ONLY
@pytest.mark.skipif(
    not (shutil.which("gio") and shutil.which("update-desktop-database")),
    reason="asks GLib, as most desktops do",
)
def test_desktop_names_the_app_for_its_links(data: Path, home: Path) -> None:
    desktop.install()
    done = subprocess.run(
        ["gio", "mime", f"x-scheme-handler/{links.SCHEME}"],
        env=os.environ | {"XDG_CONFIG_HOME": str(data), "XDG_DATA_DIRS": "/usr/share"},
        capture_output=True, text=True, timeout=DEADLINE_S, check=False,
    )  # fmt: skip
    assert "mlx-model-manager.desktop" in done.stdout
