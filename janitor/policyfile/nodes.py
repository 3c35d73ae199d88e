"""What stands in a file and where, and what is wrong with it.

A node is a text, a list or a mapping with its line and column. A problem is said at a node: its excerpt is
the line as people see it, without what no terminal should print and without what looks like a credential.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from janitor.errors import Problem

# Who has a thousand mistakes has one; the rest would only be scrolled past.
_MAX_PROBLEMS = 1000
# A line of so many characters is shown whole; of a longer one, what is on either side of the place.
_EXCERPT = 110
_EXCERPT_BEFORE = 60
_EXCERPT_AFTER = 40

# Neither printed nor seen, and some of them break lines: YAML allows a few, nobody means them. A carriage
# return ends a line only together with a line feed.
_UNSEEN = "[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]|\r(?!\n)"
_BREAKING = re.compile(r"[\t\r\n]")
# What a line may say that must not end up in a log: the values of these keys.
_HIDDEN = r"""\b((?:password|token|webhook)["']?\s*:\s*)(?!["']?\$\{)("[^"]*"?|'[^']*'?|[^\s,}]+)"""


class Source:
    """One file's text, for excerpts; ``file`` is its path as messages show it."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self._text = text
        self._lines: list[str] | None = None

    def line(self, number: int) -> str:
        """Return the line of that number (from 1) without its end; empty where there is none."""
        if self._lines is None:
            self._lines = self._text.split("\n")
        return self._lines[number - 1].rstrip("\r") if 0 < number <= len(self._lines) else ""


class Node(msgspec.Struct, frozen=True):
    """Something that stands in a file; lines and columns count from 1."""

    source: Source
    line: int
    column: int


class Scalar(Node, frozen=True):
    """A text; ``plain``: not quoted."""

    text: str
    plain: bool


class ListNode(Node, frozen=True):
    """A list. ``weight``: nodes in it, itself among them; ``height``: how deep it nests."""

    items: tuple[Node, ...]
    weight: int
    height: int


class MapNode(Node, frozen=True):
    """Keys and their values, in the order of the file; no key twice. Weight and height as of a list."""

    entries: tuple[tuple[Scalar, Node], ...]
    weight: int
    height: int


class Problems:
    """Collects every problem of every file; the same one is kept once."""

    def __init__(self) -> None:
        self._found: dict[Problem, None] = {}
        self._more = 0
        self._said = 0

    def __len__(self) -> int:
        """How often a problem was said; the same one again counts, so that its second reader notices."""
        return self._said

    def add(self, node: Node, message: str, hint: str = "") -> None:
        """Remember what is wrong at a node."""
        self.at(node.source, node.line, node.column, message, hint)

    def at(self, source: Source, line: int, column: int, message: str, hint: str = "") -> None:
        """Remember what is wrong at a place."""
        if len(self._found) >= _MAX_PROBLEMS:
            self._said += 1
            self._more += 1
            return
        excerpt, caret = _excerpt(source.line(line), column)
        self.put(
            Problem(
                file=source.file,
                line=line,
                column=column,
                message=message,
                hint=hint,
                excerpt=excerpt,
                caret=caret,
            )
        )

    def put(self, problem: Problem) -> None:
        """Remember a problem, of a file as a whole for instance."""
        self._said += 1
        if len(self._found) < _MAX_PROBLEMS:
            self._found[problem] = None
        elif problem not in self._found:
            self._more += 1

    def sorted(self) -> tuple[Problem, ...]:
        """Return all of them by file, line and column."""
        problems = sorted(self._found)
        if self._more:
            problems.append(Problem(file=problems[-1].file, message=f"and {self._more:,} more problems"))
        return tuple(problems)


def shown(text: str, limit: int = 60) -> str:
    """Return a text so that it can stand in a message: in one line, without what can't be seen, cut."""
    if len(text) <= limit and text.isprintable():
        return text
    text = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text[: limit + 1])
    return text if len(text) <= limit else text[: limit - 1] + "…"


def flow(node: Node) -> str:
    """Return a node in one line, as its file says it, in YAML's flow style."""
    if isinstance(node, Scalar):
        return node.text if node.plain else f'"{node.text}"'
    if isinstance(node, ListNode):
        return f"[{', '.join([flow(item) for item in node.items])}]"
    if isinstance(node, MapNode):
        return "{" + ", ".join([f"{key.text}: {flow(value)}" for key, value in node.entries]) + "}"
    return ""


def find_unseen(text: str) -> re.Match[str] | None:
    """Return the place of the first character that no file may hold, if there is one."""
    if text.replace(
        "\n", ""
    ).isprintable():  # all such text is seen, and the expression takes long to compile
        return None
    return re.search(_UNSEEN, text)


def unseen(text: str) -> str | None:
    """Return the name of the first character that no value may hold, if there is one."""
    found = find_unseen(text) or _BREAKING.search(text)
    return character_name(found.group()[0]) if found else None


def character_name(char: str) -> str:
    """Return what messages call a character that can't be seen."""
    if char == "\t":
        return "a tab"
    if char in "\r\n":
        return "a line end"
    return f"the character U+{ord(char):04X}"


def _excerpt(line: str, column: int) -> tuple[str, int]:
    """What is shown of a line, and the terminal's column in it that lies under ``column``."""
    start, end = 0, _EXCERPT
    if len(line) > _EXCERPT:
        start, end = max(0, column - 1 - _EXCERPT_BEFORE), column - 1 + _EXCERPT_AFTER
    # What is hidden may begin before what is shown; a secret longer than this margin begins no excerpt.
    margin = max(0, start - 4 * _EXCERPT_BEFORE)
    hidden = re.sub(
        _HIDDEN, lambda found: found[1] + "*" * len(found[2]), line[margin : end + _EXCERPT_AFTER]
    )
    cut = end < len(line)
    line, start, end, column = hidden, start - margin, end - margin, column - margin
    before = "".join(_visible(line[start : column - 1]))
    after = "".join(_visible(line[column - 1 : end]))
    if start:
        before = "…" + before[1:]
    if cut:
        after += "…"
    text = before + after.rstrip()
    return text, _width(before) + 1


def _visible(text: str) -> Iterator[str]:
    for char in text:
        yield char if char.isprintable() else " " if char == "\t" else "\N{REPLACEMENT CHARACTER}"


def _width(text: str) -> int:
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width  # noqa: PLC0415 - only where a line needs it

    return sum(0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1 for char in text)
