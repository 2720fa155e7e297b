"""Shows the main job on any machine: Start, a server that is ready, a question, live figures.

With --hub it opens the app for its user instead, at a made-up hub on this computer.
"""

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2 as httpx

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

# Seen here: 5 s in all, of which 2 s for the server. A cold disk takes three times as long.
DEADLINE_S = 120.0
HUB_RATE = 12e6
"""Bytes a second: slow enough to see a download."""
PROMPT = "Tell me a story about a small computer."
COLUMNS = ("time", "state", "memory", "CPU", "tokens/s", "total")


class StepError(Exception):
    """A step did not work; the message is a sentence for people."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("screenshot", nargs="?", type=Path, help="where the picture goes")
    parser.add_argument("--hub", action="store_true", help="open the app at a made-up hub instead")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="mlxm-demo-"))
    picture: Path = (options.screenshot or folder / "demo.png").absolute()
    prepare_environment(folder / "home")
    if options.hub:
        try:
            return open_at_hub()
        finally:
            shutil.rmtree(folder)
    try:
        run(picture)
    except StepError as error:
        print(f"The demo failed: {error}", file=sys.stderr)
        print(f"Logs are in {folder / 'home' / 'logs'}.", file=sys.stderr)
        return 1
    shutil.rmtree(folder / "home", ignore_errors=True)
    print(f"\nA picture of the window is in {picture}")
    return 0


def prepare_environment(home: Path) -> None:
    """Use a home of its own and a free port, and no screen where there is none."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # The first-run sheet is for people.
    home.mkdir(parents=True)
    (home / "window.json").write_text('{"welcomed": "true"}')
    os.environ |= {
        "MLX_MANAGER_HOME": str(home),
        "MLX_MANAGER_GATEWAY_PORT": str(port),
        "HF_HUB_OFFLINE": "1",
        "MLX_DISABLE_COMPILE": "1",
    }
    os.environ.pop("MLX_MANAGER_API_KEY", None)
    if sys.platform == "linux" and not {"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys():
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")


def open_at_hub() -> int:
    """Run the app for its user, with a hub of this computer's in the place of the real one."""
    sys.path.insert(0, str(ROOT / "tests"))
    from hub import StandInHub
    from hub.demo import add_demo_models

    from app import paths

    with StandInHub(rate=HUB_RATE) as hub:
        add_demo_models(hub)
        # The only one that can be run: the weights of the others are made up.
        demo = {p.name: p for p in paths.demo_model().iterdir() if p.is_file()}
        hub.add_model("mlx-community/Demo-Runs", demo, likes=500, trendingScore=90)
        home = os.environ["MLX_MANAGER_HOME"]
        print(f"The hub is {hub.url}, the home {home}; both vanish with the window.", flush=True)
        own = {"HF_ENDPOINT": hub.url, "HF_HOME": f"{home}/hf", "HF_HUB_OFFLINE": "0"}
        command = [sys.executable, "-m", "app"]
        return subprocess.run(command, cwd=ROOT, env=os.environ | own, check=False).returncode


def run(picture: Path) -> None:
    # Late: the environment must stand before Qt and the app are imported.
    from PySide6.QtWidgets import QApplication

    from app.gui.main import make_application
    from app.gui.main_window import MainWindow

    app = make_application()
    app.setQuitOnLastWindowClosed(False)
    window = MainWindow()
    ended: list[bool] = []
    window.closed.connect(lambda: ended.append(True))
    window.resize(1280, 800)
    window.show()
    while window.parts is None:
        QApplication.processEvents()
    demo = Demo(window, time.monotonic() + DEADLINE_S)
    try:
        demo.start_server()
        demo.chat()
        QApplication.processEvents()
        if not (picture.parent.is_dir() and window.grab().save(str(picture))):
            raise StepError(f"the picture could not be written to {picture}.")
        demo.stop_server()
    finally:
        window.quit()
        demo.deadline = time.monotonic() + 30.0
        demo.wait(lambda: ended, "the engine did not end.")
        if not window.parts.session.join():
            raise StepError("a worker of the window did not end.")
    print("\nStopped: server, engine and window.")


class Demo:
    """Presses the buttons and prints what the tile shows."""

    def __init__(self, window: Any, deadline: float) -> None:
        self.window = window
        self.mirror = window.parts.mirror
        self.deadline = deadline
        self._began = time.monotonic()
        self._printed_at = 0.0

    def wait(self, condition: Callable[[], object], trouble: str) -> None:
        """Let the window live until the condition holds. Raises StepError after the deadline."""
        from PySide6.QtCore import QEventLoop
        from PySide6.QtWidgets import QApplication

        while not condition():
            if time.monotonic() > self.deadline:
                raise StepError(f"{trouble} {self.window.parts.notice.text}".strip())
            QApplication.processEvents(QEventLoop.ProcessEventsFlag.AllEvents, 50)
            time.sleep(0.01)

    def start_server(self) -> None:
        """Choose the demo profile, press Start and wait for a tile that is ready."""
        self.wait(lambda: "demo" in self.mirror.profiles, "the engine did not come up.")
        panel = self.window.parts.servers_panel
        panel.last_profile_id = "demo"
        print(f"Engine at {self.mirror.engine.url}, gateway at {self.mirror.engine.gateway_url}.")
        print("Start is pressed on the profile Demo.\n")
        print("".join(f"{name:>12}" for name in COLUMNS))
        panel.header.start_button.click()
        self.wait(lambda: "demo" in self.mirror.servers, "pressing Start did nothing.")
        self.wait(self._has_settled, "the server did not become ready.")
        server = self.mirror.servers["demo"]
        if server.failure is not None:
            raise StepError(f"{server.failure.message} {server.failure.hint}")
        tile = panel.tile("demo")
        self.wait(lambda: tile.cells["cpu_percent"].text() != "\N{EN DASH}", "no figures came.")

    def chat(self) -> None:
        """Ask one question through the gateway while the figures go on."""
        series = self.mirror.series["demo"]
        url = f"{self.mirror.engine.gateway_url}/v1/chat/completions"
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(ask, url)
            self.wait(lambda: self._print_row() or answer.done(), "no answer came.")
        self.wait(
            lambda: self._print_row() or (series.latest("tokens_total") or 0) > 0,
            "the answer did not show in the figures.",
        )
        end = time.monotonic() + 3.0
        self.wait(lambda: self._print_row() or time.monotonic() > end, "")
        print(f"\n  Question: {PROMPT}\n  Answer:   {shorten(read(answer))}")
        print("  (The demo model is tiny; its answers make little sense.)")

    def stop_server(self) -> None:
        """Press Stop and see the process go."""
        pid = self.mirror.servers["demo"].pid
        self.window.parts.session.stop("demo")
        self.wait(
            lambda: not self.mirror.servers["demo"].state.has_process, "the server did not stop."
        )
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        raise StepError(f"the process {pid} of the stopped server is still there.")

    def _has_settled(self) -> bool:
        self._print_row()
        return self.mirror.servers["demo"].state.is_settled

    def _print_row(self) -> None:
        """Print the figures of the tile, once in half a second."""
        now = time.monotonic()
        tile = self.window.parts.servers_panel.tile("demo")
        if tile is None or now - self._printed_at < 0.5:
            return
        self._printed_at = now
        total = tile.tokens_label.text().removesuffix("tokens").strip() or "\N{EN DASH}"
        names = ("memory_bytes", "cpu_percent", "tokens_per_s")
        figures = [tile.cells[name].text() for name in names]
        row = (f"{now - self._began:.1f} s", tile.pill.text(), *figures, total)
        print("".join(f"{text:>12}" for text in row))


def ask(url: str) -> dict[str, Any]:
    question = {"role": "user", "content": PROMPT}
    body = {"model": "Demo", "messages": [question], "max_tokens": 400}
    answer = httpx.post(url, json=body, timeout=60, trust_env=False)
    return answer.raise_for_status().json()


def read(answer: "Future[dict[str, Any]]") -> str:
    try:
        return str(answer.result()["choices"][0]["message"]["content"])
    except (httpx.HTTPError, LookupError, ValueError) as error:
        raise StepError(f"the question was not answered: {error}.") from error


def shorten(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= 160 else f"{words[:160]}…"


if __name__ == "__main__":
    sys.exit(main())
