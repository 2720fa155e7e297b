"""The list of model servers that the engine did not start: what it says, and that it asks first."""

import time
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from foreign_kit import fake_server, mlx_command
from patience import DEADLINE_MS
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QApplication, QMessageBox, QWidget
from pytestqt.qtbot import QtBot
from window_kit import open_window

from app.gui.format import UNKNOWN
from app.gui.mirror import Mirror
from app.gui.panels import foreign_list
from app.gui.panels.foreign_list import MOST_ROWS, ROW_HEIGHT, ForeignRow
from app.gui.panels.servers_panel import ServersPanel
from app.gui.theme import theme
from app.wire.events import MachineSample, Removed, Samples, Snapshot, Upsert
from app.wire.nouns import EngineInfo, ForeignKind, ForeignServer, Machine, Server, ServerState

GIB = 2**30
LEFT = Qt.MouseButton.LeftButton
OLLAMA = ForeignServer("a", ForeignKind.OLLAMA, "Ollama", 812, 0.0, 11434, 12 * GIB)
MLX = ForeignServer("b", ForeignKind.MLX_LM, "mlx-lm server", 4711, 1.0, 8080, 4 * GIB)
BARE = ForeignServer("c", ForeignKind.LM_STUDIO, "LM Studio", 99, 2.0)


class Engine:
    """Feeds a mirror the way the event stream does."""

    def __init__(self, *foreign: ForeignServer, gpu: bool = True, servers: int = 0) -> None:
        self.mirror = Mirror()
        machine = Machine("Mac", "Apple M3", 64 * GIB, 48 * GIB if gpu else None, gpu)
        info = EngineInfo("0.1", 1, 1, "", "", "", 0.0, "", "", False, False, machine, ())
        now = time.time()
        tiles = tuple(
            Server(f"s{n}", f"Server {n}", "m", ServerState.READY, now, started_at=now)
            for n in range(servers)
        )
        self.mirror.apply(Snapshot(1, info, (), tiles, (), (), foreign))

    def put(self, server: ForeignServer) -> None:
        self.mirror.apply(Upsert(2, "foreign", msgspec.Raw(msgspec.json.encode(server))))

    def remove(self, server: ForeignServer) -> None:
        self.mirror.apply(Removed(2, "foreign", server.id))


def shown(qtbot: QtBot, engine: Engine, size: tuple[int, int] = (1000, 800)) -> ServersPanel:
    panel = ServersPanel(engine.mirror)
    qtbot.addWidget(panel)
    panel.resize(*size)
    panel.show()
    qtbot.waitExposed(panel)
    QApplication.processEvents()
    return panel


def only_row(panel: ServersPanel) -> ForeignRow:
    (row,) = panel.foreign_list.rows()
    return row


def dialog(panel: QWidget, qtbot: QtBot) -> QMessageBox:
    qtbot.waitUntil(lambda: bool(panel.findChildren(QMessageBox)))
    (box,) = panel.findChildren(QMessageBox)
    return box


def press(box: QMessageBox, text: str, qtbot: QtBot) -> None:
    (button,) = [b for b in box.buttons() if b.text().replace("&", "") == text]
    qtbot.mouseClick(button, LEFT)


def test_list_without_foreign_servers_is_hidden(qtbot: QtBot) -> None:
    assert not shown(qtbot, Engine()).foreign_list.isVisible()


def test_list_names_software_process_port_and_memory(qtbot: QtBot) -> None:
    panel = shown(qtbot, Engine(OLLAMA, BARE))
    assert panel.foreign_list.isVisible()
    assert [row.texts() for row in panel.foreign_list.rows()] == [
        ["Ollama", "process 812", "port 11434", "12.0 GB"],
        ["LM Studio", "process 99", f"port {UNKNOWN}", UNKNOWN],
    ]
    assert panel.foreign_list.rows()[0].accessibleName().startswith("Ollama, process 812")
    assert panel.foreign_list.rows()[0].stop_button.accessibleName() == "Stop Ollama"


