"""The ``ghcr`` provider: what it makes of GitHub's packages, beyond what every provider must."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from janitor.core.image import Image
from janitor.core.report import OutcomeKind
from janitor.errors import Denied, Gone, Malformed, Stopped, Unreachable, Unsupported
from janitor.providers.interface import Field, Keepsake, Registry, Result
from tests.net.scripted import Scripted, Time, json
from tests.providers.ghcrs import Memory, listing, opened, units
from tests.simulators.ghcr import APP, CLASSIC, DOWNLOADS, OWNER, READER, WORKFLOW, Ghcr, Token
from tests.simulators.server import Foreign, Request
from tests.simulators.world import ARM64, World


def some(*tags: str, repository: str = "a") -> World:
    """A package with an image a tag, the first the oldest."""
    world = World()
    for age, tag in zip(range(len(tags), 0, -1), tags, strict=True):
        world.push(repository, tags=[tag], created=f"{30 + age}d")
    return world


def multi(world: World, *tags: str, **how: Any) -> tuple[str, list[str]]:
    """An index of two platforms in the package ``a``."""
    children = [world.push("a", created="50d"), world.push("a", created="50d", platform=ARM64)]
    return world.push_index("a", children=children, tags=tags, created="50d", **how), children


def delete(registry: Registry, *images: Image) -> dict[str, Result]:
    return {result.digest: result for result in registry.delete("a", images)}


# Whose packages they are, and how they are called


def test_its_images_are_pulled_by_the_owner_in_small_letters_and_by_every_alias() -> None:
    with Ghcr() as server:
        hosts = opened(server, owner="Acme", spec={"aliases": ("mirror.example/acme",)}).hosts
        assert hosts == ("ghcr.io/acme", f"{server.registry.host}/acme", "mirror.example/acme")


def test_opening_asks_nothing() -> None:
    with Ghcr() as server:
        opened(server).close()
        assert server.api.requests == server.registry.requests == []


@pytest.mark.parametrize(
    "keys",
    [
        {"registry_endpoint": None},
        {"endpoint": "https://me:hunter2@github.example/api/v3"},
        {"owner": "acme/app"},
        {"owner": ""},
    ],
    ids=["another-host-without-its-registry", "a-password-in-it", "a-package-for-an-owner", "nobody"],
)
def test_keys_that_make_no_sense_are_refused(keys: dict[str, Any]) -> None:
    with Ghcr() as server, pytest.raises(Malformed) as raised:
        opened(server, **keys)
    assert "hunter2" not in str(raised.value)


def test_the_token_of_the_environment_is_used_where_the_policy_has_none() -> None:
    with Ghcr(some("1")) as server:
        environ = {"GITHUB_TOKEN": f"{server.api.token.value}\n"}
        assert units(opened(server, token=None, context={"environ": environ})) == ["a"]


def test_without_a_token_nothing_is_asked() -> None:
    with Ghcr(some("1")) as server:
        with pytest.raises(Denied, match="GITHUB_TOKEN"):
            units(opened(server, token=None))
        assert server.api.requests == []


def test_each_host_gets_the_token_in_its_own_way() -> None:
    with Ghcr(some("1")) as server:
        listing(opened(server))
        assert {each.headers["authorization"] for each in server.api.requests} == {"Bearer ghp_classic"}
        (asked,) = {
            each.headers["authorization"] for each in server.registry.requests if "/token" in each.path
        }
        assert asked.startswith("Basic ")


def test_every_request_names_the_version_of_the_api_and_who_asks() -> None:
    with Ghcr(some("1")) as server:
        listing(opened(server))
        for request in server.api.requests:
            assert request.headers["x-github-api-version"] == "2022-11-28"
            assert request.headers["accept"] == "application/vnd.github+json"
            assert request.headers["user-agent"]


def test_a_package_with_slashes_is_one_segment_for_the_api_and_several_for_the_registry() -> None:
    with Ghcr(some("1", repository="team/app")) as server:
        assert len(listing(opened(server), "team/app")) == 1
        assert server.api.asked("GET", "/packages/container/team%2Fapp/versions")
        assert server.registry.asked("GET", f"/v2/{OWNER}/team/app/manifests/sha256:")


def test_the_registry_is_asked_in_small_letters_whatever_the_owner_is_written_like() -> None:
    with Ghcr(some("1"), owner="Acme") as server:
        assert len(listing(opened(server, owner="ACME"))) == 1
        assert all("/v2/acme/" in each for each in server.registry.asked("GET", "/manifests/"))


def test_a_user_s_own_packages_are_those_of_the_token_private_ones_too() -> None:
    with Ghcr(some("1"), organisation=False, token=Token(login=OWNER)) as server:
        registry = opened(server, owner="Acme")
        assert units(registry) == ["a"]
        assert len(listing(registry)) == 1
        assert server.api.asked("GET", "/user/packages")


def test_of_another_user_the_public_packages_are_listed() -> None:
    world = some("1")
    world.push("b", tags=["1"])
    with Ghcr(world, organisation=False) as server:
        server.books.public.add("b")
        registry = opened(server)
        assert units(registry) == ["b"]
        assert len(listing(registry, "b")) == 1


def test_whose_packages_they_are_is_asked_once() -> None:
    with Ghcr(some("1")) as server:
        registry = opened(server)
        units(registry)
        listing(registry)
        assert len(server.api.asked("GET", "/users/")) == 1


def test_an_owner_that_is_not_there_is_told() -> None:
    with Ghcr(some("1")) as server, pytest.raises(Gone, match="owner"):
        units(opened(server, owner="nobody"))


# Tokens


def test_the_token_of_a_workflow_lists_no_packages_and_the_error_says_what_to_do() -> None:
    with Ghcr(some("1"), token=WORKFLOW) as server, pytest.raises(Denied, match="repositories"):
        units(opened(server))


@pytest.mark.parametrize("organisation", [True, False])
def test_the_token_of_a_workflow_reads_and_deletes_in_packages_that_are_named(organisation: bool) -> None:  # noqa: FBT001
    with Ghcr(some("1", "2"), token=WORKFLOW, organisation=organisation) as server:
        registry = opened(server, spec={"repositories": ("a",)})
        assert units(registry) == ["a"]
        (first, _) = listing(registry).values()
        assert delete(registry, first)[first.digest].outcome is OutcomeKind.DELETED


def test_where_the_registry_lets_no_manifest_be_read_a_package_is_an_error() -> None:
    """Without manifests no platform could be told from an orphan."""
    with Ghcr(some("1"), token=APP) as server, pytest.raises(Denied):
        listing(opened(server))


def test_a_listing_that_single_sign_on_cuts_is_an_error() -> None:
    token = msgspec.structs.replace(CLASSIC, sso="partial")
    with Ghcr(some("1"), token=token) as server, pytest.raises(Denied, match="single sign-on"):
        units(opened(server))


def test_a_token_that_single_sign_on_does_not_know_is_told_so() -> None:
    token = msgspec.structs.replace(CLASSIC, sso="required")
    with Ghcr(some("1"), token=token) as server, pytest.raises(Denied, match="single sign-on") as raised:
        listing(opened(server))
    assert "authorization_request" not in str(raised.value)


def test_a_wrong_token_is_tried_twice_and_never_shown() -> None:
    with Ghcr(some("1")) as server:
        with pytest.raises(Denied, match="token") as raised:
            units(opened(server, token="ghp_hunter2"))
        assert len(server.api.requests) == 2
    assert "hunter2" not in str(raised.value)


def test_a_token_that_is_not_known_everywhere_yet_is_tried_again() -> None:
    world = some("1")
    with Ghcr(world) as server:
        world.fault("unauthorized", match="/packages")
        assert units(opened(server)) == ["a"]


# Listing


def test_the_push_is_the_version_s_creation_and_its_change_counts_for_the_grace_alone() -> None:
    world = World()
    digest = world.push("a", tags=["1"], pushed="30d")
    world.retag("a", "2", digest, at="3d")
    with Ghcr(world) as server:
        (image,) = listing(opened(server)).values()
    assert image.pushed_at == world.now - timedelta(days=30)
    assert image.changed_at == world.now - timedelta(days=3)
    assert image.tagged_at is None
    assert frozenset(image.tags) == {"1", "2"}


def test_retagging_is_no_push() -> None:
    world = World()
    digest = world.push("a", tags=["1"], pushed="30d")
    with Ghcr(world) as server:
        registry = opened(server)
        before = listing(registry)[digest].pushed_at
        world.retag("a", "2", digest)
        assert listing(registry)[digest].pushed_at == before


def test_an_index_its_platforms_and_its_attestations_are_versions_that_know_of_one_another() -> None:
    world = World()
    index, children = multi(world, "1", provenance=True)
    with Ghcr(world) as server:
        images = listing(opened(server))
    assert set(images) == set(world["a"].manifests)
    assert images[index].children == world["a"].manifests[index].children
    assert set(children) < set(images[index].children or ())


@pytest.mark.parametrize("fallback", [True, False])
def test_what_refers_to_an_image_is_known_by_its_manifest_alone(fallback: bool) -> None:  # noqa: FBT001
    world = some("1")
    subject = world["a"].tags["1"]
    referrer = world.refer("a", subject, fallback=fallback)
    with Ghcr(world) as server:
        registry = opened(server)
        assert listing(registry)[referrer].subject == subject
        assert server.registry.asked("GET", "/referrers/") == []


def test_the_platforms_of_an_index_are_not_fetched_but_everything_else_is() -> None:
    """Each reading counts as a download, and what has many of them can't be deleted any more."""
    world = some("1")
    index, children = multi(world, "2", provenance=True)
    referrer = world.refer("a", index)
    with Ghcr(world) as server:
        images = listing(opened(server))
        read = {digest for _, digest in server.books.downloads}
    assert read == set(world["a"].manifests) - set(children)
    assert referrer in read
    assert all(images[child].children == () for child in children)


