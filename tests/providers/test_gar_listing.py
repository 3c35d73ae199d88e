"""What the ``gar`` provider makes of a repository of many names, beyond what every provider must."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from msgspec import UNSET

from janitor.core.image import Image, ImageType
from janitor.core.pattern import PatternKind, PatternList
from janitor.errors import Denied, Gone, Malformed, Unsupported
from janitor.premises import Opened, Premises
from janitor.providers.interface import Field, RepositoryFilter, Unit
from tests.factories import delete, in_use, policy_set, registry_spec
from tests.instant import NOW
from tests.providers.gars import Memory, images, listed, opened, registry
from tests.simulators.content import BUNDLE
from tests.simulators.gar import BARE, USUAL, Flavour, GarServer, Settings
from tests.simulators.world import World

LARGE = Flavour(name="large", page=1000)


def changed(world: World, repository: str, digest: str, **fields: object) -> None:
    """The truth of one manifest, otherwise."""
    held = world[repository].manifests[digest]
    world[repository].manifests[digest] = msgspec.structs.replace(held, **fields)


def only(*patterns: str) -> RepositoryFilter:
    return RepositoryFilter(covered=(PatternList.of(patterns, PatternKind.REPOSITORY),))


def one(found: dict[str, tuple[Image, ...]], repository: str) -> Image:
    (image,) = found[repository]
    return image


def test_opening_asks_nothing_and_looks_for_no_credentials() -> None:
    registry(None).close()


def test_a_repository_of_the_service_is_one_unit_that_is_listed_once() -> None:
    world = World()
    for name in ("all/a", "all/team/b", "all/team/c", "other/a"):
        world.push(name, tags=["1"])
    with GarServer(world, LARGE) as server, opened(server) as made:
        found = listed(made)
        assert list(found) == ["all/a", "all/team/b", "all/team/c", "other/a"]
        assert list(made.units(only("**"))) == [Unit(name="all", many=True), Unit(name="other", many=True)]
        assert len(server.asked("ListDockerImages")) == 2
        assert {request.page_size for request in server.asked("ListDockerImages")} == {1000}


def test_a_name_with_slashes_is_escaped_where_the_service_wants_it() -> None:
    world = World()
    digest = world.push("all/team/sub/api", tags=["1"])
    with GarServer(world) as server, opened(server) as made:
        (image,) = images(made, "all/team/sub/api", digest)
        assert made.tags_now("all/team/sub/api", [image]) == {digest: frozenset({"1"})}
        assert server.asked("GetVersion")[-1].name.endswith(f"packages/team%2Fsub%2Fapi/versions/{digest}")


@pytest.mark.parametrize("field", ["pushed_at", "created_at"])
def test_a_time_that_is_not_set_is_unknown_and_not_1970(field: str) -> None:
    world = World()
    digest = world.push("all/a", tags=["1"])
    changed(world, "all/a", digest, **{field: None})
    world["all/a"].tagged_at.clear()
    with GarServer(world) as server, opened(server) as made:
        image = one(listed(made), "all/a")
    assert getattr(image, field) is None


def test_a_time_of_1970_that_is_set_is_told() -> None:
    world = World()
    world.push("all/a", tags=["1"], created="1970-01-01T00:00:00Z")
    with GarServer(world) as server, opened(server) as made:
        assert one(listed(made), "all/a").created_at == datetime(1970, 1, 1, tzinfo=UTC)


def test_pushes_builds_and_changes_are_told_apart() -> None:
    world = World()
    digest = world.push("all/a", tags=["1"], created="30d", pushed="20d")
    world.retag("all/a", "2", digest, at="5d")
    with GarServer(world) as server, opened(server) as made:
        image = one(listed(made), "all/a")
    times = (image.created_at, image.pushed_at, image.changed_at)
    assert times == (world.moment("30d"), world.moment("20d"), world.moment("5d"))
    assert (image.tagged_at, image.pulled_at) == (None, UNSET)


def test_children_come_with_the_listing_and_cost_no_request() -> None:
    world = World()
    children = [world.push("all/a"), world.push("all/a")]
    index = world.push_index("all/a", children=children, tags=["1"])
    with GarServer(world) as server, opened(server) as made:
        (image,) = images(made, "all/a", index)
        assert image.children == tuple(children)
        assert server.registry.requests == []


def test_an_index_whose_children_are_not_told_is_read_once() -> None:
    world = World()
    children = [world.push("all/a"), world.push("all/a")]
    index = world.push_index("all/a", children=children, tags=["1"])
    memory = Memory()
    with GarServer(world, BARE) as server, opened(server, context={"memory": memory}) as made:
        for _ in range(2):
            (image,) = images(made, "all/a", index)
            assert image.children == tuple(children)
        assert server.registry.asked("GET") == [f"/v2/acme/all/a/manifests/{index}"]


def test_a_build_cache_is_no_index_of_its_layers() -> None:
    world = World()
    cache = world.cache("all/a")
    with GarServer(world) as server, opened(server) as made:
        (image,) = images(made, "all/a", cache)
    assert (image.children, image.type) == ((), ImageType.CACHE)


@pytest.mark.parametrize("artifact_type", [BUNDLE, None])
def test_what_may_refer_to_another_is_read_for_its_subject(artifact_type: str | None) -> None:
    """Without a type of its own, the service gives it that of the manifest."""
    world = World()
    subject = world.push("all/a", tags=["1"])
    referrer = world.refer("all/a", subject)
    changed(world, "all/a", referrer, artifact_type=artifact_type)
    with GarServer(world) as server, opened(server) as made:
        (image,) = images(made, "all/a", referrer)
        assert image.subject == subject
        assert not image.locked
        assert server.registry.asked("GET") == [f"/v2/acme/all/a/manifests/{referrer}"]


def test_plain_images_are_not_read_unless_a_policy_asks() -> None:
    world = World()
    digest = world.push("all/a", tags=["1"], labels={"team": "x"})
    with GarServer(world) as server, opened(server) as made:
        assert one(listed(made), "all/a").labels is None
        assert one(listed(made), "all/a").type is None
        assert server.registry.requests == []
        told = one(listed(made, frozenset({Field.TYPE})), "all/a")
        assert (told.type, told.labels) == (ImageType.IMAGE, None)
        assert server.registry.asked("GET", "/blobs/") == []
        assert one(listed(made, frozenset({Field.LABELS})), "all/a").labels == {"team": "x"}
        assert digest in server.registry.asked("GET", "/manifests/")[0]


@pytest.mark.parametrize(
    "uri", ["europe-west1-docker.pkg.dev/acme/all", "127.0.0.2:1/acme/all", "10.0.0.1/x/y"]
)
def test_where_no_registry_may_be_asked_children_are_unknown_and_referrers_locked(uri: str) -> None:
    """A plaintext endpoint may name the real service: it isn't asked, least of all without TLS."""
    world = World()
    children = [world.push("all/a"), world.push("all/a")]
    index = world.push_index("all/a", children=children, tags=["1"])
    referrer = world.refer("all/a", index)
    with (
        GarServer(world, BARE, settings={"all": Settings(uri=uri)}) as server,
        opened(server) as made,
    ):
        held, referring, child = images(made, "all/a", index, referrer, children[0])
        assert held.children is UNSET
        assert (referring.subject, referring.locked) == (None, True)
        assert (child.children, child.locked) == ((), False)
        assert server.registry.requests == []


