"""The hub in the real window: the stand-in over HTTP, the real engine and its hub worker."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hub import Fault, StandInHub, rate_limited, tiny_llama
from hub_kit import ids, index_of, rows, said, texts_of
from model_kit import model_files, safetensors
from pytestqt.qtbot import QtBot
from window_kit import DEADLINE_S, TINY, furnish, open_window, wait_until

from app.gui.main_window import MainWindow
from app.gui.models.model_filter import Segment
from app.gui.models.model_rows import Offer, RowKind
from app.gui.panels.models_panel import ModelsPanel
from app.wire.hub import HubModel, Verdict

API = "^/api/models$"


@pytest.fixture
def window(
    home: Path, standin: StandInHub, monkeypatch: pytest.MonkeyPatch
) -> Iterator[MainWindow]:
    for number in range(40):
        info = {"trendingScore": 40 - number, "likes": number, "downloads": 100 * number}
        standin.add_model(f"acme/Hub-{number:02}-4bit", tiny_llama(hidden=256, layers=2), **info)
    furnish(home)
    monkeypatch.setenv("HF_ENDPOINT", standin.url)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    with open_window() as window:
        assert wait_until(lambda: TINY in window.parts.mirror.models, DEADLINE_S)
        yield window


def type_in(panel: ModelsPanel, qtbot: QtBot, text: str) -> None:
    panel.focus_search()
    qtbot.keyClicks(panel.search, text)


def has_answer(panel: ModelsPanel) -> bool:
    assert panel.browse is not None
    return wait_until(lambda: panel.browse.results.is_current, DEADLINE_S)


def test_search_pages_and_details_come_over_http(
    window: MainWindow, standin: StandInHub, qtbot: QtBot
) -> None:
    panel = window.parts.models_panel
    type_in(panel, qtbot, "hub-")
    assert has_answer(panel)
    assert ids(panel)[0] == "Hub-00-4bit"
    assert texts_of(panel, RowKind.HEADER) == "Hugging Face 30+ models, trending first"

    def first() -> HubModel:
        item = rows(panel)[[row.kind for row in rows(panel)].index(RowKind.HUB)].item
        assert isinstance(item, HubModel)
        return item

    assert wait_until(lambda: first().fit is not None, DEADLINE_S)
    assert first().size_bytes == rows(panel)[1].size_bytes
    assert first().fit.verdict in (Verdict.FITS, Verdict.TIGHT, Verdict.TOO_BIG)
    bar = panel.view.verticalScrollBar()
    bar.setValue(bar.maximum())
    assert wait_until(lambda: len(ids(panel)) == 40, DEADLINE_S)
    assert len(set(ids(panel))) == 40
    asked = [r for r in standin.log if r.path == "/api/models"]
    assert len(asked) == 2


def test_download_from_the_list_ends_as_a_row_to_run_without_a_restart(
    window: MainWindow, standin: StandInHub, qtbot: QtBot
) -> None:
    name = "mlx-community/Real-4bit"
    weights = {"model.embed_tokens.weight": ("BF16", (1000, 3000))}
    files = model_files() | {"model.safetensors": safetensors(weights)}
    standin.add_model(name, files)
    standin.rate = 3_000_000
    panel, mirror = window.parts.models_panel, window.parts.mirror
    panel.show_segment(Segment.HUB)
    type_in(panel, qtbot, "real-4bit")
    assert has_answer(panel)
    panel.view.setCurrentIndex(index_of(panel, "Real-4bit"))
    panel.download_current()
    assert rows(panel)[0].offer is Offer.WAIT
    assert wait_until(lambda: panel.downloads.isVisible(), DEADLINE_S)
    assert "Real-4bit" not in ids(panel)
    panel.search.setText("nothing is called so")
    assert panel.downloads.isVisible()
    assert wait_until(lambda: name in mirror.models, DEADLINE_S)
    assert wait_until(lambda: not mirror.downloads, DEADLINE_S)
    panel.search.setText("real-4bit")
    assert has_answer(panel)
    assert rows(panel)[0].offer is Offer.RUN
    panel.show_segment(Segment.ALL)
    assert [(r.kind, r.offer) for r in rows(panel) if r.id] == [(RowKind.INSTALLED, Offer.RUN)]


def test_every_state_of_the_hub_is_told_and_passes(
    window: MainWindow, standin: StandInHub, qtbot: QtBot
) -> None:
    panel = window.parts.models_panel
    browse = panel.browse
    assert browse is not None
    faults = {
        "tiny": (Fault("refuse", path=API), "The hub cannot be reached."),
        "tiny-": (Fault("status", status=503, path=API), "The hub is overloaded"),
        "tiny-c": (rate_limited(42, kind="api", times=None, path=API), "Try again in 4"),
    }
    for text, (fault, words) in faults.items():
        standin.clear_faults()
        standin.add_fault(fault)
        panel.search.setText(text)
        assert wait_until(lambda w=words: w in texts_of(panel, RowKind.NOTE), DEADLINE_S), words
        assert ids(panel) == [TINY.rpartition("/")[2]]
        assert not any("No model" in one for one in said(panel))
    standin.clear_faults()
    browse.go_on()
    assert wait_until(lambda: not browse.results.is_searching, DEADLINE_S)
    assert texts_of(panel, RowKind.NOTE) == ""
    assert texts_of(panel, RowKind.HEADER) == "Hugging Face No model matches"
    standin.add_fault(Fault("delay", seconds=1.0, path=API))
    panel.search.setText("hub-0")
    panel.search.setText("hub-1")
    assert has_answer(panel)
    assert "Hub-11-4bit" in ids(panel)
    assert "Hub-01-4bit" not in ids(panel)