@pytest.mark.parametrize(("gpu", "where"), [(True, "this Mac"), (False, "this computer")])
def test_list_title_says_where(qtbot: QtBot, gpu: bool, where: str) -> None:
    panel = shown(qtbot, Engine(OLLAMA, gpu=gpu))
    assert panel.foreign_list.title() == f"Other model servers on {where}"


@pytest.mark.parametrize("width", [560, 1000])
def test_row_columns_do_not_overlap(qtbot: QtBot, width: int) -> None:
    panel = shown(qtbot, Engine(OLLAMA), (width, 520))
    row = only_row(panel)
    parts = sorted((w.geometry() for w in row.findChildren(QWidget)), key=lambda g: g.left())
    assert len(parts) == 5
    assert all(a.right() < b.left() for a, b in pairwise(parts))
    assert all(part.width() > 30 for part in parts)


def test_list_new_figures_keep_the_row_and_its_focus(qtbot: QtBot) -> None:
    engine = Engine(OLLAMA)
    panel = shown(qtbot, engine)
    row = only_row(panel)
    panel.activateWindow()
    row.stop_button.setFocus()
    engine.put(msgspec.structs.replace(OLLAMA, memory_bytes=13 * GIB))
    assert only_row(panel) is row
    assert row.texts()[-1] == "13.0 GB"
    assert panel.focusWidget() is row.stop_button


def test_list_server_comes_and_goes(qtbot: QtBot) -> None:
    engine = Engine()
    panel = shown(qtbot, engine)
    engine.put(OLLAMA)
    engine.put(MLX)
    assert [row.server.name for row in panel.foreign_list.rows()] == ["Ollama", "mlx-lm server"]
    engine.remove(OLLAMA)
    assert only_row(panel).server == MLX
    engine.remove(MLX)
    assert not panel.foreign_list.isVisible()


def test_list_after_reconnect_shows_the_new_snapshot(qtbot: QtBot) -> None:
    engine = Engine(OLLAMA)
    panel = shown(qtbot, engine)
    info = engine.mirror.engine
    assert info is not None
    engine.mirror.apply(Snapshot(1, info, (), (), (), (), (MLX,)))
    assert only_row(panel).server == MLX


def test_list_coming_moves_no_tile(qtbot: QtBot) -> None:
    engine = Engine(servers=12)
    panel = shown(qtbot, engine, (620, 620))
    bar = panel.grid.verticalScrollBar()
    bar.setValue(430)
    places = {i: t.mapToGlobal(QPoint()) for i, t in panel.grid.tiles.items()}
    for server in (OLLAMA, MLX):
        engine.put(server)
        QApplication.processEvents()
    assert panel.foreign_list.isVisible()
    assert bar.value() == 430
    assert {i: t.mapToGlobal(QPoint()) for i, t in panel.grid.tiles.items()} == places
    engine.remove(OLLAMA)
    engine.remove(MLX)
    QApplication.processEvents()
    assert {i: t.mapToGlobal(QPoint()) for i, t in panel.grid.tiles.items()} == places


def test_list_with_many_servers_leaves_room_for_tiles(qtbot: QtBot) -> None:
    many = [msgspec.structs.replace(OLLAMA, id=str(n), pid=n) for n in range(9)]
    panel = shown(qtbot, Engine(*many, servers=2), (560, 520))
    assert panel.foreign_list.height() < ROW_HEIGHT * (MOST_ROWS + 1.5)
    assert len(panel.grid.visible_tiles()) >= 1


def test_stop_asks_and_names_what_is_stopped(qtbot: QtBot) -> None:
    panel = shown(qtbot, Engine(OLLAMA))
    qtbot.mouseClick(only_row(panel).stop_button, LEFT)
    box = dialog(panel, qtbot)
    assert box.text() == "Stop Ollama (process 812)?"
    assert "12.0 GB" in box.informativeText()
    assert "not started by this app" in box.informativeText()
    # Neither Enter nor Esc ends what cannot be started again from here.
    assert box.defaultButton() is box.escapeButton()
    press(box, "Cancel", qtbot)


