"""What the ``dockerhub`` provider makes of the Hub API and the registry when it lists."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from msgspec import UNSET

from janitor.core.image import ImageType
from janitor.core.policy import RegistrySpec
from janitor.errors import Denied, Gone, Malformed, RegistryError, Stopped, Unreachable
from janitor.providers.interface import Field, Unit
from tests.factories import ago
from tests.net.scripted import Scripted
from tests.net.scripted import json as answered
from tests.providers.hubs import EVERYTHING, Stage, opened, staged
from tests.simulators.dockerhub import NAMESPACE, OLD, PERSONAL, TEAM, HubServer
from tests.simulators.server import Answer, Foreign, Request
from tests.simulators.world import ARM64, World


def names(stage: Stage) -> list[str]:
    return [unit.name for unit in stage.registry.units(EVERYTHING)]


@pytest.mark.parametrize(
    ("keys", "hosts"),
    [
        ({}, {"docker.io/acme"}),
        ({"registry_endpoint": "https://index.docker.io"}, {"docker.io/acme"}),
        ({"registry_endpoint": "https://hub.example:5000"}, {"docker.io/acme", "hub.example:5000/acme"}),
        ({"namespace": "library"}, {"docker.io/library"}),
    ],
)
def test_its_images_are_pulled_from_docker_io_by_whatever_name(keys: dict[str, Any], hosts: set[str]) -> None:
    assert set(opened(**keys).hosts) == hosts


def test_aliases_are_further_names() -> None:
    registry = opened(spec={"aliases": ("mirror.example/acme", "index.docker.io/acme")})
    assert registry.hosts == ("docker.io/acme", "mirror.example/acme")


@pytest.mark.parametrize(
    "keys", [{"namespace": "a/b"}, {"namespace": "Acme"}, {"endpoint": "https://me:hunter2@hub.example"}]
)
def test_what_can_not_be_asked_is_refused_at_once(keys: dict[str, Any]) -> None:
    with pytest.raises(Malformed) as raised:
        opened(**keys)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("keys", "environ", "missing"),
    [
        ({}, {}, "credentials"),
        ({"username": "me"}, {}, "an access token"),
        ({}, {"DOCKERHUB_TOKEN": "t"}, "a user name"),
    ],
)
def test_nobody_asks_as_a_stranger(keys: dict[str, Any], environ: dict[str, str], missing: str) -> None:
    """A stranger is shown the public repositories, as if there were no others."""
    world = World()
    world.push("app", tags=["1"])
    with HubServer(world) as server:
        registry = opened(endpoint=server.address, context={"environ": environ}, **keys)
        with pytest.raises(Denied, match=f"needs {missing}"):
            list(registry.units(EVERYTHING))
        assert server.requests == []


def test_credentials_come_from_the_environment() -> None:
    with HubServer(World()) as server:
        environ = {"DOCKERHUB_USERNAME": TEAM.user, "DOCKERHUB_TOKEN": TEAM.secret}
        assert list(opened(endpoint=server.address, context={"environ": environ}).units(EVERYTHING)) == []


def test_private_repositories_are_seen_and_named_without_the_namespace() -> None:
    world = World()
    for name in ("b", "a", "c"):
        world.push(name, tags=["1"])
    with staged(world, msgspec.structs.replace(TEAM, public=frozenset({"a"}))) as stage:
        assert names(stage) == ["a", "b", "c"]


def test_a_token_is_renewed_before_its_ten_minutes_are_over() -> None:
    with staged(World()) as stage:
        for _ in range(30):
            names(stage)
            stage.time.sleep(60)
            assert stage.registry.traffic().retries == 0
        assert 4 <= len(stage.server.hub.asked("POST", "/v2/auth/token")) <= 5
        denied = [request for request in stage.server.hub.requests if request.method == "GET"]
        assert len(denied) == 30


def test_a_token_that_ends_in_the_middle_is_renewed_and_nothing_is_missing() -> None:
    world = World()
    for number in range(9):
        world.push("app", tags=[str(number)])
    with staged(world) as stage:
        world.fault("unauthorized", match=r"tags\?.*page=3")
        assert len(stage.images()) == 9


def test_a_token_that_nobody_takes_is_denied_and_not_asked_for_again_and_again() -> None:
    with staged(World()) as stage:
        stage.world.fault("unauthorized", times=1000, match="GET /v2/namespaces")
        with pytest.raises(Denied, match="Read, Write, Delete"):
            names(stage)
        assert len(stage.server.hub.asked("POST")) == 2


def test_an_older_login_serves_where_the_new_one_is_not_known() -> None:
    with staged(World(), msgspec.structs.replace(TEAM, logins=frozenset({"/v2/users/login"}))) as stage:
        assert names(stage) == []


@pytest.mark.parametrize(
    ("secret", "hint"),
    [
        ("dckr_oat_x", "the organization's name"),
        ("dckr_pat_x", "neither the name nor the personal access token"),
        ("hunter2", "two-factor"),
    ],
)
def test_a_refused_login_says_what_that_kind_of_secret_needs(secret: str, hint: str) -> None:
    with HubServer(World()) as server:
        registry = opened(endpoint=server.address, username="me", token=secret)
        with pytest.raises(Denied, match=hint) as raised:
            list(registry.units(EVERYTHING))
        assert secret not in str(raised.value)
        assert len(server.requests) == 1


def test_a_second_factor_is_a_refusal() -> None:
    with (
        staged(World(), msgspec.structs.replace(TEAM, two_factors=True)) as stage,
        pytest.raises(Denied, match="MFA"),
    ):
        names(stage)


def test_a_token_that_may_not_look_is_denied_and_never_a_shorter_list() -> None:
    """Personal access tokens were refused so for weeks."""

    def script(request: Request) -> Answer:
        if request.method == "POST":
            return answered('{"access_token":"a.jwt.here"}')
        return answered(
            '{"errinfo":{},"message":"access to the resource is forbidden with personal access token"}', 403
        )

    with Scripted(script) as server:
        registry = opened(endpoint=server.address, username="me", token="dckr_pat_x")
        with pytest.raises(Denied, match="forbidden with personal access token"):
            list(registry.units(EVERYTHING))


def test_a_namespace_that_is_not_there_is_an_error() -> None:
    with HubServer(World()) as server:
        registry = opened(endpoint=server.address, namespace="acne", username=TEAM.user, token=TEAM.secret)
        with pytest.raises(Gone, match="acne"):
            list(registry.units(EVERYTHING))


def test_named_repositories_need_no_list() -> None:
    registry = opened(spec={"repositories": ("b", "a", "b")})
    assert [unit.name for unit in registry.units(EVERYTHING)] == ["a", "b"]
    assert registry.traffic().requests.list == 0


def busy(*, pushes: int) -> tuple[World, Callable[[Stage], None]]:
    """Tags of several pages, and a Hub to which so many pushes come while it is read."""
    world = World()
    for number in range(9):
        world.push("app", tags=[str(number)], created=f"{number + 1}d")
    left = iter(range(pushes))

    def make_busy(stage: Stage) -> None:
        def push(request: Request) -> None:
            if "page=2" in request.target and next(left, None) is not None:
                stage.time.sleep(60)
                # The last tag comes to the front, and all others move by one place.
                world.retag("app", "8", world["app"].tags["8"], at=stage.now())

        stage.server.hub.then = push

    return world, make_busy


def test_a_push_in_the_middle_of_a_list_hides_no_tag() -> None:
    world, make_busy = busy(pushes=1)
    with staged(world) as stage:
        make_busy(stage)
        assert sorted(tag for image in stage.images().values() for tag in image.tags) == list("012345678")


def test_a_list_that_never_holds_still_is_an_error() -> None:
    world, make_busy = busy(pushes=1000)
    with staged(world) as stage:
        make_busy(stage)
        with pytest.raises(Malformed, match="changed"):
            stage.images()


def test_a_tag_that_goes_while_the_list_ends_is_not_in_it() -> None:
    world = World()
    for number in range(5):
        world.push("app", tags=[str(number)])
    with staged(world) as stage:

        def lose(request: Request) -> None:
            if "page=3" in request.target and "0" in world["app"].tags:
                world["app"].untag("0")

        stage.server.hub.then = lose
        assert sorted(tag for image in stage.images().values() for tag in image.tags) == list("1234")


@pytest.mark.parametrize("place", [r"/repositories\?", "/repositories/app$", r"/tags\?"])
def test_an_answer_from_elsewhere_is_none(place: str) -> None:
    """It would be the answer to a stranger: tokens are not sent there."""
    world = World()
    world.push("app", tags=["1"])
    with staged(world) as stage, Foreign() as foreign:
        stage.server.lead_to(foreign.address)
        world.fault("redirect", times=1000, match=f"GET .*{place}")
        with pytest.raises(Malformed, match="elsewhere"):
            [stage.images() for _ in names(stage)]
        assert foreign.credentials == []


def test_tags_that_vanish_behind_the_last_page_start_the_list_anew() -> None:
    world = World()
    for number in range(5):
        world.push("app", tags=[str(number)])
    with staged(world) as stage:

        def shrink(request: Request) -> None:
            if "page=2" in request.target and "3" in world["app"].tags:
                for tag in ("0", "1", "2", "3"):
                    world["app"].untag(tag)

        stage.server.hub.then = shrink
        assert [image.tags for image in stage.images().values()] == [("4",)]


def test_a_page_without_the_next_is_found_out_by_the_count() -> None:
    world = World()
    for number in range(5):
        world.push("app", tags=[str(number)])
    with staged(world) as stage:
        world.fault("lost-page", times=1000, match="/tags")
        with pytest.raises(Malformed, match="count"):
            stage.images()


def test_next_pages_by_an_older_address_are_followed() -> None:
    world = World()
    for number in range(8):
        world.push("app", tags=[str(number)])
        world.push(f"r{number}", tags=["1"])
    with staged(world, OLD) as stage:
        assert len(names(stage)) == 9
        assert len(stage.images()) == 8
        assert stage.server.hub.asked("GET", "/v2/repositories/acme/app/tags?")


@pytest.mark.parametrize(
    "address",
    [
        "https://hub.docker.com/v2/namespaces/acme/repositories/other/tags?page=2",
        "https://hub.docker.com/v2/repositories/acme/other/tags/?page=2",
        "https://hub.docker.com.example/v2/namespaces/acme/repositories/app/tags?page=2",
        "https://hub.docker.com/v2/users/me",
        "http://[",
    ],
)
def test_a_next_page_that_is_of_something_else_is_an_error(address: str) -> None:
    def script(request: Request) -> Answer:
        if request.method == "POST":
            return answered('{"access_token":"a.jwt.here"}')
        if "/tags" in request.path:
            page = {"count": 2, "next": address, "results": [{"name": "1", "digest": None}]}
            return answered(json.dumps(page))
        return answered('{"name":"app"}')

    with Scripted(script) as server:
        registry = opened(endpoint=server.address, username="me", token="dckr_pat_x")
        with pytest.raises(Malformed, match="next page"):
            list(registry.list(Unit(name="app"), frozenset()))


@pytest.mark.parametrize("key", ["count", "next", "results"])
def test_a_page_that_lacks_a_key_is_no_page(key: str) -> None:
    def script(request: Request) -> Answer:
        if request.method == "POST":
            return answered('{"access_token":"a.jwt.here"}')
        page: dict[str, Any] = {"count": 0, "next": None, "results": []}
        del page[key]
        return answered(json.dumps(page))

    with Scripted(script) as server, pytest.raises(Malformed):
        list(opened(endpoint=server.address, username="me", token="dckr_pat_x").units(EVERYTHING))


@pytest.mark.parametrize("name", ["../x", "a/b", "a b", ""])
def test_a_name_that_breaks_the_grammar_gets_nowhere(name: str) -> None:
    def script(request: Request) -> Answer:
        if request.method == "POST":
            return answered('{"access_token":"a.jwt.here"}')
        return answered(json.dumps({"count": 1, "next": None, "results": [{"name": name}]}))

    with Scripted(script) as server:
        registry = opened(endpoint=server.address, username="me", token="dckr_pat_x")
        with pytest.raises(RegistryError):
            list(registry.units(EVERYTHING))


@pytest.mark.parametrize("answer", ["null", '""', '"0001-01-01T00:00:00Z"'])
def test_never_pulled_is_said_in_three_ways(answer: str) -> None:
    world = World()
    digest = world.push("app", tags=["1"], pulled="1d")
    with staged(world) as stage:
        stage.server.hub.tells.update(tag_last_pulled=json.loads(answer), images=[])
        assert stage.images()[digest].pulled_at is None


@pytest.mark.parametrize("said", [UNSET, "yesterday"])
def test_a_pull_time_that_is_not_said_or_not_understood_is_unknown(said: object) -> None:
    world = World()
    digest = world.push("app", tags=["1"])
    with staged(world) as stage:
        stage.server.hub.tells.update(tag_last_pulled=said)
        assert stage.images()[digest].pulled_at is UNSET


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("2026-01-05T21:06:53Z", datetime(2026, 1, 5, 21, 6, 53, tzinfo=UTC)),
        ("2026-01-05T21:06:53.5064Z", datetime(2026, 1, 5, 21, 6, 53, 506400, tzinfo=UTC)),
        ("2026-01-05T21:06:53.506412345Z", datetime(2026, 1, 5, 21, 6, 53, 506412, tzinfo=UTC)),
    ],
)
def test_fractions_of_a_second_have_as_many_digits_as_they_like(said: str, meant: datetime) -> None:
    world = World()
    digest = world.push("app", tags=["1"])
    with staged(world) as stage:
        stage.server.hub.tells.update(tag_last_pulled=said, images=[])
        assert stage.images()[digest].pulled_at == meant


def test_the_last_pull_is_the_latest_by_any_tag_or_by_digest() -> None:
    world = World()
    digest = world.push("app", tags=["1", "2"], pulled="9d")
    with staged(world) as stage:
        stage.server.hub.pulled_tags["app", "2"] = ago("2d")
        assert stage.images()[digest].pulled_at == ago("2d")


def test_platforms_have_pulls_and_pushes_of_their_own() -> None:
    world = World()
    children = [
        world.push("app", created="40d", pulled="3d"),
        world.push("app", created="90d", platform=ARM64),
    ]
    index = world.push_index("app", children=children, tags=["1"], created="30d", pulled="20d")
    with staged(world) as stage:
        images = stage.images()
    assert [images[digest].pulled_at for digest in (index, *children)] == [ago("20d"), ago("3d"), None]
    assert [images[digest].pushed_at for digest in (index, *children)] == [ago("30d"), ago("40d"), ago("90d")]
    assert [images[child].tagged_at for child in children] == [None, None]


def test_an_image_is_as_young_as_the_newest_push_of_its_tags() -> None:
    world = World()
    digest = world.push("app", tags=["old"], created="90d")
    world.retag("app", "new", digest, at="2d")
    with staged(world) as stage:
        image = stage.images()[digest]
    assert (image.tagged_at, image.pushed_at) == (ago("2d"), ago("2d"))


def test_where_no_push_is_told_the_last_update_counts() -> None:
    world = World()
    digest = world.push("app", tags=["1"])
    with staged(world) as stage:
        stage.server.hub.tells.update(tag_last_pushed=None, last_updated="2026-01-05T21:06:53Z", images=[])
        image = stage.images()[digest]
    assert image.pushed_at == image.changed_at == datetime(2026, 1, 5, 21, 6, 53, tzinfo=UTC)


def test_an_update_later_than_the_push_counts_for_the_grace_alone() -> None:
    world = World()
    digest = world.push("app", tags=["1"], created="90d")
    with staged(world) as stage:
        stage.server.hub.tells.update(last_updated="2026-05-01T00:00:00Z")
        image = stage.images()[digest]
    assert image.pushed_at == ago("90d")
    assert image.changed_at == datetime(2026, 5, 1, tzinfo=UTC)


def test_platforms_that_docker_hub_lost_or_tells_twice_do_no_harm() -> None:
    world = World()
    child = world.push("app")
    index = world.push_index("app", children=[child], tags=["1"])
    with staged(world) as stage:
        (told,) = stage.server.hub.tag_of("app", "1")["images"]
        lost = told | {"digest": None}
        empty = told | {"digest": ""}
        stage.server.hub.tells.update(images=[lost, told, empty, told])
        images = stage.images()
    assert set(images) == {index, child}
    assert images[index].children == (child,)


def test_an_index_is_read_for_what_docker_hub_does_not_tell_of_it() -> None:
    world = World()
    child = world.push("app")
    inner = world.push_index("app", children=[child])
    outer = world.push_index("app", children=[inner], tags=["1"])
    with staged(world) as stage:
        assert stage.server.hub.tag_of("app", "1")["images"] == []
        images = stage.images()
    assert {digest: image.children for digest, image in images.items()} == {
        outer: (inner,),
        inner: (child,),
        child: (),
    }


def test_old_tags_without_a_digest_are_looked_up_without_a_pull() -> None:
    world = World()
    digest = world.push("app", tags=["1"])
    with staged(world, OLD) as stage:
        assert set(stage.images()) == {digest}
        assert stage.server.registry.pulls == []


def test_an_old_schema_is_locked() -> None:
    world = World()
    digest = world.schema1("app", tags=["old"])
    with staged(world, OLD) as stage:
        image = stage.images()[digest]
    assert (image.locked, image.tags, image.children) == (True, ("old",), ())


def test_a_tag_of_which_the_manifest_is_lost_is_an_error_that_says_what_to_do() -> None:
    world = World()
    child = world.push("app")
    index = world.push_index("app", children=[child], tags=["broken"])
    with staged(world) as stage:
        world.fault("error", status=404, times=1000, match=f"GET .*manifests/{index}")
        with pytest.raises(Malformed, match=r"broken.*web page"):
            stage.images()


def test_plain_images_are_not_pulled() -> None:
    world = World()
    world.push("app", tags=["1", "2"])
    children = [world.push("app"), world.push("app", platform=ARM64)]
    index = world.push_index("app", children=children, tags=["3"], provenance=True)
    world.sign("app", index)
    with staged(world) as stage:
        images = stage.images()
        assert stage.server.registry.pulls == [("app", index)]
    types = sorted(str(image.type) for image in images.values())
    assert types == ["attestation", "attestation", "image", "image", "image", "index", "signature"]
    assert sorted(len(image.tags) for image in images.values()) == [0, 0, 0, 0, 1, 1, 2]


def test_what_is_no_image_is_read_for_its_subject_and_type() -> None:
    world = World()
    subject = world.push("app", tags=["1"])
    bundle = world.refer("app", subject, tags=["bundle"])
    chart = world.chart("app", tags=["chart"])
    with staged(world) as stage:
        images = stage.images()
    assert (images[bundle].type, images[bundle].subject) == (ImageType.SIGNATURE, subject)
    assert images[chart].type is ImageType.HELM


def test_what_claims_to_run_somewhere_and_is_no_image_is_read() -> None:
    world = World()
    subject = world.push("app", tags=["1"])
    bundle = world.refer("app", subject, tags=["bundle"])
    with staged(world) as stage:
        (platform,) = stage.server.hub.tag_of("app", "1")["images"]
        stage.server.hub.tells["images"] = [platform, platform | {"digest": bundle}]
        assert stage.images()[bundle].subject == subject


def test_what_refers_to_an_image_without_a_tag_is_found() -> None:
    world = World()
    subject = world.push("app", tags=["1"])
    bundle = world.refer("app", subject)
    with staged(world) as stage:
        assert stage.images()[bundle].subject == subject


def test_an_index_is_pulled_once_for_good_and_its_times_are_read_before() -> None:
    world = World()
    index = world.push_index("app", children=[world.push("app")], tags=["1"], pulled="90d")
    with staged(world) as stage:
        assert stage.images()[index].pulled_at == ago("90d")
        stage.server.settle()
        pulled = stage.images()[index].pulled_at
        assert isinstance(pulled, datetime)
        assert pulled > ago("1d")
        assert stage.server.registry.pulls == []


def test_labels_have_everything_read_once() -> None:
    world = World()
    digest = world.push("app", tags=["1"], labels={"team": "x"})
    with staged(world) as stage:
        assert stage.images()[digest].labels is None
        for _ in range(2):
            assert stage.images(wanted=frozenset({Field.LABELS}))[digest].labels == {"team": "x"}
        assert len(stage.server.registry.pulls) == 1


def test_a_size_is_that_of_the_layers_until_the_manifest_is_read() -> None:
    world = World()
    digest = world.push("app", tags=["1"])
    held = world["app"].manifests[digest]
    with staged(world) as stage:
        assert stage.images()[digest].size_bytes == len(world.blobs[held.blobs[1]])
        assert stage.images(wanted=frozenset(Field))[digest].size_bytes == held.size_bytes


def test_a_pull_limit_ends_the_listing_at_once_and_the_next_goes_on_from_there() -> None:
    world = World()
    for number in range(6):
        world.push_index("app", children=[world.push("app")], tags=[str(number)])
    with staged(world, msgspec.structs.replace(PERSONAL, pulls=4), concurrency=1) as stage:
        with pytest.raises(Unreachable, match="state folder"):
            stage.images()
        assert stage.time.slept == [] or max(stage.time.slept) < 1
        assert len(stage.server.registry.pulls) == 4
        stage.server.registry.left = 4
        assert len(stage.images()) == 12
        assert len(stage.server.registry.pulls) == 6


def test_a_stop_loses_only_what_was_under_way() -> None:
    world = World()
    for number in range(6):
        world.push_index("app", children=[world.push("app")], tags=[str(number)])
    stop = threading.Event()
    with staged(world, PERSONAL, concurrency=1, stop=stop) as stage:

        def stop_at_the_third_pull() -> None:
            if len(stage.server.registry.pulls) == 3:
                stop.set()

        stage.server.registry.then = stop_at_the_third_pull
        with pytest.raises(Stopped):
            stage.images()
        stop.clear()
        stage.server.registry.then = lambda: None
        assert len(stage.images()) == 12
        assert len(stage.server.registry.pulls) == 6 + 1


def test_too_many_requests_wait_until_the_time_that_they_are_told() -> None:
    """The header holds seconds since 1970, by the server's clock."""
    with staged(World()) as stage:
        stage.server.hub.late = timedelta(hours=-3)
        stage.world.fault("throttle", match="GET /v2/namespaces", retry_after="42")
        names(stage)
        assert 42 <= sum(stage.time.slept) < 60


