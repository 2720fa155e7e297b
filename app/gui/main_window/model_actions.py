"""What the window does with models: everything that a page, a menu or the palette asks for."""

from collections.abc import Callable

from PySide6.QtCore import QCoreApplication, QObject, QUrl, Signal
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QWidget

from app.gui import format as fmt
from app.gui.dialogs.delete_sheet import DeleteSheet, readable
from app.gui.inspector.model.wishes import ModelWish, Wish
from app.gui.main_window.arrivals import Arrivals
from app.gui.main_window.download_actions import DownloadActions
from app.gui.main_window.inspecting import Inspecting
from app.gui.main_window.offer import Offer
from app.gui.main_window.profile_actions import ProfileActions
from app.gui.main_window.session import Session
from app.gui.memory import Memory
from app.gui.models.subject import names
from app.gui.panels.models_panel import ModelsPanel
from app.gui.workers.door import Api
from app.wire.errors import AppError, ErrorCode
from app.wire.nouns import Download, DownloadRequest
from app.wire.storage import Removal, Removed

_WEB = ("http", "https")


class ModelActions(QObject):
    """Turns wishes for models into calls of the engine, questions and notices."""

    failed = Signal(object)  # AppError
    offered = Signal(object)  # Offer
    shown = Signal(object)  # str: the model whose page is wanted
    copied = Signal(object)  # str: text for the clipboard
    reveal_wanted = Signal(object)  # str: a folder

    def __init__(
        self,
        session: Session,
        profiles: ProfileActions,
        downloads: DownloadActions,
        memory: Memory,
        window: QWidget,
    ) -> None:
        super().__init__(window)
        self._session = session
        self._mirror = session.mirror
        self._profiles = profiles
        self._downloads = downloads
        self._window = window
        self.arrivals = Arrivals(session.mirror, memory, self)
        self.arrivals.arrived.connect(self._on_arrived)
        self.arrivals.renewed.connect(self._on_renewed)

    def serve(self, panel: ModelsPanel, inspecting: Inspecting) -> None:
        """Do what the list of models and the pages of the inspector ask for."""
        panel.inspect_requested.connect(inspecting.show_model)
        panel.delete_requested.connect(self.delete)
        panel.repair_requested.connect(self.repair)
        panel.download_and_run_requested.connect(self.download_and_run)
        panel.downloads.inspect_requested.connect(inspecting.show_model)
        panel.downloads.copy_id_requested.connect(self.copied)
        self.shown.connect(inspecting.show_model)
        inspecting.model_wish.connect(self.fulfil)
        self.arrivals.wishes_changed.connect(panel.downloads.tile.set_wanted)
        panel.downloads.tile.set_wanted(self.arrivals.wishes())

    def fulfil(self, wish: Wish) -> None:
        """Do what a page of the inspector asks for."""
        deeds: dict[ModelWish, Callable[[str], object]] = {
            ModelWish.DOWNLOAD: self._downloads.begin,
            ModelWish.DOWNLOAD_AND_RUN: self.download_and_run,
            ModelWish.UPDATE: self._downloads.begin,
            ModelWish.RUN: self._profiles.run_model,
            ModelWish.NEW_PROFILE: self._profiles.create,
            ModelWish.EDIT_PROFILE: self._profiles.edit,
            ModelWish.OPEN_PAGE: self.open_address,
            ModelWish.OPEN_LINK: self.open_address,
            ModelWish.REVEAL: self.reveal_wanted.emit,
            ModelWish.COPY_ID: self.copied.emit,
            ModelWish.CHECK: self.check,
            ModelWish.END_CHECK: self.end_check,
            ModelWish.REPAIR: self.repair,
            ModelWish.DELETE: self.delete,
            ModelWish.SHOW: self.shown.emit,
        }
        deeds[wish.kind](wish.subject)

    def download_and_run(self, model_id: str) -> None:
        """Download a model and start it then, also when the app was closed meanwhile."""
        if model_id in self._mirror.models:
            self._profiles.run_model(model_id)
            return

        def give_up(error: AppError) -> None:
            self.arrivals.drop(model_id)
            self.failed.emit(error)

        def agree(_download: Download) -> None:
            self.arrivals.confirm(model_id)

        self.arrivals.wish(model_id)
        request = DownloadRequest(model_id)
        self._session.call("download", lambda api: api.add_download(request), agree, give_up)

    def check(self, model_id: str) -> None:
        """Compare every file of a model with its checksum."""
        self._session.call("check-model", lambda api: api.verify_model(model_id))

    def end_check(self, model_id: str) -> None:
        """Stop comparing, or forget what was found."""
        self._session.call("end-check", lambda api: api.stop_verify(model_id))

    def repair(self, model_id: str) -> None:
        """Download what is damaged or missing."""
        request = DownloadRequest(model_id, verify=True)
        self._session.call("repair-model", lambda api: api.add_download(request))

    def open_address(self, address: str) -> None:
        """Open an address of the web in the browser; nothing else is opened."""
        url = QUrl(address)
        if url.scheme() in _WEB and not QDesktopServices.openUrl(url):
            text = self.tr("{} could not be opened here.").format(address)
            self.failed.emit(AppError(text))

    def delete(self, model_id: str) -> None:
        """Ask once, naming what, where and how much, then delete a model from the disk."""
        self._session.call(
            "preview-removal", lambda api: api.preview_removal(model_id), self._ask_to_delete
        )

    def _ask_to_delete(self, removal: Removal) -> None:
        place = self._session.mirror.place
        if (refusal := _refusal(removal)) is not None:
            self.failed.emit(refusal)
            return

        def delete(places: list[str]) -> None:
            self._session.call(
                "delete-model", lambda api: _delete(api, removal, places), self._on_deleted
            )

        sheet = DeleteSheet(removal, place, self._window)
        sheet.agreed.connect(delete)
        sheet.open()

    def _on_deleted(self, done: tuple[Removal, dict[str, Removed]]) -> None:
        removal, parts = done
        freed = sum(part.freed_bytes for part in parts.values() if not part.to_trash)
        in_trash = sum(part.freed_bytes for part in parts.values() if part.to_trash)
        left = [readable(part.path) for part in removal.parts if part.path not in parts]
        texts = [
            self.tr("{name} is deleted") if freed else self.tr("{name} is in the trash"),
            self.tr("{size} are free again") if freed else "",
            self.tr("{trash} are free when the trash is emptied") if in_trash else "",
            self.tr("the copy in {place} stays") if left else "",
        ]
        text = "; ".join(text for text in texts if text).format(
            name=removal.name,
            size=fmt.file_size(freed),
            trash=fmt.file_size(in_trash),
            place=names(left),
        )
        self.offered.emit(Offer(text))

    def _on_arrived(self, arrival: tuple[str, bool]) -> None:
        model_id, is_wanted = arrival
        model = self._mirror.models.get(model_id)
        if model is None:
            return
        if model.problem:
            text = self.tr("{name} has come, but cannot run: {reason}")
            self.failed.emit(AppError(text.format(name=model.name, reason=model.problem)))
        elif is_wanted:
            self._profiles.run_model(model_id)
            self.offered.emit(Offer(self.tr("{} is ready and starts now").format(model.name)))
        else:
            text = self.tr("{} is ready").format(model.name)
            run = self.tr("Run")
            self.offered.emit(Offer(text, run, lambda: self._profiles.run_model(model_id)))

    def _on_renewed(self, model_id: str) -> None:
        """Tell the end of a download that may have changed nothing from a cancel."""
        name = self._mirror.models[model_id].name
        self.offered.emit(Offer(self.tr("{} is complete and up to date").format(name)))


def _tr(text: str) -> str:
    return QCoreApplication.translate("ModelActions", text)


def _refusal(removal: Removal) -> AppError | None:
    """Return why a model cannot be deleted now, naming who uses it."""
    if removal.obstacle:
        return AppError(removal.obstacle)
    if not removal.servers:
        return None
    text = _tr("{model} is in use by {servers}.").format(
        model=removal.name, servers=names(removal.servers)
    )
    hint = _tr("Stop it first.") if len(removal.servers) == 1 else _tr("Stop them first.")
    return AppError(text, hint=hint, code=ErrorCode.MODEL_IN_USE)


def _delete(api: Api, removal: Removal, places: list[str]) -> tuple[Removal, dict[str, Removed]]:
    """Delete these folders of a model; runs in a worker."""
    # Who uses it was named in the question.
    is_forced = bool(removal.profiles)
    # Its first folder gives a model its id, so that one goes last.
    return removal, {
        place: api.remove_model(removal.id, location=place, force=is_forced)
        for place in reversed(places)
    }
