from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta

import pytest

from janitor.core.image import Image
from janitor.core.policy import PolicySet
from janitor.core.report import OutcomeKind
from janitor.core.use import InUse, SourceReading
from janitor.errors import Stopped, Unreachable
from janitor.files.journal import JournalFile, read_journal
from janitor.providers.interface import Result
from tests.factories import delete, in_use, keep, limits, policy_set, registry_spec
from tests.journeys.inprocess import APP, Clock, Journey, WorldRegistry, once, planned
from tests.simulators.truth import Repository
from tests.simulators.world import ARM64, World

ARCHIVED, DELETED, FAILED, REFUSED, SKIPPED, UNTAGGED = (
    OutcomeKind.ARCHIVED,
    OutcomeKind.DELETED,
    OutcomeKind.FAILED,
    OutcomeKind.REFUSED,
    OutcomeKind.SKIPPED,
    OutcomeKind.UNTAGGED,
)

RULES = (
    keep(name="releases", tags="semver:*"),
    delete(name="pull-requests", tags="pr-*", older_than="14d"),
    delete(name="untagged", untagged=True, older_than="7d"),
)

Start = Callable[..., Journey]


@pytest.fixture
def world() -> World:
    """A release and two old pull requests, each an index of two platforms with signatures."""
    world = World()
    build(world, "1.0.0")
    build(world, "pr-1")
    build(world, "pr-2")
    return world


def build(world: World, tag: str, *, created: str = "50d", repository: str = APP) -> str:
    platforms = [
        world.push(repository, created=created),
        world.push(repository, created=created, platform=ARM64),
    ]
    index = world.push_index(repository, children=platforms, tags=[tag], created=created)
    world.sign(repository, index)
    world.refer(repository, platforms[0])
    return index


@pytest.fixture
def registry(world: World) -> WorldRegistry:
    return WorldRegistry(world)


@pytest.fixture
def start(registry: WorldRegistry) -> Iterator[Start]:
    journeys: list[Journey] = []
    begun: list[WorldRegistry] = []

    def begin(
        policies: PolicySet | None = None,
        use: InUse | None = None,
        *more: WorldRegistry,
        clock: Clock | None = None,
        registry: WorldRegistry = registry,
        remembers: bool = False,
    ) -> Journey:
        specs = [registry_spec(each.name) for each in (registry, *more)]
        begun.append(registry)
        journey = Journey(
            registry,
            *more,
            policies=policies or policy_set(*RULES, registries=specs),
            in_use=use,
            clock=clock,
            remembers=remembers,
        )
        journeys.append(journey)
        return journey

    yield begin
    for journey in journeys:
        journey.close()
    assert [each.broke for each in begun if each.broke] == []


def crowd(world: World, count: int = 100) -> None:
    """Many old pull requests beside a release."""
    for number in range(count):
        world.push("many", tags=[f"pr-{number}"], created=f"{1000 - number}d")
    world.push("many", tags=["1.0.0"])


def tagged(world: World, tag: str, repository: str = APP) -> str:
    return world[repository].tags[tag]


def family(world: World, index: str, repository: str = APP) -> set[str]:
    """An index, its platforms, and all that refers to any of them."""
    place = world[repository]
    found = {index, *place.manifests[index].children}
    for digest in tuple(found):
        found |= {held.digest for held in place.referrers_of(digest)}
        found |= {named for tag, named in place.tags.items() if tag.startswith(digest.replace(":", "-"))}
    return found


# --- what is done -----------------------------------------------------------------------------------------


def test_what_is_planned_and_holds_is_done(world: World, registry: WorldRegistry, start: Start) -> None:
    gone = family(world, tagged(world, "pr-1")) | family(world, tagged(world, "pr-2"))
    stays = family(world, tagged(world, "1.0.0"))
    journey = start()
    plan = journey.plan()
    assert planned(plan) == dict.fromkeys(gone, "delete")
    done = journey.apply(plan)
    assert set(registry.deleted) == gone
    assert set(world[APP].manifests) == stays
    assert set(done.kinds()) == {DELETED}
    assert not done.limited


def test_outcomes_stand_in_the_order_of_the_plan(start: Start) -> None:
    journey = start()
    plan = journey.plan()
    done = journey.apply(plan)
    assert [outcome.action.digest for outcome in done.outcomes] == list(planned(plan))


def test_planning_again_right_after_applying_plans_nothing(start: Start) -> None:
    journey = start()
    journey.run()
    assert planned(journey.plan()) == {}


def test_what_is_due_only_by_now_is_not_done(world: World, registry: WorldRegistry, start: Start) -> None:
    """What the fresh decision alone would delete has never been in a plan that somebody saw."""
    young = world.push(APP, tags=["pr-3"], created="13d")
    journey = start()
    plan = journey.plan()
    journey.clock.advance(days=2)
    journey.apply(plan)
    assert young not in registry.deleted
    assert young in world[APP].manifests


