"""Whatever stands in a file that a person or another program wrote: read, or refused in words."""

import sqlite3
import tempfile
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import tomlkit
from hypothesis import assume, example, given
from hypothesis import strategies as st
from property_kit import JSON, NUMBERS, examples, words

from app import environment, files, paths
from app.doctor import checks
from app.engine.downloads.store import DownloadStore
from app.engine.keys import NamedKeys
from app.engine.profiles import ProfileStore, document, portable, predecessor
from app.engine.runtimes import all_runtimes
from app.engine.runtimes.mlx_lm_options import TABLE
from app.engine.settings import EngineSettings
from app.wire.errors import AppError
from app.wire.nouns import Profile, ProfileDraft
from app.wire.options import Option, OptionKind, OptionValue
from app.wire.policy import POLICIES
from app.wire.reading import quoted, read_json, read_toml
from app.wire.settings import BY_NAME, Scope

RUNTIMES = all_runtimes()
HEAD = 'format = "mlx-manager-profiles"\nversion = 1\n'
OURS = {"name", "model", "runtime", "options", "policy"}

TOO_LONG = "1" * 5000
HUGE = "0x" + "f" * 5000
BRACKETS = "[" * 5000
NASTY = [
    f"x = {TOO_LONG}", f"x = {HUGE}", f"x = {BRACKETS}", f"schema = {HUGE}",
    f"[options]\nmax_tokens = {HUGE}", f"[options]\ntemp = {HUGE}",
    f"[options]\nchat_template_args = '{BRACKETS}'", "[options]\ntemp = nan",
    "[options]\ntemp = inf",
    "[options]\nmax_tokens = 9223372036854775808", "options = 5", "[[options]]\n[[options]]",
    "[policy.x]\n", "name.x = 1", "[name]\n", "x = 1979-05-27T07:32:00-99:00", 'x = "\\ud800"',
]  # fmt: skip


def value_for(row: Option) -> st.SearchStrategy[OptionValue]:  # noqa: PLR0911 - one for each kind
    """Values that work for an option, and look like those that people write."""
    match row.kind:
        case OptionKind.FLAG:
            return st.booleans()
        case OptionKind.INT | OptionKind.FLOAT if row.choices:
            return st.sampled_from([int(choice) for choice in row.choices])
        case OptionKind.INT:
            return st.integers(int(row.minimum or 0), int(row.maximum or 10**6))
        case OptionKind.FLOAT:
            return st.floats(row.minimum or 0.0, row.maximum or 9.0)
        case OptionKind.CHOICE:
            return st.sampled_from(row.choices)
        case OptionKind.JSON:
            return st.sampled_from(["{}", '{"enable_thinking": false}'])
        case OptionKind.SIZE:
            return st.sampled_from(["4G", "500MB", "1.5GB", "1000000"])
        case OptionKind.TEXT | OptionKind.PATH | OptionKind.MODEL:
            return words().filter(lambda text: "\0" not in text)


def values_of(rows: tuple[Option, ...]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional={row.name: value_for(row) for row in rows})


NAMES = st.text(st.characters(categories=["L", "N", "S", "P"]), min_size=1, max_size=40)
MODELS = NAMES.filter(lambda text: not text.startswith("-"))
DRAFTS = st.builds(
    lambda name, model, options, policy: ProfileDraft(name, model, "mlx_lm", options, policy),
    NAMES, MODELS, values_of(TABLE), values_of(POLICIES),
)  # fmt: skip


@given(
    words(200) | st.sampled_from(NASTY), st.sampled_from(["", 'name = "a"\nmodel = "b"\n', HEAD])
)
@examples(150)
def test_any_text_is_a_table_or_a_syntax_error(text: str, head: str) -> None:
    try:
        table = read_toml(head + text)
    except tomllib.TOMLDecodeError as error:
        document.syntax_fault(error)
    else:
        # What was read can be shown, and sent to a front end.
        quoted(table)
        msgspec.json.encode(table)


