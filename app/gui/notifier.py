"""Puts a notification on the screen the way macOS wants it today; elsewhere Qt's way is right.

Qt has only the older interface of macOS, which is deprecated since macOS 11 and not sure to go on.
The newer one ends a process that is no proper app, so it is asked only where all is in order.
"""

import logging
import sys
import uuid
from collections.abc import Callable
from typing import Protocol

from PySide6.QtGui import QGuiApplication

from app.gui import objc
from app.gui.objc import ObjC, YesNoBlock

_log = logging.getLogger("gui")
_SOUND, _ALERT = 1 << 1, 1 << 2


class Center(Protocol):
    """Where notifications of an app go."""

    def ask(self) -> None:
        """Ask the user once whether the app may notify; the system remembers the answer."""
        ...

    def show(self, title: str, text: str) -> None:
        """Show a notification as soon as it is allowed."""
        ...

    @property
    def is_refused(self) -> bool:
        """True when the system or the user wants none from this app."""
        ...


class Notifier:
    """Shows notifications in the centre of the system; without one hands them to `otherwise`."""

    def __init__(self, otherwise: Callable[[str, str], None], center: Center | None = None) -> None:
        self._otherwise = otherwise
        self._center = center if center is not None else _system_center()

    def ask(self) -> None:
        """Ask for the permission, before there is something to tell."""
        if self._center is not None:
            self._center.ask()

    def show(self, title: str, text: str) -> None:
        """Show a notification."""
        if self._center is None or self._center.is_refused:
            self._otherwise(title, text)
        else:
            self._center.show(title, text)


class UserNotifications:
    """The framework UserNotifications of macOS. A click on a notification activates the app."""

    def __init__(self, language: ObjC, *, block_class: int) -> None:
        self._objc = language
        self._block_class = block_class
        kind = language.kind("UNUserNotificationCenter")
        self._center = language.send(kind, "currentNotificationCenter")
        self._blocks: list[YesNoBlock] = []
        self._has_asked = False
        self.is_refused = False

    def ask(self) -> None:
        """Ask the user, or learn what was answered before."""
        if not self._has_asked:
            self._has_asked = True
            self._authorize(lambda: None)

    def show(self, title: str, text: str) -> None:
        """Show a notification; the first one waits for the user's answer."""
        self._authorize(lambda: self._add(title, text))

    def _authorize(self, then: Callable[[], None]) -> None:
        def on_answer(is_granted: bool, error: int | None) -> None:
            self.is_refused = not is_granted
            if is_granted:
                then()
            else:
                reason = self._objc.read(self._describe(error)) or "the user wants none"
                _log.info("no notifications: %s", reason)

        block = YesNoBlock(on_answer, self._block_class)
        # Never freed: nobody tells when macOS is done with it, and they are few and small.
        self._blocks.append(block)
        self._objc.send(
            self._center,
            "requestAuthorizationWithOptions:completionHandler:",
            _ALERT | _SOUND,
            block.address,
        )

    def _describe(self, error: int | None) -> int | None:
        return self._objc.send(error, "localizedDescription") if error else None

    def _add(self, title: str, text: str) -> None:
        """Hand a notification over; in any thread."""
        language = self._objc
        content = language.send(language.kind("UNMutableNotificationContent"), "new")
        language.send(content, "setTitle:", language.text(title))
        language.send(content, "setBody:", language.text(text))
        request = language.send(
            language.kind("UNNotificationRequest"),
            "requestWithIdentifier:content:trigger:",
            language.text(str(uuid.uuid4())),
            content,
            None,
        )
        language.send(self._center, "addNotificationRequest:withCompletionHandler:", request, None)
        language.send(content, "release")


def is_proper_app(language: ObjC) -> bool:
    """Return True when macOS knows this process as the app at its place.

    For any other the newer interface raises an exception that nothing here can catch.
    """
    send = language.send
    bundle = send(language.kind("NSBundle"), "mainBundle")
    identifier = send(bundle, "bundleIdentifier")
    if not identifier:
        return False
    workspace = send(language.kind("NSWorkspace"), "sharedWorkspace")
    known = send(workspace, "URLForApplicationWithBundleIdentifier:", identifier)
    if not known:
        return False
    place = language.read(send(bundle, "bundlePath"))
    return place is not None and place == language.read(send(known, "path"))


def _system_center() -> Center | None:
    is_app = sys.platform == "darwin" and bool(getattr(sys, "frozen", False))
    if not is_app or QGuiApplication.platformName() != "cocoa":
        return None
    try:
        language = objc.runtime()
        if not is_proper_app(language):
            _log.info("this copy of the app is not the one that macOS knows: older notifications")
            return None
        objc.load_framework("UserNotifications")
        return UserNotifications(language, block_class=objc.block_class())
    except (OSError, AttributeError, ValueError) as error:
        _log.warning("notifications go the older way: %s", error)
        return None
