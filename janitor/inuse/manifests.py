"""Rendered manifests: every image that YAML and JSON files name, as in a checkout that a cluster follows.

What counts, at any depth of any document:

- ``image:`` with a text, with Helm's mapping of ``registry``, ``repository``, ``tag`` and ``digest``, or with
  the ``reference`` of an image volume;
- ``images:`` with kustomize's overrides (``name``, ``newName``, ``newTag``, ``digest``) or texts
  (``app=registry/app:1.0``).

Nothing is constructed from tags, so that a file can only name images; text inside of strings is not looked
into. Where the tag is decided elsewhere (a template, a variable, a chart's default, a ``newName`` without a
``newTag``), which image is in use isn't known: the source is unread until what is read is rendered. A folder
or file that can't be read is never passed over in silence.
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import yaml
from yaml._yaml import CParser
from yaml.resolver import BaseResolver

from janitor.inuse.interface import Context, Findings, Source, told
from janitor.inuse.keys import ManifestsKeys
from janitor.inuse.mentions import Mentions

MAX_BYTES = (
    32 * 1024 * 1024
)  # of one file: a whole cluster rendered fits; a dump put there by mistake doesn't

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_MAGIC = re.compile(r"[*?\[]")


class ManifestsSource(Source[ManifestsKeys]):
    """The images that all files of some globs name."""

    kind: ClassVar[str] = "manifests"
    keys: ClassVar[type[msgspec.Struct]] = ManifestsKeys

    @property
    def name(self) -> str:
        """``manifests: GLOB, …``."""
        return f"manifests: {', '.join(self._keys.manifests)}"

    def _read(self, found: Findings, context: Context, *, allow_empty: bool) -> None:
        paths: dict[Path, None] = {}
        for pattern in self._keys.manifests:
            matched = dict.fromkeys(_Glob(found).files(pattern))
            paths |= matched
            # One glob without a file would otherwise hide behind the others; alone, it is an empty source.
            if not matched and len(self._keys.manifests) > 1 and not allow_empty:
                found.problems.append(f"no file matches {pattern}")
        for path in paths:
            if context.stop.is_set():
                return
            try:
                _Manifest(path, found).read()
            except OSError as error:
                found.problems.append(told(error))


class _Glob:
    """Files by a glob. Unlike :mod:`glob`, a folder that can't be listed is a problem, not an empty folder.

    ``*`` and ``**`` pass over names that begin with a dot, as in a shell. Links are followed; a link to a
    folder that it stands in isn't.
    """

    def __init__(self, found: Findings) -> None:
        self._found = found

    def files(self, pattern: str) -> Iterator[Path]:
        """Every file that matches, in order, perhaps twice; a glob without wildcards is the file itself."""
        parts = Path(pattern).parts
        if parts[-1] == "**":
            parts = (*parts, "*")
        fixed = next((place for place, part in enumerate(parts) if _MAGIC.search(part)), len(parts))
        start = Path(*parts[:fixed])
        if fixed == len(parts):
            yield start
        else:
            yield from self._below(start, parts[fixed:], frozenset())

    def _below(self, folder: Path, parts: tuple[str, ...], above: frozenset[str]) -> Iterator[Path]:
        head, rest = parts[0], parts[1:]
        if head != "**":
            for entry in self._entries(folder, head):
                if not rest and not entry.is_dir():
                    yield Path(entry.path)
                elif rest and entry.is_dir():
                    yield from self._below(Path(entry.path), rest, above)
            return
        here = os.path.realpath(folder)
        if here in above:
            return
        yield from self._below(folder, rest, above)
        for entry in self._entries(folder, "*"):
            if entry.is_dir():
                yield from self._below(Path(entry.path), parts, above | {here})

    def _entries(self, folder: Path, pattern: str) -> list[os.DirEntry[str]]:
        wanted = re.compile(fnmatch.translate(pattern))
        try:
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            self._found.problems.append(told(error))
            return []
        # A name that is literally so is meant too: the policy file's own folder may be called "[prod]".
        return [
            entry
            for entry in entries
            if entry.name == pattern
            or (wanted.match(entry.name) and entry.name.startswith(".") <= pattern.startswith("."))
        ]


class _NodeLoader(CParser, BaseResolver):
    """Text to nodes by libyaml, which itself refuses to nest deeper than 1000; constructs nothing."""

    def __init__(self, text: str) -> None:
        CParser.__init__(self, text)
        BaseResolver.__init__(self)


class _Manifest:
    """One file."""

    def __init__(self, path: Path, found: Findings) -> None:
        self._path = path
        self._found = found
        self._mentions = Mentions(
            found,
            owner="the chart",
            unrendered="not rendered; render templates first, then read them",
            undecided="render it first",
        )

    def read(self) -> None:
        """Find the images of every document; OSError where the file can't be read at all."""
        size = self._path.stat().st_size
        if not self._path.is_file():
            self._problem(None, "it is no file")
            return
        if size > MAX_BYTES:
            self._problem(None, f"it is larger than {MAX_BYTES} bytes; is it a manifest?")
            return
        try:
            text = self._path.read_bytes().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            self._problem(None, f"it is not UTF-8 text ({error.reason})")
            return
        documents = _json_documents(text) if self._path.suffix == ".json" else _yaml_documents(text)
        try:
            for document in documents:
                self._walk(document, text)
        except _ParseError as error:
            hint = "; it looks like a template: render it first" if "{{" in text or "{%" in text else ""
            self._found.problems.append(f"{self._path}:{error.line}: {error}{hint}")

    def _walk(self, document: yaml.Node, text: str) -> None:
        stack, seen = [document], set[int]()
        while stack:
            node = stack.pop()
            if id(node) in seen:  # an alias: what it names was looked at where it stands
                continue
            seen.add(id(node))
            if isinstance(node, yaml.SequenceNode):
                stack.extend(node.value)
            elif isinstance(node, yaml.MappingNode):
                for key, value in node.value:
                    stack += (key, value)
                    self._entry(key, value, text)

    def _entry(self, key: yaml.Node, value: yaml.Node, text: str) -> None:
        name = key.value if isinstance(key, yaml.ScalarNode) else None
        if name == "image" and isinstance(value, yaml.ScalarNode):
            if (written := _scalar(value)) is not None:
                self._mentions.text(written, self._place(value))
        elif name == "image" and isinstance(value, yaml.MappingNode):
            if _is_unquoted_template(value, text):
                self._mentions.template("{{", self._place(value))
            else:
                self._mentions.mapping(_fields(value), self._place(value))
        elif name == "images" and isinstance(value, yaml.SequenceNode):
            for item in value.value:
                self._item(item)

    def _item(self, item: yaml.Node) -> None:
        if isinstance(item, yaml.ScalarNode) and (written := _scalar(item)):
            self._mentions.override(written, self._place(item))
        elif isinstance(item, yaml.MappingNode):
            self._mentions.override(_fields(item), self._place(item))

    def _problem(self, node: yaml.Node | None, message: str) -> None:
        self._found.problems.append(f"{self._place(node)}: {message}")

    def _place(self, node: yaml.Node | None) -> str:
        line = f":{node.start_mark.line + 1}" if node is not None and node.start_mark is not None else ""
        return f"{self._path}{line}"


