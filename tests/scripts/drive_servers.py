"""Takes a picture of every state that a server can be in, from a window that is fed by hand.

A real engine passes through some of these states too quickly, or needs a failing GPU for them.
Needs what drive_window.py needs.
Usage: drive_servers.py FOLDER [--only NAME ...]
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from drive_window import LOOKS, ROOT, TOOLS, Look, Screen

sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "tests" / "benchmarks"))

import msgspec
import synthetic
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QWidget

from app.gui import main as gui
from app.gui.dialogs.import_sheet import ImportSheet
from app.gui.dialogs.start_plan import StartPlanDialog
from app.gui.inspector.server.turn import Turn
from app.gui.main_window import MainWindow, parts
from app.gui.mirror import LinkState
from app.gui.widgets.sparkline import load_pyqtgraph
from app.wire.errors import ErrorCode
from app.wire.events import Upsert
from app.wire.hub import Verdict
from app.wire.nouns import Failure, Phase, Profile, ProfileFault, Server, ServerState
from app.wire.plan import StartPlan
from app.wire.portable import Consent, ImportEntry, ImportPreview, ImportValue

GIB = 2**30
TICKS = 70
ROWS = 24
SETTLE_MS = 300


class Alone(parts.Parts):
    """The parts of a window that looks for no engine."""

    def begin(self) -> None:
        load_pyqtgraph()
        self.servers_panel.enable_plots()


class Stage:
    """The window with as many servers as are wanted, and the pictures of it."""

    def __init__(self, look: Look, folder: Path, count: int) -> None:
        self._look = look
        self._folder = folder
        self._seq = 1
        self.window = MainWindow()
        self.window.resize(look.width, look.height)
        self.window.move(20, 30)
        self.window.show()
        assert QTest.qWaitForWindowExposed(self.window)
        while self.window.parts is None:
            QTest.qWait(10)
        self.parts = self.window.parts
        self.mirror = self.parts.mirror
        self.mirror.apply(synthetic.snapshot(count))
        self.mirror.set_link(LinkState.LIVE)
        now = time.time()
        self._shift = now - synthetic.BEGIN - 60 - TICKS
        self.servers = {key: self._begun(server) for key, server in self.mirror.servers.items()}
        for server in self.servers.values():
            self._put(server)
        for tick in range(TICKS):
            found = synthetic.samples(count, tick)
            self._seq = found.seq
            self.mirror.apply(msgspec.structs.replace(found, at=found.at + self._shift))
        # The columns have their widths after that only.
        QTest.qWait(SETTLE_MS)

    def _begun(self, server: Server) -> Server:
        number = int(server.id[-2:])
        begun = time.time() - 8000 + 300 * number
        names = ("Coding assistant", "Translation of long documents", "Fast chat", "Summaries")
        return msgspec.structs.replace(
            server, name=f"{names[number % 4]} {number + 1}", started_at=begun, ready_at=begun + 9
        )

    def _put(self, item: Server | Profile) -> None:
        self._seq += 1
        kind = "server" if isinstance(item, Server) else "profile"
        self.mirror.apply(Upsert(self._seq, kind, msgspec.Raw(msgspec.json.encode(item))))

    def change(self, number: int, state: ServerState, **fields: object) -> None:
        """Put a server into a state."""
        base = self.servers[f"server-{number:02}"]
        base = msgspec.structs.replace(base, state=state, state_since=time.time() - 42)
        self._put(msgspec.structs.replace(base, **fields))

    def break_profile(self) -> None:
        """Let the chosen profile have a mistake in its file."""
        fault = ProfileFault("Longest answer (max_tokens): “many” does not work", 5)
        path = "/Users/me/.mlx-manager/profiles/server-03.toml"
        self._put(Profile("server-03", "Summaries 4", "", path=path, fault=fault))
        self.parts.servers_panel.header.picker.choose("server-03")

    def picture(self, name: str) -> None:
        """Take a picture of the whole screen."""
        QTest.qWait(SETTLE_MS)
        target = self._folder / f"{self._look.name}-{name}.png"
        subprocess.run(["maim", "-u", str(target)], timeout=20, check=True)

    def sheet(self, name: str, dialog: QWidget) -> None:
        """Take a picture with a dialog in front."""
        dialog.show()
        dialog.move(self.window.geometry().center() - dialog.rect().center())
        self.picture(name)
        dialog.close()


def states(stage: Stage) -> None:
    """Show the states of a server, six at a time."""
    starting, now = ServerState.STARTING, time.time()
    stalled = Failure(
        ErrorCode.SERVER_STALLED, "No token came for 2 minutes.", "Restart the server."
    )
    ended = Failure(ErrorCode.OUT_OF_MEMORY, "It used up the memory and was ended by the system.",
                    "Stop another server, or choose a smaller model.")  # fmt: skip
    room = Failure(ErrorCode.NO_ROOM, "It needs 30.0 GB, 19.1 of 48.0 GB are free.",
                   "Stop another server, or start it anyway.")  # fmt: skip
    pending = ("Longest answer: 512 tokens → 2k tokens", "Temperature: 0 → 0.7")
    stage.change(0, starting, phase=Phase.LOADING, progress=0.42, started_at=now - 42)
    stage.change(1, ServerState.STALLED, failure=stalled)
    stage.change(2, ServerState.BACKING_OFF, failure=ended, next_try_at=now + 75, restarts=2)
    stage.change(3, ServerState.STOPPING, held_bytes=19 * GIB, released_bytes=int(7.4 * GIB))
    stage.change(4, ServerState.FAILED, failure=room)
    stage.change(5, ServerState.READY, pending=pending)
    stage.picture("states")
    scroll = stage.parts.servers_panel.grid.verticalScrollBar()
    scroll.setValue(scroll.maximum())
    stage.picture("states-end")
    scroll.setValue(0)
    stage.break_profile()
    stage.picture("broken-profile")
    picker = stage.parts.servers_panel.header.picker
    picker.choose("server-02")
    picker.showPopup()
    stage.picture("picker-list")
    picker.hidePopup()
    stage.parts.servers_panel.board.choose_rows(True)
    stage.picture("states-as-rows")
    stage.parts.servers_panel.board.choose_rows(False)


def sheets(stage: Stage) -> None:
    """Show what is asked before a start and an import."""
    names = {key: server.name for key, server in stage.servers.items()}
    plan = StartPlan(
        "server-02", Verdict.TOO_BIG, "It needs 30.0 GB, 19.1 of 48.0 GB are free.", 32_768,
        weights_bytes=28 * GIB, cache_bytes=GIB, runtime_bytes=GIB, needed_bytes=30 * GIB,
        others_bytes={"server-00": int(18.9 * GIB), "server-01": 10 * GIB}, limit_bytes=48 * GIB,
        stop_first=("server-00",),
    )  # fmt: skip
    stage.sheet("start-plan", StartPlanDialog(plan, names["server-02"], names, stage.window))
    entries = (
        ImportEntry(0, "Coding 2", "Coding", "mlx-community/Qwen3-4B-4bit", (
            ImportValue("0.temp", "Temperature", "0.7", "0"),
            ImportValue("0.trust", "Run code from the model folder", "on", "off", Consent.CODE),
        ), ("This app has no option “future”, so it is left out.",)),
        ImportEntry(1, "Local", "Local", "/Volumes/Models/Qwen3", (
            ImportValue("1.model", "Model folder", "/Volumes/Models/Qwen3", "not set",
                        Consent.PATHS),
        )),
        ImportEntry(2, "Half", "Half", "", problem="“model” is missing or not text."),
    )  # fmt: skip
    preview = ImportPreview(entries)
    stage.sheet("import", ImportSheet("team.mlxprofile", preview, frozenset(), stage.window))


def inspector(stage: Stage) -> None:
    """Show a long question, and the cursor of the charts."""
    stage.parts.inspecting.show_server("server-05", "try")
    tab = stage.parts.inspector.page.current()
    turn = Turn("What is kept in the cache of prompts, and for how long? " * 12, tab)
    turn.text = "As long as there is room; what was used least goes first."
    turn.draw()
    tab.turns.append(turn)
    tab._column.insertWidget(0, turn)
    tab.refresh()
    stage.picture("try-long-question")
    stage.parts.inspecting.show_server("server-05", "overview")
    chart = stage.parts.inspector.page.current().charts[0]
    QTest.mouseMove(chart, chart.area().center() + QPoint(20, 0))
    stage.picture("chart-cursor")
    stage.parts.inspector.close_page()


def rows(stage: Stage) -> None:
    """Show many servers."""
    reason = "The model folder /Volumes/Models/Qwen3-235B-A22B-4bit does not exist."
    broken = Failure(ErrorCode.MODEL_MISSING, reason, "Choose another folder.")
    for number in range(3, ROWS, 7):
        stage.change(number, ServerState.FAILED, failure=broken)
    stage.picture("rows")
    item = stage.parts.servers_panel.tile("server-04")
    item.setFocus(Qt.FocusReason.TabFocusReason)
    stage.picture("rows-focus")


def draw(look: Look, folder: Path) -> None:
    """Take all pictures of one look on the screen that there is."""
    gui.make_application()
    parts.Parts = Alone
    turns: tuple[tuple[int, Callable[[Stage], None]], ...] = (
        (6, states), (6, sheets), (6, inspector), (ROWS, rows),
    )  # fmt: skip
    # A window that is gone before the program ends would leave timers of the app behind.
    stages: list[Stage] = []
    for count, show in turns:
        stages.append(Stage(look, folder, count))
        show(stages[-1])
        stages[-1].window.hide()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the pictures go")
    parser.add_argument("--only", nargs="*", choices=[look.name for look in LOOKS])
    parser.add_argument("--here", action="store_true", help="on the screen that there is")
    options = parser.parse_args()
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        print(f"These programs are needed and not there: {', '.join(missing)}.", file=sys.stderr)
        return 2
    folder: Path = options.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    for look in LOOKS:
        if options.only and look.name not in options.only:
            continue
        if options.here:
            draw(look, folder)
            continue
        screen = Screen(look)
        home = tempfile.mkdtemp(prefix="mlxm-drive-")
        (Path(home) / "app.toml").write_text(f'appearance = "{look.appearance}"\n')
        environment = {
            **os.environ, "DISPLAY": screen.display, "QT_QPA_PLATFORM": "xcb",
            "QT_SCALE_FACTOR": str(look.scale), "MLX_MANAGER_HOME": home,
        }  # fmt: skip
        command = [sys.executable, __file__, str(folder), "--here", "--only", look.name]
        try:
            subprocess.run(command, env=environment, timeout=120, check=True)
        finally:
            screen.end()
            shutil.rmtree(home, ignore_errors=True)
    print(f"The pictures are in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
