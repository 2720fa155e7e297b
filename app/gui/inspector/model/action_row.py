"""What can be done with a model now: one main button, one other, and a menu with the rest."""

import sys

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QMenu, QPushButton, QWidget

from app.gui import format as fmt
from app.gui.inspector.model.wishes import ModelWish, Wish
from app.gui.models import download_text
from app.gui.models.subject import Subject
from app.gui.theme import theme
from app.gui.widgets import icons
from app.gui.widgets.button_icon import set_button_icon
from app.gui.widgets.elided_label import ElidedLabel
from app.gui.widgets.pill import Pill
from app.wire.nouns import ModelSource, ServerState

_ICON = 16
_SHORT_COMMIT = 8


class ActionRow(QWidget):
    """Buttons stay where they are while what they offer changes."""

    wish = Signal(object)  # Wish

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._subject = Subject("")
        self._is_live = True
        self._is_local = False
        self._page = ""
        self._main_wish = ModelWish.DOWNLOAD
        self._other_wish = ModelWish.DOWNLOAD_AND_RUN
        self.main = QPushButton(self)
        self.main.setProperty("kind", "primary")
        self.main.clicked.connect(lambda: self._emit(self._main_wish))
        self.other = QPushButton(self)
        self.other.clicked.connect(lambda: self._emit(self._other_wish))
        self.pill = Pill(theme().font("label"), self)
        self.state = ElidedLabel(theme().font("secondary"), parent=self)
        self.hub_page = self._flat(self.tr("Open on Hugging Face"))
        self.hub_page.clicked.connect(lambda: self.wish.emit(Wish(ModelWish.OPEN_PAGE, self._page)))
        self.more = self._flat(self.tr("More"))
        self.more.clicked.connect(self._show_menu)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        row.addWidget(self.pill, 0, Qt.AlignmentFlag.AlignVCenter)
        row.addWidget(self.state, 1)
        row.addWidget(self.main)
        row.addWidget(self.other)
        row.addStretch()
        row.addWidget(self.hub_page)
        row.addWidget(self.more)
        theme().changed.connect(self._dress)

    def show_subject(self, subject: Subject, page: str, *, is_live: bool, is_local: bool) -> None:
        """Offer what fits to a model; `page` is its address on the hub, empty without one.

        is_local: the engine's disk is this computer's.
        """
        self._subject, self._page = subject, page
        self._is_live, self._is_local = is_live, is_local
        self.hub_page.setVisible(bool(page))
        if subject.download is not None:
            self._show_download(subject)
        elif subject.model is not None:
            self._show_installed(subject)
        else:
            self._show_offer(subject)
        self._dress()

    def _show_download(self, subject: Subject) -> None:
        download = subject.download
        if download is None:
            return
        text = download_text.percent(download) or self.tr("Download")
        is_bad = download.failure is not None
        ink, tint = ("bad", "bads") if is_bad else ("acc", "accs")
        self.pill.set_state(text, theme().color(ink), theme().color(tint))
        self.state.setText(download_text.line(download))
        self._show_buttons(main=False, other=False, pill=True, state=True)

    def _show_installed(self, subject: Subject) -> None:
        server = next(iter(subject.servers), None)
        self._main_wish, self._other_wish = ModelWish.RUN, ModelWish.NEW_PROFILE
        self.main.setText(self.tr("Run"))
        self.other.setText(self.tr("New profile…"))
        problem = subject.model.problem if subject.model is not None else None
        self.main.setToolTip(problem or self.tr("Start it with safe settings"))
        self.other.setToolTip(problem or "")
        is_usable = self._is_live and not problem
        self.main.setEnabled(is_usable)
        may_suit = subject.model is not None and subject.model.needs_python
        self.other.setEnabled(is_usable or (self._is_live and may_suit))
        if server is not None:
            starts = server.state in (ServerState.STARTING, ServerState.BACKING_OFF)
            word = self.tr("Starting") if starts else self.tr("Running")
            if server.state is ServerState.STOPPING:
                word = self.tr("Stopping")
            ink, tint = ("warn", "warns") if not server.state.serves else ("ok", "oks")
            self.pill.set_state(word, theme().color(ink), theme().color(tint))
        self._show_buttons(main=server is None, other=True, pill=server is not None, state=False)

    def _show_offer(self, subject: Subject) -> None:
        hub = subject.hub
        is_refused = hub is not None and hub.supported is False
        self._main_wish, self._other_wish = ModelWish.DOWNLOAD, ModelWish.DOWNLOAD_AND_RUN
        self.main.setText(self.tr("Download"))
        self.other.setText(self.tr("Download and run"))
        size = fmt.file_size(hub.size_bytes) if hub is not None and hub.size_bytes else ""
        self.main.setToolTip(self.tr("Download {}").format(size) if size else "")
        self.other.setToolTip(self.tr("Starts by itself when the download has ended"))
        for button in (self.main, self.other):
            button.setEnabled(self._is_live and hub is not None)
        self._show_buttons(main=True, other=not is_refused, pill=False, state=False)

    def _show_buttons(self, *, main: bool, other: bool, pill: bool, state: bool) -> None:
        for widget, is_shown in (
            (self.main, main), (self.other, other), (self.pill, pill), (self.state, state),
        ):  # fmt: skip
            widget.setVisible(is_shown)

    def menu(self) -> QMenu:
        """Return the menu behind More."""
        subject = self._subject
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._add(menu, self.tr("Copy id"), ModelWish.COPY_ID)
        model = subject.model
        self._add_revisions(menu)
        if model is None:
            return menu
        if self._is_local:
            is_mac = sys.platform == "darwin"
            text = self.tr("Reveal in Finder") if is_mac else self.tr("Reveal in folder")
            self._add(menu, text, ModelWish.REVEAL, model.path)
        is_free = self._is_live and subject.download is None
        if model.source is ModelSource.HUB:
            is_checked = model.check is not None and model.check.state.is_active
            text = self.tr("Verify files")
            self._add(menu, text, ModelWish.CHECK, is_enabled=is_free and not is_checked)
            if model.is_damaged:
                text = self.tr("Forget what the check found")
                self._add(menu, text, ModelWish.END_CHECK, is_enabled=is_free)
            if subject.is_outdated:
                text = self.tr("Download the newer version")
                self._add(menu, text, ModelWish.UPDATE, is_enabled=is_free)
        if model.source is not ModelSource.DEMO:
            menu.addSeparator()
            self._add(menu, self.tr("Delete…"), ModelWish.DELETE, is_enabled=is_free)
        return menu

    def _add_revisions(self, menu: QMenu) -> None:
        others = self._subject.other_revisions
        # Of one that is here, `main` would stay the one that is used.
        if not others or self._subject.model is not None:
            return
        choices = menu.addMenu(self.tr("Download revision"))
        choices.setEnabled(self._is_live and self._subject.download is None)
        for one in others:
            text = f"{one.name} · {one.commit[:_SHORT_COMMIT]}".replace("&", "&&")
            self._add(choices, text, ModelWish.DOWNLOAD, f"{self._subject.id}@{one.name}")

    def _add(
        self,
        menu: QMenu,
        text: str,
        kind: ModelWish,
        subject: str = "",
        *,
        is_enabled: bool = True,
    ) -> None:
        wish = Wish(kind, subject or self._subject.id)
        action = menu.addAction(text)
        action.setEnabled(is_enabled)
        action.triggered.connect(lambda: self.wish.emit(wish))

    def _show_menu(self) -> None:
        below = self.more.rect().bottomLeft()
        self.menu().popup(self.more.mapToGlobal(below))

    def _emit(self, kind: ModelWish) -> None:
        self.wish.emit(Wish(kind, self._subject.id))

    def _flat(self, text: str) -> QPushButton:
        button = QPushButton(self)
        button.setProperty("kind", "flat")
        button.setFixedSize(28, 28)
        button.setIconSize(QSize(_ICON, _ICON))
        button.setToolTip(text)
        button.setAccessibleName(text)
        return button

    def _dress(self) -> None:
        tokens = theme().tokens
        self.hub_page.setIcon(icons.icon("external-link", tokens.tx2))
        self.more.setIcon(icons.icon("ellipsis", tokens.tx2))
        self.state.set_colour(theme().color("tx2"))
        is_run = self._main_wish is ModelWish.RUN
        ink = tokens.on_fill if self.main.isEnabled() else tokens.tx3
        set_button_icon(self.main, "play" if is_run else "download", ink)