def test_nothing_is_asked_of_a_registry_of_which_nothing_is_planned(
    world: World, registry: WorldRegistry, start: Start
) -> None:
    for tag in ("pr-1", "pr-2"):
        for digest in family(world, tagged(world, tag)):
            world[APP].delete(digest)
    journey = start()
    plan = journey.plan()
    asked = list(registry.asked)
    assert journey.apply(plan).outcomes == ()
    assert registry.asked == asked


# --- drift between the plan and the fresh decision --------------------------------------------------------


def test_a_tag_that_moved_since_the_plan_lets_the_image_stay(
    world: World, registry: WorldRegistry, start: Start
) -> None:
    index = tagged(world, "pr-1")
    journey = start()
    plan = journey.plan()
    world.retag(APP, "1.1.0", index)
    done = journey.apply(plan)
    assert {done.of(digest) for digest in family(world, index)} == {SKIPPED}
    assert "decided afresh, it stays: kept by cleanup/releases" in done.why(index)
    assert registry.deleted
    assert family(world, index) <= set(world[APP].manifests)


def test_an_image_that_lost_its_tag_since_is_decided_by_what_it_is_now(world: World, start: Start) -> None:
    index = tagged(world, "pr-1")
    journey = start()
    plan = journey.plan()
    world[APP].untag("pr-1")
    assert journey.apply(plan).of(index) is DELETED


def test_what_is_gone_already_is_skipped(world: World, registry: WorldRegistry, start: Start) -> None:
    index = tagged(world, "pr-1")
    journey = start()
    plan = journey.plan()
    world[APP].delete(index)
    done = journey.apply(plan)
    assert (done.of(index), done.why(index)) == (SKIPPED, "it is gone already")
    assert index not in registry.deleted


def test_a_repository_that_vanished_has_nothing_left_to_do(world: World, start: Start) -> None:
    journey = start()
    plan = journey.plan()
    del world.repositories[APP]
    done = journey.apply(plan)
    assert set(done.kinds()) == {SKIPPED}
    assert {outcome.detail for outcome in done.outcomes} == {"it is gone already"}


def test_a_platform_that_a_new_index_names_stays(world: World, start: Start) -> None:
    index = tagged(world, "pr-1")
    first, second = world[APP].manifests[index].children
    journey = start()
    plan = journey.plan()
    world.push_index(APP, children=[first], tags=["2.0.0"], created="1h")
    done = journey.apply(plan)
    assert done.of(index) is DELETED
    assert done.of(second) is DELETED
    assert done.of(first) is SKIPPED
    assert "an index names it" in done.why(first)
    signature = next(held.digest for held in world[APP].referrers_of(first))
    assert done.of(signature) is SKIPPED
    assert {first, signature} <= set(world[APP].manifests)


def test_a_referrer_that_was_pushed_since_is_not_deleted(world: World, start: Start) -> None:
    index = tagged(world, "pr-1")
    journey = start()
    plan = journey.plan()
    new = world.refer(APP, index, created="1h")
    done = journey.apply(plan)
    assert done.of(index) is DELETED
    assert new in world[APP].manifests
    assert new not in {outcome.action.digest for outcome in done.outcomes}


def test_a_share_that_is_passed_by_now_stops_the_repository(
    world: World, registry: WorldRegistry, start: Start
) -> None:
    for number in range(8):
        world.push(APP, tags=[f"1.0.{number + 1}"])
    journey = start(policy_set(*RULES, limits=limits(grace="0h", max_percent=20)))
    plan = journey.plan()
    for number in range(4):
        world[APP].delete(tagged(world, f"1.0.{number + 1}"))
    for number in range(3, 7):
        world.push(APP, tags=[f"pr-{number}"])
    done = journey.apply(plan)
    assert done.limited
    assert registry.deleted == []
    assert {outcome.outcome for outcome in done.outcomes} == {SKIPPED}
    assert "over max_percent 20" in done.why(tagged(world, "pr-1"))


def test_a_floor_that_is_reached_by_now_holds_the_newest(world: World, start: Start) -> None:
    older = world.push("floor", tags=["pr-1"], created="60d")
    newer = world.push("floor", tags=["pr-2"], created="50d")
    last = world.push("floor", tags=["1.0.0"])
    journey = start(policy_set(*RULES, limits=limits(grace="0h", max_percent=100, min_remaining=1)))
    plan = journey.plan()
    world["floor"].delete(last)
    done = journey.apply(plan)
    assert (done.of(older), done.of(newer)) == (DELETED, SKIPPED)
    assert "min_remaining" in done.why(newer)


