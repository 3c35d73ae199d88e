"""Where credentials are found, and that no message shows one."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from janitor.errors import Denied
from janitor.net.dockerconfig import HUB_KEY, Credentials, DockerConfig
from tests.net.scripted import environ

HOST = "registry.example:5000"


def auth(user: str, password: str) -> str:
    return base64.b64encode(f"{user}:{password}".encode()).decode()


def write(path: Path, content: Mapping[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


SECRET = "secret"


def of(user: str, password: str = SECRET) -> Credentials:
    return Credentials(username=user, password=password)


def entry(user: str, password: str = SECRET) -> dict[str, str]:
    return {"auth": auth(user, password)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "docker"


def find(
    folder: Path, content: Mapping[str, Any], host: str = HOST, repository: str = ""
) -> Credentials | None:
    write(folder / "config.json", content)
    return DockerConfig({"DOCKER_CONFIG": str(folder)}).find(host, repository)


def helper(folder: Path, name: str, script: str) -> dict[str, str]:
    """Install a helper program; what stands on its input is written beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / f"docker-credential-{name}"
    program.write_text(f'#!/bin/sh\n[ "$1" = get ] || exit 9\ncat >> "{folder}/asked"\n{script}\n')
    program.chmod(0o755)
    path = environ()["PATH"]
    return {"DOCKER_CONFIG": str(folder), "PATH": f"{folder}:{path}"}


def gives(user: str, secret: str = SECRET) -> str:
    return f"""echo '{json.dumps({"ServerURL": "x", "Username": user, "Secret": secret})}'"""


def test_nothing_stored_is_nothing(tmp_path: Path) -> None:
    assert DockerConfig({}).find(HOST) is None
    assert DockerConfig({"HOME": str(tmp_path)}).find(HOST) is None


@pytest.mark.parametrize(
    "key", [HOST, f"https://{HOST}", f"http://{HOST}/", f"https://{HOST}/v1/", f"{HOST}/v2/"]
)
def test_a_key_may_be_written_in_several_ways(folder: Path, key: str) -> None:
    assert find(folder, {"auths": {key: entry("me", "a:b")}}) == of("me", "a:b")


@pytest.mark.parametrize("host", ["docker.io", "index.docker.io", "registry-1.docker.io"])
def test_docker_hub_has_a_key_of_its_own(folder: Path, host: str) -> None:
    assert find(folder, {"auths": {HUB_KEY: entry("me")}}, host) == of("me")


def test_another_port_is_another_registry(folder: Path) -> None:
    assert find(folder, {"auths": {"registry.example": entry("me")}}) is None


@pytest.mark.parametrize(
    ("stored", "found"),
    [
        ({"username": "me", "password": "secret"}, of("me")),
        ({"auth": auth("0000", ""), "identitytoken": "T"}, Credentials(username="0000", identity_token="T")),
        ({"registrytoken": "T"}, Credentials(registry_token="T")),
        ({"auth": auth("<token>", ""), "identitytoken": "T"}, Credentials(identity_token="T")),
        ({}, None),
        ({"auth": ""}, None),
        (None, None),
    ],
)
def test_an_entry_holds_a_password_or_a_token(
    folder: Path, stored: dict[str, str] | None, found: Credentials | None
) -> None:
    assert find(folder, {"auths": {HOST: stored}}) == found


def test_the_longest_namespace_counts(folder: Path) -> None:
    auths = {HOST: entry("all"), f"{HOST}/team": entry("team"), f"{HOST}/team/app": entry("app")}
    write(folder / "config.json", {"auths": auths})
    config = DockerConfig({"DOCKER_CONFIG": str(folder)})
    users = {
        name: config.find(HOST, name) for name in ("", "other", "team/x", "team/app", "team/app/y", "teams")
    }
    assert {name: found.username for name, found in users.items() if found} == {
        "": "all",
        "other": "all",
        "team/x": "team",
        "team/app": "app",
        "team/app/y": "app",
        "teams": "all",
    }


def test_files_come_in_their_order(tmp_path: Path) -> None:
    places = {
        "REGISTRY_AUTH_FILE": (tmp_path / "own.json", tmp_path / "own.json"),
        "DOCKER_CONFIG": (tmp_path / "docker", tmp_path / "docker/config.json"),
        "XDG_RUNTIME_DIR": (tmp_path / "run", tmp_path / "run/containers/auth.json"),
        "XDG_CONFIG_HOME": (tmp_path / "config", tmp_path / "config/containers/auth.json"),
    }
    for name, (_, file) in places.items():
        write(file, {"auths": {HOST: entry(name)}})
    environ = {name: str(path) for name, (path, _) in places.items()}
    for name in places:
        found = DockerConfig(environ).find(HOST)
        assert found is not None
        assert found.username == name
        places[name][1].unlink()
    assert DockerConfig(environ).find(HOST) is None