def test_stop_cancelled_asks_nothing_of_the_engine(qtbot: QtBot) -> None:
    panel = shown(qtbot, Engine(BARE))
    row = only_row(panel)
    with qtbot.assertNotEmitted(panel.foreign_stop_requested):
        qtbot.mouseClick(row.stop_button, LEFT)
        box = dialog(panel, qtbot)
        assert "memory" not in box.informativeText()
        press(box, "Cancel", qtbot)
    assert row.stop_button.isEnabled()


def test_stop_agreed_is_requested_and_shown_as_under_way(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foreign_list, "_PATIENCE_MS", 50)
    panel = shown(qtbot, Engine(OLLAMA, MLX))
    row = panel.foreign_list.rows()[1]
    with qtbot.waitSignal(panel.foreign_stop_requested) as signal:
        qtbot.mouseClick(row.stop_button, LEFT)
        press(dialog(panel, qtbot), "Stop", qtbot)
    assert signal.args == [MLX]
    assert (row.stop_button.text(), row.stop_button.isEnabled()) == ("Stopping…", False)
    assert panel.foreign_list.rows()[0].stop_button.isEnabled()
    # Nothing happened: the row offers it again.
    qtbot.waitUntil(row.stop_button.isEnabled)
    assert row.stop_button.text() == "Stop…"


def test_memory_strip_has_one_segment_for_them_and_still_adds_up(qtbot: QtBot) -> None:
    engine = Engine(OLLAMA, MLX, BARE, servers=1)
    panel = shown(qtbot, engine)
    values = {"s0": {"memory_bytes": 8.0 * GIB}}
    engine.mirror.apply(Samples(3, time.time(), MachineSample(64 * GIB, 30 * GIB), values))
    shares = panel.memory_strip.shares()
    assert [(s.name, s.text) for s in shares] == [
        ("Server 0", "8.0 GB"),
        ("Other model servers", "16.0 GB"),
        ("Other apps", "6.0 GB"),
    ]
    assert panel.memory_strip.total_text() == "30.0 of 64 GB"
    assert "Other model servers 16.0 GB" in panel.memory_strip.legend_texts()
    colours = [panel.memory_strip._colour(share).name() for share in shares]
    assert len(set(colours)) == 3
    for server in (OLLAMA, MLX, BARE):
        engine.remove(server)
    assert [s.name for s in panel.memory_strip.shares()] == ["Server 0", "Other apps"]


def test_list_follows_the_theme(qtbot: QtBot) -> None:
    panel = shown(qtbot, Engine(OLLAMA))
    before = theme().mode
    try:
        images = []
        for mode in ("light", "dark"):
            theme().set_mode(mode)
            QApplication.processEvents()
            images.append(panel.foreign_list.grab().toImage())
        assert images[0] != images[1]
        light, dark = (image.pixelColor(60, 8).lightness() for image in images)
        assert dark < 80 < light
    finally:
        theme().set_mode(before)


def test_window_shows_running_foreign_server_and_stops_it(
    qtbot: QtBot, own_home: Path, tmp_path: Path
) -> None:
    with fake_server(tmp_path, *mlx_command()) as one, open_window() as window:
        panel = window.parts.servers_panel

        def row() -> ForeignRow | None:
            return next((r for r in panel.foreign_list.rows() if r.server.pid == one.pid), None)

        qtbot.waitUntil(lambda: row() is not None, timeout=DEADLINE_MS)
        found = row()
        assert found is not None
        assert found.texts()[:3] == ["mlx-lm server", f"process {one.pid}", f"port {one.port}"]
        qtbot.mouseClick(found.stop_button, LEFT)
        press(dialog(panel, qtbot), "Stop", qtbot)
        qtbot.waitUntil(lambda: row() is None, timeout=DEADLINE_MS)
        assert one.process.poll() is not None
