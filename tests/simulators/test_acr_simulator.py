"""What the simulated Azure registry answers, asked over the wire."""

from __future__ import annotations

import base64
import http.client
import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.simulators import acr_access
from tests.simulators.acr import ABAC, SERVICE, SOFT, AcrFlavour, AcrServer
from tests.simulators.acr_access import AUDIENCE, NOBODY, AcrAccess
from tests.simulators.world import World


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
    server: AcrServer,
    method: str,
    target: str,
    headers: Mapping[str, str] | None = None,
    body: str | None = None,
    *,
    known: bool = True,
) -> Reply:
    """Ask as the user of the registry, by Basic as every call takes it, or as nobody."""
    access = server.guard.access
    basic = base64.b64encode(f"{access.user}:{access.password}".encode()).decode()
    sent = {"Authorization": f"Basic {basic}"} if known else {}
    connection = http.client.HTTPConnection(server.host, timeout=5)
    try:
        connection.request(method, target, body, {**sent, **(headers or {})})
        return Reply(connection.getresponse())
    finally:
        connection.close()


def post(server: AcrServer, target: str, **form: str) -> Reply:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return ask(server, "POST", target, headers, urlencode(form), known=False)


def bearer(server: AcrServer, scope: str) -> dict[str, str]:
    refresh = server.guard.refresh_token(server.world.now)
    reply = post(
        server,
        "/oauth2/token",
        grant_type="refresh_token",
        service=SERVICE,
        scope=scope,
        refresh_token=refresh,
    )
    return {"Authorization": f"Bearer {reply.json['access_token']}"}


def claims(token: str) -> Any:
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def server(world: World) -> Iterator[AcrServer]:
    with AcrServer(world) as serving:
        yield serving


def test_nobody_is_challenged_with_realm_service_and_scope(server: AcrServer) -> None:
    reply = ask(server, "GET", "/acr/v1/_catalog", known=False)
    assert (reply.status, reply.code) == (401, "UNAUTHORIZED")
    assert reply.headers["Www-Authenticate"] == (
        f'Bearer realm="{server.address}/oauth2/token",service="{SERVICE}",scope="registry:catalog:*"'
    )
    assert reply.json["errors"][0]["detail"] == [{"Type": "registry", "Name": "catalog", "Action": "*"}]
    assert "scope" not in ask(server, "GET", "/v2/", known=False).headers["Www-Authenticate"]


@pytest.mark.parametrize(
    ("method", "target", "scope"),
    [
        ("GET", "/acr/v1/a", "metadata_read"),
        ("GET", "/acr/v1/a%2Fb/_manifests", "metadata_read"),
        ("GET", "/acr/v1/a/_tags/1", "metadata_read"),
        ("PATCH", "/acr/v1/a/_tags/1", "metadata_write"),
        ("DELETE", "/acr/v1/a/_tags/1", "delete"),
        ("DELETE", "/v2/a/manifests/sha256:1", "delete"),
        ("GET", "/v2/a/manifests/1", "pull"),
        ("GET", "/v2/a/referrers/sha256:1", "pull"),
        ("GET", "/acr/v1/_deleted/a/_manifests", "deleted_read"),
        ("POST", "/acr/v1/_deleted/a/_manifests/sha256:1", "deleted_restore"),
    ],
)
def test_each_call_takes_a_right_of_its_own(server: AcrServer, method: str, target: str, scope: str) -> None:
    challenge = ask(server, method, target, known=False).headers["Www-Authenticate"]
    assert challenge.endswith(f':{scope}"')


def test_a_token_of_another_scope_is_an_invalid_one(server: AcrServer, world: World) -> None:
    world.push("a", tags=["1"])
    reply = ask(server, "GET", "/acr/v1/a", bearer(server, "repository:a:pull"), known=False)
    assert reply.status == 401
    assert 'error="invalid_token"' in reply.headers["Www-Authenticate"]


def test_a_token_says_what_was_both_asked_for_and_given_and_no_expires_in(world: World) -> None:
    access = AcrAccess(actions=frozenset({"pull"}))
    with AcrServer(world, AcrFlavour(name="puller", access=access)) as server:
        reply = post(
            server,
            "/oauth2/token",
            grant_type="password",
            service=SERVICE,
            scope="repository:a:pull,delete",
            username=access.user,
            password=access.password,
        )
    assert set(reply.json) == {"access_token"}
    said = claims(reply.json["access_token"])
    assert said["access"] == [{"type": "repository", "name": "a", "actions": ["pull"]}]
    assert said["exp"] - said["iat"] == acr_access.ACCESS_LIFE_S


