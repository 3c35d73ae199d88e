"""What is done to images of ECR: exactly what is asked, and every image has its answer."""

from __future__ import annotations

import pytest

from janitor.core.image import Image
from janitor.core.report import OutcomeKind
from janitor.errors import RegistryError
from janitor.providers.interface import Keepsake, Result
from tests.conformance.stages import Memory
from tests.factories import digest as digest_of
from tests.factories import image
from tests.providers.ecrs import APP, Site, outcomes, site
from tests.simulators.ecr import ACTIVATION
from tests.simulators.world import ARM64, World

ALWAYS = 1_000_000


def filled(images: int = 3) -> World:
    world = World()
    for n in range(images):
        world.push(APP, tags=[f"1.{n}"], created="30d")
    return world


def with_index(world: World) -> tuple[str, list[str]]:
    children = [world.push(APP, created="50d"), world.push(APP, created="50d", platform=ARM64)]
    return world.push_index(APP, children=children, tags=["2.0"]), children


def deletions(ecr: Site) -> list[list[str]]:
    return [
        [each["imageDigest"] for each in asked["imageIds"]]
        for asked in ecr.server.asked_for("BatchDeleteImage")
    ]


def archive(ecr: Site, images: list[Image]) -> dict[str, Result]:
    return {result.digest: result for result in ecr.registry.archive(APP, images)}


def restore(ecr: Site, *kept: Keepsake) -> dict[str, Result]:
    return {result.digest: result for result in ecr.registry.restore(APP, kept)}


def test_a_hundred_images_go_at_a_time_and_not_one_more() -> None:
    world = filled(120)
    with site(world, page=1000) as ecr:
        results = ecr.delete(*world[APP].manifests)
        assert outcomes(results) == {OutcomeKind.DELETED}
        assert [len(each) for each in deletions(ecr)] == [100, 20]
    assert world[APP].manifests == {}


def test_an_image_of_many_tags_is_one_result() -> None:
    world = filled(1)
    digest = world[APP].tags["1.0"]
    for n in range(20):
        world.retag(APP, f"t{n}", digest)
    with site(world) as ecr:
        assert outcomes(ecr.delete(digest)) == {OutcomeKind.DELETED}
    assert world[APP].tags == {}


def test_an_index_goes_in_a_request_before_that_of_its_platforms() -> None:
    world = filled(1)
    index, children = with_index(world)
    with site(world) as ecr:
        assert outcomes(ecr.delete(*children, index)) == {OutcomeKind.DELETED}
        first, second = deletions(ecr)
    assert (first, set(second)) == ([index], set(children))


def test_a_platform_that_an_index_still_names_stays_and_is_no_failure() -> None:
    world = World()
    index, (child, _) = with_index(world)
    with site(world) as ecr:
        (result,) = ecr.delete(child).values()
    assert result.outcome is OutcomeKind.REFUSED
    assert index in (result.detail or "")
    assert child in world[APP].manifests


def test_what_an_index_named_a_moment_ago_is_tried_once_more() -> None:
    world = World()
    index, (child, _) = with_index(world)
    with site(world) as ecr:
        images = ecr.images(child)
        world.forget(APP, index)
        ecr.server.lags.append(child)
        (result,) = ecr.registry.delete(APP, images)
    assert result.outcome is OutcomeKind.DELETED


