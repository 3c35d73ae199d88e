"""What the daemon tells over HTTP: pages, JSON, health and metrics. It is told nothing.

- GET and HEAD, and nothing else; no request changes anything, and there is nothing to log in to. By default
  it listens on loopback, and then answers only to names of this machine: a page of elsewhere whose name leads
  here (DNS rebinding) gets nothing.
- Each page allows its own style and no script, no form and no frame; names from registries are escaped.
- The ids of runs are matched, not joined: nothing outside the runs' folder can be named.
- A thread serves a whole request, of which there are so many at once; slow ones are read and written by one
  loop, and idle ones closed (waitress).
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, NamedTuple, cast

import msgspec
from waitress import wasyncore
from waitress.server import create_server

from janitor.core.report import Report
from janitor.errors import FileError, UsageError
from janitor.log import get_logger
from janitor.reports import html, jsonreport
from janitor.serve import metrics, page
from janitor.serve.board import Board
from janitor.serve.history import Entry, History

# Threads that serve requests, connections open at once, seconds until an idle one is closed.
_THREADS, _CONNECTIONS, _IDLE = 4, 100, 30
_HEADERS, _BODY = 16 * 2**10, 2**10  # bytes of a request: nobody has to send more
# A page is below two megabytes, a list of runs too: a thread hands either over and is free.
_PENDING = 64 * 2**20
# The daemon comes round every second but while it runs something.
_ASLEEP = timedelta(minutes=2)
# Seconds until the loop looks whether it is to end.
_POLL = 0.5

_HTML, _JSON, _TEXT = "text/html; charset=utf-8", "application/json", "text/plain; charset=utf-8"
_METRICS = "text/plain; version=0.0.4; charset=utf-8"
_SAFE = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cache-Control", "no-store"),
)
_NOTHING = "default-src 'none'; frame-ancestors 'none'"
_REPORT = f"{html.content_policy(html.STYLE)}; frame-ancestors 'none'"
_RUN = re.compile(r"/(api/)?runs/([0-9A-Za-z-]{1,40})")


class Answer(NamedTuple):
    """An answer. ``policy``: its Content-Security-Policy."""

    body: str | bytes
    kind: str = _TEXT
    status: HTTPStatus = HTTPStatus.OK
    policy: str = _NOTHING
    more: tuple[tuple[str, str], ...] = ()


class Web:
    """The application, as WSGI (PEP 3333) has it; ``hosts``: what it may be called, ``None`` for anything."""

    def __init__(
        self,
        board: Board,
        history: History,
        clock: Callable[[], datetime],
        hosts: frozenset[str] | None = None,
    ) -> None:
        self._board = board
        self._history = history
        self._clock = clock
        self._hosts = hosts
        self._last: Report | None = None
        self._pages: Mapping[str, Callable[[], Answer]] = {
            "/": self._overview,
            "/api/runs": self._runs,
            "/healthz": self._health,
            "/readyz": self._readiness,
            "/metrics": self._metrics,
        }

    def __call__(self, environ: Mapping[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request."""
        method = environ["REQUEST_METHOD"]
        try:
            answer = self._answer(method, environ["PATH_INFO"], environ.get("HTTP_HOST", ""))
        except Exception:  # noqa: BLE001  what went wrong is for the log, not for who asked
            get_logger().exception("web.failed", path=environ["PATH_INFO"])
            answer = Answer("something went wrong; the log says what\n", status=_STATUS.INTERNAL_SERVER_ERROR)
        body = answer.body.encode() if isinstance(answer.body, str) else answer.body
        headers = [
            ("Content-Type", answer.kind),
            ("Content-Length", str(len(body))),
            ("Content-Security-Policy", answer.policy),
            *_SAFE,
            *answer.more,
        ]
        start_response(f"{answer.status.value} {answer.status.phrase}", headers)
        return [] if method == "HEAD" else [body]

    def _answer(self, method: str, path: str, host: str) -> Answer:
        if self._hosts is not None and _name_of(host) not in self._hosts:
            return Answer(
                "this listens on loopback, and answers to names of this machine only\n",
                status=_STATUS.MISDIRECTED_REQUEST,
            )
        if method not in {"GET", "HEAD"}:
            allowed = (("Allow", "GET, HEAD"),)
            return Answer("GET and HEAD only\n", status=_STATUS.METHOD_NOT_ALLOWED, more=allowed)
        if path in self._pages:
            return self._pages[path]()
        found = _RUN.fullmatch(path)
        entry = self._history.entry(found[2]) if found else None
        if found is None or entry is None:
            return _missing(path)
        return self._run_as_json(entry) if found[1] else self._run(entry)

    # --- pages --------------------------------------------------------------------------------------------

    def _overview(self) -> Answer:
        text = page.overview(self._board.standing, self._history.entries(), self._clock())
        return Answer(text, _HTML, policy=page.POLICY)

    def _run(self, entry: Entry) -> Answer:
        try:
            file = self._history.report(entry.run_id)
            if file is not None:
                return Answer("".join(html.render(file.report, file.outcomes())), _HTML, policy=_REPORT)
        except FileError as error:
            entry = msgspec.structs.replace(entry, error=error.message)
        text = page.single(entry, self._board.standing.running)
        return Answer(text, _HTML, policy=page.POLICY)

    # --- JSON ---------------------------------------------------------------------------------------------

    def _runs(self) -> Answer:
        return _json({"version": 1, "runs": self._history.entries()})

    def _run_as_json(self, entry: Entry) -> Answer:
        try:
            file = self._history.report(entry.run_id)
        except FileError as error:
            return _json({"version": 1, "run": msgspec.structs.replace(entry, error=error.message)})
        if file is None:
            return _json({"version": 1, "run": entry, "report": None})
        report = msgspec.Raw("".join(jsonreport.render(file.report, ())).encode())
        return _json({"version": 1, "run": entry, "report": report})

    # --- for programs -------------------------------------------------------------------------------------

    def _health(self) -> Answer:
        standing = self._board.standing
        asleep = self._clock() - standing.beat
        if standing.running is None and asleep > _ASLEEP:
            return Answer(f"the daemon has not come round for {asleep}\n", status=_STATUS.SERVICE_UNAVAILABLE)
        return Answer("ok\n")

    def _readiness(self) -> Answer:
        if self._board.standing.stopping:
            return Answer("stopping\n", status=_STATUS.SERVICE_UNAVAILABLE)
        return Answer("ready\n")

    def _metrics(self) -> Answer:
        ended = [entry for entry in self._history.entries() if entry.totals is not None]
        successes: dict[str, datetime] = {}
        for entry in ended:
            if entry.exit_code == 0 and entry.finished_at is not None:
                successes.setdefault(entry.mode, entry.finished_at)
        report = self._last_report(ended)
        text = "".join(metrics.render(self._board.standing, report, successes, self._clock()))
        return Answer(text, _METRICS)

    def _last_report(self, ended: list[Entry]) -> Report | None:
        """Read the last report once, and not at each scrape: it may have a million lines."""
        last = self._last
        if ended and (last is None or last.run_id != ended[0].run_id):
            with contextlib.suppress(FileError):
                file = self._history.report(ended[0].run_id)
                last = self._last = None if file is None else file.report
        return last


