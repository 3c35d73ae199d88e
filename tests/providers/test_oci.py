"""The ``oci`` provider: what it makes of the distribution API, beyond what every provider must."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from janitor.core.image import ImageType
from janitor.core.known import Known
from janitor.core.pattern import PatternKind, PatternList
from janitor.core.report import OutcomeKind
from janitor.errors import Malformed, Stopped, Unsupported
from janitor.providers import PROVIDERS
from janitor.providers.interface import Context, Field, Listing, Registry, RepositoryFilter, Result, Unit
from janitor.providers.keys import OciKeys
from tests.factories import registry_spec
from tests.net.scripted import Scripted, Time, json
from tests.simulators.oci import DISTRIBUTION_2, DISTRIBUTION_3, HARBOR, ZOT, Flavour, OciServer
from tests.simulators.server import Answer, Request
from tests.simulators.world import World

EVERYTHING = RepositoryFilter(covered=(PatternList.of(["**"], PatternKind.REPOSITORY),))
NOTHING: frozenset[Field] = frozenset()


class Memory:
    def __init__(self) -> None:
        self.kept: dict[str, Mapping[str, Known]] = {}

    def recall(self, registry: str, repository: str) -> Mapping[str, Known]:
        return self.kept.get(f"{registry}/{repository}", {})

    def keep(self, registry: str, repository: str, known: Mapping[str, Known]) -> None:
        self.kept[f"{registry}/{repository}"] = dict(known)


def opened(
    endpoint: str,
    *,
    spec: Mapping[str, Any] | None = None,
    context: Mapping[str, Any] | None = None,
    **keys: Any,
) -> Registry:
    time = Time()
    settings = {"environ": {}, "sleep": time.sleep, "clock": time.clock, "random": lambda: 1.0}
    return PROVIDERS["oci"].open(
        registry_spec(keys=OciKeys(endpoint=endpoint, **keys), **(spec or {})),
        Context(**{**settings, **(context or {})}),
    )


def listing(registry: Registry, repository: str = "a", wanted: frozenset[Field] = NOTHING) -> Listing:
    (found,) = registry.list(Unit(name=repository), wanted)
    return found


def serve(world: World, flavour: Flavour = DISTRIBUTION_3) -> OciServer:
    return OciServer(world, flavour)


@pytest.mark.parametrize(
    ("endpoint", "hosts"),
    [
        ("https://Registry.example", {"registry.example"}),
        ("https://registry.example:443/", {"registry.example"}),
        ("https://registry.example:5000", {"registry.example:5000"}),
        ("http://localhost:5000", {"localhost:5000"}),
        ("http://registry.example", {"registry.example", "registry.example:80"}),
        ("https://registry-1.docker.io", {"docker.io"}),
    ],
)
def test_its_images_are_pulled_from_its_host(endpoint: str, hosts: set[str]) -> None:
    assert set(opened(endpoint).hosts) == hosts


def test_aliases_are_further_hosts() -> None:
    spec = {"aliases": ("https://Mirror.example/", "cache.example:5000/hub", "registry.example")}
    hosts = opened("https://registry.example", spec=spec).hosts
    assert hosts == ("registry.example", "mirror.example", "cache.example:5000/hub")


def test_an_endpoint_holds_no_credentials() -> None:
    with pytest.raises(Malformed) as raised:
        opened("https://me:hunter2@registry.example")
    assert "hunter2" not in str(raised.value)


def test_no_representation_shows_a_secret() -> None:
    keys = OciKeys(endpoint="https://r.example", username="me", password="hunter2", token="hunter2")
    assert "hunter2" not in repr(keys)
    assert "hunter2" not in repr(registry_spec(keys=keys))
    assert "me" in repr(keys)


def test_opening_asks_nothing() -> None:
    with serve(World()) as server:
        opened(server.address).close()
        assert server.requests == []


def test_named_repositories_need_no_catalogue() -> None:
    with serve(World()) as server:
        units = opened(server.address, spec={"repositories": ("b", "a", "b")}).units(EVERYTHING)
        assert [unit.name for unit in units] == ["a", "b"]
        assert server.requests == []


def test_named_repositories_that_no_policy_covers_are_left_out() -> None:
    only = RepositoryFilter(covered=(PatternList.of(["a*"], PatternKind.REPOSITORY),))
    registry = opened("http://127.0.0.1:9", spec={"repositories": ("a", "b", "ab")})
    assert [unit.name for unit in registry.units(only)] == ["a", "ab"]


@pytest.mark.parametrize("status", [404, 405])
def test_a_registry_without_a_catalogue_says_what_to_do(status: int) -> None:
    with (
        Scripted(lambda _: Answer(status=status)) as server,
        pytest.raises(Unsupported, match="`repositories`"),
    ):
        list(opened(server.address).units(EVERYTHING))


def test_an_old_schema_is_listed_and_locked() -> None:
    world = World()
    digest = world.schema1("a", tags=["old", "older"])
    world.push("a", tags=["new"])
    with serve(world) as server:
        images = {image.digest: image for image in listing(opened(server.address)).images}
        old = images[digest]
    assert (old.locked, old.tags, old.children) == (True, ("old", "older"), ())
    assert old.media_type == "application/vnd.docker.distribution.manifest.v1+prettyjws"


def test_configurations_are_read_only_if_asked_for_and_once() -> None:
    world = World()
    world.push("a", tags=["1"], labels={"team": "x"}, annotations={"team": "y", "z": "1"})
    memory = Memory()
    with serve(world) as server:
        registry = opened(server.address, context={"memory": memory})
        (image,) = listing(registry).images
        assert (image.labels, image.created_at) == (None, None)
        assert server.asked("GET", "/blobs/") == []
        for _ in range(2):
            (image,) = listing(registry, wanted=frozenset({Field.LABELS})).images
            assert image.labels == {"team": "y", "z": "1"}
        (again,) = listing(registry).images
        assert again == image
        assert len(server.asked("GET", "/blobs/")) == 1
        assert len(server.asked("GET", "/manifests/")) == 1


def test_a_configuration_that_is_gone_leaves_the_time_unknown() -> None:
    world = World()
    world.push("a", tags=["1"])
    world.blobs.clear()
    with serve(world) as server:
        (image,) = listing(opened(server.address), wanted=frozenset(Field)).images
    assert (image.created_at, image.labels, image.tags) == (None, None, ("1",))


def test_a_scheme_tag_says_what_a_manifest_does_not() -> None:
    world = World()
    digest = world.push("a", tags=["1"])
    world.push("a", tags=[digest.replace(":", "-") + ".sbom"])
    with serve(world) as server:
        types = {image.tags[0]: image.type for image in listing(opened(server.address)).images}
    assert sorted(map(str, types.values())) == [ImageType.IMAGE, ImageType.SBOM]


class Vanishing:
    """A repository whose tag ``b`` is listed, and gone when it is asked for, so many times."""

    def __init__(self, times: int) -> None:
        self.left = times

    def __call__(self, request: Request) -> Answer:
        if request.path.endswith("/tags/list"):
            return json('{"tags":["b"]}' if self.left > 0 else '{"tags":null}')
        self.left -= 1
        return json('{"errors":[{"code":"MANIFEST_UNKNOWN"}]}', 404)


def test_a_tag_that_vanishes_starts_the_listing_anew() -> None:
    with Scripted(Vanishing(1)) as server:
        assert listing(opened(server.address)).images == ()


def test_tags_that_keep_vanishing_are_no_listing() -> None:
    memory = Memory()
    with Scripted(Vanishing(100)) as server, pytest.raises(Malformed, match="lost tags"):
        listing(opened(server.address, context={"memory": memory}))
    assert memory.kept == {}


def test_what_is_known_and_gone_is_forgotten() -> None:
    world = World()
    first, second = world.push("a", tags=["1"]), world.push("a", tags=["2"])
    memory = Memory()
    with serve(world) as server:
        registry = opened(server.address, context={"memory": memory})
        listing(registry)
        assert set(memory.kept["prod/a"]) == {first, second}
        world.forget("a", first)
        listing(registry)
        assert set(memory.kept["prod/a"]) == {second}


def test_a_tag_that_moved_onto_an_image_is_seen_before_it_is_deleted() -> None:
    world = World()
    first, second = world.push("a", tags=["1"]), world.push("a", tags=["stable"])
    with serve(world) as server:
        registry = opened(server.address)
        images = [image for image in listing(registry).images if image.digest == first]
        world.retag("a", "stable", first)
        assert registry.tags_now("a", images) == {first: frozenset({"1", "stable"})}
    assert second in world["a"].manifests


@pytest.mark.parametrize("flavour", [HARBOR, ZOT])
def test_what_holds_an_image_that_stays_keeps_it(flavour: Flavour) -> None:
    world = World()
    child = world.push("a")
    index = world.push_index("a", children=[child], tags=["1"])
    world.fault("error", match=f"DELETE /v2/a/manifests/{index}", times=100, status=409)
    with serve(world, flavour) as server:
        registry = opened(server.address)
        results = {each.digest: each for each in registry.delete("a", listing(registry).images)}
        assert server.asked("DELETE", child) == []
    assert {each.outcome for each in results.values()} == {OutcomeKind.REFUSED, OutcomeKind.FAILED}
    assert "index" in (results[child].detail or "")
    assert {child, index} <= set(world["a"].manifests)


def test_deletion_that_is_switched_off_is_refused_and_says_how_to_switch_it_on() -> None:
    world = World()
    world.push("a", tags=["1"])
    with serve(world, msgspec.structs.replace(DISTRIBUTION_2, deletes=False)) as server:
        registry = opened(server.address)
        (result,) = registry.delete("a", listing(registry).images)
    assert result.outcome is OutcomeKind.REFUSED
    assert "REGISTRY_STORAGE_DELETE_ENABLED" in (result.detail or "")


def test_a_stop_lets_what_was_sent_be_told_and_sends_nothing_more() -> None:
    world = World()
    for i in range(30):
        world.push("a", tags=[str(i)])
    stop = threading.Event()
    with serve(world) as server:
        registry = opened(server.address, context={"stop": stop, "concurrency": 1})
        images = listing(registry).images
        told: list[Result] = []

        def delete_until_stopped() -> None:
            for result in registry.delete("a", images):
                told.append(result)
                stop.set()

        with pytest.raises(Stopped):
            delete_until_stopped()
        asked = server.asked("DELETE")
    assert {each.outcome for each in told} == {OutcomeKind.DELETED}
    assert len(asked) == len(told) < 30
    assert len(world["a"].manifests) == 30 - len(told)


def test_tags_are_not_taken_off_unless_the_policy_says_that_images_stay() -> None:
    world = World()
    world.push("a", tags=["1", "2"])
    with serve(world) as server:
        registry = opened(server.address)
        (image,) = listing(registry).images
        with pytest.raises(Unsupported, match="deletes_tags"):
            registry.untag("a", image, ["1"])
        assert server.asked("DELETE") == []
        assert not registry.abilities.untags


def test_a_registry_that_deletes_the_image_with_the_tag_is_found_out_at_the_first() -> None:
    world = World()
    digest = world.push("a", tags=["1", "2", "3"])

    class Careless(OciServer):
        def answer(self, request: Request) -> Answer:
            if request.method == "DELETE":
                self.world.forget("a", digest)
                return Answer(status=202)
            return super().answer(request)

    with Careless(world, DISTRIBUTION_3) as server:
        registry = opened(server.address, deletes_tags=True)
        (image,) = listing(registry).images
        result = registry.untag("a", image, ["1", "2"])
        assert len(server.asked("DELETE")) == 1
    assert result.outcome is OutcomeKind.FAILED
    assert "DELETED THE IMAGE" in (result.detail or "")


def test_a_tag_that_moved_is_not_taken_off() -> None:
    world = World()
    first = world.push("a", tags=["1", "moving"])
    world.push("a", tags=["2"])
    with serve(world) as server:
        registry = opened(server.address, deletes_tags=True)
        (image,) = (each for each in listing(registry).images if each.digest == first)
        world.retag("a", "moving", world["a"].tags["2"])
        result = registry.untag("a", image, ["moving"])
        assert server.asked("DELETE") == []
    assert result.outcome is OutcomeKind.FAILED
    assert re.search("moving points to sha256:", result.detail or "")


def test_requests_are_counted_by_what_they_were_for() -> None:
    world = World()
    world.push("a", tags=["1"])
    with serve(world) as server:
        registry = opened(server.address)
        images = listing(registry).images
        list(registry.delete("a", images))
        traffic = registry.traffic()
        assert traffic.requests.list + traffic.requests.delete == len(server.requests)
        assert traffic.requests.delete == 1
        assert traffic.retries == 0


@pytest.mark.parametrize("concurrency", [1, 4, 64])
def test_a_listing_is_the_same_with_one_thread_or_many(concurrency: int) -> None:
    world = World()
    for i in range(40):
        child = world.push("a")
        world.push_index("a", children=[child], tags=[f"v{i}", f"x{i % 7}"])
    with serve(world, DISTRIBUTION_2) as server:
        alone = listing(opened(server.address, context={"concurrency": 1}), wanted=frozenset(Field))
        together = listing(
            opened(server.address, context={"concurrency": concurrency}), wanted=frozenset(Field)
        )
    assert alone == together