def test_the_home_holds_dockers_and_podmans_files(tmp_path: Path) -> None:
    write(tmp_path / ".docker/config.json", {"auths": {"a": entry("docker")}})
    write(tmp_path / ".config/containers/auth.json", {"auths": {"b": entry("podman")}})
    config = DockerConfig({"HOME": str(tmp_path)})
    assert (config.find("a"), config.find("b")) == (of("docker"), of("podman"))


def test_a_helper_of_the_host_comes_before_the_store_and_that_before_the_file(folder: Path) -> None:
    environ = helper(folder, "own", gives("own")) and helper(folder, "store", gives("store"))
    content = {
        "auths": {HOST: entry("file"), "b": entry("b")},
        "credHelpers": {HOST: "own"},
        "credsStore": "store",
    }
    write(folder / "config.json", content)
    config = DockerConfig(environ)
    assert (config.find(HOST), config.find("b")) == (of("own"), of("store"))
    assert (folder / "asked").read_text() == f"{HOST}b"


def test_a_helper_is_asked_once(folder: Path) -> None:
    environ = helper(folder, "own", gives("own"))
    write(folder / "config.json", {"credsStore": "own"})
    config = DockerConfig(environ)
    for name in ("", "a", "b"):
        assert config.find(HOST, name) == of("own")
    assert (folder / "asked").read_text() == HOST


def test_the_hub_is_asked_of_a_helper_by_its_old_key(folder: Path) -> None:
    environ = helper(folder, "own", gives("own"))
    write(folder / "config.json", {"credsStore": "own"})
    assert DockerConfig(environ).find("docker.io") == of("own")
    assert (folder / "asked").read_text() == HUB_KEY


def test_what_a_helper_has_not_the_file_may_have(folder: Path) -> None:
    environ = helper(folder, "own", "echo credentials not found in native keychain; exit 1")
    write(folder / "config.json", {"credsStore": "own", "auths": {HOST: entry("file")}})
    assert DockerConfig(environ).find(HOST) == of("file")
    assert DockerConfig(environ).find("other") is None


def test_a_helpers_token_user_means_an_identity_token(folder: Path) -> None:
    environ = helper(folder, "own", gives("<token>", "T"))
    write(folder / "config.json", {"credsStore": "own"})
    assert DockerConfig(environ).find(HOST) == Credentials(identity_token="T")


def denied(folder: Path, environ: Mapping[str, str]) -> str:
    write(folder / "config.json", {"credHelpers": {HOST: "own"}})
    with pytest.raises(Denied) as raised:
        DockerConfig(environ).find(HOST)
    assert "hunter2" not in str(raised.value)
    return str(raised.value)


def test_a_helper_that_is_not_installed_is_named(folder: Path) -> None:
    folder.mkdir()
    said = denied(folder, {"DOCKER_CONFIG": str(folder), "PATH": str(folder)})
    assert "docker-credential-own" in said
    assert "PATH" in said
    assert str(folder / "config.json") in said


@pytest.mark.parametrize(
    "script",
    [
        'echo "the keychain is locked"; exit 1',
        'echo \'{"Secret":"hunter2"}\'; exit 1',
        "echo hunter2",
        "exit 3",
    ],
)
def test_a_helper_that_fails_says_so_without_its_secrets(folder: Path, script: str) -> None:
    said = denied(folder, helper(folder, "own", script))
    assert "docker-credential-own" in said
    assert ("keychain is locked" in said) is ("keychain" in script)


def test_a_helper_that_can_not_be_started_says_so(folder: Path) -> None:
    environ = helper(folder, "own", "")
    (folder / "docker-credential-own").write_bytes(b"\x7fELF nonsense")
    assert "can't be started" in denied(folder, environ)


@pytest.mark.parametrize("name", ["../evil", "a b", "/bin/sh"])
def test_a_helpers_name_is_no_path(folder: Path, name: str) -> None:
    with pytest.raises(Denied):
        find(folder, {"credsStore": name})


@pytest.mark.parametrize("text", ["{", '{"auths": 1}', '{"auths":{"a":{"auth":5}}}', "\xff"])
def test_a_file_that_is_none_is_named_and_not_passed_over(folder: Path, text: str) -> None:
    folder.mkdir()
    (folder / "config.json").write_text(text, encoding="latin-1")
    with pytest.raises(Denied, match=r"config\.json"):
        DockerConfig({"DOCKER_CONFIG": str(folder)}).find("a")


def test_an_auth_that_is_no_base64_is_named_and_not_shown(folder: Path) -> None:
    with pytest.raises(Denied, match="not base64") as raised:
        find(folder, {"auths": {HOST: {"auth": "hunter2!"}}})
    assert "hunter2" not in str(raised.value)


def test_credentials_show_who_and_never_what() -> None:
    everything = Credentials(username="me", password="p1", identity_token="t1", registry_token="r1")
    assert (
        repr(everything) == "Credentials(username='me', has=['password', 'identity_token', 'registry_token'])"
    )
    assert {"p1", "t1", "r1"} < set(everything.secrets)
