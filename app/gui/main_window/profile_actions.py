"""What the window does with profiles: run a model; make, edit, copy, rename and delete profiles."""

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QMainWindow

from app.gui.dialogs.profile_form import ProfileForm
from app.gui.dialogs.rename_sheet import RenameSheet
from app.gui.main_window.form_actions import FormActions
from app.gui.main_window.offer import Offer
from app.gui.main_window.profile_transfer import ProfileTransfer
from app.gui.main_window.questions import keeps_mine, may_stop_and_delete
from app.gui.main_window.session import Session
from app.gui.models.memory_plan import fit_of
from app.gui.workers.door import Api
from app.wire.errors import AppError, ErrorCode
from app.wire.nouns import Profile, ProfileDraft

_LONGEST = 70
"""Characters of a name that leave room for a number."""


_ONE_OF_A_KIND = ("start_with_app", "public_port")
"""Policies that a copy does not take over."""


class ProfileActions(QObject):
    """Opens forms and turns their result into calls of the engine."""

    failed = Signal(object)  # AppError
    saved = Signal(object)  # Profile
    offered = Signal(object)  # Offer

    def __init__(self, session: Session, window: QMainWindow) -> None:
        super().__init__(window)
        self._session = session
        self._mirror = session.mirror
        self._window = window
        self.form: ProfileForm | None = None
        self._form_actions: FormActions | None = None
        self.transfer = ProfileTransfer(session, window)
        self.transfer.failed.connect(self.failed)
        self.transfer.offered.connect(self.offered)
        self.transfer.imported.connect(self.saved)

    def commands(self) -> dict[str, Callable[[], object]]:
        """Return what the menus offer without a chosen profile, by the command's id."""
        return {
            "import_profiles": self.transfer.choose_files,
            "import_predecessor": self.transfer.import_predecessor,
        }

    def profile_commands(self) -> dict[str, Callable[[str], object]]:
        """Return what the menus offer for the chosen profile, by the command's id."""
        return {
            "edit_profile": self.edit,
            "duplicate_profile": self.duplicate,
            "rename_profile": self.rename,
            "delete_profile": self.delete,
            "export_profile": self.transfer.export,
        }

    def refresh_commands(self, actions: Mapping[str, QAction]) -> None:
        """Let the menus offer what there is."""
        engine = self._mirror.engine
        has_old = engine is not None and "predecessor" in engine.capabilities
        actions["import_predecessor"].setVisible(has_old)
        actions["import_profiles"].setEnabled(engine is not None)

    def run_model(self, model_id: str) -> None:
        """Start a profile of this model; makes one with safe defaults if there is none."""
        for profile in self._mirror.profiles.values():
            if profile.model == model_id and profile.fault is None:
                self._session.start(profile.id)
                return
        draft = ProfileDraft(self._model_name(model_id), model_id, policy=self._new_policy())

        def start(profile: Profile) -> None:
            self.saved.emit(profile)
            self._session.start(profile.id)

        self._session.call("create-profile", lambda api: api.create_profile(draft), start)

    def create(self, model_id: str | None = None) -> None:
        """Open an empty form, or one for this model."""
        profile = Profile("", "", "", policy=self._new_policy())
        if model_id is not None:
            name = self._model_name(model_id)
            profile = Profile("", name, model_id, policy=self._new_policy())
        self._open(profile, lambda draft: lambda api: api.create_profile(draft))

    def edit(self, profile_id: str, field: str = "") -> None:
        """Open the form of a profile, at the field of an option where one is named."""
        profile = self._mirror.profiles.get(profile_id)
        if profile is not None:
            self._open(profile, lambda draft: lambda api: api.update_profile(profile_id, draft))
            if field and self.form is not None:
                self.form.show_field(field)

    def duplicate(self, profile_id: str) -> None:
        """Make a copy of a profile and choose it."""
        profile = self._mirror.profiles.get(profile_id)
        if profile is None:
            return
        if profile.fault is not None:
            self.failed.emit(AppError(self.tr("A broken profile cannot be copied.")))
            return
        # Two of them would come up with the app, and fight for the memory.
        policy = {k: v for k, v in profile.policy.items() if k not in _ONE_OF_A_KIND}
        name = self._free_name(self.tr("{0} copy").format(profile.name[:_LONGEST]))
        draft = ProfileDraft(name, profile.model, profile.runtime, profile.options, policy)

        def tell(copy: Profile) -> None:
            self.saved.emit(copy)
            text = self.tr("Made {0}").format(copy.name)
            self.offered.emit(Offer(text, self.tr("Edit"), lambda: self.edit(copy.id)))

        self._session.call("duplicate-profile", lambda api: api.create_profile(draft), tell)

    def rename(self, profile_id: str) -> None:
        """Ask for another name of a profile."""
        profile = self._mirror.profiles.get(profile_id)
        if profile is None:
            return
        taken = {p.name.casefold() for p in self._mirror.profiles.values() if p.id != profile_id}
        sheet = RenameSheet(profile.name, taken, self._window)

        is_open = True

        def close() -> None:
            nonlocal is_open
            is_open = False

        def finish(saved: Profile) -> None:
            # The sheet may have been closed while the engine was at work.
            if is_open:
                sheet.accept()
            self.saved.emit(saved)

        def complain(error: AppError) -> None:
            if is_open:
                sheet.show_error(f"{error.message} {error.hint}".strip())
            else:
                self.failed.emit(error)

        def submit(name: str) -> None:
            draft = ProfileDraft(
                name, profile.model, profile.runtime, profile.options, profile.policy,
                profile.revision,
            )  # fmt: skip
            self._session.call(
                "rename-profile",
                lambda api: api.update_profile(profile_id, draft),
                finish,
                complain,
            )

        sheet.submitted.connect(submit)
        sheet.finished.connect(close)
        sheet.open()

    def delete(self, profile_id: str) -> None:
        """Move a profile to the trash, and offer to bring it back."""
        profile = self._mirror.profiles.get(profile_id)
        if profile is None:
            return

        def offer(_done: object) -> None:
            text = self.tr("Deleted {0}").format(profile.name)
            self.offered.emit(Offer(text, self.tr("Undo"), lambda: self.restore(profile_id)))

        server = self._mirror.servers.get(profile_id)
        is_active = server is not None and server.state.is_active
        if not is_active or may_stop_and_delete(self._window, profile.name):
            self._session.call("delete-profile", lambda api: _delete(api, profile_id), offer)

    def restore(self, profile_id: str) -> None:
        """Bring a deleted profile back, its file as it was."""
        self._session.call(
            "restore-profile", lambda api: api.restore_profile(profile_id), self.saved.emit
        )

    def import_file(self, path: str | Path) -> None:
        """Show what an exported file would bring, and import it if the user agrees."""
        self.transfer.import_files([Path(path)])

    def _open(
        self,
        profile: Profile,
        make_call: Callable[[ProfileDraft], Callable[[Api], Profile]],
    ) -> None:
        engine = self._mirror.engine
        if engine is None or not engine.runtimes:
            self.failed.emit(
                AppError(self.tr("There is no engine yet; wait until it has started."))
            )
            return
        if self.form is not None and not self.form.may_close():
            return
        self.close_form()
        models = sorted(self._mirror.models.values(), key=lambda m: m.name.casefold())
        fits = {m.id: fit for m in models if (fit := fit_of(m, self._mirror)) is not None}
        form = ProfileForm(engine.runtimes[0], profile, models, fits, self._window)
        self.form = form
        self._form_actions = FormActions(self._session, form)

        def on_saved(saved: Profile) -> None:
            # The form may have been closed while the engine was at work, and another one opened.
            if self.form is form:
                self.close_form()
            self.saved.emit(saved)

        def complain(error: AppError) -> None:
            if self.form is not form:
                self.failed.emit(error)
                return
            form.show_error(f"{error.message} {error.hint}".strip())
            if error.code is ErrorCode.STALE_REVISION:
                self._settle(form, profile, submit)

        def submit(draft: ProfileDraft) -> None:
            self._session.call("save-profile", make_call(draft), on_saved, complain)

        form.submitted.connect(submit)
        form.finished.connect(self.close_form)
        form.open()

    def _settle(
        self, form: ProfileForm, profile: Profile, submit: Callable[[ProfileDraft], None]
    ) -> None:
        """Ask whether the form or the file counts, which has changed meanwhile."""
        mine = keeps_mine(form, profile.name)
        if mine is True:
            submit(msgspec.structs.replace(form.draft(), revision=""))
        elif mine is False:
            self.close_form()
            self.edit(profile.id)

    def close_form(self, _result: object = None) -> None:
        """Close the form that is open, if there is one."""
        if self.form is not None:
            form, self.form = self.form, None
            form.done(ProfileForm.DialogCode.Accepted)
            form.deleteLater()

    def _new_policy(self) -> dict[str, bool | int | float | str]:
        engine = self._mirror.engine
        return dict(engine.new_policy) if engine is not None else {}

    def _model_name(self, model_id: str) -> str:
        model = self._mirror.models.get(model_id)
        name = model.name if model is not None else model_id.rpartition("/")[2]
        return self._free_name(name[:_LONGEST])

    def _free_name(self, base: str) -> str:
        taken = {p.name.casefold() for p in self._mirror.profiles.values()}
        name, number = base, 1
        while name.casefold() in taken:
            number += 1
            name = f"{base} {number}"
        return name


def _delete(api: Api, profile_id: str) -> None:
    """Delete a profile, after the end of its server if that runs; runs in a worker."""
    if any(server.id == profile_id and server.state.is_active for server in api.servers()):
        api.stop_server(profile_id)
        for _ in api.wait_settled(profile_id):
            pass
    api.delete_profile(profile_id)
