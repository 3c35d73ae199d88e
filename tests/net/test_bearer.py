"""Challenges, tokens and where a password may go."""

from __future__ import annotations

import threading
from urllib.parse import parse_qs

import pytest

from janitor.errors import Denied, RegistryError
from janitor.net import bearer
from janitor.net.bearer import Challenge, parse_challenges
from janitor.net.dockerconfig import Credentials
from tests.net.scripted import Scripted, Time, caller, distribution, http, json
from tests.simulators.access import Access, Scheme
from tests.simulators.oci import DISTRIBUTION_3, QUAY, OciServer
from tests.simulators.server import Answer, Request
from tests.simulators.world import World

ME = Credentials(username="janitor", password="pass:word")


def world() -> World:
    made = World()
    for name in ("a", "b"):
        made.push(name, tags=["1"])
    return made


def tokens(server: OciServer) -> list[Request]:
    return [request for request in server.requests if request.path.endswith("/token")]


@pytest.mark.parametrize(
    ("headers", "challenges"),
    [
        ([], []),
        ([""], []),
        (['Basic realm="a, b"'], [("basic", {"realm": "a, b"})]),
        (
            ['BEARER Scope="repository:a:pull,push",realm="https://t/x?y=1,2" , service=s'],
            [("bearer", {"scope": "repository:a:pull,push", "realm": "https://t/x?y=1,2", "service": "s"})],
        ),
        (
            ['Basic realm="a", Bearer realm="b",service="c"'],
            [("basic", {"realm": "a"}), ("bearer", {"realm": "b", "service": "c"})],
        ),
        (['Basic realm="a"', 'Bearer realm="b"'], [("basic", {"realm": "a"}), ("bearer", {"realm": "b"})]),
        (["Negotiate", 'Bearer realm = "b"'], [("negotiate", {}), ("bearer", {"realm": "b"})]),
        (['Bearer realm="say \\"hi\\""'], [("bearer", {"realm": 'say "hi"'})]),
        (['Bearer realm="unclosed'], [("bearer", {})]),
        (['"', "=,=;;", "é"], None),
    ],
)
def test_challenges_are_read(headers: list[str], challenges: list[tuple[str, dict[str, str]]] | None) -> None:
    read = parse_challenges(headers)
    if challenges is not None and "unclosed" not in "".join(headers):
        assert read == tuple(Challenge(scheme=scheme, parameters=values) for scheme, values in challenges)


def test_reading_challenges_takes_no_time_to_speak_of() -> None:
    parse_challenges(["Bearer " + 'a="' * 20_000, "a" * 60_000, 'Basic realm="' + "\\" * 60_000])


def test_what_is_public_is_read_without_credentials() -> None:
    with OciServer(world(), DISTRIBUTION_3, access=Access(scheme=Scheme.BEARER, public=True)) as server:
        assert distribution(server).tags("a") == ("1",)
        assert "authorization" not in tokens(server)[0].headers


def test_a_token_is_bought_with_the_password_and_used_again() -> None:
    with OciServer(world(), DISTRIBUTION_3, access=Access(scheme=Scheme.BEARER)) as server:
        api = distribution(server, ME)
        for _ in range(3):
            assert api.tags("a") == ("1",)
        (request,) = tokens(server)
        assert request.query["account"] == ["janitor"]
        assert request.query["scope"] == ["repository:a:pull"]
        registry = [each for each in server.requests if each.path.startswith("/v2/")]
        assert [each.headers.get("authorization", "") for each in registry] == ["", *["Bearer token-1"] * 3]


def test_the_next_repository_needs_no_challenge() -> None:
    with OciServer(world(), DISTRIBUTION_3, access=Access(scheme=Scheme.BEARER)) as server:
        api = distribution(server, ME)
        api.tags("a")
        before = len(server.requests)
        api.tags("b")
        assert [each.path for each in server.requests[before:]] == ["/token", "/v2/b/tags/list"]


