"""The page of a model in the real window, with the stand-in hub over HTTP."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hub import Fault, StandInHub, SyntheticBlob, tiny_llama
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import Qt, QUrl
from PySide6.QtGui import QDesktopServices, QTextDocument
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot
from window_kit import DEADLINE_S, TINY, Desk, Heartbeat, furnish, open_window, wait_until

from app import paths
from app.gui.dialogs.delete_sheet import DeleteSheet
from app.gui.dialogs.profile_form import ProfileForm
from app.gui.inspector.model.page import ModelPage
from app.gui.main_window import MainWindow
from app.gui.models.card_text import card_pieces
from app.gui.models.memory_plan import plan, room_for, stops
from app.gui.models.subject import names
from app.wire.nouns import ServerState
from app.wire.shape import ModelShape

BIG = "mlx-community/Big-Llama-4bit"
RUNNABLE = "mlx-community/Runs-4bit"
GATED = "mlx-community/Gated-4bit"
STRANGE = "mlx-community/Strange-4bit"
HOSTILE = "mlx-community/Hostile-4bit"
CARD = """---
license: mit
---
# Big Llama

Made with **care**, see [the page](https://example.com/page) and [the licence](LICENSE).

| A | B |
| - | - |
| 1 | 2 |

```python
print("<b>not a tag</b>")
```
"""


BRICKS = (
    "<script>", "</script>", "<img src='http://a/b' alt='x'>", "![a](http://a/b)", "![", "``",
    "```", "~~~", "<!--", "-->", "<a ", ">", "](", ")", "[", "]", "|", "|-", "# ", "- ", "*", "_",
    "> ", "\n", "\n\n", "text", "http://x", "![a]", "[a]: http://x\n", "`",
)  # fmt: skip


def hostile_card(address: str) -> str:
    """Return a card that tries to load, run, open and block."""
    return (
        "# Hostile\n\n<script>alert(1)</script><style>* { display: none }</style>\n"
        f"![a]({address}/one.png) <img src='{address}/two.png' alt='two'>\n"
        f"<iframe src='{address}/three'></iframe><object data='{address}/four'></object>\n"
        "![b](file:///etc/hostname)\n\n[a file](file:///etc/hostname) [script](javascript:run())\n"
        f"<a href='{address}/five'>five</a>\n"
        + "|" * 20_000
        + "\n"
        + ">" * 20_000
        + "a\n"
        + "*a_b" * 20_000
        + "\n"
        + "[a](" * 20_000
        + "<a " * 10_000
    )


def demo_files() -> dict[str, bytes]:
    """Return the files of a model that a server can really load."""
    demo = paths.demo_model()
    return {f.name: f.read_bytes() for f in demo.iterdir() if f.suffix != ".md"}


def fill(hub: StandInHub) -> None:
    files = tiny_llama(hidden=256, layers=2)
    extra = {f"part-{n:02}.json": {"n": n} for n in range(14)}
    hub.add_model(
        BIG,
        {**files, **extra, "README.md": CARD},
        likes=321,
        downloads=120_345,
        cardData={"license": "mit", "base_model": "meta/Llama"},
    )
    hub.add_model(RUNNABLE, {**demo_files(), "README.md": "# Runs\n"})
    hub.add_model(GATED, tiny_llama(hidden=256), gated="manual")
    strange = tiny_llama(hidden=256)
    strange["config.json"] |= {"model_type": "quantum", "architectures": ["QuantumForCausalLM"]}
    hub.add_model(STRANGE, strange)
    hub.add_model(HOSTILE, {**tiny_llama(hidden=256), "README.md": hostile_card(hub.url)})
    for model in hub.models.values():
        hub.full_info(model, blobs=True)


@pytest.fixture(scope="module")
def hub() -> Iterator[StandInHub]:
    with StandInHub() as one:
        # A question that is on its way when a test ends would leave a thread for two minutes.
        one.keeps_alive = False
        fill(one)
        yield one


@pytest.fixture(scope="module")
def shared_home(homes: Path) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="", dir=homes))
    furnish(folder)
    return folder


@pytest.fixture(scope="module")
def shared_window(shared_home: Path, hub: StandInHub, qapp: QApplication) -> Iterator[MainWindow]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLX_MANAGER_HOME", str(shared_home))
        patch.setenv("HF_HOME", str(shared_home / "hf"))
        patch.setenv("HF_ENDPOINT", hub.url)
        patch.setenv("HF_HUB_OFFLINE", "0")
        with open_window() as window:
            assert wait_until(lambda: TINY in window.parts.mirror.models, DEADLINE_S), "no engine"
            # Now, so that no test seems to leave the hub's worker behind.
            page = show(window, BIG)
            assert wait_until(lambda: page.subject.details is not None, DEADLINE_S)
            window.parts.inspector.close_page()
            yield window


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was given to the browser or the file manager."""
    found: list[str] = []

    def note(url: QUrl) -> bool:
        found.append(url.toString())
        return True

    monkeypatch.setattr(QDesktopServices, "openUrl", note)
    return found


@pytest.fixture
def desk_(desk: Desk, hub: StandInHub) -> Iterator[Desk]:
    hub.log.clear()
    yield desk
    desk.window.parts.inspector.close_page()
    hub.clear_faults()


def show(window: MainWindow, model_id: str) -> ModelPage:
    window.parts.inspecting.show_model(model_id)
    page = window.parts.inspector.page
    assert isinstance(page, ModelPage)
    return page


def described(desk: Desk, model_id: str) -> ModelPage:
    """Open a page and wait for what the hub says."""
    page = show(desk.window, model_id)
    desk.until(lambda: page.subject.details is not None)
    return page


def fact(page: ModelPage, label: str) -> str:
    found = [f for f in page.facts.facts() if f.label == label]
    assert len(found) == 1, [f.label for f in page.facts.facts()]
    return found[0].text or ", ".join(link.text for link in found[0].links)


def press_more(desk: Desk, page: ModelPage, text: str) -> None:
    menu = page.buttons.menu()
    action = next(a for a in menu.actions() if a.text() == text)
    assert action.isEnabled()
    action.trigger()
    menu.deleteLater()


def test_hub_model_tells_facts_files_card_and_memory(desk_: Desk) -> None:
    page = described(desk_, BIG)
    inspector = desk_.window.parts.inspector
    assert inspector.title.text() == "Big-Llama-4bit"
    assert inspector.subtitle.text() == "mlx-community"
    assert page.chips.texts()[0] == "4-bit"
    assert fact(page, "Licence") == "mit"
    assert fact(page, "Made from") == "meta/Llama"
    assert fact(page, "Context") == "32\u2009768 tokens"
    assert fact(page, "Popularity") == "120\u2009345 downloads · 321 likes"
    assert "supported by mlx-lm" in fact(page, "Architecture")
    assert page.files.aside.text().startswith("20 · ")
    assert len(page.files.rows.files()) == 10
    desk_.click(page.files, "Show all 20")
    assert len(page.files.rows.files()) == 20
    desk_.until(lambda: not page.card.view.is_busy)
    text = page.card.view.toPlainText()
    assert "<b>not a tag</b>" in text
    assert "Made with care" in text
    assert "license: mit" not in text


def test_sliding_shows_a_sum_that_adds_up_and_asks_nobody(desk_: Desk, hub: StandInHub) -> None:
    page = described(desk_, BIG)
    shape = page.subject.details.model.shape
    assert shape is not None
    crew = desk_.window.parts.session.crew

    def names() -> set[str]:
        return {worker.objectName() for worker in crew.workers()}

    # The one that has brought all this may not be quite gone.
    desk_.until(lambda: names() == {"metrics-feed"})
    hub.log.clear()
    memory = page.memory
    sums: list[str] = []
    for number, length in enumerate(stops(shape)):
        memory.slider.setValue(number)
        room = room_for(BIG, desk_.mirror)
        assert room is not None
        assert memory.context == length
        sums.append(memory.sentence.accessibleName())
        sentence = plan(shape, room, length).sentence
        assert sums[-1] == sentence[:1].upper() + sentence[1:]
    assert sums[0] != sums[-1]
    assert "cache at 32k" in sums[-1]
    assert memory.pill.text() == "Fits"
    assert not hub.log
    assert names() == {"metrics-feed"}


def test_memory_of_other_servers_counts_and_that_of_the_model_itself_does_not(
    desk_: Desk,
) -> None:
    desk_.window.parts.session.start("demo")
    desk_.until_state("demo", ServerState.READY)
    desk_.until(lambda: (desk_.mirror.series["demo"].latest("memory_bytes") or 0) > 0)
    page = described(desk_, BIG)
    desk_.until(lambda: "running servers" in page.memory.sentence.accessibleName())
    page = show(desk_.window, "demo")
    desk_.until(lambda: page.memory.sentence.accessibleName().startswith("Weights"))
    assert "running servers" not in page.memory.sentence.accessibleName()
    assert page.buttons.pill.text() == "Running"
    assert not page.buttons.main.isVisible()


def test_gated_model_leads_to_its_page(desk_: Desk, hub: StandInHub, opened: list[str]) -> None:
    page = described(desk_, GATED)
    desk_.click(page.gate, "Ask for access")
    desk_.click(page.buttons, "Open on Hugging Face")
    assert opened == [f"{hub.url}/{GATED}"] * 2


def test_unsupported_model_says_why_and_is_not_offered_to_run(desk_: Desk) -> None:
    page = described(desk_, STRANGE)
    assert page.memory.pill.text() == "Not supported"
    assert "quantum" in page.memory.sentence.accessibleName()
    assert fact(page, "Architecture") == "Quantum, not supported"
    assert page.buttons.main.isVisible()
    assert not page.buttons.other.isVisible()


def test_hostile_card_loads_nothing_opens_nothing_and_never_blocks(
    desk_: Desk, hub: StandInHub, opened: list[str]
) -> None:
    with Heartbeat() as heart:
        page = described(desk_, HOSTILE)
        finished: list[bool] = []
        page.card.view.finished.connect(lambda: finished.append(True))
        desk_.until(lambda: finished or not page.card.view.is_busy)
        while page.card.view.has_more:
            desk_.click(page.card, "Show more")
            desk_.until(lambda: not page.card.view.is_busy)
    asked = {r.path.rpartition("/")[2] for r in hub.log}
    assert not asked & {"one.png", "two.png", "three", "four", "five"}, asked
    text = page.card.view.toPlainText()
    assert "alert" not in text
    assert "display" not in text
    assert "a file" in text
    for address in ("file:///etc/hostname", "javascript:run()", "#top", "https://[bad"):
        page.card.view.anchorClicked.emit(QUrl(address))
    assert opened == []
    # Generous: the machine may be busy with other tests.
    assert heart.longest_ms < 1500


def test_links_of_a_card_open_in_the_browser(
    desk_: Desk, hub: StandInHub, opened: list[str]
) -> None:
    page = described(desk_, BIG)
    commit = page.subject.details.commit
    for address in ("https://example.com/page", "LICENSE"):
        page.card.view.anchorClicked.emit(QUrl(address))
    assert opened == ["https://example.com/page", f"{hub.url}/{BIG}/blob/{commit}/LICENSE"]


def test_unreachable_hub_is_told_in_place_and_can_be_tried_again(
    desk_: Desk, hub: StandInHub
) -> None:
    new = "mlx-community/Later-4bit"
    hub.add_model(new, {**tiny_llama(hidden=256), "README.md": "# Later\n"})
    fault = hub.add_fault(Fault("status", f"/api/models/{new}", status=500, times=None))
    page = show(desk_.window, new)
    desk_.until(lambda: page.note.button.isVisible())
    assert page.subject.details is None
    assert not page.buttons.main.isEnabled()
    hub.faults.remove(fault)
    desk_.click(page.note, "Try again")
    desk_.until(lambda: page.subject.details is not None)
    assert not page.note.isVisible()
    assert page.buttons.main.isEnabled()


def test_installed_model_shows_folder_files_and_profiles(desk_: Desk, opened: list[str]) -> None:
    page = show(desk_.window, "demo")
    desk_.until(lambda: page.subject.folder is not None)
    assert desk_.window.parts.inspector.subtitle.text() == "Comes with the app"
    assert "config.json" in [f.name for f in page.files.rows.files()]
    assert fact(page, "Profiles") == "Demo"
    assert fact(page, "Folder").endswith("demo-model")
    row = [f.label for f in page.facts.facts()].index("Profiles")
    page.facts.value(row).linkActivated.emit(f"{row}:0")
    form = desk_.dialog(ProfileForm)
    form.reject()
    row = [f.label for f in page.facts.facts()].index("Folder")
    page.facts.value(row).linkActivated.emit(f"{row}:0")
    assert opened[-1].endswith("demo-model")


def test_run_makes_a_profile_and_starts_it(desk_: Desk) -> None:
    page = show(desk_.window, TINY)
    desk_.click(page.buttons, "Run")
    desk_.until(lambda: page.buttons.pill.text() == "Running")
    (server,) = desk_.mirror.servers.values()
    assert server.model == TINY
    assert fact(page, "Profiles") == server.name
    press_more(desk_, page, "Delete…")
    notice = desk_.window.parts.notice
    desk_.until(lambda: notice.text)
    assert f"{server.name}" in notice.text
    assert TINY in desk_.mirror.models


def test_download_is_told_in_place_then_offered_to_run_and_deleted_after_a_question(
    desk_: Desk, hub: StandInHub
) -> None:
    page = described(desk_, RUNNABLE)
    hub.rate = 200_000
    desk_.click(page.buttons, "Download")
    desk_.until(lambda: page.subject.download is not None)
    assert page.buttons.pill.isVisible()
    assert not page.buttons.main.isVisible()
    hub.rate = None
    desk_.until(lambda: page.subject.model is not None)
    notice = desk_.window.parts.notice
    desk_.until(lambda: notice.text == "Runs-4bit is ready")
    assert notice.offers_action
    assert page.buttons.main.text() == "Run"
    press_more(desk_, page, "Delete…")
    desk_.until(lambda: desk_.has_dialog(DeleteSheet))
    sheet = desk_.dialog(DeleteSheet)
    place, does = (label.text() for label in sheet.texts)
    assert place.endswith("models--mlx-community--Runs-4bit")
    assert does.startswith("717 KB are free at once")
    desk_.click(sheet, "Delete")
    desk_.until(lambda: RUNNABLE not in desk_.mirror.models)
    desk_.until(lambda: "free again" in notice.text)
    assert page.buttons.main.text() == "Download"


def test_download_and_run_starts_the_model_also_after_a_restart_of_the_app(
    home: Path,
    hub: StandInHub,
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
    allow_log: Callable[[str], None],
) -> None:
    allow_log("download")
    furnish(home)
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    slow = "mlx-community/Slow-4bit"
    hub.add_model(slow, {**demo_files(), "extra.safetensors": SyntheticBlob(20_000_000)})
    hub.full_info(hub.models[slow], blobs=True)
    hub.rate = 1_000_000
    with open_window() as window:
        desk = Desk(window, home, qtbot)
        desk.until_live()
        page = described(desk, slow)
        desk.click(page.buttons, "Download and run")
        desk.until(lambda: page.subject.download is not None)
        desk.until(lambda: desk.mirror.downloads[slow].done_bytes > 100_000)
        assert window.parts.model_actions.arrivals.wishes() == {slow}
    hub.rate = None
    with open_window() as window:
        desk = Desk(window, home, qtbot)
        servers = desk.mirror.servers
        desk.until(lambda: slow in desk.mirror.models)
        desk.until(lambda: any(s.model == slow for s in servers.values()))
        (server,) = servers.values()
        desk.until_state(server.id, ServerState.READY)
        assert not window.parts.model_actions.arrivals.wishes()
        desk.tidy()


def test_cancelled_download_is_not_run_when_the_model_comes_later(
    desk_: Desk, hub: StandInHub
) -> None:
    hub.rate = 100_000
    page = described(desk_, RUNNABLE)
    desk_.click(page.buttons, "Download and run")
    desk_.until(lambda: page.subject.download is not None)
    arrivals = desk_.window.parts.model_actions.arrivals
    assert arrivals.wishes() == {RUNNABLE}
    desk_.window.parts.session.call("cancel", lambda api: api.remove_download(RUNNABLE))
    desk_.until(lambda: not arrivals.wishes())
    hub.rate = None


def test_verifying_tells_in_place_what_it_found(desk_: Desk) -> None:
    page = show(desk_.window, TINY)
    desk_.until(lambda: page.subject.model is not None)
    press_more(desk_, page, "Verify files")
    desk_.until(lambda: "intact" in page.note.text())
    desk_.click(page.note, "Dismiss")
    desk_.until(lambda: "intact" not in page.note.text())


def test_page_of_a_folder_closes_when_the_folder_is_gone(desk_: Desk) -> None:
    page = show(desk_.window, TINY)
    desk_.until(lambda: page.subject.model is not None)
    repo = desk_.home / "hf" / "hub" / f"models--{TINY.replace('/', '--')}"
    away = desk_.home / "away"
    shutil.move(repo, away)
    try:
        desk_.window.parts.run_command("rescan")
        # A model of the hub stays open: it can be downloaded again.
        desk_.until(lambda: page.subject.model is None)
        assert desk_.window.parts.inspector.page is page
    finally:
        shutil.move(away, repo)
        desk_.window.parts.run_command("rescan")
        desk_.until(lambda: TINY in desk_.mirror.models)


def test_escape_closes_the_page(desk_: Desk) -> None:
    page = described(desk_, BIG)
    page.buttons.main.setFocus()
    desk_.keys("Escape")
    assert desk_.window.parts.inspector.page is None


def test_arrow_keys_move_the_context(desk_: Desk) -> None:
    page = described(desk_, BIG)
    slider = page.memory.slider
    before = slider.value()
    slider.setFocus()
    desk_.qtbot.keyClick(slider, Qt.Key.Key_Left)
    assert slider.value() == before - 1
    assert page.memory.context == stops(ModelShape(context_length=32768))[before - 1]


@given(st.lists(st.sampled_from(BRICKS), max_size=40))
def test_cards_lose_pictures_whatever_they_are_made_of(bricks: list[str]) -> None:
    for text, is_code in card_pieces("".join(bricks)):
        if not is_code:
            document = QTextDocument()
            features = QTextDocument.MarkdownFeature
            document.setMarkdown(text, features.MarkdownNoHTML | features.MarkdownDialectGitHub)
            assert "\N{OBJECT REPLACEMENT CHARACTER}" not in document.toPlainText()


def test_names_are_listed_as_people_do() -> None:
    assert names(["A"]) == "A"
    assert names(["A", "B"]) == "A and B"
    assert names(["A", "B", "C", "D", "E"]) == "A, B and 3 more"
