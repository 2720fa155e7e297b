"""Readers of processes, GPU and machine.

The property lists in data/ioreg are written by hand from documented shapes of the registry's
fields; they were not recorded on a Mac.
"""

import ctypes
import os
import plistlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from burner import DEADLINE_S, Child

from app.engine.readers.gpu import GpuFigures, GpuReader, parse_ioreg
from app.engine.readers.group import GroupReader, process_groups
from app.engine.readers.machine import (
    parse_cpuinfo,
    parse_sysctl,
    parse_vm_stat,
    read_machine,
    read_used_memory,
)
from app.engine.readers.memory import RusageInfoV0, footprint, process_memory
from app.engine.readers.programs import output_of

IOREG = Path(__file__).parent / "data" / "ioreg"
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture
def child() -> Iterator[Child]:
    with Child() as one:
        yield one


def ready(child: Child) -> GroupReader:
    """Return a reader that has had its first look."""
    reader = GroupReader(child.pid)
    reader.refresh(process_groups())
    reader.read(time.monotonic())
    return reader


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline


def test_group_at_the_first_look_has_memory_and_no_cpu(child: Child) -> None:
    child.order("burn 0.01")
    reader = GroupReader(child.pid)
    reader.refresh(process_groups())
    figures = reader.read(1.0)
    assert figures.memory_bytes is not None
    assert figures.memory_bytes > 1_000_000
    assert figures.cpu_percent is None
    assert figures.pids == (child.pid,)


def test_group_that_burns_reads_the_share_of_the_span(child: Child) -> None:
    reader = ready(child)
    reader.read(100.0)
    child.order("burn 0.5")
    # The clock is ours: half a second of work in one second is half a core, however long it took.
    cpu = reader.read(101.0).cpu_percent
    assert cpu is not None
    assert 45 <= cpu <= 75


def test_group_that_idles_reads_almost_no_cpu(child: Child) -> None:
    child.order("burn 0.3")
    reader = ready(child)
    reader.read(100.0)
    cpu = reader.read(101.0).cpu_percent
    assert cpu is not None
    assert 0 <= cpu <= 5


def test_group_memory_grows_by_what_was_allocated(child: Child) -> None:
    child.order("burn 0.01")
    reader = ready(child)
    before = reader.read(2.0).memory_bytes
    child.order("hold 64")
    after = reader.read(3.0).memory_bytes
    assert before is not None
    assert after is not None
    assert 60 << 20 <= after - before <= 80 << 20


def test_group_counts_a_grandchild_from_its_first_look_on(child: Child) -> None:
    reader = ready(child)
    child.order("child")
    child.order("tell burn 0.4")
    reader.read(100.0)
    reader.refresh(process_groups())
    joined = reader.read(101.0)
    assert len(joined.pids) == 2
    # What it burnt before it was seen is no spike.
    assert joined.cpu_percent is not None
    assert joined.cpu_percent < 20
    child.order("tell burn 0.4")
    cpu = reader.read(102.0).cpu_percent
    assert cpu is not None
    assert 35 <= cpu <= 65


def test_group_whose_child_ends_reads_neither_spike_nor_negative(child: Child) -> None:
    child.order("child")
    child.order("tell burn 0.5")
    reader = ready(child)
    reader.read(100.0)
    child.order("drop")
    figures = reader.read(101.0)
    assert figures.pids == (child.pid,)
    assert figures.cpu_percent is not None
    assert 0 <= figures.cpu_percent < 20


def test_group_that_ended_reads_unknown(child: Child) -> None:
    reader = ready(child)
    child.end()
    figures = reader.read(101.0)
    assert (figures.memory_bytes, figures.cpu_percent, figures.pids) == (None, None, ())


def test_group_that_ended_ignores_a_stranger_with_its_id(child: Child) -> None:
    reader = ready(child)
    child.end()
    reader.refresh({child.pid: [os.getpid()]})
    reader.refresh({child.pid: [os.getpid()]})
    assert reader.read(101.0).pids == ()


def test_group_of_a_missing_process_reads_unknown() -> None:
    reader = GroupReader(2**22 + 1)
    reader.refresh(process_groups())
    assert reader.read(1.0).memory_bytes is None