_STATUS = HTTPStatus


@contextlib.contextmanager
def serving(application: Callable[..., Any], host: str, port: int) -> Iterator[tuple[str, int]]:
    """Serve from a thread of its own, and give the host and port; ``host`` is an IP address.

    Raises UsageError where nobody can listen there.
    """
    sockets: dict[int, Any] = {}
    try:
        server = create_server(
            application,
            map=sockets,
            host=host,
            port=port,
            threads=_THREADS,
            connection_limit=_CONNECTIONS,
            channel_timeout=_IDLE,
            cleanup_interval=_IDLE // 3,
            max_request_header_size=_HEADERS,
            max_request_body_size=_BODY,
            outbuf_high_watermark=_PENDING,
            ident="",
        )
    except OSError as error:
        wasyncore.close_all(sockets)
        told = os.strerror(error.errno) if error.errno else error
        raise UsageError(f"--listen {address_of(host, port)}: nobody can listen there: {told}") from error
    closing = threading.Event()

    def loop() -> None:
        while not closing.is_set():
            wasyncore.loop(timeout=_POLL, map=sockets, use_poll=True, count=1)
        wasyncore.close_all(sockets)

    thread = threading.Thread(target=loop, name="web", daemon=True)
    thread.start()
    try:
        yield host, int(cast("Any", server).effective_port)  # the stubs don't know it
    finally:
        closing.set()
        thread.join(2 * _POLL)
        server.task_dispatcher.shutdown()


def hosts_of(host: str) -> frozenset[str] | None:
    """What may stand as Host in requests to who listens there: on loopback names of this machine alone."""
    if not _is_loopback(host):
        return None
    # Who sends none (HTTP/1.0) is no browser.
    return frozenset({"", "localhost", "127.0.0.1", "::1", host})


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _name_of(host: str) -> str:
    """The name in a Host header, without its port and the brackets of an IPv6 address."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower()


def address_of(host: str, port: int) -> str:
    """Write an address as it stands in a URL."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _missing(path: str) -> Answer:
    if path.startswith("/api/"):
        return Answer(b'{"error":"there is nothing here"}\n', _JSON, _STATUS.NOT_FOUND)
    text = page.message("Nothing here", "There is no such page, or no such run any more.")
    return Answer(text, _HTML, _STATUS.NOT_FOUND, page.POLICY)


def _json(value: Any) -> Answer:
    return Answer(msgspec.json.encode(value) + b"\n", _JSON)
