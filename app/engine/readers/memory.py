"""Memory of one process, as the system's own monitor counts it."""

import ctypes
import sys
from collections.abc import Callable
from functools import cache

import psutil

_RUSAGE_INFO_V0 = 0


class RusageInfoV0(ctypes.Structure):
    """`struct rusage_info_v0` of Apple's sys/resource.h; memory in bytes, times in Mach units."""

    _fields_ = [
        ("ri_uuid", ctypes.c_uint8 * 16),
        ("ri_user_time", ctypes.c_uint64),
        ("ri_system_time", ctypes.c_uint64),
        ("ri_pkg_idle_wkups", ctypes.c_uint64),
        ("ri_interrupt_wkups", ctypes.c_uint64),
        ("ri_pageins", ctypes.c_uint64),
        ("ri_wired_size", ctypes.c_uint64),
        ("ri_resident_size", ctypes.c_uint64),
        ("ri_phys_footprint", ctypes.c_uint64),
        ("ri_proc_start_abstime", ctypes.c_uint64),
        ("ri_proc_exit_abstime", ctypes.c_uint64),
    ]


RusageCall = Callable[[int, int, object], int]
"""`proc_pid_rusage(pid, flavor, buffer)`: 0 when the buffer was filled."""


def process_memory(process: psutil.Process) -> int | None:
    """Return the memory of `process` in bytes, None where it is gone or hidden.

    The footprint on macOS, the resident set elsewhere. Blocks well below 1 ms.
    """
    if sys.platform == "darwin":
        return footprint(process.pid)
    # The proportional set is fairer, but the kernel walks every page for it: 1.3 ms for 100 MB,
    # 11 ms for 1 GB, 0.2 s for 20 GB, each second, with the server's memory map locked meanwhile;
    # the resident set costs 0.02 ms at any size. Servers share little beyond library code.
    try:
        # Only a process that has ended and waits for its parent has none.
        return process.memory_info().rss or None
    except psutil.Error:
        return None


def footprint(pid: int, call: RusageCall | None = None) -> int | None:
    """Return the physical footprint in bytes: Activity Monitor's Memory, Metal buffers included.

    The resident set misses compressed memory and memory wired for the GPU. Takes microseconds.
    None for a process that is gone, or of another user.
    """
    call = call or _proc_pid_rusage()
    if call is None:
        return None
    info = RusageInfoV0()
    if call(pid, _RUSAGE_INFO_V0, ctypes.byref(info)) != 0:
        return None
    return int(info.ri_phys_footprint)


@cache
def _proc_pid_rusage() -> RusageCall | None:
    try:
        function = ctypes.CDLL("/usr/lib/libproc.dylib").proc_pid_rusage
    except (OSError, AttributeError):
        return None
    function.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_void_p]
    function.restype = ctypes.c_int
    return function
