"""Facts about this computer, and how much of its memory is in use."""

import platform
import re
import sys
from collections.abc import Callable
from pathlib import Path

import psutil

from app.engine.readers.programs import output_of
from app.wire.nouns import Machine

_CPUINFO = Path("/proc/cpuinfo")
_PAGE_SIZE = re.compile(rb"page size of (\d+) bytes")
_PAGES = re.compile(rb"^\"?([^:\"]+)\"?:\s+(\d+)\.?\s*$", re.MULTILINE)
# Activity Monitor's Memory Used: app memory (anonymous less purgeable), wired, compressed.
_USED_PAGES = (b"Anonymous pages", b"Pages wired down", b"Pages occupied by compressor")


def read_machine() -> Machine:
    """Return what does not change while the engine runs. Blocks up to 4 s, usually 0.05 s."""
    if sys.platform == "darwin":
        answer = output_of("/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string", "hw.memsize")
        chip, memory = parse_sysctl(answer or b"")
        name = (output_of("/usr/sbin/scutil", "--get", "ComputerName") or b"").decode().strip()
        return Machine(
            name=name or platform.node(),
            chip=chip or platform.machine(),
            memory_bytes=memory or psutil.virtual_memory().total,
            has_gpu=platform.machine() == "arm64",
        )
    return Machine(
        name=platform.node(),
        chip=_linux_chip() or platform.machine(),
        memory_bytes=psutil.virtual_memory().total,
    )


def parse_sysctl(answer: bytes) -> tuple[str | None, int | None]:
    """Return chip and bytes of memory from the two lines of brand string and memsize."""
    lines = answer.decode(errors="replace").splitlines()
    chip = lines[0].strip() if lines else ""
    memory = lines[1].strip() if len(lines) > 1 else ""
    return chip or None, int(memory) if memory.isdecimal() else None


def parse_cpuinfo(text: str) -> str | None:
    """Return the processor's name from /proc/cpuinfo; ARM machines often have none."""
    match = re.search(r"^model name\s*:\s*(\S.*?)\s*$", text, re.MULTILINE)
    return match[1] if match else None


def _linux_chip() -> str | None:
    try:
        return parse_cpuinfo(_CPUINFO.read_text(errors="replace"))
    except OSError:
        return None


def parse_vm_stat(answer: bytes) -> int | None:
    """Return the bytes in use from what macOS's `vm_stat` prints, None if a figure is missing."""
    size = _PAGE_SIZE.search(answer)
    pages = {name: int(count) for name, count in _PAGES.findall(answer)}
    if size is None or any(name not in pages for name in _USED_PAGES):
        return None
    used = sum(pages[name] for name in _USED_PAGES) - pages.get(b"Pages purgeable", 0)
    return max(0, used) * int(size[1])


def _run_vm_stat() -> bytes | None:
    return output_of("/usr/bin/vm_stat") if sys.platform == "darwin" else None


def read_used_memory(source: Callable[[], bytes | None] = _run_vm_stat) -> int:
    """Return the bytes that a new program could not have.

    Blocks up to 2 s on macOS, usually 5 ms for one small program; below 1 ms elsewhere.
    """
    answer = source()
    used = None if answer is None else parse_vm_stat(answer)
    if used is not None:
        return used
    memory = psutil.virtual_memory()
    return memory.total - memory.available
