"""The Models half of the window, driven by the mirror's events and by mouse and keyboard."""

from collections.abc import Iterator

import msgspec
import pytest
from PySide6.QtCore import QEvent, QModelIndex, QObject, QPoint, QPointF, Qt
from PySide6.QtGui import (
    QColor,
    QContextMenuEvent,
    QHelpEvent,
    QMouseEvent,
    QPaintEvent,
    QRegion,
)
from PySide6.QtTest import QAbstractItemModelTester
from PySide6.QtWidgets import (
    QApplication,
    QLabel,
    QMenu,
    QProgressBar,
    QPushButton,
    QStyleOptionViewItem,
    QWidget,
)
from pytestqt.qtbot import QtBot

from app.gui.delegates.model_tile import ModelTile
from app.gui.mirror import LinkState, Mirror
from app.gui.models.model_list import MIME, Role
from app.gui.models.model_rows import SortOrder
from app.gui.panels.models_panel import ModelsPanel
from app.gui.theme import theme
from app.gui.widgets.list_view import ListView
from app.wire.events import Removed, Snapshot, Upsert
from app.wire.nouns import (
    Download,
    DownloadState,
    EngineInfo,
    Machine,
    Model,
    ModelSource,
    Server,
    ServerState,
)

LEFT = Qt.MouseButton.LeftButton
NONE = Qt.KeyboardModifier.NoModifier


@pytest.fixture(params=["light", "dark"])
def mode(request: pytest.FixtureRequest) -> Iterator[str]:
    theme().set_mode(request.param)
    yield request.param
    theme().set_mode("system")


def make_model(name: str, **changes: object) -> Model:
    fields: dict[str, object] = {
        "id": f"mlx-community/{name}", "name": name, "author": "mlx-community",
        "source": ModelSource.HUB, "path": f"/models/{name}", "size_bytes": 4_600_000_000,
        "quantization": "4-bit", "parameters": 8_200_000_000, "family": "qwen3",
    }  # fmt: skip
    return Model(**{**fields, **changes})  # type: ignore[arg-type]


def make_models(count: int) -> list[Model]:
    return [make_model(f"Model-{number:05d}-4bit") for number in range(count)]


def make_engine(*capabilities: str) -> EngineInfo:
    return EngineInfo(
        version="1", api_version=1, pid=1, url="", gateway_url="", gateway_note="", started_at=0,
        home="", log="", key_required=False, open_bind=False,
        machine=Machine("Mac", "M4", 2**36), runtimes=(), capabilities=capabilities,
    )  # fmt: skip


def fill(
    mirror: Mirror,
    models: list[Model],
    *,
    servers: tuple[Server, ...] = (),
    downloads: tuple[Download, ...] = (),
    capabilities: tuple[str, ...] = (),
) -> None:
    engine = make_engine(*capabilities)
    mirror.apply(Snapshot(1, engine, (), servers, tuple(models), downloads))


def upsert(mirror: Mirror, kind: str, item: object) -> None:
    mirror.apply(Upsert(2, kind, msgspec.Raw(msgspec.json.encode(item))))  # type: ignore[arg-type]


def open_panel(qtbot: QtBot, models: list[Model], **more: object) -> tuple[ModelsPanel, Mirror]:
    mirror = Mirror()
    fill(mirror, models, **more)  # type: ignore[arg-type]
    panel = ModelsPanel(mirror)
    mirror.setParent(panel)
    qtbot.addWidget(panel)
    panel.resize(400, 700)
    with qtbot.waitExposed(panel):
        panel.show()
    panel.activateWindow()
    return panel, mirror


def names(panel: ModelsPanel) -> list[str]:
    model = panel.view.model()
    return [model.index(row, 0).data() for row in range(model.rowCount())]


def index_of(panel: ModelsPanel, name: str) -> QModelIndex:
    return panel.view.model().index(names(panel).index(name), 0)


def current(panel: ModelsPanel) -> str | None:
    return panel.view.currentIndex().data()


def option_of(view: ListView, index: QModelIndex) -> QStyleOptionViewItem:
    option = QStyleOptionViewItem()
    view.initViewItemOption(option)
    option.rect = view.visualRect(index)  # type: ignore[attr-defined]
    return option