def test_what_the_registry_does_not_hold_is_unknown_and_not_gone() -> None:
    world = World()
    subject = world.push("all/a", tags=["1"])
    referrer = world.refer("all/a", subject)
    with GarServer(world) as server, opened(server) as made:
        server.registry.service = GarServer(World())  # another truth, over HTTP
        (image,) = images(made, "all/a", referrer)
        server.registry.service.close()
    assert image.locked


def test_manifests_that_may_not_be_read_are_an_error_that_names_the_right() -> None:
    world = World()
    world.refer("all/a", world.push("all/a", tags=["1"]))
    with GarServer(world) as server, opened(server) as made:
        server.rights = frozenset({"artifactregistry.repositories.list", "artifactregistry.repositories.get"})
        server.rights |= {"artifactregistry.dockerimages.list"}
        with pytest.raises(Denied):
            listed(made)


def test_tagged_images_are_locked_where_tags_are_immutable() -> None:
    world = World()
    tagged, untagged = world.push("all/a", tags=["1"]), world.push("all/a")
    with GarServer(world, settings={"all": Settings(immutable=True)}) as server, opened(server) as made:
        locked = {image.digest: image.locked for image in listed(made)["all/a"]}
    assert locked == {tagged: True, untagged: False}


def test_other_formats_and_modes_are_passed_over() -> None:
    world = World()
    world.push("all/a", tags=["1"])
    others = {
        "maven": Settings(format=2),
        "virtual": Settings(mode=2),
        "remote": Settings(mode=3),
        "unsaid": Settings(mode=0),
    }
    with GarServer(world, settings=others) as server, opened(server) as made:
        assert [unit.name for unit in made.units(only("**"))] == ["all", "unsaid"]