def test_the_platforms_are_fetched_where_a_rule_asks_what_only_they_say() -> None:
    world = World()
    _, children = multi(world, "1")
    with Ghcr(world) as server:
        images = listing(opened(server), wanted=frozenset({Field.SIZE}))
    assert [images[child].size_bytes for child in children] == [
        world["a"].manifests[child].size_bytes for child in children
    ]


@pytest.mark.parametrize("wanted", [frozenset[Field](), frozenset(Field)], ids=["little", "all"])
def test_no_manifest_is_ever_downloaded_twice(wanted: frozenset[Field]) -> None:
    world = some("1")
    multi(world, "2", provenance=True)
    multi(world)
    with Ghcr(world) as server:
        memory = Memory()
        listing(opened(server, context={"memory": memory}), wanted=wanted)
        first = dict(server.books.downloads)
        for _ in range(2):
            listing(opened(server, context={"memory": memory}), wanted=wanted)
        assert set(first.values()) == {1}
        assert server.books.downloads == first


def test_a_platform_that_no_index_names_any_more_is_read_before_it_is_called_an_orphan() -> None:
    world = World()
    index, children = multi(world, "1")
    world.push("a", tags=["2"])
    with Ghcr(world) as server:
        memory = Memory()
        registry = opened(server, context={"memory": memory})
        listing(registry)
        world.forget("a", index)
        images = listing(registry)
        assert set(children) <= {digest for _, digest in server.books.downloads}
    assert set(children) <= set(images)


