"""What every test stands on: one fixed now, a home of its own, no network but loopback.

Tests of real programs carry ``@pytest.mark.peer("skopeo")``. Where such a program isn't installed they are
skipped, and the last line of the run names it; with ``JANITOR_REQUIRE_PEERS=1`` they fail instead.
"""

from __future__ import annotations

import ipaddress
import os
import shutil
import socket
import uuid
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.instant import NOW

settings.register_profile("dev", max_examples=50, deadline=None)
settings.register_profile("ci", max_examples=500, deadline=None)
settings.register_profile("long", max_examples=5000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

# What would let the machine's own accounts, proxies or options into a test.
_FOREIGN = ("AWS_", "AZURE_", "GOOGLE_", "KUBE", "JANITOR_", "DOCKERHUB_", "GITHUB_", "REGISTRY_AUTH_FILE")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("homes")


@pytest.fixture(autouse=True)
def home(homes: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of this test alone: state, docker's and podman's credentials would lie below it."""
    for name in list(os.environ):
        if name.startswith(_FOREIGN) or name.upper() in _PROXIES:
            monkeypatch.delenv(name)
    home = homes / uuid.uuid4().hex
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(home / "run"))
    monkeypatch.setenv("DOCKER_CONFIG", str(home / "docker"))
    return home


@pytest.fixture(autouse=True, scope="session")
def loopback_only() -> Iterator[None]:
    """No test reaches out: names resolve to nothing, and a connection to elsewhere fails the test."""
    connect, connect_ex, resolve = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def connect_here(self: socket.socket, address: Any) -> None:
        _refuse_elsewhere(self, address)
        connect(self, address)

    def connect_ex_here(self: socket.socket, address: Any) -> int:
        _refuse_elsewhere(self, address)
        return connect_ex(self, address)

    def resolve_here(host: Any, *args: Any, **kwargs: Any) -> Any:
        if host is None or _is_here(host):
            return resolve(host, *args, **kwargs)
        raise socket.gaierror(socket.EAI_NONAME, f"tests resolve no name but localhost: {host}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", connect_here)
        patch.setattr(socket.socket, "connect_ex", connect_ex_here)
        patch.setattr(socket, "getaddrinfo", resolve_here)
        yield


def _refuse_elsewhere(connection: socket.socket, address: Any) -> None:
    if connection.family == socket.AF_UNIX or _is_here(address[0]):
        return
    # Not an Exception, so that no "except Exception" of the code under test hides it.
    pytest.fail(f"a test tried to reach {address}")


def _is_here(host: Any) -> bool:
    name = host.decode() if isinstance(host, bytes) else str(host)
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


_required = pytest.StashKey[bool]()
_peers = pytest.StashKey[set[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_required] = os.environ.get("JANITOR_REQUIRE_PEERS") == "1"
    config.stash[_peers] = set()


def pytest_runtest_setup(item: pytest.Item) -> None:
    missing = sorted(name for name in _peers_of(item) if shutil.which(name) is None)
    if not missing:
        return
    reason = f"not installed: {', '.join(missing)}"
    if item.config.stash[_required]:
        pytest.fail(reason)
    pytest.skip(reason)


def pytest_collection_finish(session: pytest.Session) -> None:
    for item in session.items:
        session.config.stash[_peers].update(_peers_of(item))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Iterator[None]:
    """Say at the very end which real programs the run had; a worker of xdist tells its controller."""
    peers = session.config.stash[_peers]
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["peers"] = sorted(peers)
    yield
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    if terminal is not None and output is None and peers:
        terminal.write_line(_peers_line(peers))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    node.config.stash[_peers].update(getattr(node, "workeroutput", {}).get("peers", ()))


def _peers_of(item: pytest.Item) -> set[str]:
    return {name for marker in item.iter_markers("peer") for name in marker.args}


def _peers_line(peers: set[str]) -> str:
    missing = sorted(name for name in peers if shutil.which(name) is None)
    if missing:
        return f"peers missing: {', '.join(missing)} (make peers installs them)"
    return f"peers present: {', '.join(sorted(peers))}"
