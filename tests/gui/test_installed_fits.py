"""The verdicts of models on this disk: counted by the panel, measured where no formula is."""

import time

import msgspec
from hub_kit import GIB, HandHub, index_of, installed, open_browser
from patience import DEADLINE_MS
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from app.gui.inspector.model.memory import MemorySection
from app.gui.mirror import LinkState, Mirror
from app.gui.models.facets import Facets
from app.gui.models.model_list import Role
from app.gui.panels.models_panel import ModelsPanel
from app.wire.errors import AppError, ErrorCode
from app.wire.events import MachineSample, Samples, Upsert
from app.wire.hub import Fit, Verdict
from app.wire.nouns import Model, Server, ServerState
from app.wire.shape import CachePart, CacheShape, ModelShape


def shaped(name: str, weights_gib: float, *, cache: bool = True) -> Model:
    size = int(weights_gib * GIB)
    shape = ModelShape(size, CacheShape((CachePart(2**17),)) if cache else None, 32_768)
    return msgspec.structs.replace(installed(name, size), shape=shape)


def serve(mirror: Mirror, model: Model, held_gib: float) -> None:
    now = time.time()
    server = Server("s", "S", model.id, ServerState.READY, now, started_at=now)
    mirror.apply(Upsert(2, "server", msgspec.Raw(msgspec.json.encode(server))))
    values = {"s": {"memory_bytes": held_gib * GIB}}
    mirror.apply(Samples(3, now, MachineSample(32 * GIB, 8 * GIB), values))


def verdict(panel: ModelsPanel, name: str) -> Verdict | None:
    fit = index_of(panel, name).data(Role.FIT)
    return fit.verdict if fit is not None else None


def said(panel: ModelsPanel, name: str, role: Qt.ItemDataRole) -> str:
    return index_of(panel, name).data(role)


def test_row_of_an_installed_model_tells_whether_it_fits(qtbot: QtBot) -> None:
    panel, _, _ = open_browser(qtbot, shaped("Small", 4), shaped("Snug", 15), shaped("Huge", 40))
    found = {name: verdict(panel, name) for name in ("Small", "Snug", "Huge")}
    assert found == {
        "Small": Verdict.FITS, "Snug": Verdict.TIGHT, "Huge": Verdict.TOO_BIG,
    }  # fmt: skip
    assert ", too big" in said(panel, "Huge", Qt.ItemDataRole.AccessibleTextRole)
    tip = said(panel, "Small", Qt.ItemDataRole.ToolTipRole)
    assert "Fits: weights 4.0 + cache at 32k 4.0 + runtime 0.8 = 8.8 of 24.0 GB" in tip


def test_model_that_cannot_run_has_no_verdict(qtbot: QtBot) -> None:
    broken = msgspec.structs.replace(shaped("Broken", 4), problem="It has no tokenizer.")
    panel, _, _ = open_browser(qtbot, broken)
    assert verdict(panel, "Broken") is None


def test_running_server_changes_the_verdicts_of_the_others_only(qtbot: QtBot) -> None:
    small, large = shaped("Small", 4), shaped("Large", 10)
    panel, mirror, _ = open_browser(qtbot, small, large)
    assert verdict(panel, "Small") is Verdict.FITS
    serve(mirror, large, 17)
    assert verdict(panel, "Small") is Verdict.TOO_BIG
    assert verdict(panel, "Large") is Verdict.FITS
    assert "without the running servers it fits" in said(
        panel, "Small", Qt.ItemDataRole.ToolTipRole
    )


def test_verdict_that_changes_is_painted_without_a_move(qtbot: QtBot) -> None:
    models = [shaped(f"Model-{n:02}", 4) for n in range(20)]
    panel, mirror, _ = open_browser(qtbot, *models)
    before = panel.view.grab().toImage()
    serve(mirror, shaped("Elsewhere", 4), 17)
    assert panel.view.grab().toImage() != before
    assert panel.view.verticalScrollBar().value() == 0


def test_budget_of_the_settings_is_the_limit_of_every_surface(qtbot: QtBot) -> None:
    model = shaped("Small", 4)
    panel, mirror, _ = open_browser(qtbot, model)
    page = MemorySection(mirror, model.id)
    qtbot.addWidget(page)
    assert model.shape is not None
    page.show_shape(model.shape, None)
    assert mirror.engine is not None
    engine = msgspec.structs.replace(mirror.engine, memory_limit_bytes=8 * GIB)
    mirror.apply(Upsert(2, "engine", msgspec.Raw(msgspec.json.encode(engine))))
    page.refresh()
    assert verdict(panel, "Small") is Verdict.TOO_BIG
    sentence = index_of(panel, "Small").data(Role.FIT).sentence
    assert page.sentence.accessibleName().lower() == sentence.lower()
    assert "of 8.0 GB" in sentence


def test_filter_keeps_what_fits_with_its_cache(qtbot: QtBot) -> None:
    model = shaped("Long", 18)
    assert not Facets(fits=True).accept(model, limit_bytes=22 * GIB)
    assert Facets(fits=True).accept(model, limit_bytes=24 * GIB)


def measured(hub: HandHub, at: int, each: int) -> None:
    shape = ModelShape(4 * GIB, CacheShape((CachePart(each),), is_measured=True), 32_768)
    hub.measures[at].answer(Fit(Verdict.FITS, "", 32_768, shape=shape))


def test_model_without_a_formula_is_measured_once_when_it_is_in_view(qtbot: QtBot) -> None:
    odd = [shaped(f"Odd-{n:03}", 4, cache=False) for n in range(100)]
    panel, _, hub = open_browser(qtbot, shaped("Known", 4), *odd)
    qtbot.waitUntil(lambda: len(hub.measures) == 1, timeout=DEADLINE_MS)
    assert hub.measures[0].id.endswith("/Odd-000")
    assert verdict(panel, "Odd-000") is Verdict.UNKNOWN
    measured(hub, 0, 2**17)
    assert verdict(panel, "Odd-000") is Verdict.FITS
    for number in range(1, 60):
        if len(hub.measures) == number:
            break
        hub.measures[number].refuse(AppError("No.", code=ErrorCode.HUB_FAILED))
    # Those in view, each once, and none below.
    asked = [m.id for m in hub.measures]
    assert len(set(asked)) == len(asked) < 12


def test_measure_is_asked_for_again_when_the_engine_is_back(qtbot: QtBot) -> None:
    panel, mirror, hub = open_browser(qtbot, shaped("Odd", 4, cache=False))
    qtbot.waitUntil(lambda: len(hub.measures) == 1, timeout=DEADLINE_MS)
    mirror.set_link(LinkState.STALE, "No engine listens.", time.time())
    hub.measures[0].refuse(AppError("Gone.", code=ErrorCode.ENGINE_GONE))
    assert verdict(panel, "Odd") is Verdict.UNKNOWN
    mirror.set_link(LinkState.LIVE)
    qtbot.waitUntil(lambda: len(hub.measures) == 2, timeout=DEADLINE_MS)
    measured(hub, 1, 2**17)
    assert verdict(panel, "Odd") is Verdict.FITS