def test_a_version_whose_manifest_can_not_be_read_though_it_is_there_is_an_error() -> None:
    world = some("1", "2")
    digest = world["a"].tags["1"]

    with Ghcr(world) as server:
        world.fault("error", status=404, times=100, match=f"/manifests/{digest}")
        with pytest.raises(Malformed, match="can't be read"):
            listing(opened(server))


def test_what_another_run_deleted_a_moment_ago_is_listed_still_and_left_out() -> None:
    world = some("1", "2")
    with Ghcr(world, lag=100) as server:
        first = opened(server)
        (image, other) = listing(first).values()
        delete(first, image)
        assert server.books.active("a")[0]["name"] == image.digest
        assert set(listing(opened(server))) == {other.digest}
        assert set(listing(first)) == {other.digest}


def test_what_was_pushed_again_after_its_deletion_is_there() -> None:
    """Left out, its platforms would look like orphans."""
    world = some("1")
    index, _ = multi(world, "2")
    held = world["a"].manifests[index]
    with Ghcr(world, lag=100) as server:
        registry = opened(server)
        delete(registry, listing(registry)[index])
        world["a"].manifests[index] = held
        assert index in listing(registry)
        assert index in listing(opened(server))


def test_a_deletion_between_two_pages_hides_nothing() -> None:
    """Pages are counted off: what was on the next page moves onto the one that was read already."""
    world = some(*map(str, range(9)))
    victim = world["a"].tags["8"]
    with Ghcr(world, page_cap=3) as server:
        pages: list[Request] = []

        def meanwhile(request: Request) -> None:
            if "/versions?" in request.target:
                pages.append(request)
                if len(pages) == 1:
                    server.books.delete("a", server.books.id_of("a", victim), victim)

        server.api.meanwhile = meanwhile
        images = listing(opened(server))
    assert set(images) == set(world["a"].manifests)


