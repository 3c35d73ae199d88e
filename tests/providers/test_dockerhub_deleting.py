"""How the ``dockerhub`` provider deletes: tags, then the manifest, and what it tells of it."""

from __future__ import annotations

import threading

import msgspec
import pytest

from janitor.core.image import Image
from janitor.core.report import OutcomeKind
from janitor.errors import Denied, Stopped
from janitor.providers.interface import Result
from tests.providers.hubs import Stage, staged
from tests.simulators.dockerhub import NAMESPACE, TEAM
from tests.simulators.server import Request
from tests.simulators.world import World


def deletions(stage: Stage) -> list[str]:
    return [
        target.rpartition("/")[2] or target.rstrip("/").rpartition("/")[2]
        for target in stage.server.asked("DELETE")
    ]


def said(result: Result) -> str:
    return result.detail or ""


def test_tags_come_off_one_by_one_and_then_the_manifest_goes() -> None:
    world = World()
    digest = world.push("app", tags=["1", "2"])
    other = world.push("app", tags=["3"])
    with staged(world) as stage:
        result = stage.delete(digest)[digest]
        assert (result.outcome, result.detail) == (OutcomeKind.DELETED, None)
        assert deletions(stage) == ["1", "2", digest]
    assert set(world["app"].manifests) == {other}
    assert set(world["app"].tags) == {"3"}


def test_an_index_goes_before_its_platforms_and_these_by_their_digests() -> None:
    world = World()
    child = world.push("app")
    index = world.push_index("app", children=[child], tags=["1"], provenance=True)
    attestation = world["app"].manifests[index].children[1]
    with staged(world) as stage:
        results = stage.delete(child, attestation, index)
        assert {result.outcome for result in results.values()} == {OutcomeKind.DELETED}
        assert deletions(stage)[:2] == ["1", index]
        assert set(deletions(stage)[2:]) == {child, attestation}
    assert world["app"].manifests == {}


def test_a_tag_that_moved_is_looked_at_right_before_and_not_taken() -> None:
    world = World()
    digest = world.push("app", tags=["1", "moving"])
    other = world.push("app", tags=["2"])
    with staged(world) as stage:
        image = stage.images()[digest]
        world.retag("app", "moving", other)
        (result,) = stage.registry.delete("app", [image])
        assert result.outcome is OutcomeKind.DELETED
        assert deletions(stage) == ["1", digest]
    assert world["app"].tags == {"moving": other, "2": other}


def test_a_tag_that_was_placed_on_the_image_meanwhile_keeps_it() -> None:
    """Docker Hub looks itself, at the last moment, whether a tag names the manifest."""
    world = World()
    digest = world.push("app", tags=["1"])
    with staged(world) as stage:
        image = stage.images()[digest]
        world.retag("app", "stable", digest)
        (result,) = stage.registry.delete("app", [image])
    assert result.outcome is OutcomeKind.REFUSED
    assert "a tag or another manifest" in said(result)
    assert "taken off before that: 1" in said(result)
    assert world["app"].tags == {"stable": digest}


def test_a_platform_that_an_unseen_index_names_stays_and_is_no_failure() -> None:
    world = World()
    child = world.push("app")
    unseen = world.push_index("app", children=[child], tags=["moving"])
    index = world.push_index("app", children=[child], tags=["moving", "1"], created="1d")
    with staged(world) as stage:
        results = stage.delete(index, child)
        assert stage.waits == []
    assert results[index].outcome is OutcomeKind.DELETED
    assert results[child].outcome is OutcomeKind.REFUSED
    assert "untagged" in said(results[child])
    assert set(world["app"].manifests) == {unseen, child}


def test_a_registry_that_does_not_know_yet_that_the_tag_is_off_is_asked_again() -> None:
    world = World()
    digest = world.push("app", tags=["1"])
    with staged(world) as stage:
        world.fault("error", status=403, times=2, match=f"DELETE .*{digest}")
        result = stage.delete(digest)[digest]
        assert stage.waits == [1.0, 2.0]
    assert result.outcome is OutcomeKind.DELETED
    assert world["app"].manifests == {}


