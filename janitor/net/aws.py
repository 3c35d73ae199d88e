"""AWS as this project asks it: credentials by boto3's chain, answers read by their types, errors told once.

- A request goes through a :class:`Caller`; boto3's own retries are off. Renewing credentials goes past it.
- The body of an answer is read here and not by botocore: its parser takes a cut or foreign body for an empty
  answer, and costs ten times as much. What isn't JSON of the expected type is an error, and asked again.
- A role that is taken on is renewed as long as the run lasts.
- The proxy and the certificates are those of the environment, as everywhere.
- Only the first line of what AWS says gets into a message: the next ones may hold a session token.

SDKs are imported when the first request is due.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec

from janitor.decoding import decode
from janitor.errors import Denied, Gone, Malformed, RegistryError, Unreachable
from janitor.net.caller import Caller, Kind, Purpose, Trouble, Verdict
from janitor.net.http import CONNECT_TIMEOUT_S, READ_TIMEOUT_S, USER_AGENT
from janitor.net.proxies import Proxies

T = TypeVar("T")

Meaning = tuple[Kind, type[RegistryError]]

THROTTLE_PAUSE_S = 1.0  # AWS says "too many" without saying for how long; its buckets fill by the second
SAID_LIMIT = 400  # characters of what AWS says
STS_ATTEMPTS = 4  # of taking on a role, which is between boto3 and STS

_THROTTLES = frozenset(
    {
        "429",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
_BUSY = frozenset(
    {
        "InternalError",
        "InternalFailure",
        "InternalServerError",
        "InternalServerException",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServerException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
    }
)
_EXPIRED = "they have expired: renew them, or use a role, which is renewed by itself"
_WRONG = "the credentials are wrong, or this machine's clock is off by more than five minutes"
_DENIALS: Mapping[str, str] = {
    "401": "",
    "403": "",
    "407": "the proxy asks for credentials",
    "AccessDenied": "the role lacks the right, or a policy of the organisation denies it",
    "AccessDeniedException": "the role lacks the right, or a policy of the organisation denies it",
    "ExpiredToken": _EXPIRED,
    "ExpiredTokenException": _EXPIRED,
    "IncompleteSignature": _WRONG,
    "InvalidClientTokenId": _WRONG,
    "InvalidSignatureException": _WRONG,
    "MissingAuthenticationToken": "no credentials were sent",
    "MissingAuthenticationTokenException": "no credentials were sent",
    "NotAuthorized": "",
    "OptInRequired": "the account has no such service",
    "RequestExpired": _EXPIRED,
    "SignatureDoesNotMatch": _WRONG,
    "UnauthorizedOperation": "the role lacks the right",
    "UnrecognizedClientException": _WRONG,
}
_SERVER_ERROR = 500


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks, as STS says it; ``method`` is boto3's word for where the credentials come from."""

    account: str
    arn: str
    method: str


