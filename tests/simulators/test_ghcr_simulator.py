"""The simulated GitHub answers as its documentation says, so that other programs find it believable."""

from __future__ import annotations

import base64
import http.client
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.net.scripted import Time
from tests.simulators.content import OCI_INDEX
from tests.simulators.ghcr import CLASSIC, OWNER, READER, WORKFLOW, Ghcr
from tests.simulators.world import World

VERSIONS = f"/orgs/{OWNER}/packages/container/a/versions"


class Told:
    """One answer."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        body = response.read()
        self.body: Any = json.loads(body) if body.startswith((b"{", b"[")) else None

    @property
    def links(self) -> dict[str, str]:
        """Where the Link leads, by its relation."""
        parts = (each.split(">; rel=") for each in self.headers.get("link", "").split(", ") if each)
        return {relation.strip('"'): target[1:] for target, relation in parts}


def ask(address: str, method: str, target: str, **headers: str) -> Told:
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=20)
    connection.request(method, target, headers=headers)
    told = Told(connection.getresponse())
    connection.close()
    return told


def api(server: Ghcr, target: str, method: str = "GET") -> Told:
    token = server.api.token.value
    return ask(server.address, method, target, **{"Authorization": f"Bearer {token}", "User-Agent": "test"})


def registry(server: Ghcr, target: str, method: str = "GET", package: str = "a") -> Told:
    basic = base64.b64encode(f"anybody:{server.api.token.value}".encode()).decode()
    scope = f"repository:{OWNER}/{package}:pull"
    given = ask(
        server.registry.address,
        "GET",
        f"/token?service=ghcr.io&scope={scope}",
        Authorization=f"Basic {basic}",
    )
    return ask(server.registry.address, method, target, Authorization=f"Bearer {given.body['token']}")


@pytest.fixture
def world() -> World:
    made = World()
    for age in range(7, 0, -1):
        made.push("a", tags=[f"{8 - age}"], created=f"{age}d")
    return made


@pytest.fixture
def server(world: World) -> Iterator[Ghcr]:
    with Ghcr(world) as made:
        yield made


def test_versions_come_the_newest_first_with_what_the_documentation_shows(server: Ghcr) -> None:
    versions = api(server, f"{VERSIONS}?state=active").body
    assert [each["metadata"]["container"]["tags"] for each in versions] == [[str(n)] for n in range(7, 0, -1)]
    addresses = {"url", "html_url", "package_html_url"}
    assert set(versions[0]) == {"id", "name", "created_at", "updated_at", "metadata"} | addresses
    assert versions[0]["created_at"].endswith("Z")
    assert api(server, f"{VERSIONS}/{versions[0]['id']}").body == versions[0]


def test_pages_carry_a_link_to_the_next_and_the_last(server: Ghcr) -> None:
    first = api(server, f"{VERSIONS}?per_page=3")
    assert len(first.body) == 3
    assert first.links["last"].endswith("page=3")
    second = api(server, first.links["next"].removeprefix(server.address))
    third = api(server, second.links["next"].removeprefix(server.address))
    assert len(third.body) == 1
    assert set(third.links) == {"prev", "first"}


def test_no_page_has_more_than_a_hundred_entries_and_without_a_number_thirty() -> None:
    world = World()
    for _ in range(120):
        world.push("a")
    with Ghcr(world) as server:
        assert len(api(server, f"{VERSIONS}?per_page=500").body) == 100
        assert len(api(server, VERSIONS).body) == 30


def test_a_slash_in_a_package_s_name_must_be_encoded(world: World) -> None:
    world.push("team/app", tags=["1"])
    with Ghcr(world) as server:
        base = f"/orgs/{OWNER}/packages/container"
        assert api(server, f"{base}/team%2Fapp").body["name"] == "team/app"
        assert api(server, f"{base}/team/app").status == 404


def test_the_login_is_taken_in_any_case(server: Ghcr) -> None:
    assert api(server, VERSIONS.replace(OWNER, OWNER.upper())).status == 200


def test_what_kind_of_packages_must_be_said(server: Ghcr) -> None:
    assert api(server, f"/orgs/{OWNER}/packages").status == 400
    assert len(api(server, f"/orgs/{OWNER}/packages?package_type=container").body) == 1


def test_a_deletion_is_204_then_404_and_the_listing_lags_behind(world: World) -> None:
    with Ghcr(world, lag=2) as server:
        version = api(server, VERSIONS).body[-1]
        target = f"{VERSIONS}/{version['id']}"
        assert api(server, target, "DELETE").status == 204
        gone = api(server, target, "DELETE")
        assert (gone.status, gone.body["message"], gone.body["status"]) == (
            404,
            "Package version not found.",
            "404",
        )
        shown = [version["id"] in {each["id"] for each in api(server, VERSIONS).body} for _ in range(3)]
        assert shown == [True, True, False]
        assert api(server, target).status == 404


def test_a_deleted_version_is_in_a_list_of_its_own_and_comes_back_with_its_tags(
    server: Ghcr, world: World
) -> None:
    version = api(server, VERSIONS).body[-1]
    target = f"{VERSIONS}/{version['id']}"
    api(server, target, "DELETE")
    (deleted,) = api(server, f"{VERSIONS}?state=deleted").body
    assert deleted["id"] == version["id"]
    assert deleted["deleted_at"]
    assert api(server, f"{target}/restore", "POST").status == 204
    assert api(server, target).body["metadata"] == version["metadata"]
    assert api(server, f"{VERSIONS}?state=deleted").body == []
    assert world["a"].tags["1"] == version["name"]
    assert api(server, f"{target}/restore", "POST").status == 404


def test_a_deletion_takes_all_tags_and_nothing_else_not_even_the_children(world: World) -> None:
    child = world.push("a")
    index = world.push_index("a", children=[child], tags=["x", "y"])
    with Ghcr(world) as server:
        api(server, f"{VERSIONS}/{server.books.id_of('a', index)}", "DELETE")
        assert child in world["a"].manifests
        assert {"x", "y"}.isdisjoint(world["a"].tags)


def test_a_platform_of_a_living_index_is_deleted_without_a_word(world: World) -> None:
    child = world.push("a")
    world.push_index("a", children=[child], tags=["x"])
    with Ghcr(world) as server:
        assert api(server, f"{VERSIONS}/{server.books.id_of('a', child)}", "DELETE").status == 204


def test_the_last_tagged_version_and_the_last_version_are_refused() -> None:
    world = World()
    tagged, untagged = world.push("a", tags=["1"]), world.push("a")
    with Ghcr(world) as server:
        refused = api(server, f"{VERSIONS}/{server.books.id_of('a', tagged)}", "DELETE")
        assert refused.status == 400
        assert refused.body["message"].startswith("You cannot delete the last tagged version")
        assert api(server, f"{VERSIONS}/{server.books.id_of('a', untagged)}", "DELETE").status == 204
        refused = api(server, f"{VERSIONS}/{server.books.id_of('a', tagged)}", "DELETE")
        assert refused.body["message"].startswith("You cannot delete the last version")


def test_a_get_of_a_manifest_is_a_download_and_five_thousand_lock_what_is_public(
    server: Ghcr, world: World
) -> None:
    digest = world["a"].tags["1"]
    target = f"/v2/{OWNER}/a/manifests/{digest}"
    registry(server, target, "HEAD")
    assert server.books.downloads["a", digest] == 0
    registry(server, target)
    assert server.books.downloads["a", digest] == 1
    server.books.downloads["a", digest] = 5001
    server.books.public.add("a")
    refused = api(server, f"{VERSIONS}/{server.books.id_of('a', digest)}", "DELETE")
    assert (refused.status, "5000 downloads" in refused.body["message"]) == (400, True)
    server.books.public.clear()
    assert api(server, f"{VERSIONS}/{server.books.id_of('a', digest)}", "DELETE").status == 204


def test_the_registry_challenges_and_gives_a_token_that_says_no_expiry(server: Ghcr) -> None:
    told = ask(server.registry.address, "GET", f"/v2/{OWNER}/a/tags/list")
    assert told.status == 401
    assert 'service="ghcr.io"' in told.headers["www-authenticate"]
    assert f'scope="repository:{OWNER}/a:pull"' in told.headers["www-authenticate"]
    basic = base64.b64encode(f"x:{CLASSIC.value}".encode()).decode()
    target = f"/token?service=ghcr.io&scope=repository:{OWNER}/a:pull"
    given = ask(server.registry.address, "GET", target, Authorization=f"Basic {basic}")
    assert set(given.body) == {"token"}


def test_strangers_get_a_token_for_what_is_public_alone(server: Ghcr) -> None:
    target = f"/token?service=ghcr.io&scope=repository:{OWNER}/a:pull"
    assert ask(server.registry.address, "GET", target).status == 403
    server.books.public.add("a")
    assert ask(server.registry.address, "GET", target).status == 200


def test_the_registry_has_no_referrers_no_deletion_and_keeps_the_subject(server: Ghcr, world: World) -> None:
    subject = world["a"].tags["1"]
    referrer = world.refer("a", subject, fallback=True)
    assert registry(server, f"/v2/{OWNER}/a/manifests/{referrer}").body["subject"]["digest"] == subject
    fallback = registry(server, f"/v2/{OWNER}/a/manifests/{subject.replace(':', '-')}")
    assert fallback.headers["content-type"] == OCI_INDEX
    assert registry(server, f"/v2/{OWNER}/a/referrers/{subject}").status == 404
    assert registry(server, f"/v2/{OWNER}/a/manifests/{subject}", "DELETE").status == 405
    assert registry(server, f"/v2/{OWNER}/a/blobs/{subject}").status == 404
    assert len(registry(server, f"/v2/{OWNER}/a/tags/list").body["tags"]) == 8


def test_a_classic_token_tells_its_scopes_and_others_do_not(server: Ghcr) -> None:
    assert "delete:packages" in api(server, VERSIONS).headers["x-oauth-scopes"]
    server.become(WORKFLOW)
    assert "x-oauth-scopes" not in api(server, VERSIONS).headers
    assert api(server, "/user").status == 403
    assert api(server, f"/orgs/{OWNER}/packages?package_type=container").status == 403


def test_what_a_token_lacks_is_403(server: Ghcr) -> None:
    version = api(server, VERSIONS).body[0]["id"]
    server.become(READER)
    told = api(server, f"{VERSIONS}/{version}", "DELETE")
    assert (told.status, "delete:packages" in told.body["message"]) == (403, True)


def test_who_does_not_say_who_asks_is_403(server: Ghcr) -> None:
    assert ask(server.address, "GET", VERSIONS, Authorization=f"Bearer {CLASSIC.value}").status == 403


def test_a_wrong_token_is_401(server: Ghcr) -> None:
    headers = {"Authorization": "Bearer other", "User-Agent": "test"}
    told = ask(server.address, "GET", VERSIONS, **headers)
    assert (told.status, told.body["message"]) == (401, "Bad credentials")


def test_more_points_than_a_minute_has_are_a_403_until_it_is_over(world: World) -> None:
    time = Time()
    with Ghcr(world, clock=time.clock) as server:
        for _ in range(180):
            api(server, f"{VERSIONS}/1", "DELETE")
        told = api(server, VERSIONS)
        assert (told.status, told.headers["retry-after"]) == (403, "60")
        assert "secondary rate limit" in told.body["message"]
        time.now += 60
        assert api(server, VERSIONS).status == 200


def test_a_spent_quota_is_a_403_with_nothing_left_until_the_hour_is_over(world: World) -> None:
    time = Time()
    with Ghcr(world, quota=2, clock=time.clock) as server:
        assert [api(server, VERSIONS).headers["x-ratelimit-remaining"] for _ in range(2)] == ["1", "0"]
        told = api(server, VERSIONS)
        assert (told.status, told.headers["x-ratelimit-remaining"]) == (403, "0")
        time.now += 3600
        assert api(server, VERSIONS).status == 200
