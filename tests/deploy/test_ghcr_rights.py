"""What the files grant is exactly what the provider uses: no scope too few, none too many."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import yaml

from janitor.core.report import OutcomeKind
from janitor.providers.interface import Field, Level
from tests.providers.ghcrs import listing, opened, units
from tests.simulators.ghcr import CLASSIC, Ghcr, Token
from tests.simulators.world import World

IAM = Path(__file__).parents[2] / "deploy" / "iam"


def granted(name: str) -> Token:
    """A token with exactly the scopes that a file has."""
    document = yaml.safe_load((IAM / f"ghcr-{name}.yaml").read_text())
    scopes = frozenset(document["classic_token"]["scopes"])
    admin = document["role_on_package"] == "Admin"
    return msgspec.structs.replace(CLASSIC, scopes=scopes, admin=admin)


def world() -> World:
    made = World()
    children = [made.push("a"), made.push("a")]
    made.push_index("a", children=children, tags=["1"])
    made.push("a", tags=["2"])
    return made


def test_looking_takes_what_its_file_grants() -> None:
    token = granted("look")
    with Ghcr(world(), token=token) as server:
        registry = opened(server)
        assert units(registry) == ["a"]
        images = listing(registry, wanted=frozenset(Field))
        registry.tags_now("a", list(images.values()))
        registry.keepsakes("a", list(images.values()))
        found = list(registry.check())
        assert server.api.used == set(token.scopes or ())
    assert {each.about for each in found if each.level is Level.ERROR} == {"deleting"}


def test_deleting_takes_what_its_file_grants() -> None:
    token = granted("delete")
    with Ghcr(world(), token=token) as server:
        registry = opened(server)
        images = listing(registry)
        index = next(image for image in images.values() if "1" in image.tags)
        results = registry.delete("a", [index, *(images[child] for child in index.children or ())])
        assert {result.outcome for result in results} == {OutcomeKind.DELETED}
        assert not [each for each in registry.check() if each.level is Level.ERROR]
        assert server.api.used == set(token.scopes or ())


def test_undo_takes_what_its_file_grants() -> None:
    token = granted("undo")
    with Ghcr(world(), token=granted("delete")) as server:
        registry = opened(server)
        image = next(image for image in listing(registry).values() if "1" in image.tags)
        kept = registry.keepsakes("a", [image])
        list(registry.delete("a", [image]))
        server.api.used.clear()
        server.become(token)
        (result,) = opened(server).restore("a", list(kept.values()))
        assert result.outcome is OutcomeKind.RESTORED
        assert server.api.used == set(token.scopes or ())


@pytest.mark.parametrize("name", ["look", "delete", "undo"])
def test_a_workflow_gets_the_permission_that_the_scopes_stand_for(name: str) -> None:
    document = yaml.safe_load((IAM / f"ghcr-{name}.yaml").read_text())
    reads = set(document["classic_token"]["scopes"]) == {"read:packages"}
    assert document["workflow"]["permissions"] == {"packages": "read" if reads else "write"}
    assert document["role_on_package"] == ("Read" if reads else "Admin")