def test_group_in_our_own_group_counts_only_the_process() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    try:
        reader = GroupReader(process.pid)
        reader.refresh(process_groups())
        reader.refresh(process_groups())
        assert reader.read(1.0).pids == (process.pid,)
    finally:
        process.communicate(b"\n", timeout=DEADLINE_S)


def test_group_read_twice_at_one_moment_has_no_cpu(child: Child) -> None:
    reader = ready(child)
    reader.read(5.0)
    assert reader.read(5.0).cpu_percent is None


@LINUX
def test_process_memory_of_a_zombie_is_unknown() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    watched = psutil.Process(process.pid)
    try:
        until(lambda: watched.status() == psutil.STATUS_ZOMBIE)
        assert process_memory(watched) is None
    finally:
        process.wait(DEADLINE_S)


def test_footprint_layout_matches_the_system_header() -> None:
    assert ctypes.sizeof(RusageInfoV0) == 96
    assert RusageInfoV0.ri_wired_size.offset == 56
    assert RusageInfoV0.ri_resident_size.offset == 64
    assert RusageInfoV0.ri_phys_footprint.offset == 72


def test_footprint_reads_the_field_that_the_system_fills() -> None:
    def fill(pid: int, flavor: int, buffer: object) -> int:
        assert (pid, flavor) == (42, 0)
        buffer._obj.ri_phys_footprint = 123_456  # type: ignore[attr-defined]
        buffer._obj.ri_resident_size = 99  # type: ignore[attr-defined]
        return 0

    assert footprint(42, fill) == 123_456


def test_footprint_of_a_foreign_process_is_unknown() -> None:
    assert footprint(42, lambda pid, flavor, buffer: -1) is None


@pytest.mark.skipif(sys.platform != "darwin", reason="needs the system's library")
def test_footprint_of_ourselves_is_plausible() -> None:
    own = footprint(os.getpid())
    assert own is not None
    assert 5_000_000 < own < 2**34


@pytest.mark.skipif(sys.platform == "darwin", reason="the library is there")
def test_footprint_without_the_library_is_unknown() -> None:
    assert footprint(os.getpid()) is None


def test_ioreg_sums_the_clients_of_a_process() -> None:
    figures = parse_ioreg((IOREG / "two_clients.plist").read_bytes())
    assert figures.device_percent == 34
    assert figures.seconds_by_pid == {4711: 4.0, 533: 9.0}


def test_ioreg_entry_that_is_printed_twice_counts_once() -> None:
    once = plistlib.loads((IOREG / "two_clients.plist").read_bytes())
    twice = plistlib.dumps([*once, *once])
    assert parse_ioreg(twice).seconds_by_pid == {4711: 4.0, 533: 9.0}


@pytest.mark.parametrize("name", ["no_statistics.plist", "odd_types.plist"])
def test_ioreg_without_the_fields_is_unknown(name: str) -> None:
    assert parse_ioreg((IOREG / name).read_bytes()) == GpuFigures()


@pytest.mark.parametrize("data", [b"", b"nonsense", b"<plist><array>", b"bplist00xxxxxxxxxxxx"])
def test_ioreg_that_is_no_property_list_is_unknown(data: bytes) -> None:
    assert parse_ioreg(data) == GpuFigures()


def registry(**nanoseconds: int) -> bytes:
    clients = [
        {
            "IOUserClientCreator": f"pid {name[1:]}, python",
            "AppUsage": [{"accumulatedGPUTime": time_ns}],
        }
        for name, time_ns in nanoseconds.items()
    ]
    stats = {"Device Utilization %": 50}
    return plistlib.dumps([{"PerformanceStatistics": stats, "IORegistryEntryChildren": clients}])


def test_gpu_share_is_the_time_between_two_looks() -> None:
    answers = iter([registry(p1=1_000_000_000, p2=0), registry(p1=2_000_000_000, p2=500_000_000)])
    reader = GpuReader(lambda: next(answers))
    reader.refresh(10.0)
    assert reader.percent_of([1]) is None
    reader.refresh(11.0)  # too early for another look
    assert reader.percent_of([1]) is None
    reader.refresh(12.0)
    assert reader.device_percent == 50
    assert reader.percent_of([1]) == pytest.approx(50)
    assert reader.percent_of([1, 2, 3]) == pytest.approx(75)
    assert reader.percent_of([3]) is None


