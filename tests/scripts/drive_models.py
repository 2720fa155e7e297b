"""Takes pictures of the models half with a stand-in hub: search, filters, every download, deletion.

Needs Xvfb, openbox, xdotool and maim. Usage: drive_models.py FOLDER [--only NAME ...]
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx2 as httpx
from drive_window import LOOKS, ROOT, App, Look, Screen, furnish, until

sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
from hub import Fault, StandInHub, SyntheticBlob, rate_limited, safetensors_blob, tiny_llama  # noqa: E402
from model_kit import make_folder  # noqa: E402

AUTHOR = "mlx-community"
QUICK = f"{AUTHOR}/Qwen3-4B-Instruct-2507-4bit"
LARGE = "model-extra.safetensors"
STATES = ("paused", "waiting", "token", "gated", "disk", "private", "failed", "verifying")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the pictures go")
    parser.add_argument("--only", nargs="*", choices=[look.name for look in LOOKS])
    options = parser.parse_args()
    folder: Path = options.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    for look in LOOKS:
        if not options.only or look.name in options.only:
            with StandInHub(rate=8e6) as hub:
                fill(hub)
                drive(look, folder, hub)
    print(f"The pictures are in {folder}")
    return 0


def fill(hub: StandInHub) -> None:
    """Put models of all kinds on the hub, and one for each state of a download."""

    def add(name: str, *, mb: int = 4, **info: object) -> str:
        files = tiny_llama(hidden=256, layers=2)
        shape = {"extra.weight": ("BF16", [mb * 512, 1024])}
        files[LARGE] = safetensors_blob(shape, {"format": "mlx"}, seed=name)
        card = f"---\nlicense: apache-2.0\nbase_model: meta/{name}\n---\n# {name}\n\nA **card**.\n"
        hub.add_model(f"{AUTHOR}/{name}", {**files, "README.md": card}, **info)
        return f"{AUTHOR}/{name}"

    add(QUICK.partition("/")[2], mb=60, likes=321, downloads=820_000, trendingScore=99)
    for number in range(40):
        size, bits = number % 8 + 1, (4, 6, 8)[number % 3]
        add(f"Model-{number:02}-{size}B-{bits}bit", mb=4 + number, trendingScore=60 - number)
    add("Llama-3.3-70B-Instruct-4bit", mb=200, likes=88, downloads=55_000, trendingScore=98)
    for state in STATES:
        add(f"Download-{state}-4bit", mb=60, trendingScore=5)
    hub.models[f"{AUTHOR}/Download-token-4bit"].gated = "auto"
    hub.models[f"{AUTHOR}/Download-gated-4bit"].gated = "manual"
    hub.models[f"{AUTHOR}/Download-private-4bit"].private = True
    disk = hub.models[f"{AUTHOR}/Download-disk-4bit"]
    # Its checksum is never asked for, and would take days.
    huge = disk.files[LARGE]
    huge._oids = dict.fromkeys(("sha256", "sha1", "git", "xet"), "0" * 64)
    huge.blob = SyntheticBlob(4 * 10**12)
    hub.add_fault(rate_limited(45, times=None, path="Download-waiting.*extra"))
    hub.add_fault(Fault("status", path="Download-failed.*extra", status=404))
    for model in hub.models.values():
        hub.full_info(model, blobs=True)


def drive(look: Look, folder: Path, hub: StandInHub) -> None:
    with tempfile.TemporaryDirectory(prefix="mlxm-drive-") as name:
        home = Path(name)
        furnish(home, look)
        damaged = home / "hf/hub/models--mlx-community--Llama-3.2-3B-Instruct-4bit"
        weights = next((damaged / "snapshots").glob("*/model.safetensors")).resolve()
        weights.write_bytes(weights.read_bytes()[:-20])
        copy = home / "disk/mlx-community/Qwen3-4B-4bit"
        original = next((home / "hf/hub/models--mlx-community--Qwen3-4B-4bit").glob("snapshots/*"))
        make_folder(copy, {file.name: file.read_bytes() for file in original.iterdir()})
        with (home / "settings.toml").open("a") as file:
            file.write(f'model_folders = "{home}/disk"\ndownloads_at_once = 3\n')
        screen = Screen(look)
        try:
            more = {"HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0", "XDG_DATA_HOME": f"{home}/data"}
            app = App(look, home, screen, folder, **more)
            try:
                tour(Models(app), hub)
            finally:
                app.end()
        finally:
            screen.end()


class Models:
    """The app with what the tour asks its engine for."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.url = app.address()["url"]

    def downloads(self) -> dict[str, str]:
        """Return id to state."""
        answer = httpx.get(f"{self.url}/api/downloads", timeout=10, trust_env=False)
        return {one["id"]: one["state"] for one in answer.raise_for_status().json()}

    def begin(self, model_id: str) -> None:
        body = {"id": model_id}
        answer = httpx.post(f"{self.url}/api/downloads", json=body, timeout=10, trust_env=False)
        answer.raise_for_status()

    def act(self, method: str, path: str) -> None:
        httpx.request(method, self.url + path, timeout=10, trust_env=False).raise_for_status()

    def wait(self, condition: Callable[[dict[str, str]], bool]) -> None:
        until(lambda: condition(self.downloads()), "the downloads are not as they should be")


