"""Reads the headers of macOS program files on any system: for which chips and systems they are.

`python resources/packaging/macho.py FOLDER` lists what a program for arm64 cannot use, and the
oldest macOS that each package asks for.

Fields as in Apple's mach-o/loader.h and mach-o/fat.h.
"""

import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_ARCHITECTURES = {0x0100000C: "arm64", 0x01000007: "x86_64"}
_FAT, _FAT_64 = 0xCAFEBABE, 0xCAFEBABF
_THIN_64 = 0xFEEDFACF
_HEADER_SIZE = 32
_BUILD_VERSION, _VERSION_MIN = 0x32, 0x24
_RPATH = 0x8000001C
_LOADS = {0xC, 0xD, 0x80000018, 0x8000001F}
"""Load, own name, weak load, re-export."""
_MOST_SLICES = 16
"""A Java class begins with the same number as a fat file; its next field is far above this."""
_MOST_COMMANDS = 10_000


class NotMachO(ValueError):
    """The data is no program file of macOS, or a broken one."""


@dataclass(frozen=True)
class Slice:
    """The code for one chip in a program file."""

    architecture: str
    """`arm64`, `x86_64`, or the number of another one."""
    offset: int
    size: int
    minimum: tuple[int, int] | None
    """The oldest macOS by its own statement; None when it makes none."""
    rpaths: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()


def slices(data: bytes) -> list[Slice]:
    """Return what a program file holds. Raises NotMachO for anything else."""
    if len(data) < _HEADER_SIZE:
        raise NotMachO("too short")
    magic, count = struct.unpack_from(">II", data)
    if magic in (_FAT, _FAT_64):
        if count > _MOST_SLICES:
            raise NotMachO("too many slices")
        try:
            places = list(_fat_entries(data, count, is_wide=magic == _FAT_64))
            return [_slice(data, offset, size) for offset, size in places]
        except struct.error:
            raise NotMachO("cut off") from None
    try:
        return [_slice(data, 0, len(data))]
    except struct.error:
        raise NotMachO("cut off") from None


def is_mach_o(data: bytes) -> bool:
    """Return True when the first bytes are those of a program file of macOS."""
    if len(data) < 8:
        return False
    if struct.unpack_from("<I", data)[0] == _THIN_64:
        return True
    magic, count = struct.unpack_from(">II", data)
    return magic in (_FAT, _FAT_64) and count <= _MOST_SLICES


def files_under(folder: Path) -> Iterator[tuple[Path, list[Slice]]]:
    """Yield the program files below a folder, in order of their names. Raises NotMachO."""
    for file in sorted(folder.rglob("*")):
        # A static library is wrapped like a program file of several chips, and never started.
        if not file.is_file() or file.is_symlink() or file.suffix == ".a":
            continue
        with file.open("rb") as stream:
            is_program = is_mach_o(stream.read(8))
        if is_program:
            yield file, slices(file.read_bytes())


def _fat_entries(data: bytes, count: int, *, is_wide: bool) -> Iterator[tuple[int, int]]:
    step, layout = (32, ">QQ") if is_wide else (20, ">II")
    for number in range(count):
        offset, size = struct.unpack_from(layout, data, 8 + number * step + 8)
        if offset + size > len(data):
            raise NotMachO("a slice lies beyond the end")
        yield offset, size


def _slice(data: bytes, start: int, size: int) -> Slice:
    magic, cpu, _, _, count, length = struct.unpack_from("<IIIIII", data, start)
    if magic != _THIN_64:
        raise NotMachO(f"magic number {magic:#x}")
    if count > _MOST_COMMANDS or _HEADER_SIZE + length > size:
        raise NotMachO("commands lie beyond the end")
    minimum: tuple[int, int] | None = None
    rpaths: list[str] = []
    libraries: list[str] = []
    at = start + _HEADER_SIZE
    end = at + length
    for _ in range(count):
        command, command_size = struct.unpack_from("<II", data, at)
        if command_size < 8 or at + command_size > end:
            raise NotMachO("a command lies beyond the end")
        body = data[at : at + command_size]
        if command in (_BUILD_VERSION, _VERSION_MIN):
            version = struct.unpack_from("<I", body, 12 if command == _BUILD_VERSION else 8)[0]
            minimum = (version >> 16, version >> 8 & 0xFF)
        elif command == _RPATH:
            rpaths.append(_text(body))
        elif command in _LOADS:
            libraries.append(_text(body))
        at += command_size
    name = _ARCHITECTURES.get(cpu, hex(cpu))
    return Slice(name, start, size, minimum, tuple(rpaths), tuple(libraries))


def _text(body: bytes) -> str:
    """Return the text of a command; its place in the command is its third number."""
    (at,) = struct.unpack_from("<I", body, 8)
    return body[at:].split(b"\0", 1)[0].decode("utf-8", "replace")


def lacking_arm64(folder: Path) -> list[str]:
    """Return the program files that have no code for Apple silicon, relative to the folder."""
    return [
        file.relative_to(folder).as_posix()
        for file, parts in files_under(folder)
        if "arm64" not in {part.architecture for part in parts}
    ]


def oldest_systems(folder: Path) -> dict[str, tuple[int, int]]:
    """Return for each top folder or file the oldest macOS that all its arm64 code states."""
    found: dict[str, tuple[int, int]] = {}
    for file, parts in files_under(folder):
        top = file.relative_to(folder).parts[0]
        for part in parts:
            if part.architecture == "arm64" and part.minimum is not None:
                found[top] = max(found.get(top, (0, 0)), part.minimum)
    return found


def main(folder: Path) -> int:
    """Print the findings for a folder; return 1 when something has no code for arm64."""
    lacking = lacking_arm64(folder)
    sys.stdout.writelines(f"no arm64: {name}\n" for name in lacking)
    for name, (major, minor) in sorted(oldest_systems(folder).items()):
        sys.stdout.write(f"{name}: macOS {major}.{minor}\n")
    return 1 if lacking else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
