"""Profiles as files: what people write stays, what does not work is told."""

import asyncio
import errno
import math
import re
import subprocess
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import tomlkit
from patience import DEADLINE_S

from app import files, paths
from app.engine.bus import Bus
from app.engine.profiles import DEMO_ID, Profiles, ProfileStore
from app.engine.runtimes import all_runtimes
from app.engine.runtimes.mlx_lm import OPTIONS
from app.wire.errors import AppError, ErrorCode
from app.wire.nouns import EngineInfo, Machine, Profile, ProfileDraft
from app.wire.options import OptionKind

RUNTIMES = all_runtimes()


@pytest.fixture
def store() -> ProfileStore:
    return ProfileStore(RUNTIMES)


def write(name: str, text: str) -> Path:
    path = paths.profiles() / f"{name}.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def loaded(store: ProfileStore) -> dict[str, Profile]:
    return {profile.id: profile for profile in store.load_all()}


def draft(name: str = "Coding", model: str = "a/b", **more: Any) -> ProfileDraft:
    return ProfileDraft(name, model, **more)


def test_create_writes_a_file_that_loads_again(store: ProfileStore) -> None:
    made = store.create(draft(options={"temp": 0.5, "max_tokens": 9}), existing={})
    assert made.id == "coding"
    assert made.fault is None
    assert loaded(store) == {"coding": made}
    assert made.options == {"temp": 0.5, "max_tokens": 9}


@pytest.mark.parametrize(
    ("name", "expected"),
    [("Ünï cödé!", "uni-code"), ("日本語", "profile"), ("a/../b", "a-b"), ("x" * 80, "x" * 40)],
)
def test_id_of_a_name_is_a_plain_file_name(store: ProfileStore, name: str, expected: str) -> None:
    assert store.create(draft(name), existing={}).id == expected


def test_id_that_is_taken_gets_a_number(store: ProfileStore) -> None:
    first = store.create(draft("A b"), existing={})
    second = store.create(draft("A-b"), existing={first.id: first})
    assert (first.id, second.id) == ("a-b", "a-b-2")


def test_update_keeps_comments_order_and_unknown_keys(store: ProfileStore) -> None:
    path = write(
        "coding",
        '# for work\nname = "Coding" # short\nfuture = {x = 1}\nmodel = "a/b"\n\n'
        "[options]\n# warm\ntemp = 0.5 # tried 0.7\nmax_tokens = 9\n\n[elsewhere]\nkey = 1\n",
    )
    known = loaded(store)
    changed = store.update("coding", draft("Work", "c/d", options={"temp": 0.9}), existing=known)
    assert (changed.name, changed.model, changed.options) == ("Work", "c/d", {"temp": 0.9})
    assert path.read_text(encoding="utf-8") == (
        '# for work\nname = "Work" # short\nfuture = {x = 1}\nmodel = "c/d"\nruntime = "mlx_lm"\n\n'
        "[options]\n# warm\ntemp = 0.9 # tried 0.7\n\n[elsewhere]\nkey = 1\n"
    )


@pytest.mark.parametrize(
    "text",
    [
        'name = "A"\nmodel = "m"\n',
        'name = "A"\nmodel = "m"\noptions = {temp = 1.0}\n',
        'name = "A"\nmodel = "m"\noptions.temp = 1.0\noptions.max_tokens = 3\n',
        "[options]\ntemp = 1.0\n\n[more]\na = 1\n",
        'name = "A"\r\nmodel = "m"\r\n\r\n[options]\r\ntemp = 1.0\r\n',
    ],
    ids=["no options", "inline", "dotted", "nothing but options", "windows lines"],
)
def test_update_works_with_every_way_to_write_options(store: ProfileStore, text: str) -> None:
    write("a", text)
    known = loaded(store)
    if known["a"].fault is not None:
        with pytest.raises(AppError) as refused:
            store.update("a", draft(), existing=known)
        assert refused.value.code is ErrorCode.PROFILE_BROKEN
        return
    options = {"temp": 0.25, "top_k": 5, "chat_template_args": '{"a": "\\u00e4\\n"}'}
    changed = store.update("a", draft(options=options), existing=known)
    assert changed.fault is None
    assert changed.options == options