@given(
    st.binary(max_size=200) | words(200).map(str.encode) | st.sampled_from(NASTY).map(str.encode)
)
@examples(80)
def test_any_file_is_a_profile_or_a_profile_that_tells_its_fault(home: Path, data: bytes) -> None:
    for head in (b"", b'name = "a"\nmodel = "b"\n'):
        path = home / "any.toml"
        path.write_bytes(head + data)
        profile = document.read(path, RUNTIMES)
        assert profile.fault is None or profile.fault.message
        assert read_json(msgspec.json.encode(profile), Profile) == profile


COMMENT = st.text(st.characters(categories=["L", "N", "Zs"]), max_size=20).map(lambda t: f"# {t}")
ELSE = st.sampled_from(
    [
        "mine = 1", 'mine.deep = "x"', "mine = {a = 1, b = [1, 2]}", "mine = 1_000",
        "mine = [\n  1, # one\n  2,\n]", '"my key" = """\ntext\n"""', "mine = 'C:\\x'",
        "when = 1979-05-27T07:32:00Z",
    ]
)  # fmt: skip
TABLES = st.sampled_from(
    [
        "[mine]\na = 1\n[mine.b]\nc = 2", "[[mine]]\na = 1\n# in between\n[[mine]]\na = 2",
        '["a b".c]\nd = "e"', "[mine.x]\ny = 1\n[mine]\nz = 1",
    ]
)  # fmt: skip


@st.composite
def hand_written(draw: Callable[..., Any]) -> str:
    """A profile as people write it: in any order, with comments and with things of their own."""
    ours = [f"name = {tomlkit.item(draw(NAMES)).as_string()}", 'model = "a/b"']
    if draw(st.booleans()):
        ours.append('runtime = "mlx_lm"')
    tops = ours + draw(st.lists(ELSE, max_size=1))
    options = draw(st.sampled_from(["none", "table", "inline", "dotted"]))
    pairs = [
        f"{name} = {tomlkit.item(value).as_string()}"
        for name, value in draw(values_of(TABLE[:6])).items()
    ]
    parts: list[str] = []
    if options == "inline":
        tops.append("options = {" + ", ".join(pairs) + "}")
    elif options == "dotted":
        tops += [f"options.{pair}" for pair in pairs]
    elif options == "table":
        parts.append("\n".join(["[options]", *_commented(draw, pairs)]))
    if not any(line.startswith("mine") for line in tops):
        parts += draw(st.lists(TABLES, max_size=1))
    tops = _commented(draw, draw(st.permutations(tops)))
    return "\n".join([*tops, *draw(st.permutations(parts)), draw(COMMENT), ""])


def _commented(draw: Callable[..., Any], lines: list[str]) -> list[str]:
    found: list[str] = []
    for line in lines:
        found += draw(st.lists(COMMENT, max_size=1))
        end = draw(st.sampled_from(["", " # here", "\n"]))
        found.append(line + end)
    return found


def comments_in(text: str) -> list[str]:
    return sorted(line.strip() for line in text.splitlines() if line.strip().startswith("#"))


@given(hand_written(), DRAFTS)
@examples(60)
def test_saved_profile_says_the_draft_and_keeps_what_people_wrote(
    home: Path, text: str, draft: ProfileDraft
) -> None:
    store = ProfileStore(RUNTIMES)
    path = paths.profiles() / "mine.toml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="")
    before = document.read(path, RUNTIMES)
    assume(before.fault is None)
    try:
        saved = store.update("mine", draft, existing={"mine": before})
    except AppError as error:
        # Only keys of one table that are scattered over the file cannot be changed; none is lost.
        assert "options." in text or "[mine.x]" in text, error.message  # noqa: PT017 - not always
        assert path.read_text(encoding="utf-8") == text
        return
    assert saved.fault is None
    checked = document.checked(draft, RUNTIMES)
    assert (saved.name, saved.model) == (draft.name.strip(), draft.model.strip())
    assert (saved.options, saved.policy) == (checked.options, checked.policy)
    after = path.read_text(encoding="utf-8")
    old, new = read_toml(text), read_toml(after)
    assert {k: v for k, v in new.items() if k not in OURS} == {
        k: v for k, v in old.items() if k not in OURS
    }
    assert comments_in(text) == comments_in(after)


