"""A models panel with a hub that the test answers by hand."""

from collections.abc import Callable
from dataclasses import dataclass, field

from patience import DEADLINE_MS
from PySide6.QtCore import QModelIndex, QPoint
from PySide6.QtWidgets import QLabel, QStyleOptionViewItem
from pytestqt.qtbot import QtBot

from app.gui.delegates.model_tile import ModelTile
from app.gui.main import make_application
from app.gui.mirror import LinkState, Mirror
from app.gui.models.model_filter import Segment
from app.gui.models.model_list import Role
from app.gui.models.model_rows import Row, RowKind
from app.gui.panels.hub_results import HubCalls
from app.gui.panels.models_panel import ModelsPanel
from app.wire.errors import AppError
from app.wire.events import Snapshot
from app.wire.hub import Fit, HubDetails, HubModel, HubPage, HubQuery, Verdict
from app.wire.nouns import EngineInfo, Machine, Model, ModelSource
from app.wire.shape import ModelShape

GIB = 2**30


@dataclass
class Question:
    query: HubQuery
    answer: Callable[[HubPage], object]
    refuse: Callable[[AppError], object]


@dataclass
class Lookup:
    id: str
    answer: Callable[[HubDetails], object]
    refuse: Callable[[AppError], object]


@dataclass
class Measure:
    id: str
    answer: Callable[[Fit], object]
    refuse: Callable[[AppError], object]


@dataclass
class HandHub:
    """Records what it is asked; nothing is answered by itself."""

    questions: list[Question] = field(default_factory=list)
    lookups: list[Lookup] = field(default_factory=list)
    measures: list[Measure] = field(default_factory=list)

    @property
    def calls(self) -> HubCalls:
        return HubCalls(
            lambda query, good, bad: self.questions.append(Question(query, good, bad)),
            lambda model_id, good, bad: self.lookups.append(Lookup(model_id, good, bad)),
            lambda model_id, good, bad: self.measures.append(Measure(model_id, good, bad)),
        )

    @property
    def last(self) -> HubQuery:
        return self.questions[-1].query

    def answer(
        self, *models: HubModel, at: int = -1, cursor: str | None = None, notice: str = ""
    ) -> None:
        self.questions[at].answer(HubPage(models, cursor, notice))

    def refuse(self, error: AppError, *, at: int = -1) -> None:
        self.questions[at].refuse(error)


def hub_model(name: str, **fields: object) -> HubModel:
    known: dict[str, object] = {
        "likes": 321, "downloads": 120_000, "quantization": "4-bit", "family": "qwen3",
        "supported": True, "licence": "apache-2.0", "updated_at": 1.0, **fields,
    }  # fmt: skip
    return HubModel(f"mlx-community/{name}", "mlx-community", name, **known)  # type: ignore[arg-type]


def hub_models(count: int, start: int = 0, **fields: object) -> list[HubModel]:
    return [hub_model(f"Hub-{n:05}-4bit", **fields) for n in range(start, start + count)]


def looked_up(model: HubModel, *, size: int = 4_600_000_000, verdict: Verdict = Verdict.FITS) -> dict[str, object]:  # noqa: E501 # fmt: skip
    """Return the fields that a look at the details adds."""
    fit = Fit(verdict, f"weights 4.3 + runtime 0.9 = 5.2 of 24.0 GB for {model.name}", 32_768)
    return {"size_bytes": size, "shape": ModelShape(size), "fit": fit}


def installed(name: str, size: int = 4_600_000_000) -> Model:
    return Model(
        f"mlx-community/{name}", name, "mlx-community", ModelSource.HUB, f"/m/{name}", size,
        quantization="4-bit", family="qwen3",
    )  # fmt: skip


def snapshot(*models: Model) -> Snapshot:
    engine = EngineInfo(
        version="1", api_version=1, pid=1, url="", gateway_url="", gateway_note="", started_at=0,
        home="", log="", key_required=False, open_bind=False,
        machine=Machine("Mac", "M4", 32 * GIB, 24 * GIB), runtimes=(), capabilities=(),
    )  # fmt: skip
    return Snapshot(1, engine, (), (), tuple(models), ())


def open_browser(
    qtbot: QtBot, *models: Model, width: int = 400
) -> tuple[ModelsPanel, Mirror, HandHub]:
    make_application()
    mirror, hub = Mirror(), HandHub()
    panel = ModelsPanel(mirror, hub.calls)
    mirror.setParent(panel)
    mirror.set_link(LinkState.LIVE)
    mirror.apply(snapshot(*models))
    qtbot.addWidget(panel)
    panel.resize(width, 800)
    with qtbot.waitExposed(panel):
        panel.show()
    panel.activateWindow()
    return panel, mirror, hub


def search(qtbot: QtBot, panel: ModelsPanel, hub: HandHub, text: str) -> None:
    """Type, and let the pause pass."""
    count = len(hub.questions)
    panel.search.setText(text)
    qtbot.waitUntil(lambda: len(hub.questions) > count, timeout=DEADLINE_MS)


def browse(panel: ModelsPanel) -> None:
    panel.show_segment(Segment.HUB)


def rows(panel: ModelsPanel) -> list[Row]:
    model = panel.view.model()
    return [model.index(n, 0).data(Role.ROW) for n in range(model.rowCount())]


def ids(panel: ModelsPanel) -> list[str]:
    return [row.id.rpartition("/")[2] for row in rows(panel) if row.id]


def texts_of(panel: ModelsPanel, kind: RowKind) -> str:
    return " ".join(
        f"{row.item.title} {row.item.text}" for row in rows(panel) if row.kind is kind  # type: ignore[union-attr]
    )  # fmt: skip


def said(panel: ModelsPanel) -> list[str]:
    return [label.text() for label in panel.findChildren(QLabel) if label.isVisible()]


def index_of(panel: ModelsPanel, name: str) -> QModelIndex:
    places = [n for n, row in enumerate(rows(panel)) if row.id.endswith(f"/{name}")]
    assert len(places) == 1, f"{name} is listed {len(places)} times"
    return panel.view.model().index(places[0], 0)


def button_of(panel: ModelsPanel, index: QModelIndex) -> QPoint:
    tile = panel.view.itemDelegate()
    assert isinstance(tile, ModelTile)
    option = QStyleOptionViewItem()
    panel.view.initViewItemOption(option)
    option.rect = panel.view.visualRect(index)  # type: ignore[attr-defined]
    return tile.button_rect(option, index).center().toPoint()
