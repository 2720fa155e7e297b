"""Answers of the engine that come after the thing that asked is gone, or that nobody wants now."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from form_kit import MODELS, RUNTIME
from patience import DEADLINE_MS
from PySide6.QtCore import QObject
from PySide6.QtWidgets import QDialog, QLabel, QMainWindow
from pytestqt.qtbot import QtBot

from app.gui.dialogs.import_sheet import ImportSheet
from app.gui.dialogs.named_keys import NewKeySheet
from app.gui.dialogs.profile_form import ProfileForm
from app.gui.main_window import session as session_module
from app.gui.main_window.connect_actions import ConnectActions
from app.gui.main_window.profile_actions import ProfileActions
from app.gui.main_window.session import Session
from app.gui.main_window.settings_actions import SettingsActions
from app.gui.memory import Memory
from app.gui.mirror import Mirror
from app.gui.preferences import Preferences
from app.gui.workers.connection import Connection, OwnedEngine
from app.wire.errors import AppError
from app.wire.keys import NamedKey, NewKey
from app.wire.nouns import EngineInfo, Machine, Profile, ProfileDraft
from app.wire.portable import ImportPreview

MACHINE = Machine("here", "Apple M4", 36_000_000_000)
INFO = EngineInfo(
    "1", 1, 1, "http://127.0.0.1:1", "http://127.0.0.1:2", "", 0.0, "", "",
    key_required=False, open_bind=False, machine=MACHINE, runtimes=(RUNTIME,),
)  # fmt: skip


class Answer:
    """A question that is on its way."""

    def __init__(
        self,
        name: str,
        on_success: Callable[[Any], object] | None,
        on_failure: Callable[[AppError], object] | None,
    ) -> None:
        self.name = name
        self._on_success = on_success
        self._on_failure = on_failure

    def succeed(self, result: object) -> None:
        if self._on_success is not None:
            self._on_success(result)

    def fail(self, message: str) -> None:
        assert self._on_failure is not None
        self._on_failure(AppError(message))


class Line:
    """Stands for the crew and the door: every question waits until the test answers it."""

    connection: Connection | None = None

    def __init__(self) -> None:
        self.open: list[Answer] = []

    def run(
        self,
        name: str,
        _work: Callable[..., object],
        on_success: Callable[[Any], object] | None = None,
        on_failure: Callable[[AppError], object] | None = None,
    ) -> None:
        self.open.append(Answer(name, on_success, on_failure))

    call = run

    def take(self, name: str) -> Answer:
        """Return the oldest open question of this name."""
        found = next(answer for answer in self.open if answer.name == name)
        self.open.remove(found)
        return found


class Scene(QObject):
    """A session on such a line, in an empty window."""

    def __init__(self, qtbot: QtBot) -> None:
        super().__init__()
        self.line = Line()
        self.window = QMainWindow()
        qtbot.addWidget(self.window)
        self.window.show()
        self.session = Session(Mirror(), None)
        self.session.mirror.engine = INFO
        self.session.mirror.models = {model.id: model for model in MODELS}
        self.session.crew = self.line  # pyright: ignore[reportAttributeAccessIssue] - stands for it
        self.session.door = self.line  # pyright: ignore[reportAttributeAccessIssue] - stands for it
        self.told: list[str] = []
        self.session.failed.connect(self.hear)

    def hear(self, error: AppError) -> None:
        self.told.append(error.message)

    def dialogs(self, kind: type[QDialog]) -> list[QDialog]:
        return [d for d in self.window.findChildren(kind) if d.isVisible()]


@pytest.fixture
def scene(qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.setenv("MLX_MANAGER_HOME", str(tmp_path))
    return Scene(qtbot)


def draft(profile: Profile) -> ProfileDraft:
    return ProfileDraft(profile.name, profile.model)


FIRST = Profile("first", "First", MODELS[0].id)
SECOND = Profile("second", "Second", MODELS[0].id)


def forms(scene: Scene) -> ProfileActions:
    scene.session.mirror.profiles = {p.id: p for p in (FIRST, SECOND)}
    actions = ProfileActions(scene.session, scene.window)
    actions.failed.connect(scene.hear)
    return actions


def submit(actions: ProfileActions, profile: Profile) -> ProfileForm:
    actions.edit(profile.id)
    assert actions.form is not None
    actions.form.submitted.emit(draft(profile))
    return actions.form


def test_profile_saved_after_its_form_was_closed_leaves_the_next_form_open(scene: Scene) -> None:
    actions = forms(scene)
    saved: list[Profile] = []
    actions.saved.connect(saved.append)
    submit(actions, FIRST)
    actions.close_form()
    actions.edit(SECOND.id)
    scene.line.take("save-profile").succeed(FIRST)
    assert saved == [FIRST]
    assert actions.form is not None
    assert actions.form.isVisible()


def test_profile_refused_after_its_form_was_closed_is_told_in_the_window(
    scene: Scene, qtbot: QtBot
) -> None:
    actions = forms(scene)
    form = submit(actions, FIRST)
    gone: list[bool] = []
    form.destroyed.connect(lambda: gone.append(True))
    actions.close_form()
    qtbot.waitUntil(lambda: bool(gone), timeout=DEADLINE_MS)
    scene.line.take("save-profile").fail("The profile changed meanwhile.")
    assert scene.told == ["The profile changed meanwhile."]


def settings_of(scene: Scene, tmp_path: Path) -> SettingsActions:
    memory = Memory(tmp_path / "memory.json")
    connecting = ConnectActions(scene.session, memory, scene.window)
    return SettingsActions(scene.session, Preferences(), connecting, scene.window)


def test_key_that_was_seen_before_it_was_forgotten_is_not_shown_as_stored(
    scene: Scene, tmp_path: Path
) -> None:
    scene.line.connection = Connection("http://192.0.2.1:8798", None, INFO, owned=None)
    actions = settings_of(scene, tmp_path)
    actions.open()
    assert actions.dialog is not None
    actions.dialog.show_page("Network & keys")
    early = scene.line.take("stored-key")
    actions.dialog.key_forgotten.emit()
    scene.line.take("forget-key").succeed(None)
    scene.line.take("stored-key").succeed(False)
    early.succeed(True)
    labels = [label.text() for label in actions.dialog.findChildren(QLabel) if label.isVisible()]
    assert "Not stored" in labels


def test_new_key_is_shown_although_settings_were_closed_meanwhile(
    scene: Scene, tmp_path: Path
) -> None:
    actions = settings_of(scene, tmp_path)
    actions.open()
    assert actions.dialog is not None
    actions.dialog.named_keys.create_requested.emit("laptop")
    actions.dialog.close()
    made = NewKey(NamedKey("1", "laptop", 0.0), "the-secret")
    scene.line.take("make-key").succeed(made)
    (sheet,) = scene.dialogs(NewKeySheet)
    assert isinstance(sheet, NewKeySheet)
    assert sheet.secret.text() == "the-secret"


def test_two_files_opened_at_once_are_shown_one_after_the_other(scene: Scene) -> None:
    transfer = ProfileActions(scene.session, scene.window).transfer
    transfer.import_files([Path("/a.mlxprofile")])
    transfer.import_files([Path("/b.mlxprofile")])
    for _ in range(2):
        scene.line.take("preview-import").succeed((None, ImportPreview(())))
    shown = 0
    while sheets := scene.dialogs(ImportSheet):
        assert len(sheets) == 1
        shown += 1
        sheets[0].reject()
    assert shown == 2


def test_question_without_an_engine_is_answered_to_whoever_asked(scene: Scene) -> None:
    scene.session.door = None
    refused: list[str] = []
    scene.session.call(
        "model-fit", lambda api: api.model_fit("x"), None, lambda e: refused.append(e.message)
    )
    assert len(refused) == 1
    assert scene.told == []
    scene.session.call("stop", lambda api: api.stop_server("x"))
    assert scene.told == refused


class FakeEngine(OwnedEngine):
    """An own engine without a process."""

    def __init__(self) -> None:
        self.process = None  # pyright: ignore[reportAttributeAccessIssue] - there is none


@pytest.fixture
def followed(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> list[Connection]:
    """Return which engines the session follows, the last one last."""
    seen: list[Connection] = []
    scene.session.door = None

    def follow(result: Connection) -> None:
        seen.append(result)
        scene.session.connected.emit(result)

    monkeypatch.setattr(scene.session, "_on_connected", follow)
    return seen


def connection(url: str, *, is_owned: bool = False) -> Connection:
    return Connection(url, None, INFO, FakeEngine() if is_owned else None)


def test_cancel_of_the_connect_dialog_keeps_the_engine(
    scene: Scene, followed: list[Connection], tmp_path: Path
) -> None:
    memory = Memory(tmp_path / "memory.json")
    actions = ConnectActions(scene.session, memory, scene.window)
    actions.ask()
    assert actions.dialog is not None
    actions.dialog.submitted.emit(("http://other:1", "key", True))
    actions.dialog.reject()
    scene.line.take("connect").succeed(connection("http://other:1"))
    assert followed == []
    assert scene.session.url is None


def test_last_of_two_wishes_for_another_engine_counts(
    scene: Scene, followed: list[Connection]
) -> None:
    scene.session.switch("http://a:1", "key")
    scene.session.switch("http://b:1", "key")
    first, second = scene.line.take("connect"), scene.line.take("connect")
    second.succeed(connection("http://b:1"))
    first.succeed(connection("http://a:1"))
    assert [found.url for found in followed] == ["http://b:1"]


def test_own_engine_that_comes_after_another_was_chosen_is_ended(
    scene: Scene, followed: list[Connection]
) -> None:
    scene.session.begin()
    scene.session.switch("http://b:1", "key")
    own, other = scene.line.take("connect"), scene.line.take("connect")
    other.succeed(connection("http://b:1"))
    own.succeed(connection("http://127.0.0.1:1", is_owned=True))
    assert [found.url for found in followed] == ["http://b:1"]
    assert [answer.name for answer in scene.line.open] == ["end-engine"]


def test_engine_is_begun_once_however_often_it_is_asked_for(
    scene: Scene, followed: list[Connection]
) -> None:
    scene.session.begin()
    scene.session.reconnect()
    scene.session.begin()
    assert [answer.name for answer in scene.line.open] == ["connect"]
    scene.line.take("connect").fail("The engine did not start.")
    scene.session.reconnect()
    assert [answer.name for answer in scene.line.open] == ["connect"]
    assert followed == []
    assert session_module.LinkState.CONNECTING is scene.session.mirror.link
