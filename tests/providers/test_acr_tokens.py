"""How the ``acr`` provider proves who asks: azure-identity, exchange and tokens; passwords; what expires."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from janitor.errors import Denied
from janitor.providers.acr.entra import Entra
from janitor.providers.acr.jwt import read_claims
from janitor.providers.acr.tokenservice import Claims
from janitor.providers.interface import Registry
from tests.conformance.stages import Time
from tests.net.scripted import Scripted, json
from tests.providers.azure import EVERYTHING, image, listing, opened
from tests.simulators.acr import SERVICE, AcrFlavour, AcrServer
from tests.simulators.acr_access import NOBODY, AcrAccess
from tests.simulators.server import Answer, Request
from tests.simulators.world import World


@pytest.fixture
def world() -> World:
    world = World()
    world.push("a", tags=["1"])
    world.push("b", tags=["1"])
    return world


@pytest.fixture
def server(world: World) -> Iterator[AcrServer]:
    with AcrServer(world) as serving:
        yield serving


def serving(world: World, **access: Any) -> AcrServer:
    return AcrServer(world, AcrFlavour(name="tried", access=AcrAccess(**access)))


def pass_by(server: AcrServer, time: Time, **by: float) -> None:
    """Let time pass, here and there."""
    passed = timedelta(**by)
    server.world.now += passed
    time.sleep(passed.total_seconds())


def read_all(registry: Registry) -> None:
    for unit in registry.units(EVERYTHING):
        list(registry.list(unit, frozenset()))


def test_nobody_is_asked_for_credentials_before_they_are_needed(server: AcrServer) -> None:
    opened(server, environ={}).close()
    assert server.requests == []


def test_three_steps_lead_to_a_token_for_each_repository(server: AcrServer) -> None:
    read_all(opened(server))
    assert len(server.guard.identities) == 1
    assert server.guard.exchanges == 1
    assert server.guard.granted == [
        "registry:catalog:*",
        "repository:a:metadata_read,pull",
        "repository:b:metadata_read,pull",
    ]


def test_no_wildcard_is_asked_for(world: World) -> None:
    """Where rights are given by repository, it is passed over without a word."""
    with serving(world, abac=True) as server:
        read_all(opened(server))
        assert not any("*" in scope for scope in server.guard.granted if scope.startswith("repository:"))


@pytest.mark.parametrize("client_id", [None, "a-user-assigned-identity"])
def test_the_client_id_names_the_managed_identity(server: AcrServer, client_id: str | None) -> None:
    listing(opened(server, client_id=client_id))
    assert server.guard.identities == [client_id]


def test_without_a_key_the_environment_s_client_id_counts(server: AcrServer) -> None:
    listing(opened(server, environ={**server.environ, "AZURE_CLIENT_ID": "of-the-environment"}))
    assert server.guard.identities == ["of-the-environment"]


def test_the_environment_of_the_run_counts_and_the_process_s_is_as_before(
    server: AcrServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IDENTITY_ENDPOINT", "http://127.0.0.1:1/nowhere")
    monkeypatch.setenv("IDENTITY_HEADER", "of another")
    before = dict(os.environ)
    assert len(listing(opened(server))) == 1
    assert dict(os.environ) == before


def test_the_identity_is_asked_for_through_the_proxy_of_the_run() -> None:
    def answer(request: Request) -> Answer:
        assert request.target.startswith("http://identity.invalid/msi")
        return json(b'{"access_token":"a.b.c","expires_on":"99999999999","token_type":"Bearer"}')

    with Scripted(answer) as proxy:
        environ = {
            "IDENTITY_ENDPOINT": "http://identity.invalid/msi",
            "IDENTITY_HEADER": "secret",
            "HTTP_PROXY": proxy.address,
        }
        entra = Entra(environ=environ, client_id=None)
        assert entra.token() == "a.b.c"
        entra.close()


def test_no_identity_at_all_says_what_was_tried_and_what_to_do(server: AcrServer) -> None:
    environ = {"AZURE_TOKEN_CREDENTIALS": "EnvironmentCredential"}
    with pytest.raises(Denied) as raised:
        listing(opened(server, environ=environ))
    assert "EnvironmentCredential" in raised.value.message
    assert "az login" in raised.value.message
    assert "\n" not in raised.value.message


def test_an_environment_that_azure_identity_refuses_is_an_error_of_the_registry(server: AcrServer) -> None:
    with pytest.raises(Denied, match="azure-identity"):
        listing(opened(server, environ={"AZURE_TOKEN_CREDENTIALS": "no-such-way"}))


def test_an_identity_without_a_role_is_told_so(world: World) -> None:
    with serving(world, identity=False) as server, pytest.raises(Denied, match="no role on this registry"):
        listing(opened(server))


def test_azure_s_libraries_are_loaded_only_when_they_are_needed() -> None:
    """A password needs none of them."""
    code = (
        "import sys; from janitor.providers import PROVIDERS; PROVIDERS['acr'].registry;"
        "sys.exit(any(name.split('.')[0] in {'azure', 'msal'} for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_access_token_is_renewed_five_minutes_before_its_end(server: AcrServer) -> None:
    time = Time()
    registry = opened(server, context={"clock": time.clock, "sleep": time.sleep})
    listing(registry)
    pass_by(server, time, minutes=69)
    listing(registry)
    assert server.guard.granted == ["repository:a:metadata_read,pull"]
    pass_by(server, time, minutes=2)
    listing(registry)
    assert server.guard.granted == ["repository:a:metadata_read,pull"] * 2
    assert server.guard.exchanges == 1


def test_a_refresh_token_is_exchanged_anew_before_its_end(server: AcrServer) -> None:
    time = Time()
    registry = opened(server, context={"clock": time.clock, "sleep": time.sleep})
    listing(registry)
    pass_by(server, time, hours=2, minutes=56)
    listing(registry)
    assert server.guard.exchanges == 2


@pytest.mark.parametrize("hours", [-5, 5])
def test_a_clock_that_is_wrong_costs_no_more_tokens(server: AcrServer, hours: int) -> None:
    registry = opened(server, context={"now": lambda: server.world.now + timedelta(hours=hours)})
    for _ in range(3):
        listing(registry)
    assert len(server.guard.granted) == 1


def test_what_the_registry_forgot_is_bought_again(server: AcrServer) -> None:
    """The access token gets a 401, then the refresh token does: each is renewed once."""
    registry = opened(server)
    listing(registry)
    server.guard.revoke()
    assert len(listing(registry)) == 1
    assert server.guard.exchanges == 2


def test_a_second_401_is_no_right_and_is_not_asked_for_again(world: World) -> None:
    with serving(world, actions=frozenset({"pull", "metadata_read"})) as server:
        registry = opened(server)
        found = image(registry, world["a"].tags["1"])
        for _ in range(3):
            (result,) = registry.delete("a", [found])
            assert "the right to delete is lacking" in (result.detail or "")
        deletes = [scope for scope in server.guard.granted if "delete" in scope]
        assert len(deletes) == 2
        assert len(server.asked("DELETE")) == 4


def test_what_the_challenge_names_beyond_what_was_asked_is_asked_for(world: World) -> None:
    """As a service that wants another right than is documented would say."""
    with serving(world) as server:
        guard = server.guard
        refuse = guard.refuse
        guard.refuse = lambda request, scope, realm, now: refuse(  # type: ignore[method-assign]  # the wish
            request,
            scope.replace("metadata_read", "metadata_write") if "_manifests" in request.path else scope,
            realm,
            now,
        )
        assert len(listing(opened(server))) == 1
        assert "repository:a:metadata_read,pull,metadata_write" in server.guard.granted


def test_a_user_name_and_its_password_buy_tokens(server: AcrServer) -> None:
    access = server.guard.access
    registry = opened(server, environ={}, username=access.user, password=access.password)
    assert len(listing(registry)) == 1
    assert (server.guard.exchanges, server.guard.identities) == (0, [])


def test_a_wrong_password_is_tried_once_and_never_shown(server: AcrServer) -> None:
    registry = opened(server, environ={}, username="janitor", password="hunter2")
    with pytest.raises(Denied) as raised:
        listing(registry)
    assert "hunter2" not in raised.value.message
    assert len(server.asked("POST")) == 1


def test_the_user_name_of_zeros_brings_a_refresh_token(server: AcrServer) -> None:
    token = server.guard.refresh_token(server.world.now)
    registry = opened(server, environ={}, username=NOBODY, password=token)
    assert len(listing(registry)) == 1
    assert server.guard.exchanges == 0


def test_an_expired_refresh_token_is_denied(server: AcrServer) -> None:
    token = server.guard.refresh_token(server.world.now - timedelta(days=1))
    with pytest.raises(Denied):
        listing(opened(server, environ={}, username=NOBODY, password=token))


def test_the_token_services_throttle_too(server: AcrServer, world: World) -> None:
    world.fault("throttle", match="/oauth2/", times=3, retry_after="5")
    assert len(listing(opened(server))) == 1


def test_no_error_shows_a_token(world: World) -> None:
    echoed: list[str] = []

    class Echoing(AcrServer):
        def answer(self, request: Request) -> Answer:
            if request.path.startswith("/acr/"):
                echoed.append(request.headers["authorization"].partition(" ")[2])
                return Answer(status=403, body=f"no: {echoed[-1]}".encode())
            return super().answer(request)

    with Echoing(world) as server, pytest.raises(Denied) as raised:
        listing(opened(server))
    assert echoed
    assert all(token not in raised.value.message for token in echoed)


def test_tokens_are_asked_for_at_the_login_server_s_name(server: AcrServer) -> None:
    """Behind an endpoint of another name too: it is what the registry calls itself."""
    listing(opened(server))
    bodies = [request.body for request in server.requests if request.path.startswith("/oauth2/")]
    assert bodies
    assert all(f"service={SERVICE}".encode() in body for body in bodies)


@pytest.mark.parametrize("text", ["", "opaque", "a.b.c", "a.eyJleHAiOiJ4In0.c", "a.bm90IGpzb24.c"])
def test_a_token_that_tells_nothing_is_none_the_worse(text: str) -> None:
    assert read_claims(text, Claims) is None


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost that nobody knows, and its key beside it."""
    file = tmp_path_factory.mktemp("tls") / "localhost.crt"
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "36500")
    name = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
    files = ("-keyout", str(file.with_suffix(".key")), "-out", str(file))
    subprocess.run(["openssl", "req", "-x509", *curve, *name, *files], check=True, capture_output=True)
    return file


