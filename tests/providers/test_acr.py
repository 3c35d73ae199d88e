"""The ``acr`` provider: what it makes of Azure's lists and locks, beyond what every provider must."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest
from msgspec import UNSET

from janitor.core.image import ImageType
from janitor.errors import Denied, Malformed, RegistryError, Unreachable
from janitor.providers.acr.registry import Acr
from janitor.providers.interface import Context
from janitor.providers.keys import AcrKeys
from tests.conformance.stages import Memory
from tests.factories import registry_spec
from tests.providers.azure import ALL_FIELDS, EVERYTHING, Rewriting, image, listing, opened
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


def untold(digest: str, held: Answer) -> Answer:
    """An answer about one manifest without what is said of it."""
    document = json.loads(held.body)
    for entry in document["manifests"]:
        if entry["digest"] == digest:
            for name in ("createdTime", "lastUpdateTime", "changeableAttributes", "imageSize"):
                entry.pop(name, None)
    return Answer(headers=held.headers, body=json.dumps(document).encode())


@pytest.fixture
def rewriting(world: World) -> Iterator[Rewriting]:
    with Rewriting(world) as serving:
        yield serving


@pytest.mark.parametrize(
    ("keys", "hosts"),
    [
        ({"registry": "Acme.azurecr.io"}, ("acme.azurecr.io",)),
        ({"registry": "https://acme-abc123.azurecr.io/"}, ("acme-abc123.azurecr.io",)),
        (
            {"registry": "acme.azurecr.cn", "endpoint": "http://127.0.0.1:9"},
            ("acme.azurecr.cn", "127.0.0.1:9"),
        ),
    ],
)
def test_images_are_pulled_from_the_login_server(keys: dict[str, str], hosts: tuple[str, ...]) -> None:
    made = Acr.open(registry_spec(provider="acr", keys=AcrKeys(**keys)), Context(environ={}))
    assert made.hosts == hosts


def test_aliases_are_further_hosts() -> None:
    spec = registry_spec(
        provider="acr", keys=AcrKeys(registry="acme.azurecr.io"), aliases=("acme.westeurope.geo.azurecr.io",)
    )
    hosts = Acr.open(spec, Context(environ={})).hosts
    assert hosts == ("acme.azurecr.io", "acme.westeurope.geo.azurecr.io")


@pytest.mark.parametrize("name", ["acme", "acme.azurecr.io/team", "me@acme.azurecr.io"])
def test_what_is_no_login_server_is_an_error_that_says_how_to_find_it(name: str) -> None:
    with pytest.raises(Malformed, match="login server"):
        Acr.open(registry_spec(provider="acr", keys=AcrKeys(registry=name)), Context(environ={}))


def test_opening_asks_nothing(server: AcrServer, registry: Acr) -> None:
    assert registry.abilities.records_pushes
    assert server.requests == []


def test_an_empty_registry_that_says_null_holds_nothing(registry: Acr) -> None:
    assert list(registry.units(EVERYTHING)) == []


def test_links_that_are_relative_and_encoded_are_followed_word_for_word(
    server: AcrServer, registry: Acr, world: World
) -> None:
    names = [f"team/app-{number}" for number in range(5)]
    for name in names:
        world.push(name, tags=["1"])
    assert [unit.name for unit in registry.units(EVERYTHING)] == names
    assert server.asked("GET", "_catalog?last=team%2Fapp-1&n=2&orderby=")


def test_named_repositories_take_no_catalogue(world: World) -> None:
    world.push("a", tags=["1"])
    access = AcrAccess(abac=True, catalogues=frozenset())
    with AcrServer(world, AcrFlavour(name="abac", access=access)) as server:
        made = opened(server, spec={"repositories": ("a",)})
        assert [unit.name for unit in made.units(EVERYTHING)] == ["a"]
        assert len(listing(made)) == 1


def test_a_catalogue_that_may_not_be_listed_says_what_to_do(world: World) -> None:
    access = AcrAccess(abac=True, catalogues=frozenset())
    with (
        AcrServer(world, AcrFlavour(name="abac", access=access)) as server,
        pytest.raises(Denied, match=r"`repositories`.*Catalog Lister"),
    ):
        list(opened(server).units(EVERYTHING))


def test_a_repository_that_is_listed_and_not_there_is_empty(registry: Acr) -> None:
    assert listing(registry, "orphan") == []


def test_a_404_that_is_not_the_registry_s_is_no_empty_repository(rewriting: Rewriting, world: World) -> None:
    world.push("a", tags=["1"])
    page = Answer(status=404, headers={"Content-Type": "text/html"}, body=b"<html>no such page</html>")
    rewriting.rewrite = lambda request, answer: page if request.path == "/acr/v1/a" else answer
    with pytest.raises(Malformed, match="no answer of a registry"):
        listing(opened(rewriting))


def test_times_are_the_later_of_two_and_of_seven_digits(rewriting: Rewriting, world: World) -> None:
    digest = world.push("a", tags=["1"])

    def rewrite(request: Request, answer: Answer) -> Answer:
        if not request.path.endswith("/_manifests"):
            return answer
        document = json.loads(answer.body)
        document["manifests"][0] |= {
            "createdTime": "2018-09-06T06:17:20.9983915Z",
            "lastUpdateTime": "2018-09-07T06:17:20.853971Z",
        }
        return Answer(headers=answer.headers, body=json.dumps(document).encode())

    rewriting.rewrite = rewrite
    pushed = image(opened(rewriting), digest).pushed_at
    assert pushed is not None
    assert pushed.isoformat() == "2018-09-07T06:17:20.853971+00:00"


def test_what_is_not_said_of_a_manifest_is_unknown(rewriting: Rewriting, world: World) -> None:
    digest = world.push("a", tags=["1"])
    rewriting.rewrite = lambda request, answer: (
        untold(digest, answer) if request.path.endswith("/_manifests") else answer
    )
    found = image(opened(rewriting), digest)
    assert found.pushed_at is None
    assert not found.locked


def test_a_tag_s_own_time_is_when_it_was_placed(registry: Acr, world: World) -> None:
    digest = world.push("a", tags=["1"], created="90d")
    world.retag("a", "promoted", digest, at="2d")
    assert image(registry, digest).tagged_at == world.now - timedelta(days=2)


def test_pulls_are_unknown(registry: Acr, world: World) -> None:
    digest = world.push("a", tags=["1"], pulled="1d")
    assert image(registry, digest).pulled_at is UNSET
    assert not registry.abilities.records_pulls


def test_sizes_are_of_config_and_layers_and_not_what_the_list_says(registry: Acr, world: World) -> None:
    digest = world.push("a", tags=["1"])
    held = world["a"].manifests[digest]
    assert image(registry, digest).size_bytes == held.size_bytes
    assert held.size_bytes is not None
    assert held.size_bytes > len(held.body)


def test_manifests_are_read_once(server: AcrServer, world: World) -> None:
    world.push("a", tags=["1"])
    made = opened(server, context={"memory": Memory()})
    first = listing(made, wanted=ALL_FIELDS)
    read = len(server.asked("GET", "/v2/a/"))
    assert listing(made, wanted=ALL_FIELDS) == first
    assert len(server.asked("GET", "/v2/a/")) == read


def test_configurations_are_read_only_where_a_policy_asks(server: AcrServer, world: World) -> None:
    world.push("a", tags=["1"])
    listing(opened(server))
    assert server.asked("GET", "/blobs/") == []


def test_blobs_that_are_elsewhere_are_fetched_without_the_token(world: World) -> None:
    world.push("a", tags=["1"], labels={"team": "x"})

    with AcrServer(world) as storage, Rewriting(world) as server:
        storage.guard = server.guard
        server.rewrite = lambda request, answer: (
            Answer(status=307, headers={"Location": f"{storage.address}/blob?{request.target}"})
            if "/blobs/" in request.path
            else answer
        )
        listing(opened(server), wanted=ALL_FIELDS)
        assert storage.requests
        assert all("authorization" not in request.headers for request in storage.requests)


@pytest.mark.parametrize("switch", ["deleteEnabled", "writeEnabled"])
@pytest.mark.parametrize("what", ["manifest", "tag"])
def test_either_switch_of_an_image_or_of_a_tag_locks_it(
    server: AcrServer, registry: Acr, world: World, what: str, switch: str
) -> None:
    digest = world.push("a", tags=["1", "2"])
    other = world.push("a", tags=["3"])
    server.switch("a", digest if what == "manifest" else "2", **{switch: False})
    assert image(registry, digest).locked
    assert not image(registry, other).locked


def test_a_repository_is_locked_by_its_writing_alone(server: AcrServer, registry: Acr, world: World) -> None:
    digest = world.push("a", tags=["1"])
    server.switch("a", deleteEnabled=False)
    assert not image(registry, digest).locked
    server.switch("a", writeEnabled=False)
    assert image(registry, digest).locked


def test_a_hidden_manifest_that_a_tag_leads_to_is_found_and_locked(
    server: AcrServer, registry: Acr, world: World
) -> None:
    child = world.push("a")
    index = world.push_index("a", children=[child], tags=["1"])
    server.switch("a", index, listEnabled=False)
    found = image(registry, index)
    assert (found.locked, found.children, found.tags) == (True, (child,), ("1",))


@pytest.mark.parametrize("what", ["manifest", "tag"])
def test_a_repository_that_holds_more_than_it_lists_is_not_listed(
    server: AcrServer, registry: Acr, world: World, what: str
) -> None:
    """A hidden index may hold what looks untagged; an image may have a tag that is not seen."""
    child = world.push("a")
    index = world.push_index("a", children=[child], tags=["1"] if what == "tag" else [])
    world.push("a", tags=["2"])
    server.switch("a", index if what == "manifest" else "1", listEnabled=False)
    with pytest.raises(Malformed, match="listEnabled"):
        listing(registry)


def test_a_page_that_was_lost_is_seen_by_the_count(registry: Acr, world: World) -> None:
    for _ in range(5):
        world.push("a")
    world.fault("lost-page", times=1000, match="_manifests")
    with pytest.raises(Malformed, match="of 5 manifests"):
        listing(registry)


def test_a_push_while_it_is_listed_is_no_trouble(rewriting: Rewriting, world: World) -> None:
    world.push("a", tags=["1"])
    pushed: list[str] = []

    def rewrite(request: Request, answer: Answer) -> Answer:
        if request.path == "/acr/v1/a/_manifests" and not pushed:
            pushed.append(world.push("a", tags=["2"]))
        return answer

    rewriting.rewrite = rewrite
    tags = {tag for found in listing(opened(rewriting)) for tag in found.tags}
    assert {"1"} <= tags <= {"1", "2"}


def test_an_unreadable_image_is_locked_and_what_it_names_is_unknown(
    server: AcrServer, registry: Acr, world: World
) -> None:
    child = world.push("a")
    index = world.push_index("a", children=[child], tags=["1"])
    plain = world.push("a", tags=["2"])
    for digest in (index, plain):
        server.switch("a", digest, readEnabled=False)
    unreadable = image(registry, index)
    assert (unreadable.locked, unreadable.children, unreadable.type) == (True, UNSET, ImageType.INDEX)
    assert image(registry, plain).locked
    assert not image(registry, child).locked


def test_what_was_read_before_it_became_unreadable_stays_known(server: AcrServer, world: World) -> None:
    child = world.push("a")
    index = world.push_index("a", children=[child], tags=["1"])
    made = opened(server, context={"memory": Memory()})
    listing(made)
    server.switch("a", index, readEnabled=False)
    assert image(made, index).children == (child,)


def test_a_quarantined_image_is_as_good_as_unreadable(rewriting: Rewriting, world: World) -> None:
    """It is refused though its switches are all on."""
    digest = world.push("a", tags=["1"])
    body = b'{"errors":[{"code":"REGISTRY_DISALLOWED_OPERATION","message":"quarantined","detail":{}}]}'
    refused = Answer(status=405, headers={"Content-Type": "application/json"}, body=body)
    rewriting.rewrite = lambda request, answer: refused if "/v2/a/manifests/" in request.path else answer
    assert image(opened(rewriting), digest).locked


def test_a_listed_image_that_is_gone_is_gone_but_an_index_keeps_its_platforms(
    server: AcrServer, registry: Acr, world: World
) -> None:
    child = world.push("a")
    index = world.push_index("a", children=[child], tags=["1"])
    plain = world.push("a", tags=["2"])
    server.ghosts |= {index, plain}
    found = {each.digest: each for each in listing(registry)}
    assert set(found) == {child, index}
    assert (found[index].children, found[index].locked) == (UNSET, True)


@pytest.mark.parametrize("retry_after", ["7", None])
def test_too_many_requests_are_waited_for_with_and_without_a_time(
    registry: Acr, world: World, retry_after: str | None
) -> None:
    world.push("a", tags=["1"])
    world.fault("throttle", match="_manifests", retry_after=retry_after)
    assert len(listing(registry)) == 1
    assert registry.traffic().retries == 1


def test_what_the_front_end_says_is_told(registry: Acr, world: World) -> None:
    world.push("a", tags=["1"])
    world.fault("throttle", times=1000, match="_manifests")
    with pytest.raises(Unreachable, match="Ref A"):
        listing(registry)


def test_a_firewall_s_refusal_is_told(rewriting: Rewriting, world: World) -> None:
    world.push("a", tags=["1"])
    body = b'{"errors":[{"code":"DENIED","message":"client with IP \'192.0.2.1\' is not allowed access"}]}'
    refused = Answer(status=403, headers={"Content-Type": "application/json"}, body=body)
    rewriting.rewrite = lambda request, answer: refused if request.path.startswith("/acr/") else answer
    with pytest.raises(Denied, match=r"192\.0\.2\.1"):
        list(opened(rewriting).units(EVERYTHING))


def test_a_page_without_its_list_is_no_page(rewriting: Rewriting, world: World) -> None:
    world.push("a", tags=["1"])
    bare = Answer(headers={"Content-Type": "application/json"}, body=b'{"registry":"x","imageName":"a"}')
    rewriting.rewrite = lambda request, answer: bare if request.path.endswith("/_manifests") else answer
    with pytest.raises(RegistryError):
        listing(opened(rewriting))


def test_a_404_to_a_manifest_that_is_not_the_registry_s_leaves_none_out(
    rewriting: Rewriting, world: World
) -> None:
    world.push("a", tags=["1"])
    page = Answer(status=404, headers={"Content-Type": "text/html"}, body=b"<html>no such page</html>")
    rewriting.rewrite = lambda request, answer: page if "/v2/a/manifests/" in request.path else answer
    with pytest.raises(Malformed, match="no answer of a registry"):
        listing(opened(rewriting))


def test_a_configuration_that_the_storage_lost_leaves_its_image_undated(
    rewriting: Rewriting, world: World
) -> None:
    digest = world.push("a", tags=["1"])
    lost = Answer(status=404, headers={"Content-Type": "application/xml"}, body=b"<Code>BlobNotFound</Code>")
    rewriting.rewrite = lambda request, answer: lost if "/blobs/" in request.path else answer
    (found,) = listing(opened(rewriting), wanted=ALL_FIELDS)
    assert (found.digest, found.created_at) == (digest, None)


def test_a_repository_that_goes_between_two_pages_is_looked_at_again(
    rewriting: Rewriting, world: World
) -> None:
    for _ in range(3):
        world.push("a")

    def rewrite(request: Request, answer: Answer) -> Answer:
        if request.path.endswith("/_manifests") and request.asked("last") is None:
            world.empty("a")
        return answer

    rewriting.rewrite = rewrite
    assert listing(opened(rewriting)) == []


@pytest.mark.parametrize("count", ["manifestCount", "tagCount"])
def test_a_repository_that_does_not_count_is_listed_as_it_is(
    rewriting: Rewriting, world: World, count: str
) -> None:
    world.push("a", tags=["1"])

    def rewrite(request: Request, answer: Answer) -> Answer:
        if request.path != "/acr/v1/a":
            return answer
        document = json.loads(answer.body)
        del document[count]
        return Answer(headers=answer.headers, body=json.dumps(document).encode())

    rewriting.rewrite = rewrite
    assert len(listing(opened(rewriting))) == 1
