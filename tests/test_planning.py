from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from janitor.core.image import Abilities
from janitor.core.plan import RepositoryState
from janitor.core.policy import PolicySet, Rule
from janitor.core.report import ErrorReport
from janitor.core.use import InUse, SourceReading
from janitor.errors import Unreachable
from janitor.files.planfile import read_plan
from janitor.files.repositorystate import RepositoryStates
from janitor.planning import Plan, why_closed
from janitor.premises import Premises, wanted_fields
from janitor.providers.interface import Field
from tests.factories import UNLIMITED, delete, in_use, keep, limits, policy, policy_set, registry_spec
from tests.instant import NOW
from tests.journeys.inprocess import Journey, WorldRegistry, once, planned
from tests.simulators.truth import Held
from tests.simulators.world import World

OK, LIMITED, FAILED = RepositoryState.OK, RepositoryState.LIMITED, RepositoryState.FAILED

RULES = (
    keep(name="releases", tags="semver:*"),
    delete(name="pull-requests", tags="pr-*", older_than="14d"),
)

Start = Callable[..., Journey]


@pytest.fixture
def start() -> Iterator[Start]:
    journeys: list[Journey] = []

    def begin(
        *registries: WorldRegistry,
        policies: PolicySet | None = None,
        use: InUse | None = None,
        **limited: Any,
    ) -> Journey:
        specs = [registry_spec(each.name) for each in registries]
        limit = limits(**{"grace": "0h", "max_percent": 100, **limited}) if limited else UNLIMITED
        chosen = policies or policy_set(*RULES, registries=specs, limits=limit)
        journeys.append(Journey(*registries, policies=chosen, in_use=use))
        return journeys[-1]

    yield begin
    for journey in journeys:
        journey.close()


def of(*repositories: str, pull_requests: int = 2) -> WorldRegistry:
    """Repositories with a release and old pull requests; of these the later ones are the younger."""
    world = World()
    for repository in repositories:
        world.push(repository, tags=["1.0.0"])
        for number in range(pull_requests):
            world.push(repository, tags=[f"pr-{number}"], created=f"{60 - number}d")
    return WorldRegistry(world)


def states(plan: Plan) -> dict[str, RepositoryState]:
    return {repository.plan.repository: repository.plan.state for repository in plan.repositories}


def details(plan: Plan) -> set[str | None]:
    return {repository.plan.detail for repository in plan.repositories}


# --- what can't be read -----------------------------------------------------------------------------------


def test_a_repository_whose_listing_breaks_is_failed_and_the_others_are_planned(start: Start) -> None:
    registry = of("a", "b", "c")
    registry.broken.add("b")
    plan = start(registry).plan()
    assert states(plan) == {"a": OK, "b": FAILED, "c": OK}
    assert [repository.plan.images for repository in plan.repositories] == [3, 0, 3]
    assert not any(plan.actions(plan.repositories[1]))
    assert plan.notes.errors == [
        ErrorReport(
            registry="prod", repository="b", code="unreachable", message="the listing of b ended early"
        )
    ]


def test_a_group_whose_listing_breaks_is_touched_nowhere(start: Start) -> None:
    registry = of("a", "b", "c")
    registry.grouped = True
    registry.broken.add("c")
    plan = start(registry).plan()
    assert states(plan) == {"a": FAILED, "b": FAILED}
    assert details(plan) == {"the listing of c ended early"}
    assert planned(plan) == {}
    assert [(error.registry, error.repository) for error in plan.notes.errors] == [("prod", "")]


def test_a_catalogue_that_breaks_in_the_middle_is_an_error_of_its_registry(start: Start) -> None:
    def breaks() -> None:
        raise Unreachable("the catalogue ended early")

    registry = of("a", "b", "c")
    registry.hooks.append(once("unit", breaks, repository="b"))
    plan = start(registry).plan()
    assert states(plan) == {"a": OK}
    assert [(error.registry, error.repository) for error in plan.notes.errors] == [("prod", "")]


def test_a_registry_that_can_not_be_read_leaves_the_others_alone(start: Start) -> None:
    def breaks() -> None:
        raise Unreachable("no route to host")

    registry, other = of("a"), of("b")
    other.name = "other"
    registry.hooks.append(once("units", breaks, repository=""))
    plan = start(registry, other).plan()
    assert states(plan) == {"b": OK}
    assert [error.message for error in plan.notes.errors] == ["no route to host"]


