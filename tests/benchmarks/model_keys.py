"""Driver: types into the search of a models panel with many rows and prints what it cost."""

import json
import statistics
import sys
import time

import msgspec
from PySide6.QtCore import QEvent, QObject
from PySide6.QtGui import QPaintEvent
from PySide6.QtWidgets import QApplication

from app.gui.main import make_application
from app.gui.mirror import LinkState, Mirror
from app.gui.models.model_filter import Segment
from app.gui.panels.hub_results import HubCalls
from app.gui.panels.models_panel import ModelsPanel
from app.wire.events import Snapshot
from app.wire.hub import Fit, HubModel, HubPage, Verdict
from app.wire.nouns import Download, DownloadState, EngineInfo, Machine, Model, ModelSource
from app.wire.shape import ModelShape

WORDS = "qwen3-4b"
ROUNDS = 5
FAMILIES = ("Qwen3", "Llama-3.2", "gemma-3", "Mistral", "DeepSeek-V3", "GLM-4.5", "gpt-oss", "Phi")


class Paints(QObject):
    """Counts paints and the height that they cover."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self.height = 0

    def eventFilter(self, _watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's
        if isinstance(event, QPaintEvent):
            self.count += 1
            self.height = event.rect().height()
        return False


def main() -> None:
    count, place = int(sys.argv[1]), sys.argv[2]
    segment = Segment.HUB if place == "hub" else Segment.INSTALLED
    app = make_application()
    mirror = Mirror()
    page = HubPage(tuple(_hub(n) for n in range(count)))
    calls = HubCalls(lambda _query, good, _bad: good(page), lambda *_: None, lambda *_: None)
    panel = ModelsPanel(mirror, calls)
    mirror.set_link(LinkState.LIVE)
    # Beside thousands of rows of the hub, as many models as a disk holds.
    mirror.apply(_snapshot(count if segment is Segment.INSTALLED else 20))
    panel.resize(400, 860)
    paints = Paints()
    panel.view.viewport().installEventFilter(paints)
    panel.show()
    panel.show_segment(segment)
    begin = time.process_time()
    app.processEvents()
    first_ms = (time.process_time() - begin) * 1e3
    _check(panel, count)
    paints.count = 0
    keys, filters = _keys(app, panel)
    painted = paints.count
    _check(panel, count)
    progress_ms = _progress(app, mirror)
    change_ms, height = _changes(app, panel, paints)
    _check(panel, count)
    found = {
        "keys": len(keys),
        "paints": painted,
        "key_ms": statistics.median(keys),
        "worst_ms": max(keys),
        "filter_ms": statistics.median(filters),
        "change_ms": change_ms,
        "progress_ms": progress_ms,
        "change_rows": height / 92,
        "first_ms": first_ms,
    }
    print(json.dumps(found))


def _check(panel: ModelsPanel, count: int) -> None:
    listed = panel.view.model().rowCount()
    assert listed == count, f"{listed} rows are listed, so {count} were not measured"


def _keys(app: QApplication, panel: ModelsPanel) -> tuple[list[float], list[float]]:
    """Return the CPU of each key until its list is painted, and the filter's share of it."""
    keys: list[float] = []
    filters: list[float] = []
    for _ in range(ROUNDS):
        texts = [WORDS[:n] for n in range(1, len(WORDS) + 1)]
        for text in [*texts, *reversed(texts[:-1]), ""]:
            begin = time.process_time()
            panel.search.setText(text)
            middle = time.process_time()
            app.processEvents()
            keys.append((time.process_time() - begin) * 1e3)
            filters.append((middle - begin) * 1e3)
    return keys, filters


def _changes(app: QApplication, panel: ModelsPanel, paints: Paints) -> tuple[float, float]:
    """Return the CPU of what a look at a hub row's details changes, with its paint."""
    panel.show_segment(Segment.HUB)
    app.processEvents()
    models = list(panel.browse.results.models.values())[:4]
    costs: list[float] = []
    for number in range(200):
        model = models[number % len(models)]
        size = 10**9 + number * 10**8
        fit = Fit(Verdict.FITS, f"weights {number}", 32_768)
        known = msgspec.structs.replace(model, size_bytes=size, shape=ModelShape(size), fit=fit)
        begin = time.process_time()
        panel.browse._lookups.found.emit(known)
        app.processEvents()
        costs.append((time.process_time() - begin) * 1e3)
    return statistics.median(costs), paints.height


def _progress(app: QApplication, mirror: Mirror) -> float:
    """Return the CPU of one progress of a download while the list has all its rows."""
    costs: list[float] = []
    for number in range(200):
        one = Download(
            "mlx-community/New", DownloadState.DOWNLOADING, 10**10, 10**6 * number, added_at=1.0
        )
        mirror.downloads = {one.id: one}
        begin = time.process_time()
        mirror.downloads_changed.emit()
        app.processEvents()
        if number > 2:
            costs.append((time.process_time() - begin) * 1e3)
    return statistics.median(costs)


def _hub(number: int) -> HubModel:
    name = f"{FAMILIES[number % 8]}-{number % 70}B-h{number}-{(4, 8, 6)[number % 3]}bit"
    return HubModel(
        f"mlx-community/{name}", "mlx-community", name, likes=number, downloads=1000 * number,
        quantization="4-bit", parameters=8 * 10**9, family="qwen3", supported=True,
    )  # fmt: skip


def _snapshot(count: int) -> Snapshot:
    engine = EngineInfo(
        version="1", api_version=1, pid=1, url="", gateway_url="", gateway_note="", started_at=0,
        home="", log="", key_required=False, open_bind=False,
        machine=Machine("Mac", "M4", 2**36), runtimes=(),
    )  # fmt: skip
    models: list[Model] = []
    for number in range(count):
        name = f"{FAMILIES[number % 8]}-{number % 70}B-r{number}-{(4, 8, 6)[number % 3]}bit"
        models.append(
            Model(
                f"mlx-community/{name}",
                name,
                "mlx-community",
                ModelSource.HUB,
                f"/m/{name}",
                4_600_000_000,
                quantization="4-bit",
                parameters=8 * 10**9,
                family="qwen3",
            )
        )  # fmt: skip
    return Snapshot(1, engine, (), (), tuple(models), ())


if __name__ == "__main__":
    main()
