from __future__ import annotations

from pathlib import Path

import msgspec

from tests.cli.house import janitor
from tests.simulators.oci import DISTRIBUTION_2, OciServer
from tests.simulators.world import World

POLICY = """\
version: 1
registries: {{local: {{provider: oci, endpoint: "{address}"}}}}
policies:
  - name: cleanup
    registries: local
    repositories: "**"
    rules: [{{delete: {{tags: ["pr-*"], not_pulled_for: 90d}}}}]
"""


def write(folder: Path, address: str) -> str:
    path = folder / "policy.yaml"
    path.write_text(POLICY.format(address=address))
    return str(path)


def test_what_is_found_is_told_and_odd_things_fail_only_when_asked(tmp_path: Path) -> None:
    world = World()
    world.push("team/app", tags=["1"])
    with OciServer(world) as server:
        policy = write(tmp_path, server.address)
        found = janitor("check", "--online", policy)
        strict = janitor("check", "--online", "--strict", policy)
    assert (found.returncode, strict.returncode) == (0, 1)
    lines = found.stdout.splitlines()
    assert "local (oci)" in lines
    assert any(line.split()[:2] == ["ok", "reading:"] for line in lines)
    assert any(line.split()[0] == "warning" and "no pulls are recorded" in line for line in lines if line)


def test_a_registry_that_can_not_be_read_is_exit_code_1(tmp_path: Path) -> None:
    without_catalogue = msgspec.structs.replace(DISTRIBUTION_2, catalogue=False)
    with OciServer(World(), without_catalogue) as server:
        found = janitor("check", "--online", write(tmp_path, server.address))
    assert found.returncode == 1
    assert "error" in found.stdout
    assert server.host in found.stdout
