"""Deleting images of a layout: by one new ``index.json``, and then by removing what nothing holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from janitor.core.image import Image
from janitor.core.report import OutcomeKind
from janitor.errors import FileError
from janitor.files.layout import Layout, Named, Names
from janitor.providers.interface import Result


class Removal:
    """One attempt at deleting images: by the index as it is now, not as it was listed.

    What has got a tag since it was handed over stays, as does what a manifest that stays names. What only a
    deleted index named, and nobody asked for, is listed in its own right from then on.
    """

    def __init__(self, layout: Layout, images: Sequence[Image]) -> None:
        self._layout = layout
        self._index = layout.index()
        self._results: dict[str, Result] = {}
        self._going = self._chosen(images)
        staying = self._reached(self._index.roots(without=self._going))
        for digest in self._going & staying:
            self._results[digest] = failed(digest, "is named by an index that stays")
        self._going -= staying
        self._released = self._going | {
            blob for digest in self._going for blob in self._layout.node(digest).blobs
        }
        self._left = tuple(self._left_behind(staying))

    def write(self) -> None:
        """Put the new index in place. Raises Changed, and FileError."""
        if not self._going:
            return
        staying = [entry.raw for entry in self._index.entries if entry.digest not in self._going]
        added = [msgspec.Raw(_descriptor(named)) for named in self._left]
        self._layout.replace_index(self._index, self._index.with_entries([*staying, *added]))

    def swept(self) -> tuple[Result, ...]:
        """Remove the blobs that are free now, and say what became of each image."""
        detail = None
        if self._going:
            try:
                self._layout.sweep(self._released)
            except FileError as error:
                detail = f"no blob was removed: {error.message}"
        return (*self._results.values(), *(deleted(digest, detail) for digest in sorted(self._going)))

    def _chosen(self, images: Sequence[Image]) -> set[str]:
        names = Names(self._layout, self._index)
        there = self._reached(self._index.roots())
        going = set()
        for image in images:
            digest = image.digest
            more = names.of(digest) - set(image.tags)
            if digest not in there:
                self._results[digest] = deleted(digest, "was gone already")
            elif digest in names.locked:
                self._results[digest] = refused(digest, names.locked[digest])
            elif more:
                self._results[digest] = failed(digest, f"has got {', '.join(sorted(more))} meanwhile")
            else:
                going.add(digest)
        return going

    def _reached(self, roots: Iterator[Named]) -> set[str]:
        return {named.digest for named in self._layout.walk(roots)}

    def _left_behind(self, staying: set[str]) -> Iterator[Named]:
        for digest in sorted(self._going):
            for child in self._layout.node(digest).children:
                if (
                    child.digest in self._going
                    or child.digest in staying
                    or not self._layout.holds(child.digest)
                ):
                    continue
                yield child
                staying |= self._reached(iter((child,)))


def _descriptor(named: Named) -> bytes:
    return msgspec.json.encode({"mediaType": named.media_type, "digest": named.digest, "size": named.size})


def deleted(digest: str, detail: str | None = None) -> Result:
    """It is gone."""
    return Result(digest=digest, outcome=OutcomeKind.DELETED, detail=detail)


def failed(digest: str, detail: str) -> Result:
    """It did not work this time."""
    return Result(digest=digest, outcome=OutcomeKind.FAILED, detail=detail)


def refused(digest: str, detail: str) -> Result:
    """It will never work."""
    return Result(digest=digest, outcome=OutcomeKind.REFUSED, detail=detail)
