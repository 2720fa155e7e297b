"""Asks for the key of an engine, or for the address and key of another one."""

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from app.gui.dialogs.engine_list import EngineList
from app.gui.models.engine_choice import EngineChoice
from app.gui.theme import theme
from app.gui.widgets import icons

_WIDTH = 460
_AFTER_BOX = 22
_WHICH_KEY = (
    "The MLX_MANAGER_API_KEY of that computer, or a named key made there in Settings, "
    "Network & keys."
)


class ConnectDialog(QDialog):
    """Emits `submitted` with (address, key, remember); stays open until it is closed from outside.

    With a fixed address it asks only for the key.
    """

    submitted = Signal(object)  # tuple[str, str, bool]
    look_requested = Signal()
    """The user wants to see which engines answer on the local network."""

    def __init__(self, *, url: str | None, message: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._fixed_url = url
        self.setWindowTitle(self.tr("API key") if url else self.tr("Connect to an engine"))
        self.setModal(True)
        self.setFixedWidth(_WIDTH)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 22, 24, 20)
        layout.setSpacing(10)
        layout.addLayout(self._heading(message))
        self._address = QLineEdit()
        self._address.setPlaceholderText("http://mac-studio.local:8798")
        self._address.setAccessibleName(self.tr("Address of the engine"))
        self.engines = EngineList(self)
        self.engines.chosen.connect(self._address.setText)
        self.engines.accepted.connect(self._submit)
        self.engines.look_requested.connect(self.look_requested)
        self.engines.setVisible(url is None)
        if url is None:
            layout.addWidget(self.engines)
            layout.addWidget(QLabel(self.tr("Address")))
            layout.addWidget(self._address)
        layout.addWidget(QLabel(self.tr("Key")))
        layout.addLayout(self._key_row())
        layout.addWidget(self._hint(self.tr(_WHICH_KEY)))
        layout.addSpacing(2)
        self._remember = QCheckBox(self.tr("Remember the key"))
        self._remember.setChecked(True)
        layout.addWidget(self._remember)
        self._place = self._hint("")
        # Below the words of the box, not below its mark.
        self._place.setContentsMargins(_AFTER_BOX, 0, 0, 0)
        self._place.hide()
        layout.addWidget(self._place)
        self._error = QLabel()
        self._error.setWordWrap(True)
        self._error.setStyleSheet(f"color: {theme().tokens.bad};")
        self._error.hide()
        layout.addWidget(self._error)
        layout.addSpacing(6)
        layout.addLayout(self._buttons())
        self._fit()
        (self._key if url else self._address).setFocus()

    def show_error(self, message: str, *, is_key: bool = True) -> None:
        """Say why it did not work, the key or the address, and let the user try again."""
        self._error.setText(message)
        self._error.show()
        self._fit()
        self._connect.setEnabled(True)
        field = self._key if is_key or self._fixed_url else self._address
        field.selectAll()
        field.setFocus()

    def show_place(self, place: str) -> None:
        """Say where the key will be kept, as in "in the keychain"."""
        self._place.setText(self.tr("It is kept {}.").format(place))
        self._place.show()
        self._fit()

    def set_recent(self, recent: Sequence[EngineChoice]) -> None:
        """Offer the engines of the last times."""
        self.engines.set_recent(recent)
        self._fit()

    def show_nearby(self, found: Sequence[EngineChoice]) -> None:
        """Offer the engines that answered on the local network."""
        self.engines.add_nearby(found)
        self._fit()

    def show_no_nearby(self, sentence: str) -> None:
        """Say why nobody could be asked on the local network."""
        self.engines.show_trouble(sentence)
        self._fit()

    def _fit(self) -> None:
        """Take the height that the wrapped texts need; the size hint of a dialog ignores it."""
        if (layout := self.layout()) is not None:
            if (inner := self.engines.layout()) is not None:
                inner.invalidate()
                self.engines.setFixedHeight(inner.totalSizeHint().height())
            layout.invalidate()
            layout.activate()
            self.setFixedHeight(layout.totalHeightForWidth(_WIDTH))

    def _heading(self, message: str) -> QHBoxLayout:
        picture = QLabel()
        picture.setPixmap(icons.pixmap("key", theme().color("acc").name(), 28, 2.0))
        title = QLabel(self.windowTitle())
        title.setFont(theme().font("tile"))
        text = QLabel(message)
        text.setWordWrap(True)
        text.setStyleSheet(f"color: {theme().tokens.tx2};")
        words = QVBoxLayout()
        words.setSpacing(3)
        words.addWidget(title)
        words.addWidget(text)
        heading = QHBoxLayout()
        heading.setSpacing(14)
        heading.addWidget(picture, 0, Qt.AlignmentFlag.AlignTop)
        heading.addLayout(words, 1)
        return heading

    def _hint(self, text: str) -> QLabel:
        label = QLabel(text)
        label.setObjectName("settingHelp")
        label.setFont(theme().font("secondary"))
        label.setTextFormat(Qt.TextFormat.PlainText)
        label.setWordWrap(True)
        return label

    def _key_row(self) -> QHBoxLayout:
        self._key = QLineEdit()
        self._key.setEchoMode(QLineEdit.EchoMode.Password)
        self._key.setAccessibleName(self.tr("API key"))
        self._key.setAccessibleDescription(self.tr(_WHICH_KEY))
        if self._fixed_url is None:
            self._key.setPlaceholderText(self.tr("Only if the engine wants one"))
        self._show = QPushButton(self.tr("Show"))
        self._show.setCheckable(True)
        self._show.toggled.connect(self._on_show_toggled)
        row = QHBoxLayout()
        row.addWidget(self._key, 1)
        row.addWidget(self._show)
        return row

    def _buttons(self) -> QHBoxLayout:
        cancel = QPushButton(self.tr("Cancel"))
        cancel.clicked.connect(self.reject)
        self._connect = QPushButton(self.tr("Connect"))
        self._connect.setProperty("kind", "primary")
        self._connect.setDefault(True)
        self._connect.clicked.connect(self._submit)
        row = QHBoxLayout()
        row.addStretch(1)
        row.addWidget(cancel)
        row.addWidget(self._connect)
        return row

    def _on_show_toggled(self, shown: bool) -> None:
        mode = QLineEdit.EchoMode.Normal if shown else QLineEdit.EchoMode.Password
        self._key.setEchoMode(mode)
        self._show.setText(self.tr("Hide") if shown else self.tr("Show"))

    def _submit(self) -> None:
        url = self._fixed_url or self._address.text().strip()
        key = self._key.text().strip()
        if not url:
            message = self.tr("Type the address of the engine, such as http://host:8798.")
            self.show_error(message, is_key=False)
            return
        if self._fixed_url and not key:
            self.show_error(self.tr("Type the key."))
            return
        if "://" not in url:
            url = f"http://{url}"
        self._error.hide()
        self._fit()
        self._connect.setEnabled(False)
        self.submitted.emit((url, key, self._remember.isChecked()))
