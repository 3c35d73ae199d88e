"""Whatever happens between a plan and its end, nothing is broken and nothing is lost from sight.

A world is drawn, and a schedule of what others do to it, and of what fails, at questions of the run. Others
push indexes only before a listing: between a listing and a deletion no registry could tell of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TypeVar

from hypothesis import given
from hypothesis import strategies as st

from janitor.core.report import OutcomeKind
from janitor.core.use import InUse
from janitor.errors import Unreachable
from tests.factories import UNLIMITED, delete, in_use, keep, policy_set, protect
from tests.journeys.inprocess import APP, Journey, WorldRegistry, planned
from tests.simulators.truth import Held
from tests.simulators.world import World

T = TypeVar("T")

POLICIES = policy_set(
    keep(name="releases", tags="semver:>=2"),
    delete(name="builds", tags=["pr-*", "sha-*", "semver:*"], older_than="14d"),
    delete(name="shas", tags="sha-*", untag=True),
    delete(name="untagged", untagged=True, older_than="7d"),
    protect=protect(tags="stable"),
    limits=UNLIMITED,
)
TAGS = ("pr-1", "pr-2", "pr-3", "pr-4", "sha-1", "sha-2", "1.0.0", "1.0.1", "2.0.0", "stable", "latest")
USED = ("pr-3", "1.0.1")


def contents() -> list[Held]:
    """Images that are pushed again and again: making their bytes is what costs."""
    world = World()
    for number in range(8):
        world.push(APP, created=f"{20 + number}d")
    return list(world[APP].manifests.values())


IMAGES = contents()


class Choices:
    """One number a choice; the first option is what an example shrinks to."""

    def __init__(self, data: st.DataObject) -> None:
        self._data = data

    def number(self, below: int) -> int:
        return self._data.draw(st.integers(0, below - 1))

    def pick(self, options: Sequence[T]) -> T:
        return options[self.number(len(options))]

    def some(self, options: Sequence[T], most: int) -> list[T]:
        return list(dict.fromkeys(self.pick(options) for _ in range(self.number(most + 1))))


def a_world(choose: Choices) -> World:
    """Images, indexes of them that share, nest and sign, and tags on any of them."""
    world = World()
    world.empty(APP)
    place = world[APP]
    for held in IMAGES[: 2 + choose.number(7)]:
        place.manifests[held.digest] = held
    for _ in range(choose.number(4)):
        children = choose.some(list(place.manifests), 3)
        world.push_index(APP, children=children, created=choose.pick(["40d", "16d", "2d"]))
    for _ in range(choose.number(3)):
        subject = choose.pick(list(place.manifests))
        if choose.number(2):
            world.refer(APP, subject)
        else:
            world.sign(APP, subject)
    for tag in choose.some(TAGS, 8):
        world.retag(APP, tag, choose.pick(list(place.manifests)), at="30d")
    return world


class Others:
    """What happens meanwhile, each thing before one question of the run."""

    def __init__(self, choose: Choices, journey: Journey, registry: WorldRegistry) -> None:
        self._choose = choose
        self._journey = journey
        self._registry = registry
        self._world = registry.world
        self._left = 6
        # What others took away themselves, no run can be blamed for.
        self.took: set[str] = set()
        registry.hooks.append(self.happen)

    def happen(self, method: str, _repository: str) -> None:
        for _ in range(self._choose.number(4)):
            if self._left > 0:
                self._left -= 1
                self._happen(method)

    def _happen(self, method: str) -> None:
        anything: list[Callable[[], None]] = [self._fail, self._refuse, self._wait, self._stop, self._use]
        if method in ("list", "tags_now"):
            anything += [
                self._retag,
                self._retag,
                self._retag,
                self._untag,
                self._take,
                self._refer,
                self._break,
            ]
        if method == "list":
            anything += [self._push_index, self._push_index]
        happening = self._choose.pick(anything)
        happening()

    def _digest(self) -> str | None:
        held = list(self._world[APP].manifests)
        return self._choose.pick(held) if held else None

    def _fail(self) -> None:
        self._registry.fails.update(filter(None, [self._digest()]))

    def _refuse(self) -> None:
        self._registry.refuses.update(filter(None, [self._digest()]))

    def _wait(self) -> None:
        self._journey.clock.advance(minutes=self._choose.pick([1, 11, 30]))

    def _stop(self) -> None:
        if self._choose.number(3) == 0:
            self._journey.stop.set()

    def _use(self) -> None:
        self._journey.in_use = self._choose.pick(
            [in_use("prod.example/team/app:pr-1"), in_use(error="no answer"), InUse()]
        )

    def _retag(self) -> None:
        if (digest := self._digest()) is not None:
            self._world.retag(APP, self._choose.pick(TAGS), digest)

    def _untag(self) -> None:
        if tags := sorted(self._world[APP].tags):
            self._world[APP].untag(self._choose.pick(tags))

    def _take(self) -> None:
        if (digest := self._digest()) is not None:
            self._world[APP].delete(digest)
            self.took.add(digest)

    def _refer(self) -> None:
        if (digest := self._digest()) is not None:
            self._world.refer(APP, digest, created="0m")

    def _push_index(self) -> None:
        held = list(self._world[APP].manifests)
        if held:
            children = [self._choose.pick(held)]
            self._world.push_index(APP, children=children, tags=self._choose.some(["new"], 1), created="0m")

    def _break(self) -> None:
        if self._choose.number(4) == 0:
            raise Unreachable("the connection broke")


@given(st.data())
def test_nothing_is_broken_or_lost_whatever_happens_meanwhile(data: st.DataObject) -> None:
    choose = Choices(data)
    world = a_world(choose)
    registry = WorldRegistry(world)
    use = in_use(*(f"prod.example/team/app:{tag}" for tag in USED))
    journey = Journey(registry, policies=POLICIES, in_use=use)
    try:
        plan = journey.plan()
        todo = [action for repository in plan.repositories for action in plan.actions(repository)]
        before = dict(world[APP].manifests)
        others = Others(choose, journey, registry)
        done = journey.apply(plan)
    finally:
        journey.close()

    # Every action has one outcome, in the order of the plan, and it is a true one.
    assert [outcome.action for outcome in done.outcomes] == todo
    assert OutcomeKind.PLANNED not in done.kinds()
    assert all(outcome.detail for outcome in done.outcomes if outcome.outcome is OutcomeKind.SKIPPED)
    told = {o.action.digest for o in done.outcomes if o.outcome is OutcomeKind.DELETED}
    assert set(registry.deleted) == told - others.took
    assert {digest for digest, _ in registry.untagged} == {
        outcome.action.digest for outcome in done.outcomes if outcome.outcome is OutcomeKind.UNTAGGED
    }
    # Nothing else is done, and nothing twice.
    assert set(registry.deleted) <= {action.digest for action in todo if action.action == "delete"}
    assert max(Counter(registry.deleted).values(), default=1) == 1
    # Nothing went that another needs, nor with other tags than it was planned with.
    assert registry.broke == []
    place = world[APP]
    for held in place.manifests.values():
        missing = set(held.children) - set(place.manifests)
        assert missing <= others.took | (set(held.children) - set(before))
    # Nothing protected went.
    for action in todo:
        if action.digest in registry.deleted:
            assert not {"stable", "latest", *USED} & set(action.tags)


@given(st.data())
def test_a_run_that_nobody_disturbs_does_all_of_its_plan_and_the_next_plans_nothing(
    data: st.DataObject,
) -> None:
    registry = WorldRegistry(a_world(Choices(data)))
    journey = Journey(registry, policies=POLICIES)
    try:
        plan = journey.plan()
        done = journey.apply(plan)
        assert set(done.kinds()) <= {OutcomeKind.DELETED, OutcomeKind.UNTAGGED}
        assert len(done.outcomes) == len(planned(plan))
        assert planned(journey.plan()) == {}
        assert registry.broke == []
    finally:
        journey.close()
