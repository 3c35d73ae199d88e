"""Each habit that a flavour claims, asked over the wire."""

from __future__ import annotations

import base64
import http.client
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import pytest

from tests.simulators import content
from tests.simulators.access import Access, Scheme
from tests.simulators.oci import (
    DISTRIBUTION_2,
    DISTRIBUTION_3,
    GITEA,
    HARBOR,
    QUAY,
    READ_ONLY,
    ZOT,
    Flavour,
    OciServer,
)
from tests.simulators.server import Foreign
from tests.simulators.world import World

ANY = f"{content.OCI_IMAGE}, {content.OCI_INDEX}, {content.DOCKER_IMAGE}, {content.DOCKER_LIST}"


class Reply:
    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return str(self.json["errors"][0]["code"])

    @property
    def next(self) -> str | None:
        link = self.headers["Link"]
        return None if link is None else re.sub(r"<(.*)>; rel=\"next\"", r"\1", link)


def ask(
    server: OciServer,
    method: str,
    target: str,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> Reply:
    connection = http.client.HTTPConnection(server.host, timeout=5)
    try:
        connection.request(method, target, body, dict(headers or {}))
        return Reply(connection.getresponse())
    finally:
        connection.close()


def tags(server: OciServer, target: str) -> Any:
    return ask(server, "GET", target).json["tags"]


@pytest.fixture(scope="module")
def shared() -> Iterator[OciServer]:
    with OciServer() as server:
        yield server


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def server(shared: OciServer, world: World) -> OciServer:
    """One listener for all tests: each has its own world, and sets the flavour that it asks."""
    fresh(shared, world, DISTRIBUTION_2)
    return shared


def fresh(server: OciServer, world: World, flavour: Flavour, access: Access | None = None) -> OciServer:
    server.world = world
    server.flavour = flavour
    server.guard = type(server.guard)(access or Access())
    server.requests.clear()
    return server


def test_distribution_2_ignores_n_and_last_and_gives_no_link(server: OciServer, world: World) -> None:
    world.push("a", tags=["v1", "v2", "v3"])
    reply = ask(server, "GET", "/v2/a/tags/list?n=1&last=v2")
    assert sorted(reply.json["tags"]) == ["v1", "v2", "v3"]
    assert reply.next is None


def test_distribution_2_gives_tags_in_no_order(server: OciServer, world: World) -> None:
    names = [f"v{number}" for number in range(20)]
    world.push("a", tags=names)
    assert tags(server, "/v2/a/tags/list") != sorted(names)


def test_distribution_2_says_null_after_the_last_tag(server: OciServer, world: World) -> None:
    world.empty("a")
    assert tags(server, "/v2/a/tags/list") is None


def test_distribution_3_pages_where_n_is_given_and_not_otherwise(server: OciServer, world: World) -> None:
    fresh(server, world, DISTRIBUTION_3)
    world.push("a", tags=["1", "2", "3"])
    assert tags(server, "/v2/a/tags/list") == ["1", "2", "3"]
    first = ask(server, "GET", "/v2/a/tags/list?n=2")
    assert first.json["tags"] == ["1", "2"]
    assert first.next is not None
    second = ask(server, "GET", first.next)
    assert (second.json["tags"], second.next) == (["3"], None)


def test_zot_pages_and_says_404_when_last_is_gone(server: OciServer, world: World) -> None:
    fresh(server, world, ZOT)
    world.push("a", tags=["1", "2", "3"])
    following = ask(server, "GET", "/v2/a/tags/list").next
    assert following is not None
    world["a"].untag("2")
    assert ask(server, "GET", following).status == 404


def test_quay_links_are_absolute_and_hold_a_token(server: OciServer, world: World) -> None:
    fresh(server, world, QUAY)
    world.push("a", tags=["1", "2", "3"])
    following = ask(server, "GET", "/v2/a/tags/list").next
    assert following is not None
    assert following.startswith(f"{server.address}/v2/a/tags/list?next_page=")
    assert tags(server, following.removeprefix(server.address)) == ["3"]


def test_gitea_heeds_n_but_links_nothing(server: OciServer, world: World) -> None:
    fresh(server, world, GITEA)
    world.push("a", tags=["1", "2", "3"])
    reply = ask(server, "GET", "/v2/a/tags/list?n=2")
    assert (reply.json["tags"], reply.next) == (["1", "2"], None)


def test_the_catalogue_is_paged_and_refuses_too_large_an_n(server: OciServer, world: World) -> None:
    for name in ("a", "b/c", "d"):
        world.empty(name)
    first = ask(server, "GET", "/v2/_catalog?n=100")
    assert first.json["repositories"] == ["a", "b/c"]
    assert first.next == "/v2/_catalog?last=b%2Fc&n=2"
    assert ask(server, "GET", first.next).json["repositories"] == ["d"]
    assert ask(server, "GET", "/v2/_catalog?n=2000").status == 400


def test_an_unknown_repository_has_no_tags_list(server: OciServer) -> None:
    reply = ask(server, "GET", "/v2/no/such/tags/list")
    assert (reply.status, reply.code) == (404, "NAME_UNKNOWN")


def test_a_manifest_comes_with_its_digest_and_type(server: OciServer, world: World) -> None:
    digest = world.push("a", tags=["1"])
    for method in ("GET", "HEAD"):
        reply = ask(server, method, "/v2/a/manifests/1", {"Accept": ANY})
        assert reply.headers["Docker-Content-Digest"] == digest
        assert reply.headers["Content-Type"] == content.OCI_IMAGE
        assert reply.headers["Content-Length"] == str(len(world["a"].manifests[digest].body))
    assert reply.body == b""


def test_a_manifest_that_is_known_is_not_sent_again(server: OciServer, world: World) -> None:
    digest = world.push("a", tags=["1"])
    reply = ask(server, "GET", "/v2/a/manifests/1", {"Accept": ANY, "If-None-Match": f'"{digest}"'})
    assert (reply.status, reply.body) == (304, b"")


def test_distribution_2_hides_oci_manifests_from_who_does_not_accept_them(
    server: OciServer, world: World
) -> None:
    digest = world.push("a", tags=["1"])
    assert ask(server, "GET", f"/v2/a/manifests/{digest}").status == 404
    assert ask(server, "GET", f"/v2/a/manifests/{digest}", {"Accept": "*/*"}).code == "MANIFEST_UNKNOWN"


def test_distribution_2_gives_a_platform_for_a_list_that_is_not_accepted(
    server: OciServer, world: World
) -> None:
    child = world.push("a", docker=True)
    world.push_index("a", children=[child], tags=["1"], docker=True)
    reply = ask(server, "GET", "/v2/a/manifests/1", {"Accept": content.DOCKER_IMAGE})
    assert reply.headers["Docker-Content-Digest"] == child


def test_deleting_a_digest_drops_every_tag_of_it_and_nothing_else(server: OciServer, world: World) -> None:
    digest = world.push("a", tags=["1", "2"])
    other = world.push("a", tags=["3"])
    assert ask(server, "DELETE", f"/v2/a/manifests/{digest}").status == 202
    assert world["a"].tags == {"3": other}
    assert ask(server, "DELETE", f"/v2/a/manifests/{digest}").code == "MANIFEST_UNKNOWN"


def test_distribution_2_refuses_to_delete_a_tag(server: OciServer, world: World) -> None:
    world.push("a", tags=["1"])
    reply = ask(server, "DELETE", "/v2/a/manifests/1")
    assert (reply.status, reply.code) == (400, "DIGEST_INVALID")


def test_distribution_3_takes_off_a_tag_and_leaves_the_manifest(server: OciServer, world: World) -> None:
    fresh(server, world, DISTRIBUTION_3)
    digest = world.push("a", tags=["1", "2"])
    assert ask(server, "DELETE", "/v2/a/manifests/1").status == 202
    assert world["a"].tags == {"2": digest}
    assert ask(server, "DELETE", "/v2/a/manifests/1").status == 404


def test_deletion_can_be_off(server: OciServer, world: World) -> None:
    fresh(server, world, READ_ONLY)
    digest = world.push("a", tags=["1"])
    reply = ask(server, "DELETE", f"/v2/a/manifests/{digest}")
    assert (reply.status, reply.code) == (405, "UNSUPPORTED")


def test_quay_deletes_tags_only_and_an_untagged_manifest_not_at_all(server: OciServer, world: World) -> None:
    fresh(server, world, QUAY)
    digest = world.push("a", tags=["1", "2"])
    assert ask(server, "DELETE", f"/v2/a/manifests/{digest}").status == 202
    assert not world["a"].tags
    assert ask(server, "DELETE", f"/v2/a/manifests/{digest}").status == 404
    assert digest in world["a"].manifests


@pytest.mark.parametrize("flavour", [ZOT, HARBOR], ids=lambda flavour: flavour.name)
def test_what_an_index_names_can_be_held(server: OciServer, world: World, flavour: Flavour) -> None:
    fresh(server, world, flavour)
    child = world.push("a")
    world.push_index("a", children=[child], tags=["1"])
    assert ask(server, "DELETE", f"/v2/a/manifests/{child}").status == flavour.held_status


def test_harbor_takes_children_and_referrers_along(server: OciServer, world: World) -> None:
    fresh(server, world, HARBOR)
    child = world.push("a")
    index = world.push_index("a", children=[child], tags=["1"])
    world.refer("a", index)
    tagged = world.push("a", tags=["2"])
    assert ask(server, "DELETE", f"/v2/a/manifests/{index}").status == 202
    assert set(world["a"].manifests) == {tagged}


def test_referrers_are_an_index_empty_where_there_are_none(server: OciServer, world: World) -> None:
    fresh(server, world, ZOT)
    subject = world.push("a", tags=["1"])
    referrer = world.refer("a", subject)
    reply = ask(server, "GET", f"/v2/a/referrers/{subject}")
    assert reply.headers["Content-Type"] == content.OCI_INDEX
    assert [each["digest"] for each in reply.json["manifests"]] == [referrer]
    assert ask(server, "GET", f"/v2/a/referrers/sha256:{'0' * 64}").json["manifests"] == []


def test_referrers_come_in_pages(server: OciServer, world: World) -> None:
    fresh(server, world, ZOT)
    subject = world.push("a", tags=["1"])
    pushed = {world.refer("a", subject) for _ in range(3)}
    first = ask(server, "GET", f"/v2/a/referrers/{subject}")
    assert first.next is not None
    second = ask(server, "GET", first.next)
    assert {each["digest"] for reply in (first, second) for each in reply.json["manifests"]} == pushed


def test_distribution_has_no_referrers(server: OciServer, world: World) -> None:
    subject = world.push("a", tags=["1"])
    assert ask(server, "GET", f"/v2/a/referrers/{subject}").status == 404


def test_what_was_deleted_can_be_put_back_as_long_as_its_blobs_are_there(
    server: OciServer, world: World
) -> None:
    digest = world.push("a", tags=["1"])
    body = world["a"].manifests[digest].body
    ask(server, "DELETE", f"/v2/a/manifests/{digest}")
    assert ask(server, "PUT", "/v2/a/manifests/1", body=body).status == 201
    assert world["a"].tags == {"1": digest}
    ask(server, "DELETE", f"/v2/a/manifests/{digest}")
    world.blobs.clear()
    assert ask(server, "PUT", "/v2/a/manifests/1", body=body).code == "MANIFEST_BLOB_UNKNOWN"


def basic(access: Access) -> dict[str, str]:
    secret = base64.b64encode(f"{access.user}:{access.password}".encode()).decode()
    return {"Authorization": f"Basic {secret}"}


def bearer(server: OciServer, scope: str, headers: Mapping[str, str] | None = None) -> dict[str, str]:
    query = f"service={quote(server.guard.service)}&scope={quote(scope)}"
    reply = ask(server, "GET", f"/token?{query}", headers)
    assert reply.status == 200
    return {"Authorization": f"Bearer {reply.json['token']}"}


def test_basic_is_asked_for_and_checked(server: OciServer, world: World) -> None:
    access = Access(scheme=Scheme.BASIC)
    fresh(server, world, DISTRIBUTION_2, access)
    world.push("a", tags=["1"])
    refused = ask(server, "GET", "/v2/a/tags/list")
    assert refused.status == 401
    assert refused.headers["WWW-Authenticate"].startswith("Basic ")
    wrong = basic(Access(password="other"))
    assert ask(server, "GET", "/v2/a/tags/list", wrong).status == 401
    assert ask(server, "GET", "/v2/a/tags/list", basic(access)).status == 200


def test_a_bearer_token_is_good_for_what_it_was_asked_for_alone(server: OciServer, world: World) -> None:
    access = Access(scheme=Scheme.BEARER)
    fresh(server, world, DISTRIBUTION_2, access)
    digest = world.push("a", tags=["1"])
    challenge = ask(server, "GET", "/v2/a/tags/list").headers["WWW-Authenticate"]
    assert f'realm="{server.address}/token"' in challenge
    assert 'scope="repository:a:pull"' in challenge
    token = bearer(server, "repository:a:pull", basic(access))
    assert ask(server, "GET", "/v2/a/tags/list", token).status == 200
    refused = ask(server, "DELETE", f"/v2/a/manifests/{digest}", token)
    assert refused.status == 401
    assert 'error="insufficient_scope"' in refused.headers["WWW-Authenticate"]
    assert 'scope="repository:a:delete"' in refused.headers["WWW-Authenticate"]


def test_rights_that_are_missing_are_left_out_of_the_token(server: OciServer, world: World) -> None:
    access = Access(scheme=Scheme.BEARER, rights=frozenset({"pull"}))
    fresh(server, world, DISTRIBUTION_2, access)
    digest = world.push("a", tags=["1"])
    token = bearer(server, "repository:a:pull,delete", basic(access))
    assert ask(server, "GET", "/v2/a/tags/list", token).status == 200
    assert ask(server, "DELETE", f"/v2/a/manifests/{digest}", token).status == 401


def test_anybody_may_pull_where_it_is_public(server: OciServer, world: World) -> None:
    fresh(server, world, DISTRIBUTION_2, Access(scheme=Scheme.BEARER, public=True))
    world.push("a", tags=["1"])
    assert (
        ask(server, "GET", "/v2/a/tags/list", bearer(server, "repository:a:pull,push,delete")).status == 200
    )


def test_a_token_expires(server: OciServer, world: World) -> None:
    access = Access(scheme=Scheme.BEARER, uses=2)
    fresh(server, world, DISTRIBUTION_2, access)
    world.push("a", tags=["1"])
    token = bearer(server, "repository:a:pull", basic(access))
    asked = [ask(server, "GET", "/v2/a/tags/list", token).status for _ in range(3)]
    assert asked == [200, 200, 401]


def test_an_identity_token_is_taken_by_post(server: OciServer, world: World) -> None:
    fresh(server, world, DISTRIBUTION_2, Access(scheme=Scheme.BEARER, identity="identity"))
    world.push("a", tags=["1"])
    form = f"grant_type=refresh_token&refresh_token=identity&service={quote(server.guard.service)}"
    reply = ask(server, "POST", "/token", body=f"{form}&scope=repository:a:pull".encode())
    token = {"Authorization": f"Bearer {reply.json['access_token']}"}
    assert ask(server, "GET", "/v2/a/tags/list", token).status == 200
    assert ask(server, "POST", "/token", body=form.replace("=identity", "=other").encode()).status == 401


def test_a_token_server_may_not_know_post(server: OciServer, world: World) -> None:
    fresh(server, world, DISTRIBUTION_2, Access(scheme=Scheme.BEARER, posts=False))
    assert ask(server, "POST", "/token", body=b"grant_type=password").status == 404


def test_requests_and_credentials_are_recorded() -> None:
    with Foreign() as foreign:
        connection = http.client.HTTPConnection(foreign.host, timeout=5)
        connection.request("GET", "/v2/", headers={"Authorization": "Basic eA=="})
        connection.getresponse().read()
        connection.close()
        assert foreign.asked("GET") == ["/v2/"]
        assert foreign.credentials == ["GET /v2/: Basic eA=="]


def test_throttling_says_when_to_come_back(server: OciServer, world: World) -> None:
    world.fault("throttle", retry_after="7")
    reply = ask(server, "GET", "/v2/")
    assert (reply.status, reply.headers["Retry-After"]) == (429, "7")
    assert ask(server, "GET", "/v2/").status == 200


@pytest.mark.parametrize("kind", ["reset", "cut", "lost-answer"])
def test_a_broken_connection_is_no_answer(server: OciServer, world: World, kind: str) -> None:
    world.push("a", tags=["1"])
    world.fault(kind)
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        ask(server, "GET", "/v2/a/tags/list")


def test_half_a_document_can_look_whole(server: OciServer, world: World) -> None:
    world.push("a", tags=["1"])
    world.fault("cut-json")
    reply = ask(server, "GET", "/v2/a/tags/list")
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        _ = reply.json


@pytest.mark.parametrize("kind", ["lost-answer", "gateway"])
def test_a_deletion_can_happen_without_being_told(server: OciServer, world: World, kind: str) -> None:
    digest = world.push("a", tags=["1"])
    world.fault(kind, match="DELETE")
    try:
        assert ask(server, "DELETE", f"/v2/a/manifests/{digest}").status == 504
    except ConnectionError:
        assert kind == "lost-answer"
    assert digest not in world["a"].manifests


def test_pages_can_be_lost_repeated_or_lead_elsewhere(server: OciServer, world: World) -> None:
    fresh(server, world, ZOT)
    server.foreign = "http://127.0.0.1:9"
    world.push("a", tags=["1", "2", "3"])
    for kind in ("lost-page", "repeated-page", "endless-page", "foreign-link"):
        world.fault(kind)
    links = [ask(server, "GET", "/v2/a/tags/list").next for _ in range(4)]
    assert links == [
        None,
        "/v2/a/tags/list",
        "/v2/a/tags/list?again=1",
        "http://127.0.0.1:9/v2/a/tags/list",
    ]


def test_a_request_can_be_sent_elsewhere(server: OciServer, world: World) -> None:
    server.foreign = "http://127.0.0.1:9"
    world.fault("redirect")
    reply = ask(server, "GET", "/v2/a/tags/list")
    assert (reply.status, reply.headers["Location"]) == (307, "http://127.0.0.1:9/v2/a/tags/list")


def test_a_manifest_can_be_other_bytes_than_its_digest_says(server: OciServer, world: World) -> None:
    digest = world.push("a", tags=["1"])
    world.fault("wrong-digest")
    reply = ask(server, "GET", f"/v2/a/manifests/{digest}", {"Accept": ANY})
    assert content.sha256(reply.body) != digest
    assert reply.json


def test_credentials_can_be_refused_in_the_middle(server: OciServer, world: World) -> None:
    fresh(server, world, DISTRIBUTION_2, Access(scheme=Scheme.BASIC))
    world.fault("unauthorized")
    good = basic(server.guard.access)
    assert [ask(server, "GET", "/v2/", good).status for _ in range(2)] == [401, 200]