def run_button(panel: ModelsPanel, index: QModelIndex) -> QPoint:
    tile = panel.view.itemDelegate()
    assert isinstance(tile, ModelTile)
    return tile.button_rect(option_of(panel.view, index), index).center().toPoint()


def shown_texts(panel: ModelsPanel) -> list[str]:
    return [label.text() for label in panel.findChildren(QLabel) if label.isVisible()]


def move_pointer(view: ListView, place: QPoint) -> None:
    here = QPointF(place)
    event = QMouseEvent(
        QEvent.Type.MouseMove, here, view.viewport().mapToGlobal(here),
        Qt.MouseButton.NoButton, Qt.MouseButton.NoButton, NONE,
    )  # fmt: skip
    view.viewportEvent(event)


def open_menu(panel: ModelsPanel, index: QModelIndex, *, by_key: bool = False) -> QMenu:
    view = panel.view
    place = view.visualRect(index).center()
    reason = QContextMenuEvent.Reason.Keyboard if by_key else QContextMenuEvent.Reason.Mouse
    view.contextMenuEvent(QContextMenuEvent(reason, place, view.viewport().mapToGlobal(place)))
    return panel.findChildren(QMenu)[-1]


def choose(menu: QMenu, text: str) -> None:
    next(action for action in menu.actions() if action.text() == text).trigger()


# Search


def test_models_01_search_field_stays_while_list_scrolls(qtbot: QtBot) -> None:
    panel, _ = open_panel(qtbot, make_models(500))
    before = panel.search.mapTo(panel, QPoint())
    top = panel.view.indexAt(QPoint(50, 5)).row()

    bar = panel.view.verticalScrollBar()
    bar.setValue(bar.maximum())

    assert panel.view.indexAt(QPoint(50, 5)).row() > top + 400
    assert panel.search.isVisible()
    assert panel.search.mapTo(panel, QPoint()) == before
    assert not panel.search.visibleRegion().isEmpty()
    assert not panel.view.isAncestorOf(panel.search)
    assert panel.search.geometry().bottom() < panel.view.mapTo(panel, QPoint()).y()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("qwen", ["Qwen3-0.6B-4bit", "Qwen3-8B-8bit"]),
        ("QWEN 4BIT", ["Qwen3-0.6B-4bit"]),
        ("8-bit", ["Qwen3-8B-8bit"]),
        ("lmstudio", ["gemma-3-27b-4bit"]),
        ("vision", ["gemma-3-27b-4bit"]),
        ("4bit zzz", []),
        ("  ", ["gemma-3-27b-4bit", "Qwen3-0.6B-4bit", "Qwen3-8B-8bit"]),
    ],
)
def test_search_shows_rows_that_match_every_word(
    qtbot: QtBot, text: str, expected: list[str]
) -> None:
    models = [
        make_model("Qwen3-8B-8bit", quantization="8-bit"),
        make_model("Qwen3-0.6B-4bit"),
        make_model(
            "gemma-3-27b-4bit", author="lmstudio-community", family="gemma3", tags=("vision",)
        ),
    ]
    panel, _ = open_panel(qtbot, models)
    qtbot.keyClicks(panel.search, text)
    assert names(panel) == expected


def test_search_among_10000_models_finds_one_and_gives_all_back(qtbot: QtBot) -> None:
    panel, _ = open_panel(qtbot, make_models(10_000))
    qtbot.keyClicks(panel.search, "model 07777")
    assert names(panel) == ["Model-07777-4bit"]
    panel.search.clear()
    assert len(names(panel)) == 10_000


def test_escape_clears_search_and_down_enters_list(qtbot: QtBot) -> None:
    panel, _ = open_panel(qtbot, make_models(3))
    panel.focus_search()
    qtbot.waitUntil(panel.search.hasFocus)
    qtbot.keyClicks(panel.search, "00002")
    qtbot.keyClick(panel.search, Qt.Key.Key_Escape)
    assert panel.search.text() == ""
    assert len(names(panel)) == 3
    qtbot.keyClick(panel.search, Qt.Key.Key_Down)
    assert panel.view.hasFocus()
    assert current(panel) == "Model-00000-4bit"
    qtbot.keyClick(panel.view, Qt.Key.Key_Up)
    assert panel.search.hasFocus()


