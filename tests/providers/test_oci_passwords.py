"""Credentials open the real registry, from wherever they come."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
import pytest

from janitor.core.pattern import PatternKind, PatternList
from janitor.errors import Denied
from janitor.providers import PROVIDERS
from janitor.providers.interface import Context, RepositoryFilter, Unit
from janitor.providers.keys import OciKeys
from tests.factories import registry_spec

pytestmark = pytest.mark.peer("docker-registry")

# pass:word, as bcrypt
PASSWORDS = "janitor:$2y$05$abcdefghijklmnopqrstuuDIEddBSuRWBBEY6g5zv60IAP5bSSfki\n"
EVERYTHING = RepositoryFilter(covered=(PatternList.of(["**"], PatternKind.REPOSITORY),))
ME = {"username": "janitor", "password": "pass:word"}


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The real registry behind a password; -> its host."""
    folder = tmp_path_factory.mktemp("registry")
    (folder / "htpasswd").write_text(PASSWORDS)
    settings = folder / "config.yml"
    settings.write_text(
        "version: 0.1\nlog: {level: info, accesslog: {disabled: true}}\n"
        f"storage: {{filesystem: {{rootdirectory: {folder / 'data'}}}}}\n"
        f"auth: {{htpasswd: {{realm: test, path: {folder / 'htpasswd'}}}}}\n"
        'http: {addr: "127.0.0.1:0", secret: test}\n'
    )
    command = ["docker-registry", "serve", str(settings)]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env={}
    ) as process:
        try:
            assert process.stderr is not None
            lines = iter(process.stderr.readline, "")
            found = next(filter(None, map(re.compile(r"listening on (127\.0\.0\.1:\d+)").search, lines)))
            threading.Thread(target=process.stderr.read, daemon=True).start()
            yield found[1]
        finally:
            process.kill()


def repositories(host: str, keys: Mapping[str, str], environ: Mapping[str, str]) -> list[Unit]:
    spec = registry_spec(keys=msgspec.convert({"endpoint": f"http://{host}", **keys}, OciKeys))
    return list(PROVIDERS["oci"].open(spec, Context(environ=environ)).units(EVERYTHING))


@pytest.mark.parametrize("keys", [ME, {"username": "janitor", "token": "pass:word"}])
def test_those_of_the_policy(registry: str, keys: Mapping[str, str]) -> None:
    assert repositories(registry, keys, {}) == []


def test_those_that_docker_keeps(registry: str, tmp_path: Path) -> None:
    auth = base64.b64encode(b"janitor:pass:word").decode()
    (tmp_path / "config.json").write_text(json.dumps({"auths": {registry: {"auth": auth}}}))
    assert repositories(registry, {}, {"DOCKER_CONFIG": str(tmp_path)}) == []


def test_those_of_a_helper_program(registry: str, tmp_path: Path) -> None:
    program = tmp_path / "docker-credential-test"
    program.write_text('#!/bin/sh\necho \'{"Username":"janitor","Secret":"pass:word"}\'\n')
    program.chmod(0o755)
    (tmp_path / "config.json").write_text('{"credsStore":"test"}')
    path = f"{tmp_path}:{os.environ['PATH']}"
    assert repositories(registry, {}, {"DOCKER_CONFIG": str(tmp_path), "PATH": path}) == []


@pytest.mark.parametrize("keys", [{}, {"username": "janitor", "password": "hunter2"}, {"token": "hunter2"}])
def test_no_others(registry: str, keys: Mapping[str, str]) -> None:
    with pytest.raises(Denied) as raised:
        repositories(registry, keys, {})
    assert "hunter2" not in str(raised.value)
    assert registry in str(raised.value)
