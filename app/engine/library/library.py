"""The models on this disk, found by a worker process so that a bad file cannot hurt the engine."""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from app import files, paths
from app.engine.library.watch import Watch
from app.wire.errors import AppError, ErrorCode
from app.wire.nouns import Model
from app.wire.scan import Place, ScanResult, decode_scan

_log = logging.getLogger("engine")

# 500 models took 2.3 s from memory; a sleeping external disk needs 10 s to spin up.
SCAN_DEADLINE_S = 60.0
# A killed process is gone at once, unless it waits for a dead network disk.
_REAP_DEADLINE_S = 5.0
_LOG_TAIL_BYTES = 4_000


def split_folders(text: str) -> list[Path]:
    """Return the folders of a setting: one a line, or with the system's separator of paths."""
    parts = [part.strip() for line in text.splitlines() for part in line.split(os.pathsep)]
    # Not Path.expanduser, which raises for a user that does not exist.
    return [Path(os.path.expanduser(part)) for part in parts if part]  # noqa: PTH111


class Library:
    """Looks for models. Belongs to the engine loop."""

    def __init__(
        self,
        cache: Path,
        *,
        folders: Callable[[], Sequence[Path]] = tuple,
        looks_elsewhere: Callable[[], bool] = bool,
        demo: Path | None = None,
        command: Sequence[str] | None = None,
        deadline_s: float = SCAN_DEADLINE_S,
    ) -> None:
        self._cache = cache
        self._folders = folders
        self._looks_elsewhere = looks_elsewhere
        self._demo = demo
        self._worker = [*(command or paths.program("worker")), "scan"]
        self._deadline_s = deadline_s
        self._run: asyncio.Task[ScanResult] | None = None
        """The last that has begun."""
        self._next: asyncio.Task[ScanResult] | None = None
        """One that has not begun, because another runs."""
        self._watch = Watch()
        self._told: set[str] = set()
        self.places: tuple[Place, ...] = ()
        """Where the last run looked."""
        self._hints: tuple[str, ...] = ()
        """What decides where the next one looks."""
        self.began = 0.0
        """When the last run began, in monotonic seconds."""

    def last(self) -> list[Model]:
        """Return what the last engine of this home found, to show until a scan is done. Blocks."""
        try:
            found = decode_scan(_result_file().read_bytes())
        except (OSError, msgspec.DecodeError):
            return []
        self.places, self._hints = found.places, found.hints
        return [m for m in found.models if m.problem is not None or _is_there(m.path)]

    async def look(self) -> int:
        """Return a number that is another one when a scan is needed."""
        folders = [place.path for place in self.places[1:]] or [str(f) for f in self._folders()]
        return await asyncio.to_thread(self._watch.look, str(self._cache), folders, self._hints)

    async def scan(self) -> ScanResult:
        """Return the models on this disk as they are from now on. Calls that overlap share a run.

        Waits up to 60 s. Raises AppError when the worker fails. Cancelling one caller leaves the
        run to the others.
        """
        if self._next is None:
            # A run that has begun may have passed by what the caller wants to see.
            self._next = asyncio.create_task(self._after(self._run), name="library scan")
            self._next.add_done_callback(_log_failure)
        return await asyncio.shield(self._next)

    async def close(self) -> None:
        """End the runs; whoever waits for one is cancelled."""
        runs = [run for run in (self._run, self._next) if run is not None and not run.done()]
        for run in runs:
            run.cancel()
        if runs:
            await asyncio.wait(runs, timeout=_REAP_DEADLINE_S)

    async def _after(self, before: "asyncio.Task[ScanResult] | None") -> ScanResult:
        if before is not None:
            await asyncio.wait([before])
        self._run, self._next = self._next, None
        return await self._scan()

    async def _scan(self) -> ScanResult:
        began = self.began = time.monotonic()
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command(),
                # Held open until the worker has ended: its end tells the worker that we are gone.
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                cwd=paths.program_root(),
                env={**os.environ, "HF_HUB_OFFLINE": "1"},
            )
        except OSError as error:
            raise _failure(f"the worker cannot be started ({error.strerror or error})") from error
        output, errors = await self._answer(process)
        _log_stderr(errors, has_failed=process.returncode != 0)
        if process.returncode != 0:
            raise _failure(f"the worker ended with status {process.returncode}")
        try:
            result = decode_scan(output)
        except msgspec.DecodeError as error:
            raise _failure("the worker's answer makes no sense") from error
        _log.info("found %d models in %.1f s", len(result.models), time.monotonic() - began)
        # Once each: a folder that is missing is missing at every scan.
        for warning in [w for w in result.warnings if w not in self._told]:
            _log.warning("model scan: %s", warning)
        self._told = set(result.warnings)
        self.places, self._hints = result.places, result.hints
        await asyncio.to_thread(remember, output)
        return result

    def _command(self) -> list[str]:
        command = [*self._worker, "--owned", "--cache", str(self._cache)]
        command += ["--memory", str(paths.home() / "models.json")]
        for folder in self._folders():
            command += ["--folder", str(folder)]
        if self._looks_elsewhere():
            # Not Path.home, which raises for a user without one.
            command += ["--home", os.path.expanduser("~")]  # noqa: PTH111
        if self._demo is not None:
            command += ["--demo", str(self._demo)]
        return command

    async def _answer(self, process: asyncio.subprocess.Process) -> tuple[bytes, bytes]:
        """Return what the worker printed when it has ended; kill it on every other way out."""
        try:
            async with asyncio.timeout(self._deadline_s):
                # Not communicate, which in later Pythons begins with the end of standard input.
                output, errors, _ = await asyncio.gather(
                    _read(process.stdout), _read(process.stderr), process.wait()
                )
                return output, errors
        except TimeoutError:
            raise _failure(f"it took longer than {self._deadline_s:.0f} s") from None
        finally:
            if process.returncode is None:
                process.kill()
                await asyncio.wait(
                    [asyncio.ensure_future(process.wait())], timeout=_REAP_DEADLINE_S
                )


async def _read(stream: asyncio.StreamReader | None) -> bytes:
    return b"" if stream is None else await stream.read()


def _result_file() -> Path:
    return paths.home() / "library.json"


def remember(result: bytes) -> None:
    """Write what was found. A disk that takes nothing costs the next engine a moment, no more."""
    try:
        if not _result_file().exists() or _result_file().read_bytes() != result:
            files.write_atomically(_result_file(), result.decode(), mode=0o600)
    except OSError as error:
        _log.debug("the list of models cannot be kept: %s", error)


def _is_there(path: str) -> bool:
    return Path(path).is_dir()


def _log_failure(run: asyncio.Task[ScanResult]) -> None:
    """Log once for all callers; this also counts as looking at an error that nobody waited for."""
    if not run.cancelled() and (error := run.exception()) is not None:
        _log.warning("model scan failed: %s", error)


def _failure(reason: str) -> AppError:
    return AppError(
        f"The models on this disk could not be listed: {reason}.",
        hint="Check that the model folder can be read, then refresh. The engine's log has details.",
        code=ErrorCode.INTERNAL,
    )


def _log_stderr(errors: bytes, *, has_failed: bool) -> None:
    text = errors[-_LOG_TAIL_BYTES:].decode(errors="replace").strip()
    if text:
        _log.log(logging.ERROR if has_failed else logging.INFO, "worker: %s", text)
