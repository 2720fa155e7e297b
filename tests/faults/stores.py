"""Every writer of documents in the program, each with a way to save an old and a new value."""

import json
import os
from functools import partial
from pathlib import Path

import msgspec
from faults.power_cut import Store

from app import files, login_item, paths
from app.client import credentials
from app.ending import Ending
from app.engine import settings
from app.engine.downloads.store import DownloadStore
from app.engine.keys import NamedKeys
from app.engine.library import library
from app.engine.profiles import ProfileStore
from app.engine.runtimes import all_runtimes
from app.engine.supervisor import runfile
from app.gui import memory
from app.gui.preferences import Preferences
from app.wire.nouns import Download, DownloadState, Model, ModelSource, Profile, ProfileDraft
from app.worker.download.cache import RepoCache
from app.worker.download.plan import Plan
from app.worker.library.memory import Memory

_PORTS = (5001, 5002)
_URL = "http://127.0.0.1:1"


def all_stores() -> list[Store]:
    """Return every store, for the home of this process."""
    return [*_settings(), *_profiles(), *_lists(), *_of_the_system()]


def _settings() -> list[Store]:
    def port() -> object:
        read = settings.EngineSettings({})
        return read.problems or read.number("gateway_port")

    def appearance() -> object:
        return Preferences().value("appearance")

    def remember(number: int) -> None:
        window = memory.Memory(paths.home() / "window.json")
        window.set_value("columns", ("1", "2")[number])
        assert window.saver.flush(10)

    def remembered() -> object:
        return memory.Memory(paths.home() / "window.json").value("columns")

    return [
        Store(
            "settings",
            lambda n: settings.EngineSettings({}).change({"gateway_port": _PORTS[n]}),
            port,
            _PORTS,
        ),
        Store("memory of the window", remember, remembered, ("1", "2")),
        Store(
            "app settings",
            lambda n: Preferences().save("appearance", ("light", "dark")[n]),
            appearance,
            ("light", "dark"),
        ),
    ]


def _profiles() -> list[Store]:
    store = ProfileStore(all_runtimes(str))
    return [*_written_profiles(store), *_moved_profiles(store)]


def _known(store: ProfileStore) -> dict[str, Profile]:
    return {profile.id: profile for profile in store.load_all()}


def _written_profiles(store: ProfileStore) -> list[Store]:
    known = partial(_known, store)

    def save(number: int) -> None:
        draft = ProfileDraft("A", "m", options={"temp": (0.1, 0.2)[number]})
        if "a" in known():
            store.update("a", draft, existing=known())
        else:
            store.create(draft, existing={})

    def temperature() -> object:
        (profile,) = known().values()
        return profile.fault or profile.options["temp"]

    def make(number: int) -> None:
        name = ("First", "Second")[number]
        if name not in [profile.name for profile in known().values()]:
            store.create(ProfileDraft(name, "m"), existing=known())

    def names() -> object:
        return tuple(sorted(str(p.fault or p.name) for p in known().values()))

    return [
        Store("profile that changes", save, temperature, (0.1, 0.2)),
        Store("profile that is new", make, names, (("First",), ("First", "Second"))),
    ]


def _moved_profiles(store: ProfileStore) -> list[Store]:
    known = partial(_known, store)

    def remove(number: int) -> None:
        if not number:
            store.create(ProfileDraft("A", "m"), existing=known())
        elif "a" in known():
            store.delete("a")

    def place() -> object:
        in_trash = files.newest_in_trash(paths.profiles() / "a.toml", paths.trash()) is not None
        return ("there" if "a" in known() else "gone", in_trash)

    def restore(number: int) -> None:
        if not number:
            store.create(ProfileDraft("A", "m"), existing={})
            store.delete("a")
        elif "a" not in known():
            store.restore("a", existing={})

    return [
        Store("profile that is deleted", remove, place, (("there", False), ("gone", True))),
        Store("profile that comes back", restore, place, (("gone", True), ("there", False))),
    ]


def _lists() -> list[Store]:
    home = paths.home()
    downloads = DownloadStore(home / "downloads.json")
    memory_file = home / "models.json"

    def save_downloads(number: int) -> None:
        DownloadStore(home / "downloads.json").save(
            [Download(f"org/m{n}", DownloadState.PAUSED) for n in range(number + 1)]
        )

    def make_key(number: int) -> None:
        keys = NamedKeys(home / "api-keys.json")
        if len(keys.list()) <= number:
            keys.create(("First", "Second")[number])

    def key_names() -> object:
        keys = NamedKeys(home / "api-keys.json")
        return keys.problem or tuple(key.name for key in keys.list())

    def remember(number: int) -> None:
        memory = Memory(memory_file)
        for n in range(number + 1):
            memory.put(f"/m{n}", "1", Model(f"m{n}", "m", "", ModelSource.FOLDER, "/m", 1), {})
        memory.save()

    def remembered() -> object:
        memory = Memory(memory_file)
        return sum(memory.get(f"/m{n}", "1") is not None for n in range(2))

    def save_found(number: int) -> None:
        library.remember(json.dumps({"models": [], "warnings": ["w"] * (number + 1)}).encode())

    def found() -> object:
        return len(json.loads((home / "library.json").read_bytes())["warnings"])

    return [
        Store("downloads", save_downloads, lambda: len(downloads.load()), (1, 2)),
        Store("named keys", make_key, key_names, (("First",), ("First", "Second"))),
        Store(
            "keys of engines",
            lambda n: credentials.store_key(_URL, ("one", "two")[n]),
            lambda: credentials.load_key(_URL),
            ("one", "two"),
        ),
        Store("models of the last scan", save_found, found, (1, 2)),
        Store("memory of scans", remember, remembered, (1, 2)),
    ]


def _of_the_system() -> list[Store]:
    run_file = paths.run() / "servers" / "a.json"
    item = login_item.login_item(login_item.Kind.APP).path
    cache = RepoCache(paths.home() / "hub", "org/m")
    ref = cache.folder / "refs" / "main"
    commits = ("0" * 40, "1" * 40)
    export = paths.home() / "A.mlxprofile"
    texts = ('name = "one"\n', 'name = "two"\n')
    items = ("[Desktop Entry]", "")

    def write_item(number: int) -> None:
        if number:
            login_item.install(login_item.Kind.APP)
        else:
            files.write_atomically(item, items[0])

    def item_text() -> object:
        text = item.read_text(encoding="utf-8")
        return "new" if text == login_item.login_item(login_item.Kind.APP).content else text

    return [
        Store(
            "run file of a server",
            lambda n: runfile.write("a", os.getpid(), ("one", "two")[n], None),
            lambda: msgspec.json.decode(run_file.read_bytes(), type=runfile.RunFile).run_id,
            ("one", "two"),
        ),
        Store(
            "note of a live run",
            lambda n: Ending("app", boot=str).begin((11, 12)[n]),
            lambda: json.loads((paths.run() / "app.alive").read_bytes())["pid"],
            (11, 12),
        ),
        Store(
            "revision of a model",
            lambda n: cache.publish(Plan("org/m", commits[n], ()), "main"),
            lambda: ref.read_text(encoding="ascii"),
            commits,
        ),
        Store("login item", write_item, item_text, (items[0], "new")),
        Store(
            "exported profile",
            lambda n: files.write_atomically(Path(export), texts[n]),
            lambda: export.read_text(encoding="utf-8"),
            texts,
        ),
    ]
