"""Finds the model servers of this user that the engine did not start."""

import os
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import NamedTuple

import psutil

from app.engine.readers.memory import process_memory
from app.wire.nouns import ForeignKind, ForeignServer

_K = ForeignKind
_PYTHON = re.compile(r"(python|pypy)[0-9.]*t?(-intel64)?", re.IGNORECASE)
_MODULE = re.compile(r"-[bBdEiIOPqsSuvx]*m(.*)")
_CODE = re.compile(r"-[bBdEiIOPqsSuvx]*c.*|-")
_TAKES_VALUE = frozenset({"-X", "-W", "--check-hash-based-pycs"})
# A process that was just made may still turn into another program, by exec.
_SETTLED_S = 10.0

NAMES: Mapping[ForeignKind, str] = {
    _K.MLX_LM: "mlx-lm server",
    _K.MLX_VLM: "mlx-vlm server",
    _K.VLLM_MLX: "vllm-mlx",
    _K.OLLAMA: "Ollama",
    _K.LM_STUDIO: "LM Studio",
    _K.LLAMA_CPP: "llama.cpp server",
}

_PYTHON_PROGRAMS: Mapping[str, tuple[ForeignKind, str | None]] = {
    "mlx_lm.server": (_K.MLX_LM, None),
    "mlx_lm": (_K.MLX_LM, "server"),
    "mlx_vlm.server": (_K.MLX_VLM, None),
    "mlx_vlm": (_K.MLX_VLM, "server"),
    "vllm_mlx.server": (_K.VLLM_MLX, None),
    "vllm_mlx.cli": (_K.VLLM_MLX, "serve"),
    "vllm_mlx": (_K.VLLM_MLX, "serve"),
    "vllm-mlx": (_K.VLLM_MLX, "serve"),
}
"""Module or script: its kind, and the first argument that makes it a server."""

_PROGRAMS: Mapping[str, tuple[ForeignKind, frozenset[str] | None]] = {
    "ollama": (_K.OLLAMA, frozenset({"serve", "runner"})),
    "ollama_llama_server": (_K.OLLAMA, None),
    "llama-server": (_K.LLAMA_CPP, None),
    "llmster": (_K.LM_STUDIO, None),
    "LM Studio": (_K.LM_STUDIO, None),
    "lm-studio": (_K.LM_STUDIO, None),
}
"""Program: its kind, and the first arguments that make it a server."""


def classify(name: str, cmdline: Sequence[str]) -> ForeignKind | None:
    """Return what model server a process is, None for anything else.

    Goes by the program that runs, never by words in its arguments: an editor with such a file
    open, a search for the word or a shell that will start a server is none.
    """
    if not cmdline:
        return None
    program = PurePath(cmdline[0]).name or name
    if _PYTHON.fullmatch(program):
        return _classify_python(cmdline[1:])
    kind, firsts = _PROGRAMS.get(program, (None, None))
    # A program with a window has helpers that carry its name and a type.
    if kind is not None and not any(word.startswith("--type=") for word in cmdline[1:]):
        first = cmdline[1] if len(cmdline) > 1 else ""
        return kind if firsts is None or first in firsts else None
    return _python_program(program, cmdline[1:])


def _classify_python(arguments: Sequence[str]) -> ForeignKind | None:
    words = iter(arguments)
    for word in words:
        if module := _MODULE.fullmatch(word):
            return _python_program(module[1] or next(words, ""), [*words])
        if _CODE.fullmatch(word):
            return None
        if word in _TAKES_VALUE:
            next(words, None)
        elif not word.startswith("-"):
            return _python_program(_module_of(word), [*words])
    return None


def _module_of(script: str) -> str:
    """Return the module that a script is: `…/mlx_lm/server.py` is `mlx_lm.server`."""
    path = PurePath(script)
    return f"{path.parent.name}.{path.stem}" if path.suffix == ".py" else path.name


def _python_program(module: str, arguments: Sequence[str]) -> ForeignKind | None:
    kind, first = _PYTHON_PROGRAMS.get(module, (None, None))
    return kind if first is None or [*arguments[:1]] == [first] else None


class _Seen(NamedTuple):
    """What is known of a process; it holds as long as `created` and `name` are the same."""

    created: float
    name: str
    is_own: bool
    """True for a process of this user."""
    kind: ForeignKind | None
    is_settled: bool


class _Row(NamedTuple):
    process: psutil.Process
    parent: int
    seen: _Seen


class ForeignReader:
    """Lists foreign servers. For one thread.

    A look costs about 0.05 ms for each process; owner and command line are read once for each.
    """

    def __init__(self, own_pid: int | None = None) -> None:
        self._own_pid = own_pid or os.getpid()
        self._seen: dict[int, _Seen] = {}

    def read(self) -> list[ForeignServer]:
        """Return the foreign servers, the oldest first.

        A server below another one, such as a runner of Ollama, counts as part of that one. What
        the engine started is never among them.
        """
        rows = self._rows()
        own = _below(rows, self._own_pid) | {self._own_pid}
        found = {pid for pid, row in rows.items() if row.seen.kind is not None and pid not in own}
        heads = [pid for pid in found if not found & _ancestors(rows, pid)]
        servers = [_describe(rows[pid], [rows[p] for p in _below(rows, pid)]) for pid in heads]
        return sorted(servers, key=lambda s: (s.created, s.pid))

    def _rows(self) -> dict[int, _Row]:
        rows: dict[int, _Row] = {}
        seen: dict[int, _Seen] = {}
        for process in psutil.process_iter():
            try:
                with process.oneshot():
                    seen[process.pid] = look = self._look(process)
                    if look.is_own:
                        rows[process.pid] = _Row(process, process.ppid(), look)
            except psutil.Error:
                continue
        self._seen = seen
        return rows

    def _look(self, process: psutil.Process) -> _Seen:
        created, name = process.create_time(), process.name()
        before = self._seen.get(process.pid)
        if before is not None and before.is_settled and before[:2] == (created, name):
            return before
        is_own = process.uids().real == os.getuid()
        kind = classify(name, process.cmdline()) if is_own else None
        return _Seen(created, name, is_own, kind, time.time() - created > _SETTLED_S)


def _ancestors(rows: Mapping[int, _Row], pid: int) -> set[int]:
    found: set[int] = set()
    while pid in rows and (parent := rows[pid].parent) not in found:
        found.add(parent)
        pid = parent
    return found


def _below(rows: Mapping[int, _Row], pid: int) -> set[int]:
    return {other for other in rows if pid in _ancestors(rows, other)}


def _describe(head: _Row, rest: Sequence[_Row]) -> ForeignServer:
    kind = head.seen.kind
    if kind is None:
        raise ValueError("a process that is no model server")
    sizes = [process_memory(row.process) for row in (head, *rest)]
    known = [size for size in sizes if size is not None]
    pid, created = head.process.pid, head.seen.created
    return ForeignServer(
        id=f"{pid}-{created:.2f}",
        kind=kind,
        name=NAMES[kind],
        pid=pid,
        created=created,
        port=_port_of(head.process),
        memory_bytes=sum(known) if known else None,
    )


def _port_of(process: psutil.Process) -> int | None:
    """Return the lowest port that a process listens on, None where the system hides it."""
    try:
        connections = process.net_connections(kind="tcp")
    except psutil.Error:
        return None
    ports = [c.laddr.port for c in connections if c.status == psutil.CONN_LISTEN and c.laddr]
    return min(ports, default=None)
