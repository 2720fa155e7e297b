"""Downloads for tests: made-up models on the stand-in hub, and a real download worker."""

import contextlib
import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from engine_kit import DEADLINE_S, Lines, environment
from hub import StandInHub, SyntheticBlob

from app import paths

ID = "mlx-community/Tiny-4bit"
MB = 1_000_000


def files(*sizes: int, seed: str = ID) -> dict[str, Any]:
    """Return the files of a model with weights of these sizes."""
    names = [f"model-{i + 1:05}-of-{len(sizes):05}.safetensors" for i in range(len(sizes))]
    if len(sizes) == 1:
        names = ["model.safetensors"]
    return {
        "config.json": {"model_type": "llama", "architectures": ["LlamaForCausalLM"]},
        "tokenizer.json": {"version": "1.0"},
        "tokenizer_config.json": {"tokenizer_class": "PreTrainedTokenizerFast"},
        **{
            name: SyntheticBlob(size, seed=seed + name)
            for name, size in zip(names, sizes, strict=True)
        },
    }


def add_model(hub: StandInHub, *sizes: int, repo_id: str = ID, **options: Any) -> int:
    """Add a model, and return the bytes of all its files."""
    model = hub.add_model(repo_id, files(*sizes, seed=repo_id), **options)
    assert model.sha
    # Now, so that no request of a test waits for it.
    hub.full_info(model, blobs=True)
    return sum(file.size for file in model.files.values())


def environment_for(hub: StandInHub | None, home: Path, **extra: str) -> dict[str, str]:
    """Return the environment of a program that knows no other hub."""
    url = hub.url if hub else "http://127.0.0.1:9"
    return environment(home, **{"HF_ENDPOINT": url, "HF_HUB_OFFLINE": "0", **extra})


def snapshot(cache: Path, hub: StandInHub, repo_id: str = ID) -> Path:
    """Return the folder of a finished download."""
    folder = cache / f"models--{repo_id.replace('/', '--')}"
    return folder / "snapshots" / hub.models[repo_id].sha


def check_files(cache: Path, hub: StandInHub, repo_id: str = ID) -> None:
    """Check that every byte of a finished download is right, and that nothing else is left."""
    folder = snapshot(cache, hub, repo_id)
    assert (folder.parent.parent / "refs" / "main").read_text() == hub.models[repo_id].sha
    for name, file in hub.models[repo_id].files.items():
        path = folder / name
        assert path.stat().st_size == file.size
        with path.open("rb") as data:
            for piece in file.blob.pieces(0, file.size):
                assert data.read(len(piece)) == piece, f"{name} is wrong"
    left = [p.name for p in (folder.parent.parent / "blobs").iterdir() if "incomplete" in p.name]
    assert not left


@dataclass
class Worker:
    """A real worker in the mode `download`."""

    process: "subprocess.Popen[bytes]"
    lines: Lines
    log: Path

    def order(self, order: str, **fields: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"order": order, **fields}).encode() + b"\n")
        self.process.stdin.flush()

    def start(self, repo_id: str = ID, **fields: object) -> None:
        self.order("start", id=repo_id, **fields)

    def wait_for(
        self, name: str, wanted: Callable[[dict[str, Any]], bool] = lambda _: True
    ) -> dict[str, Any]:
        """Return the first event of a name that is wanted."""
        while True:
            event = self.lines.event()
            if event["event"] == name and wanted(event):
                return event
            ends = ("gave_up", "fetched")
            assert event["event"] not in ends, f"{event}\n{self.log.read_text()}"

    def end(self) -> dict[str, Any]:
        """Return how the download ended."""
        while (event := self.lines.event())["event"] not in ("gave_up", "fetched"):
            pass
        return event

    def fetched(self) -> dict[str, Any]:
        """Wait until the download is complete."""
        event = self.end()
        assert event["event"] == "fetched", f"{event}\n{self.log.read_text()}"
        return event

    def wait_for_bytes(self, count: int) -> dict[str, Any]:
        return self.wait_for("progress", lambda e: e["done_bytes"] >= count)

    def gave_up(self) -> dict[str, Any]:
        """Return the failure that ended the download."""
        event = self.end()
        assert event["event"] == "gave_up", event
        return event["failure"] | {"needs_user": event["needs_user"]}

    def cpu_s(self) -> float:
        times = psutil.Process(self.process.pid).cpu_times()
        return times.user + times.system

    def rss_bytes(self) -> int:
        return psutil.Process(self.process.pid).memory_info().rss


@contextlib.contextmanager
def worker(
    hub: StandInHub | None,
    cache: Path,
    home: Path,
    *,
    stall_s: float = 15.0,
    env: Mapping[str, str] | None = None,
) -> Iterator[Worker]:
    """Run a download worker; it must end by itself when its owner hangs up."""
    log = home / "worker.log"
    with log.open("ab") as stderr:
        process = subprocess.Popen(
            [
                *paths.program("worker"),
                "download",
                "--cache",
                str(cache),
                "--stall-s",
                f"{stall_s}",
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env={**environment_for(hub, home), **(env or {})},
            cwd=paths.program_root(),
        )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        yield Worker(process, Lines(process.stdout.fileno()), log)
        process.stdin.close()
        assert process.wait(DEADLINE_S) in (0, -9), f"{process.returncode}\n{log.read_text()}"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
