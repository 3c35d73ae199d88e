"""The simulator speaks with Google's own client as the service does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from google.api_core import exceptions
from google.cloud import artifactregistry_v1 as ar
from google.cloud.artifactregistry_v1.services.artifact_registry.transports import (
    ArtifactRegistryGrpcTransport,
)

from tests.net.scripted import http
from tests.simulators.gar import SLOW, Flavour, GarServer, Settings
from tests.simulators.world import World

A = "all/team/a"


@contextmanager
def serving(world: World, flavour: Flavour | None = None, **settings: Any) -> Iterator[tuple[GarServer, Any]]:
    """A server, and Google's client to it as anybody would make it."""
    with GarServer(world, flavour or Flavour(name="large", page=5000), **settings) as server:
        channel = grpc.insecure_channel(
            server.address.removeprefix("http://"), options=[("grpc.max_receive_message_length", -1)]
        )
        yield server, ar.ArtifactRegistryClient(transport=ArtifactRegistryGrpcTransport(channel=channel))
        channel.close()


def version(server: GarServer, digest: str, package: str = "team%2Fa") -> str:
    return f"{server.parent}/repositories/all/packages/{package}/versions/{digest}"


def test_the_pager_goes_through_all_pages() -> None:
    world = World()
    digests = {world.push(A) for _ in range(5)}
    with serving(world, Flavour(name="small", page=2)) as (server, client):
        found = list(client.list_docker_images(parent=f"{server.parent}/repositories/all"))
        assert {image.name.partition("@")[2] for image in found} == digests
        assert len(server.asked("ListDockerImages")) == 3


def test_pages_have_their_usual_and_their_largest_size() -> None:
    world = World()
    for n in range(1100):
        world.push(A, text=str(n))
    with serving(world) as (server, client):
        parent = f"{server.parent}/repositories/all"
        usual = client.list_docker_images(request={"parent": parent})
        most = client.list_docker_images(request={"parent": parent, "page_size": 5000})
        assert len(next(iter(usual.pages)).docker_images) == 100
        assert len(next(iter(most.pages)).docker_images) == 1000


@pytest.mark.parametrize("request_", [{"page_token": "made-up"}, {"page_size": -1}])
def test_what_makes_no_sense_is_an_invalid_argument(request_: dict[str, Any]) -> None:
    world = World()
    world.push(A)
    with serving(world) as (server, client), pytest.raises(exceptions.InvalidArgument):
        client.list_docker_images(request={"parent": f"{server.parent}/repositories/all", **request_})


def test_slashes_are_escaped_in_names_and_plain_in_addresses() -> None:
    world = World()
    digest = world.push(A, tags=["1"])
    with serving(world) as (server, client):
        (image,) = client.list_docker_images(parent=f"{server.parent}/repositories/all")
        assert image.name.endswith(f"/dockerImages/team%2Fa@{digest}")
        assert image.uri.endswith(f"/acme/all/team/a@{digest}")
        assert client.get_docker_image(name=image.name) == image
        assert client.get_version(name=version(server, digest)).name == version(server, digest)
        for name in (version(server, digest, "team/a"), version(server, f"sha256:{'0' * 64}")):
            with pytest.raises(exceptions.NotFound):
                client.get_version(name=name)


def test_a_version_tells_a_hundred_tags_and_only_in_full() -> None:
    world = World()
    digest = world.push(A, tags=[f"t{n}" for n in range(130)])
    with serving(world) as (server, client):
        basic = client.get_version(name=version(server, digest))
        full = client.get_version(request={"name": version(server, digest), "view": "FULL"})
        assert (len(basic.related_tags), len(full.related_tags)) == (0, 100)
        package = f"{server.parent}/repositories/all/packages/team%2Fa"
        request = {"parent": package, "filter": f'version="{version(server, digest)}"'}
        assert len(list(client.list_tags(request=request))) == 130
        assert [len(page.versions) for page in client.list_versions(parent=package).pages] == [1]


def test_times_that_are_not_known_are_not_set() -> None:
    world = World()
    world.push_index(A, children=[world.push(A)], created="3d")
    with serving(world) as (server, client):
        images = list(client.list_docker_images(parent=f"{server.parent}/repositories/all"))
        (index,) = (image for image in images if image.image_manifests)
        assert (index.build_time, index.image_size_bytes) == (None, 0)
        assert index.upload_time is not None


@pytest.mark.parametrize("late", [False, True])
def test_a_tagged_version_goes_by_force_alone(late: bool) -> None:  # noqa: FBT001 - a parameter
    world = World()
    digest = world.push(A, tags=["1"])
    with serving(world, Flavour(name="x", late=late)) as (server, client):
        with pytest.raises(exceptions.FailedPrecondition):
            client.delete_version(name=version(server, digest)).result()
        client.delete_version(request={"name": version(server, digest), "force": True}).result()
    assert (world[A].manifests, world[A].tags) == ({}, {})


def test_integrity_holds_from_both_sides() -> None:
    world = World()
    child = world.push(A)
    index = world.push_index(A, children=[child])
    referrer = world.refer(A, index)
    with serving(world) as (server, client):
        for digest in (child, index):
            with pytest.raises(exceptions.FailedPrecondition):
                client.delete_version(request={"name": version(server, digest), "force": True})
        for digest in (referrer, index, child):
            client.delete_version(name=version(server, digest)).result()
    assert world[A].manifests == {}