def test_a_push_between_two_pages_is_listed_and_nothing_twice() -> None:
    world = some(*map(str, range(9)))
    with Ghcr(world, page_cap=3) as server:
        pages: list[Request] = []

        def meanwhile(request: Request) -> None:
            if "/versions?" in request.target:
                pages.append(request)
                if len(pages) == 2:
                    world.push("a", tags=["new"], created="1h")

        server.api.meanwhile = meanwhile
        images = listing(opened(server))
    assert set(images) == set(world["a"].manifests)


def test_a_package_that_never_stands_still_is_an_error() -> None:
    world = some(*map(str, range(9)))
    with Ghcr(world, page_cap=3) as server:

        def meanwhile(request: Request) -> None:
            if "/versions?" in request.target:
                world.push("a", created="1h")

        server.api.meanwhile = meanwhile
        with pytest.raises(Malformed, match="changed"):
            listing(opened(server))


def test_a_page_that_vanishes_while_pages_are_read_is_looked_for_again() -> None:
    world = some(*map(str, range(5)))
    with Ghcr(world, page_cap=3) as server:
        world.fault("error", status=404, match="/versions.*page=2")
        assert len(listing(opened(server))) == 5
        world.fault("error", status=404, times=100, match="/versions.*page=2")
        with pytest.raises(Malformed, match="changed"):
            listing(opened(server))


def test_one_page_is_read_once() -> None:
    with Ghcr(some("1", "2")) as server:
        listing(opened(server))
        assert len(server.api.asked("GET", "/versions?")) == 1


def test_a_page_without_its_link_is_noticed_by_github_s_own_count() -> None:
    world = some(*map(str, range(5)))
    with Ghcr(world, page_cap=3) as server:
        world.fault("lost-page", times=100, match="/versions")
        with pytest.raises(Malformed, match="counts 5"):
            listing(opened(server))


def test_a_count_that_has_deleted_versions_in_it_is_no_error() -> None:
    world = some("1", "2", "3")
    victim = world["a"].tags["2"]

    with Ghcr(world) as server:
        described = server.api._described
        server.books.delete("a", server.books.id_of("a", victim), victim)

        def late(name: str) -> dict[str, Any]:
            return described(name) | {"version_count": 3}

        server.api._described = late  # type: ignore[method-assign]  # the count lags behind
        assert len(listing(opened(server))) == 2


@pytest.mark.parametrize(
    "spoil",
    [
        lambda version: version | {"metadata": {"package_type": "container"}},
        lambda version: version | {"metadata": {"container": {"tags": None}}},
        lambda version: version | {"name": "latest"},
        lambda version: version | {"created_at": None},
        lambda version: version | {"metadata": {"container": {"tags": ["../x"]}}},
    ],
    ids=["no-container", "no-tags", "no-digest", "no-time", "no-tag"],
)
def test_an_answer_that_lacks_something_is_an_error_and_no_untagged_image(
    spoil: Callable[[dict[str, Any]], dict[str, Any]],
) -> None:
    with Ghcr(some("1", "2")) as server:
        version = server.books.version
        server.books.version = lambda name, held: spoil(version(name, held))  # type: ignore[method-assign]  # spoilt
        with pytest.raises(Malformed):
            listing(opened(server))