def test_a_wildcard_counts_only_where_rights_are_given_by_registry(world: World) -> None:
    world.push("a", tags=["1"])
    with AcrServer(world) as classic, AcrServer(world, ABAC) as by_repository:
        for server, status in ((classic, 200), (by_repository, 401)):
            headers = bearer(server, "repository:*:metadata_read")
            assert ask(server, "GET", "/acr/v1/a", headers, known=False).status == status


def test_a_registry_with_rights_by_repository_is_known_by_its_refresh_token(world: World) -> None:
    for flavour, told in ((SOFT, False), (ABAC, True)):
        with AcrServer(world, flavour) as server:
            assert ("aad_identity" in claims(server.guard.refresh_token(world.now))) is told


def test_the_managed_identity_takes_its_header_and_the_registries_audience(server: AcrServer) -> None:
    target = f"/msi/token?api-version=2019-08-01&resource={AUDIENCE}"
    header = {"X-IDENTITY-HEADER": server.guard.access.header}
    assert ask(server, "GET", target, known=False).status == 401
    assert ask(server, "GET", target.replace("containerregistry", "management"), header).status == 500
    token = ask(server, "GET", target, header, known=False).json["access_token"]
    form = {"grant_type": "access_token", "service": SERVICE}
    assert "refresh_token" in post(server, "/oauth2/exchange", access_token=token, **form).json
    assert post(server, "/oauth2/exchange", access_token="forged", **form).status == 401


def test_docker_s_way_to_a_token_works_too(server: AcrServer) -> None:
    assert "access_token" in ask(server, "GET", f"/oauth2/token?service={SERVICE}&scope=x:y:pull").json
    refresh = server.guard.refresh_token(server.world.now)
    basic = base64.b64encode(f"{NOBODY}:{refresh}".encode()).decode()
    headers = {"Authorization": f"Basic {basic}"}
    assert ask(server, "GET", f"/oauth2/token?service={SERVICE}", headers, known=False).status == 200


def test_tokens_expire(server: AcrServer, world: World) -> None:
    world.push("a", tags=["1"])
    headers = bearer(server, "repository:a:metadata_read")
    assert ask(server, "GET", "/acr/v1/a", headers, known=False).status == 200
    world.now += timedelta(seconds=acr_access.ACCESS_LIFE_S)
    assert ask(server, "GET", "/acr/v1/a", headers, known=False).status == 401


def test_answers_carry_an_id_and_limits_only_with_tokens(server: AcrServer) -> None:
    reply = ask(server, "GET", "/acr/v1/_catalog")
    assert reply.headers["X-Ms-Correlation-Request-Id"]
    assert "x-ms-ratelimit-remaining-calls-per-second" not in reply.headers
    token = ask(server, "GET", f"/oauth2/token?service={SERVICE}")
    assert token.headers["x-ms-ratelimit-remaining-calls-per-second"]


def test_links_are_relative_encoded_and_of_the_path_as_it_was_asked(server: AcrServer, world: World) -> None:
    for number in range(3):
        world.push("team/app", tags=[str(number)])
    first = ask(server, "GET", "/acr/v1/team%2Fapp/_manifests?n=1")
    digest = first.json["manifests"][0]["digest"].replace(":", "%3A")
    assert first.next == f"/acr/v1/team%2Fapp/_manifests?last={digest}&n=1&orderby="
    assert len(ask(server, "GET", first.next).json["manifests"]) == 1


def test_a_larger_page_than_there_is_is_cut(server: AcrServer, world: World) -> None:
    for name in "abc":
        world.push(name, tags=["1"])
    reply = ask(server, "GET", "/acr/v1/_catalog?n=1000")
    assert (reply.json["repositories"], reply.next) == (["a", "b"], "/acr/v1/_catalog?last=b&n=2&orderby=")


def test_lists_leave_out_what_is_not_there(server: AcrServer, world: World) -> None:
    world.push("a")
    (entry,) = ask(server, "GET", "/acr/v1/a/_manifests").json["manifests"]
    assert "tags" not in entry
    assert ask(server, "GET", "/acr/v1/a/_tags").json["tags"] is None


