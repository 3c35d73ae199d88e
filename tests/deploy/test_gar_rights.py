"""The roles for Artifact Registry grant what the janitor asks, and nothing else."""

from __future__ import annotations

from pathlib import Path

import yaml

from janitor.core.report import OutcomeKind
from janitor.providers.gar.checking import DELETING, LOOKING
from janitor.providers.gar.registry import Gar
from janitor.providers.interface import Field
from tests.providers.gars import images, listed, opened
from tests.simulators.gar import GarServer
from tests.simulators.world import World

IAM = Path(__file__).parents[2] / "deploy" / "iam"
APP = "all/app"


def granted(name: str) -> frozenset[str]:
    return frozenset(yaml.safe_load((IAM / f"gar-{name}.yaml").read_text())["includedPermissions"])


def world() -> World:
    """Something of everything that asks for a right of its own."""
    world = World()
    child = world.push(APP, tags=["child"])
    index = world.push_index(APP, children=[child], tags=["1"])
    world.refer(APP, index)
    world.push(APP, tags=[f"t{n}" for n in range(120)])
    for _ in range(3):
        world.push(APP)
    return world


def look(made: Gar) -> None:
    assert list(listed(made, frozenset(Field))) == [APP]
    list(made.check())


def test_looking_and_checking_ask_for_the_rights_of_its_role_and_no_others() -> None:
    with GarServer(world()) as server, opened(server) as made:
        server.rights = granted("look")
        look(made)
        assert server.used == server.rights


def test_deleting_and_untagging_ask_for_the_rights_of_its_role_and_no_others() -> None:
    truth = world()
    with GarServer(truth) as server, opened(server) as made:
        server.rights = granted("delete")
        look(made)
        everything = listed(made)[APP]
        made.tags_now(APP, everything)
        (many,) = (image for image in everything if len(image.tags) == 120)
        assert made.untag(APP, many, ["t0"]).outcome is OutcomeKind.UNTAGGED
        # A child that its index holds is refused, and gets back its tag.
        (refused,) = made.delete(APP, images(made, APP, truth[APP].tags["child"]))
        assert refused.outcome is OutcomeKind.REFUSED
        results = list(made.delete(APP, listed(made)[APP]))
        assert {result.outcome for result in results} == {OutcomeKind.DELETED}
        assert server.used == server.rights


def test_check_looks_for_what_the_roles_grant() -> None:
    assert granted("look") == set(LOOKING)
    assert granted("delete") == {*LOOKING, *DELETING}
