"""The reader of macOS program files, on headers made by hand and on the real packages for macOS."""

import importlib
import itertools
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import sysconfig
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).parent.parent
MB = 1_000_000
ARM64, X86_64 = 0x0100000C, 0x01000007


@pytest.fixture(scope="module")
def macho() -> Iterator[Any]:
    yield from _module("macho")


@pytest.fixture(scope="module")
def bundle() -> Iterator[Any]:
    yield from _module("bundle")


def _module(name: str) -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "resources/packaging")
        patch.delitem(sys.modules, name, raising=False)
        yield importlib.import_module(name)
        sys.modules.pop(name, None)


def _text_command(number: int, text: str, fixed: int) -> bytes:
    body = text.encode() + b"\0"
    body += b"\0" * (-(fixed + len(body)) % 8)
    head = struct.pack("<III", number, fixed + len(body), fixed)
    return head + b"\0" * (fixed - 12) + body


def _build_version(major: int, minor: int) -> bytes:
    return struct.pack("<IIIIII", 0x32, 24, 1, major << 16 | minor << 8, 0, 0)


def _thin(cpu: int, *commands: bytes) -> bytes:
    body = b"".join(commands)
    return struct.pack("<IIIIIIII", 0xFEEDFACF, cpu, 0, 6, len(commands), len(body), 0, 0) + body


def _fat(*parts: tuple[int, bytes]) -> bytes:
    head, body = struct.pack(">II", 0xCAFEBABE, len(parts)), b""
    start = 4096
    for cpu, data in parts:
        head += struct.pack(">IIIII", cpu, 0, start + len(body), len(data), 12)
        body += data
    return head.ljust(start, b"\0") + body


def test_thin_file_tells_chip_system_and_where_it_looks_for_libraries(macho: Any) -> None:
    data = _thin(
        ARM64,
        _build_version(14, 4),
        _text_command(0x8000001C, "@loader_path/lib", 12),
        _text_command(0xC, "@rpath/libmlx.dylib", 24),
    )
    (part,) = macho.slices(data)
    assert (part.architecture, part.minimum) == ("arm64", (14, 4))
    assert part.rpaths == ("@loader_path/lib",)
    assert part.libraries == ("@rpath/libmlx.dylib",)


def test_fat_file_has_a_slice_for_each_chip(macho: Any) -> None:
    old = struct.pack("<IIII", 0x24, 16, 10 << 16 | 15 << 8, 0)
    arm = _thin(ARM64, _build_version(11, 0))
    data = _fat((X86_64, _thin(X86_64, old)), (ARM64, arm))
    intel, apple = macho.slices(data)
    assert (intel.architecture, intel.minimum) == ("x86_64", (10, 15))
    assert (apple.architecture, apple.minimum) == ("arm64", (11, 0))
    assert data[apple.offset : apple.offset + apple.size] == arm


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x7fELF" + bytes(60),
        b"\xca\xfe\xba\xbe\x00\x00\x00\x34" + bytes(60),
        _fat((ARM64, _thin(ARM64)))[:4000],
        _thin(ARM64, _build_version(14, 0))[:40],
        _thin(ARM64, struct.pack("<II", 0x32, 4)),
        _thin(ARM64, struct.pack("<IIII", 0x32, 900, 0, 0)),
    ],
)
def test_other_or_broken_file_is_refused_in_words(macho: Any, data: bytes) -> None:
    with pytest.raises(macho.NotMachO):
        macho.slices(data)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(macho: Any, tail: bytes) -> None:
    for head in (b"", struct.pack("<I", 0xFEEDFACF), struct.pack(">II", 0xCAFEBABE, 2)):
        try:
            macho.slices(head + tail)
        except macho.NotMachO:
            continue


def test_folder_without_arm64_code_is_named(
    macho: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "good").mkdir()
    (tmp_path / "good/a.so").write_bytes(_thin(ARM64, _build_version(13, 0)))
    (tmp_path / "good/b.so").write_bytes(_thin(ARM64, _build_version(14, 4)))
    (tmp_path / "bad.dylib").write_bytes(_thin(X86_64, _build_version(13, 0)))
    (tmp_path / "text.py").write_text("print('hello, this is no program')")
    assert macho.main(tmp_path) == 1
    assert capsys.readouterr().out == "no arm64: bad.dylib\ngood: macOS 14.4\n"


# What follows loads the packages for macOS from the package index of this machine: 150 MB.
# Bindings of Qt are stamped with the system they were built on; see LSMinimumSystemVersion.
STAMPED_NEWER = {"PySide6": (15, 0), "shiboken6": (15, 0)}
BUDGET_MB, BUDGET_PACKED_MB = 330, 110
# The interpreter that uv brings is one library with OpenSSL and SQLite in it, of about this size.
LIBRARIES_MB, LIBRARIES_PACKED_MB = 16, 7
LOAD_S = 600


@pytest.fixture(scope="module")
def mac_packages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """All packages of the app as a Mac with macOS 14 would install them, from the lock."""
    uv = shutil.which("uv", path=f"{os.environ['PATH']}:{ROOT / '.tools/bin'}")
    if uv is None:
        pytest.skip("needs uv")
    folder = tmp_path_factory.mktemp("mac")
    mac = ["--python-platform", "aarch64-apple-darwin", "--python-version", "3.12"]
    environment = os.environ | {"MACOSX_DEPLOYMENT_TARGET": "14.0"}
    resolved = folder / "resolved.txt"
    lock = ["--constraint", "requirements.lock", "--generate-hashes", "--no-header"]
    _uv(uv, environment, "pip", "compile", "pyproject.toml", *mac, *lock, "-o", str(resolved))
    install = ["pip", "install", "--no-deps", "--require-hashes", "--only-binary", ":all:"]
    _uv(uv, environment, *install, *mac, "--target", str(folder / "all"), "-r", str(resolved))
    yield folder / "all"
    shutil.rmtree(folder)