def test_units_side_by_side_make_the_same_plan(start: Start) -> None:
    class Wide(WorldRegistry):
        units_at_once = 4

    names = [f"r{number:02}" for number in range(20)]
    narrow = of(*names)
    wide = Wide(narrow.world)
    for registry in (narrow, wide):
        registry.broken.update({"r03", "r17"})
    one, other = start(narrow).plan(), start(wide).plan()
    assert written(one) == written(other)
    assert one.notes.errors == other.notes.errors


def test_nothing_more_is_listed_once_a_run_is_stopped(start: Start) -> None:
    registry = of("a", "b", "c")
    journey = start(registry)
    registry.hooks.append(once("list", journey.stop.set, repository="b"))
    plan = journey.plan()
    assert states(plan) == {"a": OK, "b": OK}
    assert [error.code for error in plan.notes.errors] == ["stopped"]


# --- use --------------------------------------------------------------------------------------------------

UNUSED = (
    "the sources of use name nothing of this registry; a mirror may be missing from its aliases, "
    "or say allow_unused: true if that is right"
)
EMPTY = InUse(readings=(SourceReading(source="file: in-use.txt"),))


@pytest.mark.parametrize(
    ("use", "why"),
    [
        (in_use(error="no answer"), "what is in use isn't known: no answer"),
        (
            EMPTY,
            "file: in-use.txt names no image at all; say allow_empty: true if that is right",
        ),
        (
            in_use("elsewhere.example/app:1"),
            UNUSED,
        ),
    ],
)
def test_unclear_use_stops_what_is_planned_and_nothing_else(start: Start, use: InUse, why: str) -> None:
    registry = of("a", "b")
    registry.world.push("quiet", tags=["1.0.0"])
    plan = start(registry, use=use).plan()
    assert states(plan) == {"a": LIMITED, "b": LIMITED, "quiet": OK}
    assert details(plan) == {why, None}
    assert len(planned(plan)) == 4


def test_one_source_that_can_not_be_read_closes_whatever_the_others_say(start: Start) -> None:
    good = in_use("prod.example/a:1.0.0").readings
    plan = start(of("a"), use=InUse(readings=good + in_use(error="no answer").readings)).plan()
    assert states(plan) == {"a": LIMITED}


def test_a_source_that_may_be_empty_closes_nothing(start: Start) -> None:
    assert states(start(of("a"), use=in_use(allow_empty=True)).plan()) == {"a": OK}


@pytest.mark.parametrize(
    "reference",
    ["prod.example/a:1.0.0", "prod.example/a:gone", "prod.example/never-listed:1", "prod.example/a"],
)
def test_a_reference_by_a_name_of_the_registry_says_that_it_is_used(start: Start, reference: str) -> None:
    assert states(start(of("a", "b"), use=in_use(reference)).plan()) == {"a": OK, "b": OK}


def test_a_digest_of_a_listed_image_says_that_its_registry_is_used(start: Start) -> None:
    registry = of("a", "b")
    digest = registry.world["a"].tags["1.0.0"]
    plan = start(registry, use=in_use(f"mirror.example/x@{digest}")).plan()
    assert states(plan) == {"a": OK, "b": OK}


def test_a_registry_that_is_used_nowhere_is_closed_alone(start: Start) -> None:
    registry, other = of("a"), of("b")
    other.name = "other"
    other.hosts = ("other.example",)
    plan = start(registry, other, use=in_use("prod.example/a:1.0.0")).plan()
    assert states(plan) == {"a": OK, "b": LIMITED}


def test_a_registry_may_be_said_to_be_used_nowhere(start: Start) -> None:
    policies = policy_set(*RULES, registries=[registry_spec(allow_unused=True)])
    plan = start(of("a"), policies=policies, use=in_use("elsewhere.example/app:1")).plan()
    assert states(plan) == {"a": OK}


