"""The roles under ``deploy/iam`` give what the provider uses at Azure, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from janitor.core.report import OutcomeKind
from janitor.providers.acr.registry import Acr
from janitor.providers.interface import Level
from tests.providers.azure import ALL_FIELDS, EVERYTHING, deleted, image, opened
from tests.simulators.acr import AcrFlavour, AcrServer
from tests.simulators.acr_access import AcrAccess
from tests.simulators.world import World

IAM = Path(__file__).parents[2] / "deploy" / "iam"
_PREFIX = "Microsoft.ContainerRegistry/registries/"

# What Azure's permissions are at the registry itself, where rights are given by registry …
BY_REGISTRY: Mapping[str, frozenset[str]] = {
    "pull/read": frozenset({"catalog", "metadata_read", "pull"}),
    "artifacts/delete": frozenset({"delete"}),
    "deleted/read": frozenset({"deleted_catalog", "deleted_read"}),
    "deleted/restore/action": frozenset({"deleted_restore"}),
}
# … and where they are given by repository.
BY_REPOSITORY: Mapping[str, frozenset[str]] = {
    "catalog/read": frozenset({"catalog"}),
    "repositories/content/read": frozenset({"pull"}),
    "repositories/metadata/read": frozenset({"metadata_read"}),
    "repositories/content/delete": frozenset({"delete"}),
    "repositories/metadata/delete": frozenset({"delete"}),
}
CATALOGUES = frozenset({"catalog", "deleted_catalog"})
MODES = [pytest.param(False, id="by-registry"), pytest.param(True, id="by-repository")]


def granted(*roles: str, by_repository: bool) -> frozenset[str]:
    """What the roles give at the registry, in either of its ways."""
    key, table = ("DataActions", BY_REPOSITORY) if by_repository else ("Actions", BY_REGISTRY)
    permissions = [
        permission.removeprefix(_PREFIX)
        for role in roles
        for permission in json.loads((IAM / f"{role}.json").read_text())[key]
    ]
    return frozenset().union(*(table[permission] for permission in permissions))


def used_by(work: Callable[[Acr, World], None], rights: frozenset[str], *, by_repository: bool) -> set[str]:
    """What was used of these rights by some work on a small registry."""
    world = World()
    child = world.push("a")
    world.push_index("a", children=[child], tags=["1", "more"])
    world.refer("a", world.push("a", tags=["2"], labels={"team": "x"}))
    access = AcrAccess(actions=rights - CATALOGUES, catalogues=rights & CATALOGUES, abac=by_repository)
    with AcrServer(world, AcrFlavour(name="narrow", soft_delete=True, access=access)) as server:
        registry = opened(server)
        work(registry, world)
        registry.close()
        return server.guard.used


def look(registry: Acr, world: World) -> None:
    for unit in registry.units(EVERYTHING):
        for listing in registry.list(unit, ALL_FIELDS):
            assert len(listing.images) == len(world[listing.repository].manifests)
            registry.tags_now(listing.repository, listing.images)
    assert {finding.level for finding in registry.check()} <= {Level.OK, Level.NOTE, Level.WARNING}


def delete(registry: Acr, world: World) -> None:
    look(registry, world)
    found = image(registry, world["a"].tags["1"])
    registry.keepsakes("a", [found])
    assert registry.untag("a", found, ["more"]).outcome is OutcomeKind.UNTAGGED
    (result,) = deleted(registry, image(registry, world["a"].tags["1"])).values()
    assert result.outcome is OutcomeKind.DELETED


def undo(registry: Acr, world: World) -> None:
    found = image(registry, world["a"].tags["1"])
    keepsakes = registry.keepsakes("a", [found])
    delete(registry, world)
    (result,) = registry.restore("a", list(keepsakes.values()))
    assert result.outcome is OutcomeKind.RESTORED


@pytest.mark.parametrize("by_repository", MODES)
def test_looking_uses_what_its_role_gives(by_repository: bool) -> None:  # noqa: FBT001 - pytest's
    rights = granted("acr-look", by_repository=by_repository)
    assert used_by(look, rights, by_repository=by_repository) == rights


@pytest.mark.parametrize("by_repository", MODES)
def test_deleting_uses_what_its_roles_give(by_repository: bool) -> None:  # noqa: FBT001 - pytest's
    rights = granted("acr-look", "acr-delete", by_repository=by_repository)
    assert used_by(delete, rights, by_repository=by_repository) == rights


def test_undo_uses_what_its_roles_give() -> None:
    """What is said of soft delete's permissions is said of registries that give rights by registry."""
    rights = granted("acr-look", "acr-delete", "acr-undo", by_repository=False)
    assert used_by(undo, rights, by_repository=False) == rights


@pytest.mark.parametrize("role", ["acr-look", "acr-delete", "acr-undo"])
def test_a_role_is_one_that_azure_takes(role: str) -> None:
    definition = json.loads((IAM / f"{role}.json").read_text())
    assert set(definition) == {
        "Name",
        "IsCustom",
        "Description",
        "Actions",
        "NotActions",
        "DataActions",
        "NotDataActions",
        "AssignableScopes",
    }
    assert all(each.startswith(_PREFIX) for each in definition["Actions"] + definition["DataActions"])
    assert not any("*" in each for each in definition["Actions"] + definition["DataActions"])
