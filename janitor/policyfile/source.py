"""YAML text -> nodes that know their line and column, or the problems that stand in the way.

What is read is the part of YAML that can be read in only one way: UTF-8, one document, no tags, no merge
keys, no key twice. Scalars stay text here: what a text means is decided by the key at which it stands, never
by YAML. Anchors and aliases are read, within bounds.

No input may cost more than a moment: bytes, nesting, and nodes (aliases counted as often as they are used)
are bounded, and nothing here recurses. libyaml's parser hands out one event at a time, and the first one over
a bound is the last.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import yaml

from janitor.errors import Problem
from janitor.policyfile.nodes import (
    ListNode,
    MapNode,
    Node,
    Problems,
    Scalar,
    Source,
    character_name,
    find_unseen,
    shown,
)

# A hundred policies are 100 kB and 10,000 nodes; ten times as many still fit in one file.
MAX_BYTES = 4 * 1024 * 1024
_MAX_NODES = 100_000
# The language nests 8 deep.
_MAX_DEPTH = 100
_WORD = re.compile(r"[^\s,\[\]{}]+")


def read(file: str, data: bytes, problems: Problems) -> Node | None:
    """Read a file's bytes to its root node; ``None`` when there is none, and the problems say why.

    What stays readable beside a problem is returned all the same, so that all mistakes are found at once.
    """
    text = _decoded(file, data, problems)
    if text is None:
        return None
    source = Source(file, text)
    unseen = find_unseen(text)
    if unseen:
        line, column = _place(text, unseen.start())
        problems.at(source, line, column, f"{character_name(unseen.group()[0])} can't stand in a policy file")
        return None
    builder = _Builder(source, problems)
    try:
        take = builder.takers()
        next_event = yaml.CLoader(text).get_event
        while (event := next_event()) is not None:
            take[type(event)](event)
    except _Enough:
        return None
    except yaml.MarkedYAMLError as error:
        _translate(source, error, problems)
        return None
    except yaml.YAMLError as error:
        problems.put(Problem(file=file, message=f"no YAML: {shown(str(error))}"))
        return None
    if builder.root is None:
        problems.put(
            Problem(file=file, message="the file is empty", hint="a policy file begins with version: 1")
        )
    return builder.root


class _Enough(Exception):
    """The rest of the file isn't worth reading."""


class _Frame:
    """A list or mapping whose end has not been seen."""

    __slots__ = ("anchor", "column", "height", "is_mapping", "items", "key", "keys", "line", "weight")

    def __init__(self, event: Any) -> None:
        self.is_mapping = isinstance(event, yaml.MappingStartEvent)
        self.line = event.start_mark.line + 1
        self.column = event.start_mark.column + 1
        self.anchor = event.anchor
        self.items: list[Any] = []
        self.keys: dict[str, Scalar] = {}
        self.key: Node | None = None
        self.weight = 1
        self.height = 1


