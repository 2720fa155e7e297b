"""The page of a model: what it is, what it needs, what is in it and what can be done with it."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QScrollArea, QVBoxLayout, QWidget

from app.gui.inspector.model.action_row import ActionRow
from app.gui.inspector.model.card import CardSection
from app.gui.inspector.model.facts import FactsSection
from app.gui.inspector.model.files import FilesSection
from app.gui.inspector.model.memory import MemorySection
from app.gui.inspector.model.wishes import ModelWish, Wish
from app.gui.inspector.page import InspectorPage
from app.gui.mirror import LinkState, Mirror
from app.gui.models import model_text
from app.gui.models.card_text import CardPiece, card_pieces
from app.gui.models.subject import Subject, facts
from app.gui.widgets.chip_flow import ChipFlow
from app.gui.widgets.note_line import NoteLine
from app.gui.workers.door import Api
from app.gui.workers.model_folder import ModelFolder, read_folder
from app.wire.errors import AppError, ErrorCode
from app.wire.hub import Fit, HubDetails, Verdict
from app.wire.nouns import CheckState, Model, ModelCheck

_T = TypeVar("_T")
_HUB = "https://huggingface.co"
_SIDE = 20


class Call(Protocol):
    """Runs work in a worker and calls back in this thread."""

    def __call__(
        self,
        name: str,
        work: Callable[[Api], _T],
        on_success: Callable[[_T], object] | None = None,
        on_failure: Callable[[AppError], object] | None = None,
    ) -> None: ...


class ModelPage(InspectorPage):
    """Follows the mirror; asks the engine for what the mirror does not have."""

    wish = Signal(object)  # Wish

    def __init__(self, mirror: Mirror, model_id: str, call: Call) -> None:
        super().__init__(f"model:{model_id}", model_id.rpartition("/")[2] or model_id)
        self._mirror = mirror
        self._call = call
        self._subject = Subject(model_id)
        self._is_asking = False
        self._asked_path = ""
        self._trouble: AppError | None = None
        self._note_wish: ModelWish | None = None
        self.chips = ChipFlow(self)
        self.buttons = ActionRow(self)
        self.problem = NoteLine("warn", self)
        self.gate = NoteLine("info", self)
        self.note = NoteLine("info", self)
        self.memory = MemorySection(mirror, model_id, self)
        self.facts = FactsSection(self)
        self.files = FilesSection(self)
        self.card = CardSection(self)
        self._lay_out()
        self._connect()
        self._refresh()
        self._ask()

    @property
    def subject(self) -> Subject:
        """What is known of the model now."""
        return self._subject

    def _lay_out(self) -> None:
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(_SIDE, 2, _SIDE, 24)
        column.setSpacing(14)
        for widget in (
            self.chips, self.buttons, self.problem, self.gate, self.note, self.memory, self.facts,
            self.files, self.card,
        ):  # fmt: skip
            column.addWidget(widget)
        column.addStretch()
        self.area = QScrollArea(self)
        self.area.setFrameShape(QFrame.Shape.NoFrame)
        self.area.setWidgetResizable(True)
        self.area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.area.setWidget(content)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.area)

    def _connect(self) -> None:
        mirror = self._mirror
        for signal in (
            mirror.models_changed, mirror.downloads_changed, mirror.profiles_changed,
            mirror.server_changed, mirror.server_removed, mirror.engine_changed,
        ):  # fmt: skip
            signal.connect(self._refresh)
        mirror.link_changed.connect(self._on_link_changed)
        for signal in (mirror.sampled, mirror.foreign_changed):
            signal.connect(self.memory.refresh)
        self.buttons.wish.connect(self.wish)
        self.facts.wish.connect(self.wish)
        self.card.link_clicked.connect(self._on_link_clicked)
        self.gate.button_clicked.connect(
            lambda: self.wish.emit(Wish(ModelWish.OPEN_PAGE, self.address))
        )
        self.problem.button_clicked.connect(
            lambda: self.wish.emit(Wish(ModelWish.REPAIR, self._subject.id))
        )
        self.note.button_clicked.connect(self._on_note_clicked)

    @property
    def address(self) -> str:
        """The model's page on the hub; empty for one that is not there."""
        subject = self._subject
        if subject.details is not None and subject.details.url:
            return subject.details.url
        return f"{_HUB}/{subject.id}" if subject.is_on_hub else ""

    def _refresh(self, _changed: object = None) -> None:
        mirror, before = self._mirror, self._subject
        model = mirror.models.get(before.id)
        if model is None and before.model is not None and not before.is_on_hub:
            self.closing_wanted.emit()
            return
        names = (before.id, *(model.locations if model is not None else ()))
        self._subject = Subject(
            before.id,
            model,
            mirror.downloads.get(before.id),
            before.details,
            before.folder if model is not None else None,
            tuple(p for p in mirror.profiles.values() if p.model in names),
            tuple(s for s in mirror.servers.values() if s.model in names and s.state.is_active),
        )
        if model is not None and model.path != self._asked_path:
            self._ask_disk(model)
        self._show()

    def _show(self) -> None:
        subject = self._subject
        item = subject.model or subject.hub
        if item is not None:
            self.chips.show_texts(model_text.chips(item))
        self.retitle(subject.name, subject.author)
        self.buttons.show_subject(
            subject,
            self.address,
            is_live=self._mirror.link is LinkState.LIVE and not self._mirror.is_stale,
            is_local=self._mirror.has_local_disk,
        )
        self.facts.show_facts(facts(subject))
        self.facts.setVisible(bool(self.facts.facts()))
        self.files.show_files(subject.files)
        self._show_notes()

    def _show_notes(self) -> None:
        subject, hub = self._subject, self._subject.hub
        self._note_wish = None
        check = subject.model.check if subject.model is not None else None
        self._show_fault()
        is_gated = hub is not None and hub.must_ask and subject.model is None
        gate = self.tr("Its authors want to be asked for access before a download.")
        self.gate.say(gate if is_gated else "", button=self.tr("Ask for access"))
        if check is not None and check.state is not CheckState.DAMAGED:
            self._show_check(check)
        elif self._trouble is not None:
            self._show_trouble(self._trouble)
        elif subject.details is not None:
            self.note.say(subject.details.notice, kind="info")
        elif subject.is_on_hub and subject.model is None:
            self.note.say(self.tr("Asking Hugging Face about it…"), kind="info")
        else:
            self.note.say("")

    def _show_fault(self) -> None:
        """Say why the model cannot run, or what a check found, and offer what mends it."""
        model, download = self._subject.model, self._subject.download
        problem = (model.problem or "") if model is not None else ""
        found = model.check.text if model is not None and model.check is not None else ""
        fault = problem or (found if model is not None and model.is_damaged else "")
        can_repair = model is not None and model.can_repair and download is None
        kind = "bad" if model is not None and model.is_damaged else "warn"
        self.problem.say(fault, button=self.tr("Repair") if can_repair else "", kind=kind)
        self.memory.setVisible(not problem)

    def _show_trouble(self, trouble: AppError) -> None:
        is_here = self._subject.model is not None
        if is_here and trouble.code is ErrorCode.REPO_NOT_FOUND:
            # Its card and its figures are all that is missing; it works.
            self.note.say(self.tr("It is not on Hugging Face, or it is private."), kind="info")
            return
        text = f"{trouble.message} {trouble.hint}".strip()
        kind = "info" if is_here else "warn"
        self.note.say(text, button=self.tr("Try again"), kind=kind)

    def _show_check(self, check: ModelCheck) -> None:
        self._note_wish = ModelWish.END_CHECK
        button = self.tr("Stop") if check.state.is_active else self.tr("Dismiss")
        kind = "warn" if check.state is CheckState.FAILED else "info"
        self.note.say(check.text, kind=kind, button=button)

    def _on_link_clicked(self, address: str) -> None:
        self.wish.emit(Wish(ModelWish.OPEN_LINK, address))

    def _on_note_clicked(self) -> None:
        if self._note_wish is not None:
            self.wish.emit(Wish(self._note_wish, self._subject.id))
        else:
            self._ask()

    def _on_link_changed(self, state: LinkState) -> None:
        if state is LinkState.LIVE and self._subject.details is None:
            self._ask()
        self._refresh()

    def _ask(self) -> None:
        """Ask the hub; what the disk says is asked for when the model is there."""
        subject = self._subject
        if self._is_asking or not subject.is_on_hub or self._mirror.engine is None:
            return
        self._is_asking, self._trouble = True, None
        self._call(
            "hub-model",
            lambda api: _described(api, subject.id),
            self._on_described,
            self._on_trouble,
        )
        self._show_notes()

    def _on_described(self, answer: tuple[HubDetails, tuple[CardPiece, ...]]) -> None:
        self._is_asking = False
        details, pieces = answer
        self._subject = _with(self._subject, details=details)
        hub = details.model
        if self._subject.model is None:
            if hub.supported is False and hub.fit is not None:
                self.memory.show_verdict(hub.fit)
            elif hub.shape is not None:
                self.memory.show_shape(hub.shape, hub.context_length)
            else:
                reason = hub.reason or self.tr("The hub does not tell enough of it.")
                self.memory.show_verdict(Fit(Verdict.UNKNOWN, reason, 0))
        folder = self._subject.folder
        if folder is None or not folder.card:
            base = f"{details.url}/blob/{details.commit or 'main'}"
            self.card.show_card(pieces, base, is_cut=details.is_card_cut)
        self._show()

    def _on_trouble(self, error: AppError) -> None:
        self._is_asking = False
        self._trouble = error
        self.memory.show_waiting(self.tr("Hugging Face was not reached."))
        self._show_notes()

    def _ask_disk(self, model: Model) -> None:
        self._asked_path = model.path
        self._call(
            "model-fit", lambda api: api.model_fit(model.id), self._on_measured, self._on_unmeasured
        )
        if self._mirror.has_local_disk:
            path = Path(model.path)
            self._call("model-folder", lambda _api: _read(path), self._on_read)

    def _on_measured(self, found: Fit) -> None:
        if found.shape is not None:
            self.memory.show_shape(found.shape, self._subject.context_length)
        else:
            self.memory.show_verdict(found)

    def _on_unmeasured(self, error: AppError) -> None:
        self.memory.show_verdict(Fit(Verdict.UNKNOWN, error.message, 0))

    def _on_read(self, answer: tuple[ModelFolder, tuple[CardPiece, ...]]) -> None:
        folder, pieces = answer
        self._subject = _with(self._subject, folder=folder)
        if folder.card:
            base = f"{self.address}/blob/main" if self.address else ""
            self.card.show_card(pieces, base, is_cut=folder.is_card_cut)
        self._show()


def _described(api: Api, model_id: str) -> tuple[HubDetails, tuple[CardPiece, ...]]:
    """Return a model of the hub, and its card made harmless; runs in a worker."""
    details = api.hub_model(model_id)
    return details, card_pieces(details.card)


def _read(path: Path) -> tuple[ModelFolder, tuple[CardPiece, ...]]:
    folder = read_folder(path)
    return folder, card_pieces(folder.card)


def _with(
    subject: Subject, *, details: HubDetails | None = None, folder: ModelFolder | None = None
) -> Subject:
    return Subject(
        subject.id,
        subject.model,
        subject.download,
        details or subject.details,
        folder or subject.folder,
        subject.profiles,
        subject.servers,
    )
