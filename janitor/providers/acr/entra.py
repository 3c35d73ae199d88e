"""Tokens of Microsoft Entra, by azure-identity's ``DefaultAzureCredential``.

It finds who asks: a service principal of the environment, a workload identity, a managed identity, or
``az login``. It reads the process's environment and nothing else, and so do the programs that it runs. Where
a run was handed another one, that stands in its place while azure-identity is at work, one at a time; where
it is the same, which is so for every command, nothing is changed.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec

from janitor.errors import Denied
from janitor.providers.acr.jwt import read_claims
from janitor.redaction import redact

# The audience that registries of all clouds accept. Tokens for the resource manager can be switched off.
AUDIENCE = "https://containerregistry.azure.net/.default"

# Of one request to Entra or to the metadata service: seconds, and how often it is sent again. What isn't
# there (no metadata service, no az) is found out in a second; a service that is slow may take a minute.
_CONNECT_TIMEOUT_S = 5
_READ_TIMEOUT_S = 20
_RETRIES = 2
_LONGEST_BACKOFF_S = 4
_PROCESS_TIMEOUT_S = 20  # az and its kin start slowly
_MESSAGE_LIMIT = 700  # characters: the chain tells of each way that it tried

_one_at_a_time = threading.Lock()


class _Claims(msgspec.Struct, frozen=True, kw_only=True):
    """Who a token of Entra is of; an application has an id, a managed identity a resource too."""

    appid: str = ""
    oid: str = ""
    upn: str = ""
    xms_mirid: str = ""


class Entra:
    """Who asks, by azure-identity. Used from many threads; asks nobody before :meth:`token`.

    ``identity``: whom the last token is of, for people.
    """

    def __init__(self, *, environ: Mapping[str, str], client_id: str | None) -> None:
        self._environ = environ
        self._client_id = client_id
        self._credential: Any = None
        self.identity = "not asked yet"

    def token(self) -> str:
        """Return a token for registries; azure-identity keeps it until shortly before it expires.

        Raises Denied, which says every way that was tried.
        """
        from azure.core.exceptions import AzureError  # noqa: PLC0415 - only a run that needs it loads it

        with _environment(self._environ):
            try:
                if self._credential is None:
                    self._credential = self._made()
                token = str(self._credential.get_token(AUDIENCE).token)
            except (AzureError, ValueError, OSError) as exc:
                raise Denied(_told(exc)) from exc
        self.identity = _identity(token)
        return token

    def close(self) -> None:
        """Give back the connections."""
        credential, self._credential = self._credential, None
        if credential is not None:
            credential.close()

    def _made(self) -> Any:
        from azure.identity import DefaultAzureCredential  # noqa: PLC0415 - as above

        named: dict[str, Any] = {}
        if self._client_id is not None:  # None would say: the machine's own identity, not AZURE_CLIENT_ID
            named = {
                "managed_identity_client_id": self._client_id,
                "workload_identity_client_id": self._client_id,
            }
        certificates = self._environ.get("SSL_CERT_FILE")
        if certificates:
            named["connection_verify"] = certificates  # requests knows only its own variables
        return DefaultAzureCredential(
            connection_timeout=_CONNECT_TIMEOUT_S,
            read_timeout=_READ_TIMEOUT_S,
            retry_total=_RETRIES,
            retry_backoff_max=_LONGEST_BACKOFF_S,
            process_timeout=_PROCESS_TIMEOUT_S,
            **named,
        )


@contextmanager
def _environment(environ: Mapping[str, str]) -> Iterator[None]:
    """Let the process's environment be this one for a moment."""
    with _one_at_a_time:
        before = dict(os.environ)
        differing = {name for name in before.keys() | environ.keys() if before.get(name) != environ.get(name)}
        try:
            _put(differing, environ)
            yield
        finally:
            _put(differing, before)


def _put(names: set[str], environ: Mapping[str, str]) -> None:
    for name in names:
        if name in environ:
            os.environ[name] = environ[name]
        else:
            os.environ.pop(name, None)


def _identity(token: str) -> str:
    """Tell whom a token is of."""
    claims = read_claims(token, _Claims) or _Claims()
    if claims.xms_mirid:
        return f"the managed identity {claims.xms_mirid.rpartition('/')[2]}"
    if claims.upn:
        return f"the user {claims.upn}"
    return f"the application {claims.appid}" if claims.appid else "an identity that its token doesn't name"


def _told(exc: Exception) -> str:
    """Say which ways were tried, in one line."""
    said = redact(" ".join(str(exc).split()))
    said = said.partition(" To mitigate this issue")[0]
    if len(said) > _MESSAGE_LIMIT:
        said = f"{said[:_MESSAGE_LIMIT]}…"
    return (
        f"azure-identity found no credentials that work: {said}; give the pod a workload or managed identity"
        " (`client_id` names one of several), set AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_CLIENT_SECRET,"
        " or run `az login`"
    )