def test_a_repository_whose_fresh_listing_breaks_fails_and_the_others_are_done(
    world: World, registry: WorldRegistry, start: Start
) -> None:
    other = world.push("other", tags=["pr-1"])
    world.push("other", tags=["1.0.0"])
    journey = start()
    plan = journey.plan()
    registry.broken.add(APP)
    done = journey.apply(plan)
    kinds = {(outcome.action.repository, outcome.outcome) for outcome in done.outcomes}
    assert kinds == {(APP, FAILED), ("other", DELETED)}
    assert registry.deleted == [other]
    assert "ended early" in done.why(tagged(world, "pr-1"))


def test_a_repository_of_a_group_is_listed_afresh_by_its_group() -> None:
    world = World()
    for repository in ("a", "b", "c"):
        build(world, "pr-1", repository=repository)
        build(world, "1.0.0", repository=repository)
    registry = WorldRegistry(world, grouped=True)
    journey = Journey(registry, policies=policy_set(*RULES))
    plan = journey.plan()
    world.retag("b", "2.0.0", tagged(world, "pr-1", "b"))
    done = journey.apply(plan)
    journey.close()
    kinds = {(outcome.action.repository, outcome.outcome) for outcome in done.outcomes}
    assert kinds == {("a", DELETED), ("b", SKIPPED), ("c", DELETED)}
    assert registry.broke == []


# --- drift between the fresh decision and the deletion ----------------------------------------------------


def test_an_image_whose_tag_moves_at_the_last_moment_stays_with_all_that_is_its_own(
    world: World, registry: WorldRegistry, start: Start
) -> None:
    index, other = tagged(world, "pr-1"), tagged(world, "pr-2")
    mine, theirs = family(world, index), family(world, other)
    registry.hooks.append(once("tags_now", lambda: world.retag(APP, "stable", index)))
    done = start().run()
    assert {done.of(digest) for digest in mine} == {SKIPPED}
    assert done.why(index) == "its tags moved meanwhile, it has pr-1, stable"
    assert {done.of(digest) for digest in theirs} == {DELETED}
    assert mine <= set(world[APP].manifests)


def test_an_image_that_loses_its_tag_at_the_last_moment_stays(
    world: World, registry: WorldRegistry, start: Start
) -> None:
    index = tagged(world, "pr-1")
    registry.hooks.append(once("tags_now", lambda: world[APP].untag("pr-1")))
    done = start().run()
    assert (done.of(index), done.why(index)) == (SKIPPED, "its tags moved meanwhile, it has none")


def test_an_image_that_vanishes_at_the_last_moment_was_not_deleted_by_the_run(
    world: World, registry: WorldRegistry, start: Start
) -> None:
    index = tagged(world, "pr-1")
    registry.hooks.append(once("tags_now", lambda: world[APP].delete(index)))
    done = start().run()
    assert (done.of(index), done.why(index)) == (SKIPPED, "it is gone already")


def test_a_platform_that_gets_a_tag_at_the_last_moment_stays_alone(
    world: World, registry: WorldRegistry, start: Start
) -> None:
    index = tagged(world, "pr-1")
    first, second = world[APP].manifests[index].children
    signature = next(held.digest for held in world[APP].referrers_of(first))
    registry.hooks.append(once("tags_now", lambda: world.retag(APP, "stable", first)))
    done = start().run()
    assert (done.of(index), done.of(second)) == (DELETED, DELETED)
    assert (done.of(first), done.of(signature)) == (SKIPPED, SKIPPED)
    assert {first, signature} <= set(world[APP].manifests)


def test_a_tagged_child_stays_when_its_index_drifts(
    world: World, registry: WorldRegistry, start: Start
) -> None:
    child = world.push(APP, tags=["pr-3"], created="60d")
    index = world.push_index(APP, children=[child], tags=["pr-4"], created="40d")
    registry.hooks.append(once("tags_now", lambda: world.retag(APP, "stable", index)))
    done = start().run()
    assert (done.of(index), done.of(child)) == (SKIPPED, SKIPPED)
    assert done.why(child) == "what holds it was not deleted"


def test_tags_are_read_again_when_they_are_older_than_a_minute(registry: WorldRegistry, start: Start) -> None:
    """Every deletion takes half a minute here, so that one reading never lasts for all."""
    clock = Clock()
    read_at = clock()

    def takes_time(method: str, _: str) -> None:
        nonlocal read_at
        if method == "tags_now":
            read_at = clock()
        if method == "delete":
            assert clock() - read_at <= timedelta(seconds=60)
            clock.advance(seconds=31)

    registry.hooks.append(takes_time)
    done = start(clock=clock).run()
    assert set(done.kinds()) == {DELETED}
    assert [method for method, _ in registry.asked].count("tags_now") > 2