@pytest.mark.parametrize("text", ['quote " and \\ and \t and \n', "'''\"\"\"", "ünï \x01\x1f\x7f"])
def test_text_option_survives_the_file(store: ProfileStore, text: str) -> None:
    made = store.create(draft(options={"chat_template": text}), existing={})
    assert loaded(store)[made.id].options == {"chat_template": text}


@pytest.mark.parametrize("name", ["Coding", "coding", "  CODING  "])
def test_name_that_is_taken_is_refused(store: ProfileStore, name: str) -> None:
    first = store.create(draft("Coding"), existing={})
    other = store.create(draft("Other"), existing={first.id: first})
    known = {first.id: first, other.id: other}
    for attempt in (
        lambda: store.create(draft(name), existing=known),
        lambda: store.update(other.id, draft(name), existing=known),
    ):
        with pytest.raises(AppError, match="already a profile") as refused:
            attempt()
        assert refused.value.status == 409
        assert refused.value.code is ErrorCode.NAME_TAKEN
    assert store.update(first.id, draft(name), existing=known).name == name.strip()


@pytest.mark.parametrize("name", ["", "   ", "x" * 81, "two\nlines", "tab\t.", "\x00"])
def test_bugfix_03_name_that_cannot_be_shown_is_refused(store: ProfileStore, name: str) -> None:
    with pytest.raises(AppError, match="name") as refused:
        store.create(draft(name), existing={})
    assert refused.value.status == 400
    assert loaded(store) == {}


@pytest.mark.parametrize("model", ["", "  ", "-m", "a\0b", "a\nb", "x" * 1025])
def test_bugfix_03_model_that_cannot_be_one_is_refused(store: ProfileStore, model: str) -> None:
    with pytest.raises(AppError, match="model") as refused:
        store.create(draft(model=model), existing={})
    assert refused.value.status == 400


def test_stale_revision_is_refused_and_the_other_change_stays(store: ProfileStore) -> None:
    made = store.create(draft(options={"temp": 0.1}), existing={})
    known = {made.id: made}
    store.update(made.id, draft(revision=made.revision, options={"temp": 0.2}), existing=known)
    with pytest.raises(AppError, match="changed meanwhile") as refused:
        store.update(made.id, draft(revision=made.revision, options={"temp": 0.3}), existing=known)
    assert (refused.value.status, refused.value.code) == (409, ErrorCode.STALE_REVISION)
    assert loaded(store)[made.id].options == {"temp": 0.2}


BROKEN = {
    "broken toml": ('name = "A"\nmodel = \n', 2, "Invalid value."),
    "no name": ('model = "m"\n', None, "name"),
    "name is a number": ('model = "m"\nname = 3\n', 2, "name"),
    "name of two lines": ('model = "m"\nname = "a\\nb"\n', 2, "name"),
    "model is empty": ('name = "A"\nmodel = " "\n', 2, "model"),
    "runtime is a list": ('name = "A"\nmodel = "m"\nruntime = ["x"]\n', 3, "runtime"),
    "runtime is unknown": ('name = "A"\nmodel = "m"\nruntime = "x"\n', None, "mlx_lm"),
    "options is no table": ('name = "A"\nmodel = "m"\noptions = 3\n', None, "options"),
    "option is unknown": ('name = "A"\nmodel = "m"\n[options]\nnope = 1\n', 4, "nope"),
    "option is out of range": ('name = "A"\nmodel = "m"\n[options]\n\ntemp = -1\n', 5, "temp"),
    "newer schema": ('schema = 2\nname = "A"\nmodel = "m"\n', 1, "newer version"),
    "too many brackets": (f"a = {'[' * 20_000}", None, "brackets"),
    "too large": ("#" * 300_000, None, "256 KB"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_file_that_cannot_be_used_shows_why_and_is_never_overwritten(
    store: ProfileStore, kind: str
) -> None:
    text, line, words = BROKEN[kind]
    path = write("a", text)
    write("good", 'name = "Good"\nmodel = "m"\n')
    known = loaded(store)
    fault = known["a"].fault
    assert fault is not None
    assert words in fault.message
    assert fault.line == line
    assert known["good"].fault is None
    with pytest.raises(AppError, match="not overwritten") as refused:
        store.update("a", draft(), existing=known)
    assert refused.value.code is ErrorCode.PROFILE_BROKEN
    assert path.read_text(encoding="utf-8") == text


def test_file_that_is_no_text_or_no_file_shows_why(store: ProfileStore) -> None:
    write("a", "").write_bytes(b"\xff\xfe")
    (paths.profiles() / "folder.toml").mkdir()
    (paths.profiles() / "dangling.toml").symlink_to("nowhere")
    (paths.profiles() / "._a.toml").write_bytes(b"\x00")
    (paths.profiles() / "notes.txt").write_text("no profile")
    faults = {name: profile.fault for name, profile in loaded(store).items()}
    assert set(faults) == {"a", "folder", "dangling"}
    assert all(fault is not None and fault.message for fault in faults.values())


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('name = "Broken one"  # mine\nmodel = \n', "Broken one"),
        ("model = 3\n  name='Broken one'\n", "Broken one"),
        ('model = "m"\n[options]\nname = "Broken one"\ntemp = \n', "a"),
        ('name = "Broken one\nmodel = "m"\n', "a"),
        ('name = "a\\nb"\nmodel = \n', "a"),
    ],
)
def test_broken_file_is_called_by_its_name_if_that_can_be_read(
    store: ProfileStore, text: str, name: str
) -> None:
    write("a", text)
    profile = loaded(store)["a"]
    assert profile.fault is not None
    assert profile.name == name


