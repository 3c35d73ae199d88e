"""What servers of AWS have in common: who may come in, what for, and how they say that something is wrong."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

from tests.simulators.aws import Door, Pages, Refusal, Role, identified, parameters, reply
from tests.simulators.server import Answer, Request, Server
from tests.simulators.truth import Fault, FaultKind
from tests.simulators.world import World

REGION = "eu-west-1"

Document = dict[str, Any]
Parameters = Mapping[str, Any]

_REWRITTEN = frozenset({FaultKind.LOST_PAGE, FaultKind.REPEATED_PAGE, FaultKind.ENDLESS_PAGE})


class AwsServer(Server):
    """One service of an account in a region, with STS beside it.

    ``used``: the operations that were asked for. ``denied``: operations without a right; ``said``: what an
    operation answers instead; ``before``: what somebody does just before an operation; ``failing``: with
    which error code an operation is answered.
    """

    service: str
    token = "nextToken"

    def __init__(
        self,
        *,
        most: int,
        roles: tuple[Role, ...] = (),
        region: str = REGION,
        world: World | None = None,
        port: int = 0,
    ) -> None:
        self.region = region
        self.door = Door(region=region, roles=roles)
        self.pages = Pages(most)
        self.used: set[str] = set()
        self.denied: set[str] = set()
        self.failing: dict[str, str] = {}
        self.said: dict[str, bytes] = {}
        self.before: dict[str, Callable[[], None]] = {}
        super().__init__(world, port=port)

    @abstractmethod
    def operation(self, request: Request) -> str | None:
        """What a request asks for; ``None``: there is no such thing."""

    @abstractmethod
    def perform(self, operation: str, request: Request) -> Document:
        """Do it; raises Refusal."""

    def refusal(self, refused: Refusal) -> Answer:
        """How it is said that it wasn't done."""
        return refused.answer()

    def called(self, request: Request) -> str:
        return f"{self.operation(request)} {request.target} {request.body.decode(errors='replace')}"

    def asked_for(self, operation: str) -> list[Request]:
        """The requests so far for this operation."""
        return [each for each in self.requests if self.operation(each) == operation]

    def answer(self, request: Request) -> Answer:
        return identified(self._told(request))

    def _told(self, request: Request) -> Answer:
        if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            return self.door.sts(request)
        try:
            return self._answer(request)
        except Refusal as refused:
            return self.refusal(refused)

    def spoil(self, fault: Fault, request: Request) -> Answer:
        match fault.kind:
            case FaultKind.THROTTLE:
                return self.refusal(Refusal("ThrottlingException", "Rate exceeded"))
            case FaultKind.UNAUTHORIZED:
                message = "The security token included in the request is expired"
                return self.refusal(Refusal("ExpiredTokenException", message))
            case FaultKind.ERROR if fault.status == 500:
                return self.refusal(Refusal("ServerException", "internal", 500))
        answer = super().spoil(fault, request)
        if fault.kind not in _REWRITTEN or answer.status != 200:
            return answer
        document = json.loads(answer.body)
        token = document.pop(self.token, None)
        if fault.kind is not FaultKind.LOST_PAGE and token is not None:
            document[self.token] = self._again(token, fault)
        return reply(document)

    def _again(self, token: str, fault: Fault) -> str:
        """A token that leads to the first page; of an endless list, always another."""
        salt = str(fault.struck) if fault.kind is FaultKind.ENDLESS_PAGE else "again"
        return self.pages.token(self.pages.behind(token)[0], "", salt)

    def _answer(self, request: Request) -> Answer:
        name = self.operation(request)
        if name is None:
            raise Refusal("UnknownOperationException", "no such operation", self.unknown_status)
        caller = self.door.come_in(request, self.service).arn
        self.used.add(name)
        if name in self.denied:
            message = f"User: {caller} is not authorized to perform: {self.service}:{name}"
            raise Refusal("AccessDeniedException", message, self.denied_status)
        if name in self.failing:
            raise Refusal(self.failing[name], "refused")
        if name in self.said:
            return Answer(body=self.said[name])
        if name in self.before:
            self.before.pop(name)()
        return reply(self.perform(name, request))

    denied_status = unknown_status = 400


class Json11Server(AwsServer):
    """A service of the JSON 1.1 protocol: each operation is a POST of the root, named in a header."""

    target: str
    operations: Mapping[str, Callable[[Parameters], Document]]

    def operation(self, request: Request) -> str | None:
        if request.method != "POST" or request.path != "/":
            return None
        if request.headers.get("content-type", "").partition(";")[0] != "application/x-amz-json-1.1":
            return None
        prefix, dot, name = request.headers.get("x-amz-target", "").rpartition(".")
        return name if dot and prefix == self.target and name in self.operations else None

    def perform(self, operation: str, request: Request) -> Document:
        return self.operations[operation](parameters(request))

    def parameters_of(self, operation: str) -> list[Parameters]:
        """What was asked for by this operation so far."""
        return [parameters(each) for each in self.asked_for(operation)]