class Waiting(WorldRegistry):
    """Each deletion waits so many seconds for its turn, and is not sent once it may not be."""

    def __init__(self, world: World, clock: Clock, seconds: float) -> None:
        super().__init__(world)
        self.clock = clock
        self.seconds = seconds
        self.read_at = clock()
        self.ages: list[timedelta] = []
        self.stop: Callable[[], bool] = lambda: False

    def _tags_now(self, repository: str, images: Sequence[Image]) -> Mapping[str, frozenset[str] | None]:
        self.read_at = self.clock()
        return super()._tags_now(repository, images)

    def _delete_one(self, place: Repository, image: Image) -> Result:
        self.clock.advance(seconds=self.seconds)
        if self.stop():
            raise Stopped("it may not be sent any more")
        self.ages.append(self.clock() - self.read_at)
        return super()._delete_one(place, image)


def test_a_deletion_that_waits_too_long_for_its_turn_is_not_sent_before_tags_are_read_again(
    world: World,
) -> None:
    """A registry that says "too many" lets a batch last for minutes."""
    crowd(world, 40)
    clock = Clock()
    waiting = Waiting(world, clock, 25)
    policies = policy_set(*RULES, limits=limits(grace="0h", max_percent=100))
    journey = Journey(waiting, policies=policies, clock=clock)
    waiting.stop = journey.stop.is_set
    done = journey.run()
    journey.close()
    assert set(done.kinds()) == {DELETED}
    assert max(waiting.ages) <= timedelta(seconds=60)
    assert waiting.broke == []


def test_deletions_whose_turn_never_comes_in_time_are_skipped_and_the_run_ends(world: World) -> None:
    clock = Clock()
    waiting = Waiting(world, clock, 300)
    journey = Journey(waiting, policies=policy_set(*RULES), clock=clock)
    waiting.stop = journey.stop.is_set
    done = journey.run()
    journey.close()
    assert set(done.kinds()) == {SKIPPED}
    assert waiting.deleted == []
    assert "read too long ago" in done.why(tagged(world, "pr-1"))


def test_tags_that_can_not_be_read_again_delete_nothing(registry: WorldRegistry, start: Start) -> None:
    def breaks() -> None:
        raise Unreachable("the connection broke")

    registry.hooks.append(once("tags_now", breaks))
    done = start().run()
    assert set(done.kinds()) == {FAILED}
    assert registry.deleted == []


# --- what fails -------------------------------------------------------------------------------------------


def test_an_index_that_can_not_be_deleted_keeps_its_platforms(
    world: World, registry: WorldRegistry, start: Start
) -> None:
    index, other = tagged(world, "pr-1"), tagged(world, "pr-2")
    mine, theirs = family(world, index), family(world, other)
    registry.fails.add(index)
    done = start().run()
    assert (done.of(index), done.why(index)) == (FAILED, "out of order")
    assert {done.of(digest) for digest in mine - {index}} == {SKIPPED}
    assert {done.why(digest) for digest in mine - {index}} == {"what holds it was not deleted"}
    assert mine <= set(world[APP].manifests)
    assert theirs.isdisjoint(world[APP].manifests)


def test_what_hangs_on_the_deleted_goes_though_another_of_the_batch_failed(
    world: World, registry: WorldRegistry, start: Start
) -> None:
    other = family(world, tagged(world, "pr-2"))
    registry.fails.add(tagged(world, "pr-1"))
    done = start().run()
    assert {done.of(digest) for digest in other} == {DELETED}


def test_an_image_that_the_registry_refuses_keeps_what_hangs_on_it(
    world: World, registry: WorldRegistry, start: Start
) -> None:
    index = tagged(world, "pr-1")
    registry.refuses.add(index)
    done = start().run()
    assert (done.of(index), done.why(index)) == (REFUSED, "it has too many downloads")
    assert {done.of(digest) for digest in family(world, index) - {index}} == {SKIPPED}


def test_a_platform_that_fails_keeps_its_referrers_and_nothing_else(
    world: World, registry: WorldRegistry, start: Start
) -> None:
    index = tagged(world, "pr-1")
    first, second = world[APP].manifests[index].children
    signature = next(held.digest for held in world[APP].referrers_of(first))
    registry.fails.add(first)
    done = start().run()
    assert (done.of(index), done.of(second)) == (DELETED, DELETED)
    assert (done.of(first), done.of(signature)) == (FAILED, SKIPPED)


def test_a_platform_of_two_indexes_goes_only_when_both_went(
    world: World, registry: WorldRegistry, start: Start
) -> None:
    shared = world.push(APP, created="50d")
    one = world.push_index(APP, children=[shared], tags=["pr-5"], created="50d")
    two = world.push_index(APP, children=[shared, one], tags=["pr-6"], created="50d")
    registry.fails.add(one)
    done = start().run()
    assert (done.of(one), done.of(two), done.of(shared)) == (FAILED, DELETED, SKIPPED)
    assert shared in world[APP].manifests