@pytest.mark.parametrize(
    "text",
    [
        'options.temp = 1.0\nname = "a"\noptions.top_p = 0.5\nmodel = "b"\n',
        'options.temp = 1.0\nname = "a"\nmodel = "b"\noptions.top_k = 5\n[mine]\nx = 1\n',
    ],
)
def test_options_scattered_over_the_file_are_changed_or_left_alone(home: Path, text: str) -> None:
    store = ProfileStore(RUNTIMES)
    path = paths.profiles() / "mine.toml"
    path.parent.mkdir(exist_ok=True)
    for options in ({}, {"temp": 0.5}, {"top_p": 1.0}, {"min_p": 0.5}):
        path.write_text(text, encoding="utf-8")
        known = {"mine": document.read(path, RUNTIMES)}
        try:
            saved = store.update("mine", ProfileDraft("a", "b", options=options), existing=known)
        except AppError as error:
            assert "scattered" in error.message  # noqa: PT017 - not always
            assert path.read_text(encoding="utf-8") == text
        else:
            assert saved.options == options


@given(DRAFTS)
@examples(60)
def test_draft_survives_file_and_export(draft: ProfileDraft) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.toml"
        content = tomlkit.document()
        checked = document.checked(draft, RUNTIMES)
        document.fill(content, checked, document.clean_name(draft.name))
        files.write_atomically(path, tomlkit.dumps(content))
        profile = document.read(path, RUNTIMES)
    assert profile.fault is None
    assert (profile.options, profile.policy) == (checked.options, checked.policy)
    (found,) = portable.judge(portable.read_text(portable.export_text(profile)), RUNTIMES, {})
    assert found.draft is not None
    assert (found.draft.options, found.draft.policy) == (checked.options, checked.policy)


@given(
    words(200)
    | st.sampled_from(NASTY)
    | st.sampled_from(NASTY).map(
        lambda t: f"[[profile]]\n{t.replace('[options]', '[profile.options]')}"
    )
    | st.sampled_from(NASTY).map(
        lambda t: f'[[profile]]\nname="a"\nmodel="b"\n{t.replace("[options]", "[profile.options]")}'
    )
)
@examples(80)
def test_any_import_is_judged_or_refused(text: str) -> None:
    for whole in (text, HEAD + text):
        try:
            found = portable.judge(portable.read_text(whole), RUNTIMES, {})
        except AppError as error:
            assert error.status == 400  # noqa: PT017 - not always
            continue
        msgspec.json.encode(portable.preview(found))
        for one in found:
            draft, _ = portable.allowed_draft(one, ())
            if draft is not None:
                document.checked(draft, RUNTIMES)


CELL = st.none() | st.integers(-(2**63), 2**63 - 1) | st.floats() | words() | st.binary(max_size=20)
COLUMNS = st.lists(
    st.sampled_from(
        [
            "name", "model_id", "model_path", "temperature", "max_tokens", "top_p", "auto_start",
            "max_concurrency", "trust_remote_code", "log_level", "model_options", "system_prompt",
        ]
    ),
    unique=True,
)  # fmt: skip


def read_predecessor(path: Path) -> None:
    try:
        tables, notes = predecessor.read(path)
    except AppError as error:
        assert error.hint  # noqa: PT017 - not always
        return
    found = portable.judge(tables, RUNTIMES, {}, notes)
    msgspec.json.encode(portable.preview(found))