def test_a_package_that_is_named_and_not_there_is_an_error() -> None:
    with Ghcr(some("1")) as server:
        registry = opened(server, spec={"repositories": ("a", "mistyped")})
        assert units(registry) == ["a", "mistyped"]
        with pytest.raises(Gone, match="mistyped"):
            listing(registry, "mistyped")


def test_where_the_api_leads_elsewhere_nothing_is_believed_and_no_token_goes() -> None:
    world = some("1")
    with Ghcr(world) as server, Scripted(lambda _: json("[]")) as foreign:
        server.api.foreign = foreign.address
        world.fault("redirect", times=100, match="/packages")
        with pytest.raises(Malformed, match="elsewhere"):
            units(opened(server))
        assert all("authorization" not in each.headers for each in foreign.requests)


# Tags


def test_the_tags_of_few_images_are_read_one_by_one_and_of_many_together() -> None:
    world = some(*map(str, range(5)))
    with Ghcr(world) as server:
        registry = opened(server)
        images = list(listing(registry).values())
        server.api.requests.clear()
        registry.tags_now("a", images[:1])
        assert len(server.api.asked("GET", "/versions/")) == 1
        registry.tags_now("a", images)
        assert len(server.api.asked("GET", "/versions?")) == 1
        assert len(server.api.asked("GET", "/versions/")) == 1


def test_tags_of_what_is_listed_though_it_is_gone_are_not_believed() -> None:
    world = some("1", "2", "3")
    with Ghcr(world, lag=100) as server:
        registry = opened(server)
        images = listing(registry)
        victim = images[world["a"].tags["2"]]
        delete(registry, victim)
        for asked in ([victim], list(images.values())):
            assert registry.tags_now("a", asked)[victim.digest] is None


# Deleting


def test_a_version_goes_by_its_id_one_after_the_other() -> None:
    world = some(*map(str, range(6)))
    with Ghcr(world) as server:
        registry = opened(server, context={"concurrency": 16})
        images = list(listing(registry).values())[2:]
        alone = threading.Lock()
        together: list[Request] = []

        def meanwhile(request: Request) -> None:
            if not alone.acquire(blocking=False):
                together.append(request)
            else:
                alone.release()

        server.api.meanwhile = meanwhile
        assert {result.outcome for result in delete(registry, *images).values()} == {OutcomeKind.DELETED}
        ids = [target.rpartition("/")[2] for target in server.api.asked("DELETE")]
    assert len(ids) == len(set(ids)) == 4
    assert all(each.isdigit() for each in ids)
    assert together == []


def test_an_index_goes_before_its_platforms() -> None:
    world = some("1")
    index, children = multi(world, "2")
    with Ghcr(world) as server:
        registry = opened(server)
        images = listing(registry)
        ids = {server.books.id_of("a", digest): digest for digest in images}
        delete(registry, *(images[digest] for digest in (*children, index)))
        order = [ids[int(target.rpartition("/")[2])] for target in server.api.asked("DELETE")]
    assert order[0] == index


def test_where_an_index_stays_its_platforms_stay() -> None:
    """GitHub would delete them without a word."""
    world = World()
    index, children = multi(world, "1")
    with Ghcr(world) as server:
        registry = opened(server)
        images = listing(registry)
        results = delete(registry, *(images[digest] for digest in (*children, index)))
        assert len(server.api.asked("DELETE")) == 1
    assert results[index].outcome is OutcomeKind.REFUSED
    assert {results[child].outcome for child in children} == {OutcomeKind.FAILED}
    assert set(world["a"].manifests) == {index, *children}


def test_the_last_tagged_version_is_refused_and_known_not_to_go() -> None:
    world = some("1")
    world.push("a")
    with Ghcr(world) as server:
        registry = opened(server)
        assert registry.abilities.keeps_last_tagged
        image = listing(registry)[world["a"].tags["1"]]
        result = delete(registry, image)[image.digest]
    assert result.outcome is OutcomeKind.REFUSED
    assert "last tagged version" in (result.detail or "")