def test_key_hint_is_hidden_with_focus_or_text(qtbot: QtBot) -> None:
    panel, _ = open_panel(qtbot, make_models(1))
    hint = panel.search.findChild(QLabel, "keyHint")
    assert hint is not None
    panel.focus_list()
    qtbot.waitUntil(hint.isVisible)
    assert hint.text() in ("Ctrl F", "⌘F")
    panel.focus_search()
    assert not hint.isVisible()
    qtbot.keyClicks(panel.search, "m")
    panel.focus_list()
    assert not hint.isVisible()


def test_search_for_a_model_that_is_on_its_way_does_not_deny_it(qtbot: QtBot) -> None:
    models = make_models(3)
    download = Download(models[0].id, DownloadState.DOWNLOADING)
    panel, _ = open_panel(qtbot, models, downloads=(download,))
    qtbot.keyClicks(panel.search, models[0].name)
    assert f"No other model matches “{models[0].name}”" in shown_texts(panel)


def test_search_without_match_offers_to_clear(qtbot: QtBot) -> None:
    panel, _ = open_panel(qtbot, make_models(3))
    qtbot.keyClicks(panel.search, "xyz")
    assert "No model matches “xyz”" in shown_texts(panel)
    button = next(b for b in panel.findChildren(QPushButton) if b.text() == "Clear search")
    qtbot.mouseClick(button, LEFT)
    assert len(names(panel)) == 3
    assert panel.view.isVisible()


def test_search_that_hides_the_chosen_row_gives_it_back(qtbot: QtBot) -> None:
    panel, _ = open_panel(qtbot, make_models(200))
    panel.view.setCurrentIndex(index_of(panel, "Model-00100-4bit"))
    qtbot.keyClicks(panel.search, "00007")
    assert names(panel) == ["Model-00007-4bit"]
    panel.search.clear()
    assert current(panel) == "Model-00100-4bit"
    rect = panel.view.visualRect(panel.view.currentIndex())
    assert panel.view.viewport().rect().contains(rect.center())


# Order and empty states


def test_sort_orders_by_name_size_and_age(qtbot: QtBot) -> None:
    models = [
        make_model("Qwen3-30B", size_bytes=17, modified_at=1.0),
        make_model("Qwen3-8B", size_bytes=4, modified_at=3.0),
        make_model("llama-1B", size_bytes=1, modified_at=2.0),
    ]
    panel, _ = open_panel(qtbot, models)
    menu = panel.findChild(QPushButton, "modelsSort").menu()
    assert names(panel) == ["llama-1B", "Qwen3-8B", "Qwen3-30B"]
    choose(menu, "Sort by size")
    assert names(panel) == ["Qwen3-30B", "Qwen3-8B", "llama-1B"]
    choose(menu, "Sort by newest")
    assert names(panel) == ["Qwen3-8B", "llama-1B", "Qwen3-30B"]
    choose(menu, "Sort by name")
    assert names(panel)[0] == "llama-1B"


def test_header_counts_installed_models_without_the_demo(qtbot: QtBot) -> None:
    demo = make_model("Demo", source=ModelSource.DEMO, size_bytes=2_000_000)
    panel, mirror = open_panel(qtbot, [*make_models(3), demo])
    assert "3 installed · 13.8 GB" in shown_texts(panel)
    mirror.apply(Removed(3, "model", "mlx-community/Model-00000-4bit"))
    assert "2 installed · 9.2 GB" in shown_texts(panel)


def test_empty_library_says_what_to_do(qtbot: QtBot) -> None:
    panel, mirror = open_panel(qtbot, [])
    assert "No models yet" in shown_texts(panel)
    assert panel.search.isVisible()
    upsert(mirror, "model", make_model("First"))
    assert panel.view.isVisible()
    assert names(panel) == ["First"]


