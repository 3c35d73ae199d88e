"""What is answered over HTTP, to whom, and what isn't."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from janitor.core.policy import Schedule, Where
from janitor.errors import UsageError
from janitor.reports import jsonlreport
from janitor.serve.board import Board, Running, Standing
from janitor.serve.history import Entry, History
from janitor.serve.schedules import Planned
from janitor.serve.trigger import Cron
from janitor.serve.web import Web, hosts_of, serving
from tests.instant import NOW
from tests.journeys.inprocess import Clock
from tests.reports.ledger import outcome, report, repository

EVIL = '"><script>alert(1)</script>'
RUN = "20260531T031500Z-abcdef"
FAILED = "20260531T041500Z-abcdef"


class Site:
    """A page over a folder with two runs, of which one has a report."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = Clock()
        schedule = Schedule(cron="15 3 * * *", repositories=(EVIL,), where=Where(file="p.yaml", line=1))
        planned = Planned(name=f"nightly {EVIL}", schedule=schedule, cron=Cron("15 3 * * *", "UTC"))
        self.board = Board(
            Standing(delete=True, files=(EVIL,), schedules=(planned,), loaded_at=NOW, beat=NOW)
        )
        self.history = History(folder)
        started = NOW - timedelta(hours=20)
        self.history.write(Entry(run_id=RUN, mode="delete", started_at=started, schedule=planned.name))
        shown = report(repository(EVIL, planned=1), run_id=RUN, started_at=started)
        lines = jsonlreport.render(shown, [outcome(EVIL, repository=EVIL, reason=EVIL)])
        (folder / "runs" / RUN / "report.jsonl").write_text("".join(lines))
        self.history.write(
            Entry(
                run_id=FAILED,
                mode="delete",
                started_at=started + timedelta(hours=1),
                finished_at=started + timedelta(hours=1),
                exit_code=1,
                error=EVIL,
            )
        )
        self.web = Web(self.board, self.history, self.clock, hosts_of("127.0.0.1"))

    def ask(self, path: str, method: str = "GET", host: str = "localhost") -> tuple[int, dict[str, str], str]:
        """Ask the application itself, as a server of WSGI would."""
        told: list[Any] = []
        environ = {"REQUEST_METHOD": method, "PATH_INFO": path, "HTTP_HOST": host}
        body = b"".join(self.web(environ, lambda status, headers: told.extend((status, headers))))
        return int(told[0][:3]), dict(told[1]), body.decode()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
def address(site: Site) -> Iterator[tuple[str, int]]:
    with serving(site.web, "127.0.0.1", 0) as bound:
        yield bound


PAGES = ("/", f"/runs/{RUN}", f"/runs/{FAILED}", "/nothing")
EVERYTHING = (*PAGES, "/api/runs", f"/api/runs/{RUN}", "/healthz", "/readyz", "/metrics")


@pytest.mark.parametrize("path", PAGES)
def test_pages_escape_what_comes_from_outside_and_allow_no_script(site: Site, path: str) -> None:
    _, headers, text = site.ask(path)
    assert "<script" not in text
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "script" not in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy


