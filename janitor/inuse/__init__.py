"""The sources that say which images are in use: one row a source, one file a source."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from janitor.core.policy import SourceSpec
from janitor.core.use import InUse
from janitor.inuse.file import FileSource
from janitor.inuse.interface import Source
from janitor.inuse.manifests import ManifestsSource

SOURCES: Mapping[str, type[Source[Any]]] = {row.kind: row for row in (ManifestsSource, FileSource)}


def collect(specs: tuple[SourceSpec, ...], stop: threading.Event) -> InUse:
    """Read every source once, in the order of the policy files.

    A source that can't be read is a reading with its ``error``; the others are read all the same, and nothing
    is raised.
    """
    return InUse(
        readings=tuple(
            SOURCES[spec.kind](spec.keys).read(stop, allow_empty=spec.allow_empty) for spec in specs
        )
    )


__all__ = ["SOURCES", "Source", "collect"]
