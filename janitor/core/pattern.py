"""Patterns of tags, repositories and names, compiled so that matching takes linear time.

Rules: a pattern speaks of the whole text. A glob has ``*`` (any run), ``?`` (one character), ``[a-z]`` and
``[!a-z]`` (a class), ``{a,b}`` (either, nested too) and a backslash before what is meant as it stands;
``re:`` begins an RE2 expression, ``semver:`` a range of versions or ``pre``; ``!`` before any negates it. Of
repositories, ``*``, ``?`` and classes stay within one path segment and ``**`` is any run, ``/`` too. A list
selects what some pattern of it matches and no negated one does, so that a list without a positive pattern
selects nothing. Python's own backtracking ``re`` never sees a pattern that a user wrote.

Many lists are matched at once by :class:`TagMatcher`: literals and prefixes by dictionary, ranges with one
reading of the version, all else by one automaton.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from functools import cached_property, partial
from typing import Any

import msgspec
import re2

from janitor.core.glob import GlobError, read_glob
from janitor.core.memory import Memory
from janitor.core.version import Range, Version, parse_range, parse_version

# Longer than any tag (128) or repository (255) with room for alternatives; bounds what is compiled.
_MAX_PATTERN = 1000

# Of one joined automaton's states, in bytes. Full, it is emptied and goes on; it never grows further.
_MAX_AUTOMATON = 16 * 2**20

_VERSION_GROUPS = {"major": 0, "minor": 1}


class PatternError(ValueError):
    """A text is no pattern; the message is a sentence that names it and says what is meant."""


class PatternKind(StrEnum):
    """What a pattern is of; it decides what may be written and what ``*`` means."""

    TAG = "tag"
    REPOSITORY = "repository"
    NAME = "name"


class Pattern(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One pattern; to have one is the proof that its text is right.

    ``text`` is what the policy says, with its ``!``. Equal text and kind make equal patterns.
    """

    text: str
    kind: PatternKind

    def __post_init__(self) -> None:
        """Compile, so that a wrong text raises :class:`PatternError` here and nowhere later."""
        _ = self._shape

    @property
    def negated(self) -> bool:
        """Whether ``!`` stands in front."""
        return self.text.startswith("!")

    @property
    def group_names(self) -> frozenset[str]:
        """The groups that :meth:`group` can give: named ones of ``re:``, major and minor of ``semver:``."""
        return frozenset(self._shape.groups)

    def matches(self, text: str) -> bool:
        """Whether the pattern matches the whole text, whatever its negation."""
        return self._joined.hits((text,))[0] != 0

    def group(self, name: str, text: str) -> str | None:
        """The group of that name, where the pattern matches and the group took part; else ``None``.

        Of a version, ``major`` is ``1`` and ``minor`` is ``1.4``. Costs several times what a match does.
        """
        return self.groups(name, (text,))[0]

    def groups(self, name: str, texts: Sequence[str]) -> list[str | None]:
        """As :meth:`group`, for many texts at once."""
        memory = self._groups.get(name)
        return [None] * len(texts) if memory is None else memory(texts)

    @cached_property
    def _shape(self) -> _Shape:
        return _shape_of(self.text, self.kind)

    @cached_property
    def _groups(self) -> dict[str, Memory[str | None]]:
        shape = self._shape
        if shape.expression is None:
            return {name: Memory(partial(_version_groups, shape, name)) for name in shape.groups}
        return {
            name: Memory(partial(_expression_groups, shape.expression, index))
            for name, index in shape.groups.items()
        }

    @cached_property
    def _joined(self) -> _Joined:
        return _Joined([(self._shape, 1)])


