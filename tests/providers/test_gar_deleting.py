"""How the ``gar`` provider deletes: in the service's order, and nothing that nobody decided on."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from janitor.core.image import Image
from janitor.core.report import OutcomeKind
from janitor.errors import Stopped
from janitor.providers.gar.registry import Gar
from janitor.providers.interface import Result
from tests.providers.gars import images, opened
from tests.simulators.gar import SLOW, USUAL, Flavour, GarServer, Settings
from tests.simulators.world import World

A = "all/team/a"
LARGE = Flavour(name="large", page=1000)
STUCK = Flavour(name="stuck", polls=None)
EVER = Flavour(name="ever", polls=1_000_000)
CHANGES = ("DeleteVersion", "BatchDeleteVersions", "DeleteTag", "CreateTag")

DELETED, REFUSED, FAILED = OutcomeKind.DELETED, OutcomeKind.REFUSED, OutcomeKind.FAILED


def delete(made: Gar, found: list[Image]) -> dict[str, Result]:
    results = list(made.delete(A, found))
    assert sorted(result.digest for result in results) == sorted(image.digest for image in found)
    return {result.digest: result for result in results}


def outcomes(results: dict[str, Result]) -> set[OutcomeKind]:
    return {result.outcome for result in results.values()}


def between(server: GarServer, method: str, act: Callable[[], None]) -> None:
    """Do something in the moment in which the first such request arrives."""
    done = False
    before = server.arriving

    def look(arrived: str) -> None:
        nonlocal done
        before(arrived)
        if arrived == method and not done:
            done = True
            act()

    server.arriving = look


def test_nothing_is_ever_deleted_by_force() -> None:
    world = World()
    digest = world.push(A, tags=["1", "2"])
    with GarServer(world) as server, opened(server) as made:
        assert outcomes(delete(made, images(made, A, digest))) == {DELETED}
        assert [request.force for request in server.asked("DeleteVersion")] == [False]
        assert server.asked("BatchDeleteVersions") == []
        package = f"{server.parent}/repositories/all/packages/team%2Fa"
        assert {request.name for request in server.asked("DeleteTag")} == {
            f"{package}/tags/1",
            f"{package}/tags/2",
        }


def test_requests_say_where_they_go() -> None:
    """The service routes by this header; in it names are escaped once more."""
    world = World()
    digest = world.push(A, tags=["1"])
    with GarServer(world) as server, opened(server) as made:
        delete(made, images(made, A, digest))
        (call,) = [call for call in server.calls if call.method == "DeleteVersion"]
    assert "team%252Fa" in call.metadata["x-goog-request-params"]


def test_untagged_images_go_in_batches_of_one_name_and_each_is_looked_at() -> None:
    world = World()
    digests = [world.push(A) for _ in range(120)]
    world.push(A, tags=["stays"])
    with GarServer(world, LARGE) as server, opened(server) as made:
        found = images(made, A, *digests)
        assert outcomes(delete(made, found)) == {DELETED}
        batches = server.asked("BatchDeleteVersions")
        assert sorted(len(batch.names) for batch in batches) == [20, 50, 50]
        assert {batch.parent for batch in batches} == {f"{server.parent}/repositories/all/packages/team%2Fa"}
        assert not any(batch.validate_only for batch in batches)
        assert len(server.asked("GetVersion")) == 120
        assert server.asked("DeleteVersion") == []
    assert set(world[A].tags) == {"stays"}


@pytest.mark.parametrize("flavour", [USUAL, SLOW])
def test_one_that_is_gone_keeps_a_batch_from_going_and_the_rest_goes_alone(flavour: Flavour) -> None:
    world = World()
    digests = [world.push(A) for _ in range(5)]
    with GarServer(world, flavour) as server, opened(server) as made:
        found = images(made, A, *digests)
        world.forget(A, digests[2])
        results = delete(made, found)
        assert outcomes(results) == {DELETED}
        assert len(server.asked("DeleteVersion")) == 4
    assert world[A].manifests == {}


def test_a_batch_that_the_service_finds_too_large_is_done_one_by_one() -> None:
    world = World()
    digests = [world.push(A) for _ in range(5)]
    with GarServer(world, Flavour(name="tight", batch=3)) as server, opened(server) as made:
        assert outcomes(delete(made, images(made, A, *digests))) == {DELETED}
        assert len(server.asked("DeleteVersion")) == 5


def test_a_batch_whose_success_is_a_lie_is_found_out() -> None:
    """Of a batch of which nothing is there, the service says that it went."""
    world = World()
    digests = [world.push(A) for _ in range(3)]
    held = {}
    with GarServer(world) as server, opened(server) as made:
        found = images(made, A, *digests)

        def hide() -> None:
            held.update(world[A].manifests)
            world[A].manifests.clear()

        between(server, "BatchDeleteVersions", hide)
        between(server, "GetVersion", lambda: world[A].manifests.update(held))
        results = delete(made, found)
        assert outcomes(results) == {DELETED}
        assert len(server.asked("DeleteVersion")) >= 2
    assert world[A].manifests == {}


def test_a_tag_that_arrives_on_an_untagged_image_of_a_batch_keeps_it() -> None:
    world = World()
    digests = [world.push(A) for _ in range(3)]
    with GarServer(world) as server, opened(server) as made:
        found = images(made, A, *digests)
        between(server, "BatchDeleteVersions", lambda: world.retag(A, "new", digests[1]))
        results = delete(made, found)
    assert results[digests[1]].outcome is FAILED
    assert "new" in (results[digests[1]].detail or "")
    assert set(world[A].manifests) == {digests[1]}


@pytest.mark.parametrize("flavour", [USUAL, SLOW])
def test_a_tag_that_is_pushed_meanwhile_keeps_the_image_with_all_of_its_tags(flavour: Flavour) -> None:
    world = World()
    digest = world.push(A, tags=["pr-1", "pr-2"])
    with GarServer(world, flavour) as server, opened(server) as made:
        found = images(made, A, digest)
        between(server, "DeleteVersion", lambda: world.retag(A, "stable", digest))
        (result,) = delete(made, found).values()
    assert result.outcome is FAILED
    assert "stable" in (result.detail or "")
    assert world[A].tags == dict.fromkeys(("pr-1", "pr-2", "stable"), digest)


def test_a_tag_that_moved_away_is_not_taken_off_where_it_is_now() -> None:
    world = World()
    first, second = world.push(A, tags=["moving", "1"]), world.push(A, tags=["2"])
    with GarServer(world) as server, opened(server) as made:
        found = images(made, A, first)
        world.retag(A, "moving", second)
        assert outcomes(delete(made, found)) == {DELETED}
    assert world[A].tags == {"moving": second, "2": second}


def test_a_tag_that_somebody_set_anew_is_left_where_it_is() -> None:
    world = World()
    first, second = world.push(A, tags=["1"]), world.push(A, tags=["2"])
    world.push_index(A, children=[first], tags=["holder"])
    with GarServer(world) as server, opened(server) as made:
        found = images(made, A, first)
        between(server, "DeleteVersion", lambda: world.retag(A, "1", second))
        (result,) = delete(made, found).values()
    assert result.outcome is REFUSED
    assert world[A].tags["1"] == second


def test_an_image_that_is_refused_gets_its_tags_back() -> None:
    world = World()
    child = world.push(A, tags=["1", "2"])
    world.push_index(A, children=[child], tags=["holder"])
    with GarServer(world) as server, opened(server) as made:
        (result,) = delete(made, images(made, A, child)).values()
        assert len(server.asked("CreateTag")) == 2
    assert result.outcome is REFUSED
    assert "referenced by image" in (result.detail or "")
    assert world[A].tags_of(child) == {"1", "2"}


def test_tags_that_can_not_be_put_back_are_told() -> None:
    world = World()
    child = world.push(A, tags=["1"])
    world.push_index(A, children=[child], tags=["holder"])
    with GarServer(world) as server, opened(server) as made:
        found = images(made, A, child)
        world.fault("unauthorized", times=10, match="CreateTag")
        (result,) = delete(made, found).values()
    assert result.outcome is REFUSED
    assert "its tag 1 was taken off, and could not be put back" in (result.detail or "")


def test_immutable_tags_are_refused_and_nothing_is_lost() -> None:
    world = World()
    digest = world.push(A, tags=["1"])
    with GarServer(world) as server, opened(server) as made:
        found = images(made, A, digest)
        server.settings["all"] = Settings(immutable=True)
        (result,) = delete(made, found).values()
    assert result.outcome is REFUSED
    assert "immutability" in (result.detail or "")
    assert world[A].tags == {"1": digest}


@pytest.mark.parametrize("flavour", [USUAL, SLOW])
@pytest.mark.parametrize("order", [1, -1])
def test_referrers_go_before_indexes_and_these_before_children(flavour: Flavour, order: int) -> None:
    world = World()
    children = [world.push(A), world.push(A, tags=["child"])]
    index = world.push_index(A, children=children, tags=["1"])
    nested = world.push_index(A, children=[index, children[0]], tags=["nested"])
    referrer = world.refer(A, nested, fallback=True)
    of_the_referrer = world.refer(A, referrer)
    fallback = world[A].tags[nested.replace(":", "-")]
    gone = [*children, index, nested, referrer, of_the_referrer, fallback][::order]
    with GarServer(world, flavour) as server, opened(server) as made:
        results = delete(made, images(made, A, *gone))
        assert outcomes(results) == {DELETED}
        assert server.asked("CreateTag") == []
    assert world[A].manifests == {}


def test_what_waits_for_something_that_the_listing_did_not_tell_is_tried_again() -> None:
    """Of an index of unknown children, nobody knew that they had to wait."""
    world = World()
    children = [world.push(A, tags=["c1"]), world.push(A)]
    index = world.push_index(A, children=children, tags=["1"])
    bare = Flavour(name="bare", tells_children=False)
    settings = {"all": Settings(uri="")}
    with GarServer(world, bare, settings=settings) as server, opened(server) as made:
        results = delete(made, images(made, A, *children, index))
    assert outcomes(results) == {DELETED}
    assert world[A].manifests == {}


def test_what_holds_another_and_stays_keeps_it() -> None:
    world = World()
    child = world.push(A)
    index = world.push_index(A, children=[child], tags=["1"])
    with GarServer(world) as server, opened(server) as made:
        found = images(made, A, child, index)
        between(server, "DeleteVersion", lambda: world.retag(A, "stable", index))
        results = delete(made, found)
        assert len(server.asked("DeleteVersion")) == 1
    assert outcomes(results) == {FAILED}
    assert set(world[A].manifests) == {child, index}


def test_a_subject_whose_referrer_stays_is_refused_as_the_service_says() -> None:
    world = World()
    subject = world.push(A, tags=["1"])
    world.refer(A, subject)
    with GarServer(world) as server, opened(server) as made:
        (result,) = delete(made, images(made, A, subject)).values()
    assert result.outcome is REFUSED
    assert world[A].tags == {"1": subject}


@pytest.mark.parametrize("kind", ["lost-answer", "gateway"])
@pytest.mark.parametrize("tags", [[], ["1"]])
def test_a_deletion_whose_answer_was_lost_is_one(kind: str, tags: list[str]) -> None:
    world = World()
    digest = world.push(A, tags=tags)
    with GarServer(world) as server, opened(server) as made:
        found = images(made, A, digest)
        world.fault(kind, match="DeleteVersion")
        (result,) = delete(made, found).values()
    assert (result.outcome, result.detail) == (DELETED, "gone: a request without an answer did it")


def test_answers_that_are_always_lost_are_looked_up() -> None:
    world = World()
    digest = world.push(A, tags=["1"])
    with GarServer(world) as server, opened(server) as made:
        found = images(made, A, digest)
        world.fault("lost-answer", times=1, match="DeleteVersion")
        world.fault("error", times=1000, match="DeleteVersion")
        (result,) = delete(made, found).values()
    assert result.outcome is DELETED


def test_operations_are_followed_to_their_end_without_hurry() -> None:
    world = World()
    digests = [world.push(A, tags=[str(n)]) for n in range(6)]
    with GarServer(world, SLOW) as server, opened(server) as made:
        assert outcomes(delete(made, images(made, A, *digests))) == {DELETED}
        assert len(server.asked("GetOperation")) == 12
    assert made.traffic().requests.other == 12


def test_an_operation_that_never_says_that_it_is_done_is_looked_up() -> None:
    world = World()
    digest = world.push(A, tags=["1"])
    with GarServer(world, STUCK) as server, opened(server) as made:
        (result,) = delete(made, images(made, A, digest)).values()
    assert result.outcome is DELETED


def test_an_operation_that_lasts_too_long_is_a_failure_that_names_it() -> None:
    world = World()
    digest = world.push(A, tags=["1"])
    with GarServer(world, EVER) as server, opened(server) as made:
        (result,) = delete(made, images(made, A, digest)).values()
        assert len(server.asked("GetOperation")) < 50
    assert result.outcome is FAILED
    assert "/operations/" in (result.detail or "")
    assert "tags are off: 1" in (result.detail or "")


def test_an_operation_that_can_not_be_asked_after_is_looked_up() -> None:
    world = World()
    digest = world.push(A, tags=["1"])
    with GarServer(world, STUCK) as server, opened(server) as made:
        found = images(made, A, digest)
        world.fault("unauthorized", times=1000, match="GetOperation")
        (result,) = delete(made, found).values()
    assert result.outcome is DELETED


def test_nothing_is_begun_after_a_stop() -> None:
    world = World()
    digests = [world.push(A, tags=["1"]), world.push(A)]
    stop = threading.Event()
    with GarServer(world) as server, opened(server, context={"stop": stop}) as made:
        found = images(made, A, *digests)
        stop.set()
        with pytest.raises(Stopped):
            list(made.delete(A, found))
        assert server.asked(*CHANGES) == []


def test_what_was_sent_before_a_stop_is_followed_to_its_end() -> None:
    world = World()
    digest = world.push(A, tags=["1"])
    stop = threading.Event()
    with GarServer(world, SLOW) as server, opened(server, context={"stop": stop}) as made:
        found = images(made, A, digest)
        between(server, "DeleteVersion", stop.set)
        (result,) = delete(made, found).values()
    assert result.outcome is DELETED


def test_an_image_that_a_stop_caught_without_its_tags_gets_them_back() -> None:
    world = World()
    digest = world.push(A, tags=["1", "2"])
    stop = threading.Event()
    with GarServer(world) as server, opened(server, context={"stop": stop}) as made:
        found = images(made, A, digest)
        between(server, "DeleteTag", stop.set)
        with pytest.raises(Stopped):
            list(made.delete(A, found))
    assert world[A].tags == {"1": digest, "2": digest}


def test_a_quota_is_waited_for_as_long_as_it_asks() -> None:
    world = World()
    digest = world.push(A, tags=["1"])
    slept: list[float] = []
    with (
        GarServer(world) as server,
        opened(server, context={"sleep": slept.append, "clock": lambda: sum(slept)}) as made,
    ):
        found = images(made, A, digest)
        world.fault("throttle", match="DeleteVersion", retry_after="11")
        assert outcomes(delete(made, found)) == {DELETED}
    assert sum(slept) >= 11


def test_a_token_that_ends_in_the_middle_is_fetched_anew() -> None:
    world = World()
    digest = world.push(A, tags=["1"])
    with GarServer(world) as server, opened(server) as made:
        found = images(made, A, digest)
        world.fault("unauthorized", match="DeleteVersion")
        assert outcomes(delete(made, found)) == {DELETED}


def test_a_right_that_is_lacking_is_a_failure_and_costs_no_tag() -> None:
    world = World()
    digest = world.push(A, tags=["1"])
    with GarServer(world) as server, opened(server) as made:
        found = images(made, A, digest)
        held = {"tags.get", "tags.delete", "tags.create", "versions.get"}
        server.rights = frozenset(f"artifactregistry.{right}" for right in held)
        (result,) = delete(made, found).values()
    assert result.outcome is FAILED
    assert "artifactregistry.versions.delete" in (result.detail or "")
    assert world[A].tags == {"1": digest}


def test_the_last_tag_is_never_taken_off() -> None:
    world = World()
    digest = world.push(A, tags=["1", "2"])
    with GarServer(world) as server, opened(server) as made:
        (found,) = images(made, A, digest)
        world[A].untag("2")
        result = made.untag(A, found, ["1"])
        assert server.asked(*CHANGES) == []
    assert result.outcome is FAILED
    assert world[A].tags == {"1": digest}


def test_untagging_is_refused_where_tags_are_immutable() -> None:
    world = World()
    digest = world.push(A, tags=["1", "2"])
    with GarServer(world, settings={"all": Settings(immutable=True)}) as server, opened(server) as made:
        (found,) = images(made, A, digest)
        assert made.untag(A, found, ["1"]).outcome is REFUSED
