"""Colours, fonts and the one style sheet of the app, light and dark."""

import sys
from typing import Final, NamedTuple

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontDatabase, QGuiApplication, QPalette
from PySide6.QtWidgets import QApplication

from app import paths


class Tokens(NamedTuple):
    """The palette. Every text colour has a contrast of at least 4.5 on its own ground."""

    win: str
    side: str
    card: str
    field: str
    line: str
    line2: str
    tx: str
    tx2: str
    tx3: str
    acc: str
    fill: str
    fill_hover: str
    fill_press: str
    on_fill: str
    accs: str
    ok: str
    oks: str
    warn: str
    warns: str
    bad: str
    bads: str
    track: str
    chip: str
    hover: str
    press: str
    trough: str
    memory: str
    cpu: str
    gpu: str
    tokens: str
    other: str


LIGHT: Final = Tokens(
    win="#F4F4F6", side="#EAEBEE", card="#FFFFFF", field="#FFFFFF", line="#E0E1E6",
    line2="#D0D2D9", tx="#1A1B1F", tx2="#5F636B", tx3="#646973", acc="#0A5FD8", fill="#0A5FD8",
    fill_hover="#0852BC", fill_press="#07479F", on_fill="#FFFFFF", accs="#E3EDFD", ok="#15733E",
    oks="#E1F4E8", warn="#935200", warns="#FDF0DC", bad="#C4261D", bads="#FCE8E6",
    track="#E6E8EC", chip="#E6E8EC", hover="#F0F1F4", press="#E4E6EA", trough="#DDDFE4",
    memory="#0A66E8", cpu="#D9730D", gpu="#8A3FD1", tokens="#1B8A4B", other="#A5A9B2",
)  # fmt: skip
DARK: Final = Tokens(
    win="#1B1C1F", side="#222327", card="#292A2F", field="#1F2024", line="#383A40",
    line2="#4A4C54", tx="#F2F3F5", tx2="#A9ADB6", tx3="#9BA0AA", acc="#5AA2FF", fill="#1F6FEB",
    fill_hover="#1A64D8", fill_press="#1A5FCB", on_fill="#FFFFFF", accs="#1E3354", ok="#3FCB7C",
    oks="#1F3529", warn="#FFB457", warns="#3A301F", bad="#FF7B71", bads="#3B2425",
    track="#3A3C43", chip="#3A3C43", hover="#34363C", press="#3D3F46", trough="#17181A",
    memory="#4C9BFF", cpu="#FF9F45", gpu="#C083FF", tokens="#3FCB7C", other="#6B7079",
)  # fmt: skip

SERVER_COLOURS: Final = {
    "light": ("#0A66E8", "#8A3FD1", "#D9730D", "#1B8A4B", "#C2257A", "#0F8A94"),
    "dark": ("#4C9BFF", "#C083FF", "#FF9F45", "#3FCB7C", "#FF7BB8", "#3CC7D3"),
}
"""One colour for each server in the memory strip, in order of appearance."""

_WEIGHT = QFont.Weight
_ROLES: Final[dict[str, tuple[int, QFont.Weight]]] = {
    "page": (20, _WEIGHT.DemiBold),
    "tile": (15, _WEIGHT.DemiBold),
    "name": (13, _WEIGHT.DemiBold),
    "body": (13, _WEIGHT.Medium),
    "secondary": (12, _WEIGHT.Normal),
    "secondary_strong": (12, _WEIGHT.DemiBold),
    "label": (11, _WEIGHT.Medium),
    "label_strong": (11, _WEIGHT.DemiBold),
    "value": (19, _WEIGHT.DemiBold),
    "small_value": (13, _WEIGHT.DemiBold),
    "hint": (10, _WEIGHT.DemiBold),
}
"""Pixel size and weight by role."""


