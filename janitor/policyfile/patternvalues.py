"""Nodes -> patterns, references and names of registries, repositories and hosts: one function a kind.

A list of only ``!`` patterns selects nothing and is refused with the pattern that was meant; an empty list
never means all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from janitor.core.pattern import Pattern, PatternError, PatternKind, PatternList, parse_pattern
from janitor.core.reference import ImageReferenceError, Reference
from janitor.policyfile.keys import Key, Kind
from janitor.policyfile.nodes import MapNode, Node, Scalar, shown
from janitor.policyfile.reader import Reader, items_of, quoted, what

# Policies repeat their patterns, and to compile one costs more than all the rest of its line.
_parsed = lru_cache(maxsize=4096)(parse_pattern)
_GLOB = re.compile(r"[*?\[\]{}!]")


def _read_tag_patterns(reader: Reader, node: Node, key: Key) -> PatternList | None:
    """Read a list of tag patterns."""
    return _pattern_list(reader, node, key, PatternKind.TAG, "*")


def _read_tag_patterns_all(reader: Reader, node: Node, key: Key) -> tuple[Pattern, ...] | None:
    """Read a list of tag patterns of which none is negated."""
    patterns = _patterns(reader, node, key, PatternKind.TAG)
    if patterns is None:
        return None
    for pattern, item in zip(patterns, items_of(node), strict=True):
        if pattern.negated:
            reader.wrong(item, key, "no ! can stand here", "say it with tags instead")
            return None
    return patterns


def _read_protected_tags(reader: Reader, node: Node, key: Key) -> PatternList | None:
    """Read a list of tag patterns; ``!latest`` alone may stand in it, and protects nothing."""
    texts = [item.text for item in items_of(node) if isinstance(item, Scalar)]
    if texts == ["!latest"]:
        return PatternList(patterns=(parse_pattern("!latest", PatternKind.TAG),))
    return _pattern_list(reader, node, key, PatternKind.TAG, "*")


def _read_repository_patterns(reader: Reader, node: Node, key: Key) -> PatternList | None:
    """Read a list of repository patterns."""
    return _pattern_list(reader, node, key, PatternKind.REPOSITORY, "**")


def _read_registry_patterns(reader: Reader, node: Node, key: Key) -> PatternList | None:
    """Read a list of registries' names or globs."""
    return _pattern_list(reader, node, key, PatternKind.NAME, "*")


def _read_repositories(reader: Reader, node: Node, key: Key) -> tuple[str, ...] | None:
    """Read a list of repositories' names: no patterns."""

    def one(item: Node, key: Key) -> str | None:
        text = reader.item(item, key)
        if text is None:
            return None
        if _GLOB.search(text) or text.startswith("re:"):
            reader.wrong(
                item, key, f"{quoted(item)} is a pattern; here names are wanted", "narrow the policy instead"
            )
            return None
        return text

    names = reader.each(node, key, one)
    return None if names is None else tuple(dict.fromkeys(names))


def _read_hosts(reader: Reader, node: Node, key: Key) -> tuple[str, ...] | None:
    """Read a list of host prefixes, such as ``mirror.example.com/proxy``."""

    def one(item: Node, key: Key) -> str | None:
        text = reader.item(item, key)
        if text is not None and "://" in text:
            reader.wrong(item, key, "a host prefix has no scheme", f"write {shown(text.split('://')[1])}")
            return None
        return None if text is None else text.rstrip("/")

    return reader.each(node, key, one)


def _read_references(reader: Reader, node: Node, key: Key) -> tuple[tuple[Reference, Node], ...] | None:
    """Read a list of references to images, each with its node."""

    def one(item: Node, key: Key) -> tuple[Reference, Node] | None:
        text = reader.item(item, key)
        if text is None:
            return None
        try:
            return Reference.parse(text), item
        except ImageReferenceError as error:
            reader.wrong(item, key, reader.told(error, text, item))
            return None

    return reader.each(node, key, one)


def _read_labels(reader: Reader, node: Node, key: Key) -> tuple[tuple[str, Pattern], ...] | None:
    """Read a mapping of labels to globs of their values."""
    if not isinstance(node, MapNode):
        reader.wrong(node, key, f"a mapping of labels to globs is wanted, not {what(node)}")
        return None
    if not node.entries:
        reader.wrong(node, key, "no label stands here", 'labels: {org.example.keep: "*"}')
        return None
    read: list[tuple[str, Pattern]] = []
    for label, value in node.entries:
        pattern = _pattern(reader, value, key, PatternKind.NAME)
        if pattern is not None and pattern.negated:
            reader.wrong(value, key, "no ! can stand here", "say on the other side what is not meant")
        elif pattern is not None:
            read.append((label.text, pattern))
    return tuple(read) if len(read) == len(node.entries) else None


def _pattern(reader: Reader, node: Node, key: Key, kind: PatternKind) -> Pattern | None:
    text = reader.item(node, key)
    if text is None:
        return None
    try:
        return _parsed(text, kind)
    except PatternError as error:
        reader.wrong(node, key, reader.told(error, text, node))
        return None


def _patterns(reader: Reader, node: Node, key: Key, kind: PatternKind) -> tuple[Pattern, ...] | None:
    return reader.each(node, key, lambda item, key: _pattern(reader, item, key, kind))


def _pattern_list(
    reader: Reader, node: Node, key: Key, kind: PatternKind, everything: str
) -> PatternList | None:
    patterns = _patterns(reader, node, key, kind)
    if patterns is None:
        return None
    if all(pattern.negated for pattern in patterns):
        reader.wrong(
            node, key, "a list of only ! patterns selects nothing", f'add "{everything}" to say all but these'
        )
        return None
    return PatternList(patterns=patterns)


PATTERN_READERS: Mapping[Kind, Callable[[Reader, Node, Key], Any]] = {
    Kind.TAG_PATTERNS: _read_tag_patterns,
    Kind.TAG_PATTERNS_ALL: _read_tag_patterns_all,
    Kind.PROTECTED_TAGS: _read_protected_tags,
    Kind.REPOSITORY_PATTERNS: _read_repository_patterns,
    Kind.REGISTRY_PATTERNS: _read_registry_patterns,
    Kind.REPOSITORIES: _read_repositories,
    Kind.HOSTS: _read_hosts,
    Kind.REFERENCES: _read_references,
    Kind.LABELS: _read_labels,
}