def test_where_an_index_could_not_go_its_platforms_are_not_asked_for() -> None:
    world = World()
    index, children = with_index(world)
    with site(world) as ecr:
        ecr.server.failing[index] = "KmsError"
        results = ecr.delete(index, *children)
        assert deletions(ecr) == [[index]]
    assert outcomes(results) == {OutcomeKind.FAILED}
    assert "KmsError" in (results[index].detail or "")


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("ImageNotFound", OutcomeKind.DELETED),
        ("ImageReferencedByManifestList", OutcomeKind.REFUSED),
        ("InvalidImageDigest", OutcomeKind.FAILED),
        ("InvalidImageTag", OutcomeKind.FAILED),
        ("ImageTagDoesNotMatchDigest", OutcomeKind.FAILED),
        ("MissingDigestAndTag", OutcomeKind.FAILED),
        ("KmsError", OutcomeKind.FAILED),
        ("UpstreamAccessDenied", OutcomeKind.FAILED),
        ("UpstreamTooManyRequests", OutcomeKind.FAILED),
        ("UpstreamUnavailable", OutcomeKind.FAILED),
        ("ImageInaccessible", OutcomeKind.FAILED),
    ],
)
def test_every_failure_inside_a_good_answer_is_told(code: str, outcome: OutcomeKind) -> None:
    world = filled(2)
    bad, good = world[APP].tags["1.0"], world[APP].tags["1.1"]
    with site(world) as ecr:
        ecr.server.failing[bad] = code
        results = ecr.delete(bad, good)
    assert (results[bad].outcome, results[good].outcome) == (outcome, OutcomeKind.DELETED)
    assert results[bad].detail


def test_an_archived_image_is_deleted_as_any_other() -> None:
    world = filled(1)
    digest = world[APP].tags["1.0"]
    world[APP].archived[digest] = world.now
    with site(world) as ecr:
        assert outcomes(ecr.delete(digest)) == {OutcomeKind.DELETED}


def test_immutable_tags_keep_no_image_from_being_deleted() -> None:
    world = filled(1)
    digest = world[APP].tags["1.0"]
    with site(world) as ecr:
        ecr.server.mutability[APP] = "IMMUTABLE"
        assert ecr.listed()[digest].locked is False
        assert outcomes(ecr.delete(digest)) == {OutcomeKind.DELETED}


@pytest.mark.parametrize("kind", ["lost-answer", "cut", "cut-json"])
def test_a_deletion_whose_answers_are_all_lost_is_looked_up(kind: str) -> None:
    world = filled(2)
    digest = world[APP].tags["1.0"]
    with site(world) as ecr:
        images = ecr.images(digest)
        ecr.world.fault(kind, times=ALWAYS, match="BatchDeleteImage")
        (result,) = ecr.registry.delete(APP, images)
    assert result.outcome is OutcomeKind.DELETED
    assert "lost" in (result.detail or "")


def test_what_could_not_be_looked_up_either_is_a_failure_that_says_so() -> None:
    world = filled(2)
    with site(world) as ecr:
        images = ecr.images(world[APP].tags["1.0"])
        ecr.world.fault("lost-answer", times=ALWAYS, match="BatchDeleteImage")
        ecr.world.fault("error", times=ALWAYS, match="DescribeImages")
        (result,) = ecr.registry.delete(APP, images)
    assert result.outcome is OutcomeKind.FAILED
    assert "isn't known" in (result.detail or "")


def test_an_image_that_the_answer_leaves_out_is_looked_up() -> None:
    world = filled(2)
    digest = world[APP].tags["1.0"]
    with site(world) as ecr:
        images = ecr.images(digest)
        ecr.server.said["BatchDeleteImage"] = b'{"imageIds": [], "failures": []}'
        (result,) = ecr.registry.delete(APP, images)
    assert (result.outcome, result.detail) == (OutcomeKind.FAILED, "ECR did not answer for it")


def test_a_repository_without_the_right_fails_alone() -> None:
    world = filled(2)
    world.push("team/other", tags=["1"])
    with site(world) as ecr:
        images = ecr.images(*world[APP].manifests)
        others = list(ecr.listed(repository="team/other").values())
        ecr.server.denied.add(f"BatchDeleteImage {APP}")
        denied = list(ecr.registry.delete(APP, images))
        (allowed,) = ecr.registry.delete("team/other", others)
    assert {result.outcome for result in denied} == {OutcomeKind.FAILED}
    assert all("ecr:BatchDeleteImage" in (result.detail or "") for result in denied)
    assert allowed.outcome is OutcomeKind.DELETED


def test_a_repository_that_vanished_took_its_images_along() -> None:
    world = filled(2)
    with site(world) as ecr:
        images = ecr.images(*world[APP].manifests)
        del world.repositories[APP]
        results = list(ecr.registry.delete(APP, images))
        now = ecr.registry.tags_now(APP, images)
    assert {result.outcome for result in results} == {OutcomeKind.DELETED}
    assert set(now.values()) == {None}