@contextmanager
def secure(script: Callable[[Request], Answer], certificate: Path) -> Iterator[str]:
    """A server that speaks TLS."""
    with Scripted(script) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, certificate.with_suffix(".key"))
        server._listener.socket = context.wrap_socket(server._listener.socket, server_side=True)
        yield server.address.replace("http://127.0.0.1", "https://localhost")


def workload(address: str, folder: Path) -> dict[str, str]:
    """What the webhook of workload identity puts into a pod."""
    (folder / "federated").write_text("a.service-account.token")
    return {
        "AZURE_AUTHORITY_HOST": address,
        "AZURE_TENANT_ID": "a-tenant",
        "AZURE_CLIENT_ID": "of-the-annotation",
        "AZURE_FEDERATED_TOKEN_FILE": str(folder / "federated"),
        "AZURE_TOKEN_CREDENTIALS": "WorkloadIdentityCredential",
    }


@pytest.mark.peer("openssl")
@pytest.mark.parametrize("client_id", [None, "of-the-policy"])
def test_a_workload_identity_brings_the_pod_s_token_to_entra(
    certificate: Path, tmp_path: Path, client_id: str | None
) -> None:
    """Over TLS, by the certificates of the run."""
    asked: list[Mapping[str, list[str]]] = []

    def answer(request: Request) -> Answer:
        assert request.path == "/a-tenant/oauth2/v2.0/token"
        asked.append(parse_qs(request.body.decode()))
        return json(b'{"access_token":"a.b.c","expires_in":3600,"token_type":"Bearer"}')

    with secure(answer, certificate) as address:
        environ = {**workload(address, tmp_path), "SSL_CERT_FILE": str(certificate)}
        entra = Entra(environ=environ, client_id=client_id)
        assert entra.token() == "a.b.c"
        entra.close()
    (form,) = asked
    assert form["client_id"] == [client_id or "of-the-annotation"]
    assert form["client_assertion"] == ["a.service-account.token"]
    assert form["scope"] == ["https://containerregistry.azure.net/.default"]
