"""Each habit of Docker Hub that the simulator claims, asked over the wire."""

from __future__ import annotations

import base64
import http.client
import json
import re
from collections.abc import Iterator
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from tests.simulators.dockerhub import NEVER, OLD, SECRET, TEAM, USER, DockerHub, Plan, serving
from tests.simulators.world import World

PLACE = "/v2/namespaces/acme/repositories"
ACCEPT = {"Accept": "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json"}


class Reply:
    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def ask(
    address: str, method: str, target: str, headers: dict[str, str] | None = None, body: bytes = b""
) -> Reply:
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=20)
    try:
        connection.request(method, target, body, headers or {})
        return Reply(connection.getresponse())
    finally:
        connection.close()


class Client:
    """Both services, asked with the tokens of each."""

    def __init__(self, server: DockerHub) -> None:
        self.server = server

    def login(self, secret: str = SECRET, path: str = "/v2/auth/token") -> Reply:
        names = ("identifier", "secret") if "auth" in path else ("username", "password")
        body = json.dumps(dict(zip(names, (USER, secret), strict=True))).encode()
        return ask(self.server.address, "POST", path, {"Content-Type": "application/json"}, body)

    def hub(self, method: str, target: str, token: str | None = None) -> Reply:
        token = token or self.login().json["access_token"]
        return ask(self.server.address, method, target, {"Authorization": f"Bearer {token}"})

    def registry(self, method: str, target: str, actions: str = "pull") -> Reply:
        name = re.sub(r"/v2/(.*)/(manifests|blobs|referrers|tags)/.*", r"\1", target)
        scope = f"repository:{name}:{actions}"
        basic = base64.b64encode(f"{USER}:{self.server.plan.secret}".encode()).decode()
        token = ask(
            self.server.registry_address,
            "GET",
            f"/token?service=registry.docker.io&scope={scope}",
            {"Authorization": f"Basic {basic}"},
        ).json["token"]
        headers = ACCEPT | {"Authorization": f"Bearer {token}"}
        return ask(self.server.registry_address, method, target, headers)


@pytest.fixture
def world() -> World:
    world = World()
    for number in range(1, 6):
        world.push("app", tags=[f"{number}.0"], created=f"{number}d")
    return world


@pytest.fixture
def client(world: World) -> Iterator[Client]:
    with serving(world) as server:
        yield Client(server)


def made(world: World, **plan: Any) -> Plan:  # noqa: ARG001 - a test reads as: of this world
    return msgspec.structs.replace(TEAM, **plan)


def test_a_token_says_when_it_ends_and_ends_then(client: Client) -> None:
    token = client.login().json["access_token"]
    body = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    assert claims["exp"] - claims["iat"] == 600
    assert client.hub("GET", PLACE, token).status == 200
    client.server.hub.late = timedelta(minutes=9, seconds=59)
    assert client.hub("GET", PLACE, token).status == 200
    client.server.hub.late = timedelta(minutes=10)
    assert client.hub("GET", PLACE, token).status == 401


def test_a_wrong_secret_is_401(client: Client) -> None:
    assert client.login("wrong").status == 401
    assert client.login("wrong", "/v2/users/login").status == 401
    assert set(client.login(path="/v2/users/login").json) == {"token"}


def test_strangers_see_public_repositories_without_an_error(world: World) -> None:
    world.push("open", tags=["1"])
    with serving(world, made(world, public=frozenset({"open"}))) as server:
        page = ask(server.address, "GET", PLACE).json
    assert (page["count"], [each["name"] for each in page["results"]]) == (1, ["open"])


def test_pages_name_the_next_by_the_address_of_the_service_itself(client: Client) -> None:
    first = client.hub("GET", f"{PLACE}/app/tags?page_size=100").json
    assert first["count"] == 5
    assert first["next"] == "https://hub.docker.com" + f"{PLACE}/app/tags?page_size=100&page=2"
    last = client.hub("GET", f"{PLACE}/app/tags?page=3&page_size=100").json
    assert last["next"] is None
    assert len(last["results"]) == 1