def test_panel_without_engine_says_that_it_connects(qtbot: QtBot) -> None:
    mirror = Mirror()
    panel = ModelsPanel(mirror)
    mirror.setParent(panel)
    qtbot.addWidget(panel)
    mirror.set_link(LinkState.LIVE)
    mirror.set_link(LinkState.CONNECTING, "Connecting to the engine…")
    panel.show()
    said = [text for text in shown_texts(panel) if "Connecting to the engine" in text]
    assert len(said) == 1
    fill(mirror, [])
    assert "No models yet" in shown_texts(panel)


# Downloads


def test_models_02_tile_is_hidden_while_its_download_lives(qtbot: QtBot) -> None:
    panel, mirror = open_panel(qtbot, make_models(3))
    hidden = "mlx-community/Model-00001-4bit"
    upsert(mirror, "download", Download(hidden, DownloadState.DOWNLOADING, 10, 1))
    assert "Model-00001-4bit" not in names(panel)
    panel.search.setText("00001")
    assert names(panel) == []
    panel.search.clear()
    mirror.apply(Removed(4, "download", hidden))
    assert len(names(panel)) == 3


def test_models_03_tiles_paint_no_progress_bar(qtbot: QtBot, mode: str) -> None:
    demo = make_model("Demo", source=ModelSource.DEMO)
    broken = make_model("Broken", problem="A file is missing.")
    panel, _ = open_panel(qtbot, [*make_models(3), demo, broken])
    assert panel.findChildren(QProgressBar) == []
    picture = panel.view.viewport().grab().toImage()
    bar = {QColor(theme().tokens.fill).rgb(), QColor(theme().tokens.track).rgb()}
    for row in range(5):
        rect = panel.view.visualRect(panel.view.model().index(row, 0))
        for y in range(rect.top() + 2, rect.top() + 82):
            run = longest = 0
            for x in range(30, rect.right() - 30):
                run = run + 1 if picture.pixelColor(x, y).rgb() in bar else 0
                longest = max(longest, run)
            # Chips are the only bars of these colours; the widest here is 60 pixels.
            assert longest < 80, f"row {row}, line {y}"


# Staying in place


def test_no_update_ever_resets_the_models(qtbot: QtBot) -> None:
    panel, mirror = open_panel(qtbot, make_models(50))
    proxy = panel.view.model()
    resets: list[str] = []
    for model in (proxy, proxy.sourceModel()):  # type: ignore[attr-defined]
        model.modelReset.connect(lambda: resets.append("reset"))
    upsert(mirror, "model", make_model("New"))
    upsert(mirror, "model", make_model("Model-00003-4bit", size_bytes=1))
    mirror.apply(Removed(5, "model", "mlx-community/Model-00004-4bit"))
    upsert(mirror, "server", server_for("Model-00005-4bit", ServerState.READY))
    panel.search.setText("model")
    panel.search.clear()
    choose(panel.findChild(QPushButton, "modelsSort").menu(), "Sort by size")
    fill(mirror, make_models(20))
    assert resets == []
    assert len(names(panel)) == 20


def test_selection_and_scroll_survive_updates(qtbot: QtBot) -> None:
    panel, mirror = open_panel(qtbot, make_models(200))
    panel.focus_list()
    panel.view.setCurrentIndex(index_of(panel, "Model-00100-4bit"))
    panel.view.verticalScrollBar().setValue(98 * 92 + 17)
    place = panel.view.visualRect(panel.view.currentIndex()).top()

    def check() -> None:
        panel.view.grab()
        assert current(panel) == "Model-00100-4bit"
        assert panel.view.visualRect(panel.view.currentIndex()).top() == place
        assert panel.view.hasFocus()

    upsert(mirror, "model", make_model("A-first"))
    upsert(mirror, "model", make_model("A-second"))
    check()
    mirror.apply(Removed(3, "model", "mlx-community/Model-00002-4bit"))
    check()
    # The first visible row goes; the others stay where they are.
    mirror.apply(Removed(3, "model", "mlx-community/Model-00150-4bit"))
    upsert(mirror, "model", make_model("Model-00099-4bit", size_bytes=1))
    upsert(mirror, "model", make_model("Model-00100-4bit", problem="Broken now."))
    upsert(mirror, "server", server_for("Model-00101-4bit", ServerState.READY))
    check()
    fill(mirror, make_models(150))
    check()


