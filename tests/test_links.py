"""Links to the app: the documented forms are read, and nothing else."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.gui.links import Link, Verb, absolute, is_link, is_profile_file, parse_link
from app.wire.errors import AppError

PART = st.from_regex(r"[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+){0,4}", fullmatch=True).filter(
    lambda part: len(part) <= 90
)


@pytest.mark.parametrize(
    ("text", "link"),
    [
        (
            "mlxmanager:download?model=mlx-community/Qwen3-4B-4bit",
            Link(Verb.DOWNLOAD, "mlx-community/Qwen3-4B-4bit"),
        ),
        ("mlxmanager:download?model=acme%2FTiny", Link(Verb.DOWNLOAD, "acme/Tiny")),
        ("MLXManager:start?profile=coding", Link(Verb.START, "coding")),
        ("mlxmanager:open", Link(Verb.OPEN)),
    ],
)
def test_documented_link_is_understood(text: str, link: Link) -> None:
    assert parse_link(text) == link


@pytest.mark.parametrize(
    "text",
    [
        "",
        "open",
        "http://example.com",
        "mlxmanager:",
        "mlxmanager://open",
        "mlxmanager:open?",
        "mlxmanager:open#top",
        "mlxmanager:OPEN",
        "mlxmanager:stop?profile=coding",
        "mlxmanager:download",
        "mlxmanager:download?model=",
        "mlxmanager:download?model=tiny",
        "mlxmanager:download?model=a/b/c",
        "mlxmanager:download?model=../b",
        "mlxmanager:download?model=a/..",
        "mlxmanager:download?model=a/b..c",
        "mlxmanager:download?model=a/b--c",
        "mlxmanager:download?model=a/b%252Fc",
        "mlxmanager:download?model=a/b%00",
        "mlxmanager:download?model=a/b&revision=evil",
        "mlxmanager:download?model=a/b&model=c/d",
        "mlxmanager:download?revision=x&model=a/b",
        "mlxmanager:download?model=a/b+c",
        "mlxmanager:download?model=\u0430/b",
        "mlxmanager:start?profile=../../etc/passwd",
        "mlxmanager:start?profile=a b",
        "mlxmanager:start?profile=a\n",
        "mlxmanager:download?model=a/" + "b" * 500,
    ],
)
def test_other_link_is_refused_in_words(text: str) -> None:
    with pytest.raises(AppError) as refused:
        parse_link(text)
    assert refused.value.message.isprintable()
    assert len(refused.value.message) < 200


@given(PART, PART)
def test_any_model_of_the_hub_survives_the_way_through_a_link(author: str, name: str) -> None:
    link = Link(Verb.DOWNLOAD, f"{author}/{name}")
    assert parse_link(f"mlxmanager:download?model={author}/{name}") == link
    assert parse_link(f"mlxmanager:download?model={quote(link.target, safe='')}") == link


@given(st.text(max_size=60), st.sampled_from(["", "mlxmanager:", "mlxmanager:download?model="]))
def test_any_text_is_understood_or_refused_and_never_names_a_path(tail: str, head: str) -> None:
    try:
        link = parse_link(head + tail)
    except AppError:
        return
    assert ".." not in link.target
    assert not link.target.startswith(("/", "."))
    assert link.target.count("/") == (1 if link.verb is Verb.DOWNLOAD else 0)


def test_file_of_a_profile_is_told_from_a_link() -> None:
    assert is_profile_file("/home/me/Coding.mlxprofile")
    assert is_profile_file("Coding.MLXPROFILE")
    assert not is_profile_file("mlxmanager:start?profile=x.mlxprofile")
    assert is_link("mlxmanager:nonsense")
    assert not is_link("/home/me/mlxmanager:file")


def test_path_becomes_absolute_and_link_stays() -> None:
    assert absolute("coding.mlxprofile").startswith("/")
    assert absolute("mlxmanager:open") == "mlxmanager:open"