def test_tags_of_a_hundred_images_are_read_at_once() -> None:
    world = filled(120)
    with site(world, page=1000) as ecr:
        images = list(ecr.listed().values())
        before = len(ecr.server.requests)
        now = ecr.registry.tags_now(APP, images)
        assert len(ecr.server.requests) - before == 2
    assert now == {each.digest: frozenset(each.tags) for each in images}


@pytest.mark.parametrize("missing", [1, 3, 50])
def test_missing_images_do_not_keep_the_tags_of_the_others_from_being_read(missing: int) -> None:
    world = filled(20)
    with site(world, page=1000) as ecr:
        there = list(ecr.listed().values())
        gone = [image(id=f"gone {n}") for n in range(missing)]
        before = len(ecr.server.requests)
        now = ecr.registry.tags_now(APP, [*gone, *there])
        assert len(ecr.server.requests) - before <= 8
    assert {digest for digest, tags in now.items() if tags is None} == {each.digest for each in gone}


def test_tags_of_archived_images_are_read_too() -> None:
    world = filled(1)
    digest = world[APP].tags["1.0"]
    world[APP].archived[digest] = world.now
    with site(world) as ecr:
        assert ecr.registry.tags_now(APP, ecr.images(digest)) == {digest: frozenset({"1.0"})}


def test_the_last_tag_is_never_taken_off() -> None:
    world = filled(1)
    digest = world[APP].tags["1.0"]
    world.retag(APP, "old", digest)
    with site(world) as ecr:
        (target,) = ecr.images(digest)
        world[APP].untag("1.0")
        result = ecr.registry.untag(APP, target, ["old"])
        assert deletions(ecr) == []
    assert result.outcome is OutcomeKind.REFUSED
    assert world[APP].tags == {"old": digest}


def test_tags_are_taken_off_by_tag_and_digest_in_one_request() -> None:
    world = filled(1)
    digest = world[APP].tags["1.0"]
    for tag in ("a", "b"):
        world.retag(APP, tag, digest)
    with site(world) as ecr:
        (target,) = ecr.images(digest)
        assert ecr.registry.untag(APP, target, ["a", "b"]).outcome is OutcomeKind.UNTAGGED
        (asked,) = ecr.server.asked_for("BatchDeleteImage")
    assert asked["imageIds"] == [{"imageDigest": digest, "imageTag": tag} for tag in ("a", "b")]
    assert world[APP].tags == {"1.0": digest}


def test_a_tag_that_moves_between_the_look_and_the_request_stays_where_it_went() -> None:
    world = filled(2)
    first, second = world[APP].tags["1.0"], world[APP].tags["1.1"]
    world.retag(APP, "moving", first)
    with site(world) as ecr:
        (target,) = ecr.images(first)
        ecr.server.before["BatchDeleteImage"] = lambda: world.retag(APP, "moving", second)
        result = ecr.registry.untag(APP, target, ["moving"])
    assert result.outcome is OutcomeKind.UNTAGGED
    assert world[APP].tags["moving"] == second


def test_an_image_that_went_with_its_last_tag_is_told_loudly() -> None:
    world = filled(1)
    digest = world[APP].tags["1.0"]
    world.retag(APP, "old", digest)
    with site(world) as ecr:
        (target,) = ecr.images(digest)
        ecr.server.before["BatchDeleteImage"] = lambda: world[APP].untag("1.0")
        result = ecr.registry.untag(APP, target, ["old"])
    assert result.outcome is OutcomeKind.FAILED
    assert "THE IMAGE" in (result.detail or "")


def test_an_index_is_archived_before_its_platforms() -> None:
    world = World()
    index, children = with_index(world)
    with site(world, Memory()) as ecr:
        results = archive(ecr, ecr.images(*children, index))
        moved = [asked["imageId"]["imageDigest"] for asked in ecr.server.asked_for("UpdateImageStorageClass")]
    assert outcomes(results) == {OutcomeKind.ARCHIVED}
    assert moved[0] == index
    assert world[APP].archived.keys() == {index, *children}
    assert world[APP].tags["2.0"] == index


