"""A server on a free loopback port, on which simulators stand: what they answer is a value.

It records every request and whether it carried credentials, and it does what a protocol can't: resets,
delays and cuts connections as the world's faults say.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self, cast
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

from tests.simulators.truth import Fault, FaultKind
from tests.simulators.world import World

# Long enough to be seen, short enough for a test.
SLOW_SECONDS = 0.15


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A request as a simulator sees it; header names are lower case, ``path`` is unquoted."""

    method: str
    target: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes = b""

    def asked(self, key: str) -> str | None:
        """The first value of a query parameter."""
        return self.query.get(key, [None])[0]

    def __str__(self) -> str:
        return f"{self.method} {self.target}"


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer; its length is added where a body is sent."""

    status: int = 200
    headers: Mapping[str, str] = {}
    body: bytes = b""


class Server(ABC):
    """Serves from when it is made until :meth:`close`. ``world`` may be replaced between tests."""

    def __init__(self, world: World | None = None, *, port: int = 0) -> None:
        self.world = world or World()
        self.requests: list[Request] = []
        self.crashes: list[Exception] = []
        self._listener = _Listener(port, self)
        self.host = f"127.0.0.1:{self._listener.server_address[1]}"
        self.address = f"http://{self.host}"
        self._thread = threading.Thread(
            target=self._listener.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()

    @abstractmethod
    def answer(self, request: Request) -> Answer:
        """What the protocol says, without faults."""

    def called(self, request: Request) -> str:
        """What faults call a request; where all of a protocol go to one path, what is asked by them."""
        return str(request)

    def spoil(self, fault: Fault, request: Request) -> Answer:
        """The answer under a fault that the protocol itself must show."""
        match fault.kind:
            case FaultKind.THROTTLE:
                headers = {} if fault.retry_after is None else {"Retry-After": fault.retry_after}
                return Answer(status=429, headers=headers, body=b"slow down")
            case FaultKind.ERROR:
                return Answer(status=fault.status, body=b"<html>trouble</html>")
            case FaultKind.GATEWAY:
                self.answer(request)
                return Answer(status=504, body=b"<html>gateway time-out</html>")
            case FaultKind.CUT_JSON:
                answer = self.answer(request)
                return msgspec.structs.replace(answer, body=answer.body[: len(answer.body) // 2])
        return self.answer(request)

    def asked(self, method: str, part: str = "") -> list[str]:
        """The targets of the requests so far with this method whose target contains ``part``."""
        return [each.target for each in self.requests if each.method == method and part in each.target]

    def close(self) -> None:
        self._listener.shutdown()
        self._listener.server_close()
        self._thread.join()
        if self.crashes:
            raise self.crashes[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Foreign(Server):
    """A host that nobody should be led to; whatever arrives is recorded, credentials above all."""

    def answer(self, request: Request) -> Answer:  # noqa: ARG002  the same to whatever is asked
        return Answer(body=b'{"repositories":["stolen"],"tags":["stolen"],"token":"stolen"}')

    @property
    def credentials(self) -> list[str]:
        """What was handed to it."""
        return [
            f"{each}: {each.headers['authorization']}"
            for each in self.requests
            if "authorization" in each.headers
        ]


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, port: int, simulator: Server) -> None:
        self.simulator = simulator
        super().__init__(("127.0.0.1", port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002  socketserver's
        """A client that goes away in the middle is no trouble; a mistake of the simulator is."""
        error = sys.exc_info()[1]
        if isinstance(error, Exception) and not isinstance(error, OSError):
            self.simulator.crashes.append(error)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Headers and body leave in one piece: without this, each answer waits for a delayed ACK (40 ms).
    wbufsize = -1
    disable_nagle_algorithm = True
    timeout = 60

    @property
    def simulator(self) -> Server:
        return cast("_Listener", self.server).simulator

    def _serve(self) -> None:
        request = self._read()
        self.simulator.requests.append(request)
        fault = self.simulator.world.strike(self.simulator.called(request))
        try:
            if fault is None:
                self._send(self._answer(request), request)
            else:
                self._suffer(fault, request)
        except OSError:  # the client went away
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told when the server is closed
            self.simulator.crashes.append(error)
            self._send(Answer(status=500, body=b"the simulator has a mistake"), request)

    def _answer(self, request: Request) -> Answer:
        with self.simulator.world.lock:
            return self.simulator.answer(request)

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = _serve  # noqa: N815  http.server's names

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  http.server's name
        """Nothing: ``Server.requests`` tells."""

    def _read(self) -> Request:
        parts = urlsplit(self.path)
        return Request(
            method=self.command,
            target=self.path,
            path=unquote(parts.path),
            query=parse_qs(parts.query, keep_blank_values=True),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self._body(),
        )

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            length = int(self.headers.get("Content-Length", 0))
            return self.rfile.read(length) if length else b""
        # Clients that stream don't say a length beforehand.
        parts = []
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass  # trailers
        return b"".join(parts)

    def _suffer(self, fault: Fault, request: Request) -> None:
        if fault.kind is FaultKind.SLOW:
            time.sleep(SLOW_SECONDS)
        with self.simulator.world.lock:
            answer = None if fault.kind is FaultKind.RESET else self.simulator.spoil(fault, request)
        if answer is None or fault.kind is FaultKind.LOST_ANSWER:
            self._reset()
        elif fault.kind is FaultKind.CUT:
            self._send(answer, request, cut=True)
        else:
            self._send(answer, request)

    def _send(self, answer: Answer, request: Request, *, cut: bool = False) -> None:
        if "Date" in answer.headers:  # a simulator's own time
            self.send_response_only(answer.status)
        else:
            self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if "Content-Length" not in answer.headers and answer.status != 304:
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if request.method != "HEAD":
            self.wfile.write(answer.body[: len(answer.body) // 2] if cut else answer.body)
        self.wfile.flush()
        self.close_connection = self.close_connection or cut

    def _reset(self) -> None:
        """Close so that the other side gets an RST, not an end."""
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.close()