def test_an_answer_that_breaks_off_counts_the_rest_as_failed(
    world: World, registry: WorldRegistry, start: Start
) -> None:
    def breaks() -> None:
        raise Unreachable("the connection broke")

    registry.hooks.append(once("delete", breaks))
    done = start().run()
    assert {done.of(tagged(world, tag)) for tag in ("pr-1", "pr-2")} == {FAILED}
    assert set(done.kinds()) == {FAILED, SKIPPED}
    assert registry.deleted == []


# --- many -------------------------------------------------------------------------------------------------


def test_many_images_go_oldest_first(world: World, registry: WorldRegistry, start: Start) -> None:
    many = [world.push("many", tags=[f"pr-{n}"], created=f"{100 - n}d") for n in range(50)]
    world.push("many", tags=["1.0.0"])
    start(policy_set(*RULES, limits=limits(grace="0h", max_percent=100))).run()
    assert [digest for digest in registry.deleted if digest in many] == many


def test_quick_deletions_read_tags_of_many_at_once(registry: WorldRegistry, start: Start) -> None:
    """Where a reading asks for every tag of a repository, one each few images would ask without end."""
    crowd(registry.world, 500)
    start(policy_set(*RULES, limits=limits(grace="0h", max_percent=100))).run()
    assert set(registry.world["many"].tags) == {"1.0.0"}
    assert registry.asked.count(("tags_now", "many")) <= 6
    assert max(map(len, registry.batches)) <= 16


def test_slow_deletions_read_tags_of_few_at_once(world: World) -> None:
    crowd(world, 200)
    clock = Clock()
    asked: list[int] = []

    class Counting(WorldRegistry):
        def _tags_now(self, repository: str, images: Sequence[Image]) -> Mapping[str, frozenset[str] | None]:
            asked.append(len(images))
            return super()._tags_now(repository, images)

    counting = Counting(world)
    counting.hooks.append(slowly(clock, seconds=20))
    journey = Journey(
        counting,
        policies=policy_set(*RULES, limits=limits(grace="0h", max_percent=100)),
        clock=clock,
    )
    journey.run()
    journey.close()
    assert counting.broke == []
    assert max(asked) <= 64


# --- ten minutes ------------------------------------------------------------------------------------------


def slowly(clock: Clock, **duration: float) -> Callable[[str, str], None]:
    """Each deletion takes so long."""

    def hook(method: str, _: str) -> None:
        if method == "delete":
            clock.advance(**duration)

    return hook


def test_a_repository_is_decided_again_after_ten_minutes_of_changes(
    start: Start, registry: WorldRegistry
) -> None:
    world = registry.world
    crowd(world)
    last = tagged(world, "pr-99", "many")
    clock = Clock()
    registry.hooks.append(slowly(clock, minutes=4))
    registry.hooks.append(once("list", lambda: world.retag("many", "2.0.0", last), repository="many", nth=3))
    done = start(policy_set(*RULES, limits=limits(grace="0h", max_percent=100)), clock=clock).run()
    assert done.of(last) is SKIPPED
    assert "decided afresh, it stays" in done.why(last)
    assert len(registry.deleted) > 99


def test_decisions_last_as_long_as_a_listing_takes_where_that_is_longer(
    start: Start, registry: WorldRegistry
) -> None:
    world = registry.world
    crowd(world)
    clock = Clock()

    def hook(method: str, repository: str) -> None:
        if (method, repository) == ("list", "many"):
            clock.advance(hours=2)

    registry.hooks += [slowly(clock, minutes=4), hook]
    start(policy_set(*RULES, limits=limits(grace="0h", max_percent=100)), clock=clock).run()
    assert registry.asked.count(("list", "many")) == 2


def test_use_is_read_again_when_it_is_older_than_ten_minutes(start: Start, registry: WorldRegistry) -> None:
    world = registry.world
    index = tagged(world, "pr-2")
    journey = start(use=in_use("prod.example/team/app:1.0.0"))
    plan = journey.plan()
    journey.clock.advance(minutes=11)
    journey.in_use = in_use("prod.example/team/app:pr-2")
    done = journey.apply(plan)
    assert done.of(index) is SKIPPED
    assert "in use as prod.example/team/app:pr-2" in done.why(index)
    assert done.of(registry.deleted[0]) is DELETED


def test_use_that_can_not_be_read_any_more_stops_what_is_left(start: Start, registry: WorldRegistry) -> None:
    journey = start(use=in_use("prod.example/team/app:1.0.0"))
    plan = journey.plan()
    journey.clock.advance(minutes=11)
    journey.in_use = in_use(error="the cluster doesn't answer")
    done = journey.apply(plan)
    assert done.limited
    assert set(done.kinds()) == {SKIPPED}
    assert {outcome.detail for outcome in done.outcomes} == {
        "what is in use isn't known: the cluster doesn't answer"
    }
    assert registry.deleted == []


