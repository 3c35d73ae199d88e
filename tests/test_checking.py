"""A look at registries and sources: all that is found is told, and nothing is changed or kept."""

from __future__ import annotations

from pathlib import Path

import msgspec

from janitor.checking import Checked, check_online
from janitor.kinds import kinds
from janitor.policyfile import load
from janitor.providers.interface import Level
from janitor.settings import Stop
from tests.simulators.oci import DISTRIBUTION_2, OciServer
from tests.simulators.world import World

POLICY = """\
version: 1
registries:
  local: {{provider: oci, endpoint: "{address}"}}
  hidden: {{provider: oci, endpoint: "{hidden}"}}
protect:
  in_use:
    - file: in-use.txt
    - file: empty.txt
    - file: missing.txt
policies:
  - name: cleanup
    registries: "*"
    repositories: "**"
    rules:
      - delete: {{tags: ["pr-*"], not_pulled_for: 90d}}
      - delete: {{untagged: true, registries: [hidden], older_than: 9d}}
"""


def check(folder: Path) -> dict[str, Checked]:
    world = World()
    world.push("team/app", tags=["1"])
    (folder / "in-use.txt").write_text("r.example/team/app:1\n")
    (folder / "empty.txt").write_text("# nothing\n")
    without_catalogue = msgspec.structs.replace(DISTRIBUTION_2, catalogue=False)
    with OciServer(world) as server, OciServer(world, without_catalogue) as hidden:
        policy = folder / "policy.yaml"
        policy.write_text(POLICY.format(address=server.address, hidden=hidden.address))
        policies = load([policy], {}, kinds())
        return {each.name: each for each in check_online(policies, {"HOME": str(folder)}, 2, Stop())}


def levels(checked: Checked) -> list[tuple[str, Level]]:
    return [(finding.about, finding.level) for finding in checked.findings]


def test_each_registry_and_source_is_looked_at_though_another_can_not_be(tmp_path: Path) -> None:
    found = check(tmp_path)
    assert ("reading", Level.OK) in levels(found["local"])
    assert ("reading", Level.ERROR) in levels(found["hidden"])
    sources = [each for each in found.values() if each.what == "in use"]
    assert [levels(each) for each in sources] == [
        [("reading", Level.OK)],
        [("reading", Level.ERROR)],
        [("reading", Level.ERROR)],
    ]


def test_rules_that_ask_what_a_registry_can_not_do_are_told_with_their_place(tmp_path: Path) -> None:
    found = check(tmp_path)
    (told,) = [each for each in found["local"].findings if each.about == "rules"]
    assert told.level is Level.WARNING
    assert "policy.yaml:15: cleanup/1: not_pulled_for deletes nothing at local (oci)" in told.message
    assert len([each for each in found["hidden"].findings if each.about == "rules"]) == 2
