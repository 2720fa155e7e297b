"""Every folder of the app in one place."""

import os
import sys
from pathlib import Path

import platformdirs

PROFILE_SUFFIX = ".mlxprofile"
"""Of a file with profiles for other computers."""
_NAME = "MLX Model Manager" if sys.platform == "darwin" else "mlx-model-manager"


def home() -> Path:
    """Return the folder with profiles and settings; MLX_MANAGER_HOME moves everything."""
    override = os.environ.get("MLX_MANAGER_HOME")
    if override:
        return Path(override).expanduser().absolute()
    return Path(platformdirs.user_data_dir(_NAME, appauthor=False))


def profiles() -> Path:
    """Return the folder with one TOML file for each profile."""
    return home() / "profiles"


def trash() -> Path:
    """Return the folder that deleted documents are moved to."""
    return home() / "trash"


def backups() -> Path:
    """Return the folder with earlier versions of documents."""
    return home() / "backups"


def run() -> Path:
    """Return the folder with the engine's lock and address and a file for each live server."""
    return home() / "run"


def engine_file() -> Path:
    """Return the file in which a live engine says where it listens; readable by its user only."""
    return run() / "engine.json"


def engine_lock() -> Path:
    """Return the file that a live engine holds locked."""
    return run() / "engine.lock"


def history_file() -> Path:
    """Return the database of figures and requests; it may be deleted while no engine runs."""
    return home() / "history.db"


def logs() -> Path:
    """Return the folder with the logs of app, engine and servers."""
    if os.environ.get("MLX_MANAGER_HOME"):
        return home() / "logs"
    return Path(platformdirs.user_log_dir(_NAME, appauthor=False))


def engine_crash() -> Path:
    """Return the file that a crash of the engine leaves its stack in."""
    return logs() / "engine-crash.log"


def worker_logs() -> tuple[Path, ...]:
    """Return the logs that workers append to."""
    return logs() / "hub.log", logs() / "downloads.log"


def resources() -> Path:
    """Return the folder with the files that come with the app."""
    bundle = getattr(sys, "_MEIPASS", None)
    root = Path(bundle) if bundle else Path(__file__).parent.parent
    return root / "resources"


def demo_model() -> Path:
    """Return the folder of the demo model."""
    return resources() / "demo-model"


def releases_url() -> str:
    """Return the address that tells the newest release; only a released program knows one."""
    try:
        return (resources() / "releases-url.txt").read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def hub_cache() -> Path:
    """Return the Hugging Face cache folder by the hub library's own rules."""
    if cache := os.environ.get("HF_HUB_CACHE"):
        return Path(cache).expanduser()
    if hf_home := os.environ.get("HF_HOME"):
        return Path(hf_home).expanduser() / "hub"
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "huggingface" / "hub"


def hub_token() -> Path:
    """Return the file in which the hub library, and so every program, finds the user's token."""
    if path := os.environ.get("HF_TOKEN_PATH"):
        return Path(path).expanduser()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    hf_home = os.environ.get("HF_HOME") or f"{base}/huggingface"
    return Path(hf_home).expanduser() / "token"


def program(mode: str) -> list[str]:
    """Return the command that runs this program as `engine`, `guard`, `runner` or `worker`."""
    if getattr(sys, "frozen", False):
        return [sys.executable, mode]
    return [sys.executable, "-m", "app", mode]


def predecessor_database() -> Path:
    """Return where the earlier MLX Manager, a web application, keeps its profiles."""
    override = os.environ.get("MLX_MANAGER_DATABASE_PATH")
    return Path(override or "~/.mlx-manager/mlx-manager.db").expanduser()


def runner_source() -> Path:
    """Return the folder from which another Python can import `app.runner`."""
    bundle = getattr(sys, "_MEIPASS", None)
    return Path(bundle) / "runner-source" if bundle else Path(__file__).parent.parent


def program_root() -> str | None:
    """Return the folder that `program` must run in, None where any folder will do."""
    return None if getattr(sys, "frozen", False) else str(Path(__file__).parent.parent)
