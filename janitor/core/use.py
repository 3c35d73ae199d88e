"""What is in use, as values: the references that clusters and files name."""

from __future__ import annotations

import msgspec

from janitor.core.reference import Reference


class SourceReading(msgspec.Struct, frozen=True, kw_only=True):
    """What one source of use said.

    ``error`` is set when it could not be read, wholly or in part. ``references`` as they were found, without
    order; ``unparsed`` are texts that stood where a reference should and are none. ``allow_empty``: the
    policy says that an answer without any image is right.
    """

    source: str
    references: tuple[Reference, ...] = ()
    unparsed: tuple[str, ...] = ()
    error: str | None = None
    allow_empty: bool = False


class InUse(msgspec.Struct, frozen=True, kw_only=True):
    """All sources of a run, each with what it said; no source configured: an empty tuple."""

    readings: tuple[SourceReading, ...] = ()
