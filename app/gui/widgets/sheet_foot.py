"""The foot of a sheet: what is wrong, Cancel, and the button that does it."""

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QFrame, QHBoxLayout, QLabel, QPushButton

from app.gui.theme import theme

_SIDE = 20


def sheet_foot(sheet: QDialog, error: QLabel, cancel: QPushButton, act: QPushButton) -> QFrame:
    """Return the foot with these, ready to use.

    Cancel rejects the sheet, Return means `act`.
    """
    error.setObjectName("settingError")
    error.setTextFormat(Qt.TextFormat.PlainText)
    error.setWordWrap(True)
    error.setFont(theme().font("secondary"))
    cancel.setAutoDefault(False)
    cancel.clicked.connect(sheet.reject)
    act.setProperty("kind", "primary")
    act.setDefault(True)
    foot = QFrame(sheet)
    foot.setObjectName("profileFormFoot")
    row = QHBoxLayout(foot)
    row.setContentsMargins(_SIDE, 12, _SIDE, 12)
    row.setSpacing(8)
    row.addWidget(error, 1)
    row.addWidget(cancel)
    row.addWidget(act)
    return foot
