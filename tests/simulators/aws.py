"""What AWS asks of every request: a signature of known credentials, for this service and region; and STS.

Signatures are not worked out again, their scope is: a request that was signed for another service or region,
by unknown keys, or by keys of a session without its token, is refused as AWS refuses it. A door that is open
to anybody asks no more than that a signature is well-formed and of the service.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import msgspec

from tests.simulators.server import Answer, Request

ACCOUNT = "123456789012"
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 "
    r"Credential=(?P<key>[^/,]+)/\d{8}/(?P<region>[^/,]+)/(?P<service>[^/,]+)/aws4_request, ?"
    r"SignedHeaders=(?P<signed>[^,]+), ?Signature=[0-9a-f]{64}"
)


class Refusal(Exception):
    """What AWS answers instead: an error code, a message, a status."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status

    def answer(self) -> Answer:
        answer = reply({"__type": self.code, "message": str(self)})
        return msgspec.structs.replace(answer, status=self.status)


def reply(document: Mapping[str, Any]) -> Answer:
    """An answer of the JSON 1.1 protocol."""
    return Answer(headers={"Content-Type": "application/x-amz-json-1.1"}, body=json.dumps(document).encode())


def identified(answer: Answer) -> Answer:
    """With the id that every answer of AWS has, for its support."""
    headers = {"x-amzn-RequestId": str(uuid.uuid4()), **answer.headers}
    return msgspec.structs.replace(answer, headers=headers)


class Role(msgspec.Struct, frozen=True, kw_only=True):
    """A role that may be taken on. ``uses``: requests until its credentials have expired."""

    arn: str
    external_id: str | None = None
    uses: int | None = None


class Credentials(msgspec.Struct, kw_only=True):
    """Keys that are known; ``token``: of a session, which must come along."""

    arn: str
    token: str | None = None
    uses: int | None = None


class Door:
    """Who may come in, and by which role; ``taken_on``: how often. ``callers``: who came, STS aside.

    ``anybody``: all keys and roles are known. ``anywhere``: every region is this one; ``region`` is the last
    caller's.
    """

    def __init__(self, *, region: str, roles: tuple[Role, ...] = (), arn: str | None = None) -> None:
        self.region = region
        self.anybody = self.anywhere = False
        self.roles = {role.arn: role for role in roles}
        self.keys: dict[str, Credentials] = {
            "AKIDTEST": Credentials(arn=arn or f"arn:aws:iam::{ACCOUNT}:user/janitor")
        }
        self.taken_on = 0
        self.callers: set[str] = set()

    def come_in(self, request: Request, service: str) -> Credentials:
        """Whose request it is; raises Refusal."""
        found = _signed(request)
        if self.anywhere:
            self.region = found["region"]
        if (found["region"], found["service"]) != (self.region, service):
            message = f"Credential should be scoped to a valid region: {found['region']}/{found['service']}"
            # The real message goes on with all that was signed, a session's token included.
            raise Refusal("InvalidSignatureException", f"{message}\n\nx-amz-security-token:SECRET", 403)
        credentials = self.keys.get(found["key"])
        if self.anybody and (credentials is None or credentials.token is None):
            credentials = self.keys["AKIDTEST"]
        elif credentials is None or credentials.token != request.headers.get("x-amz-security-token"):
            message = "The security token included in the request is invalid."
            raise Refusal("UnrecognizedClientException", message)
        if credentials.uses is not None:
            if credentials.uses == 0:
                raise Refusal(
                    "ExpiredTokenException", "The security token included in the request is expired"
                )
            credentials.uses -= 1
        if service != "sts":
            self.callers.add(credentials.arn)
        return credentials

    def sts(self, request: Request) -> Answer:
        """The operations of STS that a client needs to know who it is, and to be another."""
        form = {**request.query, **parse_qs(request.body.decode())}
        action = form.get("Action", [""])[0]
        try:
            if action == "AssumeRoleWithWebIdentity":  # what is signed is the token that it brings
                told = self._assume_by_identity(form)
            else:
                told = self._told(self.come_in(request, "sts"), action, form)
        except Refusal as exc:
            error = f"<Error><Type>Sender</Type><Code>{exc.code}</Code><Message>{exc}</Message></Error>"
            return _xml(f"<ErrorResponse {_XMLNS}>{error}</ErrorResponse>", exc.status)
        result = f"<{action}Result>{told}</{action}Result>"
        return _xml(f"<{action}Response {_XMLNS}>{result}</{action}Response>")

    def _told(self, caller: Credentials, action: str, form: Mapping[str, list[str]]) -> str:
        if action == "AssumeRole":
            return self._assume(form)
        if action != "GetCallerIdentity":
            raise Refusal("InvalidAction", f"Could not find operation {action}")
        account = caller.arn.split(":")[4]
        return f"<Arn>{caller.arn}</Arn><UserId>AIDA</UserId><Account>{account}</Account>"

    def _assume_by_identity(self, form: Mapping[str, list[str]]) -> str:
        """For a pod's token, which is good wherever anybody's is."""
        if not self.anybody or not form.get("WebIdentityToken"):
            raise Refusal("InvalidIdentityToken", "No OpenIDConnect provider found in your account")
        return self._assume(form)

    def _assume(self, form: Mapping[str, list[str]]) -> str:
        arn = form.get("RoleArn", [""])[0]
        role = self.roles.get(arn)
        if self.anybody and _ROLE.fullmatch(arn):
            role = Role(arn=arn, external_id=form.get("ExternalId", [None])[0])
        if role is None or role.external_id != form.get("ExternalId", [None])[0]:
            message = f"User is not authorized to perform: sts:AssumeRole on resource: {arn}"
            raise Refusal("AccessDenied", message, 403)
        self.taken_on += 1
        key, token = f"ASIA{self.taken_on:08}", f"session-{self.taken_on}"
        _, _, _, _, account, name = arn.split(":")
        called = form.get("RoleSessionName", ["session"])[0]
        session = f"arn:aws:sts::{account}:assumed-role/{name.rpartition('/')[2]}/{called}"
        self.keys[key] = Credentials(arn=session, token=token, uses=role.uses)
        # Of what ends in a minute the client takes a new one before each request; else it lasts an hour.
        life = timedelta(hours=1) if role.uses is None else timedelta(minutes=1)
        until = (datetime.now(UTC) + life).strftime("%Y-%m-%dT%H:%M:%SZ")
        return (
            f"<Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>"
            f"<SessionToken>{token}</SessionToken><Expiration>{until}</Expiration></Credentials>"
            f"<AssumedRoleUser><Arn>{session}</Arn><AssumedRoleId>AROA:x</AssumedRoleId></AssumedRoleUser>"
        )