def test_use_that_names_nothing_any_more_stops_what_is_left(start: Start, registry: WorldRegistry) -> None:
    journey = start(use=in_use("prod.example/team/app:1.0.0"))
    plan = journey.plan()
    journey.clock.advance(minutes=11)
    journey.in_use = InUse(readings=(SourceReading(source="file: in-use.txt"),))
    done = journey.apply(plan)
    assert done.limited
    assert registry.deleted == []


def test_no_deletion_rests_on_a_reading_of_use_that_is_older_than_ten_minutes(
    start: Start, registry: WorldRegistry
) -> None:
    """Neither a long listing nor a long row of deletions may stretch it."""
    world = registry.world
    crowd(world)
    clock = Clock()
    journey = start(
        policy_set(*RULES, limits=limits(grace="0h", max_percent=100)),
        in_use("prod.example/team/app:1.0.0"),
        clock=clock,
    )
    ages = []

    def hook(method: str, repository: str) -> None:
        if (method, repository) == ("list", "many"):
            clock.advance(minutes=25)
        if method == "delete":
            ages.append(clock() - journey.use_read_at[-1])
            clock.advance(minutes=4)

    registry.hooks.append(hook)
    journey.run()
    assert ages
    assert max(ages) <= timedelta(minutes=10)


def test_use_that_begins_in_the_middle_protects_what_is_left(start: Start, registry: WorldRegistry) -> None:
    world = registry.world
    crowd(world)
    last = tagged(world, "pr-99", "many")
    clock = Clock()
    journey = start(
        policy_set(*RULES, limits=limits(grace="0h", max_percent=100)),
        in_use("prod.example/team/app:1.0.0"),
        clock=clock,
    )
    plan = journey.plan()
    clock.advance(minutes=9)

    def begins() -> None:
        journey.in_use = in_use("prod.example/many:pr-99")

    registry.hooks += [once("delete", begins, repository="many"), slowly(clock, minutes=3)]
    done = journey.apply(plan)
    assert done.of(last) is SKIPPED
    assert "in use as prod.example/many:pr-99" in done.why(last)


# --- stopping ---------------------------------------------------------------------------------------------


def test_a_run_that_is_stopped_before_it_changes_anything_skips_everything(
    start: Start, registry: WorldRegistry
) -> None:
    journey = start()
    plan = journey.plan()
    journey.stop.set()
    asked = list(registry.asked)
    done = journey.apply(plan)
    assert {(outcome.outcome, outcome.detail) for outcome in done.outcomes} == {
        (SKIPPED, "the run was stopped before it")
    }
    assert len(done.outcomes) == len(planned(plan))
    assert registry.asked == asked


def test_what_was_begun_is_finished_and_nothing_new_is_begun_after_a_stop(
    start: Start, registry: WorldRegistry
) -> None:
    """One image with very many that hang on it is still many changes."""
    world = registry.world
    index = tagged(world, "pr-1")
    for _ in range(100):
        world.refer(APP, index)
    journey = start()
    registry.hooks.append(once("delete", journey.stop.set, nth=2))
    done = journey.run()
    assert len(registry.batches) == 2
    assert set(registry.deleted) == {digest for batch in registry.batches for digest in batch}
    assert {done.of(digest) for digest in registry.deleted} == {DELETED}
    assert done.kinds().count(SKIPPED) == len(done.outcomes) - len(registry.deleted) > 0


def test_a_stop_leaves_the_next_repositories_alone(start: Start, registry: WorldRegistry) -> None:
    build(registry.world, "pr-1", repository="zoo")
    build(registry.world, "1.0.0", repository="zoo")
    journey = start()
    plan = journey.plan()
    registry.hooks.append(once("delete", journey.stop.set))
    done = journey.apply(plan)
    assert {outcome.outcome for outcome in done.outcomes if outcome.action.repository == "zoo"} == {SKIPPED}
    assert registry.asked.count(("list", "zoo")) == 1


# --- limited ----------------------------------------------------------------------------------------------


def test_a_stopped_repository_has_outcomes_and_is_asked_nothing(
    start: Start, registry: WorldRegistry
) -> None:
    journey = start(policy_set(*RULES, limits=limits(grace="0h", max_percent=0)))
    plan = journey.plan()
    asked = list(registry.asked)
    done = journey.apply(plan)
    assert len(done.outcomes) == len(planned(plan)) > 0
    assert set(done.kinds()) == {SKIPPED}
    assert "over max_percent 0" in done.why(tagged(registry.world, "pr-1"))
    assert registry.asked == asked


