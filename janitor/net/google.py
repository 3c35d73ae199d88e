"""What Google's services have in common: who asks, the channel to them, and what their refusals mean.

- Credentials are Application Default Credentials, looked for when the first request needs them. Their tokens
  are fetched by this project's own HTTP, so that proxies and certificates hold there too.
- gRPC reads ``https_proxy`` in small letters alone and no ``SSL_CERT_FILE``: the channel is told of both.
  What it receives has no limit: a page of a listing may be larger than gRPC's 4 MiB.
- An ``http://`` address is plaintext gRPC without credentials.
- Google's client raises a class for each gRPC status; :func:`classify` says what each means. A message over a
  limit comes as RESOURCE_EXHAUSTED like a quota, and is none.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from janitor.errors import Denied, Gone, Malformed, Refused, RegistryError, Unreachable, Unsupported
from janitor.net.bearer import Scope
from janitor.net.caller import Kind, Trouble, Verdict
from janitor.net.http import Http, Response, show
from janitor.net.ocierrors import clean
from janitor.net.proxies import Proxies

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
TIMEOUT_S = 20.0  # of one request; a pod has 60 s to stop
TOKEN_LIMIT = 1 << 20

# By gRPC's code, the name of which Google's errors and operations give.
_MEANINGS: Mapping[str, tuple[Kind, type[RegistryError]]] = {
    "NOT_FOUND": (Kind.GONE, Gone),
    "FAILED_PRECONDITION": (Kind.REFUSED, Refused),
    "INVALID_ARGUMENT": (Kind.REFUSED, Refused),
    "OUT_OF_RANGE": (Kind.REFUSED, Refused),
    "ALREADY_EXISTS": (Kind.REFUSED, Refused),
    "PERMISSION_DENIED": (Kind.DENIED, Denied),
    "UNIMPLEMENTED": (Kind.FINAL, Unsupported),
    "RESOURCE_EXHAUSTED": (Kind.THROTTLED, Unreachable),
}
_CODES = (
    *("OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS"),
    *("PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE"),
    *("UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"),
)
_TOO_LARGE = "message larger than max"
_DENIED_HINT = (
    "the right is lacking, the project isn't there, or the service isn't enabled in it"
    " (gcloud services enable artifactregistry.googleapis.com)"
)


class Unauthenticated(Denied):
    """The service doesn't know who asks: a token that ended, or none."""