def test_new_first_row_is_seen_when_the_list_is_at_its_start(qtbot: QtBot) -> None:
    panel, mirror = open_panel(qtbot, make_models(50))
    upsert(mirror, "model", make_model("A-first"))
    panel.view.grab()
    assert panel.view.indexAt(QPoint(50, 5)).data() == "A-first"


class PaintWatch(QObject):
    """Collects what a widget is asked to paint."""

    def __init__(self, widget: QWidget) -> None:
        super().__init__(widget)
        self.region = QRegion()
        widget.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's
        if isinstance(event, QPaintEvent):
            self.region = self.region.united(event.region())
        return False


def test_changed_row_repaints_only_itself(qtbot: QtBot) -> None:
    panel, mirror = open_panel(qtbot, make_models(100))
    panel.search.clearFocus()
    qtbot.waitUntil(lambda: not panel.view.viewport().visibleRegion().isEmpty())
    panel.view.grab()
    QApplication.processEvents()
    watch = PaintWatch(panel.view.viewport())
    upsert(mirror, "model", make_model("Model-00090-4bit", size_bytes=1))
    upsert(mirror, "server", server_for("Model-00001-4bit", ServerState.READY))
    qtbot.waitUntil(lambda: not watch.region.isEmpty())
    row = panel.view.visualRect(index_of(panel, "Model-00001-4bit"))
    assert watch.region.boundingRect() == row


# Run


def server_for(name: str, state: ServerState) -> Server:
    return Server(f"p-{name}", "Profile", f"mlx-community/{name}", state, 0.0)


def test_click_on_run_asks_to_run_that_model(qtbot: QtBot) -> None:
    panel, _ = open_panel(qtbot, make_models(5))
    index = index_of(panel, "Model-00002-4bit")
    with qtbot.waitSignal(panel.run_requested) as asked:
        qtbot.mouseClick(panel.view.viewport(), LEFT, pos=run_button(panel, index))
    assert asked.args == ["mlx-community/Model-00002-4bit"]


def test_click_beside_run_only_selects(qtbot: QtBot) -> None:
    panel, _ = open_panel(qtbot, make_models(5))
    index = index_of(panel, "Model-00002-4bit")
    beside = run_button(panel, index) - QPoint(60, 0)
    with qtbot.assertNotEmitted(panel.run_requested):
        qtbot.mouseClick(panel.view.viewport(), LEFT, pos=beside)
    assert current(panel) == "Model-00002-4bit"


def test_run_pressed_and_released_elsewhere_does_nothing(qtbot: QtBot) -> None:
    panel, _ = open_panel(qtbot, make_models(5))
    button = run_button(panel, index_of(panel, "Model-00002-4bit"))
    port = panel.view.viewport()
    with qtbot.assertNotEmitted(panel.run_requested):
        qtbot.mousePress(port, LEFT, pos=button)
        qtbot.mouseRelease(port, LEFT, pos=button + QPoint(0, 92))


def test_double_click_inspects_on_the_tile_and_runs_once_on_its_button(qtbot: QtBot) -> None:
    panel, _ = open_panel(qtbot, make_models(5))
    asked: list[str] = []
    panel.run_requested.connect(lambda i: asked.append(f"run {i}"))
    panel.inspect_requested.connect(lambda i: asked.append(f"inspect {i}"))
    index, port = index_of(panel, "Model-00001-4bit"), panel.view.viewport()
    places = {"inspect": panel.view.visualRect(index).center(), "run": run_button(panel, index)}
    for wish, place in places.items():
        asked.clear()
        qtbot.mouseClick(port, LEFT, pos=place)
        qtbot.mouseDClick(port, LEFT, pos=place)
        assert asked == [f"{wish} mlx-community/Model-00001-4bit"]