def test_an_empty_registry_says_null(server: AcrServer) -> None:
    assert ask(server, "GET", "/acr/v1/_catalog").json == {"repositories": None}


def test_a_repository_without_manifests_is_unknown(server: AcrServer, world: World) -> None:
    world.empty("a")
    assert ask(server, "GET", "/acr/v1/a").code == "NAME_UNKNOWN"


def test_times_drop_their_zeros_below_the_second(server: AcrServer, world: World) -> None:
    world.push("a", tags=["1"], pushed=world.now + timedelta(microseconds=853_970))
    (entry,) = ask(server, "GET", "/acr/v1/a/_manifests").json["manifests"]
    assert entry["createdTime"].endswith(".85397Z")


def test_an_index_alone_tells_its_references(server: AcrServer, world: World) -> None:
    child = world.push("a")
    index = world.push_index("a", children=[child], tags=["1"])
    one = ask(server, "GET", f"/acr/v1/a/_manifests/{index}").json["manifest"]
    assert [each["digest"] for each in one["references"]] == [child]
    listed = ask(server, "GET", "/acr/v1/a/_manifests").json["manifests"]
    assert all("references" not in entry for entry in listed)


def test_attributes_are_patched_and_the_times_stay(server: AcrServer, world: World) -> None:
    world.push("a", tags=["1"])
    before = ask(server, "GET", "/acr/v1/a/_tags/1").json["tag"]
    reply = ask(server, "PATCH", "/acr/v1/a/_tags/1", body='{"deleteEnabled": "false"}')
    assert reply.status == 200
    after = reply.json["tag"]
    assert after.pop("changeableAttributes")["deleteEnabled"] is False
    before.pop("changeableAttributes")
    assert after == before


@pytest.mark.parametrize("switch", ["deleteEnabled", "writeEnabled"])
@pytest.mark.parametrize("what", ["manifest", "tag"])
def test_a_lock_of_either_kind_on_either_blocks_a_deletion(
    server: AcrServer, world: World, what: str, switch: str
) -> None:
    digest = world.push("a", tags=["1"])
    server.switch("a", digest if what == "manifest" else "1", **{switch: False})
    reply = ask(server, "DELETE", f"/v2/a/manifests/{digest}")
    assert (reply.status, reply.code) == (405, "REGISTRY_DISALLOWED_OPERATION")


def test_a_lock_of_a_manifest_is_none_of_its_tags(server: AcrServer, world: World) -> None:
    digest = world.push("a", tags=["1"])
    server.switch("a", digest, deleteEnabled=False)
    assert ask(server, "DELETE", "/acr/v1/a/_tags/1").status == 202


def test_a_repository_s_delete_switch_leaves_its_images_alone(server: AcrServer, world: World) -> None:
    digest = world.push("a", tags=["1"])
    server.switch("a", deleteEnabled=False)
    assert ask(server, "DELETE", f"/v2/a/manifests/{digest}").status == 202


def test_what_is_hidden_is_counted_and_not_listed(server: AcrServer, world: World) -> None:
    digest = world.push("a", tags=["1"])
    server.switch("a", digest, listEnabled=False)
    server.switch("a", "1", listEnabled=False)
    assert ask(server, "GET", "/acr/v1/a/_manifests").json["manifests"] == []
    assert ask(server, "GET", "/acr/v1/a/_tags").json["tags"] is None
    counted = ask(server, "GET", "/acr/v1/a").json
    assert (counted["manifestCount"], counted["tagCount"]) == (1, 1)


def test_deleting_takes_tags_and_referrers_along_and_leaves_children(server: AcrServer, world: World) -> None:
    child = world.push("a")
    index = world.push_index("a", children=[child], tags=["1", "2"])
    world.refer("a", world.refer("a", index, tags=["tagged"]))
    reply = ask(server, "DELETE", f"/v2/a/manifests/{index}")
    assert (reply.status, reply.body) == (202, b"")
    assert (set(world["a"].manifests), world["a"].tags) == ({child}, {})