def test_a_remote_repository_is_listed_where_the_policy_names_it() -> None:
    world = World()
    world.push("cache/a", tags=["1"])
    with (
        GarServer(world, settings={"cache": Settings(mode=3)}) as server,
        opened(server, repository="cache") as made,
    ):
        assert list(listed(made)) == ["cache/a"]


@pytest.mark.parametrize(
    ("settings", "said"), [(Settings(mode=2), "virtual"), (Settings(format=3), "another format")]
)
def test_a_named_repository_that_holds_no_images_says_what_it_is(settings: Settings, said: str) -> None:
    with (
        GarServer(World(), settings={"odd": settings}) as server,
        opened(server, repository="odd") as made,
        pytest.raises(Unsupported, match=said),
    ):
        listed(made)


def test_a_named_repository_that_is_not_there_is_an_error() -> None:
    with GarServer(World()) as server, opened(server, repository="none") as made, pytest.raises(Gone):
        listed(made)


def test_named_repositories_need_no_catalogue_and_nothing_beside_them_is_listed() -> None:
    world = World()
    for name in ("all/a", "all/b", "other/a"):
        world.push(name, tags=["1"])
    with GarServer(world) as server, opened(server, spec={"repositories": ("all/b",)}) as made:
        assert list(listed(made)) == ["all/b"]
        assert server.asked("ListRepositories") == []


def test_a_named_repository_has_two_parts() -> None:
    with pytest.raises(Malformed, match="REPOSITORY/IMAGE"):
        registry(None, spec={"repositories": ("all",)})


@pytest.mark.parametrize(
    ("patterns", "units"),
    [
        (("all/**",), ["all"]),
        (("all/a", "!all/b"), ["all"]),
        (("*/a",), ["all", "other"]),
        (("o*/**",), ["other"]),
        (("**",), ["all", "other"]),
        (("re:all/.*",), ["all", "other"]),
        (("{all,none}/a",), ["all", "other"]),
        (("all",), []),
        (("*",), []),
    ],
)
def test_repositories_that_no_policy_can_cover_are_not_listed(
    patterns: tuple[str, ...], units: list[str]
) -> None:
    world = World()
    for name in ("all/a", "other/a"):
        world.push(name, tags=["1"])
    with GarServer(world) as server, opened(server) as made:
        assert [unit.name for unit in made.units(only(*patterns))] == units


def test_an_image_on_two_pages_is_one_and_a_short_page_is_no_end() -> None:
    world = World()
    digests = [world.push("all/a", tags=[str(n)]) for n in range(7)]
    with GarServer(world, Flavour(name="small", page=2)) as server, opened(server) as made:
        assert {image.digest for image in listed(made)["all/a"]} == set(digests)
        assert len(server.asked("ListDockerImages")) == 4


