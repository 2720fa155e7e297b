"""What a server may wire, what its remembered prompts may take, and that the runner keeps to it."""

import json
import logging
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from engine_kit import running_engine
from hypothesis import given
from hypothesis import strategies as st

from app import paths
from app.engine.bus import Bus
from app.engine.runtimes import all_runtimes
from app.engine.sampler import Sampler
from app.engine.supervisor import Supervisor, budget
from app.engine.supervisor.budget import plan, prompts_of, shared_limit
from app.engine.supervisor.preflight import Launch
from app.runner.memory import CACHE_LIMIT, WIRED_LIMIT, bound_memory
from app.wire.nouns import EngineInfo, ForeignKind, ForeignServer, Machine, Profile

GIB = 2**30
SIZES = st.integers(0, 512 * GIB)


def test_plan_alone_on_machine_is_weights_prompts_and_margin() -> None:
    made = plan(weights=18 * GIB, limit=48 * GIB, held=0)
    assert made.cache == 18 * GIB // 10
    assert made.prompts == (48 * GIB - 18 * GIB - made.cache) // 4
    assert made.wired == 18 * GIB + made.prompts + made.cache
    assert not made.is_short


def test_plan_beside_others_takes_no_more_than_they_leave() -> None:
    made = plan(weights=18 * GIB, limit=48 * GIB, held=28 * GIB)
    assert made.wired == 20 * GIB
    assert not made.is_short


def test_plan_that_does_not_fit_wires_the_rest_and_says_so() -> None:
    made = plan(weights=18 * GIB, limit=48 * GIB, held=40 * GIB)
    assert made.wired == 8 * GIB
    assert made.is_short
    assert str(made) == (
        "wires at most 8.0 GB (weights 18.0 GB, remembered prompts 0.5 GB, margin 1.8 GB) of "
        "48.0 GB, of which other servers hold 40.0 GB"
    )


def test_plan_with_prompts_of_profile_keeps_them() -> None:
    made = plan(weights=4 * GIB, limit=48 * GIB, held=0, prompts=20 * GIB)
    assert (made.prompts, made.wired) == (20 * GIB, 25 * GIB)


@given(weights=SIZES, limit=SIZES, held=SIZES, prompts=st.none() | SIZES)
def test_plan_any_figures_stay_within_bounds(
    weights: int, limit: int, held: int, prompts: int | None
) -> None:
    made = plan(weights=weights, limit=limit, held=held, prompts=prompts)
    assert 0 <= made.wired <= max(0, limit - held)
    assert made.wired <= made.weights + made.prompts + made.cache
    assert GIB <= made.cache <= 4 * GIB
    if prompts is None:
        assert GIB // 2 <= made.prompts <= 16 * GIB


@given(weights=st.lists(st.integers(0, 64 * GIB), max_size=8), limit=st.integers(0, 192 * GIB))
def test_plan_of_many_servers_in_a_row_never_exceeds_the_limit(
    weights: list[int], limit: int
) -> None:
    held = 0
    for size in weights:
        held += plan(weights=size, limit=limit, held=held).wired
    assert held <= limit


@pytest.mark.parametrize(
    ("option", "expected"),
    [(None, None), ("4G", 4 * 10**9), ("500MB", 5 * 10**8), ("1.5gb", 15 * 10**8), ("1000", 1000)],
)
def test_prompts_of_profile_are_read_as_the_server_reads_them(
    option: str | None, expected: int | None
) -> None:
    options = {} if option is None else {"prompt_cache_bytes": option}
    assert prompts_of(Profile("one", "One", "m", options=dict(options))) == expected


def test_shared_limit_is_metals_own_once_it_is_known() -> None:
    assert shared_limit(Machine("m", "c", 64 * GIB, 48 * GIB, has_gpu=True)) == 48 * GIB
    assert shared_limit(Machine("m", "c", 60 * GIB)) == 40 * GIB


def supervisor(memory: int = 96 * GIB, *, has_gpu: bool = False) -> Supervisor:
    machine = Machine("m", "c", memory, has_gpu=has_gpu)
    bus = Bus(EngineInfo("", 1, 1, "", "", "", 0.0, "", "", False, False, machine, ()))
    return Supervisor(bus, all_runtimes(), Sampler(memory), Path("/none"))


def launch(weights: int) -> Launch:
    return Launch(["server"], {"A": "b"}, "log", 1.0, None, weights)


def test_within_budget_adds_limits_and_bounds_the_prompts() -> None:
    made = supervisor().within_budget(Profile("one", "One", "m"), launch(8 * GIB))
    expected = plan(weights=8 * GIB, limit=64 * GIB, held=0)
    assert made.argv == ["server", f"--prompt-cache-bytes={expected.prompts}"]
    limits = {WIRED_LIMIT: str(expected.wired), CACHE_LIMIT: str(expected.cache)}
    assert made.env == {"A": "b", **limits}


