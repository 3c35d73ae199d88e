from __future__ import annotations

import gzip
import json

from janitor.core.image import ImageType
from tests.factories import ago
from tests.simulators import content
from tests.simulators.world import ARM64, World


def test_what_is_pushed_is_its_digest_and_names_what_is_there() -> None:
    world = World()
    digest = world.push("team/app", tags=["1.0", "latest"], created="30d", labels={"a": "b"})
    held = world["team/app"].manifests[digest]
    manifest = json.loads(held.body)
    assert content.sha256(held.body) == digest
    assert world["team/app"].tags_of(digest) == {"1.0", "latest"}
    for descriptor in (manifest["config"], *manifest["layers"]):
        assert content.sha256(world.blobs[descriptor["digest"]]) == descriptor["digest"]
        assert len(world.blobs[descriptor["digest"]]) == descriptor["size"]
    config = json.loads(world.blobs[manifest["config"]["digest"]])
    unpacked = gzip.decompress(world.blobs[manifest["layers"][0]["digest"]])
    assert config["rootfs"]["diff_ids"] == [content.sha256(unpacked)]
    assert config["created"] == "2026-05-02T00:00:00Z"
    assert held.created_at == ago("30d")


def test_two_worlds_made_alike_are_alike() -> None:
    first, second = World(), World()
    assert first.push("a", tags=["1"]) == second.push("a", tags=["1"])


def test_two_pushes_of_one_world_are_two_images_unless_their_text_is_one() -> None:
    world = World()
    assert world.push("a") != world.push("a")
    assert world.push("a", text="same") == world.push("a", text="same")


def test_an_index_names_its_children_and_their_attestations() -> None:
    world = World()
    amd, arm = world.push("a"), world.push("a", platform=ARM64)
    held = world["a"].manifests[world.push_index("a", children=[amd, arm], provenance=True)]
    assert held.children[:2] == (amd, arm)
    assert len(held.children) == 4
    assert world["a"].holders_of(amd) == {held.digest}


def test_a_fallback_index_names_every_referrer() -> None:
    world = World()
    subject = world.push("a", tags=["1"])
    first = world.refer("a", subject, fallback=True)
    second = world.refer("a", subject, fallback=True)
    index = world["a"].tags[subject.replace(":", "-")]
    assert world["a"].manifests[index].children == (first, second)


def test_cosign_puts_its_images_under_tags_of_the_subject() -> None:
    world = World()
    subject = world.push("a", tags=["1"])
    signature = world.sign("a", subject)
    assert world["a"].tags_of(signature) == {f"{subject.replace(':', '-')}.sig"}
    assert world["a"].manifests[signature].type is ImageType.SIGNATURE


def test_a_signed_schema1_manifest_has_the_digest_of_its_payload() -> None:
    world = World()
    digest = world.schema1("a")
    body = world["a"].manifests[digest].body
    assert content.sha256(body) != digest
    assert json.loads(body)["signatures"]


def test_a_copy_is_changed_alone() -> None:
    world = World()
    digest = world.push("a", tags=["1"])
    twin = world.copy()
    twin.forget("a", digest)
    assert world["a"].tags == {"1": digest}
    assert digest in twin["a"].absent


def test_a_fault_strikes_after_so_many_and_so_often() -> None:
    world = World()
    world.fault("error", after=1, times=2, match="GET")
    struck = [world.strike(request) is not None for request in ("GET /", "PUT /", "GET /", "GET /", "GET /")]
    assert struck == [False, False, True, True, False]
