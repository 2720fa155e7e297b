"""A servers panel fed with events as the engine sends them, for tests without an engine."""

import time

import msgspec
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from app.gui.mirror import LinkState, Mirror
from app.gui.panels.compact_row import CompactRow
from app.gui.panels.server_tile import ServerTile
from app.gui.panels.servers_panel import ServersPanel
from app.wire.events import MachineSample, Removed, Samples, SampleValues, Snapshot, Upsert
from app.wire.nouns import EngineInfo, Machine, Profile, ProfileFault, Server, ServerState

GIB = 2**30
LEFT = Qt.MouseButton.LeftButton
CODER = "mlx-community/Qwen2.5-Coder-32B-Instruct-4bit"
LLAMA = "mlx-community/Llama-3.2-3B-Instruct-4bit"
FIGURES: SampleValues = {
    "memory_bytes": 18.9 * GIB, "cpu_percent": 24.0, "gpu_percent": 87.0, "tokens_per_s": 21.4,
    "tokens_total": 8123.0, "requests_open": 1.0,
}  # fmt: skip


def profiles() -> tuple[Profile, ...]:
    return (
        Profile("coding", "Coding assistant", CODER),
        Profile("chat", "Fast chat", LLAMA),
        Profile("broken", "Broken", "", path="/home/profiles/broken.toml",
                fault=ProfileFault("Expected a number", 7)),
        Profile("demo", "Demo", "demo/tiny", is_demo=True),
    )  # fmt: skip


def server(server_id: str = "coding", **fields: object) -> Server:
    now = time.time()
    base = Server(server_id, "Coding assistant", CODER, ServerState.READY, now - 8000,
                  started_at=now - 8060, ready_at=now - 8040.5)  # fmt: skip
    return msgspec.structs.replace(base, **fields)


def engine(*, gpu: bool = True) -> EngineInfo:
    machine = Machine("Mac", "Apple M3", 64 * GIB, 48 * GIB if gpu else None, gpu)
    return EngineInfo("0.1", 1, 1, "", "", "", 0.0, "", "", False, False, machine, (),
                      ("local_disk",))  # fmt: skip


class Engine:
    """Feeds a mirror the way the event stream does."""

    def __init__(self, *servers: Server, gpu: bool = True) -> None:
        self.mirror = Mirror()
        self.mirror.set_link(LinkState.LIVE)
        self.seq = 1
        self.mirror.apply(Snapshot(1, engine(gpu=gpu), profiles(), servers, (), ()))

    def put(self, item: Server | Profile) -> None:
        self.seq += 1
        kind = "server" if isinstance(item, Server) else "profile"
        self.mirror.apply(Upsert(self.seq, kind, msgspec.Raw(msgspec.json.encode(item))))

    def remove(self, server_id: str) -> None:
        self.seq += 1
        self.mirror.apply(Removed(self.seq, "server", server_id))

    def lose(self) -> None:
        """Do what the window does when the stream ends."""
        self.mirror.set_link(LinkState.STALE, "No engine listens.", time.time())

    def sample(
        self,
        values: dict[str, SampleValues],
        used: float = 32.5 * GIB,
        *,
        at: float | None = None,
    ) -> None:
        self.seq += 1
        machine = MachineSample(64 * GIB, int(used))
        self.mirror.apply(Samples(self.seq, at or time.time(), machine, values))


def panel_of(
    qtbot: QtBot,
    engine: Engine,
    *,
    size: tuple[int, int] = (1000, 860),
    plots: bool = False,
    rows: bool | None = False,
) -> ServersPanel:
    """Show a panel. `rows`: compact rows or tiles, None for what the number of servers asks for."""
    panel = ServersPanel(engine.mirror)
    panel.board.choose_rows(rows)
    qtbot.addWidget(panel)
    panel.resize(*size)
    panel.show()
    qtbot.waitExposed(panel)
    QApplication.processEvents()
    if plots:
        panel.enable_plots()
    return panel


def tile_of(panel: ServersPanel, server_id: str = "coding") -> ServerTile:
    tile = panel.tile(server_id)
    assert isinstance(tile, ServerTile)
    return tile


def row_of(panel: ServersPanel, server_id: str = "coding") -> CompactRow:
    row = panel.tile(server_id)
    assert isinstance(row, CompactRow)
    return row


def button(parent: QWidget, text: str) -> QPushButton:
    found = [
        b
        for b in parent.findChildren(QPushButton)
        if b.isVisible() and text in (b.text(), b.toolTip())
    ]
    assert len(found) == 1, f"{len(found)} buttons say {text}"
    return found[0]


def many(count: int) -> list[Server]:
    return [server(f"s{n}", name=f"Server {n}") for n in range(count)]
