"""Between the truth and the messages of Artifact Registry: times, operations, statuses and faults."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import grpc
import msgspec
from google.longrunning import operations_pb2
from google.protobuf import any_pb2, duration_pb2, empty_pb2, timestamp_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status  # type: ignore[import-untyped] # it has no stubs

from tests.simulators.gar_rules import Refusal
from tests.simulators.server import SLOW_SECONDS
from tests.simulators.truth import Fault, FaultKind, Held


class Operation(msgspec.Struct, kw_only=True):
    """A change that is under way. ``polls``: after how many looks it is done; ``None``: never."""

    name: str
    run: Callable[[], Refusal | None]
    metadata: Any
    polls: int | None
    done: bool = False
    refusal: Refusal | None = None


def verb(method: str) -> str:
    changing = ("Delete", "BatchDelete", "Create", "Update")
    return "DELETE" if method.startswith(changing) else "GET"


def resource(request: Any) -> str:
    said = (getattr(request, field) for field in ("name", "parent", "resource") if hasattr(request, field))
    return str(next(said, None) or request.tag.name)


def raw_type(wrapped: Any) -> Any:
    return type(wrapped.pb(wrapped()))


def unwrapped(message: Any) -> Any:
    unwrap = getattr(type(message), "pb", None)
    return message if unwrap is None else unwrap(message)


def timestamp(moment: Any) -> Any:
    """Whole microseconds; ``None`` stays unset."""
    if moment is None:
        return None
    made = timestamp_pb2.Timestamp()
    made.FromDatetime(moment)
    return made


def children(held: Held) -> Iterable[Mapping[str, str]]:
    if not held.children:
        return
    for child in msgspec.json.decode(held.body)["manifests"]:
        platform = child.get("platform", {})
        yield {
            "digest": child["digest"],
            "media_type": child["mediaType"],
            "architecture": platform.get("architecture", ""),
            "os": platform.get("os", ""),
        }


def told(operation: Operation) -> Any:
    told = operations_pb2.Operation(name=operation.name, done=operation.done)
    told.metadata.Pack(unwrapped(operation.metadata))
    if not operation.done:
        return told
    if operation.refusal is not None:
        told.error.code = operation.refusal.status.value[0]
        told.error.message = operation.refusal.message
    else:
        told.response.Pack(empty_pb2.Empty())
    return told


def status(code: grpc.StatusCode, message: str, *details: Any) -> Any:
    packed = []
    for detail in details:
        wrapped = any_pb2.Any()
        wrapped.Pack(detail)
        packed.append(wrapped)
    return rpc_status.to_status(status_pb2.Status(code=code.value[0], message=message, details=packed))


def before(fault: Fault) -> Any | None:
    """What is answered instead, nothing being done."""
    code = grpc.StatusCode
    match fault.kind:
        case FaultKind.THROTTLE:
            wait = error_details_pb2.RetryInfo(
                retry_delay=duration_pb2.Duration(seconds=int(fault.retry_after or 0))
            )
            return status(code.RESOURCE_EXHAUSTED, "Quota exceeded for quota metric", wait)
        case FaultKind.ERROR:
            told = code.INTERNAL if fault.status == 500 else code.UNAVAILABLE
            return status(told, "The service is currently unavailable.")
        case FaultKind.RESET:
            return status(code.UNAVAILABLE, "recvmsg:Connection reset by peer")
        case FaultKind.CUT:
            return status(code.INTERNAL, "Received RST_STREAM with error code 2")
        case FaultKind.UNAUTHORIZED:
            return status(code.UNAUTHENTICATED, "Request had invalid authentication credentials.")
        case FaultKind.SLOW:
            time.sleep(SLOW_SECONDS)
    return None


def after(fault: Fault) -> Any | None:
    """What is answered after all was done."""
    if fault.kind is FaultKind.LOST_ANSWER:
        return status(grpc.StatusCode.UNAVAILABLE, "recvmsg:Connection reset by peer")
    if fault.kind is FaultKind.GATEWAY:
        return status(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")
    return None