def test_within_budget_leaves_the_profiles_own_bound_alone() -> None:
    profile = Profile("one", "One", "m", options={"prompt_cache_bytes": "2G"})
    made = supervisor().within_budget(profile, launch(8 * GIB))
    assert made.argv == ["server"]
    assert int(made.env[WIRED_LIMIT]) == 8 * GIB + 2 * 10**9 + GIB


def test_within_budget_counts_foreign_servers_as_taken() -> None:
    one = supervisor()
    one.bus.put(ForeignServer("a", ForeignKind.OLLAMA, "Ollama", 1, 0.0, None, 60 * GIB))
    one.bus.put(ForeignServer("b", ForeignKind.LM_STUDIO, "LM Studio", 2, 0.0, None, None))
    made = one.within_budget(Profile("one", "One", "m"), launch(8 * GIB))
    assert int(made.env[WIRED_LIMIT]) == 4 * GIB


@pytest.mark.expect_log("server one wires at most 0.0 GB")
def test_within_budget_on_full_mac_warns_in_the_log() -> None:
    one = supervisor(has_gpu=True)
    one.bus.put(ForeignServer("a", ForeignKind.OLLAMA, "Ollama", 1, 0.0, None, 80 * GIB))
    one.within_budget(Profile("one", "One", "m"), launch(8 * GIB))


def test_within_budget_tells_the_arithmetic_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "server"):
        supervisor().within_budget(Profile("one", "One", "m"), launch(8 * GIB))
    assert "server one wires at most" in caplog.text
    assert "of which other servers hold 0.0 GB" in caplog.text


class FakeMlx:
    """Records what is asked of MLX."""

    def __init__(self, *, metal: bool = True) -> None:
        self.calls: list[tuple[str, int]] = []
        self.metal = SimpleNamespace(is_available=lambda: metal)

    def set_wired_limit(self, limit: int) -> int:
        self.calls.append(("wired", limit))
        return 7

    def set_cache_limit(self, limit: int) -> int:
        self.calls.append(("cache", limit))
        return 7


def test_bound_memory_with_metal_holds_every_later_call_to_the_limit() -> None:
    mx, limits = FakeMlx(), {WIRED_LIMIT: "1000", CACHE_LIMIT: "50", "OTHER": "x"}
    bound_memory(mx, limits)
    assert limits == {"OTHER": "x"}
    assert [mx.set_wired_limit(n) for n in (5000, 0, 999)] == [7, 7, 7]
    assert mx.calls == [("cache", 50), ("wired", 1000), ("wired", 0), ("wired", 999)]


@pytest.mark.parametrize(
    "limits", [{}, {WIRED_LIMIT: "", CACHE_LIMIT: ""}, {WIRED_LIMIT: "-1", CACHE_LIMIT: "4G"}]
)
def test_bound_memory_without_usable_limits_changes_nothing(limits: dict[str, str]) -> None:
    mx = FakeMlx()
    bound_memory(mx, dict(limits))
    mx.set_wired_limit(5000)
    assert mx.calls == [("wired", 5000)]


def test_bound_memory_without_metal_changes_nothing() -> None:
    mx = FakeMlx(metal=False)
    bound_memory(mx, {WIRED_LIMIT: "1000", CACHE_LIMIT: "50"})
    mx.set_wired_limit(5000)
    assert mx.calls == [("wired", 5000)]


REAL_MLX = """
import json, sys
import mlx.core as mx
calls = []
mx.metal.is_available = lambda: True
mx.device_info = lambda: {"max_recommended_working_set_size": 5000}
mx.set_wired_limit = lambda limit: calls.append(limit) or 0
from app.runner.memory import bound_memory
bound_memory(mx, {"MLX_MANAGER_WIRED_LIMIT": "1000"})
import mlx_lm.server
for name in ("mlx_lm.server", "mlx_lm.generate"):
    sys.modules[name].maybe_set_recommended_wired_limit()
sys.stdout.write(json.dumps(calls))
"""


def test_bound_memory_holds_what_mlx_lm_itself_asks_for() -> None:
    command = [sys.executable, "-c", REAL_MLX]
    done = subprocess.run(command, cwd=paths.program_root(), capture_output=True, timeout=120)
    assert json.loads(done.stdout or b"null") == [1000, 1000], done.stderr.decode()


def test_names_of_the_variables_are_the_same_on_both_sides() -> None:
    assert (budget.WIRED_LIMIT, budget.CACHE_LIMIT) == (WIRED_LIMIT, CACHE_LIMIT)


def test_engine_starts_server_within_budget_and_it_answers(homes: Path) -> None:
    with running_engine(homes) as engine:
        server = engine.start("demo")
        process = psutil.Process(server.pid)
        (bound,) = [w for w in process.cmdline() if w.startswith("--prompt-cache-bytes=")]
        assert int(bound.partition("=")[2]) >= GIB // 2
        assert int(process.environ()[WIRED_LIMIT]) > GIB
        assert engine.complete().status == 200
        assert "server demo wires at most" in engine.log
