"""Moves a folder to the trash of this computer, where its user can take it back."""

import contextlib
import ctypes
import ctypes.util
import os
import secrets
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote


def move_to_trash(folder: Path) -> None:
    """Move a folder, or a link to one, to the trash. Raises OSError; then it is where it was."""
    if sys.platform == "darwin":
        try:
            _by_finder(folder)
        except (AttributeError, OSError):
            # Without Foundation there is at least the folder; only Finder's Put Back is lost.
            _rename_into(folder, Path.home() / ".Trash")
    else:
        _by_freedesktop(folder)


def _by_finder(folder: Path) -> None:
    """Have macOS do it, which knows the trash of every disk (NSFileManager trashItemAtURL)."""
    library = ctypes.util.find_library("Foundation")
    if library is None:
        raise OSError("there is no Foundation")
    ctypes.cdll.LoadLibrary(library)
    objc = ctypes.cdll.LoadLibrary(ctypes.util.find_library("objc") or "libobjc.dylib")
    objc.objc_getClass.restype = objc.sel_registerName.restype = ctypes.c_void_p
    objc.objc_getClass.argtypes = objc.sel_registerName.argtypes = [ctypes.c_char_p]

    def send(target: int | None, name: bytes, result: Any, *pairs: tuple[Any, object]) -> int:
        # A prototype for each call: on Apple silicon a variadic one passes arguments elsewhere.
        kinds = [kind for kind, _ in pairs]
        call = ctypes.CFUNCTYPE(result, ctypes.c_void_p, ctypes.c_void_p, *kinds)(
            ("objc_msgSend", objc)
        )
        return call(target, objc.sel_registerName(name), *(value for _, value in pairs))

    pointer = ctypes.c_void_p
    text = send(
        objc.objc_getClass(b"NSString"), b"stringWithUTF8String:", pointer,
        (ctypes.c_char_p, os.fsencode(folder)),
    )  # fmt: skip
    url = send(objc.objc_getClass(b"NSURL"), b"fileURLWithPath:", pointer, (pointer, text))
    manager = send(objc.objc_getClass(b"NSFileManager"), b"defaultManager", pointer)
    is_done = send(
        manager, b"trashItemAtURL:resultingItemURL:error:", ctypes.c_bool,
        (pointer, url), (pointer, None), (pointer, None),
    )  # fmt: skip
    if not is_done:
        raise OSError("macOS does not move it to the trash")


def _by_freedesktop(folder: Path) -> None:
    """As in the specification of freedesktop.org for the trash, version 1.0."""
    data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    data.mkdir(parents=True, exist_ok=True)
    if _device(data) == _device(folder.parent):
        trash, place = data / "Trash", str(folder)
    else:
        top = _top(folder.parent)
        trash, place = top / f".Trash-{os.getuid()}", os.path.relpath(folder, top)
    (trash / "info").mkdir(mode=0o700, parents=True, exist_ok=True)
    name = _free_name(trash / "files", folder.name)
    info = trash / "info" / f"{name}.trashinfo"
    date = time.strftime("%Y-%m-%dT%H:%M:%S")
    info.write_text(f"[Trash Info]\nPath={quote(os.fsencode(place))}\nDeletionDate={date}\n")
    try:
        _rename_into(folder, trash / "files", name)
    except OSError:
        info.unlink()
        raise


def _rename_into(folder: Path, trash: Path, name: str = "") -> None:
    trash.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.rename(trash / (name or _free_name(trash, folder.name)))


def _free_name(trash: Path, name: str) -> str:
    with contextlib.suppress(OSError):
        if os.path.lexists(trash / name):
            return f"{name} {secrets.token_hex(3)}"
    return name


def _device(path: Path) -> int:
    return path.stat().st_dev


def _top(folder: Path) -> Path:
    """Return the folder that the disk of `folder` is mounted at."""
    place = Path(os.path.realpath(folder))
    while not place.is_mount():
        place = place.parent
    return place