def test_broken_file_takes_no_name_from_one_that_works(store: ProfileStore) -> None:
    write("a", 'name = "Twin"\nmodel = \n')
    write("b", 'name = "Twin"\nmodel = "m"\n')
    assert loaded(store)["b"].fault is None


def test_fault_does_not_tell_its_line_twice(store: ProfileStore) -> None:
    path = write("a", 'name = "A"\nmodel = \n')
    known = loaded(store)
    fault = known["a"].fault
    assert fault is not None
    assert (fault.message, fault.line) == ("Invalid value.", 2)
    with pytest.raises(AppError, match=r"\(Invalid value, line 2\)"):
        store.update("a", draft(), existing=known)
    assert path.exists()


def test_range_is_told_in_whole_numbers(store: ProfileStore) -> None:
    write("a", 'name = "A"\nmodel = "m"\n[options]\nmax_tokens = "many"\n')
    fault = loaded(store)["a"].fault
    assert fault is not None
    assert "a whole number from 1 to 1,000,000" in fault.message


def test_two_files_of_one_name_second_is_faulty(store: ProfileStore) -> None:
    write("a", 'name = "Same"\nmodel = "m"\n')
    write("b", 'name = "SAME"\nmodel = "m"\n')
    known = loaded(store)
    assert known["a"].fault is None
    assert known["b"].fault is not None
    assert "a.toml" in known["b"].fault.message
    assert store.update("b", draft("Another"), existing=known).fault is None
    assert loaded(store)["b"].fault is None


def test_delete_moves_the_file_to_the_trash(store: ProfileStore) -> None:
    made = store.create(draft(), existing={})
    store.delete(made.id)
    assert loaded(store) == {}
    (kept,) = paths.trash().iterdir()
    assert 'name = "Coding"' in kept.read_text()
    with pytest.raises(AppError) as refused:
        store.delete(made.id)
    assert refused.value.status == 404


def test_every_save_keeps_the_version_before(store: ProfileStore) -> None:
    made = store.create(draft(), existing={})
    store.update(made.id, draft("Second"), existing={made.id: made})
    (version,) = (paths.backups() / made.id).iterdir()
    assert 'name = "Coding"' in version.read_text()


