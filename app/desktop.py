"""The app among the programs of a Linux desktop: its menu entry, icon, links and kind of file."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from app import files, paths

NAME = "MLX Model Manager"
ID = "mlx-model-manager"
"""Of its files, and what Wayland calls its windows."""
SCHEME = "mlxmanager"
MIME_TYPE = "application/x-mlxprofile"
_COMMAND_S = 20.0


class DesktopFailed(Exception):
    """It did not work, or only in part; the text is for users."""


def entry(command: list[str], *, home: str | None, more: tuple[str, ...] = ()) -> str:
    """Return an entry that starts a program; `more` are further lines of it."""
    if home:
        command = ["env", f"MLX_MANAGER_HOME={home}", *command]
    # A %U at the end stands for what is opened, and is the one part that is not quoted.
    parts = [part if part == "%U" else _quoted(part) for part in command]
    lines = ["[Desktop Entry]", "Type=Application", f"Name={NAME}", f"Exec={' '.join(parts)}"]
    if (root := paths.program_root()) is not None:
        lines.append(f"Path={root}")
    return "\n".join([*lines, "Terminal=false", *more]) + "\n"


def menu_entry() -> str:
    """Return the entry of the menu, by which links and profile files open in the app."""
    return entry(
        [*paths.program("gui")[:-1], "%U"],
        home=os.environ.get("MLX_MANAGER_HOME"),
        more=(
            f"Icon={ID}",
            "Comment=Find, download and serve local language models",
            "Categories=Development;",
            f"MimeType=x-scheme-handler/{SCHEME};{MIME_TYPE};",
            # X11 knows the windows by this; Wayland by the name of the file.
            f"StartupWMClass={NAME}",
        ),
    )


def install() -> Path:
    """Write all files and tell the desktop; return the menu entry. Raises DesktopFailed.

    Desktops look for links in a list that only `update-desktop-database` makes.
    """
    if sys.platform != "linux":
        raise DesktopFailed(
            "On a Mac the app itself opens links and profile files; nothing to install."
        )
    data = _data()
    menu = data / f"applications/{ID}.desktop"
    try:
        for target, source in _icons(data).items():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
        files.write_atomically(data / f"mime/packages/{ID}.xml", _mime_package())
        files.write_atomically(menu, menu_entry())
    except OSError as error:
        raise DesktopFailed(
            f"The files in {data} could not be written: {error.strerror}."
        ) from error
    _tell_desktop(data)
    if shutil.which("update-desktop-database") is None:
        raise DesktopFailed(
            f"The app is in the menu ({menu}), but links may not open in it: install "
            "desktop-file-utils and do this again."
        )
    return menu


def remove() -> Path:
    """Delete what `install` writes; return where the menu entry was. Raises DesktopFailed."""
    data = _data()
    menu = data / f"applications/{ID}.desktop"
    try:
        for file in (menu, data / f"mime/packages/{ID}.xml", *_icons(data)):
            file.unlink(missing_ok=True)
    except OSError as error:
        raise DesktopFailed(f"{error.filename} could not be deleted: {error.strerror}.") from error
    _tell_desktop(data)
    return menu


def _data() -> Path:
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share")


def _icons(data: Path) -> dict[Path, Path]:
    """Return where each size of the icon goes, and the file it is copied from."""
    sizes = (paths.resources() / "icons/app").glob("*.png")
    return {data / f"icons/hicolor/{s.stem}x{s.stem}/apps/{ID}.png": s for s in sizes}


def _mime_package() -> str:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<mime-info xmlns="http://www.freedesktop.org/standards/shared-mime-info">\n'
        f'  <mime-type type="{MIME_TYPE}">\n'
        "    <comment>MLX profile</comment>\n"
        '    <sub-class-of type="text/plain"/>\n'
        f'    <glob pattern="*{paths.PROFILE_SUFFIX}"/>\n'
        "  </mime-type>\n"
        "</mime-info>\n"
    )


def _tell_desktop(data: Path) -> None:
    """Bring the desktop's lists up to date, by the programs that make them."""
    for program, folder in (
        ("update-mime-database", data / "mime"),
        ("update-desktop-database", data / "applications"),
    ):
        if (found := shutil.which(program)) is None or not folder.is_dir():
            continue
        try:
            subprocess.run(
                [found, str(folder)], capture_output=True, timeout=_COMMAND_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise DesktopFailed(f"{program} did not work: {error}") from error


def _quoted(text: str) -> str:
    """Quote as the desktop entry specification wants it, whose % is a placeholder."""
    inner = text.replace("%", "%%")
    for character in ("\\", '"', "`", "$"):
        inner = inner.replace(character, f"\\{character}")
    # Once more, as for every text in such a file.
    return '"' + inner.replace("\\", "\\\\") + '"'