def test_what_the_registry_deletes_by_itself_afterwards_is_looked_at() -> None:
    world = World()
    digest = world.push("app", tags=["1"])
    with staged(world) as stage:
        world.fault("gateway", match=f"DELETE .*{digest}")
        result = stage.delete(digest)[digest]
        assert len(stage.server.registry.asked("DELETE")) == 1
    assert result.outcome is OutcomeKind.DELETED
    assert "by itself" in said(result)


def test_what_is_still_there_after_a_while_is_not_said_to_be_gone_and_not_hammered() -> None:
    world = World()
    digest = world.push("app", tags=["1"])
    with staged(world) as stage:
        world.fault("error", status=500, times=1000, match=f"DELETE .*{digest}")
        result = stage.delete(digest)[digest]
        assert len(stage.server.registry.asked("DELETE")) == 1
        assert sum(stage.waits) == 15
    assert result.outcome is OutcomeKind.FAILED
    assert "not confirmed" in said(result)
    assert "taken off before that: 1" in said(result)


def test_deletion_that_the_registry_does_not_know_is_refused() -> None:
    world = World()
    digest = world.push("app", tags=["1"])
    with staged(world) as stage:
        world.fault("error", status=405, times=1000, match=f"DELETE .*{digest}")
        result = stage.delete(digest)[digest]
    assert result.outcome is OutcomeKind.REFUSED
    assert "405" in said(result)


def test_a_deletion_of_a_tag_that_was_lost_is_looked_up() -> None:
    world = World()
    digest = world.push("app", tags=["1"])
    with staged(world) as stage:
        world.fault("lost-answer", match="DELETE .*/tags/1")
        assert stage.delete(digest)[digest].outcome is OutcomeKind.DELETED
    assert world["app"].manifests == {}


def test_a_deletion_of_a_manifest_that_was_lost_is_looked_up() -> None:
    world = World()
    digest = world.push("app", tags=["1"])
    with staged(world) as stage:
        world.fault("lost-answer", match=f"DELETE .*{digest}")
        result = stage.delete(digest)[digest]
    assert result.outcome is OutcomeKind.DELETED
    assert "without an answer" in said(result)


@pytest.mark.parametrize("concurrency", [1, 4])
def test_after_a_few_denials_in_a_row_nothing_more_is_tried(concurrency: int) -> None:
    """A token without the right to delete lists everything, and gets 401 on every deletion."""
    world = World()
    digests = [world.push("app", tags=[str(number)]) for number in range(40)]
    plan = msgspec.structs.replace(TEAM, rights=frozenset({"read", "write"}))
    with staged(world, plan, concurrency=concurrency) as stage:
        results = stage.delete(*digests)
        # The first are asked twice: the token might have been too old.
        assert len(stage.server.asked("DELETE")) <= 3 + 2 * concurrency
        assert len(stage.server.hub.asked("POST")) == 2
    assert {result.outcome for result in results.values()} == {OutcomeKind.FAILED}
    assert sum("not tried" in said(result) for result in results.values()) >= 34
    assert any("Read, Write, Delete" in said(result) for result in results.values())
    assert len(world["app"].tags) == 40


def test_a_refusal_behind_the_hub_api_is_one_and_not_tried_again() -> None:
    """Seen of tokens that may not delete: the Hub API answers 500, with the 401 that it got itself."""
    world = World()
    digest = world.push("app", tags=["1"])
    behind = "Delete https://registry/api/internal/repos: http: non-successful response (status=401 body=)"
    with staged(world) as stage:
        stage.server.hub.refusal = (500, behind)
        result = stage.delete(digest)[digest]
        assert len(stage.server.asked("DELETE")) == 1
    assert result.outcome is OutcomeKind.FAILED
    assert "status=401" in said(result)
    assert world["app"].tags == {"1": digest}