class _ParseError(ValueError):
    """A file that is no YAML or JSON, and in which line that shows."""

    def __init__(self, line: int, message: str) -> None:
        self.line = line
        super().__init__(message)


def _yaml_documents(text: str) -> Iterator[yaml.Node]:
    loader = _NodeLoader(text)
    try:
        while loader.check_node():
            if (node := loader.get_node()) is not None:
                yield node
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _ParseError(mark.line + 1 if mark else 1, f"it is no YAML: {error.problem}") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise _ParseError(line, f"it is no YAML: {error.reason}") from error
    finally:
        loader.dispose()


class _Pairs(list[tuple[str, Any]]):
    """A JSON object: all its pairs, a name given twice too."""


def _json_documents(text: str) -> Iterator[yaml.Node]:
    """JSON as the nodes that the same YAML would have; libyaml takes neither tabs nor surrogate escapes."""
    try:
        value = json.loads(text, object_pairs_hook=_Pairs, parse_int=str, parse_float=str, parse_constant=str)
        yield _node(value)
    except json.JSONDecodeError as error:
        raise _ParseError(error.lineno, f"it is no JSON: {error.msg}") from error
    except RecursionError as error:
        raise _ParseError(1, "it is nested too deeply") from error


def _node(value: object) -> yaml.Node:
    if isinstance(value, _Pairs):
        return yaml.MappingNode("", [(_node(name), _node(each)) for name, each in value])
    if isinstance(value, list):
        return yaml.SequenceNode("", [_node(each) for each in value])
    return yaml.ScalarNode("", "" if value is None else str(value), style=None if value is None else '"')


def _scalar(node: yaml.ScalarNode) -> str | None:
    """Read the text that stands there, never read as a number; ``None`` where there is none."""
    text = str(node.value).strip()
    return None if text == "" or (not node.style and text in _NULLS) else text


def _fields(mapping: yaml.MappingNode) -> dict[str, str]:
    """Read the texts of a mapping, by name, those that ``<<`` merges in included; the mapping's own win."""
    fields: dict[str, str] = {}
    for key, value in mapping.value:
        if not isinstance(key, yaml.ScalarNode):
            continue
        if key.value == "<<" and value is not mapping:
            merged = value.value if isinstance(value, yaml.SequenceNode) else [value]
            for each in merged:
                if isinstance(each, yaml.MappingNode):
                    fields = _own_texts(each) | fields
    return fields | _own_texts(mapping)


def _own_texts(mapping: yaml.MappingNode) -> dict[str, str]:
    pairs = [
        (key.value, _scalar(value))
        for key, value in mapping.value
        if isinstance(key, yaml.ScalarNode) and isinstance(value, yaml.ScalarNode)
    ]
    return {name: text for name, text in pairs if text is not None}


def _is_unquoted_template(mapping: yaml.MappingNode, text: str) -> bool:
    """``image: {{ … }}``: to YAML, a mapping in a mapping."""
    if mapping.start_mark is None:
        return False
    return text.startswith("{{", mapping.start_mark.index)