@given(COLUMNS, st.data())
@examples(40)
def test_any_rows_of_the_predecessor_are_judged(
    tmp_path: Path, columns: list[str], data: st.DataObject
) -> None:
    path = tmp_path / "old.db"
    path.unlink(missing_ok=True)
    rows = data.draw(st.lists(st.tuples(*[CELL for _ in columns]), max_size=3))
    with sqlite3.connect(path) as db:
        db.execute(f"CREATE TABLE server_profiles ({', '.join(['id', *columns])})")
        marks = ", ".join("?" * (len(columns) + 1))
        for row in rows:
            db.execute(f"INSERT INTO server_profiles VALUES ({marks})", (1, *row))  # noqa: S608 - marks
        db.execute("CREATE TABLE models (id, repo_id)")
        db.execute("INSERT INTO models VALUES (?, ?)", (data.draw(CELL), data.draw(CELL)))
    db.close()
    read_predecessor(path)


@given(st.binary(max_size=300), st.integers(0, 8000), st.booleans())
@examples(60)
def test_any_bytes_in_the_predecessors_file_are_read_or_refused(
    tmp_path: Path, data: bytes, place: int, is_whole: bool
) -> None:
    path = tmp_path / "old.db"
    path.unlink(missing_ok=True)
    if not is_whole:
        with sqlite3.connect(path) as db:
            db.execute("CREATE TABLE server_profiles (id, name, model_path)")
            db.execute("INSERT INTO server_profiles VALUES (1, 'a', 'b/c')")
        db.close()
        data = (whole := path.read_bytes())[:place] + data + whole[place + len(data) :]
    path.write_bytes(data)
    read_predecessor(path)


ENGINE_NAMES = [name for name, setting in BY_NAME.items() if setting.scope is Scope.ENGINE]


@given(
    words(100) | st.sampled_from([f"{n} = {v}" for n in ENGINE_NAMES[:6] for v in (HUGE, TOO_LONG)])
)
@example("gateway_port = " + HUGE)
@examples(60)
def test_any_file_of_settings_is_read_or_told(home: Path, text: str) -> None:
    (home / "settings.toml").write_text(text, encoding="utf-8", newline="")
    settings = EngineSettings({})
    msgspec.json.encode([settings.states(), settings.problems])
    list(checks.check_settings())


@given(
    st.dictionaries(st.sampled_from(ENGINE_NAMES) | words(10), JSON | NUMBERS | words(), max_size=3)
)
@examples(100)
def test_any_change_of_settings_is_refused_or_lasts(home: Path, changes: dict[str, Any]) -> None:
    path = home / "settings.toml"
    path.write_text("# mine\nother = [1, 2]\n[table]\nx = 1\n", encoding="utf-8")
    before = path.read_bytes()
    settings = EngineSettings({})
    try:
        settings.change(changes)
    except AppError:
        assert path.read_bytes() == before
        return
    again = EngineSettings({})
    assert not again.problems
    assert again.states() == settings.states()
    msgspec.json.encode(again.states())
    kept = read_toml(path.read_text(encoding="utf-8"))
    assert (kept["other"], kept["table"]) == ([1, 2], {"x": 1})
    assert "# mine" in path.read_text(encoding="utf-8")
    for name in changes:
        if "folder" in name or name in ("cache", "python"):
            Path(str(kept[name])).exists()


@pytest.mark.parametrize("text", ["a\0b", "\ud800", "\x1b[31m"])
def test_setting_that_no_file_can_hold_is_refused(home: Path, text: str) -> None:
    settings = EngineSettings({})
    for name in ENGINE_NAMES:
        with pytest.raises(AppError):
            settings.change({name: text})


@given(words(200))
@examples(60)
def test_any_text_of_variables_is_read(text: str) -> None:
    found = environment.parse(text)
    assert all(name.isascii() and name.isidentifier() for name in found)


@pytest.mark.parametrize("data", [b"\xff", b"[" * 100_000, b'["\xff"]', b"5", b""])
def test_lists_that_the_disk_has_spoiled_are_told(
    home: Path, data: bytes, allow_log: Callable[[str], None]
) -> None:
    allow_log("cannot be read")
    file = home / "x.json"
    file.write_bytes(data)
    assert DownloadStore(file).load() == []
    # The list of downloads is put aside when it is broken.
    file.write_bytes(data)
    assert NamedKeys(file).problem