@pytest.mark.parametrize("key", [Qt.Key.Key_Return, Qt.Key.Key_Enter])
def test_enter_inspects_the_current_model_and_runs_nothing(qtbot: QtBot, key: Qt.Key) -> None:
    panel, _ = open_panel(qtbot, make_models(5))
    panel.view.setCurrentIndex(index_of(panel, "Model-00003-4bit"))
    with (
        qtbot.assertNotEmitted(panel.run_requested),
        qtbot.waitSignal(panel.inspect_requested) as asked,
    ):
        qtbot.keyClick(panel.view, key)
    assert asked.args == ["mlx-community/Model-00003-4bit"]


def test_space_and_click_only_select(qtbot: QtBot) -> None:
    panel, _ = open_panel(qtbot, make_models(5))
    asked: list[str] = []
    for signal in (panel.run_requested, panel.inspect_requested):
        signal.connect(asked.append)
    place = panel.view.visualRect(index_of(panel, "Model-00002-4bit")).center()
    qtbot.mouseClick(panel.view.viewport(), LEFT, pos=place)
    qtbot.keyClick(panel.view, Qt.Key.Key_Space)
    assert current(panel) == "Model-00002-4bit"
    assert asked == []


@pytest.mark.parametrize(
    "state",
    [ServerState.STARTING, ServerState.READY, ServerState.STALLED, ServerState.BACKING_OFF],
)
def test_model_in_use_offers_no_second_run(qtbot: QtBot, state: ServerState) -> None:
    panel, mirror = open_panel(qtbot, make_models(3))
    index = index_of(panel, "Model-00001-4bit")
    place = run_button(panel, index)
    upsert(mirror, "server", server_for("Model-00001-4bit", state))
    assert index.data(Role.ACTIVITY) == state
    with qtbot.assertNotEmitted(panel.run_requested):
        qtbot.mouseClick(panel.view.viewport(), LEFT, pos=place)
    mirror.apply(Removed(3, "server", "p-Model-00001-4bit"))
    with qtbot.waitSignal(panel.run_requested):
        qtbot.mouseClick(panel.view.viewport(), LEFT, pos=place)


@pytest.mark.parametrize(
    ("states", "words"),
    [
        ((ServerState.BUSY,), "running"),
        ((ServerState.STALLED,), "stalled"),
        ((ServerState.BACKING_OFF,), "starting again"),
        ((ServerState.READY, ServerState.STALLED), "stalled"),
        ((ServerState.BACKING_OFF, ServerState.READY), "running"),
    ],
)
def test_model_tells_what_its_servers_do_trouble_first(
    qtbot: QtBot, states: tuple[ServerState, ...], words: str
) -> None:
    panel, mirror = open_panel(qtbot, make_models(3))
    index = index_of(panel, "Model-00001-4bit")
    for number, state in enumerate(states):
        item = msgspec.structs.replace(server_for("Model-00001-4bit", state), id=f"s{number}")
        upsert(mirror, "server", item)
    spoken = index.data(Qt.ItemDataRole.AccessibleTextRole)
    assert spoken.split(", ")[-1] == words


def test_models_of_a_lost_engine_cannot_be_run_until_it_is_back(qtbot: QtBot) -> None:
    panel, mirror = open_panel(qtbot, make_models(3))
    index = index_of(panel, "Model-00001-4bit")
    panel.view.setCurrentIndex(index)
    before = panel.view.viewport().grab().toImage()
    mirror.set_link(LinkState.STALE, "No engine listens.", 1.0)
    assert panel.view.viewport().grab().toImage() != before
    with qtbot.assertNotEmitted(panel.run_requested):
        qtbot.mouseClick(panel.view.viewport(), LEFT, pos=run_button(panel, index))
    run = next(a for a in open_menu(panel, index).actions() if a.text() == "Run")
    assert not run.isEnabled()
    mirror.set_link(LinkState.LIVE)
    with qtbot.waitSignal(panel.run_requested):
        qtbot.mouseClick(panel.view.viewport(), LEFT, pos=run_button(panel, index))


