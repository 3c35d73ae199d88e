"""Globs, held to a second reading that is slow and plain."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from janitor.core.glob import GlobError, read_glob
from janitor.core.pattern import PatternKind, parse_pattern

# Keeps the star that ends a brace apart from one that follows it.
_JOINT = "\x01"


def _naive(glob: str, text: str, *, paths: bool) -> bool:
    if not glob:
        return not text
    if glob.startswith(_JOINT):
        return _naive(glob[1:], text, paths=paths)
    if glob.startswith("{"):
        return any(_naive(either, text, paths=paths) for either in _either(glob))
    if glob.startswith("**") and paths:
        return any(_naive(glob.lstrip("*"), text[at:], paths=paths) for at in range(len(text) + 1))
    if glob.startswith("*"):
        return _naive(glob[1:], text, paths=paths) or (
            _one("?", text, paths) and _naive(glob, text[1:], paths=paths)
        )
    one, rest = (
        (glob[0], glob[1:]) if glob[0] != "[" else (glob[: glob.index("]")], glob[glob.index("]") + 1 :])
    )
    return _one(one, text, paths) and _naive(rest, text[1:], paths=paths)


def _one(one: str, text: str, paths: bool) -> bool:  # noqa: FBT001 - a helper of a helper
    if not text or (paths and text[0] == "/" != one):
        return False
    if one.startswith("["):
        return (text[0] in one[1:].removeprefix("!")) != one.startswith("[!")
    return one in ("?", text[0])


def _either(glob: str) -> list[str]:
    depth, parts, start = 0, [], 1
    for at, character in enumerate(glob):
        depth += {"{": 1, "}": -1}.get(character, 0)
        if (character == "," and depth == 1) or depth == 0:
            parts.append(glob[start:at])
            start = at + 1
        if depth == 0:
            break
    return [part + _JOINT + glob[start:] for part in parts]


_plain = st.sampled_from(["a", "b", "/", ".", "\n", "é"])
_pieces = st.one_of(_plain, st.sampled_from(["*", "**", "?", "[ab]", "[!a]", "[!ab.]", "[é.]"]))
_globs = st.recursive(
    st.lists(_pieces, max_size=4).map("".join),
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: "{" + ",".join(parts) + "}"),
        st.lists(inner, max_size=3).map("".join),
    ),
    max_leaves=6,
).filter(bool)
_texts = st.lists(_plain, max_size=6).map("".join)


@given(glob=_globs, text=_texts, paths=st.booleans())
def test_globs_mean_what_a_plain_reading_says(glob: str, text: str, *, paths: bool) -> None:
    # A blank in a glob is refused; in a text it must not stop a star.
    glob = glob.replace("\n", "b")
    pattern = parse_pattern(glob, PatternKind.REPOSITORY if paths else PatternKind.TAG)
    assert pattern.matches(text) == _naive(glob, text, paths=paths)


@pytest.mark.parametrize(
    ("glob", "literal", "prefix"),
    [
        ("stable", "stable", None),
        (r"a\*b", "a*b", None),
        ("pr-*", None, "pr-"),
        ("pr-**", None, "pr-"),
        ("*", None, ""),
        ("*a", None, None),
        ("a*b", None, None),
        ("a*?", None, None),
        ("a?", None, None),
        ("{a,b}", None, None),
        ("{a}", None, None),
        ("[a]", None, None),
    ],
)
def test_plain_text_and_plain_beginnings_need_no_automaton(
    glob: str, literal: str | None, prefix: str | None
) -> None:
    read = read_glob(glob, paths=False, commas=False)
    assert (read.literal, read.prefix) == (literal, prefix)


def test_of_paths_only_two_stars_make_a_plain_beginning() -> None:
    assert read_glob("ci/*", paths=True, commas=False).prefix is None
    assert read_glob("ci/**", paths=True, commas=False).prefix == "ci/"
    assert read_glob("**", paths=True, commas=False).prefix == ""


def test_a_comma_stands_for_itself_only_where_texts_have_commas() -> None:
    assert read_glob("a,b", paths=False, commas=True).literal == "a,b"
    assert read_glob(r"a\,b", paths=False, commas=False).literal == "a,b"
    with pytest.raises(GlobError, match="write a list"):
        read_glob("a,b", paths=False, commas=False)
