"""A text file of references: one a line, written by anything.

A line that is no reference makes the source unread.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import msgspec

from janitor.inuse.interface import Context, Findings, Source
from janitor.inuse.keys import FileKeys
from janitor.inuse.lines import read_lines


class FileSource(Source[FileKeys]):
    """The references that one text file holds."""

    kind: ClassVar[str] = "file"
    keys: ClassVar[type[msgspec.Struct]] = FileKeys

    @property
    def name(self) -> str:
        """``file: PATH``."""
        return f"file: {self._keys.file}"

    def _read(self, found: Findings, context: Context, *, allow_empty: bool) -> None:  # noqa: ARG002 - the interface's; one small file is read at once
        read_lines(Path(self._keys.file).read_bytes(), self._keys.file, found)