def test_full_disk_is_a_sentence_and_the_old_file_stays(
    store: ProfileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = store.create(draft(), existing={})
    before = Path(made.path).read_bytes()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    known = {made.id: made}
    for attempt in (
        lambda: store.create(draft("More"), existing=known),
        lambda: store.update(made.id, draft("Changed"), existing=known),
    ):
        with pytest.raises(AppError, match="No space left on device") as refused:
            attempt()
        assert refused.value.status == 507
        assert refused.value.hint
    assert Path(made.path).read_bytes() == before
    assert list(loaded(store)) == [made.id]
    assert not list(paths.profiles().glob(".tmp-*"))


def test_really_full_disk_is_a_sentence_and_the_old_file_stays(
    store: ProfileStore, home: Path
) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "size=32k", "none", str(home)]
    if (
        sys.platform != "linux"
        or subprocess.run(mount, capture_output=True, check=False).returncode
    ):
        pytest.skip("mounting a small disk needs root on Linux")
    try:
        made = store.create(draft(), existing={})
        before = Path(made.path).read_bytes()
        filler = home / "filler"
        with pytest.raises(OSError, match="No space"):
            filler.write_bytes(bytes(64_000))
        with pytest.raises(AppError, match="could not be saved: No space left") as refused:
            store.update(made.id, draft("Changed"), existing={made.id: made})
        assert refused.value.code is ErrorCode.STORE_FAILED
        assert Path(made.path).read_bytes() == before
        filler.unlink()
        assert store.update(made.id, draft("Changed"), existing={made.id: made}).name == "Changed"
    finally:
        subprocess.run(["umount", str(home)], check=True)


def test_demo_profile_is_made_once_and_stays_as_people_change_it(store: ProfileStore) -> None:
    store.ensure_demo()
    path = paths.profiles() / f"{DEMO_ID}.toml"
    path.write_text(path.read_text().replace("max_tokens = 200", "max_tokens = 7"))
    store.ensure_demo()
    demo = loaded(store)[DEMO_ID]
    assert demo.is_demo
    assert demo.fault is None
    assert demo.options["max_tokens"] == 7
    assert "comment" not in demo.name


BAD_VALUES: dict[str, list[object]] = {
    "temp": [-1, 5.1, math.nan, math.inf, "1", True, None],
    "top_p": [-0.1, 1.1, math.nan],
    "min_p": [-0.1, 1.1, math.nan],
    "top_k": [-1, 1.5],
    "max_tokens": [0, -5, 10**30, 1.0, "9", True],
    "prompt_concurrency": [0, -1],
    "decode_concurrency": [0],
    "prefill_step_size": [0, -1, 1],
    "prompt_cache_size": [-1],
    "prompt_cache_bytes": ["2X", "", "G", "-1", "0", "4 G", 1000],
    "num_draft_tokens": [-1, 0],
    "kv_bits": [0, 1, 7, 9],
    "kv_group_size": [0, 16, 48, 129, -64],
    "quantized_kv_start": [-1],
    "chat_template_args": ["[]", "{", "", "null", "3", {}],
    "chat_template": [3, "a\0b"],
    "adapter_path": [False],
    "trust_remote_code": ["yes", 1, None],
    "log_level": ["TRACE", "debug", "", 1],
    "no_such_option": [1],
    "port": [80],
    "host": ["127.0.0.1"],
    "model": ["x"],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in BAD_VALUES.items() for value in values]
)
def test_bugfix_03_bad_option_is_refused_with_its_name(
    store: ProfileStore, name: str, value: object
) -> None:
    with pytest.raises(AppError) as refused:
        store.create(draft(options={name: value}), existing={})
    assert refused.value.status == 400
    assert name in refused.value.message
    assert loaded(store) == {}


GOOD_VALUES: dict[str, list[object]] = {
    "temp": [0, 0.0, 5],
    "top_k": [0, 40],
    "prompt_cache_bytes": ["4G", "500MB", "1000", "1.5GB"],
    "chat_template_args": ['{"enable_thinking": false}', "{}"],
    "kv_bits": [2, 3, 4, 6, 8],
    "kv_group_size": [32, 64, 128],
    "trust_remote_code": [True, False],
    "log_level": ["DEBUG", "CRITICAL"],
    "adapter_path": ["/a b/c", "--looks-like-a-flag"],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in GOOD_VALUES.items() for value in values]
)
def test_good_option_is_taken(store: ProfileStore, name: str, value: object) -> None:
    made = store.create(draft(options={name: value}), existing={})
    assert made.options == {name: value}
    command = RUNTIMES["mlx_lm"].command(made, "/m")
    flag = next(row.flag for row in OPTIONS if row.name == name)
    expected = {True: [flag], False: []}.get(value, [f"{flag}={value}"]) if isinstance(
        value, bool
    ) else [f"{flag}={made.options[name]}"]  # fmt: skip
    assert [part for part in command if part.startswith(flag)] == expected