def test_no_budget_is_spent_on_what_use_has_closed(start: Start) -> None:
    registry, other = of("a", pull_requests=3), of("b", pull_requests=3)
    other.name = "other"
    other.hosts = ("other.example",)
    plan = start(registry, other, use=in_use("other.example/b:1.0.0"), budget=2).plan()
    assert {
        repository.plan.repository: len(list(plan.actions(repository))) for repository in plan.repositories
    } == {
        "a": 3,
        "b": 2,
    }


def test_a_reading_without_any_source_closes_nothing() -> None:
    assert why_closed(InUse()) is None


# --- limits -----------------------------------------------------------------------------------------------


def test_a_limited_repository_keeps_its_lines_in_the_plan(start: Start) -> None:
    plan = start(of("a"), max_deletions=1).plan()
    assert states(plan) == {"a": LIMITED}
    assert details(plan) == {"the run would delete 2 images, over max_deletions 1"}
    assert len(planned(plan)) == 2
    assert plan.summary().delete == 2
    assert not any(repository.is_due for repository in plan.repositories)


def test_a_budget_lets_the_oldest_of_all_repositories_go(start: Start) -> None:
    world = World()
    for repository, ages in {"a": (20, 40), "b": (30, 50)}.items():
        for age in ages:
            world.push(repository, tags=[f"pr-{age}"], created=f"{age}d")
        world.push(repository, tags=["1.0.0"])
    plan = start(WorldRegistry(world), budget=3).plan()
    assert states(plan) == {"a": OK, "b": OK}
    kept = {action.tags for repository in plan.repositories for action in plan.actions(repository)}
    assert kept == {("pr-40",), ("pr-30",), ("pr-50",)}


def test_a_platform_of_several_waits_for_the_last_that_a_budget_lets_go(start: Start) -> None:
    world = World()
    own, shared = world.push("a", created="90d"), world.push("a", created="90d")
    old = world.push_index("a", children=[own, shared], tags=["pr-1"], created="60d")
    young = world.push_index("a", children=[shared], tags=["pr-2"], created="50d")
    signature = world.sign("a", young)
    world.push("a", tags=["1.0.0"])
    cut = planned(start(WorldRegistry(world), budget=1).plan())
    assert set(cut) == {old, own}
    whole = planned(start(WorldRegistry(world), budget=2).plan())
    assert set(whole) == {old, own, young, shared, signature}


def test_tags_that_come_off_cost_no_budget(start: Start) -> None:
    world = World()
    stays = world.push("a", tags=["1.0.0", "sha-1"])
    going = [world.push("a", tags=[f"pr-{n}"], created=f"{40 - n}d") for n in range(2)]
    policies = policy_set(
        *RULES, delete(tags="sha-*", untag=True), limits=limits(grace="0h", max_percent=100, budget=1)
    )
    plan = start(WorldRegistry(world), policies=policies).plan()
    assert planned(plan) == {going[0]: "delete", stays: "untag"}
    assert (plan.summary().delete, plan.summary().untag) == (1, 1)


# --- the plan as a file -----------------------------------------------------------------------------------


def written(plan: Plan) -> bytes:
    stream = io.BytesIO()
    plan.write(stream)
    return stream.getvalue()


def test_repositories_stand_in_the_order_of_their_names(start: Start) -> None:
    registry, other = of("z", "a"), of("m")
    registry.name, other.name = "prod", "dev"
    plan = start(registry, other).plan()
    places = [(each.plan.registry, each.plan.repository) for each in plan.repositories]
    assert places == [("dev", "m"), ("prod", "a"), ("prod", "z")]


def test_a_written_plan_is_read_again(start: Start, tmp_path: Path) -> None:
    registry = of("a", "b")
    registry.broken.add("b")
    plan = start(registry).plan()
    path = tmp_path / "plan.jsonl"
    path.write_bytes(written(plan))
    with read_plan(path) as file:
        assert file.header == plan.header
        assert [action.digest for action in file.actions()] == list(planned(plan))
        assert file.summary.sha256
        assert (file.summary.repositories, file.summary.images, file.summary.delete) == (2, 3, 2)
        sizes = [action.size_bytes or 0 for action in file.actions()]
        assert file.summary.freed_bytes == sum(sizes) > 0