class Account:
    """Who asks: Application Default Credentials, or nobody. Used from many threads.

    ``anonymous``: no credentials are looked for, and none sent. It is the authorizer of requests over HTTP
    too.
    """

    def __init__(self, http: Http, *, anonymous: bool) -> None:
        self._http = http
        self._anonymous = anonymous
        self._lock = threading.Lock()
        self._credentials: Any = None
        self._refused: str | None = None

    def token(self) -> str | None:
        """Return a token that is good now, or ``None`` where nobody asks; raises Trouble."""
        if self._anonymous:
            return None
        with self._lock:
            credentials = self._found()
            if not credentials.valid or credentials.token == self._refused:
                self._refresh(credentials)
            token: str = credentials.token
            return token

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """Return what a gRPC request carries of it; raises Trouble."""
        token = self.token()
        if token is None:
            return ()
        quota_project = getattr(self._credentials, "quota_project_id", None)
        billed = (("x-goog-user-project", quota_project),) if quota_project else ()
        return (("authorization", f"Bearer {token}"), *billed)

    def refused(self) -> bool:
        """Take in that the present token was not accepted; tell whether another may be."""
        if self._anonymous or self._credentials is None:
            return False
        self._refused = self._credentials.token
        return True

    def described(self) -> str:
        """Say by which way the credentials were found; raises Trouble where there are none."""
        if self.token() is None:
            return "no credentials: the endpoint is plaintext"
        kind = type(self._credentials)
        way = _WAYS.get(kind.__module__.removeprefix("google."), kind.__module__)
        who = getattr(self._credentials, "service_account_email", None)
        return f"{way} ({who})" if isinstance(who, str) and "@" in who else way

    def header(self, scope: Scope) -> str | None:  # noqa: ARG002 - one token is for everything
        """Return the value of ``Authorization``."""
        token = self.token()
        return None if token is None else f"Bearer {token}"

    def learn(self, response: Response, scope: Scope, sent: str | None) -> bool:  # noqa: ARG002 - as header()
        """Take in a 401: another token may do."""
        return self.refused()

    def accepted(self, sent: str | None) -> None:
        """Nothing is made of it."""

    def is_current(self, sent: str) -> bool:
        """Whether this token is what would be sent again."""
        return self._credentials is not None and sent == f"Bearer {self._credentials.token}"

    def secrets(self, scope: Scope) -> tuple[str, ...]:  # noqa: ARG002 - as header()
        """Tell the token, which no message may show."""
        token = getattr(self._credentials, "token", None)
        return (token,) if token else ()

    def advice(self, scope: Scope) -> str:  # noqa: ARG002 - as header()
        """Say what to look at."""
        if self._anonymous:
            return "a plaintext endpoint is asked without credentials"
        return f"{_DENIED_HINT}; reading manifests needs artifactregistry.repositories.downloadArtifacts"

    def _found(self) -> Any:
        if self._credentials is None:
            import google.auth  # noqa: PLC0415 - loaded when it is needed
            from google.auth import exceptions  # noqa: PLC0415 - likewise

            try:
                self._credentials, _ = google.auth.default(scopes=[SCOPE], request=_transport(self._http))
            except exceptions.GoogleAuthError as exc:
                message = f"no Google credentials were found: {clean(str(exc))}"
                hint = "on a laptop run `gcloud auth application-default login`"
                hint += "; in a cluster bind the pod's service account (Workload Identity)"
                raise Trouble(Kind.DENIED, Denied(f"{message}; {hint}")) from exc
        return self._credentials

    def _refresh(self, credentials: Any) -> None:
        from google.auth import exceptions  # noqa: PLC0415 - loaded when it is needed

        try:
            credentials.refresh(_transport(self._http))
        except exceptions.GoogleAuthError as exc:
            said = f"Google gave out no token: {clean(str(exc))}"
            if isinstance(exc, exceptions.TransportError) or exc.retryable:
                raise Trouble(Kind.TRANSIENT, Unreachable(said)) from exc
            raise Trouble(Kind.DENIED, Denied(f"{said}; log in anew, or look at the key")) from exc
        self._refused = None


# What google-auth's modules of credentials are called by those who set them up.
_WAYS: Mapping[str, str] = {
    "oauth2.service_account": "a service account's key file",
    "oauth2.credentials": "gcloud's application-default login",
    "auth.compute_engine.credentials": "the metadata server (Workload Identity, or the machine's account)",
    "auth.impersonated_credentials": "an impersonated service account",
    "auth.identity_pool": "workload identity federation",
    "auth.aws": "workload identity federation from AWS",
    "auth.pluggable": "workload identity federation by a program",
}


def _transport(http: Http) -> Any:
    """Let google-auth ask by this project's HTTP."""
    from google.auth import exceptions, transport  # noqa: PLC0415 - loaded when it is needed

    class Answered(transport.Response):
        def __init__(self, response: Response) -> None:
            self._response = response

        @property
        def status(self) -> int:
            return self._response.status

        @property
        def headers(self) -> Mapping[str, str]:
            return self._response.headers

        @property
        def data(self) -> bytes:
            return self._response.body

    class Asking(transport.Request):
        def __call__(
            self,
            url: str,
            method: str = "GET",
            body: bytes | str | None = None,
            headers: Mapping[str, str] | None = None,
            timeout: float | None = None,  # noqa: ARG002 - Http has time-outs of its own
            **_: Any,
        ) -> Answered:
            content = body.encode() if isinstance(body, str) else body
            try:
                return Answered(http.request(method, url, headers=headers, body=content, limit=TOKEN_LIMIT))
            except (Trouble, Malformed) as exc:
                raise exceptions.TransportError(str(exc)) from exc  # type: ignore[no-untyped-call] # it has none

    return Asking()


