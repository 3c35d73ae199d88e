"""When each schedule was served last, in the state folder; a shard has a file of its own."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from janitor.files.atomic import PRIVATE, write_atomically
from janitor.files.statefolder import sharded

# What is older than what would be made up says nothing any more.
_LASTS = timedelta(days=1)


class Served:
    """By name of schedule, the time up to which it is served."""

    def __init__(self, folder: Path, shard: tuple[int, int] | None) -> None:
        self._path = folder / sharded("served", shard)
        self._times = _read(self._path)

    @property
    def times(self) -> Mapping[str, datetime]:
        """As they are now."""
        return self._times

    def mark(self, name: str, until: datetime) -> None:
        """Remember that a schedule is served up to this time. Raises FileError."""
        times = {**self._times, name: until}
        self._times = {key: time for key, time in times.items() if until - time <= _LASTS}
        write_atomically(self._path, msgspec.json.encode(self._times) + b"\n", mode=PRIVATE)


def _read(path: Path) -> dict[str, datetime]:
    """Read what is there; a file that can't be read counts as none: a run too many is safe."""
    try:
        times = msgspec.json.decode(path.read_bytes(), type=dict[str, datetime])
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return {}
    return {name: time for name, time in times.items() if time.tzinfo is not None}