def test_a_second_deletion_is_unknown_and_one_by_tag_is_none(server: AcrServer, world: World) -> None:
    digest = world.push("a", tags=["1"])
    world.push("a", tags=["2"])
    assert ask(server, "DELETE", "/v2/a/manifests/1").status == 405
    assert ask(server, "DELETE", f"/v2/a/manifests/{digest}").status == 202
    reply = ask(server, "DELETE", f"/v2/a/manifests/{digest}")
    assert (reply.status, reply.code) == (404, "MANIFEST_UNKNOWN")


def test_untagging_leaves_the_manifest(server: AcrServer, world: World) -> None:
    digest = world.push("a", tags=["1"])
    assert ask(server, "DELETE", "/acr/v1/a/_tags/1").status == 202
    assert ask(server, "DELETE", "/acr/v1/a/_tags/1").status == 404
    assert set(world["a"].manifests) == {digest}


def test_what_is_deleted_softly_is_kept_listed_and_not_to_be_pushed_again(world: World) -> None:
    digest = world.push("a", tags=["1"])
    body = world["a"].manifests[digest].body.decode()
    with AcrServer(world, SOFT) as server:
        ask(server, "DELETE", f"/v2/a/manifests/{digest}")
        assert ask(server, "GET", "/acr/v1/_deleted/_catalog").json["repositories"][0]["repository"] == "a"
        (entry,) = ask(server, "GET", "/acr/v1/_deleted/a/_manifests").json["manifests"]
        assert (entry["digest"], bool(entry["deletedAt"])) == (digest, True)
        (tag,) = ask(server, "GET", "/acr/v1/_deleted/a/_tags").json["tags"]
        assert (tag["tag"], tag["digest"]) == ("1", digest)
        assert ask(server, "PUT", "/v2/a/manifests/1", body=body).status == 405


def test_a_restoration_brings_one_tag_and_forces_none(world: World) -> None:
    digest = world.push("a", tags=["1", "2"])
    other = world.push("a", tags=["3"])
    with AcrServer(world, SOFT) as server:
        target = f"/acr/v1/_deleted/a/_manifests/{digest}?force=False"
        ask(server, "DELETE", f"/v2/a/manifests/{digest}")
        world.retag("a", "2", other)
        assert ask(server, "POST", target, body='{"tag": "1"}').status == 200
        assert ask(server, "POST", target, body='{"tag": "2"}').status == 409
        assert world["a"].tags == {"1": digest, "2": other, "3": other}


def test_without_soft_delete_there_is_no_such_call(server: AcrServer) -> None:
    assert ask(server, "GET", "/acr/v1/_deleted/_catalog").status == 405


def test_a_ghost_is_listed_and_can_not_be_read(server: AcrServer, world: World) -> None:
    digest = world.push("a", tags=["1"])
    server.ghosts.add(digest)
    assert len(ask(server, "GET", "/acr/v1/a/_manifests").json["manifests"]) == 1
    assert ask(server, "GET", f"/v2/a/manifests/{digest}").code == "MANIFEST_UNKNOWN"


@pytest.mark.parametrize(("retry_after", "code"), [("3", "TOOMANYREQUESTS"), (None, "Ref A")])
def test_it_throttles_in_its_own_words_or_its_front_end_s(
    server: AcrServer, world: World, retry_after: str | None, code: str
) -> None:
    world.fault("throttle", retry_after=retry_after)
    reply = ask(server, "GET", "/acr/v1/_catalog")
    assert (reply.status, reply.headers["Retry-After"]) == (429, retry_after)
    assert code in reply.body.decode()


@pytest.mark.peer("skopeo")
def test_a_real_client_takes_it_for_a_registry(server: AcrServer, world: World) -> None:
    """By docker's way to a token, and through the pages of tags."""
    for tag in ("1", "2", "3"):
        digest = world.push("team/app", tags=[tag])
    user = f"{server.guard.access.user}:{server.guard.access.password}"
    common = ["--tls-verify=false", "--creds", user]
    place = f"docker://{server.host}/team/app"
    listed = subprocess.run(["skopeo", "list-tags", *common, place], capture_output=True, check=True)
    assert json.loads(listed.stdout)["Tags"] == ["1", "2", "3"]
    looked = subprocess.run(["skopeo", "inspect", *common, f"{place}:3"], capture_output=True, check=True)
    assert json.loads(looked.stdout)["Digest"] == digest
