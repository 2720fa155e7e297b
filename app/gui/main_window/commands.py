"""The menus of the window: a table of commands with their keys."""

from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtCore import QCoreApplication, Qt
from PySide6.QtGui import QAction, QActionGroup, QKeySequence
from PySide6.QtWidgets import QMainWindow, QMenu


def _tr(text: str) -> str:
    return QCoreApplication.translate("commands", text)


@dataclass(frozen=True)
class Command:
    """One entry of a menu."""

    id: str
    text: str
    keys: str = ""
    """Portable form: Ctrl is the command key on macOS."""
    role: QAction.MenuRole = QAction.MenuRole.NoRole
    is_menu: bool = False
    """True for one that opens a menu of its own, filled by whoever knows what is in it."""


SEPARATOR = Command("", "")

# "&" marks the letter that opens a menu together with Alt; macOS shows none.
# macOS moves entries with a role into the application's own menu.
MENUS: tuple[tuple[str, tuple[Command, ...]], ...] = (
    (
        "&File",
        (
            Command("new_profile", "New profile…", "Ctrl+N"),
            Command("edit_profile", "Edit profile…", "Ctrl+E"),
            Command("duplicate_profile", "Duplicate profile", "Ctrl+Shift+D"),
            Command("rename_profile", "Rename profile…"),
            Command("delete_profile", "Delete profile", "Ctrl+Backspace"),
            SEPARATOR,
            Command("import_profiles", "Import profiles…", "Ctrl+O"),
            Command("export_profile", "Export profile…", "Ctrl+Shift+E"),
            Command("import_predecessor", "Import from the earlier MLX Manager…"),
            SEPARATOR,
            Command("connect", "Connect to an engine…", "Ctrl+Shift+K"),
            Command("engines", "Recent engines", is_menu=True),
            Command("own_engine", "Use the engine of this computer"),
            SEPARATOR,
            Command("settings", "Settings…", "Ctrl+,", QAction.MenuRole.PreferencesRole),
            Command("hide", "Hide window", "Ctrl+W"),
            Command("quit", "Quit", "Ctrl+Q", QAction.MenuRole.QuitRole),
        ),
    ),
    (
        "&Model",
        (
            Command("find", "Find models", "Ctrl+F"),
            Command("run_model", "Run selected model", "Ctrl+Shift+Return"),
            Command("download", "Download selected model", "Ctrl+D"),
            Command("rescan", "Look for models again", "Ctrl+Shift+F"),
            SEPARATOR,
            Command("pause_downloads", "Pause all downloads"),
            Command("resume_downloads", "Resume all downloads"),
        ),
    ),
    (
        "&Server",
        (
            Command("start", "Start chosen profile", "Ctrl+Return"),
            Command("restart", "Restart selected server", "Ctrl+R"),
            Command("stop", "Stop selected server", "Ctrl+Shift+."),
            SEPARATOR,
            Command("log", "Show log", "Ctrl+Shift+L"),
            Command("copy_address", "Copy gateway address", "Ctrl+Shift+C"),
            Command("remove", "Remove tile"),
        ),
    ),
    (
        "&View",
        (
            Command("palette", "Command palette…", "Ctrl+K"),
            Command("picker", "Choose a profile", "Ctrl+L"),
            Command("models_half", "Models", "Ctrl+1"),
            Command("servers_half", "Servers", "Ctrl+2"),
            Command("inspect", "Inspector", "Ctrl+I"),
            Command("rows", "Compact servers", "Ctrl+Shift+M"),
        ),
    ),
    (
        "&Help",
        (
            Command("welcome", "Welcome"),
            Command("open_logs", "Show log files"),
            Command("report", "Diagnostics…"),
            Command("about", "About MLX Model Manager", "", QAction.MenuRole.AboutRole),
        ),
    ),
)
APPEARANCES = (("system", "System"), ("light", "Light"), ("dark", "Dark"))


def build_menus(
    window: QMainWindow, run: Callable[[str], None], set_appearance: Callable[[str], None]
) -> dict[str, QAction]:
    """Fill the window's menu bar; `run` is called with a command's id. Returns all actions."""
    actions: dict[str, QAction] = {}
    for title, commands in MENUS:
        menu = window.menuBar().addMenu(_tr(title))
        for command in commands:
            if command is SEPARATOR:
                menu.addSeparator()
                continue
            if command.is_menu:
                actions[command.id] = menu.addMenu(_tr(command.text)).menuAction()
                continue
            action = menu.addAction(_tr(command.text))
            if command.keys:
                action.setShortcut(QKeySequence.fromString(command.keys))
            action.setShortcutContext(Qt.ShortcutContext.WindowShortcut)
            action.setMenuRole(command.role)
            action.triggered.connect(_runner(run, command.id))
            actions[command.id] = action
        if title == "&View":
            menu.addSeparator()
            _add_appearance(menu, actions, set_appearance)
    return actions


def _runner(run: Callable[[str], None], command_id: str) -> Callable[[bool], None]:
    def on_triggered(_checked: bool) -> None:
        run(command_id)

    return on_triggered


def _add_appearance(
    menu: QMenu, actions: dict[str, QAction], set_appearance: Callable[[str], None]
) -> None:
    submenu = menu.addMenu(_tr("Appearance"))
    group = QActionGroup(submenu)
    for mode, text in APPEARANCES:
        action = submenu.addAction(_tr(text))
        action.setCheckable(True)
        action.triggered.connect(_runner(set_appearance, mode))
        group.addAction(action)
        actions[f"appearance_{mode}"] = action