class Theme(QObject):
    """The app's one theme. Painters read `tokens` and repaint on `changed`."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.tokens = LIGHT
        self.mode = "system"
        self._fonts: dict[str, QFont] = {}

    @property
    def is_dark(self) -> bool:
        """True while the dark palette is in use."""
        return self.tokens is DARK

    def set_mode(self, mode: str) -> None:
        """Use `system`, `light` or `dark` from now on."""
        self.mode = mode
        self.refresh()

    def choose(self, mode: str) -> None:
        """Take the palette of a mode without applying it to the widgets that are there."""
        self.mode = mode
        hint = QGuiApplication.styleHints().colorScheme()
        dark = mode == "dark" or (mode == "system" and hint == Qt.ColorScheme.Dark)
        self.tokens = DARK if dark else LIGHT

    def refresh(self) -> None:
        """Apply the palette that mode and system ask for."""
        self.choose(self.mode)
        app = QApplication.instance()
        if isinstance(app, QApplication):
            app.setPalette(_palette(self.tokens))
            app.setFont(self.font("body"))
            app.setStyleSheet(style_sheet(self.tokens))
        self.changed.emit()

    def color(self, token: str) -> QColor:
        """Return the colour of a token such as `tx2`."""
        return QColor(getattr(self.tokens, token))

    def server_colour(self, index: int) -> QColor:
        """Return the colour of the n-th server."""
        colours = SERVER_COLOURS["dark" if self.is_dark else "light"]
        return QColor(colours[index % len(colours)])

    def font(self, role: str) -> QFont:
        """Return the font of a role (`page`, `tile`, `name`, `body`, ...), with tabular digits."""
        font = self._fonts.get(role)
        if font is None:
            pixels, weight = _ROLES[role]
            font = QFont(_family())
            font.setPixelSize(pixels)
            font.setWeight(weight)
            font.setFeature(QFont.Tag("tnum"), 1)
            self._fonts[role] = font
        return font


def _family() -> str:
    if sys.platform == "darwin":
        return QFontDatabase.systemFont(QFontDatabase.SystemFont.GeneralFont).family()
    return "Inter" if "Inter" in QFontDatabase.families() else "DejaVu Sans"


def _palette(t: Tokens) -> QPalette:
    palette = QPalette()
    role = QPalette.ColorRole
    for colour_role, token in (
        (role.Window, t.win), (role.Base, t.field), (role.AlternateBase, t.side),
        (role.WindowText, t.tx), (role.Text, t.tx), (role.ButtonText, t.tx),
        (role.Button, t.card), (role.ToolTipBase, t.card), (role.ToolTipText, t.tx),
        (role.PlaceholderText, t.tx3), (role.Highlight, t.fill), (role.HighlightedText, t.on_fill),
        (role.Link, t.acc), (role.Mid, t.line2), (role.Midlight, t.line), (role.Light, t.card),
        (role.Dark, t.line2), (role.Shadow, t.line2),
    ):  # fmt: skip
        palette.setColor(colour_role, QColor(token))
    for colour_role in (role.WindowText, role.Text, role.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, colour_role, QColor(t.tx3))
    return palette


# ruff: noqa: E501 - a rule of the style sheet reads best on one line
def style_sheet(t: Tokens) -> str:
    """Return the style sheet of the app. Rules are scoped by object name or property."""
    return f"""