def test_a_next_page_may_be_called_by_its_older_address(world: World) -> None:
    for number in range(6):
        world.push(f"r{number}", tags=["1"])
    with serving(world, OLD) as server:
        client = Client(server)
        for target in (f"{PLACE}?page_size=100", f"{PLACE}/app/tags?page_size=100"):
            first = client.hub("GET", target).json
            assert first["next"].startswith("https://hub.docker.com/v2/repositories/acme")
            again = client.hub("GET", first["next"].removeprefix("https://hub.docker.com")).json
            assert (again["count"], bool(again["results"])) == (first["count"], True)


def test_a_page_past_the_end_is_404(client: Client) -> None:
    assert client.hub("GET", f"{PLACE}/app/tags?page=4&page_size=100").status == 404
    assert client.hub("GET", f"{PLACE}/nothing/tags").status == 404


def test_the_last_that_changed_comes_first(client: Client, world: World) -> None:
    def order() -> list[str]:
        pages = [client.hub("GET", f"{PLACE}/app/tags?page={page}&page_size=100").json for page in (1, 2, 3)]
        return [tag["name"] for page in pages for tag in page["results"]]

    assert order() == ["1.0", "2.0", "3.0", "4.0", "5.0"]
    world.retag("app", "4.0", world["app"].tags["4.0"])
    assert order() == ["4.0", "1.0", "2.0", "3.0", "5.0"]


def test_an_ordering_that_is_none_is_an_error_of_its_own_form(client: Client) -> None:
    reply = client.hub("GET", f"{PLACE}?ordering=size")
    assert (reply.status, reply.json["text"]) == (400, "Invalid ordering value")
    assert client.hub("GET", f"{PLACE}?ordering=name").status == 200


def test_a_tag_has_platforms_with_digests_and_times_of_their_own(client: Client, world: World) -> None:
    children = [world.push("multi", created="9d", pulled="1d"), world.push("multi", created="8d")]
    index = world.push_index("multi", children=children, tags=["1"], created="7d", provenance=True)
    tag = client.hub("GET", f"{PLACE}/multi/tags/1").json
    assert (tag["digest"], tag["content_type"]) == (index, "image")
    assert [each["digest"] for each in tag["images"][:2]] == children
    assert {(each["os"], each["architecture"]) for each in tag["images"][2:]} == {("unknown", "unknown")}
    assert tag["images"][0]["last_pushed"] < tag["images"][1]["last_pushed"] < tag["tag_last_pushed"]


def test_never_pulled_is_said_in_several_ways(client: Client, world: World) -> None:
    for number in range(20):
        world.push("many", tags=[str(number)])
    said = {client.hub("GET", f"{PLACE}/many/tags/{number}").json["tag_last_pulled"] for number in range(20)}
    assert said == set(NEVER)


def test_old_tags_lack_their_digest(world: World) -> None:
    with serving(world, OLD) as server:
        tag = Client(server).hub("GET", f"{PLACE}/app/tags/1.0").json
    assert {"digest", "media_type"}.isdisjoint(tag)
    assert tag["images"][0]["digest"] == world["app"].tags["1.0"]


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_deleted_tag_leaves_its_manifest(client: Client, world: World, slash: str) -> None:
    digest = world["app"].tags["1.0"]
    target = f"/v2/repositories/acme/app/tags/1.0{slash}"
    assert client.hub("DELETE", target).status == 204
    assert client.hub("DELETE", target).status == 404
    assert digest in world["app"].manifests
    assert client.hub("PUT", "/v2/repositories/acme/app/tags/2.0/").status == 405


def test_a_token_without_the_right_is_401_on_deletions_alone(world: World) -> None:
    with serving(world, made(world, rights=frozenset({"read"}))) as server:
        client = Client(server)
        assert client.hub("GET", f"{PLACE}/app/tags").status == 200
        assert client.hub("DELETE", "/v2/repositories/acme/app/tags/1.0/").status == 401
        digest = world["app"].tags["1.0"]
        assert client.registry("DELETE", f"/v2/acme/app/manifests/{digest}", "pull,delete").status == 401