def test_broken_model_cannot_be_run_and_says_why(qtbot: QtBot) -> None:
    healthy, _ = open_panel(qtbot, make_models(1))
    place = run_button(healthy, healthy.view.model().index(0, 0))
    panel, _ = open_panel(qtbot, [make_model("Broken", problem="A file is missing.")])
    index = index_of(panel, "Broken")
    with qtbot.assertNotEmitted(panel.run_requested):
        qtbot.mouseClick(panel.view.viewport(), LEFT, pos=place)
        qtbot.mouseDClick(panel.view.viewport(), LEFT, pos=place)
    assert "A file is missing." in index.data(Qt.ItemDataRole.ToolTipRole)
    assert "cannot run: A file is missing." in index.data(Qt.ItemDataRole.AccessibleTextRole)


def test_dragged_row_carries_the_id_of_its_model(qtbot: QtBot) -> None:
    panel, _ = open_panel(qtbot, [*make_models(2), make_model("Broken", problem="No.")])
    index = index_of(panel, "Model-00001-4bit")
    data = panel.view.model().mimeData([index])
    assert bytes(data.data(MIME).data()) == b"mlx-community/Model-00001-4bit"
    assert index.flags() & Qt.ItemFlag.ItemIsDragEnabled
    assert not index_of(panel, "Broken").flags() & Qt.ItemFlag.ItemIsDragEnabled
    assert panel.view.dragEnabled()


def test_pointer_becomes_a_hand_on_run_only(qtbot: QtBot) -> None:
    panel, _ = open_panel(qtbot, make_models(5))
    view, button = panel.view, run_button(panel, index_of(panel, "Model-00001-4bit"))
    hand, arrow = Qt.CursorShape.PointingHandCursor, Qt.CursorShape.ArrowCursor
    move_pointer(view, button)
    assert view.viewport().cursor().shape() == hand
    move_pointer(view, button - QPoint(100, 0))
    assert view.viewport().cursor().shape() == arrow
    move_pointer(view, button)
    view.viewportEvent(QEvent(QEvent.Type.Leave))
    assert view.viewport().cursor().shape() == arrow


def test_run_button_keeps_its_place_when_the_scroll_bar_comes(qtbot: QtBot) -> None:
    panel, mirror = open_panel(qtbot, make_models(3))
    before = run_button(panel, panel.view.model().index(0, 0))
    fill(mirror, make_models(60))
    panel.view.grab()
    assert panel.view.verticalScrollBar().isVisible()
    assert run_button(panel, panel.view.model().index(0, 0)) == before


# Menu


def test_context_menu_asks_for_each_action(qtbot: QtBot) -> None:
    panel, mirror = open_panel(qtbot, make_models(3), capabilities=("local_disk",))
    reveal = {"Reveal in folder", "Reveal in Finder"}
    index = index_of(panel, "Model-00001-4bit")
    signals = {
        "Run": panel.run_requested,
        "New profile…": panel.new_profile_requested,
        "Inspect": panel.inspect_requested,
        "Copy id": panel.copy_id_requested,
        "Open on Hugging Face": panel.open_page_requested,
    }
    for text, signal in signals.items():
        menu = open_menu(panel, index)
        with qtbot.waitSignal(signal) as asked:
            choose(menu, text)
        assert asked.args == ["mlx-community/Model-00001-4bit"]
        menu.close()
    menu = open_menu(panel, index)
    # The rows change under the open menu; it still means the model that it was opened on.
    upsert(mirror, "model", make_model("A-first"))
    with qtbot.waitSignal(panel.reveal_requested) as asked:
        choose(menu, next(a.text() for a in menu.actions() if a.text() in reveal))
    assert asked.args == ["mlx-community/Model-00001-4bit"]
    menu.close()


@pytest.mark.parametrize(("source", "offers"), [("folder", True), ("demo", False)])
def test_menu_offers_to_delete_what_is_not_part_of_the_app(
    qtbot: QtBot, source: str, offers: bool
) -> None:
    model = msgspec.structs.replace(make_model("Mine"), source=ModelSource(source))
    panel, _ = open_panel(qtbot, [model])
    menu = open_menu(panel, index_of(panel, "Mine"))
    assert ("Delete…" in [action.text() for action in menu.actions()]) is offers
    menu.close()


