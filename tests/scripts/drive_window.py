"""Drives the real window on a screen of its own with keys and a mouse, and takes pictures.

Needs Xvfb, openbox, xdotool and maim; with trayer also the tray is shown.
Usage: drive_window.py FOLDER [--only NAME ...]
"""

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2 as httpx

ROOT = Path(__file__).resolve().parent.parent.parent
TOOLS = ("Xvfb", "openbox", "xdotool", "maim")
WAIT_S = 40.0
TITLE = "^MLX Model Manager$"


@dataclass(frozen=True)
class Look:
    """One way in which the window can look."""

    name: str
    appearance: str
    width: int
    height: int
    scale: int = 1


LOOKS = (
    Look("light", "light", 1400, 860),
    Look("dark", "dark", 1400, 860),
    Look("small", "light", 960, 600),
    Look("small-dark", "dark", 960, 600),
    Look("retina", "light", 1400, 860, scale=2),
    Look("retina-dark-small", "dark", 960, 600, scale=2),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the pictures go")
    parser.add_argument("--only", nargs="*", choices=[look.name for look in LOOKS])
    options = parser.parse_args()
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        print(f"These programs are needed and not there: {', '.join(missing)}.", file=sys.stderr)
        return 2
    folder: Path = options.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    for look in LOOKS:
        if not options.only or look.name in options.only:
            try:
                drive(look, folder)
            except (OSError, subprocess.SubprocessError, httpx.HTTPError) as error:
                print(f"{look.name}: {error}", file=sys.stderr)
                return 1
    print(f"The pictures are in {folder}")
    return 0


def drive(look: Look, folder: Path) -> None:
    home = Path(tempfile.mkdtemp(prefix="mlxm-drive-"))
    furnish(home, look)
    screen = Screen(look)
    try:
        app = App(look, home, screen, folder)
        try:
            tour(app)
        finally:
            app.end()
    finally:
        screen.end()
        shutil.rmtree(home, ignore_errors=True)


def furnish(home: Path, look: Look) -> None:
    """Write profiles and settings as a user would have them."""
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    from model_kit import make_hub_repo, model_files

    profiles = home / "profiles"
    profiles.mkdir(parents=True)
    names = ("Coding assistant", "Fast chat", "Summaries", "Translation of long documents", "Tools")
    for number, name in enumerate(names, start=1):
        text = f'schema = 1\nname = "{name}"\nmodel = "demo"\n[options]\nmax_tokens = 400\n'
        (profiles / f"copy{number}.toml").write_text(text)
    lost = 'schema = 1\nname = "Lost model"\nmodel = "/Volumes/Models/Qwen3-235B-A22B-4bit"\n'
    (profiles / "lost.toml").write_text(lost)
    broken = 'schema = 1\nname = "Broken one"\nmodel = "demo"\n[options]\nmax_tokens = "many"\n'
    (profiles / "broken.toml").write_text(broken)
    cache = home / "hf" / "hub"
    for repo_id, kind in (
        ("mlx-community/Qwen3-4B-4bit", "qwen3"),
        ("mlx-community/Llama-3.2-3B-Instruct-4bit", "llama"),
        ("mlx-community/Mistral-Small-3.2-24B-Instruct-2506-4bit", "mistral"),
        ("mlx-community/gemma-3-27b-it-qat-4bit", "gemma3"),
        ("somebody/An-Architecture-From-Tomorrow", "tomorrow"),
    ):
        make_hub_repo(cache, repo_id, model_files(model_type=kind))
    (home / "app.toml").write_text(f'appearance = "{look.appearance}"\n')
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        (home / "settings.toml").write_text(f"gateway_port = {probe.getsockname()[1]}\n")


class Screen:
    """A virtual screen with a window manager."""

    def __init__(self, look: Look) -> None:
        size = f"{1500 * look.scale}x{960 * look.scale}x24"
        reading, writing = os.pipe()
        self._server = subprocess.Popen(
            ["Xvfb", "-displayfd", str(writing), "-screen", "0", size, "-nolisten", "tcp"],
            pass_fds=[writing],
            stderr=subprocess.DEVNULL,
        )
        os.close(writing)
        with os.fdopen(reading) as pipe:
            self.display = f":{pipe.readline().strip()}"
        environment = {**os.environ, "DISPLAY": self.display}
        self._manager = subprocess.Popen(
            ["openbox"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

        self._tray = None
        if shutil.which("trayer"):
            command = ["trayer", "--edge", "bottom", "--align", "right", "--widthtype", "request"]
            self._tray = subprocess.Popen(
                [*command, "--height", str(24 * look.scale)],
                env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip

    def end(self) -> None:
        for process in filter(None, (self._tray, self._manager, self._server)):
            process.terminate()
            process.wait(10)


class App:
    """The app as a process, used with xdotool; what it does is read from its engine."""

    def __init__(self, look: Look, home: Path, screen: Screen, folder: Path, **more: str) -> None:
        self._look = look
        self._home = home
        self._folder = folder
        self._count = 0
        self._environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("MLX_MANAGER_", "HF_"))},
            "DISPLAY": screen.display,
            "QT_QPA_PLATFORM": "xcb",
            "QT_SCALE_FACTOR": str(look.scale),
            "MLX_MANAGER_HOME": str(home),
            "HF_HOME": str(home / "hf"),
            "HF_HUB_OFFLINE": "1",
            "MLX_DISABLE_COMPILE": "1",
            "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
            **more,
        }
        self._program = subprocess.Popen(
            [sys.executable, "-m", "app"], cwd=ROOT, env=self._environment
        )
        self.window = self.wait_window(TITLE)
        self.tool("windowactivate", "--sync", self.window)
        size = (str(look.width * look.scale), str(look.height * look.scale))
        self.tool("windowsize", "--sync", self.window, *size)
        self.tool("windowmove", "--sync", self.window, "20", "30")

    def tool(self, *arguments: str) -> str:
        command = ["xdotool", *arguments]
        done = subprocess.run(
            command, env=self._environment, capture_output=True, text=True, timeout=20, check=True
        )
        return done.stdout.strip()

    def wait_window(self, title: str) -> str:
        """Return the id of a window by its title, when it is on the screen."""
        found = until(lambda: self._find_window(title), f"no window {title}")
        # What Qt paints after the window was mapped.
        time.sleep(0.4)
        return found

    def _find_window(self, title: str) -> str:
        command = ["xdotool", "search", "--onlyvisible", "--name", title]
        done = subprocess.run(
            command, env=self._environment, capture_output=True, text=True, timeout=20, check=False
        )
        return done.stdout.split("\n")[0].strip()

    def wait_gone(self, title: str) -> None:
        until(lambda: not self._find_window(title), f"the window {title} stays")

    def keys(self, *names: str) -> None:
        for name in names:
            self.tool("key", "--clearmodifiers", name)
            time.sleep(0.15)

    def write(self, text: str) -> None:
        self.tool("type", "--delay", "25", text)
        time.sleep(0.3)

    def click(self, x: int, y: int) -> None:
        """Click at a point of the window, in its own pixels; negative ones count from the end."""
        look = self._look
        x, y = (x if x >= 0 else look.width + x), (y if y >= 0 else look.height + y)
        self.tool("mousemove", "--window", self.window, str(x * look.scale), str(y * look.scale))
        self.tool("click", "1")
        time.sleep(0.3)

    def picture(self, name: str) -> None:
        """Take a picture of the whole screen: popups and dialogs are windows of their own."""
        self._count += 1
        target = self._folder / f"{self._look.name}-{self._count:02}-{name}.png"
        subprocess.run(["maim", "-u", str(target)], env=self._environment, timeout=20, check=True)

    def address(self) -> dict[str, Any]:
        """Return what the engine says about itself."""
        file = self._home / "run" / "engine.json"
        until(file.exists, "the app started no engine")
        return json.loads(file.read_text())

    def servers(self) -> dict[str, str]:
        """Return profile id to state."""
        return {server["id"]: server["state"] for server in self._ask_servers()}

    def kill_server(self, server_id: str) -> None:
        """Let a server crash."""
        (pid,) = (s["pid"] for s in self._ask_servers() if s["id"] == server_id)
        os.kill(pid, signal.SIGKILL)

    def _ask_servers(self) -> list[dict[str, Any]]:
        answer = httpx.get(f"{self.address()['url']}/api/servers", timeout=10, trust_env=False)
        return answer.raise_for_status().json()

    def wait_state(self, server_id: str, *states: str) -> None:
        until(lambda: self.servers().get(server_id) in states, f"{server_id} is not {states}")

    def chat(self, model: str, tokens: int = 400) -> None:
        question = {"role": "user", "content": "Tell me a story"}
        body = {"model": model, "messages": [question], "max_tokens": tokens}
        url = f"{self.address()['gateway_url']}/v1/chat/completions"
        httpx.post(url, json=body, timeout=60, trust_env=False).raise_for_status()

    def wait_end(self) -> int:
        return self._program.wait(WAIT_S)

    def end(self) -> None:
        if self._program.poll() is None:
            self._program.send_signal(signal.SIGTERM)
            self._program.wait(WAIT_S)


def until(condition: Callable[[], Any], trouble: str) -> Any:
    """Look until the condition holds and return its value. Raises TimeoutError."""
    end = time.monotonic() + WAIT_S
    while not (value := condition()):
        if time.monotonic() > end:
            raise TimeoutError(f"{trouble} after {WAIT_S:.0f} s")
        time.sleep(0.05)
    return value


def tour(app: App) -> None:
    """Go through everything that the window can show."""
    app.address()
    # The list of models follows the first scan.
    time.sleep(2.0)
    app.picture("empty")
    show_picker(app)
    show_servers(app)
    if shutil.which("trayer"):
        show_tray(app)
    show_models(app)
    show_dialogs(app)
    show_endings(app)


def show_picker(app: App) -> None:
    app.keys("ctrl+l")
    app.write("co")
    app.picture("picker-search")
    app.keys("Escape", "alt+Down")
    app.picture("picker-list")
    app.keys("Escape")
    choose(app, "broken")
    app.picture("broken-profile")


def choose(app: App, text: str) -> None:
    app.keys("ctrl+l")
    app.write(text)
    app.keys("Down", "Return")


def show_servers(app: App) -> None:
    choose(app, "coding")
    app.keys("ctrl+Return")
    app.wait_state("copy1", "starting", "ready")
    app.picture("starting")
    app.wait_state("copy1", "ready")
    for _ in range(4):
        app.chat("Coding assistant")
    app.picture("ready-with-traffic")
    choose(app, "lost")
    app.keys("ctrl+Return")
    app.wait_state("lost", "failed")
    time.sleep(0.5)
    app.picture("failed")
    for number, part in ((2, "fast"), (3, "summ"), (4, "transl"), (5, "tools")):
        choose(app, part)
        app.keys("ctrl+Return")
        app.wait_state(f"copy{number}", "ready")
        app.chat(("Fast chat", "Summaries", "Translation of long documents", "Tools")[number - 2])
    time.sleep(1.5)
    app.picture("several-servers")
    app.keys("ctrl+shift+period")
    app.wait_state("copy5", "stopped")
    time.sleep(1.0)
    app.picture("one-stopped")
    app.keys("ctrl+shift+l")
    time.sleep(1.2)
    for number, name in enumerate(("log", "try", "connect", "overview", "requests")):
        if number:
            app.keys("ctrl+Tab")
            time.sleep(1.5)
        app.picture(f"inspector-{name}")
    app.keys("Escape")


def show_tray(app: App) -> None:
    tray = app.wait_window("^panel$")
    app.tool("mousemove", "--window", tray, "12", "12")
    app.tool("click", "3")
    time.sleep(0.6)
    app.picture("tray-menu")
    app.keys("Escape")
    app.tool("windowminimize", "--sync", app.window)
    app.kill_server("copy4")
    app.wait_state("copy4", "failed")
    time.sleep(1.0)
    app.picture("tray-notification")
    app.tool("windowactivate", "--sync", app.window)


def show_models(app: App) -> None:
    app.keys("ctrl+f")
    app.write("qwen")
    app.picture("model-search")
    app.keys("Down", "Menu")
    app.picture("model-menu")
    app.keys("Escape")
    app.keys("ctrl+f")
    app.write("zzz")
    app.picture("no-model")
    app.keys("Escape")
    app.keys("alt+s")
    app.picture("menu-server")
    app.keys("Right")
    app.picture("menu-view")
    app.keys("Escape", "Escape")


def show_dialogs(app: App) -> None:
    app.keys("ctrl+n")
    app.wait_window("^New profile$")
    app.picture("new-profile")
    app.write("Fast chat")
    app.keys("Tab")
    app.write("qwen")
    app.picture("new-profile-model-search")
    app.keys("Down", "Return", "Return")
    time.sleep(0.8)
    app.picture("new-profile-name-taken")
    # It asks about the input, which is discarded.
    app.keys("Escape")
    time.sleep(0.6)
    app.picture("new-profile-discard")
    app.keys("Return")
    app.wait_gone("^New profile$")
    app.keys("ctrl+comma")
    app.wait_window("^General$")
    app.picture("settings")
    app.keys("Escape")
    app.wait_gone("^General$")
    app.keys("alt+h", "Up", "Return")
    app.wait_window("About")
    app.picture("about")
    app.keys("Escape")
    app.wait_gone("About")
    app.keys("ctrl+shift+k")
    app.wait_window("Connect to an engine")
    app.picture("leave-question")
    app.keys("Return")
    time.sleep(0.6)
    app.picture("connect-dialog")
    app.write("127.0.0.1:9")
    app.keys("Return")
    time.sleep(1.0)
    app.picture("connect-failed")
    with keyed_engine() as url:
        # The dialog gives the address back, chosen to be typed anew.
        app.keys("ctrl+a")
        app.write(url)
        app.keys("Return")
        app.wait_window("^API key$")
        app.picture("key-dialog")
        app.write("wrong")
        app.keys("Return")
        time.sleep(1.0)
        app.picture("key-dialog-wrong")
        app.keys("Escape")
        app.wait_gone("^API key$")


@contextmanager
def keyed_engine() -> Iterator[str]:
    """Run an engine that asks for a key; yields its address."""
    with tempfile.TemporaryDirectory(prefix="mlxm-far-") as home:
        program = subprocess.Popen(
            [sys.executable, "-m", "app", "engine", "--port", "0", "--gateway-port", "0"],
            cwd=ROOT,
            env={**os.environ, "MLX_MANAGER_HOME": home, "MLX_MANAGER_API_KEY": "a-secret-key"},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        try:
            line = program.stdout.readline() if program.stdout else b"{}"
            yield json.loads(line)["url"]
        finally:
            program.terminate()
            program.wait(WAIT_S)


def show_endings(app: App) -> None:
    app.keys("ctrl+q")
    app.wait_window("^Quit$")
    app.picture("quit-question")
    app.keys("Escape")
    app.wait_gone("^Quit$")
    os.kill(app.address()["pid"], signal.SIGKILL)
    time.sleep(1.5)
    app.picture("stale-engine")
    app.keys("ctrl+q")
    if app.wait_end() != 0:
        raise OSError("the app did not end well")


if __name__ == "__main__":
    sys.exit(main())
