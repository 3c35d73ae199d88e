"""Lines of a run that don't outlive it: what is to happen, and why the rest stays, on disk and not in memory.

Lines are encoded once, in the shape of the plan file, so that they are copied there as they are.
"""

from __future__ import annotations

import tempfile
from array import array
from collections.abc import Iterable, Iterator
from os import SEEK_END
from typing import IO

import msgspec

from janitor.core.decision import Decisions
from janitor.core.plan import Action, ActionKind
from janitor.core.report import Stay
from janitor.core.story import why_stays
from janitor.files.planfile import encode_lines

# What can happen, in the order of ``Lines.counts``.
KINDS = (ActionKind.DELETE, ActionKind.UNTAG, ActionKind.ARCHIVE)


class Lines(msgspec.Struct, frozen=True, kw_only=True):
    """Where the lines of one repository stand in a spool, and what they count up to.

    ``counts`` are of the lines, by what happens. ``freed_bytes`` is of the images that are deleted, of which
    ``unsized`` have no known size. ``needs`` as in a draft, kept only where a ration may
    cut the lines.
    """

    start: int
    end: int
    counts: tuple[int, ...] = (0,) * len(KINDS)
    freed_bytes: int = 0
    unsized: int = 0
    needs: array[int] | None = None


NO_LINES = Lines(start=0, end=0)


class Spool:
    """Lines of actions, and of what stays, on disk; written once, then read."""

    def __init__(self) -> None:
        self._actions: IO[bytes] = tempfile.TemporaryFile(prefix="janitor-")  # noqa: SIM115 - close() closes it
        self._stays: IO[bytes] = tempfile.TemporaryFile(prefix="janitor-")  # noqa: SIM115 - close() closes it

    def put(self, actions: Iterable[Action], needs: array[int] | None = None) -> Lines:
        """Write lines to the end."""
        start = self._actions.seek(0, SEEK_END)
        actions = list(actions)
        self._actions.write(encode_lines(actions))
        kinds = [action.action for action in actions]
        sizes = [action.size_bytes for action in actions if action.action is ActionKind.DELETE]
        return Lines(
            start=start,
            end=self._actions.tell(),
            counts=tuple(map(kinds.count, KINDS)),
            freed_bytes=sum(filter(None, sizes)),
            unsized=sizes.count(None),
            needs=needs,
        )

    def cut(self, lines: Lines, allowed: int) -> Lines:
        """Write again, to the end, only the lines that a ration allows."""
        needs = lines.needs if lines.needs is not None else ()
        actions = zip(self.actions(lines), needs, strict=True)
        return self.put(action for action, needed in actions if needed <= allowed)

    def raw(self, lines: Lines) -> bytes:
        """The bytes of lines, as a plan file has them."""
        self._actions.seek(lines.start)
        return self._actions.read(lines.end - lines.start)

    def actions(self, lines: Lines) -> Iterator[Action]:
        """The actions that lines say."""
        return map(_decode, self.raw(lines).splitlines())

    def note_stays(self, decisions: Decisions) -> tuple[int, int]:
        """Write down why each image that stays does; returned is where."""
        start = self._stays.seek(0, SEEK_END)
        inventory = decisions.inventory
        goes = (
            decisions.going | decisions.along.keys() | decisions.archived_along.keys() | decisions.left.keys()
        )
        for i, image in enumerate(inventory.images):
            if i not in goes:
                stay = Stay(
                    registry=inventory.registry,
                    repository=inventory.repository,
                    digest=image.digest,
                    tags=image.tags,
                    reasons=why_stays(decisions, i),
                )
                self._stays.write(msgspec.json.encode(stay) + b"\n")
        return start, self._stays.tell()

    def stays(self, place: tuple[int, int]) -> Iterator[Stay]:
        """What was noted at a place."""
        start, end = place
        self._stays.seek(start)
        return map(_decode_stay, self._stays.read(end - start).splitlines())

    def close(self) -> None:
        """Give the files back."""
        self._actions.close()
        self._stays.close()


_decode = msgspec.json.Decoder(Action).decode
_decode_stay = msgspec.json.Decoder(Stay).decode
