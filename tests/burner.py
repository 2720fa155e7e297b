"""A process that burns processor time and holds memory on order."""

import subprocess
import sys
from types import TracebackType

from patience import DEADLINE_S

# Does what a line on stdin says, and answers each with a line.
CHILD = """
import subprocess, sys, time
kept = []
for line in sys.stdin:
    word, *rest = line.split()
    if word == "burn":
        end = time.process_time() + float(rest[0])
        while time.process_time() < end:
            pass
    elif word == "hold":
        kept.append(bytearray(b"x") * (int(rest[0]) << 20))
    elif word == "child":
        child = subprocess.Popen([sys.executable, "-c", sys.argv[1], sys.argv[1]],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
    elif word == "tell":
        child.stdin.write(" ".join(rest) + "\\n")
        child.stdout.readline()
    elif word == "drop":
        child.stdin.close()
        child.wait()
    print("done", flush=True)
"""


class Child:
    """A process in a group of its own that works on order."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHILD, CHILD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.pid = self.process.pid

    def order(self, line: str) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"

    def __enter__(self) -> "Child":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process.returncode is None:
            self.end()

    def end(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(DEADLINE_S)
        self.process.stdout.close()
