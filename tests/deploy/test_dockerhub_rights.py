"""The tokens that ``deploy/iam`` makes for Docker Hub allow what the provider does, and nothing more."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from janitor.core.report import OutcomeKind
from janitor.providers.interface import Field
from tests.providers.hubs import EVERYTHING, staged
from tests.simulators.dockerhub import TEAM, Plan
from tests.simulators.world import World

FOLDER = Path(__file__).parents[2] / "deploy" / "iam"
# What each scope of a token includes; none allows deletion without the right to write.
SCOPES = {
    "repo:public_read": frozenset[str](),
    "repo:read": frozenset({"read"}),
    "repo:write": frozenset({"read", "write"}),
    "repo:admin": frozenset({"read", "write", "delete"}),
}


def granted(name: str) -> Plan:
    """An account with the token that this file makes."""
    scopes = json.loads((FOLDER / f"dockerhub-{name}.json").read_text())["scopes"]
    return msgspec.structs.replace(TEAM, rights=frozenset().union(*(SCOPES[scope] for scope in scopes)))


def world() -> World:
    world = World()
    world.push("app", tags=["1", "2"])
    index = world.push_index("app", children=[world.push("app")], tags=["3"], provenance=True)
    world.refer("app", index)
    return world


def test_looking_needs_the_rights_of_its_token_and_no_others() -> None:
    plan = granted("look")
    with staged(world(), plan) as stage:
        for unit in stage.registry.units(EVERYTHING):
            list(stage.registry.list(unit, frozenset(Field)))
        assert stage.server.used == plan.rights


def test_checking_asks_for_no_more_than_it_is_granted() -> None:
    with staged(world(), granted("look")) as stage:
        list(stage.registry.check())
        assert stage.server.used == {"read"}


def test_deleting_and_untagging_work_with_the_token_that_deletes() -> None:
    with staged(world(), granted("delete")) as stage:
        images = stage.images()
        (plain,) = (image for image in images.values() if len(image.tags) == 2)
        assert stage.registry.untag("app", plain, ["1"]).outcome is OutcomeKind.UNTAGGED
        results = stage.registry.delete("app", list(stage.images().values()))
        assert {result.outcome for result in results} == {OutcomeKind.DELETED}
        # Writing comes with it; Docker Hub gives the one only with the other.
        assert stage.server.used == {"read", "delete"}


@pytest.mark.parametrize("scope", ["repo:read", "repo:write"])
def test_no_smaller_token_deletes(scope: str) -> None:
    with staged(world(), msgspec.structs.replace(TEAM, rights=SCOPES[scope])) as stage:
        results = stage.registry.delete("app", list(stage.images().values()))
        assert {result.outcome for result in results} == {OutcomeKind.FAILED}
