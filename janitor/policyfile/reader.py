"""Nodes -> blocks with known keys, and texts with variables put in.

Every problem is collected with its place, and reading goes on: a file's mistakes are told all at once.
``None`` stands for a value that a problem was said of. What a text means, its key's kind decides
(:mod:`janitor.policyfile.values`).

``${NAME}`` is put in from the environment after YAML was read, in values and never in keys. A name that is
unset is a problem, unless the reader may keep it and the key's value is used by nothing but a run.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Literal, TypeVar

import msgspec

from janitor.policyfile.keys import Key, Kind, Table
from janitor.policyfile.nodes import ListNode, MapNode, Node, Problems, Scalar, flow, shown, unseen

Unset = Literal["error", "keep"]

_Value = TypeVar("_Value")

_VARIABLE = re.compile(r"\$\{([^}]*)\}?")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# YAML 1.2's words for nothing, and what else a plain scalar may be but a text.
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
# Longer than any sentence of the core on a text of bounded length.
_MAX_MESSAGE = 300
# Suggesting costs a comparison with every known word; after so many problems nobody reads them.
_MAX_SUGGESTIONS = 25


class Block(msgspec.Struct, frozen=True):
    """A mapping whose keys are known: the nodes of the values, by key. ``label`` is what messages call it."""

    node: MapNode
    label: str
    nodes: Mapping[str, Node]


class Reader:
    """Reads the nodes of one file. ``folder`` is the file's: paths in the file are relative to it."""

    def __init__(
        self, problems: Problems, environ: Mapping[str, str], *, unset: Unset = "error", folder: str = ""
    ) -> None:
        self.problems = problems
        self._environ = environ
        self._unset = unset
        self.folder = folder

    def block(
        self,
        node: Node,
        table: Table,
        label: str,
        *,
        elsewhere: Callable[[str], tuple[str, str] | None] = lambda _: None,
    ) -> Block | None:
        """Read a mapping with the keys of a table; unknown ones and required ones that lack are problems.

        ``elsewhere`` may know better what is wrong with a key that the table doesn't have: message and hint.
        """
        if not isinstance(node, MapNode):
            self.problems.add(node, f"{label} is a mapping of keys to values, not {what(node)}")
            return None
        nodes: dict[str, Node] = {}
        for key, value in node.entries:
            if key.text in table:
                nodes[key.text] = value
            else:
                message, hint = elsewhere(key.text) or self._unknown(key.text, table, label)
                self.problems.add(key, message, hint)
        for key_row in table.values():
            if key_row.required and key_row.name not in nodes:
                self.problems.add(node, f"{label} needs {key_row.name}", f"{key_row.name}: {key_row.doc}")
        return Block(node, label, nodes)

    def blocks(self, node: Node, key: str) -> tuple[Node, ...]:
        """Return the entries of a list of mappings; an empty list is a problem."""
        if isinstance(node, ListNode):
            if not node.items:
                self.problems.add(
                    node, f"{key}: the list is empty", "leave the key out where nothing is meant"
                )
            return node.items
        self.problems.add(node, f"{key}: a list is wanted, not {what(node)}", "begin each entry with a dash")
        return ()

    def suggestion(self, word: str, known: Iterable[str]) -> str:
        """Return ``did you mean …?`` where a known word is near; else nothing."""
        near = self.nearest(word, known)
        return f'did you mean "{near}"?' if near else ""

    def nearest(self, word: str, known: Iterable[str]) -> str:
        """Return the known word that is nearest, or nothing."""
        if len(self.problems) > _MAX_SUGGESTIONS:
            return ""
        from difflib import get_close_matches  # noqa: PLC0415 - costs milliseconds that only mistakes pay

        by_lower = {each.lower(): each for each in known}
        near = get_close_matches(word[:60].lower(), by_lower, n=1, cutoff=0.6)
        return by_lower[near[0]] if near else ""

    def scalar(self, node: Node, key: Key, wanted: str) -> tuple[str, bool] | None:
        """Return a scalar's text, variables put in, and whether it may be more than a text."""
        if not isinstance(node, Scalar):
            self.wrong(node, key, f"{wanted} is wanted, not {what(node)}", _bracket_hint(node, key))
            return None
        if node.plain and node.text in _NULL:
            self.wrong(node, key, f"{wanted} is wanted, but nothing stands here")
            return None
        text = self._expand(node, key)
        if text is None:
            return None
        return text, node.plain or text != node.text

    def each(
        self, node: Node, key: Key, one: Callable[[Node, Key], _Value | None]
    ) -> tuple[_Value, ...] | None:
        """Read a list, each item by ``one``; a single text is a list of one, an empty list is a problem."""
        if isinstance(node, MapNode):
            self.wrong(
                node, key, "a list is wanted, not a mapping", "a pattern with { } must stand in quotes"
            )
            return None
        items = items_of(node)
        if not items:
            self.wrong(
                node,
                key,
                "the list is empty",
                "an empty list never means all; leave the key out, or say what",
            )
            return None
        read = [one(item, key) for item in items]
        values = [value for value in read if value is not None]
        return tuple(values) if len(values) == len(read) else None

    def item(self, node: Node, key: Key) -> str | None:
        """Read one text of a list, as it stands there: ``null`` and ``1.0`` are texts too."""
        if not isinstance(node, Scalar):
            self.wrong(node, key, f"a text is wanted, not {what(node)}", _bracket_hint(node, key))
            return None
        text = self._expand(node, key)
        if text == "":
            self.wrong(node, key, "an empty text stands here")
            return None
        return text

    def wrong(self, node: Node, key: Key, message: str, hint: str = "") -> None:
        """Say what is wrong with a key's value."""
        self.problems.add(node, f"{key.name}: {message}", hint)

    def told(self, error: ValueError, text: str, node: Node) -> str:
        """Return an error's sentence on a value's text, without what the environment put into the value."""
        message = shown(str(error), _MAX_MESSAGE)
        if not isinstance(node, Scalar) or text == node.text:
            return message
        if text in message:
            return message.replace(text, node.text)
        return f"what the environment puts into {quoted(node)} is wrong here"

    def _expand(self, node: Scalar, key: Key) -> str | None:
        text: str | None = node.text
        if "${" in node.text:
            text = self._variables(node, key)
        if text is None or text.isprintable():
            return text
        char = unseen(text)
        if char is None:
            return text
        source = "" if unseen(node.text) else " (from the environment)"
        self.wrong(node, key, f"{char} can't stand in a value{source}")
        return None

    def _variables(self, node: Scalar, key: Key) -> str | None:
        """The text with its variables put in; what they hold may be a secret, so no message repeats it."""
        lacking: list[str] = []

        def value(found: re.Match[str]) -> str:
            name = found[1]
            if not _NAME.fullmatch(name) or not found[0].endswith("}"):
                self.wrong(node, key, f"{shown(found[0])} names no variable", "one is written ${NAME}")
                lacking.append(name)
            elif name in self._environ:
                return self._environ[name]
            elif not (key.deferred and self._unset == "keep"):
                self.wrong(node, key, f"the environment variable {name} is not set")
                lacking.append(name)
            return found[0]

        text = _VARIABLE.sub(value, node.text)
        return None if lacking else text

    def _unknown(self, word: str, table: Table, label: str) -> tuple[str, str]:
        known = ", ".join(table)
        return (
            f'{label} has no key "{shown(word)}"',
            self.suggestion(word, table) or f"its keys are {known}",
        )


