"""The context menu of a row of the model list."""

import sys
from collections.abc import Callable
from typing import NamedTuple

from PySide6.QtCore import QCoreApplication, Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QMenu, QWidget

from app.gui.models.model_rows import Offer, Row
from app.wire.hub import HubModel
from app.wire.nouns import ModelSource


def _tr(text: str) -> str:
    return QCoreApplication.translate("ModelMenu", text)


class Wishes(NamedTuple):
    """What is called with a model's id for each entry."""

    run: Callable[[str], object]
    new_profile: Callable[[str], object]
    inspect: Callable[[str], object]
    copy_id: Callable[[str], object]
    open_page: Callable[[str], object]
    reveal: Callable[[str], object]
    delete: Callable[[str], object]
    download: Callable[[str], object]
    download_and_run: Callable[[str], object]
    repair: Callable[[str], object]


def make_menu(row: Row, wishes: Wishes, parent: QWidget, *, is_live: bool, is_local: bool) -> QMenu:
    """Return the menu of a model; it holds the id, so that it outlives any change of rows.

    is_live: the engine answers. is_local: it is on this computer.
    """
    menu = QMenu(parent)
    menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)

    def add(text: str, wish: Callable[[str], object]) -> QAction:
        action = menu.addAction(text)
        action.triggered.connect(lambda: wish(row.id))
        return action

    model = row.installed
    is_free = row.activity is None and is_live
    if row.offer is Offer.REPAIR:
        add(_tr("Repair"), wishes.repair).setEnabled(is_live)
    if model is not None:
        add(_tr("Run"), wishes.run).setEnabled(model.problem is None and is_free)
        add(_tr("New profile…"), wishes.new_profile).setEnabled(
            model.problem is None or model.needs_python
        )
    else:
        is_odd = isinstance(row.item, HubModel) and row.item.supported is False
        text = _tr("Download anyway") if is_odd else _tr("Download")
        add(text, wishes.download).setEnabled(is_live and row.offer is not Offer.WAIT)
        if not is_odd:
            both = add(_tr("Download and run"), wishes.download_and_run)
            both.setEnabled(is_live and row.offer is not Offer.WAIT)
        if row.offer is Offer.ASK:
            add(_tr("Ask for access"), wishes.open_page)
    menu.addSeparator()
    add(_tr("Inspect"), wishes.inspect)
    add(_tr("Copy id"), wishes.copy_id)
    if isinstance(row.item, HubModel) or (model is not None and model.source is ModelSource.HUB):
        add(_tr("Open on Hugging Face"), wishes.open_page)
    if model is not None:
        if is_local:
            is_mac = sys.platform == "darwin"
            add(_tr("Reveal in Finder") if is_mac else _tr("Reveal in folder"), wishes.reveal)
        if model.source is not ModelSource.DEMO:
            menu.addSeparator()
            add(_tr("Delete…"), wishes.delete).setEnabled(is_free)
    return menu
