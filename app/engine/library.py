"""The models on this disk, found by a worker process so that a bad file cannot hurt the engine."""

import asyncio
import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from app import paths
from app.wire.errors import AppError, ErrorCode
from app.wire.scan import ScanResult, decode_scan

_log = logging.getLogger("engine")

# 500 models took 2.3 s from memory; a sleeping external disk needs 10 s to spin up.
SCAN_DEADLINE_S = 60.0
# A killed process is gone at once, unless it waits for a dead network disk.
_REAP_DEADLINE_S = 5.0
_LOG_TAIL_BYTES = 4_000


class Library:
    """Looks for models. Belongs to the engine loop."""

    def __init__(
        self,
        cache: Path,
        *,
        folders: Sequence[Path] = (),
        demo: Path | None = None,
        command: Sequence[str] | None = None,
        deadline_s: float = SCAN_DEADLINE_S,
    ) -> None:
        self._command = [*(command or paths.program("worker")), "scan", "--cache", str(cache)]
        for folder in folders:
            self._command += ["--folder", str(folder)]
        if demo is not None:
            self._command += ["--demo", str(demo)]
        self._deadline_s = deadline_s
        self._run: asyncio.Task[ScanResult] | None = None
        self.began = 0.0
        """When the last run began, in monotonic seconds."""

    async def scan(self) -> ScanResult:
        """Return the models on this disk. Calls that overlap share one run.

        Waits up to 60 s. Raises AppError when the worker fails. Cancelling one caller leaves the
        run to the others.
        """
        if self._run is None or self._run.done():
            self._run = asyncio.create_task(self._scan(), name="library scan")
            self._run.add_done_callback(_log_failure)
        return await asyncio.shield(self._run)

    async def close(self) -> None:
        """End a run that is under way; whoever waits for it is cancelled."""
        if self._run is not None and not self._run.done():
            self._run.cancel()
            await asyncio.wait([self._run], timeout=_REAP_DEADLINE_S)

    async def _scan(self) -> ScanResult:
        began = self.began = time.monotonic()
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.DEVNULL,
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
        for warning in result.warnings:
            _log.warning("model scan: %s", warning)
        return result

    async def _answer(self, process: asyncio.subprocess.Process) -> tuple[bytes, bytes]:
        """Return what the worker printed when it has ended; kill it on every other way out."""
        try:
            async with asyncio.timeout(self._deadline_s):
                return await process.communicate()
        except TimeoutError:
            raise _failure(f"it took longer than {self._deadline_s:.0f} s") from None
        finally:
            if process.returncode is None:
                process.kill()
                await asyncio.wait(
                    [asyncio.ensure_future(process.wait())], timeout=_REAP_DEADLINE_S
                )


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