# --- tags that come off -----------------------------------------------------------------------------------

UNTAG = (keep(tags="semver:*"), delete(name="sha", tags="sha-*", untag=True))


def test_tags_come_off_an_image_that_stays(start: Start, registry: WorldRegistry) -> None:
    world = registry.world
    index = tagged(world, "1.0.0")
    world.retag(APP, "sha-1", index, at="50d")
    done = start(policy_set(*UNTAG)).run()
    assert done.of(index) is UNTAGGED
    assert world[APP].tags_of(index) == {"1.0.0"}


def test_only_tags_that_plan_and_fresh_decision_take_off_come_off(
    start: Start, registry: WorldRegistry
) -> None:
    world = registry.world
    index = tagged(world, "1.0.0")
    for tag in ("sha-1", "sha-2"):
        world.retag(APP, tag, index, at="50d")
    journey = start(policy_set(*UNTAG))
    plan = journey.plan()
    world[APP].untag("sha-2")
    world.retag(APP, "sha-3", index, at="50d")
    journey.apply(plan)
    assert world[APP].tags_of(index) == {"1.0.0", "sha-3"}


def test_tags_stay_where_the_other_tag_went_meanwhile(start: Start, registry: WorldRegistry) -> None:
    world = registry.world
    index = tagged(world, "1.0.0")
    world.retag(APP, "sha-1", index, at="50d")
    registry.hooks.append(once("tags_now", lambda: world[APP].untag("1.0.0")))
    done = start(policy_set(*UNTAG)).run()
    assert done.of(index) is SKIPPED
    assert world[APP].tags_of(index) == {"sha-1"}


def test_an_image_that_would_be_deleted_by_now_is_not_said_to_stay(
    start: Start, registry: WorldRegistry
) -> None:
    world = registry.world
    index = tagged(world, "1.0.0")
    world.retag(APP, "sha-1", index, at="50d")
    journey = start(policy_set(*UNTAG))
    plan = journey.plan()
    world[APP].untag("1.0.0")
    done = journey.apply(plan)
    assert done.of(index) is SKIPPED
    assert "stays" not in done.why(index)
    assert registry.untagged == []


def test_a_tag_that_can_not_be_taken_off_fails_alone(start: Start, registry: WorldRegistry) -> None:
    world = registry.world
    first, second = tagged(world, "1.0.0"), world.push(APP, tags=["2.0.0"])
    for number, digest in enumerate((first, second)):
        world.retag(APP, f"sha-{number}", digest, at="50d")
    registry.fails.add(first)
    done = start(policy_set(*UNTAG)).run()
    assert (done.of(first), done.why(first)) == (FAILED, "the connection broke")
    assert done.of(second) is UNTAGGED


# --- moving to the archive --------------------------------------------------------------------------------

ARCHIVING = (
    delete(name="old", tags="old-*", older_than="14d", archive=True),
    delete(name="pull-requests", tags="pr-*", older_than="14d"),
)


@pytest.fixture
def archive(world: World) -> WorldRegistry:
    build(world, "old-1")
    return WorldRegistry(world, archives=True)


def test_an_index_moves_to_the_archive_with_all_that_is_its_own(
    world: World, archive: WorldRegistry, start: Start
) -> None:
    journey = start(policy_set(*ARCHIVING, registries=[registry_spec("prod")]), None, registry=archive)
    moved = family(world, tagged(world, "old-1"))
    gone = family(world, tagged(world, "pr-1")) | family(world, tagged(world, "pr-2"))
    done = journey.run()
    assert set(archive.archived) == moved
    assert set(archive.deleted) == gone
    assert set(done.kinds()) == {ARCHIVED, DELETED}
    assert planned(journey.plan()) == {}


def test_what_can_not_be_moved_keeps_what_hangs_on_it_where_it_is(
    world: World, archive: WorldRegistry, start: Start
) -> None:
    index = tagged(world, "old-1")
    archive.fails.add(index)
    done = start(policy_set(*ARCHIVING, registries=[registry_spec("prod")]), None, registry=archive).run()
    assert done.of(index) is FAILED
    assert {done.of(digest) for digest in family(world, index) - {index}} == {SKIPPED}
    assert archive.archived == []


def test_a_platform_of_a_deleted_and_of_an_archived_index_moves(
    world: World, archive: WorldRegistry, start: Start
) -> None:
    shared = [world.push(APP, created="60d"), world.push(APP, created="60d", platform=ARM64)]
    world.push_index(APP, children=shared, tags=["pr-9"], created="60d")
    world.push_index(APP, children=shared[:1], tags=["old-9"], created="61d")
    done = start(policy_set(*ARCHIVING, registries=[registry_spec("prod")]), None, registry=archive).run()
    assert (done.of(shared[0]), done.of(shared[1])) == (ARCHIVED, DELETED)


