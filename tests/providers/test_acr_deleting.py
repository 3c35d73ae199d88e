"""What the ``acr`` provider deletes and untags at Azure: what would go along, locks, lost answers."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from janitor.core.report import OutcomeKind
from janitor.providers.acr.registry import Acr
from tests.providers.azure import Rewriting, deleted, image, listing, opened, outcomes
from tests.simulators.acr import AcrFlavour, AcrServer
from tests.simulators.acr_access import AcrAccess
from tests.simulators.server import Answer, Request
from tests.simulators.world import World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def server(world: World) -> Iterator[AcrServer]:
    with AcrServer(world) as serving:
        yield serving


@pytest.fixture
def registry(server: AcrServer) -> Iterator[Acr]:
    made = opened(server)
    yield made
    made.close()


@pytest.fixture
def rewriting(world: World) -> Iterator[Rewriting]:
    with Rewriting(world) as serving:
        yield serving


def test_a_locked_image_is_refused(server: AcrServer, registry: Acr, world: World) -> None:
    digest = world.push("a", tags=["1"])
    found = image(registry, digest)
    server.switch("a", "1", writeEnabled=False)
    (result,) = deleted(registry, found).values()
    assert result.outcome is OutcomeKind.REFUSED
    assert "lock" in (result.detail or "")
    assert "correlation id" in (result.detail or "")
    assert digest in world["a"].manifests


def test_a_referrer_that_has_a_tag_keeps_its_subject(registry: Acr, world: World) -> None:
    """The registry would delete it too, whatever protects it here."""
    subject = world.push("a", tags=["1"])
    tagged = world.refer("a", subject, tags=["keep-me"])
    (result,) = deleted(registry, image(registry, subject)).values()
    assert result.outcome is OutcomeKind.REFUSED
    assert "keep-me" in (result.detail or "")
    assert {subject, tagged} <= set(world["a"].manifests)


def test_a_referrer_that_is_locked_keeps_its_subject(server: AcrServer, registry: Acr, world: World) -> None:
    subject = world.push("a", tags=["1"])
    referrer = world.refer("a", subject)
    server.switch("a", referrer, deleteEnabled=False)
    assert outcomes(deleted(registry, image(registry, subject))) == {subject: OutcomeKind.REFUSED}


def test_a_referrer_that_an_index_holds_keeps_its_subject(registry: Acr, world: World) -> None:
    subject = world.push("a", tags=["1"])
    referrer = world.refer("a", subject)
    world.push_index("a", children=[referrer], tags=["2"])
    assert outcomes(deleted(registry, image(registry, subject))) == {subject: OutcomeKind.REFUSED}


def test_a_tagged_referrer_of_a_referrer_keeps_both_subjects(registry: Acr, world: World) -> None:
    subject = world.push("a", tags=["1"])
    signature = world.refer("a", subject)
    world.refer("a", signature, tags=["keep-me"])
    assert outcomes(deleted(registry, image(registry, subject))) == {subject: OutcomeKind.REFUSED}


def test_an_untagged_referrer_goes_with_its_subject_and_is_gone_afterwards(
    registry: Acr, world: World
) -> None:
    """A run deletes the subject first; what refers to it is asked for later, and was deleted by then."""
    subject = world.push("a", tags=["1"])
    referrer = world.refer("a", subject)
    images = [image(registry, digest) for digest in (subject, referrer)]
    assert outcomes(deleted(registry, images[0])) == {subject: OutcomeKind.DELETED}
    (result,) = deleted(registry, images[1]).values()
    assert (result.outcome, result.detail) == (OutcomeKind.DELETED, "was gone already")


def test_a_deletion_of_an_index_leaves_its_platforms(registry: Acr, world: World) -> None:
    child = world.push("a")
    index = world.push_index("a", children=[child], tags=["1"])
    deleted(registry, image(registry, index))
    assert set(world["a"].manifests) == {child}


def test_platforms_stay_where_their_index_can_not_be_deleted(
    server: AcrServer, registry: Acr, world: World
) -> None:
    child = world.push("a")
    index = world.push_index("a", children=[child], tags=["1"])
    images = listing(registry)
    server.switch("a", index, deleteEnabled=False)
    assert outcomes(deleted(registry, *images)) == {index: OutcomeKind.REFUSED, child: OutcomeKind.FAILED}
    assert child in world["a"].manifests


def test_a_deletion_whose_answers_are_all_lost_is_looked_up(registry: Acr, world: World) -> None:
    digest = world.push("a", tags=["1"])
    world.push("a", tags=["2"])
    found = image(registry, digest)
    world.fault("lost-answer", match="DELETE")
    world.fault("error", times=1000, match="DELETE")
    (result,) = deleted(registry, found).values()
    assert result.outcome is OutcomeKind.DELETED
    assert "gone" in (result.detail or "")


def test_a_404_of_some_proxy_is_no_deletion(rewriting: Rewriting, world: World) -> None:
    digest = world.push("a", tags=["1"])
    made = opened(rewriting)
    found = image(made, digest)

    page = Answer(status=404, headers={"Content-Type": "text/html"}, body=b"<html>nothing here</html>")
    original = AcrServer.answer
    rewriting.answer = lambda request: (  # type: ignore[method-assign]  # a proxy in between
        page if request.method == "DELETE" else original(rewriting, request)
    )
    assert outcomes(deleted(made, found)) == {digest: OutcomeKind.FAILED}


def test_a_stop_after_a_lost_answer_still_tells_what_became_of_it(world: World) -> None:
    digest = world.push("a", tags=["1"])
    world.push("a", tags=["2"])
    stop = threading.Event()
    with AcrServer(world) as server:
        # The first wait of a retry is when the run is stopped.
        made = opened(server, context={"stop": stop, "sleep": lambda _: stop.set()})
        found = image(made, digest)
        world.fault("lost-answer", match="DELETE")
        (result,) = deleted(made, found).values()
    assert result.outcome is OutcomeKind.DELETED
    assert digest not in world["a"].manifests


def test_no_right_to_delete_is_a_failure_that_says_so(world: World) -> None:
    digest = world.push("a", tags=["1"])
    access = AcrAccess(actions=frozenset({"pull", "metadata_read"}))
    with AcrServer(world, AcrFlavour(name="reader", access=access)) as server:
        made = opened(server)
        (result,) = deleted(made, image(made, digest)).values()
    assert result.outcome is OutcomeKind.FAILED
    assert "the right to delete is lacking on a" in (result.detail or "")


def test_the_last_tag_comes_off_and_the_image_stays(registry: Acr, world: World) -> None:
    digest = world.push("a", tags=["1"])
    result = registry.untag("a", image(registry, digest), ["1"])
    assert result.outcome is OutcomeKind.UNTAGGED
    assert (set(world["a"].manifests), world["a"].tags) == ({digest}, {})


def test_a_locked_tag_is_refused(server: AcrServer, registry: Acr, world: World) -> None:
    digest = world.push("a", tags=["1", "2"])
    found = image(registry, digest)
    server.switch("a", "1", deleteEnabled=False)
    assert registry.untag("a", found, ["1"]).outcome is OutcomeKind.REFUSED
    assert "1" in world["a"].tags


def test_a_tag_that_moves_while_its_deletion_waits_stays_on_the_other_image(
    rewriting: Rewriting, world: World
) -> None:
    """It is looked at again before each attempt, not once before all of them."""
    first, second = world.push("a", tags=["1", "moving"]), world.push("a", tags=["2"])
    made = opened(rewriting)
    found = image(made, first)
    world.fault("throttle", match="DELETE", retry_after="30")

    def rewrite(request: Request, answer: Answer) -> Answer:
        if request.method == "GET" and request.path.endswith("/_tags/moving") and world.faults[0].struck:
            world.retag("a", "moving", second)
            return AcrServer.answer(rewriting, request)
        return answer

    rewriting.rewrite = rewrite
    result = made.untag("a", found, ["moving"])
    assert result.outcome is OutcomeKind.FAILED
    assert "points to" in (result.detail or "")
    assert world["a"].tags["moving"] == second


def test_an_untagging_whose_answer_is_lost_is_looked_up(registry: Acr, world: World) -> None:
    digest = world.push("a", tags=["1", "2"])
    found = image(registry, digest)
    world.fault("lost-answer", match="DELETE")
    world.fault("error", times=1000, match="DELETE")
    assert registry.untag("a", found, ["1"]).outcome is OutcomeKind.UNTAGGED
