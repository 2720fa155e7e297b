"""What an open profile form asks the engine: the command, what is wrong, and whether it fits."""

from PySide6.QtCore import QObject

from app.gui.dialogs.profile_form import ProfileForm
from app.gui.main_window.session import Session
from app.wire.errors import AppError
from app.wire.hub import Fit
from app.wire.nouns import ProfileDraft
from app.wire.portable import LaunchPreview


class FormActions(QObject):
    """Answers the questions of one form; belongs to it. Of several answers the last one counts."""

    def __init__(self, session: Session, form: ProfileForm) -> None:
        super().__init__(form)
        self._session = session
        self._form: ProfileForm | None = form
        self._asked = 0
        form.draft_changed.connect(self._preview)
        form.model_chosen.connect(self._ask_fit)
        form.finished.connect(self._end)
        form.ask()

    def _end(self, _result: int) -> None:
        self._form = None

    def _preview(self, draft: ProfileDraft) -> None:
        if self._session.door is None:
            return
        self._asked += 1
        number = self._asked

        def show(preview: LaunchPreview) -> None:
            if self._form is not None and number == self._asked:
                self._form.show_preview(preview)

        self._session.call(
            "preview-profile", lambda api: api.preview_profile(draft), show, self._ignore
        )

    def _ask_fit(self, model_id: str) -> None:
        if self._session.door is None or model_id not in self._session.mirror.models:
            return

        def show(fit: Fit) -> None:
            if self._form is not None:
                self._form.show_fit(model_id, fit)

        self._session.call("model-fit", lambda api: api.model_fit(model_id), show, self._ignore)

    def _ignore(self, _error: AppError) -> None:
        """Leave the form as it is: what matters is said when it is saved."""