class _Builder:
    """Puts events together to nodes; holds the lists and mappings that are open."""

    def __init__(self, source: Source, problems: Problems) -> None:
        self.root: Node | None = None
        self._source = source
        self._problems = problems
        self._open: list[_Frame] = []
        self._anchors: dict[str, Node] = {}
        self._documents = 0
        self._nodes = 0

    def takers(self) -> Mapping[type, Callable[[Any], None]]:
        """Return what takes an event, by the event's type."""
        return {
            yaml.ScalarEvent: self._scalar,
            yaml.MappingStartEvent: self._start,
            yaml.MappingEndEvent: self._end,
            yaml.SequenceStartEvent: self._start,
            yaml.SequenceEndEvent: self._end,
            yaml.AliasEvent: self._alias,
            yaml.DocumentStartEvent: self._document,
            yaml.DocumentEndEvent: self._pass,
            yaml.StreamStartEvent: self._pass,
            yaml.StreamEndEvent: self._pass,
        }

    def _pass(self, event: Any) -> None:
        """Nothing stands here."""

    def _document(self, event: Any) -> None:
        if event.version or event.tags:
            self._stop(event, "YAML directives are not read", "leave out the line that begins with %")
        self._documents += 1
        if self._documents > 1:
            self._stop(event, "a second document begins here", "a file is one document: split it at ---")

    def _scalar(self, event: Any) -> None:
        mark = event.start_mark
        line, column = mark.line + 1, mark.column + 1
        text, plain = event.value, event.implicit[0]
        if event.tag is not None:
            self._refuse_tag(event)
            if not text:
                # What was read as a tag was meant as a text that begins with "!": go on with that.
                text, plain = self._word(line, column), False
        self._count(1, line, column)
        self._put(Scalar(self._source, line, column, text, plain), 1, 1, event.anchor)

    def _start(self, event: Any) -> None:
        if event.tag is not None:
            self._refuse_tag(event)
        if len(self._open) >= _MAX_DEPTH:
            self._stop(event, f"this nests more than {_MAX_DEPTH} levels deep", "a policy file nests 8 deep")
        frame = _Frame(event)
        self._count(1, frame.line, frame.column)
        self._open.append(frame)

    def _end(self, _: Any) -> None:
        frame = self._open.pop()
        build = MapNode if frame.is_mapping else ListNode
        node = build(
            self._source, frame.line, frame.column, tuple(frame.items), frame.weight, frame.height + 1
        )
        self._put(node, frame.weight, frame.height + 1, frame.anchor)

    def _alias(self, event: Any) -> None:
        name = event.anchor
        node = self._anchors.get(name)
        if node is None:
            inside = any(frame.anchor == name for frame in self._open)
            if inside:
                self._stop(event, f"the alias *{shown(name)} stands inside of what it names")
            mark = event.start_mark
            word = self._word(mark.line + 1, mark.column + 1)
            self._problem(
                event,
                f"nothing is called &{shown(name)}: a text that begins with * must stand in quotes",
                f'write "{shown(word)}"',
            )
            self._put(Scalar(self._source, mark.line + 1, mark.column + 1, word, plain=False), 1, 1, None)
            return
        weight, height = (node.weight, node.height) if isinstance(node, ListNode | MapNode) else (1, 1)
        if len(self._open) + height > _MAX_DEPTH:
            self._stop(
                event, f"with what *{shown(name)} names, this nests more than {_MAX_DEPTH} levels deep"
            )
        self._count(weight, event.start_mark.line + 1, event.start_mark.column + 1)
        self._put(node, weight, height, None)

    def _count(self, weight: int, line: int, column: int) -> None:
        self._nodes += weight
        if self._nodes <= _MAX_NODES:
            return
        self._problems.at(
            self._source,
            line,
            column,
            f"the file says more than {_MAX_NODES:,} things, aliases counted each time",
            "split it, or use fewer aliases",
        )
        raise _Enough

    def _put(self, node: Node, weight: int, height: int, anchor: str | None) -> None:
        """Place a finished node where it belongs: in what is open, or as the root."""
        if anchor is not None:
            self._anchors[anchor] = node
        if not self._open:
            self.root = node
            return
        frame = self._open[-1]
        frame.weight += weight
        if height > frame.height:  # noqa: PLR1730 - max() would cost a call a node
            frame.height = height
        if not frame.is_mapping:
            frame.items.append(node)
        elif frame.key is None:
            frame.key = node
        else:
            self._entry(frame, frame.key, node)
            frame.key = None

    def _entry(self, frame: _Frame, key: Node, value: Node) -> None:
        if not isinstance(key, Scalar):
            self._problems.add(key, "a key must be a text", "a pattern with { } or [ ] must stand in quotes")
            return
        if key.plain and key.text == "<<":
            self._problems.add(key, "merge keys (<<) are not read", "write the keys out")
            return
        if not key.text:
            self._problems.add(key, "a key is missing before the colon")
            return
        first = frame.keys.get(key.text)
        frame.keys[key.text] = key
        if first is not None:
            self._problems.add(
                key,
                f'the key "{shown(key.text)}" stands here twice: in line {first.line} and in line {key.line}',
            )
            return
        frame.items.append((key, value))

    def _refuse_tag(self, event: Any) -> None:
        mark = event.start_mark
        word = self._word(mark.line + 1, mark.column + 1)
        if word.startswith(("!!", "!<")):
            self._problem(
                event, f"YAML tags such as {shown(word)} are not read", "leave it out, quote what is a text"
            )
            return
        self._problem(
            event,
            'a text that begins with "!" must stand in quotes, else YAML takes it for a tag',
            f'write "{shown(word)}"',
        )

    def _word(self, line: int, column: int) -> str:
        return _word(self._source, line, column)

    def _problem(self, event: Any, message: str, hint: str = "") -> None:
        mark = event.start_mark
        self._problems.at(self._source, mark.line + 1, mark.column + 1, message, hint)

    def _stop(self, event: Any, message: str, hint: str = "") -> None:
        self._problem(event, message, hint)
        raise _Enough


