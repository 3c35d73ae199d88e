from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from janitor.policyfile.nodes import ListNode, MapNode, Node, Problems, Scalar, flow
from janitor.policyfile.source import read

# Of the processor's time, which other tests slow down, too: a good second on a busy machine.
_MOMENT = 2.5


@contextmanager
def _within_a_moment() -> Iterator[None]:
    begin = time.process_time()
    yield
    assert time.process_time() - begin < _MOMENT


def _read(text: str) -> Node:
    problems = Problems()
    root = read("x.yaml", text.encode(), problems)
    assert not problems.sorted()
    assert root is not None
    return root


def _said(text: str | bytes) -> str:
    problems = Problems()
    read("x.yaml", text if isinstance(text, bytes) else text.encode(), problems)
    (problem, *_) = problems.sorted()
    return f"{problem.line}:{problem.column}: {problem.message}"


def test_scalars_stay_the_text_that_stands_there() -> None:
    root = _read("[1.0, 2024-01-31, 012, 1:30, 1_000, null, ~, on, 1e3, .inf, 0x10, true, '1', \"a\\x41\"]")
    assert isinstance(root, ListNode)
    assert [item.text for item in root.items if isinstance(item, Scalar)] == [
        "1.0",
        "2024-01-31",
        "012",
        "1:30",
        "1_000",
        "null",
        "~",
        "on",
        "1e3",
        ".inf",
        "0x10",
        "true",
        "1",
        "aA",
    ]


def test_every_node_knows_its_line_and_column() -> None:
    root = _read("a:\n  - b: {c: d}\n")
    assert isinstance(root, MapNode)
    ((key, items),) = root.entries
    assert isinstance(items, ListNode)
    (item,) = items.items
    assert isinstance(item, MapNode)
    places = [(node.line, node.column) for node in (root, key, items, item, item.entries[0][1])]
    assert places == [(1, 1), (1, 1), (2, 3), (2, 5), (2, 8)]


def test_a_node_is_shown_in_one_line_as_its_file_says_it() -> None:
    root = _read("tags:\n- pr-*\n- \"re:a\"\n- '1.0'\nolder_than: 14d\nuntagged: true\n")
    assert flow(root) == '{tags: [pr-*, "re:a", "1.0"], older_than: 14d, untagged: true}'


def test_an_alias_stands_for_what_it_names() -> None:
    root = _read("a: &x [1, {b: 2}]\nc: *x\nd: *x\n")
    assert flow(root) == "{a: [1, {b: 2}], c: [1, {b: 2}], d: [1, {b: 2}]}"


@pytest.mark.parametrize(
    "text",
    [
        "[" * 200_000,
        "- " * 200_000,
        "{a: " * 200_000,
        "? " * 200_000,
        "a: " + "[" * 101 + "]" * 101,
        "\n".join(" " * n + "-" for n in range(1500)),
        "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 150)),
    ],
    ids=["flow", "block", "mappings", "keys", "one too deep", "indented", "by aliases"],
)
def test_deep_nesting_is_refused_in_a_moment(text: str) -> None:
    with _within_a_moment():
        assert "nests more than 100 levels deep" in _said(text)


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x, x, x, x, x, x, x, x, x]\n"
        + "".join(
            f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
        ),
        "a: &a [" + "x, " * 50_000 + "x]\nb: [*a, *a, *a, *a, *a]\n",
        "[" + "[]," * 300_000 + "]",
    ],
    ids=["billion laughs", "wide", "without aliases"],
)
def test_an_alias_bomb_is_refused_in_a_moment(text: str) -> None:
    with _within_a_moment():
        assert "the file says more than 100,000 things" in _said(text)


@pytest.mark.parametrize(
    "text",
    [
        "#" * 4_000_000,
        "\n" * 4_000_000,
        "a" * 4_000_000,
        '"' + "\\n" * 2_000_000,
        "!" * 4_000_000,
        "&a " * 1_000_000,
        "- *a\n" * 200_000,
        "- !a\n" * 200_000,
        "a: b\n" * 90_000,
        "|\n" + "a\n" * 2_000_000,
        "'" * 4_000_000,
        "%" * 4_000_000,
        ": " * 200_000,
        "a: '" + "''" * 2_000_000 + "'",
        "[" + "{a" * 300_000,
        "? a\n" * 200_000,
    ],
    ids=range(16),
)
def test_four_megabytes_of_anything_are_read_or_refused_in_a_moment(text: str) -> None:
    with _within_a_moment():
        problems = Problems()
        read("x.yaml", text.encode(), problems)
        problems.sorted()


def test_of_endless_problems_a_thousand_are_told() -> None:
    problems = Problems()
    read("x.yaml", b"- !a\n" * 5000, problems)
    told = problems.sorted()
    assert len(told) == 1001
    assert told[-1].message == "and 4,000 more problems"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"a: \xff", "1:4: the file is not UTF-8 here"),
        ("a: é\nb: ".encode() + b"\xc3", "2:4: the file is not UTF-8 here"),
        (b"a: \xed\xa0\x80", "1:4: the file is not UTF-8 here"),
        ("a: \u2028".encode(), "1:4: the character U+2028 can't stand in a policy file"),
        ("a: \ufeff".encode(), "1:4: the character U+FEFF can't stand in a policy file"),
        (b"a: b\rc: d", "1:5: a line end can't stand in a policy file"),
        (b"a: \x00", "1:4: the character U+0000 can't stand in a policy file"),
        (b'a: "\\ud800"', "1:4: no YAML: found invalid Unicode character escape code"),
    ],
)
def test_bytes_that_are_no_text_are_refused_at_their_place(data: bytes, said: str) -> None:
    assert _said(data) == said


def test_line_ends_of_windows_are_line_ends() -> None:
    assert flow(_read("a: b\r\nc:\r\n- d\r\n")) == "{a: b, c: [d]}"