def test_denials_in_one_repository_say_nothing_of_another() -> None:
    world = World()
    digests = [world.push("app", tags=[str(number)]) for number in range(5)]
    other = world.push("other", tags=["1"])
    with staged(world) as stage:
        world.fault("unauthorized", times=1000, match="DELETE .*/app/")
        stage.delete(*digests)
        assert stage.delete(other, repository="other")[other].outcome is OutcomeKind.DELETED


def test_what_a_user_may_not_is_a_failure_and_no_lock() -> None:
    world = World()
    digest = world.push("app", tags=["1"])
    with staged(world, msgspec.structs.replace(TEAM, admin=False)) as stage:
        result = stage.delete(digest)[digest]
    assert result.outcome is OutcomeKind.FAILED
    assert "403" in said(result)


def test_a_stop_tells_what_was_done_and_does_nothing_more() -> None:
    world = World()
    digests = [world.push("app", tags=[f"{number}-a", f"{number}-b"]) for number in range(10)]
    stop = threading.Event()
    with staged(world, stop=stop, concurrency=1) as stage:
        images = stage.images()

        def stop_at_the_first_tag(request: Request) -> None:
            if request.method == "DELETE":
                stop.set()

        stage.server.hub.then = stop_at_the_first_tag
        told: list[Result] = []
        with pytest.raises(Stopped):
            _delete(stage, images, digests, told)
        asked = stage.server.asked("DELETE")
    assert len(asked) == 1
    (result,) = told
    assert result.outcome is OutcomeKind.FAILED
    assert "taken off before that: 0-a" in said(result)
    assert len(world["app"].tags) == 19


def _delete(stage: Stage, images: dict[str, Image], digests: list[str], told: list[Result]) -> None:
    for result in stage.registry.delete("app", [images[digest] for digest in digests]):
        told.append(result)  # noqa: PERF402 - what came before an error is kept


def test_untagging_takes_off_these_tags_and_leaves_the_manifest() -> None:
    world = World()
    digest = world.push("app", tags=["1", "2", "3"])
    with staged(world) as stage:
        assert stage.registry.abilities.untags
        result = stage.registry.untag("app", stage.images()[digest], ["1", "2"])
        assert deletions(stage) == ["1", "2"]
    assert result.outcome is OutcomeKind.UNTAGGED
    assert world["app"].tags == {"3": digest}


def test_untagging_tells_what_it_did_before_it_failed() -> None:
    world = World()
    digest = world.push("app", tags=["1", "moving", "3"])
    other = world.push("app", tags=["4"])
    with staged(world) as stage:
        image = stage.images()[digest]
        world.retag("app", "moving", other)
        result = stage.registry.untag("app", image, ["1", "moving"])
    assert result.outcome is OutcomeKind.FAILED
    assert "moving points to" in said(result)
    assert "taken off before that: 1" in said(result)
    assert world["app"].tags == {"moving": other, "3": digest, "4": other}


def test_untagging_without_the_right_is_denied() -> None:
    world = World()
    digest = world.push("app", tags=["1", "2"])
    with staged(world, msgspec.structs.replace(TEAM, rights=frozenset({"read"}))) as stage:
        image = stage.images()[digest]
        with pytest.raises(Denied, match="Read, Write, Delete"):
            stage.registry.untag("app", image, ["1"])
    assert set(world["app"].tags) == {"1", "2"}


def test_tags_are_read_anew_before_a_deletion() -> None:
    world = World()
    digest = world.push("app", tags=["1"])
    child = world.push("app")
    world.push_index("app", children=[child], tags=["2"])
    with staged(world) as stage:
        images = stage.images()
        world.retag("app", "stable", digest)
        now = stage.registry.tags_now("app", [images[digest], images[child]])
    assert now == {digest: frozenset({"1", "stable"}), child: frozenset()}


def test_nothing_is_ever_pulled_for_a_deletion() -> None:
    world = World()
    digest = world.push("app", tags=["1"])
    with staged(world) as stage:
        stage.delete(digest)
        assert stage.server.registry.pulls == []
        assert stage.server.hub.asked("DELETE") == [f"/v2/repositories/{NAMESPACE}/app/tags/1/"]
