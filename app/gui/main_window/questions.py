"""Questions that the window asks before it ends something."""

from PySide6.QtCore import QCoreApplication
from PySide6.QtWidgets import QCheckBox, QWidget

from app.gui.widgets.question import Question


def _tr(text: str) -> str:
    return QCoreApplication.translate("questions", text)


def may_quit(window: QWidget, servers: list[str], place: str) -> tuple[bool, bool]:
    """Ask whether these servers may be stopped; return the answer, and whether to ask again.

    `place` is the other computer that the window shows now, "" for this one.
    """
    box = Question(window, _tr("Quit"), "server")
    box.setText(_tr("Stop {servers} and quit?").format(servers=_names(servers)))
    one, more = (
        _tr("Programs that use it lose their connection."),
        _tr("Programs that use them lose their connection."),
    )
    here = _tr("On this computer; nothing on {place} is stopped.").format(place=place)
    text = one if len(servers) == 1 else more
    box.setInformativeText(f"{here} {text}" if place else text)
    never = QCheckBox(_tr("Do not ask again"))
    box.setCheckBox(never)
    return box.ask(_tr("Stop and quit")), not never.isChecked()


def may_stop_engine(window: QWidget, servers: list[str]) -> bool:
    """Ask whether these servers may be stopped with the engine that started at login."""
    box = Question(window, _tr("Start an engine at login"), "server")
    box.setText(_tr("Stop {servers} and this engine?").format(servers=_names(servers)))
    box.setInformativeText(_tr("The app goes on with an engine that ends when you quit."))
    return box.ask(_tr("Stop"))


def may_start_unchecked(window: QWidget, name: str, reason: str) -> bool:
    """Ask whether a server may be started though nobody knows whether it fits."""
    box = Question(window, _tr("Start"), "memory-stick")
    box.setText(_tr("Start {name} without a look at the memory?").format(name=name))
    box.setInformativeText(reason)
    return box.ask(_tr("Start anyway"), is_default=False)


def may_take_over(window: QWidget, servers: list[str]) -> bool:
    """Ask whether the engine that runs these servers may be ended for one of this app."""
    box = Question(window, _tr("End the engine"), "server")
    box.setText(_tr("End the engine and start one of this version?"))
    one, more = _tr("Its server {0} is stopped."), _tr("Its servers {0} are stopped.")
    names = ", ".join(servers)
    box.setInformativeText((one if len(servers) == 1 else more).format(names))
    return box.ask(_tr("End it and start anew"))


def keeps_mine(window: QWidget, name: str) -> bool | None:
    """Ask whose change of a profile counts: True is the form's, False the file's, None neither."""
    box = Question(window, _tr("Save profile"), "file-text")
    box.setText(_tr("{name} was changed elsewhere while you edited it.").format(name=name))
    box.setInformativeText(
        _tr("Keep mine saves what stands in the form. Take the file's throws it away.")
    )
    mine, theirs = _tr("Keep mine"), _tr("Take the file's")
    return {mine: True, theirs: False}.get(box.choose(mine, theirs))


def may_stop_and_delete(window: QWidget, name: str) -> bool:
    """Ask whether a profile may be deleted whose server runs."""
    box = Question(window, _tr("Delete profile"), "trash-2")
    box.setText(_tr("Stop {name} and delete its profile?").format(name=name))
    box.setInformativeText(_tr("Programs that use it lose their connection."))
    return box.ask(_tr("Stop and delete"))


def may_revoke(window: QWidget, name: str, place: str) -> bool:
    """Ask whether an API key may be revoked; `place` is the other computer it is for, or ""."""
    box = Question(window, _tr("Revoke key"), "key")
    here, there = _tr("Revoke the key “{name}”?"), _tr("Revoke the key “{name}” of {place}?")
    box.setText((there if place else here).format(name=name, place=place))
    box.setInformativeText(_tr("Programs that use it are refused from now on."))
    return box.ask(_tr("Revoke"))


def may_cancel_download(window: QWidget, name: str, amount: str, place: str) -> bool:
    """Ask whether what has come of a download may be thrown away, on the computer `place`."""
    box = Question(window, _tr("Cancel download"), "download")
    here = _tr("Cancel the download of {name}?")
    there = _tr("Cancel the download of {name} on {place}?")
    box.setText((there if place else here).format(name=name, place=place))
    box.setInformativeText(
        _tr("The {amount} that have come are deleted. Pause keeps them.").format(amount=amount)
    )
    return box.ask(_tr("Delete them"), is_danger=True)


def _names(names: list[str]) -> str:
    if len(names) == 1:
        return names[0]
    return _tr("{count} servers").format(count=len(names))