def _uv(uv: str, environment: dict[str, str], *arguments: str) -> None:
    done = subprocess.run(
        [uv, *arguments, "--quiet"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=LOAD_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.bundle
@pytest.mark.timeout(LOAD_S * 2)
def test_packages_for_macos_have_code_for_arm64_and_for_macos_14(
    macho: Any, mac_packages: Path
) -> None:
    assert macho.lacking_arm64(mac_packages) == []
    newer = {k: v for k, v in macho.oldest_systems(mac_packages).items() if v > (14, 0)}
    sys.stdout.write(f"newer than macOS 14.0: {newer}\n")
    for name, version in newer.items():
        allowed = [v for top, v in STAMPED_NEWER.items() if name.startswith(top)]
        assert allowed, f"{name} asks for macOS {version}"
        assert version <= allowed[0]


@pytest.mark.bundle
@pytest.mark.timeout(LOAD_S * 2)
def test_packages_for_macos_have_shaders_beside_the_library(
    macho: Any, bundle: Any, mac_packages: Path
) -> None:
    library = mac_packages / "mlx/lib/libmlx.dylib"
    assert library.is_file()
    assert (library.parent / "mlx.metallib").read_bytes()[:4] == b"MTLB"
    (core,) = (mac_packages / "mlx").glob("core.*.so")
    (part,) = macho.slices(core.read_bytes())
    assert "@rpath/libmlx.dylib" in part.libraries
    assert "@loader_path/lib" in part.rpaths
    wheel = next(mac_packages.glob("mlx_metal-*.dist-info/WHEEL")).read_text()
    assert re.findall(r"macosx_(\d+_\d+)_arm64", wheel) == ["14_0"]
    assert bundle.info.OLDEST_SYSTEM == "14.0"


@pytest.mark.bundle
@pytest.mark.timeout(LOAD_S * 2)
def test_program_for_macos_keeps_its_budget_of_download(
    macho: Any, bundle: Any, mac_packages: Path
) -> None:
    """What the bundle would keep of the packages, with the code of other chips taken out.

    With our own files, the Python code of this machine's interpreter, and room for its libraries.
    """
    left_out = {f"{name.replace('.', '/')}.py" for name in bundle.excludes()}
    left_out |= {name for name in bundle.excludes() if "." not in name}
    plain, packed = LIBRARIES_MB * MB, LIBRARIES_PACKED_MB * MB
    by_top: dict[str, list[int]] = {}
    kept = (
        (inner, file)
        for file in sorted(mac_packages.rglob("*"))
        if _is_kept(bundle, inner := file.relative_to(mac_packages).as_posix(), left_out)
    )
    for inner, file in itertools.chain(kept, _own_files()):
        if file.is_symlink() or not file.is_file():
            continue
        data = file.read_bytes()
        if macho.is_mach_o(data):
            (part,) = [p for p in macho.slices(data) if p.architecture == "arm64"]
            data = data[part.offset : part.offset + part.size]
        size = len(zlib.compress(data, 6))
        # Code is in one archive that is packed already; of transformers the text is there, too.
        on_disk = size if file.suffix == ".py" else len(data)
        if inner.startswith("transformers/") and file.suffix == ".py":
            on_disk += len(data)
        plain, packed = plain + on_disk, packed + size
        top = inner.partition("/")[0]
        sums = by_top.setdefault(top, [0, 0])
        sums[:] = sums[0] + on_disk, sums[1] + size
    largest = sorted(by_top.items(), key=lambda item: -item[1][0])[:10]
    figures = {name: [round(size / MB, 1) for size in sums] for name, sums in largest}
    sys.stdout.write(
        f"plain {plain / MB:.0f} MB, packed {packed / MB:.1f} MB: {json.dumps(figures)}\n"
    )
    assert plain <= BUDGET_MB * MB
    assert packed <= BUDGET_PACKED_MB * MB


def _own_files() -> Iterator[tuple[str, Path]]:
    """Yield our code and resources, and what the interpreter brings along."""
    for name in ("app", "resources"):
        for file in (ROOT / name).rglob("*"):
            if "packaging" not in file.parts and "__pycache__" not in file.parts:
                yield name, file
    library = Path(sysconfig.get_path("stdlib"))
    foreign = {"site-packages", "test", "tests", "idlelib", "tkinter", "ensurepip"}
    for file in library.rglob("*.py"):
        if not foreign & set(file.relative_to(library).parts):
            yield "runtime", file


def _is_kept(bundle: Any, inner: str, left_out: set[str]) -> bool:
    top = inner.partition("/")[0]
    if inner in left_out or top in left_out or top == "bin":
        return False
    # What is there to build with, or to read; PyInstaller takes none of it.
    if re.search(r"\.(a|h|hpp|c|cpp|pxd|pyx|typed|md|rst)$|\.dist-info/(?!METADATA)", inner):
        return False
    if re.match(r"mlx/(include|share)/|.*\.pyi$|.*/tests?/|pyqtgraph/examples/", inner):
        return False
    if top == "PySide6" and re.search(r"/(typesystems|glue|include|libexec|metatypes)/", inner):
        return False
    return not (top == "PySide6" and inner.count("/") == 1 and "." not in inner) and bool(
        bundle.is_wanted(inner)
    )
