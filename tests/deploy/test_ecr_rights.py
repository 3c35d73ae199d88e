"""The roles for ECR grant what the janitor asks, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from janitor.core.report import OutcomeKind
from janitor.providers.interface import Field, Keepsake
from tests.providers.ecrs import APP, Site, site
from tests.simulators.world import World

IAM = Path(__file__).parents[2] / "deploy" / "iam"
# Rights that a statement can't narrow to repositories.
OF_THE_REGISTRY = frozenset({"DescribeRegistry", "ListPullTimeUpdateExclusions"})


def statements(name: str) -> list[dict[str, object]]:
    document = json.loads((IAM / name).read_text())
    assert document["Version"] == "2012-10-17"
    return list(document["Statement"])


def granted(name: str) -> frozenset[str]:
    actions = [action for each in statements(name) for action in _texts(each["Action"])]
    assert len(set(actions)) == len(actions)
    assert all(action.startswith("ecr:") and "*" not in action for action in actions)
    return frozenset(action.removeprefix("ecr:") for action in actions)


def _texts(value: object) -> list[str]:
    assert isinstance(value, list)
    return [str(text) for text in value]


@pytest.fixture
def ecr() -> Iterator[Site]:
    world = World()
    plain = world.push(APP, tags=["1", "one"], labels={"a": "b"})
    world.push_index(APP, children=[plain], tags=["2"])
    world.push(APP, tags=["3"])
    with site(world) as made:
        yield made


def look(ecr: Site) -> None:
    ecr.listed(*Field)
    ecr.registry.tags_now(APP, list(ecr.listed().values()))


def change(ecr: Site) -> None:
    tags = ecr.world[APP].tags
    plain, index, other = ecr.images(*(tags[tag] for tag in ("1", "2", "3")))
    assert ecr.registry.untag(APP, plain, ["one"]).outcome is OutcomeKind.UNTAGGED
    assert [each.outcome for each in ecr.registry.archive(APP, [other])] == [OutcomeKind.ARCHIVED]
    kept = Keepsake(digest=other.digest, tags=other.tags)
    assert [each.outcome for each in ecr.registry.restore(APP, [kept])] == [OutcomeKind.RESTORED]
    assert {each.outcome for each in ecr.registry.delete(APP, [index, plain])} == {OutcomeKind.DELETED}


def test_looking_needs_what_the_role_for_it_grants(ecr: Site) -> None:
    look(ecr)
    asked = set(ecr.server.used)
    list(ecr.registry.check())
    tried = granted("ecr-delete.json")
    assert asked | (ecr.server.used - tried) == granted("ecr-look.json")


def test_changing_needs_what_the_role_for_it_grants_besides(ecr: Site) -> None:
    look(ecr)
    change(ecr)
    assert ecr.server.used - granted("ecr-look.json") == granted("ecr-delete.json")


def test_with_these_rights_alone_everything_is_done(ecr: Site) -> None:
    rights = granted("ecr-look.json") | granted("ecr-delete.json")
    ecr.server.denied.update(set(ecr.server.operations) - rights)
    look(ecr)
    change(ecr)
    assert all("missing" not in finding.message for finding in ecr.registry.check())


@pytest.mark.parametrize("name", ["ecr-look.json", "ecr-delete.json"])
def test_what_can_be_narrowed_to_repositories_is(name: str) -> None:
    for statement in statements(name):
        actions = {action.removeprefix("ecr:") for action in _texts(statement["Action"])}
        if actions.isdisjoint(OF_THE_REGISTRY):
            assert statement["Resource"] == "arn:aws:ecr:*:*:repository/*"
