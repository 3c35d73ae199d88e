"""How a Kubernetes API is reached: its address, whom it is trusted by, and who asks.

An authority that is named is trusted beside ``SSL_CERT_FILE`` alone; without one the system's are. A token
file is read for each request: a kubelet replaces it long before the token in it ends.
"""

from __future__ import annotations

import os
import ssl
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import msgspec
import urllib3

from janitor.errors import Denied, Malformed
from janitor.net.http import Http

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """A client's certificate with those that sign it, and its key, as PEM."""

    chain: bytes
    key: bytes

    def __repr__(self) -> str:
        return f"Certificate({len(self.chain)} bytes)"


class Identity(Protocol):
    """Who asks. What it gives may change from request to request."""

    def header(self) -> str | None:
        """Return the value of ``Authorization``; raises Denied where it can't be had."""

    def certificate(self) -> Certificate | None:
        """Return what is shown when a connection is made."""

    def renew(self) -> bool:
        """Take in that a request was not let in; tell whether another one may be."""


class Plain:
    """An ``Authorization`` and a certificate that stay as they are."""

    def __init__(self, header: str | None, certificate: Certificate | None = None) -> None:
        self._header = header
        self._certificate = certificate

    def header(self) -> str | None:
        """Return it."""
        return self._header

    def certificate(self) -> Certificate | None:
        """Return it."""
        return self._certificate

    def renew(self) -> bool:
        """No other is known."""
        return False


class TokenFile:
    """A token that something keeps fresh in a file."""

    def __init__(self, path: Path, certificate: Certificate | None = None) -> None:
        self._path = path
        self._certificate = certificate
        self._sent = ""

    def header(self) -> str | None:
        """Read it."""
        token = read_file(self._path, "the token").decode("utf-8", "replace").strip()
        if not token or not token.isprintable():
            raise Denied(f"{self._path} holds no token")
        self._sent = token
        return f"Bearer {token}"

    def certificate(self) -> Certificate | None:
        """Return what the user has beside the token."""
        return self._certificate

    def renew(self) -> bool:
        """Tell whether the file holds another token by now."""
        refused = self._sent
        self.header()
        return self._sent != refused


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """How one cluster is reached. ``authority``: PEM of the certificates that it is trusted by."""

    server: str
    authority: bytes | None = None
    insecure: bool = False
    server_name: str | None = None
    proxy: str | None = None
    identity: Identity | None = None

    @classmethod
    def of_server(cls, server: str, *, token_file: str | None, ca_file: str | None) -> Access:
        """Reach a server by what stands in files; raises Denied where one can't be read."""
        return cls(
            server=server,
            authority=read_file(Path(ca_file), "the certificates of ca_file") if ca_file else None,
            identity=TokenFile(Path(token_file)) if token_file else None,
        )

    def connect(self, environ: Mapping[str, str]) -> Http:
        """Make the connections; raises Malformed of certificates that are none."""
        if self.proxy is not None:
            if not self.proxy.startswith(("http://", "https://")):
                raise Malformed("the proxy-url of the cluster is no http or https address")
            named = {"HTTPS_PROXY": self.proxy, "HTTP_PROXY": self.proxy}
            environ = {**named, "SSL_CERT_FILE": environ.get("SSL_CERT_FILE", "")}
        certificate = self.identity.certificate() if self.identity is not None else None
        tls = None
        if self.server.startswith("https://") and (self.authority or self.insecure or certificate):
            tls = self._tls(environ.get("SSL_CERT_FILE") or None, certificate)
        return Http(environ=environ, tls=tls, server_name=self.server_name)

    def _tls(self, trusted: str | None, certificate: Certificate | None) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.insecure:
            # The kubeconfig says so; it isn't said again for each request.
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        elif self.authority is not None:
            _trust(context, self.authority)
        elif trusted is None:
            context.load_default_certs()
        if trusted is not None and not self.insecure:
            _trust(context, read_file(Path(trusted), "the certificates of SSL_CERT_FILE"))
        if certificate is not None:
            _show(context, certificate)
        return context


def access_in_cluster(environ: Mapping[str, str], *, folder: Path, server: str | None = None) -> Access:
    """Tell how to reach the cluster that this process runs in. ``server``: another address of it.

    Raises Denied where it doesn't run in one, or has no service account's token.
    """
    host, port = environ.get("KUBERNETES_SERVICE_HOST"), environ.get("KUBERNETES_SERVICE_PORT", "443")
    if server is None and not host:
        raise Denied("this is no pod of a cluster; say `context`, or `server` with `token_file`")
    if server is None:
        server = f"https://[{host}]:{port}" if host and ":" in host else f"https://{host}:{port}"
    identity = TokenFile(folder / "token")
    identity.header()
    return Access(
        server=server, authority=read_file(folder / "ca.crt", "the cluster's certificates"), identity=identity
    )


def read_file(path: Path, what: str) -> bytes:
    """Read a file; raises Denied that says which, and what it should have held."""
    try:
        return path.read_bytes()
    except OSError as exc:
        raise Denied(f"can't read {what}: {path}: {exc.strerror}") from exc


def _trust(context: ssl.SSLContext, authority: bytes) -> None:
    try:
        context.load_verify_locations(cadata=authority.decode("ascii", "ignore"))
    except ssl.SSLError as exc:
        raise Malformed("what the cluster is to be trusted by is no certificate") from exc


def _show(context: ssl.SSLContext, certificate: Certificate) -> None:
    """Load a certificate and its key, which OpenSSL takes from files alone; they are gone at once."""
    with tempfile.TemporaryDirectory(prefix="janitor-") as folder:
        chain, key = Path(folder) / "chain", Path(folder) / "key"
        for path, content in ((chain, certificate.chain), (key, certificate.key)):
            with open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
                file.write(content)
        try:
            context.load_cert_chain(chain, key, password=lambda: b"")
        except (ssl.SSLError, OSError) as exc:
            raise Malformed("the client certificate or its key is none, or they don't fit") from exc