def _decoded(file: str, data: bytes, problems: Problems) -> str | None:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        problems.put(Problem(file=file, message="the file is UTF-16", hint="save it as UTF-8"))
        return None
    if data.startswith(b"\xef\xbb\xbf"):
        problems.put(
            Problem(file=file, message="the file begins with a byte order mark", hint="save it without one")
        )
        return None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        text = data.decode("utf-8", errors="replace")
        line, column = _place(text, len(data[: error.start].decode("utf-8")))
        problems.at(Source(file, text), line, column, "the file is not UTF-8 here", "save it as UTF-8")
        return None


def _place(text: str, index: int) -> tuple[int, int]:
    return text.count("\n", 0, index) + 1, index - text.rfind("\n", 0, index)


def _word(source: Source, line: int, column: int) -> str:
    found = _WORD.match(source.line(line), column - 1)
    return found.group() if found else ""


def _translate(source: Source, error: Any, problems: Problems) -> None:
    """Say libyaml's error in words that help: the first row whose needle is found speaks."""
    problem, context = error.problem or "", error.context or ""
    at_context = any(needle in context for needle in ("an alias", "a tag", "an anchor", "quoted scalar"))
    mark = error.context_mark if at_context and error.context_mark else error.problem_mark
    if mark is None:
        problems.put(Problem(file=source.file, message=f"no YAML: {shown(problem)}"))
        return
    line, column = mark.line + 1, mark.column + 1
    word = shown(_word(source, line, column))
    if "cannot start any token" in problem and source.line(line)[column - 1 : column] == "\t":
        problems.at(source, line, column, "a tab can't indent", "use spaces")
        return
    if "expected ',' or" in problem and "${" in source.line(line)[:column]:
        problems.at(source, line, column, _UNCLOSED, 'inside of { } and [ ] write "${NAME}", in quotes')
        return
    for needle, message, hint in _TRANSLATIONS:
        if needle in context or needle in problem:
            problems.at(source, line, column, message, hint.format(word=word))
            return
    problems.at(source, line, column, f"no YAML: {shown(problem)}")


_UNCLOSED = "this list or mapping is not closed, or a comma is missing"
_TRANSLATIONS = (
    ("a tag", 'a text that begins with "!" must stand in quotes', 'write "{word}"'),
    ("an alias", "a text that begins with * must stand in quotes", 'write "{word}"'),
    ("an anchor", "a text that begins with & must stand in quotes", 'write "{word}"'),
    ("a tab character", "a tab can't indent", "use spaces"),
    ("cannot start any token", "a text can't begin with this character", "put it in quotes"),
    (
        "unknown escape character",
        "in double quotes a backslash begins an escape, and this is none",
        "write re: patterns in single quotes",
    ),
    ("unexpected end of stream", "this quote is never closed", ""),
    (
        "mapping values are not allowed",
        "a colon and a space can't stand here",
        "put the text in quotes, or begin a new line",
    ),
    ("could not find expected ':'", "a colon is missing before this place", ""),
    (
        "expected ',' or",
        _UNCLOSED,
        "a text with [ ] {{ }} , or : must stand in quotes",
    ),
    ("expected node content", "a value is missing here", ""),
    ("expected <block end>", "the indentation is wrong, or a dash or key is missing", ""),
    ("expected '-' indicator", "the indentation is wrong, or a dash is missing", ""),
    ("exceeded maximum nesting", f"this nests more than {_MAX_DEPTH} levels deep", ""),
)