def tour(models: Models, hub: StandInHub) -> None:
    app = models.app
    time.sleep(2.0)
    app.picture("installed")
    app.keys("ctrl+f", "Down", "Menu")
    app.picture("menu")
    app.keys("Escape")
    show_search(app)
    show_downloads(models, hub)
    show_detail(app)


def show_search(app: App) -> None:
    app.keys("ctrl+f")
    app.write("4bit")
    time.sleep(2.5)
    app.picture("search")
    app.keys("ctrl+a", "Delete")
    app.write("zzzzzz")
    time.sleep(1.5)
    app.picture("nothing-found")
    app.keys("Escape")


def show_downloads(models: Models, hub: StandInHub) -> None:
    app = models.app
    ids = {state: f"{AUTHOR}/Download-{state}-4bit" for state in STATES}
    models.begin(ids["paused"])
    models.wait(lambda now: now[ids["paused"]] == "downloading")
    time.sleep(1.0)
    models.act("POST", f"/api/downloads/{ids['paused']}/pause")
    models.wait(lambda now: now[ids["paused"]] == "paused")
    app.picture("paused")
    for state, wanted in (
        ("waiting", "waiting"), ("token", "blocked"), ("gated", "blocked"), ("disk", "blocked"),
        ("private", "blocked"), ("failed", "failed"),
    ):  # fmt: skip
        models.begin(ids[state])
        models.wait(lambda now, i=ids[state], w=wanted: now[i] in (w, "failed", "blocked"))
        time.sleep(0.8)
        app.picture(f"download-{state}")
    models.begin(f"{AUTHOR}/Llama-3.3-70B-Instruct-4bit")
    models.begin(QUICK)
    models.begin(f"{AUTHOR}/Model-01-2B-6bit")
    models.begin(f"{AUTHOR}/Model-02-3B-8bit")
    time.sleep(4.0)
    app.picture("downloads-and-queue")
    app.keys("ctrl+f", "Down", "shift+Tab")
    app.picture("downloads-keyboard")
    models.act("POST", "/api/downloads/pause")
    models.wait(lambda now: "downloading" not in now.values())
    for download_id in models.downloads():
        models.act("DELETE", f"/api/downloads/{download_id}")
    hub.rate = None
    time.sleep(1.0)


def show_detail(app: App) -> None:
    for text, name in (("qwen3-4b-4bit", "detail"), ("llama-3.2", "detail-damaged")):
        app.keys("ctrl+f", "ctrl+a")
        app.write(text)
        app.keys("Down", "Return")
        time.sleep(2.0)
        app.picture(name)
    app.keys("ctrl+f", "ctrl+a")
    app.write("qwen3-4b-4bit")
    app.keys("Down", "Menu", "Up", "Return")
    app.wait_window("^Delete model$")
    app.picture("delete-question")
    app.keys("Escape", "Escape")
    app.keys("ctrl+comma")
    app.wait_window("^General$")
    app.keys("ctrl+Tab")
    time.sleep(0.8)
    app.picture("settings-storage")
    app.keys("Escape")


if __name__ == "__main__":
    sys.exit(main())
