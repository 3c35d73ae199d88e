"""The provider against moto, a second opinion on ECR: what moto is right about must hold there too.

moto has no pages, no limits, no classes, takes a child of a living index away, and an image with one of its
tags: of those only the simulator tells.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from janitor.core.image import Image
from janitor.core.report import OutcomeKind
from janitor.providers.ecr.registry import Ecr
from janitor.providers.interface import Context, Level, Registry, Unit
from janitor.providers.keys import EcrKeys
from tests.conformance.ecr_stage import ENVIRON
from tests.conformance.stages import EVERYTHING
from tests.factories import image, registry_spec
from tests.simulators import content

REGION = "eu-west-1"
APP = "team/app"


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def client(moto: str) -> Iterator[Any]:
    made = boto3.client(
        "ecr",
        region_name=REGION,
        endpoint_url=moto,
        aws_access_key_id="AKIDTEST",
        aws_secret_access_key="secret",
    )
    made.create_repository(repositoryName=APP)
    yield made
    made.delete_repository(repositoryName=APP, force=True)
    made.close()


@pytest.fixture
def registry(moto: str) -> Iterator[Registry]:
    keys = EcrKeys(region=REGION, endpoint=moto)
    made = Ecr.open(registry_spec("prod", "ecr", keys), Context(environ=ENVIRON, sleep=lambda _: None))
    yield made
    made.close()


def push(client: Any, text: str, *tags: str) -> str:
    """An image whose layer holds the text. -> its digest, as moto works it out."""
    layer, unpacked = content.layer(text)
    config = content.image_config(
        unpacked, created=None, labels=None, platform={"os": "linux", "architecture": "amd64"}
    )
    body = content.image_manifest(content.OCI_IMAGE, config, [layer.descriptor()])
    manifest = json.dumps(json.loads(body))
    for tag in tags or (None,):
        named = {"imageTag": tag} if tag else {}
        answer = client.put_image(repositoryName=APP, imageManifest=manifest, **named)
    return str(answer["image"]["imageId"]["imageDigest"])


def listed(registry: Registry) -> dict[str, Image]:
    (listing,) = registry.list(Unit(name=APP), frozenset())
    return {each.digest: each for each in listing.images}


def test_what_was_pushed_is_listed(client: Any, registry: Registry) -> None:
    tagged, untagged = push(client, "a", "1", "latest"), push(client, "b")
    assert [unit.name for unit in registry.units(EVERYTHING)] == [APP]
    images = listed(registry)
    assert {digest: set(each.tags) for digest, each in images.items()} == {
        tagged: {"1", "latest"},
        untagged: set(),
    }
    assert all(
        each.pushed_at is not None and each.media_type == content.OCI_IMAGE for each in images.values()
    )
    assert "123456789012.dkr.ecr.eu-west-1.amazonaws.com" in registry.hosts


def test_an_empty_repository_is_an_empty_listing_and_so_is_one_that_is_not_there(
    client: Any, registry: Registry
) -> None:
    assert listed(registry) == {}
    (listing,) = registry.list(Unit(name="team/other"), frozenset())
    assert listing.images == ()
    assert client.describe_images(repositoryName=APP)["imageDetails"] == []


def test_tags_are_read_and_missing_images_told_apart(client: Any, registry: Registry) -> None:
    digest = push(client, "a", "1", "2")
    never = image(id="never")
    now = registry.tags_now(APP, [*listed(registry).values(), never])
    assert now == {digest: frozenset({"1", "2"}), never.digest: None}


def test_what_is_deleted_is_gone_with_its_tags_and_the_rest_is_there(client: Any, registry: Registry) -> None:
    goes, stays = push(client, "a", "1", "2"), push(client, "b", "3")
    images = listed(registry)
    results = list(registry.delete(APP, [images[goes], image(id="never")]))
    assert {result.outcome for result in results} == {OutcomeKind.DELETED}
    assert len(results) == 2
    assert set(listed(registry)) == {stays}


def test_the_last_tag_is_never_taken_off(client: Any, registry: Registry) -> None:
    digest = push(client, "a", "1")
    (target,) = listed(registry).values()
    assert registry.untag(APP, target, ["1"]).outcome is OutcomeKind.REFUSED
    assert set(listed(registry)) == {digest}


def test_an_image_that_went_with_one_of_its_tags_is_told_loudly(client: Any, registry: Registry) -> None:
    """moto, unlike ECR, deletes the image when a digest and one of its tags are named together."""
    push(client, "a", "1", "2")
    (target,) = listed(registry).values()
    result = registry.untag(APP, target, ["2"])
    assert (result.outcome, listed(registry)) == (OutcomeKind.FAILED, {})
    assert "THE IMAGE" in (result.detail or "")


def test_who_asks_is_told(client: Any, registry: Registry) -> None:
    push(client, "a", "1")
    found = next(iter(registry.check()))
    assert (found.about, found.level) == ("credentials", Level.OK)
    assert "123456789012" in found.message