@pytest.fixture(scope="module")
def server_parser() -> Any:
    """The real argument parser of mlx_lm.server."""
    import argparse

    import mlx_lm.server as target

    caught: list[argparse.ArgumentParser] = []

    class Stop(Exception):
        pass

    def parse_args(self: argparse.ArgumentParser, *_: object) -> None:
        caught.append(self)
        raise Stop

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, "parse_args", parse_args)
        with pytest.raises(Stop):
            target.main()
    return caught[0]


# The engine's own, no profile's: where a server listens, whom it answers, what it loads.
OURS = {"--model", "--host", "--port", "--allowed-origins", "--help"}


def test_option_table_has_every_flag_of_mlx_lm_server(server_parser: Any) -> None:
    flags = {a.option_strings[-1]: a for a in server_parser._actions}
    assert {row.flag for row in OPTIONS} == set(flags) - OURS


@pytest.mark.parametrize("row", OPTIONS, ids=lambda row: row.name)
def test_option_row_agrees_with_mlx_lm_server(server_parser: Any, row: Any) -> None:
    action = next(a for a in server_parser._actions if row.flag in a.option_strings)
    assert row.name == action.dest
    theirs = {"": None}.get(action.default, action.default) if isinstance(
        action.default, str
    ) else action.default  # fmt: skip
    ours = {"{}": {}}.get(row.default, row.default) if row.kind is OptionKind.JSON else row.default
    if row.kind is OptionKind.JSON and isinstance(theirs, str):
        theirs = {}
    assert ours == theirs
    if row.kind is OptionKind.INT:
        assert action.type is int
    if row.kind is OptionKind.FLOAT:
        assert action.type is float
    if row.kind is OptionKind.FLAG:
        assert action.nargs == 0
    if row.kind is OptionKind.CHOICE:
        assert list(row.choices) == list(action.choices)


@pytest.mark.parametrize("row", OPTIONS, ids=lambda row: row.name)
def test_option_default_is_itself_a_good_value(row: Any) -> None:
    from app.wire.options import check_option

    if row.default is not None:
        assert check_option(row, row.default) == row.default
    assert row.help.endswith((".", "}."))
    assert not re.search(r"[!]", row.help)


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, DEADLINE_S))


def make_bus() -> Bus:
    machine = Machine("m", "c", 2**34)
    return Bus(EngineInfo("0", 1, 1, "", "", "", 0.0, "", "", False, False, machine, ()))


def test_two_drafts_of_one_name_at_a_time_make_one_profile(store: ProfileStore) -> None:
    async def race() -> None:
        profiles = Profiles(store, make_bus(), lambda: False)
        results = await asyncio.gather(
            *(profiles.create(draft("Same")) for _ in range(5)), return_exceptions=True
        )
        assert sum(isinstance(result, Profile) for result in results) == 1
        assert all(isinstance(r, Profile) or r.code is ErrorCode.NAME_TAKEN for r in results)  # type: ignore[union-attr]

    run(race())
    assert [profile.name for profile in store.load_all()] == ["Same"]


def test_delete_that_fails_keeps_the_profile(
    store: ProfileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def attempt() -> None:
        bus = make_bus()
        profiles = Profiles(store, bus, lambda: False)
        made = await profiles.create(draft())

        def refuse(*_: object) -> None:
            raise OSError(errno.EACCES, "Permission denied")

        monkeypatch.setattr(files, "move_to_trash", refuse)
        with pytest.raises(AppError, match="Permission denied"):
            await profiles.delete(made)
        assert bus.profiles == {made.id: made}

    run(attempt())


def test_demo_profile_that_cannot_be_made_is_a_warning(
    store: ProfileStore, monkeypatch: pytest.MonkeyPatch, expect_log: Callable[[str], None]
) -> None:
    expect_log("demo profile could not be made")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    async def load() -> None:
        bus = make_bus()
        await Profiles(store, bus, lambda: True).load()
        assert bus.profiles == {}

    monkeypatch.setattr(files.os, "fsync", full)
    run(load())


def test_saved_file_is_toml_for_other_programs(store: ProfileStore) -> None:
    made = store.create(draft(options={"chat_template": "a\nb", "temp": 1}), existing={})
    document = tomlkit.parse(Path(made.path).read_text(encoding="utf-8"))
    assert document["schema"] == 1
    assert document["runtime"] == "mlx_lm"
