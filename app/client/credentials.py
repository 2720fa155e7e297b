"""Keys of engines, in the keychain of the system or in a file that only its user can read."""

import logging
from pathlib import Path

import msgspec

from app import files, paths
from app.wire.reading import read_json

_log = logging.getLogger("engine")
_SERVICE = "MLX Model Manager"
_IN_KEYCHAIN = "in the keychain"

# keyring is imported by the functions that use it: it would add 50 ms to every start of the app.


def load_key(url: str) -> str | None:
    """Return the key that was stored for an engine; None when there is none. May ask the user."""
    import keyring
    from keyring.errors import KeyringError

    url = url.rstrip("/")
    try:
        if (key := keyring.get_password(_SERVICE, url)) is not None:
            return key
    except KeyringError as error:
        _log.info("the keychain cannot be used: %s", type(error).__name__)
    return _read_file().get(url)


def store_key(url: str, key: str) -> str:
    """Store a key and return where it is, for the user. Raises OSError when nowhere works."""
    import keyring
    from keyring.errors import KeyringError

    url = url.rstrip("/")
    try:
        keyring.set_password(_SERVICE, url, key)
        # The null backend takes every password and keeps none.
        if keyring.get_password(_SERVICE, url) == key:
            _write_file({k: v for k, v in _read_to_change().items() if k != url})
            return _IN_KEYCHAIN
    except KeyringError as error:
        _log.info("the keychain cannot be used: %s", type(error).__name__)
    _write_file({**_read_to_change(), url: key})
    return _in_file()


def place() -> str:
    """Return where a key would be stored, for the user."""
    import keyring
    from keyring.backends import fail, null

    is_none = isinstance(keyring.get_keyring(), fail.Keyring | null.Keyring)
    return _in_file() if is_none else _IN_KEYCHAIN


def forget_key(url: str) -> None:
    """Remove a stored key."""
    import keyring
    from keyring.errors import KeyringError

    url = url.rstrip("/")
    try:
        keyring.delete_password(_SERVICE, url)
    except KeyringError:
        _log.debug("the keychain has no key for %s", url)
    _write_file({k: v for k, v in _read_to_change().items() if k != url})


def _in_file() -> str:
    return f"in the file {_file()}, which only you can read, because there is no keychain here"


def _file() -> Path:
    return paths.home() / "keys.json"


def _read_file() -> dict[str, str]:
    try:
        return read_json(_file().read_bytes(), dict[str, str])
    except (OSError, msgspec.DecodeError):
        return {}


def _read_to_change() -> dict[str, str]:
    """Return the keys, none when the file is damaged, which is then set aside. Raises OSError."""
    try:
        return read_json(_file().read_bytes(), dict[str, str])
    except FileNotFoundError:
        return {}
    except msgspec.DecodeError:
        aside = files.set_aside(_file())
        _log.warning("%s could not be read and is kept as %s", _file(), aside.name)
        return {}


def _write_file(keys: dict[str, str]) -> None:
    if keys:
        files.write_atomically(_file(), msgspec.json.encode(keys).decode(), mode=0o600)
    elif _file().exists():
        _file().unlink()