@pytest.mark.parametrize("path", EVERYTHING)
def test_every_answer_is_guarded(site: Site, path: str) -> None:
    _, headers, _ = site.ask(path)
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", EVERYTHING)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "get"])
def test_nothing_but_get_and_head_is_answered(site: Site, path: str, method: str) -> None:
    status, headers, _ = site.ask(path, method)
    assert (status, headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("path", EVERYTHING)
def test_head_is_get_without_the_body(site: Site, path: str) -> None:
    status, headers, body = site.ask(path, "HEAD")
    asked = site.ask(path)
    assert (status, headers, body) == (*asked[:2], "")
    assert int(headers["Content-Length"]) == len(asked[2].encode())


@pytest.mark.parametrize(
    "path",
    [
        "/runs/",
        "/runs/..",
        "/runs/../lock",
        "/runs/..%2f..%2fetc%2fpasswd",
        f"/runs/{RUN}/report.jsonl",
        f"/runs/{RUN}/../{FAILED}",
        f"/api/runs/{RUN}/",
        "/runs/20260531T031500Z-000000",
        "/api/runs/x",
        "//runs/x",
        "/%00",
        "/r\xfcns",
        "/static/x",
    ],
)
def test_whatever_is_no_run_is_not_there(site: Site, path: str) -> None:
    assert site.ask(path)[0] == 404


def test_runs_are_told_as_json(site: Site) -> None:
    runs = json.loads(site.ask("/api/runs")[2])["runs"]
    assert [run["run_id"] for run in runs] == [FAILED, RUN]
    assert runs[0]["error"] == EVIL
    one = json.loads(site.ask(f"/api/runs/{RUN}")[2])
    assert one["run"]["run_id"] == one["report"]["run_id"] == RUN
    assert json.loads(site.ask(f"/api/runs/{FAILED}")[2])["report"] is None


def test_a_report_that_was_cut_is_told_and_breaks_no_page(site: Site) -> None:
    path = site.folder / "runs" / RUN / "report.jsonl"
    path.write_bytes(path.read_bytes()[:-10])
    assert site.ask("/")[0] == 200
    status, _, text = site.ask(f"/runs/{RUN}")
    assert (status, "cut off" in text) == (200, True)
    assert "cut off" in json.loads(site.ask(f"/api/runs/{RUN}")[2])["run"]["error"]


def test_it_is_healthy_while_it_comes_round_or_runs_something(site: Site) -> None:
    assert site.ask("/healthz")[0] == 200
    site.clock.advance(minutes=3)
    assert site.ask("/healthz")[0] == 503
    site.board.show(running=Running(run_id=RUN, schedule="x", started_at=NOW))
    site.clock.advance(hours=10)
    assert site.ask("/healthz")[0] == 200


def test_it_is_ready_until_it_is_stopped(site: Site) -> None:
    assert site.ask("/readyz")[0] == 200
    site.board.show(stopping=True)
    assert site.ask("/readyz")[0] == 503


def test_what_runs_is_shown_with_how_far_it_is(site: Site) -> None:
    running = Running(run_id=FAILED, schedule="x", started_at=NOW, stage="deleting: 3 of 9 repositories")
    site.board.show(running=running, waiting=("y",))
    text = site.ask("/")[2]
    assert "deleting: 3 of 9 repositories; 1 schedule due after it" in text
    assert "under way" in text


def test_on_loopback_only_names_of_this_machine_are_answered(site: Site) -> None:
    """A page of evil.example whose name was made to lead to 127.0.0.1 must read nothing."""
    for host in ("localhost", "localhost:8080", "127.0.0.1:8080", "[::1]:8080", "LOCALHOST"):
        assert site.ask("/", host=host)[0] == 200, host
    for host in ("evil.example", "evil.example:8080", "127.0.0.1.evil.example", "[::2]:80", "localhost.evil"):
        status, _, text = site.ask("/", host=host)
        assert (status, RUN in text) == (421, False), host


def test_elsewhere_any_name_is_answered() -> None:
    assert hosts_of("0.0.0.0") is None  # noqa: S104  nobody listens
    assert hosts_of("10.0.0.7") is None
    assert hosts_of("::1") == hosts_of("127.0.0.1")


# --- the server -------------------------------------------------------------------------------------------


def test_it_is_served(address: tuple[str, int]) -> None:
    connection = http.client.HTTPConnection(*address, timeout=10)
    for path in EVERYTHING[:3]:
        connection.request("GET", path)
        response = connection.getresponse()
        assert response.status == 200
        assert response.getheader("Server") is None
        assert b"</html>" in response.read()
    connection.close()


def test_slow_clients_hold_nobody_up(address: tuple[str, int]) -> None:
    """More of them than there are threads: each has sent half a request."""
    slow = [socket.create_connection(address, timeout=10) for _ in range(20)]
    for each in slow:
        each.sendall(b"GET / HTTP/1.1\r\nHost: local")
    connection = http.client.HTTPConnection(*address, timeout=10)
    connection.request("GET", "/healthz")
    assert connection.getresponse().status == 200
    connection.close()
    for each in slow:
        each.close()


def test_a_request_that_is_too_large_is_refused(address: tuple[str, int]) -> None:
    connection = http.client.HTTPConnection(*address, timeout=10)
    connection.request("GET", "/", headers={"X": "x" * 20_000})
    assert connection.getresponse().status == 431
    connection.close()
    connection.request("POST", "/", body=b"x" * 10_000)
    assert connection.getresponse().status == 413
    connection.close()


def test_it_ends_when_it_is_left(site: Site) -> None:
    with serving(site.web, "127.0.0.1", 0) as bound:
        pass
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(bound, timeout=5)
    assert "web" not in {thread.name for thread in threading.enumerate()}


def test_an_address_that_is_taken_is_an_error_that_names_it(site: Site, address: tuple[str, int]) -> None:
    host, port = address
    with (
        pytest.raises(UsageError, match=f"--listen 127.0.0.1:{port}: .*in use"),
        serving(site.web, host, port),
    ):
        pass
