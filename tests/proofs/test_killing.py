"""kill -9 at any moment, and the next run comes to the same end; nothing is lost from sight meanwhile.

In the short form a few points of each kind are met, with ``HYPOTHESIS_PROFILE=long`` every single one.
"""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.conformance.ecr_stage import ENVIRON
from tests.proofs.deadly import Eventful, EventfulEcr, EventfulOci
from tests.proofs.estate import ARCHIVING, RULES, USED, Estate, Truth, build
from tests.proofs.killing import KILLED, Course, Point, points_of, spread
from tests.proofs.warm import Warm
from tests.simulators.ecr import REGION
from tests.simulators.oci import DISTRIBUTION_3, ZOT
from tests.simulators.world import ARM64, World

LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
REFERRERS = msgspec.structs.replace(ZOT, page=None)
FALLBACK = msgspec.structs.replace(DISTRIBUTION_3, name="fallback")


@pytest.fixture(scope="module")
def warm() -> Iterator[Warm]:
    with Warm() as warm:
        yield warm


@contextlib.contextmanager
def over(server: Eventful, warm: Warm, folder: Path, world: World, concurrency: int) -> Iterator[Course]:
    with server:
        server.listen()
        if isinstance(server, EventfulOci):
            used = "".join(f"{server.host}/{name}:{USED}\n" for name in world.repositories)
            keys = {"provider": "oci", "endpoint": server.address, "deletes_tags": True}
            estate = Estate(warm, folder, keys, used=used)
        else:
            keys = {"provider": "ecr", "region": REGION, "endpoint": server.address}
            estate = Estate(warm, folder, keys, rules=(*ARCHIVING, *RULES), environ=ENVIRON)
        yield Course(server, estate, world, concurrency=concurrency)


def for_oci(
    warm: Warm, folder: Path, *, fallback: bool = False, concurrency: int = 1
) -> contextlib.AbstractContextManager[Course]:
    server = EventfulOci(flavour=FALLBACK if fallback else REFERRERS)
    return over(server, warm, folder, build(fallback=fallback), concurrency)


def for_ecr(warm: Warm, folder: Path) -> contextlib.AbstractContextManager[Course]:
    world = build(fallback=False)
    for name in ("team/api", "team/web"):
        for tag in ("old-1", "old-2"):
            pair = [world.push(name, created="70d"), world.push(name, created="70d", platform=ARM64)]
            world.refer(name, world.push_index(name, children=pair, tags=[tag], created="70d"))
    return over(EventfulEcr(page=100), warm, folder, world, 1)


def few(kind: str) -> int:
    """How many points of a kind are met where not all are."""
    if "DELETE manifests digest" in kind or "write journal" in kind:
        return 3
    return 2 if any(word in kind for word in ("DELETE", "journal", "Batch", "Update")) else 1


def meet(course: Course, points: list[Point]) -> None:
    """Kill a run at each of these points, and let the next go on."""
    met: Counter[int] = Counter()
    for point in points:
        course.reset()
        try:
            killed = course.kill(point)
            met[killed.code] += 1
            course.check_killed()
            course.check_end(course.go_on(), [killed])
        except AssertionError as error:
            error.add_note(f"killed {point}")
            raise
    # With one request after the other each run comes to its point; else nearly each does.
    assert met[KILLED] >= len(points) * (1 if course.concurrency.endswith("=1") else 0.8)
    assert met.keys() <= {KILLED, 0}


@pytest.mark.parametrize("part", range(2))
def test_a_run_that_is_killed_anywhere_is_brought_to_the_same_end(
    warm: Warm, tmp_path: Path, part: int
) -> None:
    with for_oci(warm, tmp_path) as course:
        assert course.changed >= 40
        points = course.points()
        meet(course, (points if LONG else spread(points, few))[part::2])


def test_so_is_one_where_referrers_stand_in_an_index(warm: Warm, tmp_path: Path) -> None:
    with for_oci(warm, tmp_path, fallback=True) as course:
        points = course.points()
        meet(course, points if LONG else spread(points, lambda kind: 2 if "DELETE" in kind else 0))


def test_so_is_one_with_many_requests_in_flight(warm: Warm, tmp_path: Path) -> None:
    with for_oci(warm, tmp_path, concurrency=8) as course:
        points = [point for point in course.points() if "DELETE" in point.kind or "write" in point.kind]
        meet(course, points if LONG else spread(points, lambda kind: 2 if "DELETE" in kind else 0))


def test_so_is_one_that_moves_images_to_an_archive(warm: Warm, tmp_path: Path) -> None:
    with for_ecr(warm, tmp_path) as course:
        assert course.changed >= 40
        assert course.end.archived
        points = course.points()
        meet(course, points if LONG else spread(points, few)[::7])


def test_the_run_that_goes_on_may_be_killed_itself(warm: Warm, tmp_path: Path) -> None:
    with for_oci(warm, tmp_path) as course:
        points = course.points()
        deletions = [point for point in points if point.kind == "after DELETE manifests digest"]
        for first in deletions[3 :: 8 if LONG else 30]:
            course.reset()
            killed = [course.kill(first)]
            ended = course.go_on()
            course.check_end(ended, killed)
            second = [
                point
                for point in points_of(course.server.kinds, ended.steps)
                if point.on_disk or "DELETE" in point.kind
            ]
            for point in second if LONG else spread(second, lambda kind: int("journal" in kind))[::2]:
                course.reset()
                killed = [course.kill(first), course.kill(point)]
                assert [each.code for each in killed] == [KILLED, KILLED]
                course.check_killed()
                course.check_end(course.go_on(), killed)


def test_what_killed_runs_took_away_can_be_put_back(warm: Warm, tmp_path: Path) -> None:
    """The journal of a run that was killed is as good as any other for undoing it."""
    with for_oci(warm, tmp_path) as course:
        points = [point for point in course.points() if "DELETE" in point.kind]
        for point in points[:: 3 if LONG else 30]:
            course.reset()
            course.kill(point)
            course.go_on()
            for journal in reversed(course.estate.journals()):
                undone = course.estate.undo(journal.begun.run_id)
                assert undone.code == 0, undone.out + undone.err
            assert Truth.of(course.server.world) == course.before