def test_a_cut_plan_is_read_again(start: Start, tmp_path: Path) -> None:
    plan = start(of("a", "b", pull_requests=5), budget=3).plan()
    path = tmp_path / "plan.jsonl"
    path.write_bytes(written(plan))
    with read_plan(path) as file:
        assert (file.summary.delete, len(list(file.actions()))) == (3, 3)


def test_a_plan_of_nothing_is_a_plan(start: Start) -> None:
    plan = start(WorldRegistry(World())).plan()
    assert len(written(plan).splitlines()) == 2


# --- what is noted beside it ------------------------------------------------------------------------------


def test_what_only_lacks_a_rule_is_counted_by_its_look(start: Start) -> None:
    registry = of("a", "b")
    for number in range(3):
        registry.world.push("a", tags=[f"nightly-{number}"])
    plan = start(registry).plan()
    assert plan.notes.unselected == {"nightly-*": 3}


def test_a_repository_that_no_policy_covers_is_not_listed(start: Start) -> None:
    registry = of("a", "b")
    policies = policy_set(policy(*RULES, repositories="a"))
    plan = start(registry, policies=policies).plan()
    assert states(plan) == {"a": OK}
    assert ("list", "b") not in registry.asked


# --- first seen -------------------------------------------------------------------------------------------


def test_what_appears_after_the_first_meeting_is_under_the_grace(start: Start, tmp_path: Path) -> None:
    """A build may be old when it is pushed, where the registry records no pushes."""

    class Unrecorded(WorldRegistry):
        def __init__(self, world: World) -> None:
            super().__init__(world)
            self.abilities = Abilities(records_pushes=False)

    registry = Unrecorded(World())
    old = registry.world.push("a", tags=["pr-1"], created="60d")
    registry.world.push("a", tags=["1.0.0"])
    journey = start(registry, grace="24h")
    for held in registry.world["a"].manifests.values():
        registry.world["a"].manifests[held.digest] = unpushed(held)
    states_kept = RepositoryStates(tmp_path)

    def decide() -> set[str]:
        opened = journey.opened["prod"]
        premises = Premises(
            policies=journey.policies, in_use=InUse(), now=journey.clock(), states=states_kept
        )
        (unit,) = registry.units(opened.only)
        (listing,) = registry.list(unit, opened.wanted)
        decisions = opened.decide(listing, premises.decider(), premises)
        return {decisions.inventory.images[i].digest for i in decisions.going}

    assert decide() == {old}
    new = registry.world.push("a", tags=["pr-2"], created="60d")
    registry.world["a"].manifests[new] = unpushed(registry.world["a"].manifests[new])
    assert decide() == {old}
    journey.clock.advance(days=15)
    assert decide() == {old, new}


def unpushed(held: Held) -> Held:
    return msgspec.structs.replace(held, pushed_at=None)


# --- what is asked for ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "wanted"),
    [
        (delete(tags="pr-*"), set()),
        (delete(older_than="1d"), set()),
        (keep(newest=3, order_by="created"), {Field.CREATED}),
        (delete(labels={"a": "b"}), {Field.LABELS}),
        (delete(type="helm"), {Field.TYPE}),
        (delete(not_pulled_for="1d"), {Field.PULLED}),
        (keep(newest=1, order_by="pulled"), {Field.PULLED}),
        (delete(larger_than="1GB"), {Field.SIZE}),
        (keep(within_size="1GB"), {Field.SIZE}),
        (delete(beyond_size="1GB"), {Field.SIZE}),
    ],
)
def test_only_what_a_rule_needs_is_asked_for(rule: Rule, wanted: set[Field]) -> None:
    assert wanted_fields([rule], WorldRegistry(World())) == wanted


def test_where_no_push_is_recorded_no_deletion_goes_without_the_creation() -> None:
    registry = WorldRegistry(World())
    registry.abilities = Abilities(records_pushes=False)
    assert wanted_fields([delete(tags="pr-*")], registry) == {Field.CREATED}
    assert wanted_fields([keep(tags="pr-*")], registry) == set()


def test_a_plan_knows_when_and_by_what_it_was_made(start: Start) -> None:
    plan = start(of("a")).plan()
    assert (plan.header.created_at, plan.header.now, plan.header.version) == (NOW, NOW, 1)
