"""A list of references: one a line, written by anything.

Blank lines are nothing, ``#`` begins a comment at the start of a line or after a space, a byte-order mark and
CRLF are allowed. A line that is no reference is a problem: it may be a reference with a slip in it, and what
it meant isn't known.
"""

from __future__ import annotations

import re

from janitor.core.reference import Reference
from janitor.inuse.interface import Findings

_COMMENT = re.compile(r"(?:^|\s)#.*$")


def read_lines(content: bytes, place: str, found: Findings) -> None:
    """Take every line into the findings; ``place`` is what messages call the list."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        found.problems.append(f"{place}: it is not UTF-8 text ({error.reason})")
        return
    for number, line in enumerate(text.split("\n"), 1):
        written = _COMMENT.sub("", line).strip()
        if not written:
            continue
        try:
            found.references[Reference.parse(written)] = None
        except ValueError as error:
            found.problems.append(f"{place}:{number}: {error}")
