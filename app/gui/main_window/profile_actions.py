"""What the window does with profiles: run a model, edit, create and delete profiles."""

from collections.abc import Callable

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QWidget

from app.gui.dialogs.profile_form import ProfileForm
from app.gui.main_window.questions import may_delete
from app.gui.main_window.session import Session
from app.gui.workers.door import Api
from app.wire.errors import AppError
from app.wire.nouns import Profile, ProfileDraft


class ProfileActions(QObject):
    """Opens forms and turns their result into calls of the engine."""

    failed = Signal(object)  # AppError
    saved = Signal(object)  # Profile

    def __init__(self, session: Session, window: QWidget) -> None:
        super().__init__(window)
        self._session = session
        self._mirror = session.mirror
        self._window = window
        self.form: ProfileForm | None = None

    def run_model(self, model_id: str) -> None:
        """Start a profile of this model; makes one with safe defaults if there is none."""
        for profile in self._mirror.profiles.values():
            if profile.model == model_id and profile.fault is None:
                self._session.start(profile.id)
                return
        draft = ProfileDraft(name=self._free_name(model_id), model=model_id)

        def start(profile: Profile) -> None:
            self.saved.emit(profile)
            self._session.start(profile.id)

        self._session.call("create-profile", lambda api: api.create_profile(draft), start)

    def create(self, model_id: str | None = None) -> None:
        """Open an empty form, or one for this model."""
        profile = None
        if model_id is not None:
            profile = Profile(id="", name=self._free_name(model_id), model=model_id)
        self._open(profile, lambda draft: lambda api: api.create_profile(draft))

    def edit(self, profile_id: str) -> None:
        """Open the form of a profile."""
        profile = self._mirror.profiles.get(profile_id)
        if profile is not None:
            self._open(profile, lambda draft: lambda api: api.update_profile(profile_id, draft))

    def delete(self, profile_id: str) -> None:
        """Ask once, then move the profile to the trash."""
        profile = self._mirror.profiles.get(profile_id)
        if profile is not None and may_delete(self._window, profile.name):
            self._session.call("delete-profile", lambda api: api.delete_profile(profile_id))

    def _open(
        self,
        profile: Profile | None,
        make_call: Callable[[ProfileDraft], Callable[[Api], Profile]],
    ) -> None:
        engine = self._mirror.engine
        if engine is None or not engine.runtimes:
            self.failed.emit(
                AppError(self.tr("There is no engine yet; wait until it has started."))
            )
            return
        self.close_form()
        models = sorted(self._mirror.models.values(), key=lambda m: m.name.casefold())
        form = ProfileForm(engine.runtimes[0], profile, models, self._window)
        self.form = form

        def on_saved(saved: Profile) -> None:
            self.close_form()
            self.saved.emit(saved)

        def submit(draft: ProfileDraft) -> None:
            self._session.call(
                "save-profile",
                make_call(draft),
                on_saved,
                lambda error: form.show_error(f"{error.message} {error.hint}".strip()),
            )

        form.submitted.connect(submit)
        form.finished.connect(self.close_form)
        form.open()

    def close_form(self, _result: object = None) -> None:
        """Close the form that is open, if there is one."""
        if self.form is not None:
            form, self.form = self.form, None
            form.close()
            form.deleteLater()

    def _free_name(self, model_id: str) -> str:
        model = self._mirror.models.get(model_id)
        base = (model.name if model is not None else model_id.rpartition("/")[2])[:70]
        taken = {p.name.casefold() for p in self._mirror.profiles.values()}
        name, number = base, 1
        while name.casefold() in taken:
            number += 1
            name = f"{base} {number}"
        return name
