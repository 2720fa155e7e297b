"""Links and profile files from outside: asks before anything happens, then does it."""

import logging

from PySide6.QtCore import QCoreApplication, QObject, Signal
from PySide6.QtWidgets import QWidget

from app.gui import links
from app.gui.links import Link, Verb
from app.gui.mirror import LinkState, Mirror
from app.gui.widgets.question import Question
from app.wire.errors import AppError, ErrorCode
from app.wire.nouns import Profile

_log = logging.getLogger("gui")
_MOST_WAITING = 8
"""A page that sends more is not served by a row of questions."""


def _tr(text: str) -> str:
    return QCoreApplication.translate("links", text)


class LinkActions(QObject):
    """Takes targets as they come, also before the engine is there, and one at a time."""

    arrived = Signal()
    failed = Signal(object)  # AppError
    told = Signal(object)  # str
    download_requested = Signal(object)  # str, a hub id
    start_requested = Signal(object)  # str, the id of a profile
    profile_file_opened = Signal(object)  # str, a path

    def __init__(self, mirror: Mirror, window: QWidget) -> None:
        super().__init__(window)
        self._mirror = mirror
        self._window = window
        self._waiting: list[str] = []
        self._is_asking = False
        mirror.link_changed.connect(self._go_on)

    def open(self, targets: list[str]) -> None:
        """Follow these links and files as soon as the engine can be heard; emits `arrived`."""
        self.arrived.emit()
        for target in targets:
            if len(self._waiting) < _MOST_WAITING and target not in self._waiting:
                self._waiting.append(target)
            else:
                _log.warning("a link was dropped: the same or too many are waiting")
        self._go_on()

    def _go_on(self, _state: object = None) -> None:
        # A question runs the event loop, in which more may come.
        while self._waiting and not self._is_asking and self._mirror.link is LinkState.LIVE:
            self._is_asking = True
            try:
                self._follow(self._waiting.pop(0))
            except AppError as error:
                self.failed.emit(error)
            finally:
                self._is_asking = False

    def _follow(self, target: str) -> None:
        if links.is_profile_file(target):
            self.profile_file_opened.emit(target)
            return
        link = links.parse_link(target)
        match link.verb:
            case Verb.DOWNLOAD:
                self._download(link)
            case Verb.START:
                self._start(link)
            case Verb.OPEN:
                # The window is there already.
                pass

    def _download(self, link: Link) -> None:
        if link.target in self._mirror.models:
            self.told.emit(_tr("{0} is on this disk already.").format(link.target))
        elif link.target in self._mirror.downloads:
            self.told.emit(_tr("{0} is being downloaded already.").format(link.target))
        elif _may_download(self._window, link.target):
            self.download_requested.emit(link.target)

    def _start(self, link: Link) -> None:
        profile = self._mirror.profiles.get(link.target)
        if profile is None:
            raise AppError(
                _tr("A link asks for the profile “{0}”, which is not here.").format(link.target),
                code=ErrorCode.NOT_FOUND,
            )
        server = self._mirror.servers.get(profile.id)
        if server is not None and server.state.is_active:
            self.told.emit(_tr("{0} runs already.").format(profile.name))
        elif _may_start(self._window, profile):
            self.start_requested.emit(profile.id)


def _may_download(window: QWidget, model: str) -> bool:
    box = Question(window, _tr("Open link"), "download")
    box.setText(_tr("Download {model}?").format(model=model))
    box.setInformativeText(
        _tr(
            "A link asks for this model of Hugging Face. "
            "It goes to your model folder; you can pause and cancel it."
        )
    )
    return box.ask(_tr("Download"), is_default=False)


def _may_start(window: QWidget, profile: Profile) -> bool:
    box = Question(window, _tr("Open link"), "server")
    box.setText(_tr("Start {profile}?").format(profile=profile.name))
    box.setInformativeText(
        _tr("A link asks for it. It loads {model} into memory.").format(model=profile.model)
    )
    return box.ask(_tr("Start"), is_default=False)
