"""The files of a model."""

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QPushButton, QWidget

from app.gui import format as fmt
from app.gui.inspector.model.section import Section
from app.gui.widgets.file_rows import FileRows
from app.wire.hub import HubFile

_FIRST = 10


class FilesSection(Section):
    """The largest ones first, and all of them on request."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Files", parent)
        self.heading.setText(self.tr("Files"))
        self._files: tuple[HubFile, ...] = ()
        self._shows_all = False
        self.rows = FileRows(self)
        self.button = QPushButton(self)
        self.button.setProperty("kind", "flat")
        self.button.clicked.connect(self._show_all)
        self.body.setSpacing(4)
        self.body.addWidget(self.rows)
        self.body.addWidget(self.button, 0, Qt.AlignmentFlag.AlignLeft)
        self.hide()

    def show_files(self, files: tuple[HubFile, ...]) -> None:
        """List these files, largest first."""
        if files == self._files:
            return
        self._files = files
        self.setVisible(bool(files))
        sizes = [file.size_bytes for file in files]
        is_whole = all(size is not None for size in sizes)
        total = fmt.file_size(sum(size or 0 for size in sizes)) if is_whole else fmt.UNKNOWN
        self.aside.setText(self.tr("{count} · {size}").format(count=len(files), size=total))
        self._fill()

    def _fill(self) -> None:
        count = len(self._files)
        is_long = count > _FIRST + 1
        is_cut = is_long and not self._shows_all
        self.rows.show_files(self._files[:_FIRST] if is_cut else self._files)
        self.button.setText(self.tr("Show all {}").format(count))
        self.button.setVisible(is_cut)

    def _show_all(self) -> None:
        self._shows_all = True
        self._fill()
        self.rows.setFocus()