def test_a_token_is_renewed_before_it_expires() -> None:
    time = Time()
    with OciServer(world(), DISTRIBUTION_3, access=Access(scheme=Scheme.BEARER)) as server:
        api = distribution(server, ME, time)
        api.tags("a")
        time.now = 289
        api.tags("a")
        assert len(tokens(server)) == 1
        time.now = 291  # its 300 s are not over
        api.tags("a")
        assert len(tokens(server)) == 2


def test_a_token_that_was_revoked_is_renewed_once() -> None:
    with OciServer(world(), DISTRIBUTION_3, access=Access(scheme=Scheme.BEARER)) as server:
        api = distribution(server, ME)
        api.tags("a")
        server.guard.revoke()
        assert api.tags("a") == ("1",)
        assert len(tokens(server)) == 2


def test_rights_that_lack_are_denied_and_never_a_loop() -> None:
    access = Access(scheme=Scheme.BEARER, rights=frozenset({"pull"}))
    with OciServer(world(), DISTRIBUTION_3, access=access) as server:
        api = distribution(server, ME)
        digest = server.world["a"].tags["1"]
        with pytest.raises(Denied, match="lack the right"):
            api.delete("a", digest)
        assert len(server.requests) <= 6
        assert digest in server.world["a"].manifests


def test_a_server_that_wants_push_for_a_delete_gets_it_asked() -> None:
    with OciServer(world(), QUAY, access=Access(scheme=Scheme.BEARER)) as server:
        api = distribution(server, ME)
        api.tags("a")
        before = len(server.requests)
        assert api.delete("a", server.world["a"].tags["1"]) is None
        first = len(server.requests) - before
        assert api.delete("b", server.world["b"].tags["1"]) is None
        assert len(server.requests) - before - first < first
        assert "push" in tokens(server)[-1].query["scope"][0]


def test_a_wrong_password_is_denied_and_not_shown() -> None:
    server = OciServer(world(), DISTRIBUTION_3, access=Access(scheme=Scheme.BEARER))
    with server, pytest.raises(Denied) as raised:
        distribution(server, Credentials(username="janitor", password="hunter2")).tags("a")
    assert "token" in str(raised.value)
    assert "hunter2" not in str(raised.value)


def test_no_credentials_say_where_they_could_be() -> None:
    with OciServer(world(), DISTRIBUTION_3, access=Access(scheme=Scheme.BASIC)) as server:
        with pytest.raises(Denied, match="no credentials"):
            distribution(server).tags("a")
        assert len(server.requests) == 1


def test_basic_is_sent_once_it_is_asked_for() -> None:
    with OciServer(world(), DISTRIBUTION_3, access=Access(scheme=Scheme.BASIC)) as server:
        api = distribution(server, ME)
        api.tags("a")
        api.tags("b")
        assert [bool(each.headers.get("authorization")) for each in server.requests] == [False, True, True]


def test_a_password_that_never_worked_is_tried_once() -> None:
    with OciServer(world(), DISTRIBUTION_3, access=Access(scheme=Scheme.BASIC)) as server:
        with pytest.raises(Denied):
            distribution(server, Credentials(username="janitor", password="wrong")).tags("a")
        assert len(server.requests) == 2


def test_an_identity_token_buys_tokens_by_post() -> None:
    access = Access(scheme=Scheme.BEARER, identity="refresh me")
    with OciServer(world(), DISTRIBUTION_3, access=access) as server:
        api = distribution(server, Credentials(identity_token="refresh me"))
        assert api.tags("a") == ("1",)
        (request,) = tokens(server)
        assert request.method == "POST"
        form = parse_qs(request.body.decode())
        assert form["grant_type"] == ["refresh_token"]
        assert form["scope"] == ["repository:a:pull"]