def test_empty_pages_are_no_end() -> None:
    world = World()
    digests = [world.push("all/a", tags=[str(n)]) for n in range(7)]
    with GarServer(world, Flavour(name="gaps", gaps=3)) as server, opened(server) as made:
        assert {image.digest for image in listed(made)["all/a"]} == set(digests)


def test_empty_pages_without_end_are_an_error() -> None:
    world = World()
    world.push("all/a", tags=["1"])
    with (
        GarServer(world, Flavour(name="gaps", gaps=1_000_000)) as server,
        opened(server, repository="all") as made,
    ):
        with pytest.raises(Malformed, match="never end"):
            listed(made)
        assert len(server.calls) < 200


def test_what_is_pushed_while_pages_are_read_makes_no_image_two() -> None:
    """Pages aren't of one moment: what comes before moves the rest on, to a page that it was on already."""
    world = World()
    digests = {world.push("all/a", tags=[str(n)]) for n in range(9)}
    pages = 0

    def push(method: str) -> None:
        nonlocal pages
        pages += method == "ListDockerImages"
        if method == "ListDockerImages" and 1 < pages < 4:
            world.push("all/a", tags=[f"late-{pages}"])

    with GarServer(world) as server, opened(server) as made:
        server.arriving = push
        found = [image.digest for image in listed(made)["all/a"]]
    assert len(found) == len(set(found))
    assert digests <= set(found)


@pytest.mark.parametrize("kind", ["repeated-page", "endless-page"])
@pytest.mark.parametrize("method", ["ListRepositories", "ListDockerImages"])
@pytest.mark.parametrize("after", [0, 2])
def test_a_token_that_leads_nowhere_new_is_an_error(kind: str, method: str, after: int) -> None:
    world = World()
    for n in range(9):
        world.push(f"r{n}/a", tags=["1"])
        world.push("r0/a", tags=[f"more-{n}"])
    world.fault(kind, times=1_000_000, after=after, match=method)
    with GarServer(world) as server, opened(server) as made:
        with pytest.raises(Malformed):
            listed(made)
        assert len(server.calls) < 60


def test_a_page_over_the_usual_limit_of_grpc_arrives() -> None:
    world = World()
    for n in range(1000):
        world.push("all/a", text=f"{n}", tags=[f"{n}-{'x' * 120}-{m}" for m in range(40)])
    with GarServer(world, LARGE) as server, opened(server) as made:
        found = listed(made)["all/a"]
    assert len(found) == 1000
    assert sum(len(tag) for image in found for tag in image.tags) > 4 << 20


def test_a_page_size_beyond_the_most_is_cut_by_the_service() -> None:
    world = World()
    for n in range(3):
        world.push("all/a", tags=[str(n)])
    with GarServer(world, USUAL) as server, opened(server) as made:
        assert len(list(made._service.docker_images("all", page_size=5000))) == 1


def test_a_hundred_tags_and_more_are_read_to_their_end() -> None:
    world = World()
    digest = world.push("all/a", tags=[f"t{n}" for n in range(130)])
    world.push("all/a", tags=["other"])
    with GarServer(world, LARGE) as server, opened(server) as made:
        (image,) = images(made, "all/a", digest)
        assert made.tags_now("all/a", [image])[digest] == frozenset(f"t{n}" for n in range(130))


def test_where_a_listing_shows_a_hundred_tags_the_others_are_asked_for() -> None:
    world = World()
    many = world.push("all/a", tags=[f"t{n}" for n in range(130)])
    few = world.push("all/a", tags=[f"f{n}" for n in range(99)])
    with (
        GarServer(world, Flavour(name="cut", page=1000, shown_tags=100)) as server,
        opened(server) as made,
    ):
        found = {image.digest: set(image.tags) for image in listed(made)["all/a"]}
        assert len(server.asked("ListTags")) == 1
    assert found == {many: world["all/a"].tags_of(many), few: world["all/a"].tags_of(few)}


