"""A text file of references: one a line, written by anything.

Blank lines are nothing, ``#`` begins a comment at the start of a line or after a space, a byte-order mark and
CRLF are allowed. A line that is no reference makes the source unread: it may be a reference with a slip in
it, and what it meant isn't known.
"""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from janitor.core.reference import Reference
from janitor.inuse.interface import Findings, Source

_COMMENT = re.compile(r"(?:^|\s)#.*$")


class FileKeys(msgspec.Struct, frozen=True, kw_only=True):
    """The keys of ``file``."""

    file: Annotated[
        str, Meta(description="a text file with one image reference a line", extra={"path": True})
    ]


class FileSource(Source[FileKeys]):
    """The references that one text file holds."""

    kind: ClassVar[str] = "file"
    keys: ClassVar[type[msgspec.Struct]] = FileKeys

    @property
    def name(self) -> str:
        """``file: PATH``."""
        return f"file: {self._keys.file}"

    def _read(self, found: Findings, stop: threading.Event, *, allow_empty: bool) -> None:  # noqa: ARG002 - the interface's; one small file is read at once
        path = self._keys.file
        try:
            text = Path(path).read_bytes().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            found.problems.append(f"{path}: it is not UTF-8 text ({error.reason})")
            return
        for number, line in enumerate(text.split("\n"), 1):
            written = _COMMENT.sub("", line).strip()
            if not written:
                continue
            try:
                found.references[Reference.parse(written)] = None
            except ValueError as error:
                found.problems.append(f"{path}:{number}: {error}")
