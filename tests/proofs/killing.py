"""Kills a run at every one of its points, lets another go on, and looks into the books of both.

A *point* is a request (before it takes effect, and after; only once where it changes nothing) or a step with
which the run changes what is on disk (before and after it, and in the middle of a write).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec

from tests.proofs.deadly import Eventful, Killing, changes
from tests.proofs.estate import Estate, Truth, announced, done, gone, within
from tests.proofs.warm import Break, Ended, How, Step
from tests.simulators.world import World

KILLED = -9
_CHANGE: tuple[How, ...] = ("before", "after")
_WRITE: tuple[How, ...] = ("before", "half", "after")
_KEPT = ("manifests", "seen", "left", "returned")


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """Where a run is killed. ``kind``: points of one kind are alike."""

    kind: str
    at: int
    how: How
    on_disk: bool = False


class Course:
    """A registry, an estate over it, and how a run goes that nobody disturbs."""

    def __init__(self, server: Eventful, estate: Estate, world: World, *, concurrency: int = 1) -> None:
        self.server = server
        self.estate = estate
        self.concurrency = f"--concurrency={concurrency}"
        self._world = world
        self.before = Truth.of(world)
        self.reset()
        ended = estate.run(self.concurrency)
        assert ended.code == 0, ended.err
        self.kinds = list(server.kinds)
        self.steps = ended.steps
        self.end = Truth.of(server.world)
        self.changed = sum(len(journal.intents) for journal in estate.journals())
        assert done(estate.journals()) == gone(self.before, self.end)

    def reset(self) -> None:
        """As it was before any run."""
        self.server.world = self._world.copy()
        self.server.requests.clear()
        self.server.listen()
        self.estate.forget()

    def points(self) -> list[Point]:
        """Every point of a run that nobody disturbs."""
        return points_of(self.kinds, self.steps)

    def kill(self, point: Point) -> Ended:
        """Run, and be killed there; where nothing comes to that point, come to the end."""
        if point.on_disk:
            self.server.listen()
            return self.estate.run(self.concurrency, break_at=Break(at=point.at, how=point.how))
        killing = Killing()
        self.server.listen(point.at, killing, after=point.how == "after")
        child = self.estate.warm.start(self.estate.job(self.concurrency))
        killing.pid.set_result(child.pid)
        return child.wait()

    def go_on(self) -> Ended:
        """Run on, undisturbed."""
        self.server.listen()
        return self.estate.run(self.concurrency)

    def check_killed(self) -> None:
        """What must hold right after a kill: nothing is gone that stays, or wasn't announced."""
        now = Truth.of(self.server.world)
        assert within(gone(self.before, now), gone(self.before, self.end))
        assert within(gone(self.before, now), announced(self.estate.journals()))

    def check_end(self, last: Ended, killed: Iterable[Ended]) -> None:
        """What must hold when a run came to its end after others were killed."""
        estate = self.estate
        assert last.code == 0, last.out + last.err
        now = Truth.of(self.server.world)
        assert (now.images, now.tags) == (self.end.images, self.end.tags)
        # What was to move along with an image that is in the archive already may stay where it is.
        tagged = {(name, digest) for name, _, digest in self.end.tags}
        assert self.end.archived & tagged <= now.archived <= self.end.archived
        journals = estate.journals()
        assert done(journals) == gone(self.before, now)
        assert all(journal.ended and not journal.unsettled() for journal in journals)
        assert estate.left() == []
        # Of each that was killed, somebody told.
        told = "".join(each.out + each.err for each in (*killed, last))
        for journal in journals:
            run_id = journal.begun.run_id
            assert estate.reported(run_id) or _tells(told, run_id)


def _tells(told: str, run_id: str) -> bool:
    """Whether a run told of another that was killed: in its report, or at once in its log."""
    if f"run {run_id} was cut off" in told:
        return True
    return any(run_id in line and '"event": "run.recovered"' in line for line in told.splitlines())


def points_of(kinds: Sequence[str], steps: Sequence[Step]) -> list[Point]:
    """The points of a run that asked this, and did that on disk."""
    found: list[Point] = []
    for at, kind in enumerate(kinds):
        ways = _CHANGE if changes(kind) else _CHANGE[:1]
        found += [Point(kind=f"{how} {kind}", at=at, how=how) for how in ways]
    for at, step in enumerate(steps):
        ways = _WRITE if step.call == "write" else _CHANGE
        kind = f"{step.call} {_file(step)}"
        found += [Point(kind=f"{how} {kind}", at=at, how=how, on_disk=True) for how in ways]
    return found


def _file(step: Step) -> str:
    """What a file is, without the names of one run."""
    path = Path(step.path)
    if path.parent.name in _KEPT:
        return path.parent.name
    if path.name.startswith(".janitor-"):
        return "new file"
    return path.name if path.suffix or path.name == "lock" else "folder"


def spread(points: Sequence[Point], most: Callable[[str], int]) -> list[Point]:
    """Of each kind so many points at most, from the first to the last."""
    chosen: list[Point] = []
    for kind in dict.fromkeys(point.kind for point in points):
        alike = [point for point in points if point.kind == kind]
        count = min(most(kind), len(alike))
        places = {round(n * (len(alike) - 1) / max(count - 1, 1)) for n in range(count)}
        chosen += [alike[n] for n in sorted(places)]
    return chosen