def test_immutable_tags_are_told_and_kept(world: World) -> None:
    with serving(world, made(world, immutable=("^1",))) as server:
        client = Client(server)
        told = client.hub("GET", f"{PLACE}/app").json
        assert told["immutable_tags_settings"] == {"enabled": True, "rules": ["^1"]}
        assert told["permissions"] == {"read": True, "write": True, "admin": True}
        assert client.hub("DELETE", "/v2/repositories/acme/app/tags/1.0/").status == 403
        assert client.hub("DELETE", "/v2/repositories/acme/app/tags/2.0/").status == 204


def test_a_manifest_goes_only_when_nothing_names_it(client: Client, world: World) -> None:
    child = world.push("multi")
    index = world.push_index("multi", children=[child], tags=["1"])

    def delete(reference: str) -> int:
        return client.registry("DELETE", f"/v2/acme/multi/manifests/{reference}", "pull,push,delete").status

    assert delete("1") == 405
    assert (delete(child), delete(index)) == (403, 403)
    client.hub("DELETE", "/v2/repositories/acme/multi/tags/1/")
    assert (delete(child), delete(index)) == (403, 202)
    assert (delete(child), delete(child)) == (202, 404)


def test_a_slow_deletion_is_500_and_done_afterwards(client: Client, world: World) -> None:
    digest = world.push("app")
    world.fault("gateway", match="DELETE")
    target = f"/v2/acme/app/manifests/{digest}"
    assert client.registry("DELETE", target, "pull,delete").status == 500
    assert client.registry("HEAD", target).status == 404


def test_only_what_is_read_counts_as_a_pull_and_is_told_later(world: World) -> None:
    digest = world["app"].tags["1.0"]
    with serving(world, made(world, pulls=2)) as server:
        client = Client(server)
        target = "/v2/acme/app/manifests/1.0"

        def left(method: str) -> tuple[int, str | None]:
            reply = client.registry(method, target)
            return reply.status, reply.headers["ratelimit-remaining"]

        assert [left("HEAD"), left("GET"), left("HEAD"), left("GET")] == [
            (200, "2;w=21600"),
            (200, "1;w=21600"),
            (200, "1;w=21600"),
            (200, "0;w=21600"),
        ]
        over = client.registry("GET", target)
        assert (over.status, over.json["errors"][0]["code"]) == (429, "TOOMANYREQUESTS")
        assert world["app"].manifests[digest].pulled_at is None
        server.settle()
        assert world["app"].manifests[digest].pulled_at == world.now
        assert client.hub("GET", f"{PLACE}/app/tags/1.0").json["tag_last_pulled"]


def test_too_many_requests_are_told_until_when_by_the_clock_of_the_server(world: World) -> None:
    with serving(world, made(world, requests=3)) as server:
        client = Client(server)
        server.hub.late = timedelta(hours=5, seconds=20)
        assert [client.hub("GET", PLACE).status, client.hub("GET", PLACE, "x").status] == [200, 401]
        reply = ask(server.address, "GET", PLACE)
        assert reply.status == 429
        now = parsedate_to_datetime(reply.headers["Date"]).timestamp()
        assert now == (world.now + server.hub.late).timestamp()
        assert int(reply.headers["X-Retry-After"]) - now == 40
        assert reply.headers["X-RateLimit-Remaining"] == "0"
        server.hub.late += timedelta(seconds=40)
        assert client.hub("GET", PLACE).status == 200


def test_a_registry_token_says_what_it_allows_which_may_be_less_than_was_asked(world: World) -> None:
    with serving(world, made(world, rights=frozenset({"read"}))) as server:
        basic = base64.b64encode(f"{USER}:{SECRET}".encode()).decode()
        target = "/token?service=registry.docker.io&scope=repository:acme/app:pull,delete"
        reply = ask(server.registry_address, "GET", target, {"Authorization": f"Basic {basic}"})
    body = reply.json["token"].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    assert reply.status == 200
    assert claims["access"] == [{"type": "repository", "name": "acme/app", "actions": ["pull"]}]


def test_neither_token_is_good_for_the_other_service(client: Client) -> None:
    token = client.login().json["access_token"]
    bearer = {"Authorization": f"Bearer {token}"}
    target = "/v2/acme/app/manifests/1.0"
    assert ask(client.server.registry_address, "HEAD", target, bearer).status == 401
    assert client.registry("HEAD", target).status == 200
    assert client.registry("HEAD", "/v2/acne/app/manifests/1.0").status == 401
