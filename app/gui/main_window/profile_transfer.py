"""Profiles that leave the window as files, or come into it."""

from pathlib import Path

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QFileDialog, QMainWindow

from app import files
from app.gui.dialogs.import_sheet import ImportSheet
from app.gui.main_window.dropping import DropTarget
from app.gui.main_window.offer import Offer
from app.gui.main_window.session import Session
from app.gui.workers.door import Api
from app.wire.errors import AppError, ErrorCode
from app.wire.portable import SUFFIX, ImportPreview, ImportRequest, ImportResult, ImportSource

_MOST_BYTES = 256 * 1024
_MOST_FILES = 20
"""Dropped at once; more are dropped by mistake."""


_NAMED = 3
"""Profiles that a notice names one by one."""


class ProfileTransfer(QObject):
    """Exports profiles, and imports them after showing what they would bring."""

    failed = Signal(object)  # AppError
    offered = Signal(object)  # Offer
    imported = Signal(object)  # Profile, the first one

    def __init__(self, session: Session, window: QMainWindow) -> None:
        super().__init__(window)
        self._session = session
        self._window = window
        self.drop_target = DropTarget(window)
        self.drop_target.dropped.connect(self.import_files)
        self.sheet: ImportSheet | None = None
        self._waiting: list[Path] = []
        self._found: list[tuple[str, ImportRequest, ImportPreview]] = []
        """What was read while another sheet was open."""

    def export(self, profile_id: str) -> None:
        """Ask for a place and write the profile there as a file for other computers."""
        profile = self._session.mirror.profiles.get(profile_id)
        if profile is None:
            return
        dialog = QFileDialog(self._window, self.tr("Export profile"))
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setNameFilter(self.tr("Profiles (*{0})").format(SUFFIX))
        dialog.setDefaultSuffix(SUFFIX[1:])
        dialog.selectFile(f"{profile.name.replace('/', '-')}{SUFFIX}")

        def export(path: str) -> None:
            self.export_to(profile_id, Path(path))

        dialog.fileSelected.connect(export)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def export_to(self, profile_id: str, path: Path) -> None:
        """Write the profile to a file for other computers."""

        def write(api: Api) -> Path:
            text = api.export_profile(profile_id)
            try:
                files.write_atomically(path.resolve(), text)
            except OSError as error:
                raise AppError(
                    f"{path.name} could not be written: {error.strerror or error}.",
                    hint="Choose another folder.",
                    code=ErrorCode.STORE_FAILED,
                ) from error
            return path

        def tell(written: Path) -> None:
            self.offered.emit(Offer(self.tr("Exported to {0}").format(written)))

        self._session.call("export-profile", write, tell, self.failed.emit)

    def choose_files(self) -> None:
        """Ask for exported files and import them."""
        dialog = QFileDialog(self._window, self.tr("Import profiles"))
        dialog.setFileMode(QFileDialog.FileMode.ExistingFiles)
        dialog.setNameFilters([self.tr("Profiles (*{0} *.toml)").format(SUFFIX)])

        def take(names: list[str]) -> None:
            self.import_files([Path(name) for name in names])

        dialog.filesSelected.connect(take)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def import_files(self, paths: list[Path]) -> None:
        """Show what each file would bring, one after the other."""
        self._waiting += paths[:_MOST_FILES]
        if self.sheet is None:
            self._next()

    def import_predecessor(self) -> None:
        """Show what the earlier MLX Manager left on the engine's computer."""
        request = ImportRequest(source=ImportSource.PREDECESSOR)
        title = self.tr("Profiles of the earlier MLX Manager")
        self._session.call(
            "preview-import",
            lambda api: (request, api.preview_import(request)),
            lambda found: self._show(title, *found),
            self.failed.emit,
        )

    def _next(self) -> None:
        if self._found:
            self._show(*self._found.pop(0))
            return
        if not self._waiting:
            return
        path = self._waiting.pop(0)

        def read(api: Api) -> tuple[ImportRequest, ImportPreview]:
            request = ImportRequest(_text_of(path))
            return request, api.preview_import(request)

        self._session.call(
            "preview-import", read, lambda found: self._show(path.name, *found), self._on_unreadable
        )

    def _on_unreadable(self, error: AppError) -> None:
        self.failed.emit(error)
        self._next()

    def _show(self, title: str, request: ImportRequest, preview: ImportPreview) -> None:
        if self.sheet is not None:
            self._found.append((title, request, preview))
            return
        models = self._session.mirror.models
        sheet = ImportSheet(title, preview, frozenset(models), self._window)
        self.sheet = sheet

        def finish(result: ImportResult) -> None:
            # The sheet may have been closed while the engine was at work.
            if self.sheet is sheet:
                sheet.accept()
            self._tell(result)

        def complain(error: AppError) -> None:
            if self.sheet is sheet:
                sheet.show_error(f"{error.message} {error.hint}".strip())
            else:
                self.failed.emit(error)

        def submit(choice: ImportRequest) -> None:
            wanted = ImportRequest(request.text, request.source, choice.chosen, choice.allow)
            self._session.call(
                "import-profiles",
                lambda api: api.import_profiles(wanted),
                finish,
                complain,
            )

        sheet.submitted.connect(submit)
        sheet.finished.connect(self._on_closed)
        sheet.open()

    def _on_closed(self, _result: int) -> None:
        if self.sheet is not None:
            self.sheet.deleteLater()
            self.sheet = None
        self._next()

    def _tell(self, result: ImportResult) -> None:
        if not result.profiles:
            return
        self.imported.emit(result.profiles[0])
        names = ", ".join(profile.name for profile in result.profiles)
        if len(result.profiles) > _NAMED:
            names = self.tr("{0} profiles").format(len(result.profiles))
        text = self.tr("Imported {0}").format(names)
        ids = [profile.id for profile in result.profiles]
        self.offered.emit(Offer(text, self.tr("Undo"), lambda: self._take_back(ids)))

    def _take_back(self, ids: list[str]) -> None:
        def delete(api: Api) -> None:
            for profile_id in ids:
                api.delete_profile(profile_id)

        self._session.call("undo-import", delete)


def _text_of(path: Path) -> str:
    """Return a file's text. Raises AppError for one that cannot be read."""
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
        return data.decode("utf-8-sig")
    except OSError as error:
        reason = error.strerror or str(error)
    except UnicodeDecodeError:
        reason = "it is not UTF-8 text"
    raise AppError(f"{path.name} cannot be imported: {reason}.", code=ErrorCode.BAD_REQUEST)