def test_a_service_without_post_is_asked_by_get() -> None:
    with OciServer(world(), DISTRIBUTION_3, access=Access(scheme=Scheme.BEARER, posts=False)) as server:
        credentials = Credentials(username="janitor", password="pass:word", identity_token="unused")
        assert distribution(server, credentials).tags("a") == ("1",)
        assert [each.method for each in tokens(server)] == ["POST", "GET"]


def test_a_registry_token_is_sent_as_it_is_and_never_traded() -> None:
    with Scripted(
        lambda _: Answer(status=401, headers={"WWW-Authenticate": 'Bearer realm="https://x/"'})
    ) as server:
        with pytest.raises(Denied) as raised:
            distribution(server, Credentials(registry_token="hunter2")).tags("a")
        assert [each.headers["authorization"] for each in server.requests] == ["Bearer hunter2"]
    assert "hunter2" not in str(raised.value)


def harbor(request: Request) -> Answer:
    """Bearer without credentials, Basic to whoever came with a token that has not the right."""
    if request.path == "/token":
        return json('{"token":"T"}')
    kind = request.headers.get("authorization", "").partition(" ")[0]
    wish = 'Basic realm="harbor"' if kind else f'Bearer realm="http://{request.headers["host"]}/token"'
    return Answer(status=401, headers={"WWW-Authenticate": wish})


@pytest.mark.parametrize("credentials", [None, ME])
def test_a_wish_that_turns_from_bearer_to_basic_does_not_loop(credentials: Credentials | None) -> None:
    with Scripted(harbor) as server:
        for name in ("a", "b"):
            with pytest.raises(Denied):
                distribution(server, credentials).tags(name)
        assert len(server.requests) <= 2 * 4


def challenge(realm: str) -> Answer:
    return Answer(status=401, headers={"WWW-Authenticate": f'Bearer realm="{realm}",service="s"'})


@pytest.mark.parametrize(
    "realm",
    ["", "ftp://127.0.0.1/", "http://elsewhere.example/token", "http://me:pw@127.0.0.1/token", "/token"],
)
def test_a_token_service_that_may_not_be_trusted_gets_no_password(realm: str) -> None:
    with Scripted(lambda _: challenge(realm)) as server:
        with pytest.raises(Denied, match="token"):
            distribution(server, ME).tags("a")
        assert len(server.requests) == 1


def test_an_https_registry_that_names_an_http_service_gets_nothing() -> None:
    authenticator = bearer.Authenticator(
        endpoint="https://127.0.0.1:9", http=http(), caller=caller(), find=lambda _: ME
    )
    with Scripted({}) as server, Scripted(lambda _: challenge(f"{server.address}/token")) as registry:
        response = http().request("GET", registry.address)
        assert authenticator.learn(response, bearer.pull("a"), None)
        with pytest.raises(Denied, match="without TLS"):
            authenticator.header(bearer.pull("a"))
        assert server.requests == []


@pytest.mark.parametrize(
    "body",
    ["", "{}", "[]", '{"token":5}', '{"token":""}', "<html>", '{"expires_in":60}'],
)
def test_a_service_that_answers_with_no_token_is_an_error(body: str) -> None:
    def script(request: Request) -> Answer:
        if request.path == "/token":
            return json(body)
        return challenge(f"http://{request.headers['host']}/token")

    with Scripted(script) as server, pytest.raises(RegistryError) as raised:
        distribution(server, ME).tags("a")
    assert "token" in str(raised.value)


def test_many_threads_fetch_one_token() -> None:
    with OciServer(world(), DISTRIBUTION_3, access=Access(scheme=Scheme.BEARER)) as server:
        api = distribution(server, ME)
        api.tags("b")
        threads = [threading.Thread(target=api.tags, args=("a",)) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len([each for each in tokens(server) if each.query["scope"] == ["repository:a:pull"]]) == 1


def test_no_representation_shows_a_token() -> None:
    assert "hunter2" not in repr(bearer._Token("hunter2", 1.0))