def test_gpu_share_is_never_negative_nor_above_a_hundred() -> None:
    answers = iter([registry(p1=9_000_000_000, p2=0), registry(p1=1, p2=90_000_000_000)])
    reader = GpuReader(lambda: next(answers))
    reader.refresh(10.0)
    reader.refresh(12.0)
    assert reader.percent_of([1]) is None
    assert reader.percent_of([2]) == 100
    assert reader.percent_of([1, 2]) == 100


def test_gpu_that_stops_answering_becomes_unknown() -> None:
    answers = iter([registry(p1=1), registry(p1=2), None])
    reader = GpuReader(lambda: next(answers))
    for at in (10.0, 12.0, 14.0):
        reader.refresh(at)
    assert reader.device_percent is None
    assert reader.percent_of([1]) is None


@pytest.mark.skipif(sys.platform == "darwin", reason="a Mac has figures")
def test_gpu_elsewhere_is_unknown() -> None:
    reader = GpuReader()
    reader.refresh(1.0)
    assert reader.device_percent is None


# Shape of the answer as the manual page of vm_stat shows it.
VM_STAT = b"""Mach Virtual Memory Statistics: (page size of 16384 bytes)
Pages free:                               12345.
Pages active:                            500000.
Pages purgeable:                           1000.
Pages wired down:                         20000.
"Translation faults":                 123456789.
Anonymous pages:                         300000.
Pages stored in compressor:               90000.
Pages occupied by compressor:              4000.
"""


def test_vm_stat_used_is_app_wired_and_compressed_memory() -> None:
    assert parse_vm_stat(VM_STAT) == (300_000 - 1_000 + 20_000 + 4_000) * 16_384


@pytest.mark.parametrize("missing", [b"Anonymous pages", b"page size of", b"Pages wired down"])
def test_vm_stat_without_a_figure_is_unknown(missing: bytes) -> None:
    assert parse_vm_stat(VM_STAT.replace(missing, b"Other")) is None


def test_used_memory_takes_the_systems_answer() -> None:
    assert read_used_memory(lambda: VM_STAT) == 323_000 * 16_384


@pytest.mark.parametrize("answer", [None, b"", b"vm_stat: failed"])
def test_used_memory_without_an_answer_is_what_is_not_available(answer: bytes | None) -> None:
    assert 0 < read_used_memory(lambda: answer) < psutil.virtual_memory().total


def test_sysctl_gives_chip_and_memory() -> None:
    assert parse_sysctl(b"Apple M4 Max\n68719476736\n") == ("Apple M4 Max", 2**36)
    assert parse_sysctl(b"") == (None, None)
    assert parse_sysctl(b"Apple M4 Max\nlots\n") == ("Apple M4 Max", None)


def test_cpuinfo_gives_the_model_name() -> None:
    assert parse_cpuinfo("processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\n") == "Some CPU @ 2 GHz"
    assert parse_cpuinfo("processor\t: 0\nmodel name\t:\n") is None
    assert parse_cpuinfo("CPU architecture: 8\n") is None


def test_machine_has_a_chip_memory_and_no_limit_yet() -> None:
    machine = read_machine()
    assert machine.chip
    assert machine.memory_bytes > 2**28
    assert machine.gpu_limit_bytes is None
    assert machine.has_gpu == (sys.platform == "darwin" and os.uname().machine == "arm64")


def test_program_that_fails_or_hangs_gives_nothing() -> None:
    assert output_of(sys.executable, "-c", "print('x')") == b"x\n"
    assert output_of(sys.executable, "-c", "raise SystemExit(1)") is None
    assert output_of("/no/such/program") is None
    assert output_of(sys.executable, "-c", "input()", timeout_s=10) is None
    endless = "while True: pass"
    assert output_of(sys.executable, "-c", endless, timeout_s=0.2) is None
