"""Fills the command palette and does what is chosen in it."""

import json
import logging
from collections.abc import Callable, Iterator, Mapping

from PySide6.QtCore import QCoreApplication, QObject
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QWidget

from app.gui import format as fmt
from app.gui.dialogs.palette import Palette
from app.gui.main_window.commands import APPEARANCES, MENUS
from app.gui.memory import Memory
from app.gui.mirror import Mirror
from app.gui.models.palette_list import PaletteEntry

_log = logging.getLogger("gui")
_KEY = "palette_recent"
_MOST_RECENT = 20
_NAMED = ("start", "stop", "restart", "log")
"""Commands about one server or profile; the palette has them for each."""
_LEFT_OUT = ("palette", "engines", *_NAMED)
_ICONS = {
    "&File": "file-text",
    "&Model": "boxes",
    "&Server": "server",
    "&View": "monitor",
    "&Help": "info",
}


def _tr(text: str) -> str:
    return QCoreApplication.translate("Palette", text)


class PaletteActions(QObject):
    """Opens and closes the palette; `deeds` does the part before the colon of an entry's id."""

    def __init__(
        self,
        mirror: Mirror,
        actions: Mapping[str, QAction],
        deeds: Mapping[str, Callable[[str], object]],
        memory: Memory,
        window: QWidget,
    ) -> None:
        super().__init__(window)
        self._mirror = mirror
        self._actions = actions
        self._deeds = deeds
        self._memory = memory
        self.palette = Palette(window)
        self.palette.chosen.connect(self._on_chosen)

    def toggle(self) -> None:
        """Open the palette, or close it when it is open."""
        if self.palette.isVisible():
            self.palette.dismiss()
            return
        self.palette.open(list(self._entries()), self._recent())

    def _on_chosen(self, entry: PaletteEntry) -> None:
        recent = [entry.id, *(one for one in self._recent() if one != entry.id)]
        self._memory.set_value(_KEY, json.dumps(recent[:_MOST_RECENT]))
        kind, _, subject = entry.id.partition(":")
        if kind == "command":
            self._actions[subject].trigger()
        else:
            self._deeds[kind](subject)

    def _recent(self) -> list[str]:
        try:
            found: object = json.loads(str(self._memory.value(_KEY, "[]")))
        except ValueError:
            _log.warning("what was chosen last in the palette cannot be read")
            return []
        return [str(one) for one in found] if isinstance(found, list) else []  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] - JSON

    def _entries(self) -> Iterator[PaletteEntry]:
        yield from self._of_servers()
        yield from self._of_profiles()
        yield from self._of_commands()
        yield from self._of_models()

    def _keys(self, title: str) -> str:
        """Return the keys of the command that says the same, because it is about the chosen one."""
        for command_id in _NAMED:
            action = self._actions.get(command_id)
            if action is not None and action.isEnabled() and _plain(action.text()) == title:
                return keys_text(action)
        return ""

    def _of_commands(self) -> Iterator[PaletteEntry]:
        for menu, commands in MENUS:
            for command in commands:
                action = self._actions.get(command.id)
                if action is not None and action.isEnabled() and command.id not in _LEFT_OUT:
                    text, detail = _plain(action.text()), _plain(menu)
                    icon = _ICONS.get(menu, "terminal")
                    yield PaletteEntry(
                        f"command:{command.id}", text, detail, keys_text(action), icon
                    )
        for mode, name in APPEARANCES:
            text = _tr("Appearance: {}").format(name)
            yield PaletteEntry(f"command:appearance_{mode}", text, "View", "", "moon")

    def _of_servers(self) -> Iterator[PaletteEntry]:
        if self._mirror.is_stale:
            return
        for server in self._mirror.servers.values():
            detail = _tr("Server, {}").format(server.state.value.replace("_", " "))
            # The harmless one first: Enter right after opening must stop nothing.
            rows = [
                ("log", _tr("Show log of {}"), "terminal"),
                ("restart", _tr("Restart {}"), "rotate-cw"),
            ]
            if server.state.is_active:
                rows.append(("stop", _tr("Stop {}"), "square"))
            for kind, text, icon in rows:
                title = text.format(server.name)
                keys = self._keys(title)
                yield PaletteEntry(f"{kind}:{server.id}", title, detail, keys, icon)

    def _of_profiles(self) -> Iterator[PaletteEntry]:
        mirror = self._mirror
        for profile in sorted(mirror.profiles.values(), key=lambda p: p.name.casefold()):
            server = mirror.servers.get(profile.id)
            is_free = server is None or not server.state.is_active
            if is_free and profile.fault is None and not mirror.is_stale:
                text = _tr("Start {}").format(profile.name)
                keys = self._keys(text)
                yield PaletteEntry(f"start:{profile.id}", text, profile.model, keys, "play")
            text = _tr("Edit {}…").format(profile.name)
            yield PaletteEntry(f"edit:{profile.id}", text, profile.model, "", "pencil")

    def _of_models(self) -> Iterator[PaletteEntry]:
        mirror = self._mirror
        used = {server.model for server in mirror.servers.values() if server.state.is_active}
        for model in sorted(mirror.models.values(), key=lambda m: m.name.casefold()):
            size = fmt.file_size(model.size_bytes)
            detail = " · ".join(part for part in (model.author, size) if part)
            text = _tr("Show {}").format(model.name)
            yield PaletteEntry(f"show:{model.id}", text, detail, "", "box")
            if not model.problem and model.id not in used and not mirror.is_stale:
                text = _tr("Run {}").format(model.name)
                yield PaletteEntry(f"run:{model.id}", text, detail, "", "play")


def _plain(text: str) -> str:
    """Return a menu's text without the mark of the letter that opens it."""
    return "&".join(part.replace("&", "") for part in text.split("&&"))


def keys_text(action: QAction) -> str:
    """Return an action's keys as the platform writes them."""
    return action.shortcut().toString(QKeySequence.SequenceFormat.NativeText).replace("+", " ")