def _signed(request: Request) -> re.Match[str]:
    """What a request's signature says; raises Refusal where it has none, or one that covers too little."""
    said = request.headers.get("authorization", "")
    if not said:
        raise Refusal("MissingAuthenticationTokenException", "Missing Authentication Token", 403)
    found = _AUTHORIZATION.fullmatch(said)
    if found is None:
        message = "Authorization header requires 'Credential', 'SignedHeaders' and 'Signature' parameters"
        raise Refusal("IncompleteSignature", message, 403)
    signed = set(found["signed"].split(";"))
    if not {"host", "x-amz-date"} | {"x-amz-target"} & request.headers.keys() <= signed:
        raise Refusal("IncompleteSignature", f"not signed: {found['signed']}", 403)
    return found


_ROLE = re.compile(r"arn:[^:]+:iam::\d{12}:role/[^:]+")
_XMLNS = 'xmlns="https://sts.amazonaws.com/doc/2011-06-15/"'


def _xml(text: str, status: int = 200) -> Answer:
    return Answer(status=status, headers={"Content-Type": "text/xml"}, body=text.encode())


class Pages:
    """Lists in pages, by tokens that are good for one query.

    ``most``: entries of a page at most, whatever is asked for. ``empty``: a first page is empty, and the last
    has an empty token. ``overlaps``: each page begins with the entry before it. ``forgets``: so many tokens
    aren't taken. ``rounds``: tokens come round, so many of them.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.empty = False
        self.overlaps = False
        self.forgets = 0
        self.rounds = 0
        self._turn = 0
        self._cursors: dict[str, tuple[str, str]] = {}

    def page(
        self, entries: Sequence[str], asked: Mapping[str, Any], query: str
    ) -> tuple[list[str], dict[str, str]]:
        """The entries after a token, as many as fit, and the token of the rest."""
        most = asked.get("maxResults", 100)
        if not 1 <= most <= 1000:
            raise invalid("maxResults", "Member must have value less than or equal to 1000")
        at = 0
        if "nextToken" in asked:
            at = self._after(entries, asked["nextToken"], query)
        elif self.empty and entries:
            return [], {"nextToken": self.token(query, "")}
        to = at + min(most, self.most)
        page = list(entries[max(0, at - self.overlaps) : to])
        if self.rounds:
            self._turn += 1
            return page, {"nextToken": self.token(query, ("", *entries)[self._turn % self.rounds])}
        if to >= len(entries):  # a last page that is full has no token
            return page, {"nextToken": ""} if self.empty else {}
        return page, {"nextToken": self.token(query, page[-1])}

    def token(self, query: str, after: str, salt: str = "") -> str:
        """A token that leads to what follows an entry; ``salt`` makes it another."""
        token = hashlib.sha256(f"{query} {after} {salt}".encode()).hexdigest()
        self._cursors[token] = query, after
        return token

    def behind(self, token: str) -> tuple[str, str]:
        """The query of a token, and the entry that it follows."""
        return self._cursors[token]

    def _after(self, entries: Sequence[str], token: str, query: str) -> int:
        """Where a token goes on; one that expired, or is of another list, is refused."""
        known = self._cursors.get(token)
        if known is None or known[0] != query or self.forgets > 0:
            self.forgets -= 1
            raise invalid("NextToken", "Invalid token")
        # What follows is found by its place in the order, since the entry itself may be gone by now.
        last = shuffled(known[1])
        return sum(shuffled(entry) <= last for entry in entries) if known[1] else 0


def parameters(request: Request) -> dict[str, Any]:
    try:
        parameters = json.loads(request.body or b"{}")
    except ValueError:
        raise Refusal("SerializationException", "no JSON") from None
    return parameters if isinstance(parameters, dict) else {}


def invalid(what: str, constraint: str) -> Refusal:
    text = f"Invalid parameter at '{what}' failed to satisfy constraint: '{constraint}'"
    return Refusal("InvalidParameterException", text)


def bounded(values: Any, what: str, most: int) -> Sequence[Any]:
    """A list of at least one and at most so many; boto3 sends any number of them."""
    if not isinstance(values, list) or not 1 <= len(values) <= most:
        raise invalid(what, f"Member must have length less than or equal to {most}")
    return values


def only(asked: Mapping[str, Any], one: str, *others: str) -> None:
    for other in others:
        if other in asked:
            raise invalid(other, f"{other} can't be used together with {one}")


def shuffled(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
