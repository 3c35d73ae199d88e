"""Who asks Artifact Registry, by which way, and what its refusals mean."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from janitor.errors import (
    Denied,
    Gone,
    Malformed,
    Refused,
    RegistryError,
    Unreachable,
    Unsupported,
)
from janitor.net.caller import Kind, Trouble
from janitor.net.google import Unauthenticated, classify, open_channel, verdict
from tests.net.scripted import Scripted
from tests.net.scripted import json as json_answer
from tests.providers.gars import listed, opened, registry
from tests.simulators.gar import GarServer
from tests.simulators.server import Answer, Request
from tests.simulators.world import World

HOST = "artifactregistry.test"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A key and a certificate for a host that no name service knows."""
    folder = tmp_path_factory.mktemp("tls")
    key, certificate = folder / "key.pem", folder / "ca.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "36500"),
            *("-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    return key, certificate


class Tunnel:
    """A proxy that leads every CONNECT to one port of this machine, and remembers what was asked for."""

    def __init__(self, port: int) -> None:
        self.asked: list[str] = []
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            connection.close()
        self._thread.join()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            head = b""
            while b"\r\n\r\n" not in head:
                head += client.recv(4096)
            self.asked.append(head.split(b"\r\n")[0].decode())
            server = socket.create_connection(("127.0.0.1", self._port))
            self._open += [client, server]
            client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            for source, to in ((client, server), (server, client)):
                threading.Thread(target=_pump, args=(source, to), daemon=True).start()


def _pump(source: socket.socket, to: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            to.sendall(data)
        to.shutdown(socket.SHUT_WR)
    except OSError:
        return


@contextmanager
def tunnel(port: int) -> Iterator[Tunnel]:
    made = Tunnel(port)
    try:
        yield made
    finally:
        made.close()


def account(folder: Path, token_uri: str, key: Path) -> Path:
    """A service account's key file, whose token service is this one."""
    file = folder / "account.json"
    document = {
        "type": "service_account",
        "project_id": "acme",
        "private_key_id": "1",
        "private_key": key.read_text(),
        "client_email": "janitor@acme.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": token_uri,
    }
    file.write_text(json.dumps(document))
    return file


def tokens(*given: str) -> Scripted:
    """A token service that gives out these, one after the other."""
    left = list(given)

    def answer(_: Request) -> Answer:
        token = left.pop(0) if len(left) > 1 else left[0]
        return json_answer(json.dumps({"access_token": token, "expires_in": 3600, "token_type": "Bearer"}))

    return Scripted(answer)


@pytest.mark.peer("openssl")
def test_proxy_certificates_and_credentials_of_the_environment_hold_for_grpc(
    keys: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """gRPC by itself reads neither HTTPS_PROXY nor SSL_CERT_FILE."""
    key, certificate = keys
    world = World()
    world.push("all/a", tags=["1"])
    pair = (key.read_bytes(), certificate.read_bytes())
    with (
        GarServer(world, keys=pair, token="good") as server,
        tunnel(server.port) as proxy,
        tokens("good") as giver,
    ):
        file = account(tmp_path, f"{giver.address}/token", key)
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
        environ = {"HTTPS_PROXY": proxy.address, "SSL_CERT_FILE": str(certificate)}
        made = registry(f"https://{HOST}", context={"environ": environ})
        assert [image.tags for image in listed(made)["all/a"]] == [("1",)]
        made.close()
        assert proxy.asked == [f"CONNECT {HOST}:443 HTTP/1.1"]
        assert {call.metadata["authorization"] for call in server.calls} == {"Bearer good"}
        assert len(giver.requests) == 1


@pytest.mark.peer("openssl")
def test_a_token_that_is_refused_is_fetched_anew_once(
    keys: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, certificate = keys
    world = World()
    world.push("all/a", tags=["1"])
    pair = (key.read_bytes(), certificate.read_bytes())
    with (
        GarServer(world, keys=pair, token="second") as server,
        tunnel(server.port) as proxy,
        tokens("first", "second") as giver,
    ):
        monkeypatch.setenv(
            "GOOGLE_APPLICATION_CREDENTIALS", str(account(tmp_path, f"{giver.address}/token", key))
        )
        environ = {"HTTPS_PROXY": proxy.address, "SSL_CERT_FILE": str(certificate)}
        made = registry(f"https://{HOST}", context={"environ": environ})
        assert list(listed(made)) == ["all/a"]
        server.token = "third"
        with pytest.raises(Denied):
            listed(made)
        made.close()
        assert len(giver.requests) == 3


@pytest.mark.peer("openssl")
def test_a_certificate_that_nobody_vouches_for_is_no_service(
    keys: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, certificate = keys
    pair = (key.read_bytes(), certificate.read_bytes())
    with GarServer(World(), keys=pair) as server, tunnel(server.port) as proxy, tokens("good") as giver:
        monkeypatch.setenv(
            "GOOGLE_APPLICATION_CREDENTIALS", str(account(tmp_path, f"{giver.address}/token", key))
        )
        made = registry(f"https://{HOST}", context={"environ": {"HTTPS_PROXY": proxy.address}})
        with pytest.raises(Unreachable):
            listed(made)
        made.close()
        assert server.calls == []


@pytest.mark.peer("openssl")
def test_a_token_service_that_refuses_is_told_from_one_that_is_down(
    keys: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = b'{"error":"invalid_grant","error_description":"Invalid JWT Signature."}'
    with Scripted(lambda _: json_answer(body, 400)) as giver:
        file = account(tmp_path, f"{giver.address}/token", keys[0])
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
        refused, down = registry("https://127.0.0.1:9"), registry("https://127.0.0.1:9")
        with pytest.raises(Denied, match="Invalid JWT Signature"):
            listed(refused)
        refused.close()
    with pytest.raises(Unreachable):
        listed(down)
    down.close()


def test_without_credentials_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    made = registry("https://127.0.0.1:9")
    with pytest.raises(Denied, match="gcloud auth application-default login"):
        listed(made)
    made.close()


def test_a_plaintext_endpoint_is_sent_no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "never-read.json"))
    world = World()
    world.refer("all/a", world.push("all/a", tags=["1"]))
    with GarServer(world) as server, opened(server) as made:
        listed(made)
        assert not any("authorization" in call.metadata for call in server.calls)
        assert not any("authorization" in request.headers for request in server.registry.requests)


def test_a_proxy_that_is_spoken_to_by_tls_is_none_for_grpc() -> None:
    with pytest.raises(Trouble) as raised:
        open_channel("https://g.example", {"HTTPS_PROXY": "https://user:secret@proxy.example"})
    assert isinstance(raised.value.verdict.error, Unsupported)
    assert "secret" not in str(raised.value)


def test_certificates_that_can_not_be_read_say_which() -> None:
    with pytest.raises(Trouble, match=r"/none/ca\.pem"):
        open_channel("https://g.example", {"SSL_CERT_FILE": "/none/ca.pem"})


def test_a_service_that_is_not_there_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    made = registry(f"http://127.0.0.1:{port}")
    with pytest.raises(Unreachable, match="gave up after"):
        listed(made)
    made.close()


@pytest.mark.parametrize(
    ("code", "kind", "error"),
    [
        ("NOT_FOUND", Kind.GONE, Gone),
        ("FAILED_PRECONDITION", Kind.REFUSED, Refused),
        ("INVALID_ARGUMENT", Kind.REFUSED, Refused),
        ("PERMISSION_DENIED", Kind.DENIED, Denied),
        ("UNAUTHENTICATED", Kind.DENIED, Unauthenticated),
        ("RESOURCE_EXHAUSTED", Kind.THROTTLED, Unreachable),
        ("UNAVAILABLE", Kind.TRANSIENT, Unreachable),
        ("INTERNAL", Kind.TRANSIENT, Unreachable),
        ("DEADLINE_EXCEEDED", Kind.TRANSIENT, Unreachable),
        ("ABORTED", Kind.TRANSIENT, Unreachable),
        ("UNIMPLEMENTED", Kind.FINAL, Unsupported),
        (9, Kind.REFUSED, Refused),
        (5, Kind.GONE, Gone),
        (99, Kind.TRANSIENT, Unreachable),
    ],
)
def test_each_status_has_its_meaning(code: str | int, kind: Kind, error: type[RegistryError]) -> None:
    found = verdict(code, "no", "the images of x")
    assert (found.kind, type(found.error)) == (kind, error)
    assert "the images of x" in found.error.message


def test_a_message_that_is_too_large_is_no_quota() -> None:
    said = "CLIENT: Received message larger than max (5000000 vs. 4194304)"
    assert verdict("RESOURCE_EXHAUSTED", said, "x").kind is Kind.FINAL
    assert isinstance(verdict("RESOURCE_EXHAUSTED", said, "x").error, Malformed)


def test_what_is_a_mistake_of_ours_goes_on_as_it_is() -> None:
    assert classify(KeyError("x"), "x") is None


def test_a_denial_says_what_it_may_be() -> None:
    """The same is said of a project that isn't there, and of a service that isn't enabled."""
    message = verdict("PERMISSION_DENIED", "denied", "x").error.message
    assert "isn't enabled" in message
    assert "project" in message