def test_the_minute_limit_is_waited_for() -> None:
    world = World()
    world.push("app", tags=["1"])
    with staged(world, msgspec.structs.replace(TEAM, requests=5)) as stage:
        for _ in range(4):
            stage.images()
        assert stage.registry.traffic().retries > 0
        assert 60 <= sum(stage.time.slept) < 300


@pytest.mark.parametrize(
    ("rules", "locked"),
    [
        (None, set()),
        ((), {"1.0", "latest", "pr-1"}),
        ((r"^[0-9]+\.[0-9]+$",), {"1.0"}),
        (("pr-", "late"), {"latest", "pr-1"}),
        (("(?<=never)read",), {"1.0", "latest", "pr-1"}),
    ],
)
def test_images_with_immutable_tags_are_locked(rules: tuple[str, ...] | None, locked: set[str]) -> None:
    world = World()
    for tag in ("1.0", "latest", "pr-1"):
        world.push("app", tags=[tag])
    world.push_index("app", children=[world.push("app")], tags=["1.0"] if rules else ["other"])
    with staged(world, msgspec.structs.replace(TEAM, immutable=rules)) as stage:
        images = stage.images().values()
    assert {image.tags[0] for image in images if image.locked} - {"other"} == locked
    assert not any(image.locked for image in images if not image.tags)


