"""Globs, translated into RE2.

The translation is one pass without recursion, so that no pattern can exhaust anything: braces become an
alternation and are never multiplied out. Globs of plain text, or of plain text and a final ``*``, are known
as such, because those are matched without an automaton.
"""

from __future__ import annotations

import re

import msgspec

# Deeper than anybody writes; RE2 itself gives up at 1000.
_MAX_DEPTH = 50
# What stands for itself, wherever it stands.
_PLAIN = re.compile(r"[^*?\[\]{},\\]+")


class GlobError(ValueError):
    """A text is no glob; the message goes on after the pattern and a colon."""


class Glob(msgspec.Struct, frozen=True, kw_only=True):
    """A glob that was read.

    ``expression``: for RE2, of the whole text. ``literal``: the only text that it matches. ``prefix``: it
    matches what begins so, and nothing else (empty: everything). At most one of these two is set.
    """

    expression: str
    literal: str | None = None
    prefix: str | None = None


def read_glob(text: str, *, paths: bool, commas: bool) -> Glob:
    """Read a glob; :class:`GlobError` says why a text is none.

    With ``paths``, ``*``, ``?`` and classes never match ``/``, and ``**`` does. Without ``commas``, a comma
    outside of braces is an error: there what is matched has none, and a list was meant.
    """
    return _Reader(text, paths=paths, commas=commas).read()


class _Reader:
    """One pass over one glob."""

    def __init__(self, text: str, *, paths: bool, commas: bool) -> None:
        self._text = text
        self._paths = paths
        self._commas = commas
        self._at = 0
        self._depth = 0
        self._parts: list[str] = []
        # The text so far, as long as nothing but plain characters came; then None.
        self._plain: str | None = ""
        self._prefix: str | None = None

    def read(self) -> Glob:
        while self._at < len(self._text):
            plain = _PLAIN.match(self._text, self._at)
            if plain is None:
                self._step()
            else:
                self._at = plain.end()
                self._literal(plain[0])
        if self._depth:
            raise GlobError("a { is never closed; write \\{ for the character")
        return Glob(expression="(?s)" + "".join(self._parts), literal=self._plain, prefix=self._prefix)

    def _step(self) -> None:
        character = self._text[self._at]
        self._at += 1
        match character:
            case "*":
                self._star()
            case "?":
                self._special("[^/]" if self._paths else ".")
            case "[":
                self._special(self._class())
            case "{":
                self._open()
            case "," if self._depth:
                self._special("|")
            case "," if not self._commas:
                raise GlobError("a comma stands outside of braces; write a list, or {a,b} for either")
            case "}":
                self._close()
            case "]":
                raise GlobError("a ] closes nothing; write \\] for the character")
            case "\\":
                self._literal(self._escaped())
            case _:  # a comma, outside of braces
                self._literal(character)

    def _literal(self, text: str) -> None:
        self._parts += map(_quoted, text)
        self._prefix = None
        if self._plain is not None:
            self._plain += text

    def _special(self, expression: str) -> None:
        self._parts.append(expression)
        self._plain = self._prefix = None

    def _star(self) -> None:
        start = self._at - 1
        while self._text[self._at : self._at + 1] == "*":
            self._at += 1
        if self._paths and self._at - start == 1:
            self._special("[^/]*")
            return
        before = self._plain
        self._special(".*")
        self._prefix = before

    def _open(self) -> None:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise GlobError(f"braces stand in one another more than {_MAX_DEPTH} deep")
        if self._text[self._at : self._at + 1] == "}":
            raise GlobError("{} holds nothing; write {a,b} for either, \\{\\} for the characters")
        self._special("(?:")

    def _close(self) -> None:
        if not self._depth:
            raise GlobError("a } closes nothing; write \\} for the character")
        self._depth -= 1
        self._special(")")

    def _escaped(self) -> str:
        if self._at == len(self._text):
            raise GlobError("a backslash at the end stands before nothing; write \\\\ for the character")
        self._at += 1
        return self._text[self._at - 1]

    def _class(self) -> str:
        negated = self._text[self._at : self._at + 1] in ("!", "^")
        self._at += negated
        ranges: list[tuple[str, str]] = []
        # As in a shell, a ] that comes first is one of the class.
        while self._text[self._at : self._at + 1] != "]" or not ranges:
            first = self._class_character()
            last = first
            if self._text[self._at : self._at + 1] == "-" and self._text[self._at + 1 : self._at + 2] not in (
                "]",
                "",
            ):
                self._at += 1
                last = self._class_character()
            if last < first:
                raise GlobError(f"the range {first}-{last} runs backwards")
            ranges.append((first, last))
        self._at += 1
        return self._class_expression(ranges, negated=negated)

    def _class_character(self) -> str:
        if self._at == len(self._text):
            raise GlobError("a [ is never closed; write \\[ for the character")
        character = self._text[self._at]
        self._at += 1
        if character == "[" and self._text[self._at : self._at + 1] in (":", ".", "="):
            raise GlobError("named classes aren't read; write [0-9] or [a-z]")
        return self._escaped() if character == "\\" else character

    def _class_expression(self, ranges: list[tuple[str, str]], *, negated: bool) -> str:
        if self._paths and negated:
            ranges = [*ranges, ("/", "/")]
        elif self._paths:
            ranges = [part for each in ranges for part in _without_slash(*each)]
            if not ranges:
                raise GlobError("a class never matches /; write it outside of the brackets")
        body = "".join(f"{_code(first)}-{_code(last)}" for first, last in ranges)
        return f"[{'^' if negated else ''}{body}]"


def _without_slash(first: str, last: str) -> list[tuple[str, str]]:
    """A range of characters, parted where it holds the slash."""
    if not first <= "/" <= last:
        return [(first, last)]
    parts = [(first, "."), ("0", last)]
    return [(start, end) for start, end in parts if start <= end]


def _quoted(character: str) -> str:
    if character.isascii() and not character.isalnum():
        return _code(character)
    return character


def _code(character: str) -> str:
    return f"\\x{{{ord(character):x}}}"