def test_menu_key_opens_the_menu_of_the_current_row_without_reveal(qtbot: QtBot) -> None:
    panel, _ = open_panel(qtbot, make_models(3))
    panel.view.setCurrentIndex(index_of(panel, "Model-00002-4bit"))
    menu = open_menu(panel, index_of(panel, "Model-00000-4bit"), by_key=True)
    texts = [action.text() for action in menu.actions() if action.text()]
    assert texts == [
        "Run", "New profile…", "Inspect", "Copy id", "Open on Hugging Face", "Delete…"
    ]  # fmt: skip
    with qtbot.waitSignal(panel.copy_id_requested) as asked:
        choose(menu, "Copy id")
    assert asked.args == ["mlx-community/Model-00002-4bit"]
    menu.close()


# What rows say


def test_rows_speak_full_sentences(qtbot: QtBot) -> None:
    models = [
        make_model("Qwen3-8B-4bit"),
        make_model("Demo", source=ModelSource.DEMO, size_bytes=2_100_000, quantization=None),
    ]
    panel, mirror = open_panel(qtbot, models)
    role = Qt.ItemDataRole.AccessibleTextRole
    index = index_of(panel, "Qwen3-8B-4bit")
    assert index.data(role) == "Qwen3 8B, 4 bit, 4.6 gigabytes, installed"
    assert index_of(panel, "Demo").data(role) == "Demo, 2.1 megabytes, demo model"
    upsert(mirror, "server", server_for("Qwen3-8B-4bit", ServerState.READY))
    assert index.data(role) == "Qwen3 8B, 4 bit, 4.6 gigabytes, installed, running"


def test_tool_tip_shows_name_and_path_as_plain_characters(qtbot: QtBot) -> None:
    panel, _ = open_panel(qtbot, [make_model("a<b>c", path="/models/<i>x</i>")])
    tip = panel.view.model().index(0, 0).data(Qt.ItemDataRole.ToolTipRole)
    assert "a&lt;b&gt;c" in tip
    assert "/models/&lt;i&gt;x&lt;/i&gt;" in tip
    place = QPoint(60, 20)
    event = QHelpEvent(QEvent.Type.ToolTip, place, panel.view.viewport().mapToGlobal(place))
    panel.view.viewportEvent(event)


def test_models_keep_the_rules_of_qt_through_changes(qtbot: QtBot) -> None:
    panel, mirror = open_panel(qtbot, make_models(20))
    proxy = panel.view.model()
    fatal = QAbstractItemModelTester.FailureReportingMode.Fatal
    testers = [
        QAbstractItemModelTester(model, fatal, panel)
        for model in (proxy.sourceModel(), proxy)  # type: ignore[attr-defined]
    ]
    fill(mirror, [*make_models(30)[5:], make_model("Zebra")])
    panel.search.setText("1")
    panel.search.clear()
    for order in SortOrder:
        proxy.sourceModel().set_order(order)  # type: ignore[attr-defined]
    fill(mirror, [])
    assert len(testers) == 2
    assert names(panel) == []


@pytest.mark.parametrize("width", [300, 400, 520])
def test_tiles_paint_every_kind_of_model_in_both_themes(
    qtbot: QtBot, mode: str, width: int
) -> None:
    models = [
        make_model("x" * 200, author="y" * 200, tags=("vision", "tools", "embedding")),
        make_model("Bare", author="", quantization=None, parameters=None, family=None),
        make_model("Broken", problem="z" * 300),
        make_model("Demo", source=ModelSource.DEMO),
        make_model("Busy"),
        make_model("Starts"),
    ]
    servers = (server_for("Busy", ServerState.READY), server_for("Starts", ServerState.STARTING))
    panel, _ = open_panel(qtbot, models, servers=servers)
    panel.resize(width, 700)
    panel.search.setText("mlx")
    panel.view.setCurrentIndex(panel.view.model().index(1, 0))
    picture = panel.grab().toImage()
    side = QColor(theme().tokens.side).rgb()
    # Nothing is painted over the right margin of the tiles.
    ratio = picture.devicePixelRatio()
    edge = round((panel.width() - 12) * ratio)
    start = round((panel.view.mapTo(panel, QPoint()).y() + 4) * ratio)
    assert {picture.pixelColor(edge, y).rgb() for y in range(start, picture.height())} == {side}