def test_a_batch_is_all_or_nothing() -> None:
    world = World()
    digests = [world.push(A) for _ in range(3)]
    with serving(world) as (server, client):
        package = f"{server.parent}/repositories/all/packages/team%2Fa"
        never = version(server, f"sha256:{'0' * 64}")
        names = [version(server, digest) for digest in digests]
        with pytest.raises(exceptions.NotFound):
            client.batch_delete_versions(request={"parent": package, "names": [*names, never]})
        assert len(world[A].manifests) == 3
        client.batch_delete_versions(request={"parent": package, "names": [never]}).result()
        too_many = {"parent": package, "names": [never] * 76}
        with pytest.raises(exceptions.InvalidArgument):
            client.batch_delete_versions(request=too_many)
        checked = {"parent": package, "names": [*names, never], "validate_only": True}
        client.batch_delete_versions(request=checked).result()
        assert len(world[A].manifests) == 3
        client.batch_delete_versions(request={"parent": package, "names": names}).result()
    assert world[A].manifests == {}


def test_an_operation_takes_its_time() -> None:
    world = World()
    digest = world.push(A)
    with serving(world, SLOW) as (server, client):
        operation = client.delete_version(name=version(server, digest)).operation
        assert not operation.done
        assert not client.get_operation({"name": operation.name}).done
        assert digest in world[A].manifests
        assert client.get_operation({"name": operation.name}).done
        with pytest.raises(exceptions.NotFound):
            client.get_operation({"name": f"{server.parent}/operations/none"})
    assert digest not in world[A].manifests


def test_tags_are_set_and_taken_off_by_name() -> None:
    world = World()
    digest = world.push(A, tags=["1"])
    with serving(world) as (server, client):
        package = f"{server.parent}/repositories/all/packages/team%2Fa"
        new = {"name": f"{package}/tags/2", "version": version(server, digest)}
        client.create_tag(request={"parent": package, "tag_id": "2", "tag": new})
        with pytest.raises(exceptions.AlreadyExists):
            client.create_tag(request={"parent": package, "tag_id": "2", "tag": new})
        assert client.get_tag(name=f"{package}/tags/2").version == version(server, digest)
        client.delete_tag(name=f"{package}/tags/1")
        with pytest.raises(exceptions.NotFound):
            client.delete_tag(name=f"{package}/tags/1")
        server.settings["all"] = Settings(immutable=True)
        with pytest.raises(exceptions.FailedPrecondition):
            client.delete_tag(name=f"{package}/tags/2")
    assert world[A].tags == {"2": digest}


def test_rights_are_asked_for_and_told() -> None:
    world = World()
    world.push(A)
    with serving(world) as (server, client):
        server.rights = frozenset({"artifactregistry.tags.list"})
        with pytest.raises(exceptions.PermissionDenied):
            client.list_docker_images(parent=f"{server.parent}/repositories/all")
        asked = {
            "resource": f"{server.parent}/repositories/all",
            "permissions": ["artifactregistry.tags.list", "artifactregistry.versions.delete"],
        }
        assert client.test_iam_permissions(asked).permissions == ["artifactregistry.tags.list"]


def test_a_virtual_repository_lists_nothing_and_another_project_is_denied() -> None:
    with serving(World(), settings={"front": Settings(mode=2)}) as (server, client):
        (front,) = client.list_repositories(parent=server.parent)
        with pytest.raises(exceptions.FailedPrecondition):
            client.list_docker_images(parent=front.name)
        with pytest.raises(exceptions.PermissionDenied):
            client.list_repositories(parent="projects/other/locations/europe-west1")
        places = client.list_locations({"name": server.parent.partition("/locations/")[0]})
        assert [place.location_id for place in places.locations] == ["europe-west1"]


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("throttle", exceptions.ResourceExhausted),
        ("error", exceptions.ServiceUnavailable),
        ("reset", exceptions.ServiceUnavailable),
        ("cut", exceptions.InternalServerError),
        ("cut-json", exceptions.InternalServerError),
        ("unauthorized", exceptions.Unauthenticated),
        ("gateway", exceptions.DeadlineExceeded),
    ],
)
def test_faults_reach_the_client_as_the_service_would_give_them(
    kind: str, error: type[exceptions.GoogleAPICallError]
) -> None:
    world = World()
    world.push(A)
    world.fault(kind, match="ListDockerImages", retry_after="3")
    with serving(world) as (server, client):
        with pytest.raises(error) as raised:
            client.list_docker_images(parent=f"{server.parent}/repositories/all")
        if kind == "throttle":
            assert [detail.retry_delay.seconds for detail in raised.value.details] == [3]
        assert len(list(client.list_docker_images(parent=f"{server.parent}/repositories/all"))) == 1


def test_the_registry_serves_the_same_manifests_below_the_project() -> None:
    world = World()
    digest = world.push(A, tags=["1"])
    with serving(world) as (server, _):
        address = f"{server.registry.address}/v2/acme/all/team/a/manifests/{digest}"
        assert http().request("GET", address).body == world[A].manifests[digest].body
