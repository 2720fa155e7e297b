"""Notifications in the system's own centre: what macOS is told, with its runtime played by us."""

import ctypes
from typing import Any

import pytest

from app.gui.notifier import Notifier, UserNotifications, is_proper_app
from app.gui.objc import Block, YesNoBlock

ISA = 0x1234


class Runtime:
    """Answers messages like the runtime of a Mac, and keeps what was said."""

    def __init__(self) -> None:
        self.said: list[tuple[str, ...]] = []
        self.names: dict[int, str] = {}
        self.answers: dict[str, str | None] = {}
        self.granted: bool | None = True
        """What the user answers; None is nothing yet."""
        self.waiting: list[int] = []

    def object(self, name: str) -> int:
        number = 1000 + len(self.names)
        self.names[number] = name
        return number

    def kind(self, name: str) -> int:
        return self.object(name)

    def send(self, target: int | None, selector: str, *arguments: Any) -> int | None:
        if selector.startswith("requestAuthorization"):
            self.said.append((selector, str(arguments[0])))
            self.waiting.append(arguments[1])
            self.answer()
            return None
        words = [self.names.get(a, str(a)) for a in arguments]
        self.said.append((self.names.get(target or 0, "nil"), selector, *words))
        found = self.answers.get(selector, f"{selector} of {self.names.get(target or 0)}")
        return None if found is None else self.object(found)

    def answer(self, error: int | None = None) -> None:
        """Call the blocks that wait as macOS does it: by the address that they name."""
        if self.granted is None:
            return
        for address in self.waiting:
            block = Block.from_address(address)
            assert (block.isa, block.flags) == (ISA, 1 << 28 | 1 << 30)
            size, signature = (
                ctypes.c_ulong.from_address(block.descriptor + 8).value,
                ctypes.c_char_p.from_address(block.descriptor + 16).value,
            )
            assert (size, signature) == (32, b'v20@?0B8@"NSError"12')
            kind = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_bool, ctypes.c_void_p)
            kind(block.invoke)(address, self.granted, error)
        self.waiting.clear()

    def text(self, text: str) -> int:
        return self.object(text)

    def read(self, text: int | None) -> str | None:
        return self.names[text] if text else None

    def told(self, selector: str) -> list[tuple[str, ...]]:
        return [words[2:] for words in self.said if words[1] == selector]


@pytest.fixture
def runtime() -> Runtime:
    return Runtime()


def test_block_is_called_with_its_answer() -> None:
    got: list[tuple[bool, int | None]] = []
    block = YesNoBlock(lambda *answer: got.append(answer), ISA)
    invoke = Block.from_address(block.address).invoke
    kind = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_bool, ctypes.c_void_p)
    kind(invoke)(block.address, True, None)
    kind(invoke)(block.address, False, 77)
    assert got == [(True, None), (False, 77)]


def test_notification_says_title_and_text_once_it_is_allowed(runtime: Runtime) -> None:
    runtime.granted = None
    center = UserNotifications(runtime, block_class=ISA)
    center.show("Download finished", "Tiny ü, 2.3 GB")
    assert runtime.told("setTitle:") == []
    runtime.granted = True
    runtime.answer()
    assert runtime.told("setTitle:") == [("Download finished",)]
    assert runtime.told("setBody:") == [("Tiny ü, 2.3 GB",)]
    (added,) = runtime.told("addNotificationRequest:withCompletionHandler:")
    assert added[1] == "None"


def test_user_is_asked_before_there_is_news_and_only_once(runtime: Runtime) -> None:
    notifier = Notifier(lambda *_: None, UserNotifications(runtime, block_class=ISA))
    notifier.ask()
    notifier.ask()
    asked = [words for words in runtime.said if words[0].startswith("requestAuthorization")]
    # A banner and a sound; no badge, which is the Dock's own.
    assert asked == [("requestAuthorizationWithOptions:completionHandler:", "6")]
    assert runtime.told("addNotificationRequest:withCompletionHandler:") == []


def test_refusal_is_respected_and_news_go_another_way(
    runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "gui")
    runtime.granted = False
    said: list[tuple[str, str]] = []
    notifier = Notifier(
        lambda *words: said.append(words), UserNotifications(runtime, block_class=ISA)
    )
    notifier.ask()
    notifier.show("Coding failed", "It crashed.")
    assert said == [("Coding failed", "It crashed.")]
    assert runtime.told("setTitle:") == []
    assert "the user wants none" in caplog.text


def test_elsewhere_than_in_an_app_on_a_mac_news_go_the_way_of_qt() -> None:
    said: list[tuple[str, str]] = []
    notifier = Notifier(lambda *words: said.append(words))
    notifier.ask()
    notifier.show("Download finished", "Tiny")
    assert said == [("Download finished", "Tiny")]


@pytest.mark.parametrize(
    ("answers", "is_proper"),
    [
        ({"bundlePath": "/Applications/M.app", "path": "/Applications/M.app"}, True),
        ({"bundlePath": "/tmp/M.app", "path": "/Applications/M.app"}, False),
        ({"bundlePath": "/usr/bin", "path": "/usr/bin", "bundleIdentifier": None}, False),
        ({"URLForApplicationWithBundleIdentifier:": None}, False),
    ],
)
def test_only_the_app_that_macos_knows_may_use_its_centre(
    runtime: Runtime, answers: dict[str, str | None], *, is_proper: bool
) -> None:
    runtime.answers = answers
    assert is_proper_app(runtime) is is_proper