def items_of(node: Node) -> tuple[Node, ...]:
    """Return the items of a list, which may be written as a single one."""
    if isinstance(node, ListNode):
        return node.items
    return () if isinstance(node, Scalar) and node.plain and node.text in _NULL else (node,)


def what(node: Node) -> str:
    """Return what stands at a node, in the words of messages."""
    if isinstance(node, ListNode):
        return "a list"
    if isinstance(node, MapNode):
        return "a mapping"
    if isinstance(node, Scalar) and node.plain and node.text in _NULL:
        return "nothing"
    return quoted(node)


def quoted(node: Node) -> str:
    """Return a scalar as its file says it: what the environment put in is not shown."""
    return f'"{shown(node.text)}"' if isinstance(node, Scalar) else what(node)


def _bracket_hint(node: Node, key: Key) -> str:
    if key.kind in _PATTERN_KINDS and not isinstance(node, Scalar):
        return f'a pattern with {{ }} or [ ] must stand in quotes, "{shown(flow(node))}"'
    return ""


_PATTERN_KINDS = frozenset(
    {Kind.TAG_PATTERNS, Kind.TAG_PATTERNS_ALL, Kind.PROTECTED_TAGS, Kind.REPOSITORY_PATTERNS}
    | {Kind.REGISTRY_PATTERNS, Kind.LABELS}
)