def test_a_platform_of_an_index_that_stays_is_refused_the_archive() -> None:
    world = World()
    _, (child, _) = with_index(world)
    with site(world) as ecr:
        (result,) = archive(ecr, ecr.images(child)).values()
    assert result.outcome is OutcomeKind.REFUSED
    assert world[APP].archived == {}


@pytest.mark.parametrize("kind", ["lost-answer", "gateway", "throttle", "error"])
def test_a_move_whose_answer_is_lost_is_archived_all_the_same(kind: str) -> None:
    world = filled(1)
    digest = world[APP].tags["1.0"]
    with site(world) as ecr:
        images = ecr.images(digest)
        ecr.world.fault(kind, match="UpdateImageStorageClass")
        (result,) = archive(ecr, images).values()
    assert result.outcome is OutcomeKind.ARCHIVED
    assert digest in world[APP].archived


def test_what_is_gone_can_not_be_archived_and_is_no_failure() -> None:
    world = filled(2)
    digest = world[APP].tags["1.0"]
    with site(world) as ecr:
        images = ecr.images(digest)
        world.forget(APP, digest)
        (result,) = archive(ecr, images).values()
    assert (result.outcome, result.detail) == (OutcomeKind.DELETED, "it was gone already")


def test_what_is_archived_comes_back_with_its_tags_and_takes_a_while() -> None:
    world = filled(1)
    digest = world[APP].tags["1.0"]
    world[APP].archived[digest] = world.now
    with site(world) as ecr:
        (result,) = restore(ecr, Keepsake(digest=digest, tags=("1.0",))).values()
        assert result.outcome is OutcomeKind.RESTORED
        assert "20 minutes" in (result.detail or "")
        world.now += ACTIVATION
        assert ecr.listed()[digest].pushed_at == world.now
    assert world[APP].tags == {"1.0": digest}


def test_a_tag_that_is_elsewhere_by_now_stays_there() -> None:
    world = filled(2)
    first, second = world[APP].tags["1.0"], world[APP].tags["1.1"]
    world[APP].archived[first] = world.now
    world.retag(APP, "1.0", second)
    with site(world) as ecr:
        (result,) = restore(ecr, Keepsake(digest=first, tags=("1.0",))).values()
    assert result.outcome is OutcomeKind.RESTORED
    assert "without 1.0" in (result.detail or "")
    assert world[APP].tags["1.0"] == second


def test_what_was_deleted_does_not_come_back() -> None:
    with site(filled(1)) as ecr:
        gone = digest_of("gone")
        (result,) = restore(ecr, Keepsake(digest=gone)).values()
    assert result.outcome is OutcomeKind.FAILED


def test_what_never_went_is_there_and_says_so() -> None:
    world = filled(1)
    digest = world[APP].tags["1.0"]
    with site(world) as ecr:
        (result,) = restore(ecr, Keepsake(digest=digest, tags=("1.0",))).values()
        assert ecr.server.asked_for("UpdateImageStorageClass") == []
    assert (result.outcome, result.detail) == (OutcomeKind.RESTORED, "it is not in the archive")


def test_no_keepsake_promises_what_a_deletion_takes() -> None:
    with site(filled(1)) as ecr:
        assert ecr.registry.keepsakes(APP, list(ecr.listed().values())) == {}


def test_a_denied_move_is_a_failure_that_names_the_right() -> None:
    world = filled(1)
    with site(world) as ecr:
        images = ecr.images(*world[APP].manifests)
        ecr.server.denied.add("UpdateImageStorageClass")
        (result,) = archive(ecr, images).values()
    assert result.outcome is OutcomeKind.FAILED
    assert "ecr:UpdateImageStorageClass" in (result.detail or "")


def test_tags_that_can_not_be_read_are_an_error() -> None:
    with site(filled(2)) as ecr:
        images = list(ecr.listed().values())
        ecr.server.said["DescribeImages"] = b"{}"
        with pytest.raises(RegistryError):
            ecr.registry.tags_now(APP, images)
