"""Shows in the memory strip what a profile or a model would take, while it is pointed at."""

from PySide6.QtCore import QEvent, QModelIndex, QObject, QTimer, Signal

from app.gui.guarded import guarded
from app.gui.mirror import Mirror
from app.gui.models.memory_plan import plan as plan_of
from app.gui.models.memory_plan import room_for
from app.gui.models.model_list import Role
from app.gui.models.profile_list import ID_ROLE
from app.gui.panels.memory_shares import Preview
from app.gui.panels.memory_strip import MemoryStrip
from app.gui.panels.servers_header import ServersHeader
from app.gui.widgets.list_view import ListView
from app.wire.fit import default_context
from app.wire.hub import Fit, Verdict
from app.wire.nouns import Model
from app.wire.plan import StartPlan

_ASK_AFTER_MS = 150
"""A pointer on its way through a list asks the engine nothing."""
_ENDS = (QEvent.Type.Hide, QEvent.Type.Leave)


class StartPreview(QObject):
    """Shows the fit of a model's row; of a profile first its model's, then the engine's plan.

    Listens to the lists of the picker, to Start, and to whoever calls `show_model`.
    """

    plan_wanted = Signal(object)  # str, a profile id; the answer goes to `take_plan`

    def __init__(self, mirror: Mirror, header: ServersHeader, strip: MemoryStrip) -> None:
        super().__init__(strip)
        self._mirror = mirror
        self._header = header
        self._strip = strip
        self._profile_id: str | None = None
        self._plans: dict[str, StartPlan] = {}
        self._ask = QTimer(self)
        self._ask.setSingleShot(True)
        self._ask.setInterval(_ASK_AFTER_MS)
        self._ask.timeout.connect(self._on_ask)
        picker = header.picker
        picker.highlighted.connect(self._on_row)
        matches = picker.completer()
        assert matches is not None, "the picker can be searched"  # noqa: S101 - by its kind
        popup = matches.popup()
        assert popup is not None, "a completer makes its popup when asked"  # noqa: S101 - by Qt
        self._matches = popup
        # The stubs know neither of its two signals of this name.
        matches.highlighted[QModelIndex].connect(self._on_match)  # pyright: ignore[reportIndexIssue, reportUnknownMemberType]
        for watched in (picker.view(), self._matches, header.start_button):
            watched.installEventFilter(self)
        # What was so before a change of a server or of the memory is no longer.
        mirror.server_changed.connect(self._plans.clear)
        mirror.profiles_changed.connect(self._plans.clear)

    def watch_models(self, view: ListView) -> None:
        """Show what the model in the row under the pointer would take."""

        def on_entered(index: QModelIndex) -> None:
            model = index.data(Role.MODEL)
            is_here = isinstance(model, Model)
            self.show_model(model.id if is_here else None, index.data(Role.FIT))

        view.entered.connect(on_entered)
        view.pointer_left.connect(lambda: self.show_model(None))

    def show_profile(self, profile_id: str | None) -> None:
        """Show what a profile would take; None ends it, and so does one that runs."""
        self._profile_id = profile_id
        self._ask.stop()
        self._strip.show_preview(self._preview(profile_id))
        if profile_id is not None and self._strip.preview() and profile_id not in self._plans:
            self._ask.start()

    def show_model(self, model_id: str | None, found: Fit | None = None) -> None:
        """Show what a model would take by its fit; None ends it."""
        self._profile_id = None
        self._ask.stop()
        model = None if model_id is None else self._mirror.models.get(model_id)
        preview = None
        if model is not None and not self._runs(model.id):
            preview = _preview_of(model.name, found)
        self._strip.show_preview(preview)

    def take_plan(self, plan: StartPlan) -> None:
        """Take the engine's own arithmetic."""
        self._plans[plan.profile] = plan
        if plan.profile == self._profile_id:
            self._strip.show_preview(self._preview(plan.profile))

    def _preview(self, profile_id: str | None) -> Preview | None:
        profile = None if profile_id is None else self._mirror.profiles.get(profile_id)
        if profile is None or self._mirror.is_stale:
            return None
        server = self._mirror.servers.get(profile.id)
        if server is not None and server.state.has_process:
            return None
        plan = self._plans.get(profile.id)
        if plan is not None and plan.needed_bytes is not None:
            is_too_big = plan.verdict is Verdict.TOO_BIG
            return Preview(profile.name, float(plan.needed_bytes), is_too_big, plan.sentence)
        model = self._mirror.models.get(profile.model)
        room = room_for(profile.model, self._mirror)
        if model is None or model.problem or model.shape is None or room is None:
            return None
        return _preview_of(profile.name, plan_of(model.shape, room, default_context(model.shape)))

    def _runs(self, model_id: str) -> bool:
        servers = self._mirror.servers.values()
        return any(s.model == model_id and s.state.has_process for s in servers)

    def _on_row(self, row: int) -> None:
        # Also told when a profile is chosen by the program.
        if not self._header.picker.view().isVisible():
            return
        index = self._header.picker.model().index(row, 0)
        self.show_profile(index.data(ID_ROLE))

    def _on_match(self, index: QModelIndex) -> None:
        if not self._matches.isVisible():
            return
        self.show_profile(index.data(ID_ROLE))

    def _on_ask(self) -> None:
        if self._profile_id is not None:
            self.plan_wanted.emit(self._profile_id)

    @guarded(False)
    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is self._header.start_button and event.type() is QEvent.Type.Enter:
            profile = self._header.picker.profile()
            self.show_profile(None if profile is None else profile.id)
        elif event.type() in _ENDS:
            self.show_profile(None)
        return False


def _preview_of(name: str, found: Fit | None) -> Preview | None:
    if found is None or found.needed_bytes is None:
        return None
    is_too_big = found.verdict is Verdict.TOO_BIG
    return Preview(name, float(found.needed_bytes), is_too_big, found.sentence)
