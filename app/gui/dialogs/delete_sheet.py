"""The question before a model is deleted: which copies, what each gives back, and who needs it."""

from pathlib import Path, PurePath

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QDialog,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from app.gui import format as fmt
from app.gui.models.subject import names
from app.gui.theme import theme
from app.gui.widgets.note_line import NoteLine
from app.wire.storage import Removal, RemovalPart

_WIDTH = 480
_INDENT = 32


class DeleteSheet(QDialog):
    """Offers every copy of a model; Enter agrees only to what the trash can give back."""

    agreed = Signal(object)  # list[str]: the folders to delete

    def __init__(self, removal: Removal, place: str, parent: QWidget | None = None) -> None:
        """`place` is the other computer that the model is on, "" for this one."""
        super().__init__(parent)
        self._removal = removal
        self.setWindowTitle(self.tr("Delete model"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        question = self.tr("Delete {0} from {1}?") if place else self.tr("Delete {0}?")
        title = _label(question.format(removal.name, place), "name", self)
        self.ticks: list[QCheckBox] = []
        self.texts: list[QLabel] = []
        self.note = NoteLine("warn", self)
        self.button = QPushButton(self)
        self.button.clicked.connect(self._on_agreed)
        self.cancel = QPushButton(self.tr("Cancel"), self)
        self.cancel.clicked.connect(self.reject)
        column = QVBoxLayout(self)
        column.setContentsMargins(20, 18, 20, 18)
        column.setSpacing(10)
        column.addWidget(title)
        for part in removal.parts:
            column.addLayout(self._place(part))
        column.addWidget(self.note)
        column.addSpacing(6)
        foot = QHBoxLayout()
        foot.setSpacing(8)
        foot.addStretch()
        foot.addWidget(self.cancel)
        foot.addWidget(self.button)
        column.addLayout(foot)
        self.setFixedWidth(_WIDTH)
        self._refresh()

    def _place(self, part: RemovalPart) -> QVBoxLayout:
        size = fmt.file_size(part.size_bytes)
        if part.to_trash:
            text = self.tr("{} go to the trash and are free when that is emptied.")
        else:
            text = self.tr("{} are free at once. It can only be downloaded again.")
        path = _label(readable(part.path), "body", self)
        path.setToolTip(part.path)
        what = _label(text.format(size), "secondary", self)
        what.setObjectName("settingHelp")
        self.texts += [path, what]
        lines = QVBoxLayout()
        lines.setSpacing(2)
        if len(self._removal.parts) == 1:
            lines.addWidget(path)
            lines.addWidget(what)
            return lines
        tick = QCheckBox(self)
        tick.setObjectName("importTick")
        tick.setChecked(True)
        tick.setAccessibleName(path.text())
        tick.setAccessibleDescription(what.text())
        tick.toggled.connect(self._refresh)
        self.ticks.append(tick)
        head = QHBoxLayout()
        head.setSpacing(8)
        head.addWidget(tick, 0, Qt.AlignmentFlag.AlignTop)
        head.addWidget(path, 1)
        what.setContentsMargins(_INDENT, 0, 0, 0)
        lines.addLayout(head)
        lines.addWidget(what)
        return lines

    def _chosen(self) -> list[RemovalPart]:
        parts = self._removal.parts
        return [p for n, p in enumerate(parts) if not self.ticks or self.ticks[n].isChecked()]

    def _refresh(self, _checked: object = None) -> None:
        chosen, profiles = self._chosen(), self._removal.profiles
        is_safe = bool(chosen) and all(part.to_trash for part in chosen) and not profiles
        text = self.tr("Move to trash") if is_safe else self.tr("Delete")
        self.button.setText(self.tr("Delete anyway") if profiles else text)
        self.button.setProperty("kind", "primary" if is_safe else "danger")
        self.button.style().unpolish(self.button)
        self.button.style().polish(self.button)
        self.button.setEnabled(bool(chosen))
        for button, is_default in ((self.button, is_safe), (self.cancel, not is_safe)):
            button.setAutoDefault(is_default)
            button.setDefault(is_default)
        (self.button if is_safe else self.cancel).setFocus()
        self.note.say(self._warning(is_whole=len(chosen) == len(self._removal.parts)))
        if (layout := self.layout()) is not None:
            self.setFixedHeight(layout.totalHeightForWidth(_WIDTH))

    def _warning(self, *, is_whole: bool) -> str:
        profiles = self._removal.profiles
        if not profiles:
            return ""
        one, more = self.tr("The profile {} uses it."), self.tr("The profiles {} use it.")
        text = (one if len(profiles) == 1 else more).format(names(profiles))
        if not is_whole:
            return text
        one, more = self.tr("It cannot start without it."), self.tr("They cannot start without it.")
        return f"{text} {one if len(profiles) == 1 else more}"

    def _on_agreed(self) -> None:
        self.agreed.emit([part.path for part in self._chosen()])
        self.accept()


def readable(place: str) -> str:
    """Return a folder as people know it: of a hub's cache the model's, below home with a tilde."""
    folder = PurePath(place)
    if folder.parent.name == "snapshots":
        folder = folder.parent.parent
    home = Path.home()
    return str("~" / folder.relative_to(home)) if folder.is_relative_to(home) else str(folder)


def _label(text: str, font: str, parent: QWidget) -> QLabel:
    label = QLabel(text, parent)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setFont(theme().font(font))
    label.setWordWrap(True)
    policy = QSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
    policy.setHeightForWidth(True)
    label.setSizePolicy(policy)
    return label