class Aws:
    """One account's door: a region, and who asks. Opens nothing until it is asked; used from many threads.

    ``endpoint`` is asked instead of a service's own address. One of ``http://`` can only be an emulator, and
    is asked for roles too; STS is elsewhere else.
    """

    def __init__(
        self,
        *,
        region: str,
        environ: Mapping[str, str],
        profile: str | None = None,
        role_arn: str | None = None,
        external_id: str | None = None,
        endpoint: str | None = None,
        concurrency: int = 16,
    ) -> None:
        self.region = region
        self._environ = environ
        self._profile = profile
        self._role_arn = role_arn
        self._external_id = external_id
        self._endpoint = endpoint
        self._concurrency = concurrency
        self._lock = threading.RLock()
        self._session: Any = None
        self._clients: dict[str, Any] = {}

    @property
    def is_plain(self) -> bool:
        """Whether it is an emulator that is asked, without TLS."""
        return self._endpoint is not None and self._endpoint.startswith("http://")

    def service(self, name: str, meanings: Mapping[str, Meaning]) -> Service:
        """Give one service; ``meanings``: what its own error codes mean."""
        return Service(lambda: self._client(name), name, meanings)

    def identity(self, caller: Caller) -> Identity:
        """Ask STS who asks; raises RegistryError."""

        def send() -> Identity:
            said = self._client("sts").get_caller_identity()
            method = self._opened().get_credentials().method
            return Identity(account=said["Account"], arn=said["Arn"], method=method)

        return caller.call(
            send,
            purpose=Purpose.OTHER,
            classify=lambda exc: classify(exc, what="whose credentials these are", service="sts"),
        )

    def close(self) -> None:
        """Give back the connections."""
        with self._lock:
            clients = list(self._clients.values())
            self._clients.clear()
        for client in clients:
            client.close()

    def _client(self, name: str) -> Any:
        client = self._clients.get(name)
        if client is not None:
            return client
        with self._lock:
            if name not in self._clients:
                self._clients[name] = self._new_client(self._opened(), name)
            return self._clients[name]

    def _opened(self) -> Any:
        """The session whose credentials are those that ask."""
        with self._lock:
            if self._session is None:
                session = self._new_session(self._profile)
                self._session = session if self._role_arn is None else self._as_role(session, self._role_arn)
            return self._session

    def _new_session(self, profile: str | None) -> Any:
        import botocore.session  # noqa: PLC0415 - the SDK is slow to load
        from botocore.credentials import EnvProvider  # noqa: PLC0415

        session = botocore.session.Session(profile=profile)
        session.register_component("data_loader", _models())
        session.set_config_variable("region", self.region)
        certificates = self._environ.get("AWS_CA_BUNDLE") or self._environ.get("SSL_CERT_FILE")
        if certificates:
            session.set_config_variable("ca_bundle", certificates)
        if profile is None and self._environ is not os.environ:
            session.get_component("credential_provider").insert_before("env", EnvProvider(self._environ))
        return session

    def _as_role(self, source: Any, role_arn: str) -> Any:
        """A session that takes on a role by another's credentials, and takes it on again before it ends."""
        from botocore.credentials import (  # noqa: PLC0415 - the SDK is slow to load
            AssumeRoleCredentialFetcher,
            DeferredRefreshableCredentials,
        )
        from botocore.exceptions import NoCredentialsError  # noqa: PLC0415

        credentials = source.get_credentials()
        if credentials is None:
            raise NoCredentialsError
        fetcher = AssumeRoleCredentialFetcher(
            client_creator=lambda name, **keys: self._new_client(source, name, **keys),
            source_credentials=credentials,
            role_arn=role_arn,
            extra_args={"RoleSessionName": "registry-janitor"}
            | ({"ExternalId": self._external_id} if self._external_id else {}),
        )
        session = self._new_session(None)
        session._credentials = DeferredRefreshableCredentials(  # noqa: SLF001 - botocore has no other door for it
            method="assume-role", refresh_using=fetcher.fetch_credentials
        )
        return session

    def _new_client(self, session: Any, name: str, **credentials: Any) -> Any:
        import boto3  # noqa: PLC0415 - the SDK is slow to load
        from botocore.config import Config  # noqa: PLC0415

        endpoint = self._address(name)
        host = endpoint or f"https://{self._usual_host(session, name)}"
        proxy = Proxies(self._environ).of(urlsplit(host))
        config = Config(
            # An attempt more would be one that Caller neither counts nor paces; STS is asked by boto3 itself.
            retries={"mode": "standard", "total_max_attempts": STS_ATTEMPTS if credentials else 1},
            connect_timeout=CONNECT_TIMEOUT_S,
            read_timeout=READ_TIMEOUT_S,
            max_pool_connections=self._concurrency,
            proxies={"http": proxy, "https": proxy} if proxy else {},
            user_agent_extra=USER_AGENT,
        )
        maker = boto3.session.Session(botocore_session=session, region_name=self.region)
        client = maker.client(name, config=config, endpoint_url=endpoint, **credentials)
        if name != "sts":
            service = client.meta.service_model.service_id.hyphenize()
            client.meta.events.register(f"before-parse.{service}", _raw)
        return client

    def _address(self, name: str) -> str | None:
        if name != "sts":
            return self._endpoint
        if named := self._environ.get("AWS_ENDPOINT_URL_STS"):
            return named
        return self._endpoint if self.is_plain else None

    def _usual_host(self, session: Any, name: str) -> str:
        """Where the service usually is: whether a proxy leads there is asked of this name."""
        found = session.get_component("endpoint_resolver").construct_endpoint(name, self.region)
        return str(found["hostname"]) if found else f"{name}.{self.region}.amazonaws.com"


