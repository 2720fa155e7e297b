"""What starts at login, as the Settings show and change it.

A bundle on macOS 13 or later registers itself with the system's own service, SMAppService, so that
it stands under its name in System Settings; everything else is a file of `app.login_item`. So is
the engine, whose agent the service would take only from inside the bundle, where a home of one's
own, a checkout and `mlxm engine --install` have no place.
"""

import ctypes
import logging
import sys

from app import login_item
from app.gui import objc
from app.gui.objc import ObjC
from app.login_item import Kind, LoginItemFailed, State

_log = logging.getLogger("gui")
_ENABLED, _NEEDS_APPROVAL = 1, 2
"""SMAppServiceStatus; 0 is not registered, 3 not found."""

SYSTEM_SETTINGS = "x-apple.systempreferences:com.apple.LoginItems-Settings.extension"
"""Where the user allows what starts at login."""


class LoginItems:
    """Reads and changes them; any thread may call. `language` is for a bundle on macOS."""

    def __init__(self, language: ObjC | None) -> None:
        self._objc = language

    def state(self, kind: Kind) -> State:
        """Return whether it starts at the next login."""
        if kind is Kind.APP and (status := self._status()) in (_ENABLED, _NEEDS_APPROVAL):
            return State.ON if status == _ENABLED else State.REFUSED
        state = login_item.state(kind)
        return State.REFUSED if state is State.ON and self._is_refused(kind) else state

    def switch(self, kind: Kind, *, is_on: bool) -> None:
        """Have it started at login, or no longer. Blocks up to 90 s. Raises LoginItemFailed."""
        if not is_on:
            failure = self._unregister() if kind is Kind.APP else ""
            login_item.remove(kind)
            if failure:
                raise LoginItemFailed(failure)
        elif kind is Kind.APP and self._register():
            # Two items would start it twice.
            login_item.remove(kind)
        else:
            login_item.install(kind)

    def _service(self, language: ObjC) -> int | None:
        return language.send(language.kind("SMAppService"), "mainAppService")

    def _status(self) -> int:
        if self._objc is None:
            return 0
        return self._objc.send(self._service(self._objc), "status") or 0

    def _is_refused(self, kind: Kind) -> bool:
        if (language := self._objc) is None:
            return False
        path = language.text(str(login_item.login_item(kind).path))
        url = language.send(language.kind("NSURL"), "fileURLWithPath:", path)
        status = language.send(language.kind("SMAppService"), "statusForLegacyURL:", url)
        return status == _NEEDS_APPROVAL

    def _register(self) -> bool:
        """Return True when the service has it, if only for the user to allow."""
        if self._objc is None:
            return False
        login_item.require_fixed_place()
        failure = self._call(self._objc, "registerAndReturnError:")
        # An item that the user has switched off is registered, and yet this is an error.
        if failure and self._status() not in (_ENABLED, _NEEDS_APPROVAL):
            _log.warning("open at login goes the older way: %s", failure)
            return False
        return True

    def _unregister(self) -> str:
        """Return why it did not work, empty when it did."""
        if self._objc is None or self._status() not in (_ENABLED, _NEEDS_APPROVAL):
            return ""
        return self._call(self._objc, "unregisterAndReturnError:")

    def _call(self, language: ObjC, selector: str) -> str:
        error = ctypes.c_void_p()
        done = language.send(self._service(language), selector, ctypes.addressof(error))
        # A BOOL is the lowest byte of what comes back.
        if (done or 0) & 0xFF:
            return ""
        text = language.send(error.value, "localizedDescription") if error.value else None
        return language.read(text) or "macOS did not say why."


def system_language() -> ObjC | None:
    """Return the language in which this system's service is asked; None where it has none."""
    if sys.platform != "darwin" or not getattr(sys, "frozen", False):
        return None
    try:
        objc.load_framework("ServiceManagement")
        language = objc.runtime()
        language.kind("SMAppService")
        bundle = language.send(language.kind("NSBundle"), "mainBundle")
        return language if language.send(bundle, "bundleIdentifier") else None
    except (OSError, AttributeError) as error:
        _log.info("what starts at login is in files: %s", error)
        return None
