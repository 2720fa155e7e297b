"""The little of Objective-C that the app says to macOS itself, where Qt has no words for it."""

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any, Protocol

_GLOBAL, _SIGNED = 1 << 28, 1 << 30
"""Flags of a block: nothing of it is copied, and it says what it takes."""


class ObjC(Protocol):
    """What is needed of the language; addresses stand for objects, None for nil."""

    def kind(self, name: str) -> int:
        """Return a class. Raises OSError when there is none."""
        ...

    def send(self, target: int | None, selector: str, *arguments: Any) -> int | None:
        """Send a message whose arguments and result are addresses, C text or whole numbers."""
        ...

    def text(self, text: str) -> int | None:
        """Return an NSString; the pool of the current event frees it."""
        ...

    def read(self, text: int | None) -> str | None:
        """Return what an NSString says; None for nil."""
        ...


class Block(ctypes.Structure):
    """A block as in the Block ABI of Clang, that is never freed: keep it as long as the process."""

    _fields_ = (
        ("isa", ctypes.c_void_p),
        ("flags", ctypes.c_int32),
        ("reserved", ctypes.c_int32),
        ("invoke", ctypes.c_void_p),
        ("descriptor", ctypes.c_void_p),
    )


class _Descriptor(ctypes.Structure):
    _fields_ = (
        ("reserved", ctypes.c_ulong),
        ("size", ctypes.c_ulong),
        ("signature", ctypes.c_char_p),
    )


class YesNoBlock:
    """A block `void (^)(BOOL, NSError *)`; macOS calls the function in a thread of its own."""

    def __init__(self, function: Callable[[bool, int | None], None], isa: int) -> None:
        def invoke(_block: int | None, answer: bool, error: int | None) -> None:
            function(answer, error)

        kind = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_bool, ctypes.c_void_p)
        # Nothing of these may be freed as long as macOS may call.
        self._invoke = kind(invoke)
        size = ctypes.sizeof(Block)
        self._descriptor = _Descriptor(0, size, b'v20@?0B8@"NSError"12')
        self._block = Block(
            isa,
            _GLOBAL | _SIGNED,
            0,
            ctypes.cast(self._invoke, ctypes.c_void_p),
            ctypes.cast(ctypes.pointer(self._descriptor), ctypes.c_void_p),
        )

    @property
    def address(self) -> int:
        """What a message takes for the block."""
        return ctypes.addressof(self._block)


class _Runtime:
    """The language as macOS has it; made once. Raises OSError or AttributeError elsewhere."""

    def __init__(self) -> None:
        self._objc = objc = ctypes.CDLL("/usr/lib/libobjc.A.dylib")
        objc.objc_getClass.restype = objc.sel_registerName.restype = ctypes.c_void_p
        objc.objc_getClass.argtypes = objc.sel_registerName.argtypes = [ctypes.c_char_p]
        self._send = objc.objc_msgSend

    def kind(self, name: str) -> int:
        found = self._objc.objc_getClass(name.encode())
        if not found:
            raise OSError(f"this system has no {name}")
        return found

    def send(self, target: int | None, selector: str, *arguments: Any) -> int | None:
        kinds = [ctypes.c_char_p if isinstance(a, bytes) else ctypes.c_void_p for a in arguments]
        # The address of the function, called with its true kinds of arguments: on arm64 a call
        # that leaves them open passes them in the wrong place.
        kind = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, *kinds)
        call = ctypes.cast(self._send, kind)
        return call(target, self._objc.sel_registerName(selector.encode()), *arguments)

    def text(self, text: str) -> int | None:
        # A zero would end it, and half a surrogate is no text.
        clean = text.replace("\0", "").encode("utf-8", "replace")
        return self.send(self.kind("NSString"), "stringWithUTF8String:", clean)

    def read(self, text: int | None) -> str | None:
        found = self.send(text, "UTF8String") if text else None
        return ctypes.string_at(found).decode("utf-8", "replace") if found else None


@cache
def runtime() -> ObjC:
    """Return the language of this Mac. Raises OSError or AttributeError elsewhere."""
    return _Runtime()


def block_class() -> int:
    """Return the class of blocks that are never freed. Raises ValueError where there is none."""
    symbol = ctypes.c_void_p.in_dll(ctypes.CDLL(None), "_NSConcreteGlobalBlock")
    return ctypes.addressof(symbol)


def load_framework(name: str) -> None:
    """Load a framework of the system. Raises OSError when there is none."""
    ctypes.CDLL(f"/System/Library/Frameworks/{name}.framework/{name}")