QToolTip {{ background: {t.card}; color: {t.tx}; border: 1px solid {t.line2}; padding: 4px 6px; }}
/* Qt's own balloon, where the desktop shows no notifications, is light yellow in any look. */
QBalloonTip QLabel {{ color: {LIGHT.tx}; }}
QBalloonTip QPushButton {{ background: transparent; border: none; padding: 0; min-height: 0; }}
QPushButton {{
    background: {t.card}; color: {t.tx}; border: 1px solid {t.line2}; border-radius: 7px;
    padding: 0 12px; min-height: 26px; max-height: 26px;
}}
QPushButton:hover {{ background: {t.hover}; }}
QPushButton:pressed {{ background: {t.press}; }}
QPushButton:focus {{ border: 2px solid {t.acc}; padding: 0 11px; min-height: 24px; max-height: 24px; }}
QPushButton:disabled {{ color: {t.tx3}; background: transparent; border-color: {t.line}; }}
QPushButton[kind="primary"] {{ background: {t.fill}; color: {t.on_fill}; border-color: {t.fill}; }}
QPushButton[kind="primary"]:hover {{ background: {t.fill_hover}; border-color: {t.fill_hover}; }}
QPushButton[kind="primary"]:pressed {{ background: {t.fill_press}; border-color: {t.fill_press}; }}
QPushButton[kind="primary"]:focus {{ border: 2px solid {t.tx}; }}
QPushButton[kind="primary"]:disabled {{ background: {t.track}; color: {t.tx3}; border-color: {t.track}; }}
QPushButton[kind="danger"] {{ color: {t.bad}; border-color: {t.bad}; }}
QPushButton[kind="danger"]:hover {{ background: {t.bads}; }}
QPushButton[kind="danger"]:focus {{ border: 2px solid {t.bad}; }}
QPushButton[kind="danger"]:disabled {{ color: {t.tx3}; border-color: {t.line2}; }}
QPushButton[kind="flat"] {{ background: transparent; border: 1px solid transparent; padding: 0 5px; }}
QPushButton[kind="flat"]:hover {{ background: {t.hover}; }}
QPushButton[kind="flat"]:pressed {{ background: {t.press}; }}
QPushButton[kind="flat"]:focus {{ border: 2px solid {t.acc}; padding: 0 4px; }}
QLabel#placeMark {{ color: {t.acc}; }}
QPushButton#engineSwitch {{ background: transparent; border: 1px solid transparent; color: {t.tx2};
    padding: 0 25px 0 7px; text-align: left; }}
