"""What text is put on: so many columns, with colours or without.

Text from outside is made legible before it comes here. Text that is not for a terminal (of no width) is never
cut and never broken.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

import msgspec

from janitor.core.legible import clean, short

# Columns that are worth writing in; with less left beside a long start, text goes below it.
_LEAST = 24


def pad(text: str, columns: int) -> str:
    """Fill up with spaces; what is longer stays so."""
    return text + " " * (columns - _cells(text))


def crop(text: str, columns: int) -> str:
    """Cut what is longer, with an ellipsis in its last column."""
    if _cells(text) <= columns:
        return text
    while text and _cells(text) >= columns:
        text = text[:-1]
    return text + "…"


class Paper(msgspec.Struct, frozen=True, kw_only=True):
    """``width`` in columns, ``None`` where it is no terminal."""

    width: int | None = None
    color: bool = False

    def paint(self, code: str, text: str) -> str:
        """Colour a text; ``code`` is that of an SGR sequence."""
        return f"\x1b[{code}m{text}\x1b[0m" if self.color and text.strip() else text

    def prose(self, text: str) -> str:
        """Clean a sentence; a terminal gets digests shortened, since it would break them."""
        return clean(text) if self.width is None else short(text)

    def beside(self, start: str, columns: int, text: str) -> Iterator[str]:
        """Write text beside ``start``, which takes so many columns, and break it between words alone."""
        if self.width is None:
            yield f"{start or ' ' * columns}  {text}".rstrip()
            return
        room = self.width - columns - 2
        if room < _LEAST:
            yield start
            start, columns, room = "", 4, self.width - 6
        for line in _broken(text, room):
            yield f"{start or ' ' * columns}  {line}".rstrip()
            start = ""


def _cells(text: str) -> int:
    """Count the columns that a terminal takes: a wide letter two, a combining mark none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(each) else 1 + (unicodedata.east_asian_width(each) in "WF")
        for each in text
    )


def _broken(text: str, columns: int) -> Iterator[str]:
    """Lines of whole words; a word that is longer than a line has one of its own."""
    line = ""
    for word in text.split():
        if line and _cells(line) + 1 + _cells(word) > columns:
            yield line
            line = word
        else:
            line = f"{line} {word}" if line else word
    yield line