def check_endpoint(name: str, endpoint: str) -> None:
    """Raise Malformed where an endpoint is more than scheme, host and port."""
    parts = urlsplit(endpoint)
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
        raise Malformed(f"the endpoint of {name} must be http://HOST[:PORT] or https://HOST[:PORT]")
    if parts.path not in {"", "/"} or parts.query:
        raise Malformed(f"the endpoint of {name} ({show(endpoint)}) must be without a path: gRPC has none")


def open_channel(endpoint: str, environ: Mapping[str, str]) -> Any:
    """Make a gRPC channel, which connects when it is first used; raises Trouble."""
    import grpc  # noqa: PLC0415 - loaded when it is needed

    parts = urlsplit(endpoint)
    target = f"{parts.hostname}:{parts.port or {'http': 80, 'https': 443}[parts.scheme]}"
    options: list[tuple[str, str | int]] = [
        ("grpc.max_receive_message_length", -1),
        ("grpc.max_send_message_length", -1),
    ]
    proxy = Proxies(environ).of(parts)
    if proxy is None:
        options.append(("grpc.enable_http_proxy", 0))
    elif proxy.startswith("https:"):
        message = f"gRPC can't go through {show(proxy)}: it speaks plain HTTP to a proxy, never TLS"
        raise Trouble(Kind.FINAL, Unsupported(message))
    else:
        options.append(("grpc.http_proxy", proxy))
    if parts.scheme == "http":
        return grpc.insecure_channel(target, options=options)
    return grpc.secure_channel(target, grpc.ssl_channel_credentials(_roots(environ)), options=options)


def _roots(environ: Mapping[str, str]) -> bytes | None:
    file = environ.get("SSL_CERT_FILE")
    if not file:
        return None
    try:
        with open(file, "rb") as stream:  # noqa: PTH123 - a name from the environment, read once
            return stream.read()
    except OSError as exc:
        message = f"can't read the certificates of {file}: {exc.strerror}"
        raise Trouble(Kind.FINAL, Unreachable(message)) from exc


def classify(exc: Exception, what: str) -> Verdict | None:
    """Say what an exception of Google's client means; ``what`` was asked."""
    if isinstance(exc, Trouble):
        return exc.verdict
    from google.api_core import exceptions  # noqa: PLC0415 - loaded when it is needed

    if not isinstance(exc, exceptions.GoogleAPICallError):
        return None
    code = getattr(exc.grpc_status_code, "name", "UNKNOWN")
    return verdict(code, exc.message or "", what, retry_after=_retry_after(exc))


def verdict(code: str | int, said: str, what: str, *, retry_after: float | None = None) -> Verdict:
    """Say what a gRPC status means, by its name or number; ``said`` is its message."""
    if isinstance(code, int):
        code = _CODES[code] if code < len(_CODES) else "UNKNOWN"
    text = f"{what}: {code}{': ' if said else ''}{clean(said)}"
    if code == "UNAUTHENTICATED":
        return Verdict(
            kind=Kind.DENIED, error=Unauthenticated(f"{text}; the credentials are missing or ended")
        )
    if code == "RESOURCE_EXHAUSTED" and _TOO_LARGE in said:
        return Verdict(kind=Kind.FINAL, error=Malformed(text))
    kind, error = _MEANINGS.get(code, (Kind.TRANSIENT, Unreachable))
    if kind is Kind.DENIED:
        text += f"; {_DENIED_HINT}"
    return Verdict(kind=kind, error=error(text), retry_after=retry_after)


def _retry_after(exc: Any) -> float | None:
    """Tell the seconds of the ``RetryInfo`` that Google may send along."""
    for detail in exc.details or ():
        delay = getattr(detail, "retry_delay", None)
        if delay is not None:
            return float(delay.seconds + delay.nanos / 1e9)
    return None
