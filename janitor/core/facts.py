"""What is known of each image of one repository: its time, creation, last pull and size.

Times are seconds since 1970 as floats: microseconds survive, and a million of them sort quickly. ``None`` is
unknown, and a time before 1981 (reproducible builds) or more than an hour ahead is no time at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from msgspec import UNSET

from janitor.core.image import Image
from janitor.core.shape import Shape

# Reproducible builds write 1970, 1980 (Buildpacks) or the year 1 where a time should stand.
_FIRST_REAL_TIME = datetime(1981, 1, 1, tzinfo=UTC).timestamp()
_SKEW = timedelta(hours=1)
_DAY = timedelta(days=1).total_seconds()


class Facts:
    """The images of one repository at one instant, and what is known of them, by position.

    ``times`` are the images' times as the language means it, ``any_undated`` tells whether one has none;
    ``in_archive`` are the images in the archive class. What costs more is worked out when a rule asks.
    """

    __slots__ = (
        "_created",
        "_latest_real",
        "_now",
        "_pulled",
        "_sizes",
        "any_undated",
        "images",
        "in_archive",
        "now",
        "shape",
        "times",
    )

    def __init__(self, images: Sequence[Image], now: datetime) -> None:
        self.images = images
        self.now = now
        self._now = now.timestamp()
        self.shape = Shape(images)
        self._latest_real = (now + _SKEW).timestamp()
        self._created: dict[int, float | None] = {}
        self._pulled: dict[int, float | None] = {}
        self._sizes: dict[int, int | None] = {}
        self.times = self._times()
        self.any_undated = None in self.times
        self.in_archive = frozenset([i for i, image in enumerate(images) if image.archived_at is not None])

    def _usable(self, time: datetime | None) -> float | None:
        if time is None:
            return None
        seconds = time.timestamp()
        return seconds if _FIRST_REAL_TIME <= seconds <= self._latest_real else None

    def _times(self) -> list[float | None]:
        first, latest = _FIRST_REAL_TIME, self._latest_real
        pushes = [None if (at := image.pushed_at) is None else at.timestamp() for image in self.images]
        times = [at if at is not None and first <= at <= latest else None for at in pushes]
        # Comparing costs a sixth of what turning into seconds does, and most tags are placed with a push.
        retagged = [
            i
            for i, image in enumerate(self.images)
            if (placed := image.tagged_at) is not None
            and (times[i] is None or (pushed := image.pushed_at) is None or placed > pushed)
        ]
        # A creation says when something was built, not when it came here: it counts only where no push does.
        if times.count(None) == len(times):
            times = [self.created(i) for i in range(len(times))]
        for i in retagged:
            times[i] = _later(times[i], self._usable(self.images[i].tagged_at))
        return times

    def ago(self, age: timedelta) -> float:
        """The instant that long before now; before all time where the calendar ends."""
        try:
            return (self.now - age).timestamp()
        except OverflowError:
            return float("-inf")

    def created(self, i: int) -> float | None:
        """When the image was built; of an index that doesn't say, when the latest of its platforms was."""
        if i not in self._created:
            own = self._usable(self.images[i].created_at)
            if own is None:
                for platform in self.shape.platforms(i):
                    own = _later(own, self._usable(self.images[platform].created_at))
            self._created[i] = own
        return self._created[i]

    def pulled(self, i: int) -> float | None:
        """The last pull of the image or of any platform; who was never pulled counts from its time."""
        if i not in self._pulled:
            latest: float | None = None
            for member in (i, *self.shape.platforms(i)):
                last = self.images[member].pulled_at
                pulled = self.times[member] if last is None else None if last is UNSET else self._usable(last)
                if pulled is None:
                    latest = None
                    break
                latest = _later(latest, pulled)
            self._pulled[i] = latest
        return self._pulled[i]

    def size(self, i: int) -> int | None:
        """Bytes: what the registry says; of an index that has no size, the sum of its platforms."""
        if i not in self._sizes:
            size = self.images[i].size_bytes
            platforms = self.shape.platforms(i)
            if size is None and platforms:
                sizes = [
                    self.images[platform].size_bytes
                    for platform in platforms
                    if platform not in self.shape.children
                ]
                known = [size for size in sizes if size is not None]
                size = sum(known) if known and len(known) == len(sizes) else None
            self._sizes[i] = size
        return self._sizes[i]

    def archived(self, i: int) -> float | None:
        """When the image was moved to the archive class."""
        return self._usable(self.images[i].archived_at)

    def age(self, i: int) -> int | None:
        """Whole days since its time."""
        time = self.times[i]
        return None if time is None else int((self._now - time) // _DAY)

    def time_or_last(self, i: int) -> float:
        """Its time; an image without a usable one is newer than all others."""
        time = self.times[i]
        return float("inf") if time is None else time

    def arrivals(self) -> list[float | None]:
        """Of each image its time, or a later change that nobody explains: what the grace counts from."""
        changes = [(i, at) for i, image in enumerate(self.images) if (at := image.changed_at) is not None]
        if not changes:
            return self.times
        arrivals = list(self.times)
        for i, changed in changes:
            arrivals[i] = _later(arrivals[i], self._usable(changed))
        return arrivals

    def lookup(self, order: str) -> Callable[[int], float | None]:
        """The function that gives an image's place in this order (``time``, ``created`` or ``pulled``)."""
        if order == "time":
            return self.times.__getitem__
        return self.created if order == "created" else self.pulled


def _later(one: float | None, other: float | None) -> float | None:
    if one is None or other is None:
        return other if one is None else one
    return max(one, other)
