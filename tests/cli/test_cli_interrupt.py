from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.cli.sample import POLICY, write_policy


class SlowRegistry(ThreadingHTTPServer):
    """Answers the question for its repositories when it is let to."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked = threading.Event()
        self.let = threading.Event()


class _Handler(BaseHTTPRequestHandler):
    server: SlowRegistry

    def do_GET(self) -> None:
        if "_catalog" in self.path:
            self.server.asked.set()
            self.server.let.wait(30)
        body = b'{"repositories": ["services/api"]}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@contextmanager
def slow_registry() -> Iterator[SlowRegistry]:
    with SlowRegistry() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.let.set()
            server.shutdown()
            thread.join()


@contextmanager
def running(server: SlowRegistry, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A run that waits for the registry."""
    address = f'{{provider: oci, endpoint: "http://127.0.0.1:{server.server_port}"}}'
    policy = write_policy(folder, POLICY.replace("{provider: inventory, path: inventory.jsonl}", address))
    command = [sys.executable, "-m", "janitor", "run", policy, "--report", str(folder / "out.json")]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ
    ) as process:
        try:
            assert server.asked.wait(30)
            yield process
        finally:
            process.kill()


def read_until(process: subprocess.Popen[str], word: str) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if word in line:
            return
    pytest.fail(f"it never said {word}")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_asked_to_stop_writes_its_report(number: signal.Signals, tmp_path: Path) -> None:
    with slow_registry() as server, running(server, tmp_path) as process:
        process.send_signal(number)
        read_until(process, "stopping after")
        server.let.set()
        shown, _ = process.communicate(timeout=30)
        assert process.returncode == 128 + number
    assert "interrupted" in shown
    assert json.loads((tmp_path / "out.json").read_text())["exit_code"] == 128 + number


def test_a_second_signal_is_not_waited_for(tmp_path: Path) -> None:
    with slow_registry() as server, running(server, tmp_path) as process:
        process.send_signal(signal.SIGINT)
        read_until(process, "stopping after")
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=10)
        assert process.returncode == 128 + signal.SIGTERM
        assert "Traceback" not in said
    assert not (tmp_path / "out.json").exists()