def test_what_lost_its_tag_is_remembered_without_it() -> None:
    world = World()
    digest = world.push("app", tags=["1"])
    world.push("app", tags=["2"])
    with staged(world) as stage:
        assert not stage.registry.abilities.lists_untagged
        stage.images()
        world.retag("app", "1", world["app"].tags["2"])
        image = stage.images()[digest]
        assert (image.tags, image.pushed_at, image.pulled_at) == ((), None, UNSET)
        world.forget("app", digest)
        assert digest not in stage.images()


def test_platforms_that_lost_their_index_are_remembered() -> None:
    world = World()
    child = world.push("app")
    index = world.push_index("app", children=[child], tags=["1"])
    with staged(world) as stage:
        stage.images()
        world.forget("app", index)
        assert set(stage.images()) == {child}


def test_a_repository_that_may_not_be_seen_any_more_is_empty() -> None:
    world = World()
    world.push("app", tags=["1"])
    with staged(world) as stage:
        stage.images()
        del world.repositories["app"]
        assert stage.images() == {}


@pytest.mark.parametrize("concurrency", [1, 4, 64])
def test_a_listing_is_the_same_with_one_thread_or_many(concurrency: int) -> None:
    world = World()
    for number in range(20):
        child = world.push("app")
        world.push_index("app", children=[child], tags=[f"v{number}", f"x{number % 7}"])
    with staged(world, concurrency=1) as alone, staged(world, concurrency=concurrency) as together:
        assert list(alone.images().items()) == list(together.images().items())


def test_the_namespace_is_part_of_the_registry_and_of_no_repository() -> None:
    world = World()
    world.push("app", tags=["1"])
    with staged(world) as stage:
        stage.images(wanted=frozenset(Field))
        assert all(
            f"/v2/{NAMESPACE}/app/" in target for target in stage.server.registry.asked("GET", "/manifests/")
        )
        spec: RegistrySpec = stage.registry._spec  # type: ignore[attr-defined]
        assert set(stage.memory.kept) == {f"{spec.name}/app"}