def test_what_many_have_downloaded_is_refused_where_it_is_public() -> None:
    world = some("1", "2", "3")
    with Ghcr(world) as server:
        registry = opened(server)
        first, second, _ = (listing(registry)[world["a"].tags[tag]] for tag in "123")
        server.books.downloads["a", first.digest] = DOWNLOADS + 1
        server.books.downloads["a", second.digest] = DOWNLOADS
        server.books.public.add("a")
        results = delete(registry, first, second)
    assert results[first.digest].outcome is OutcomeKind.REFUSED
    assert "5000 downloads" in (results[first.digest].detail or "")
    assert results[second.digest].outcome is OutcomeKind.DELETED


def test_another_bad_request_is_a_failure_and_no_refusal_for_good() -> None:
    world = some("1", "2")
    with Ghcr(world) as server:
        registry = opened(server)
        first, _ = listing(registry).values()
        world.fault("error", status=400, match="DELETE")
        assert delete(registry, first)[first.digest].outcome is OutcomeKind.FAILED


@pytest.mark.parametrize(
    ("token", "said"),
    [(READER, "delete:packages"), (msgspec.structs.replace(CLASSIC, admin=False), "Admin")],
    ids=["no-scope", "no-role"],
)
def test_without_the_right_to_delete_one_request_says_so_for_all(token: Token, said: str) -> None:
    world = some("1", "2", "3")
    with Ghcr(world, token=token) as server:
        registry = opened(server)
        images = list(listing(registry).values())
        with pytest.raises(Denied, match=said):
            delete(registry, *images[:2])
        assert len(server.api.asked("DELETE")) == 1
    assert len(world["a"].manifests) == 3


def test_a_404_of_what_is_there_is_a_lack_of_rights_and_no_deletion() -> None:
    world = some("1", "2")
    with Ghcr(world) as server:
        registry = opened(server)
        first, _ = listing(registry).values()
        world.fault("error", status=404, times=100, match="DELETE")
        with pytest.raises(Denied, match="it is there"):
            delete(registry, first)
    assert first.digest in world["a"].manifests


def test_what_went_meanwhile_was_gone_already() -> None:
    world = some("1", "2")
    with Ghcr(world) as server:
        registry = opened(server)
        first, _ = listing(registry).values()
        server.books.delete("a", server.books.id_of("a", first.digest), first.digest)
        result = delete(registry, first)[first.digest]
    assert (result.outcome, result.detail) == (OutcomeKind.DELETED, "was gone already")


@pytest.mark.parametrize("kind", ["lost-answer", "gateway"])
def test_a_deletion_whose_answers_are_all_lost_is_looked_up(kind: str) -> None:
    world = some("1", "2")
    with Ghcr(world) as server:
        registry = opened(server)
        first, _ = listing(registry).values()
        world.fault(kind, times=100, match="DELETE")
        result = delete(registry, first)[first.digest]
    assert result.outcome is OutcomeKind.DELETED
    assert "without an answer" in (result.detail or "")


def test_a_deletion_that_was_begun_is_looked_up_after_a_stop_too() -> None:
    world = some("1", "2")
    stop = threading.Event()
    with Ghcr(world) as server:
        registry = opened(server, context={"stop": stop})
        first, second = listing(registry).values()
        world.fault("lost-answer", match="DELETE")
        server.api.meanwhile = lambda request: stop.set() if request.method == "DELETE" else None
        assert delete(registry, first)[first.digest].outcome is OutcomeKind.DELETED
        with pytest.raises(Stopped):
            delete(registry, second)
    assert second.digest in world["a"].manifests


def test_a_deletion_that_can_not_be_looked_up_is_a_failure_that_says_so() -> None:
    world = some("1", "2")
    with Ghcr(world) as server:
        registry = opened(server)
        first, _ = listing(registry).values()
        world.fault("lost-answer", times=100, match="DELETE")
        world.fault("error", times=100, match="GET .*/versions/")
        result = delete(registry, first)[first.digest]
    assert result.outcome is OutcomeKind.FAILED
    assert "could not be looked up" in (result.detail or "")