def test_what_hangs_on_an_index_that_could_not_be_deleted_is_not_moved(
    world: World, archive: WorldRegistry, start: Start
) -> None:
    shared = world.push(APP, created="60d")
    stays = world.push_index(APP, children=[shared], tags=["pr-9"], created="60d")
    moves = world.push_index(APP, children=[shared], tags=["old-9"], created="61d", provenance=True)
    archive.fails.add(stays)
    done = start(policy_set(*ARCHIVING, registries=[registry_spec("prod")]), None, registry=archive).run()
    assert (done.of(stays), done.of(moves)) == (FAILED, ARCHIVED)
    assert done.of(shared) is SKIPPED


# --- what is left behind, and the journal -------------------------------------------------------------------


def test_what_was_left_behind_goes_in_the_next_run_though_no_rule_speaks_of_it(
    world: World, registry: WorldRegistry, start: Start
) -> None:
    journey = start(policy_set(RULES[0], RULES[1], registries=[registry_spec("prod")]), remembers=True)
    index = tagged(world, "pr-1")
    platform = world[APP].manifests[index].children[0]
    registry.fails.add(platform)
    done = journey.run()
    assert (done.of(index), done.of(platform)) == (DELETED, FAILED)
    referrers = {held.digest for held in world[APP].referrers_of(platform)}
    registry.fails.clear()
    plan = journey.plan()
    assert planned(plan) == dict.fromkeys({platform, *referrers}, "delete")
    assert set(journey.apply(plan).kinds()) == {DELETED}
    assert set(world[APP].manifests) == family(world, tagged(world, "1.0.0"))
    assert planned(journey.plan()) == {}


def test_what_was_left_behind_and_got_a_tag_is_let_alone_for_good(
    world: World, registry: WorldRegistry, start: Start
) -> None:
    journey = start(policy_set(RULES[0], RULES[1], registries=[registry_spec("prod")]), remembers=True)
    platform = world[APP].manifests[tagged(world, "pr-1")].children[0]
    registry.fails.add(platform)
    journey.run()
    registry.fails.clear()
    world.retag(APP, "adopted", platform)
    assert planned(journey.plan()) == {}
    world[APP].untag("adopted")
    assert planned(journey.plan()) == {}


def test_every_change_is_announced_before_it_is_asked_and_settled_after(
    registry: WorldRegistry, start: Start
) -> None:
    journey = start()
    announced: list[int] = []

    def look(method: str, _: str) -> None:
        if method == "delete":
            journal = read_journal(journey.journal_path)
            assert journal is not None
            announced.extend(intent.n for intent in journal.unsettled())

    registry.hooks.append(look)
    done = journey.run()
    journal = read_journal(journey.journal_path)
    assert journal is not None
    assert announced == [intent.n for intent in journal.intents]
    assert {intent.digest for intent in journal.succeeded()} == set(registry.deleted)
    assert len(done.outcomes) == len(journal.outcomes)
    along = {intent.digest: set(intent.along) for intent in journal.intents if intent.along}
    assert along[tagged_before(journal, "pr-1")] == set(journal_family(journal, "pr-1"))


def tagged_before(journal: JournalFile, tag: str) -> str:
    (intent,) = [intent for intent in journal.intents if intent.tags == (tag,)]
    return intent.digest


def journal_family(journal: JournalFile, tag: str) -> tuple[str, ...]:
    """What the journal says was to go along with the image of a tag; each of it has an intent of its own."""
    (root,) = [intent for intent in journal.intents if intent.tags == (tag,)]
    assert set(root.along) <= {intent.digest for intent in journal.intents}
    assert len(root.along) == 4
    return root.along


def test_without_a_journal_nothing_is_changed(world: World, registry: WorldRegistry, start: Start) -> None:
    journey = start()
    journey.journal_path.parent.parent.write_text("no folder can be made here")
    before = set(world[APP].manifests)
    done = journey.run()
    assert set(done.kinds()) == {FAILED}
    assert all("the journal" in (outcome.detail or "") for outcome in done.outcomes)
    assert (set(world[APP].manifests), registry.deleted) == (before, [])


def test_a_group_is_listed_once_for_all_of_it_that_is_due(start: Start) -> None:
    world = World()
    for number in range(9):
        build(world, "pr-1", repository=f"many/{number}")
        world.push(f"many/{number}", tags=["1.0.0"])
    group = WorldRegistry(world, grouped=True)
    journey = start(policy_set(*RULES, registries=[registry_spec("prod")]), registry=group)
    plan = journey.plan()
    before = group.asked.count(("list", "many/0"))
    done = journey.apply(plan)
    assert set(done.kinds()) == {DELETED}
    assert group.asked.count(("list", "many/0")) == before + 1