QPushButton#engineSwitch:hover {{ background: {t.hover}; }}
QPushButton#engineSwitch[remote="true"] {{ background: {t.accs}; color: {t.acc}; }}
QPushButton#engineSwitch:pressed {{ background: {t.press}; }}
QPushButton#engineSwitch:focus {{ border: 2px solid {t.acc}; padding: 0 24px 0 6px; }}
QLineEdit, QComboBox, QPlainTextEdit {{
    background: {t.field}; color: {t.tx}; border: 1px solid {t.line2}; border-radius: 7px;
    selection-background-color: {t.fill}; selection-color: {t.on_fill};
}}
QLineEdit, QComboBox {{ min-height: 26px; max-height: 26px; padding: 0 8px; }}
QLineEdit:focus, QComboBox:focus, QPlainTextEdit:focus {{
    border: 2px solid {t.acc}; padding: 0 7px;
}}
QLineEdit, QComboBox, QPlainTextEdit {{ placeholder-text-color: {t.tx3}; }}
QMenu {{ background: {t.card}; color: {t.tx}; border: 1px solid {t.line2}; padding: 4px; }}
QMenu::item {{ padding: 5px 12px 5px 24px; border-radius: 4px; font-size: 13px; }}
/* The font, though it is the menu's own, makes Qt leave a gap between a text and its keys. */
QMenu::icon {{ left: 6px; }}
QMenu::indicator {{ width: 14px; height: 14px; left: 6px; }}
QMenu::indicator:checked {{ image: url("{_tick("dark" if t is DARK else "light")}"); }}
QMenu::indicator:checked:selected {{ image: url("{_tick("selected")}"); }}
QMenu::item:selected {{ background: {t.fill}; color: {t.on_fill}; }}
QMenu::item:disabled {{ color: {t.tx3}; }}
QMenu::separator {{ height: 1px; background: {t.line}; margin: 4px 8px; }}
QMenuBar {{ background: {t.win}; color: {t.tx}; border-bottom: 1px solid {t.line}; }}
QMenuBar::item {{ padding: 4px 10px; background: transparent; }}
QMenuBar::item:selected {{ background: {t.hover}; }}
QScrollBar:vertical {{ background: transparent; width: 10px; margin: 2px; }}
QScrollBar::handle:vertical {{ background: {t.line2}; border-radius: 3px; min-height: 30px; }}
QScrollBar::handle:vertical:hover {{ background: {t.tx3}; }}
QScrollBar:horizontal {{ background: transparent; height: 10px; margin: 2px; }}
QScrollBar::handle:horizontal {{ background: {t.line2}; border-radius: 3px; min-width: 30px; }}
QScrollBar::handle:horizontal:hover {{ background: {t.tx3}; }}
QScrollBar::add-line, QScrollBar::sub-line, QScrollBar::add-page, QScrollBar::sub-page {{
    background: transparent; height: 0; width: 0;
}}
QWidget#modelsPanel {{ background: {t.side}; }}
QListView#modelsList {{ background: transparent; border: none; outline: none; }}
QFrame#modelsEdge {{ background: transparent; }}
QFrame#modelsEdge[scrolled="true"] {{ background: {t.line2}; }}
QLabel#modelsSummary, QLabel#emptyText {{ color: {t.tx2}; }}
QLineEdit#searchField {{ min-height: 30px; max-height: 30px; border-radius: 8px; }}
QLineEdit#searchField:focus {{ min-height: 28px; max-height: 28px; }}
QLabel#keyHint {{ background: {t.chip}; color: {t.tx2}; border-radius: 4px; padding: 2px 6px; }}
QToolButton#searchClear {{ background: transparent; border: none; padding: 0; }}
QPushButton#modelsSort, QPushButton#modelsFilter {{ min-height: 30px; max-height: 30px; min-width: 30px; max-width: 30px; padding: 0; border-radius: 8px; }}
QPushButton#modelsSort:focus, QPushButton#modelsFilter:focus {{ min-height: 28px; max-height: 28px; min-width: 28px; max-width: 28px; }}
QPushButton#modelsSort::menu-indicator, QPushButton#modelsFilter::menu-indicator {{ image: none; width: 0; }}
QPushButton#filterClear {{ color: {t.tx2}; }}
QToolButton#filterChip {{
    background: {t.card}; color: {t.tx2}; border: 1px solid {t.line2}; border-radius: 12px; padding: 0 9px;
}}
QToolButton#filterChip:hover {{ background: {t.hover}; color: {t.tx}; }}
QToolButton#filterChip:checked {{ background: {t.accs}; color: {t.acc}; border-color: {t.acc}; padding: 0 7px 0 9px; }}
QToolButton#filterChip:focus {{ border: 2px solid {t.acc}; padding: 0 8px; }}
QFrame#settingsBar {{ background: {t.side}; border: none; border-bottom: 1px solid {t.line}; }}
QToolButton#settingsTab {{
    background: transparent; color: {t.tx2}; border: 1px solid transparent; border-radius: 8px; padding: 6px 7px;
}}
QToolButton#settingsTab:hover {{ background: {t.hover}; }}
QToolButton#settingsTab:checked {{ background: {t.card}; color: {t.acc}; border-color: {t.line2}; }}
QToolButton#settingsTab:focus {{ border: 2px solid {t.acc}; padding: 5px 6px; }}
QFrame#settingsCard {{ background: {t.card}; border: 1px solid {t.line}; border-radius: 10px; }}
QCheckBox {{ spacing: 8px; color: {t.tx}; }}
QCheckBox:disabled {{ color: {t.tx3}; }}
QCheckBox::indicator {{ width: 14px; height: 14px; border: 1px solid {t.tx3}; border-radius: 4px; background: {t.field}; }}
QCheckBox::indicator:checked {{ background: {t.fill}; border-color: {t.fill}; image: url("{_tick("selected")}"); }}
QCheckBox::indicator:focus {{ border: 2px solid {t.acc}; width: 12px; height: 12px; }}
QCheckBox::indicator:checked:focus {{ border: 2px solid {t.tx}; }}
QCheckBox::indicator:disabled {{ background: {t.win}; border-color: {t.line2}; }}
QFrame#importConsent {{ background: {t.warns}; border: none; border-radius: 8px; }}
QFrame#settingsLine {{ background: {t.line}; border: none; margin: 0 16px; }}
QLabel#settingHelp, QLabel#aboutSecondary {{ color: {t.tx2}; }}
QLabel#settingError {{ color: {t.bad}; }}
QComboBox#popUp::drop-down {{ border: none; width: 26px; }}
QComboBox#popUp::down-arrow {{ image: none; }}
QLineEdit:disabled, QComboBox:disabled {{ background: {t.win}; color: {t.tx3}; }}
QComboBox#profilePicker {{ padding: 0 26px 0 8px; }}
QComboBox#profilePicker:focus {{ padding: 0 25px 0 7px; min-height: 24px; max-height: 24px; }}
QComboBox#profilePicker::drop-down {{ border: none; width: 28px; }}
QComboBox#profilePicker::down-arrow {{ image: none; }}
QComboBox QLineEdit {{ background: transparent; border: none; padding: 0; min-height: 0; }}
QComboBox QLineEdit:focus {{ border: none; padding: 0; }}
QListView#modelMatches, QComboBox#popUp QAbstractItemView {{
    background: {t.card}; border: 1px solid {t.line2}; padding: 0; outline: none;
}}
QListView#modelMatches::item, QComboBox#popUp QAbstractItemView::item {{
    color: {t.tx}; min-height: 28px; padding: 0 4px; margin: 1px 3px; border-radius: 5px;
}}
QListView#modelMatches::item:selected, QListView#modelMatches::item:hover,
QComboBox#popUp QAbstractItemView::item:selected {{ background: {t.fill}; color: {t.on_fill}; }}
QListWidget#engineList {{ background: {t.field}; border: 1px solid {t.line2}; border-radius: 7px; outline: none; }}
QListWidget#engineList::item {{ color: {t.tx}; padding: 0 8px; border-radius: 5px; margin: 1px; }}
QListWidget#engineList::item:selected {{ background: {t.fill}; color: {t.on_fill}; }}
QListView#profileList {{ background: {t.card}; border: 1px solid {t.line2}; outline: none; }}
QGraphicsView#sparkView {{ background: transparent; border: none; }}
QScrollArea#settingsScroll, QWidget#settingsPage {{ background: {t.win}; border: none; }}
QScrollArea#profileFormScroll, QWidget#profileFormPage {{ background: {t.win}; }}
QFrame#profileFormFoot {{ background: {t.card}; border: none; border-top: 1px solid {t.line}; }}
QPlainTextEdit#logText {{ padding: 6px; }}
QPlainTextEdit#logText:focus {{ padding: 5px; }}
QPushButton#headerIcon {{ padding: 0; }}
QScrollArea#tileScroll, QWidget#tileGrid {{ background: transparent; }}
QFrame#inspector {{ background: {t.win}; border: none; }}
QScrollArea#inspectorScroll, QWidget#inspectorBody {{ background: {t.win}; border: none; }}
QTextBrowser#markdownView {{ background: transparent; border: none; padding: 0; }}
QTableView#requestTable {{ background: {t.win}; border: none; outline: none; selection-background-color: {t.accs}; selection-color: {t.tx}; }}
QTableView#requestTable::item {{ padding: 0 6px; border: none; border-bottom: 1px solid {t.line}; }}
QTableView#requestTable::item:hover {{ background: {t.hover}; }}
QTableView#requestTable::item:selected {{ background: {t.accs}; color: {t.tx}; }}
QTableView#requestTable QHeaderView {{ background: {t.win}; border: none; }}
QTableView#requestTable QHeaderView::section {{
    background: {t.win}; color: {t.tx2}; border: none; border-bottom: 1px solid {t.line}; padding: 0 9px;
}}
QPlainTextEdit#promptField {{ padding: 3px 8px; border-radius: 8px; }}
QPlainTextEdit#promptField:focus {{ padding: 2px 7px; }}
QPlainTextEdit#snippet {{ padding: 8px 10px; }}
QPlainTextEdit#snippet:focus {{ padding: 7px 9px; }}
QSplitter::handle {{ background: {t.line}; }}
QDialog {{ background: {t.win}; }}
"""


def _tick(ground: str) -> str:
    # A style sheet paints pictures as they are, so there is one of its own for each ground.
    return (paths.resources() / "icons" / f"tick-{ground}.svg").as_posix()


_theme: Theme | None = None


def theme() -> Theme:
    """Return the app's one theme; made at the first call, after the QApplication."""
    global _theme
    if _theme is None:
        _theme = Theme()
    return _theme