def test_an_image_that_was_not_listed_is_looked_for() -> None:
    world = some("1", "2")
    with Ghcr(world) as server:
        first, _ = listing(opened(server)).values()
        registry = opened(server)
        assert delete(registry, first)[first.digest].outcome is OutcomeKind.DELETED
    assert first.digest not in world["a"].manifests


def test_tags_are_not_taken_off() -> None:
    with Ghcr(some("1", "2")) as server:
        registry = opened(server)
        (image, _) = listing(registry).values()
        server.api.requests.clear()
        with pytest.raises(Unsupported):
            registry.untag("a", image, image.tags)
        assert server.api.requests == []
        assert not registry.abilities.untags


# What is rationed


def test_two_hundred_deletions_stay_within_the_points_of_each_minute() -> None:
    world = some(*map(str, range(210)))
    time = Time()
    with Ghcr(world, clock=time.clock) as server:
        registry = opened(server, time=time)
        images = list(listing(registry).values())[:200]
        results = delete(registry, *images)
        assert {result.outcome for result in results.values()} == {OutcomeKind.DELETED}
        assert registry.traffic().retries == 0
        assert len(server.api.asked("DELETE")) == 200
    assert time.now >= 60


def test_a_secondary_limit_without_a_word_on_time_is_waited_for_longer_and_longer() -> None:
    world = some("1")
    time = Time()
    with Ghcr(world) as server:
        world.fault("throttle", times=3, match="/packages")
        assert units(opened(server, time=time)) == ["a"]
    assert time.now >= 60 + 120 + 240


def test_a_secondary_limit_that_says_how_long_is_waited_for_so_long() -> None:
    world = some("1")
    time = Time()
    with Ghcr(world) as server:
        world.fault("throttle", match="/packages", retry_after="7")
        assert units(opened(server, time=time)) == ["a"]
    assert 7 <= time.now < 30


def test_a_spent_quota_is_waited_for_to_its_end() -> None:
    world = some("1")
    time = Time()
    with Ghcr(world) as server:
        world.fault("spent", match="/packages", retry_after="1800")
        registry = opened(server, time=time)
        assert units(registry) == ["a"]
        assert registry.traffic().retries == 1
    assert 1790 <= time.now < 1830


def test_a_quota_that_ends_in_the_middle_of_a_listing_costs_nothing_but_time() -> None:
    world = some(*map(str, range(9)))
    time = Time()
    with Ghcr(world, quota=4, page_cap=3, clock=time.clock) as server:
        assert len(listing(opened(server, time=time))) == 9
    assert time.now >= 3600


def test_a_limit_that_lasts_is_an_error() -> None:
    world = some("1")
    with Ghcr(world) as server:
        world.fault("throttle", times=1000, match="/packages")
        with pytest.raises(Unreachable, match="rate limit"):
            units(opened(server))
        assert len(server.api.requests) < 20


def test_a_lack_of_rights_is_no_limit_to_wait_for() -> None:
    time = Time()
    with Ghcr(some("1"), token=WORKFLOW) as server, pytest.raises(Denied):
        units(opened(server, time=time))
    assert time.now < 5


def test_requests_to_both_hosts_are_counted() -> None:
    world = some("1", "2")
    with Ghcr(world) as server:
        registry = opened(server)
        first, _ = listing(registry).values()
        delete(registry, first)
        traffic = registry.traffic()
        sent = len(server.api.requests) + len(server.registry.requests)
    assert traffic.requests.delete == 1
    assert traffic.requests.list + traffic.requests.delete + traffic.requests.other == sent


# Undo


def lost(registry: Registry, digest: str) -> Keepsake:
    """Delete an image, and keep what brings it back."""
    image = listing(registry)[digest]
    kept = registry.keepsakes("a", [image])[digest]
    assert delete(registry, image)[digest].outcome is OutcomeKind.DELETED
    return kept


def test_what_brings_back_an_image_is_the_id_of_its_version() -> None:
    world = some("1", "2")
    with Ghcr(world) as server:
        registry = opened(server)
        image = listing(registry)[world["a"].tags["1"]]
        kept = registry.keepsakes("a", [image])[image.digest]
        assert kept.handle == str(server.books.id_of("a", image.digest))
        assert (kept.tags, kept.manifest) == (("1",), None)