def test_tags_of_what_is_gone_are_none() -> None:
    world = World()
    digest = world.push("all/a", tags=["1"])
    world.push("all/a", tags=["2"])
    with GarServer(world) as server, opened(server) as made:
        found = images(made, "all/a", digest)
        world.forget("all/a", digest)
        assert made.tags_now("all/a", found) == {digest: None}


@pytest.mark.parametrize(
    ("location", "keys", "hosts"),
    [
        ("europe-west1", {}, {"europe-west1-docker.pkg.dev/acme"}),
        ("us", {}, {"us-docker.pkg.dev/acme", "gcr.io/acme", "us.gcr.io/acme"}),
        ("europe", {}, {"europe-docker.pkg.dev/acme", "eu.gcr.io/acme"}),
        ("asia", {}, {"asia-docker.pkg.dev/acme", "asia.gcr.io/acme"}),
        ("us", {"repository": "gcr.io"}, {"us-docker.pkg.dev/acme", "gcr.io/acme"}),
        ("us", {"repository": "prod"}, {"us-docker.pkg.dev/acme"}),
    ],
)
def test_its_images_are_pulled_from_these_hosts(location: str, keys: dict[str, Any], hosts: set[str]) -> None:
    assert set(registry(None, location=location, **keys).hosts) == hosts


def test_a_project_of_a_domain_is_a_folder_in_addresses() -> None:
    made = registry(None, project="example.com:proj")
    assert made.hosts == ("europe-west1-docker.pkg.dev/example.com/proj",)
    world = World()
    world.push("all/a", tags=["1"])
    world.refer("all/a", world["all/a"].tags["1"])
    with (
        GarServer(world, project="example.com:proj") as server,
        opened(server, project="example.com:proj") as made,
    ):
        assert len(listed(made)["all/a"]) == 2


@pytest.mark.parametrize("uri", ["gcr.io/acme", "us-docker.pkg.dev/acme/gcr.io", ""])
def test_a_repository_that_stands_for_an_older_host_is_known_by_that_too(uri: str) -> None:
    world = World()
    world.push("gcr.io/team/a", tags=["1"])
    with (
        GarServer(world, location="us", settings={"gcr.io": Settings(uri=uri)}) as server,
        opened(server, location="us") as made,
    ):
        assert list(listed(made)) == ["gcr.io/team/a"]
        assert made.other_names("gcr.io/team/a") == ("gcr.io/acme/team/a",)
        assert made.other_names("prod/team/a") == ()


@pytest.mark.parametrize("endpoint", ["http://u:p@h", "ftp://h", "https://h/path", "https://h?q", "h"])
def test_an_endpoint_is_scheme_and_host(endpoint: str) -> None:
    with pytest.raises(Malformed):
        registry(endpoint)


def test_an_image_in_use_by_the_name_of_an_older_host_is_protected() -> None:
    world = World()
    digest = world.push("gcr.io/a", tags=["1"], created="90d")
    world.push("gcr.io/a", tags=["2"], created="90d")
    premises = Premises(
        policies=policy_set(delete(older_than="1d")),
        in_use=in_use("gcr.io/acme/a:1"),
        now=NOW,
    )
    with GarServer(world, location="us") as server, opened(server, location="us") as made:
        (unit,) = made.units(only("**"))
        (listing,) = made.list(unit, frozenset())
        one_registry = Opened(
            spec=registry_spec("prod", "gar"), registry=made, only=only("**"), wanted=frozenset()
        )
        decisions = one_registry.decide(listing, premises.decider(), premises)
    going = {decisions.facts.images[i].digest for i in decisions.going}
    assert len(going) == 1
    assert digest not in going


def test_one_name_can_be_listed_by_itself() -> None:
    world = World()
    for name in ("all/a", "all/team/b"):
        world.push(name, tags=["1"])
    with GarServer(world) as server, opened(server) as made:
        unit = Unit(name="all/team/b")
        assert [listing.repository for listing in made.list(unit, frozenset())] == ["all/team/b"]