class Service:
    """One service of AWS: its operations as boto3 names them. Used from many threads."""

    def __init__(self, client: Callable[[], Any], name: str, meanings: Mapping[str, Meaning]) -> None:
        self._client = client
        self._name = name
        self._meanings = meanings
        self._date: str | None = None

    def ask(
        self,
        caller: Caller,
        operation: str,
        answer: type[T],
        what: str,
        *,
        purpose: Purpose,
        **parameters: Any,
    ) -> T:
        """Send one request until it is answered, and read the answer as ``answer``.

        ``what`` says what was asked for ("the images of team/app"). Raises RegistryError.
        """

        def send() -> T:
            said = getattr(self._client(), operation)(**parameters)
            self._date = said["ResponseMetadata"]["HTTPHeaders"].get("date")
            try:
                return decode(said["Raw"], answer)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
                # A cut body looks just like this, hence transient.
                message = f"{what}: {self._name} did not send the JSON that was expected: {exc}"
                raise Trouble(Kind.TRANSIENT, Malformed(message)) from exc

        return caller.call(
            send,
            purpose=purpose,
            classify=lambda exc: classify(exc, what=what, service=self._name, meanings=self._meanings),
        )

    @property
    def server_time(self) -> datetime | None:
        """What time it was there at the last answer."""
        try:
            return parsedate_to_datetime(self._date or "").astimezone(UTC)
        except ValueError:
            return None


@cache
def _models() -> Any:
    """What botocore knows of AWS's services: read once, since it is slow to read, and not once a session."""
    from botocore.loaders import create_loader  # noqa: PLC0415 - the SDK is slow to load

    return create_loader()


def _raw(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: Any) -> None:
    """Take a good answer's body before botocore's parser does."""
    if response_dict["status_code"] < 300:  # noqa: PLR2004 - errors are botocore's to read
        customized_response_dict["Raw"] = response_dict["body"]
        response_dict["body"] = b"{}"


def classify(
    exc: Exception, *, what: str, service: str, meanings: Mapping[str, Meaning] | None = None
) -> Verdict | None:
    """Say what an exception of botocore's means; ``None``: it is none."""
    from botocore import exceptions as boto  # noqa: PLC0415 - the SDK is slow to load
    from botocore.parsers import ResponseParserError  # noqa: PLC0415

    match exc:
        case Trouble():
            return exc.verdict
        case boto.ClientError():
            return _answered(exc, what, service, meanings or {})
        case boto.SSLError() if "CERTIFICATE_VERIFY_FAILED" in str(exc):
            advice = "SSL_CERT_FILE names the authority to trust"
            return _verdict(Kind.FINAL, Unreachable, f"{what}: {_line(exc)}; {advice}")
        case boto.HTTPClientError() | boto.ConnectionError() | boto.IncompleteReadError():
            return _verdict(Kind.TRANSIENT, Unreachable, f"{what}: {_line(exc)}")
        case boto.NoCredentialsError():
            advice = "set AWS_PROFILE or `profile`, give the pod a role, or run `aws sso login`"
            return _verdict(Kind.DENIED, Denied, f"{what}: no AWS credentials were found; {advice}")
        case ResponseParserError():
            return _verdict(Kind.TRANSIENT, Malformed, f"{what}: {service} sent no answer that can be read")
        case boto.ParamValidationError():
            # The report says which parameter; the exception's own first line doesn't.
            return _verdict(Kind.FINAL, Malformed, f"{what}: {_first_line(str(exc.kwargs['report']))}")
        case boto.BotoCoreError():
            return _verdict(Kind.DENIED, Denied, f"{what}: {_line(exc)}")
    return None


def _answered(exc: Any, what: str, service: str, meanings: Mapping[str, Meaning]) -> Verdict:
    """Say what an error that AWS answered with means."""
    code = str(exc.response["Error"].get("Code", ""))
    status = int(exc.response["ResponseMetadata"].get("HTTPStatusCode", 0))
    said = _first_line(str(exc.response["Error"].get("Message") or ""))
    text = f"{what}: {service} answered {code} to {exc.operation_name}" + (f": {said}" if said else "")
    if code in meanings:
        kind, error = meanings[code]
        return _verdict(kind, error, text)
    if code in _THROTTLES:
        return Verdict(kind=Kind.THROTTLED, error=Unreachable(text), retry_after=_pause(exc))
    if code in _DENIALS:
        advice = _DENIALS[code]
        return _verdict(Kind.DENIED, Denied, f"{text}; {advice}" if advice else text)
    if code in _BUSY or status >= _SERVER_ERROR:
        return _verdict(Kind.TRANSIENT, Unreachable, text)
    if code.endswith("NotFoundException"):
        return _verdict(Kind.GONE, Gone, text)
    return _verdict(Kind.FINAL, Malformed, text)


def _verdict(kind: Kind, error: type[RegistryError], text: str) -> Verdict:
    return Verdict(kind=kind, error=error(text))


def _pause(exc: Any) -> float:
    asked = exc.response["ResponseMetadata"].get("HTTPHeaders", {}).get("retry-after", "")
    return max(THROTTLE_PAUSE_S, float(asked)) if asked.isascii() and asked.isdigit() else THROTTLE_PAUSE_S


def _line(exc: Exception) -> str:
    return _first_line(str(exc))


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0][:SAID_LIMIT]