def test_another_run_brings_it_back_and_it_is_listed_again() -> None:
    world = some("1", "2")
    digest = world["a"].tags["1"]
    with Ghcr(world, lag=5) as server:
        first = opened(server)
        kept = lost(first, digest)
        (result,) = opened(server).restore("a", [kept])
        assert (result.outcome, result.detail) == (OutcomeKind.RESTORED, None)
        assert listing(first)[digest].tags == ("1",)


def test_a_tag_that_moved_is_told_with_where_it_is() -> None:
    world = some("1", "2")
    digest, other = world["a"].tags["1"], world["a"].tags["2"]
    with Ghcr(world) as server:
        registry = opened(server)
        kept = lost(registry, digest)
        world.retag("a", "1", other)
        (result,) = registry.restore("a", [kept])
    assert result.outcome is OutcomeKind.RESTORED
    assert f"1 is on {other}" in (result.detail or "")


def test_after_thirty_days_it_is_refused() -> None:
    world = some("1", "2")
    with Ghcr(world) as server:
        registry = opened(server)
        kept = lost(registry, world["a"].tags["1"])
        world.now += timedelta(days=31)
        (result,) = registry.restore("a", [kept])
    assert result.outcome is OutcomeKind.REFUSED
    assert "30 days" in (result.detail or "")


def test_what_is_there_already_is_brought_back_by_doing_nothing() -> None:
    world = some("1", "2")
    with Ghcr(world) as server:
        registry = opened(server)
        image = listing(registry)[world["a"].tags["1"]]
        (result,) = registry.restore("a", list(registry.keepsakes("a", [image]).values()))
    assert result.outcome is OutcomeKind.RESTORED


def test_an_image_whose_id_was_not_kept_can_not_be_asked_for() -> None:
    with Ghcr(some("1")) as server:
        (result,) = opened(server).restore("a", [Keepsake(digest="sha256:" + "0" * 64)])
        assert server.api.requests == []
    assert result.outcome is OutcomeKind.REFUSED


def test_a_token_made_for_deleting_can_not_bring_back() -> None:
    world = some("1", "2")
    token = msgspec.structs.replace(CLASSIC, scopes=frozenset({"read:packages", "delete:packages"}))
    with Ghcr(world, token=token) as server:
        registry = opened(server)
        kept = lost(registry, world["a"].tags["1"])
        with pytest.raises(Denied, match="write:packages"):
            list(registry.restore("a", [kept]))


def test_platforms_come_back_before_their_index_and_signatures_after_it() -> None:
    world = some("1")
    index, children = multi(world, "2")
    signature = world.sign("a", index)
    with Ghcr(world) as server:
        registry = opened(server)
        images = listing(registry)
        gone = [images[digest] for digest in (signature, index, *children)]
        kept = registry.keepsakes("a", gone)
        delete(registry, *gone)
        order = [result.digest for result in registry.restore("a", [kept[each.digest] for each in gone])]
    assert order == [*children, index, signature]


@pytest.mark.parametrize("broken", ["GET", "POST"])
def test_an_undo_that_is_interrupted_tells_what_came_back(broken: str) -> None:
    world = some("1", "2")
    with Ghcr(world) as server:
        registry = opened(server)
        kept = lost(registry, world["a"].tags["1"])
        world.fault("lost-answer", times=1 if broken == "POST" else 100, match=f"{broken} .*/versions/")
        (result,) = registry.restore("a", [kept])
    assert result.outcome is OutcomeKind.RESTORED
    assert kept.digest in world["a"].manifests
    assert (result.detail is None) is (broken == "POST")


def test_nothing_from_elsewhere_is_a_deletion() -> None:
    world = some("1", "2")
    with Ghcr(world) as server:
        registry = opened(server)
        first, _ = listing(registry).values()
        with Foreign() as foreign:
            server.api.foreign = foreign.address
            world.fault("redirect", times=100, match="DELETE")
            result = delete(registry, first)[first.digest]
            assert foreign.requests == []
    assert result.outcome is OutcomeKind.FAILED
