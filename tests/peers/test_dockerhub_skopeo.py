"""The simulated registry of Docker Hub is one to the real skopeo, too."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest

from tests.simulators.dockerhub import SECRET, USER, DockerHub, serving
from tests.simulators.world import ARM64, World

pytestmark = pytest.mark.peer("skopeo")


@pytest.fixture
def world() -> World:
    world = World()
    children = [world.push("app"), world.push("app", platform=ARM64)]
    world.push_index("app", children=children, tags=["1.0"])
    return world


@pytest.fixture
def hub(world: World) -> Iterator[DockerHub]:
    with serving(world) as server:
        yield server


def skopeo(
    hub: DockerHub, *command: str, creds: str = f"{USER}:{SECRET}"
) -> subprocess.CompletedProcess[str]:
    host = hub.registry_address.removeprefix("http://")
    line = [
        "skopeo",
        command[0],
        "--tls-verify=false",
        "--creds",
        creds,
        f"docker://{host}/acme/{command[1]}",
    ]
    return subprocess.run([*line, *command[2:]], check=False, capture_output=True, text=True, timeout=60)


def test_it_reads_tags_and_manifests(hub: DockerHub, world: World) -> None:
    listed = skopeo(hub, "list-tags", "app")
    assert json.loads(listed.stdout)["Tags"] == ["1.0"]
    told = skopeo(hub, "inspect", "app:1.0")
    assert json.loads(told.stdout)["Digest"] == world["app"].tags["1.0"]


def test_it_is_told_when_its_password_is_wrong(hub: DockerHub) -> None:
    assert "unauthorized" in skopeo(hub, "inspect", "app:1.0", creds=f"{USER}:wrong").stderr


def test_it_can_not_delete_what_a_tag_names(hub: DockerHub, world: World) -> None:
    assert "referenced" in skopeo(hub, "delete", "app:1.0").stderr
    assert "1.0" in world["app"].tags