class PatternList(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """Patterns of which some must match and no negated one may. An empty list selects nothing."""

    patterns: tuple[Pattern, ...]

    @classmethod
    def of(cls, texts: Iterable[str], kind: PatternKind) -> PatternList:
        """The list of these texts; :class:`PatternError` names the first that is wrong."""
        return cls(patterns=tuple(parse_pattern(text, kind) for text in texts))

    def selects(self, text: str) -> bool:
        """Whether a positive pattern matches the text and no negated one does."""
        return self._matcher.select(text) != 0

    @cached_property
    def _matcher(self) -> TagMatcher:
        return TagMatcher((self,))


class TagMatcher:
    """Many pattern lists, matched at once.

    The cost of a text hardly depends on how many lists and patterns there are. Patterns of any kind will do,
    tags are only what this is for.
    """

    __slots__ = ("_all", "_joined", "_lists", "_memory")

    def __init__(self, lists: Sequence[PatternList]) -> None:
        self._lists = len(lists)
        self._all = (1 << len(lists)) - 1
        # Negated patterns say their hits in the upper half, one bit a list.
        self._joined = _Joined(
            (pattern._shape, 1 << (place + len(lists) if pattern.negated else place))  # noqa: SLF001 - one module
            for place, patterns in enumerate(lists)
            for pattern in patterns.patterns
        )
        self._memory = Memory(self._select)

    def select(self, tag: str) -> int:
        """The lists that select the tag: bit i is set for ``lists[i]``."""
        return self.select_each((tag,))[0]

    def select_each(self, tags: Sequence[str]) -> list[int]:
        """As :meth:`select`, for many tags at once."""
        return self._memory(tags)

    def _select(self, tags: Sequence[str]) -> list[int]:
        lists, everything = self._lists, self._all
        return [hits & ~(hits >> lists) & everything for hits in self._joined.hits(tags)]


def parse_pattern(text: str, kind: PatternKind) -> Pattern:
    """Read a pattern; :class:`PatternError` says what is wrong with it."""
    return Pattern(text=text, kind=kind)


def groups_of(patterns: PatternList, tags: Sequence[str], name: str) -> list[str | None]:
    """The group that each tag falls in: the first positive pattern that matches and gives it decides."""
    giving = [pattern for pattern in patterns.patterns if not pattern.negated and name in pattern.group_names]
    if len(giving) == 1:
        return giving[0].groups(name, tags)
    columns = [pattern.groups(name, tags) for pattern in giving]
    return [next(filter(_is_some, row), None) for row in zip(*columns, strict=True)] or [None] * len(tags)


def _is_some(group: str | None) -> bool:
    return group is not None


class _Shape(msgspec.Struct, frozen=True, kw_only=True):
    """How a pattern is matched: by the first of these that is set.

    ``literal`` and ``prefix`` are plain text, ``versions`` a range, ``prereleases`` asks for any pre-release,
    ``expression`` is for RE2. ``groups``: name to place, which has a meaning in an expression alone.
    """

    literal: str | None = None
    prefix: str | None = None
    versions: Range | None = None
    prereleases: bool = False
    expression: str | None = None
    groups: Mapping[str, int] = {}

    def takes(self, version: Version) -> bool:
        """Whether a pattern of versions matches this one."""
        if self.versions is None:
            return self.prereleases and bool(version.prerelease)
        return self.versions.contains(version)


class _Joined:
    """Shapes with a mask each; :meth:`hits` is the union of the masks of all that match."""

    __slots__ = ("_always", "_automata", "_literals", "_prefixes", "_prereleases", "_ranges", "_releases")

    def __init__(self, shapes: Iterable[tuple[_Shape, int]]) -> None:
        self._always = 0
        self._literals: dict[str, int] = {}
        prefixes: dict[int, dict[str, int]] = {}
        ranges: dict[Range, int] = {}
        self._releases = self._prereleases = 0
        expressions: dict[str, int] = {}
        for shape, mask in shapes:
            if shape.literal is not None:
                self._literals[shape.literal] = self._literals.get(shape.literal, 0) | mask
            elif shape.prefix == "":
                self._always |= mask
            elif shape.prefix is not None:
                bucket = prefixes.setdefault(len(shape.prefix), {})
                bucket[shape.prefix] = bucket.get(shape.prefix, 0) | mask
            elif shape.versions is not None and shape.versions.is_whole:
                self._releases |= mask
            elif shape.versions is not None:
                ranges[shape.versions] = ranges.get(shape.versions, 0) | mask
            elif shape.prereleases:
                self._prereleases |= mask
            elif shape.expression is not None:
                expressions[shape.expression] = expressions.get(shape.expression, 0) | mask
        self._prefixes = tuple(prefixes.items())
        self._ranges = tuple(ranges.items())
        self._automata = tuple(_automata(tuple(expressions.items())))

    def hits(self, texts: Sequence[str]) -> list[int]:
        """The union of masks for each text; a step at a time over all texts, which is what makes it cheap."""
        always, literals = self._always, self._literals.get
        hits = [always | literals(text, 0) for text in texts]
        for length, prefixes in self._prefixes:
            get = prefixes.get
            hits = [known | get(text[:length], 0) for known, text in zip(hits, texts, strict=True)]
        if self._ranges or self._releases or self._prereleases:
            for n, version in enumerate(map(parse_version, texts)):
                if version is not None:
                    hits[n] |= self._hits_of_version(version)
        for match, masks in self._automata:
            for n, text in enumerate(texts):
                for index in match(_encoded(text)) or ():
                    hits[n] |= masks[index]
        return hits

    def _hits_of_version(self, version: Version) -> int:
        hits = self._prereleases if version.prerelease else self._releases
        for versions, mask in self._ranges:
            if versions.contains(version):
                hits |= mask
        return hits


def _automata(expressions: Sequence[tuple[str, int]]) -> Iterable[tuple[Any, tuple[int, ...]]]:
    """As few automata as memory allows; each is a function bytes -> places in its masks, or ``None``.

    A set either compiles with room enough to match anything or says that it doesn't: then its halves are
    tried, and at last the single expression, which RE2 can match without building an automaton.
    """
    if not expressions:
        return
    masks = tuple(mask for _, mask in expressions)
    joined = re2.Set.FullMatchSet(_options(never_capture=True))
    try:
        for expression, _ in expressions:
            joined.Add(expression)
        joined.Compile()
    except re2.error:
        if len(expressions) > 1:
            half = len(expressions) // 2
            yield from _automata(expressions[:half])
            yield from _automata(expressions[half:])
            return
        single = _compiled(expressions[0][0])
        yield lambda text: [0] if single.fullmatch(text) is not None else None, masks
        return
    yield joined.Match, masks


def _options(*, never_capture: bool = False) -> re2.Options:
    options = re2.Options()
    options.log_errors = False
    options.never_capture = never_capture
    if never_capture:
        options.max_mem = _MAX_AUTOMATON
    return options


def _compiled(expression: str) -> Any:
    """RE2's object, from RE2's own cache, which is bounded; it takes and gives bytes."""
    return re2.compile(expression.encode(), _options())


def _encoded(text: str) -> bytes:
    """UTF-8, with a question mark for what has no such form (half a surrogate pair in a registry's JSON)."""
    return text.encode("utf-8", "replace")


def _version_groups(shape: _Shape, name: str, texts: Sequence[str]) -> list[str | None]:
    takes = shape.takes
    versions = [version if version and takes(version) else None for version in map(parse_version, texts)]
    if name == "major":
        return [None if version is None else str(version.major) for version in versions]
    return [None if version is None else f"{version.major}.{version.minor}" for version in versions]


def _expression_groups(expression: str, index: int, texts: Sequence[str]) -> list[str | None]:
    matches = map(_compiled(expression).fullmatch, map(_encoded, texts))
    values = [None if match is None else match[index] for match in matches]
    return [None if value is None else value.decode("utf-8", "replace") for value in values]


def _shape_of(text: str, kind: PatternKind) -> _Shape:
    """What a pattern's text says, without its negation."""
    if len(text) > _MAX_PATTERN:
        raise PatternError(
            f"{text[:40]}… is longer than the {_MAX_PATTERN} characters that a pattern may have"
        )
    body = text.removeprefix("!")
    if not body:
        raise PatternError("a pattern is empty" if not text else "a ! stands before no pattern")
    if body.startswith("!"):
        raise PatternError(f"{text}: a pattern is negated once, or not at all")
    if not body.isprintable() and any("\ud800" <= character <= "\udfff" for character in body):
        raise PatternError(f"{text!r} holds half a character")
    if body.startswith("re:"):
        return _expression_shape(text, body.removeprefix("re:"))
    if body.startswith("semver:"):
        return _version_shape(text, body.removeprefix("semver:").strip(), kind)
    return _glob_shape(text, body, kind)


# What begins so was meant as an expression or a range, and as a glob would hardly ever match.
_OTHER_PREFIX = r"(?:re|re2|regex|regexp|glob|semver|version|range)\s*:"


def _glob_shape(text: str, body: str, kind: PatternKind) -> _Shape:
    if kind is not PatternKind.NAME:
        prefix = re.match(_OTHER_PREFIX, body, re.IGNORECASE) if ":" in body else None
        if prefix:
            raise PatternError(f"{text}: no pattern begins with {prefix[0]} There are re:, semver: and globs")
        if body.split() != [body]:
            raise PatternError(f"{text!r} holds a blank, which no {kind} has")
    try:
        glob = read_glob(body, paths=kind is PatternKind.REPOSITORY, commas=kind is PatternKind.NAME)
    except GlobError as error:
        raise PatternError(f"{text}: {error}") from None
    if glob.literal is not None:
        return _Shape(literal=glob.literal)
    if glob.prefix is not None:
        return _Shape(prefix=glob.prefix)
    _check_expression(text, glob.expression)
    return _Shape(expression=glob.expression)


def _version_shape(text: str, body: str, kind: PatternKind) -> _Shape:
    if kind is not PatternKind.TAG:
        raise PatternError(f"{text}: semver: is for tags; a {kind} has no version")
    if not body:
        raise PatternError(
            f"{text} names no versions; write semver:*, semver:>=1.2.0,<2, semver:^1.4 or semver:pre"
        )
    if body == "pre":
        return _Shape(prereleases=True, groups=_VERSION_GROUPS)
    try:
        return _Shape(versions=parse_range(body), groups=_VERSION_GROUPS)
    except ValueError as error:
        raise PatternError(f"semver:{error}") from None


def _expression_shape(text: str, expression: str) -> _Shape:
    if not expression:
        raise PatternError(f"{text} holds no expression")
    compiled = _check_expression(text, expression)
    groups = {name.decode(): index for name, index in compiled.groupindex.items()}
    return _Shape(expression=expression, groups=groups)


def _check_expression(text: str, expression: str) -> Any:
    try:
        return _compiled(expression)
    except re2.error as error:
        reason = error.args[0] if error.args else ""
        said = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise PatternError(f"{text}: RE2 can't read this: {said}{_hint(said)}") from None


def _hint(said: str) -> str:
    """What to do about the things that other engines have and a linear one can't."""
    if any(operator in said for operator in ("(?=", "(?!", "(?<")):
        return "; RE2 has no look-around, leave tags out by a second pattern with ! in front"
    if re.search(r"escape sequence: \\[1-9]", said):
        return "; RE2 has no back-references"
    return ""
