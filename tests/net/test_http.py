"""Bounds and suspicions of HTTP, over the wire."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
import time as real_time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from janitor import __version__
from janitor.errors import Denied, Gone, Malformed, RegistryError, Unreachable, Unsupported
from janitor.net.caller import Kind, Trouble
from janitor.net.http import (
    DEADLINE_S,
    ERROR_LIMIT,
    MAX_REDIRECTS,
    Http,
    Response,
    decode,
    origin_of,
    retry_after,
    show,
    trouble,
)
from tests.net.scripted import Scripted, Time, http, json
from tests.simulators.server import Answer, Request


def verdict(call: Callable[[], object]) -> tuple[Kind, RegistryError]:
    """What a request's trouble means."""
    with pytest.raises(Trouble) as raised:
        call()
    return raised.value.verdict.kind, raised.value.verdict.error


@contextmanager
def raw(*pieces: bytes, pause: float = 0) -> Iterator[str]:
    """A server that says exactly this to whoever comes, and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65536)
                    try:
                        for piece in pieces:
                            connection.sendall(piece)
                            real_time.sleep(pause)
                    except OSError:
                        continue

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_any_status_is_an_answer() -> None:
    with Scripted({"/a": json('{"x":1}', 418, X_Y="z")}) as server:
        response = http().request("GET", f"{server.address}/a")
    assert (response.status, response.body, response.header("x-y")) == (418, b'{"x":1}', "z")
    assert response.media_type == "application/json"


def test_it_says_who_it_is_and_takes_no_compression() -> None:
    with Scripted({"/": Answer()}) as server:
        http().request("GET", f"{server.address}/", headers={"X-A": "b"})
        headers = server.requests[0].headers
    assert headers["user-agent"] == f"registry-janitor/{__version__}"
    assert headers["accept-encoding"] == "identity"
    assert headers["x-a"] == "b"


def test_connections_are_used_again() -> None:
    with Scripted({"/": Answer(body=b"x")}) as server:
        connections = http()
        for _ in range(3):
            connections.request("GET", f"{server.address}/")
        (manager,) = connections._managers.values()
        (pool,) = (manager.pools[key] for key in list(manager.pools.keys()))
        assert pool.num_connections == 1
        connections.close()
        connections.close()


def test_no_cookie_is_kept() -> None:
    with Scripted({"/": Answer(headers={"Set-Cookie": "a=b"})}) as server:
        connections = http()
        for _ in range(2):
            connections.request("GET", f"{server.address}/")
        assert "cookie" not in server.requests[1].headers


def test_a_body_over_the_limit_is_malformed() -> None:
    with Scripted({"/": Answer(body=b"x" * 1001)}) as server:
        assert http().request("GET", f"{server.address}/", limit=1001).status == 200
        with pytest.raises(Malformed, match="more than 1,000 bytes"):
            http().request("GET", f"{server.address}/", limit=1000)


def test_an_error_of_any_length_keeps_its_status() -> None:
    with Scripted({"/": Answer(status=503, body=b"x" * (ERROR_LIMIT * 4))}) as server:
        response = http().request("GET", f"{server.address}/", limit=10)
    assert response.status == 503
    assert len(response.body) < ERROR_LIMIT * 4


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n12345",
    ],
)
def test_a_body_that_is_cut_is_an_error_and_never_a_shorter_answer(answer: bytes) -> None:
    with raw(answer) as address:
        kind, error = verdict(lambda: http().request("GET", address))
    assert (kind, type(error)) == (Kind.TRANSIENT, Malformed)


@pytest.mark.parametrize("answer", [b"", b"garbage\r\n\r\n"])
def test_no_http_is_unreachable_or_malformed_and_may_pass(answer: bytes) -> None:
    with raw(answer) as address:
        kind, _ = verdict(lambda: http().request("GET", address))
    assert kind is Kind.TRANSIENT


def test_a_response_that_trickles_past_its_deadline_is_given_up() -> None:
    ticks = iter(range(0, 10_000, int(DEADLINE_S / 3)))
    connections = Http(environ={}, clock=lambda: float(next(ticks)))
    with raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", *[b"x"] * 9, pause=0.02) as address:
        kind, error = verdict(lambda: connections.request("GET", address))
    assert (kind, type(error)) == (Kind.TRANSIENT, Unreachable)
    assert "did not finish" in str(error)


def test_nobody_there_is_unreachable_and_says_who() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    kind, error = verdict(
        lambda: http().request("GET", f"http://user:secret@127.0.0.1:{port}/x?token=secret")
    )
    assert (kind, type(error)) == (Kind.TRANSIENT, Unreachable)
    assert f"127.0.0.1:{port}: connection refused" in str(error)
    assert "secret" not in str(error)


def test_a_name_that_does_not_resolve_says_so() -> None:
    _, error = verdict(lambda: http().request("GET", "http://no.such.example/"))
    assert "does not resolve" in str(error)


@pytest.mark.parametrize("url", ["ftp://a/", "//a", "http://", "http://[::1", "http://a:99999/", "x"])
def test_what_is_no_address_is_malformed(url: str) -> None:
    with pytest.raises(Malformed):
        http().request("GET", url)


def redirecting(to: str, status: int = 307) -> Callable[[Request], Answer]:
    def script(request: Request) -> Answer:
        if request.path == "/from":
            return Answer(status=status, headers={"Location": to})
        return Answer(body=b"there")

    return script


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_the_same_origin_keeps_credentials(status: int) -> None:
    with Scripted(redirecting("/to", status)) as server:
        response = http().request("GET", f"{server.address}/from", headers={"Authorization": "Basic x"})
        assert (response.body, response.url) == (b"there", f"{server.address}/to")
        assert server.requests[1].headers["authorization"] == "Basic x"


def test_a_redirect_to_another_origin_takes_no_credentials_along() -> None:
    with Scripted({"/to": Answer(body=b"there")}) as other, Scripted({}) as server:
        server.script = redirecting(f"{other.address}/to")
        headers = {"Authorization": "Basic x", "PRIVATE-TOKEN": "y", "Accept": "z"}
        assert http().request("GET", f"{server.address}/from", headers=headers).body == b"there"
        (request,) = other.requests
    assert "authorization" not in request.headers
    assert "private-token" not in request.headers
    assert request.headers["accept"] == "z"


def test_credentials_do_not_come_back_once_they_were_dropped() -> None:
    with Scripted({}) as other, Scripted({}) as server:
        server.script = redirecting(f"{other.address}/from")
        other.script = redirecting(f"{server.address}/to")
        http().request("GET", f"{server.address}/from", headers={"Authorization": "Basic x"})
        assert "authorization" not in server.requests[1].headers


def test_redirects_end() -> None:
    with Scripted(lambda _: Answer(status=302, headers={"Location": "/again"})) as server:
        with pytest.raises(Malformed, match="more than 5 times"):
            http().request("GET", f"{server.address}/")
        assert len(server.requests) == MAX_REDIRECTS + 1


@pytest.mark.parametrize("method", ["DELETE", "POST", "PUT"])
def test_what_changes_something_follows_no_redirect(method: str) -> None:
    with Scripted(redirecting("/to")) as server:
        with pytest.raises(Malformed, match=method):
            http().request(method, f"{server.address}/from")
        assert len(server.requests) == 1


def test_a_redirect_to_nowhere_is_malformed() -> None:
    with Scripted(lambda _: Answer(status=302)) as server, pytest.raises(Malformed, match="nowhere"):
        http().request("GET", f"{server.address}/")


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://a/b", "http://[x"])
def test_a_redirect_to_no_http_is_malformed(location: str) -> None:
    with Scripted(redirecting(location)) as server, pytest.raises(Malformed):
        http().request("GET", f"{server.address}/from")


def test_a_proxy_is_asked_for_what_is_not_loopback() -> None:
    with Scripted(lambda _: Answer(body=b"proxied")) as server:
        connections = http(HTTP_PROXY=f"http://user:secret@{server.host}", NO_PROXY="other.example")
        assert connections.request("GET", "http://registry.example/v2/").body == b"proxied"
        (request,) = server.requests
        assert request.target == "http://registry.example/v2/"
        assert request.headers["proxy-authorization"].startswith("Basic ")
        _, error = verdict(lambda: connections.request("GET", "http://other.example/"))
        assert "does not resolve" in str(error)


def test_a_proxy_that_refuses_shows_no_secret() -> None:
    with Scripted(lambda _: Answer(status=407)) as server:
        connections = http(HTTPS_PROXY=f"http://user:secret@{server.host}")
        kind, error = verdict(lambda: connections.request("GET", "https://registry.example/"))
    assert kind is Kind.TRANSIENT
    assert "proxy" in str(error)
    assert "secret" not in str(error)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost that nobody knows, with its key."""
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    subprocess.run(
        [
            *(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
            ),
            *("-days", "36500", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
            *("-keyout", str(file), "-out", str(file.with_suffix(".crt"))),
        ],
        check=True,
        capture_output=True,
    )
    file.write_bytes(file.read_bytes() + file.with_suffix(".crt").read_bytes())
    return file


@contextmanager
def secure(certificate: Path) -> Iterator[str]:
    """A server that speaks TLS."""
    with Scripted(redirecting("http://127.0.0.1:9/to")) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server._listener.socket = context.wrap_socket(server._listener.socket, server_side=True)
        yield server.address.replace("http://127.0.0.1", "https://localhost")


@pytest.mark.peer("openssl")
def test_a_certificate_that_nobody_vouches_for_is_final_and_says_what_to_do(certificate: Path) -> None:
    with secure(certificate) as address:
        kind, error = verdict(lambda: http().request("GET", f"{address}/"))
    assert (kind, type(error)) == (Kind.FINAL, Unreachable)
    assert "ca_file" in str(error)


@pytest.mark.peer("openssl")
@pytest.mark.parametrize("by", ["ca_file", "SSL_CERT_FILE"])
def test_a_certificate_is_trusted_by_file(certificate: Path, by: str) -> None:
    file = certificate.with_suffix(".crt")
    environ = {"SSL_CERT_FILE": str(file)} if by == "SSL_CERT_FILE" else {}
    connections = Http(environ=environ, ca_file=file if by == "ca_file" else None, clock=Time().clock)
    with secure(certificate) as address:
        assert connections.request("GET", f"{address}/").body == b"there"


@pytest.mark.peer("openssl")
def test_a_redirect_never_leaves_tls(certificate: Path) -> None:
    connections = Http(environ={}, ca_file=certificate.with_suffix(".crt"), clock=Time().clock)
    with secure(certificate) as address, pytest.raises(Malformed, match="from https to http"):
        connections.request("GET", f"{address}/from")


def test_a_file_of_certificates_that_is_none_says_so(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("nothing")
    for path in (file, tmp_path / "missing.pem"):
        _, error = verdict(
            lambda path=path: Http(environ={}, ca_file=path).request("GET", "https://localhost:9/")  # type: ignore[misc] # mypy infers no lambda's defaults
        )
        assert str(path) in str(error)


def answer(status: int = 200, body: bytes = b"", **headers: str) -> Response:
    import urllib3  # noqa: PLC0415 - only for its dictionary of headers

    named = urllib3.HTTPHeaderDict({name.replace("_", "-"): value for name, value in headers.items()})
    return Response(status=status, headers=named, body=body, url="https://u:secret@r.example/x?sig=secret")


@pytest.mark.parametrize(
    ("status", "kind", "error"),
    [
        (400, Kind.FINAL, Malformed),
        (401, Kind.DENIED, Denied),
        (403, Kind.DENIED, Denied),
        (404, Kind.GONE, Gone),
        (405, Kind.FINAL, Unsupported),
        (408, Kind.TRANSIENT, Unreachable),
        (410, Kind.GONE, Gone),
        (429, Kind.THROTTLED, Unreachable),
        (500, Kind.TRANSIENT, Unreachable),
        (501, Kind.FINAL, Unsupported),
        (502, Kind.TRANSIENT, Unreachable),
        (503, Kind.TRANSIENT, Unreachable),
        (504, Kind.TRANSIENT, Unreachable),
        (524, Kind.TRANSIENT, Unreachable),
    ],
)
def test_a_status_means(status: int, kind: Kind, error: type[RegistryError]) -> None:
    found = trouble(answer(status), "the tags of a", "no")
    assert (found.verdict.kind, type(found.verdict.error)) == (kind, error)
    assert str(found) == f"the tags of a: r.example answered {status}: no"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry_After": "7"}, 7.0),
        ({"Retry_After": "1.5"}, 1.5),
        ({"Retry_After": "soon"}, None),
        ({"Retry_After": "-1"}, None),
        (
            {"Retry_After": "Mon, 01 Jun 2026 00:01:30 GMT", "Date": "Mon, 01 Jun 2026 00:00:00 GMT"},
            90.0,
        ),
        (
            {"Retry_After": "Mon, 01 Jun 2026 00:00:00 GMT", "Date": "Mon, 01 Jun 2026 00:01:00 GMT"},
            0.0,
        ),
        ({"Retry_After": "Mon, 01 Jan 2001 00:00:00 GMT"}, 0.0),
    ],
)
def test_retry_after_is_seconds_or_a_date_by_the_servers_clock(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert retry_after(answer(429, b"", **headers)) == seconds


def test_json_of_another_shape_is_malformed_and_shows_no_secret() -> None:
    class Shape(msgspec.Struct):
        x: int

    assert decode(answer(body=b'{"x":1}'), Shape).x == 1
    for body in (b"", b"{", b'{"x":"1"}', b"<html>", b"\xff", b"[" * 5000):
        kind, error = verdict(lambda body=body: decode(answer(body=body), Shape))  # type: ignore[misc] # mypy infers no lambda's defaults
        assert (kind, type(error)) == (Kind.TRANSIENT, Malformed)
        assert "secret" not in str(error)


def test_what_is_shown_of_an_address_holds_no_secret() -> None:
    assert show("https://u:secret@r.example:1/a/b?sig=secret#secret") == "https://r.example:1/a/b"


def test_origins_know_default_ports_and_letters() -> None:
    assert origin_of("https://R.example/a") == origin_of("https://r.example:443/b")
    assert origin_of("https://r.example") != origin_of("http://r.example:443")
