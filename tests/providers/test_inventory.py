from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from janitor.core.pattern import PatternKind, PatternList
from janitor.errors import Malformed, Unreachable, Unsupported
from janitor.providers.interface import Context, RepositoryFilter
from janitor.providers.inventory import Inventory
from janitor.providers.keys import InventoryKeys
from tests.factories import digest, image, registry_spec


def only(*patterns: str) -> RepositoryFilter:
    return RepositoryFilter(covered=(PatternList.of(patterns or ("**",), PatternKind.REPOSITORY),))


def line(name: str, repository: str, registry: str = "prod") -> str:
    return json.dumps({"registry": registry, "repository": repository, "digest": digest(name)})


def open_inventory(path: Path, *lines: str, **spec: Any) -> Inventory:
    path.write_text("".join(f"{each}\n" for each in lines))
    described = registry_spec("prod", "inventory", InventoryKeys(path=str(path)), **spec)
    return Inventory.open(described, Context(environ={}))


def listed(registry: Inventory, wanted: RepositoryFilter) -> list[tuple[str, int]]:
    [unit] = registry.units(wanted)
    return [(each.repository, len(each.images)) for each in registry.list(unit, frozenset())]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "inventory.jsonl"


def test_repositories_come_one_by_one_in_the_order_of_the_file(path: Path) -> None:
    registry = open_inventory(path, line("a", "z"), line("b", "z"), line("a", "y"))
    assert listed(registry, only()) == [("z", 2), ("y", 1)]


def test_only_lines_of_its_own_name_are_its_images(path: Path) -> None:
    registry = open_inventory(path, line("a", "z"), line("a", "y", "other"))
    assert listed(registry, only()) == [("z", 1)]


def test_repositories_that_nobody_wants_are_left_out(path: Path) -> None:
    registry = open_inventory(path, line("a", "ci/z"), line("a", "services/y"))
    assert listed(registry, only("ci/*")) == [("ci/z", 1)]


def test_repositories_that_the_policy_names_are_all_there_are(path: Path) -> None:
    registry = open_inventory(path, line("a", "z"), line("a", "y"), repositories=("y",))
    assert listed(registry, only()) == [("y", 1)]


def test_its_hosts_are_its_aliases(path: Path) -> None:
    assert open_inventory(path, aliases=("mirror.example.com/a",)).hosts == ("mirror.example.com/a",)


def test_an_alias_is_known_by_the_name_that_references_have(path: Path) -> None:
    registry = open_inventory(path, aliases=("Index.docker.io/acme", "mirror.example.com:443"))
    assert registry.hosts == ("docker.io/acme", "mirror.example.com")


def test_a_wrong_line_is_named_after_the_repositories_before_it(path: Path) -> None:
    registry = open_inventory(path, line("a", "z"), line("a", "y"), '{"registry":')
    [unit] = registry.units(only())
    listings = registry.list(unit, frozenset())
    assert next(listings).repository == "z"
    with pytest.raises(Malformed, match=r"inventory.jsonl:3:"):
        next(listings)


def test_a_repository_that_nobody_wants_must_still_stand_together(path: Path) -> None:
    registry = open_inventory(path, line("a", "z"), line("a", "y"), line("b", "z"))
    with pytest.raises(Malformed, match=r"inventory.jsonl:3: z of prod comes up again"):
        listed(registry, only("y"))


def test_a_missing_file_is_named(path: Path) -> None:
    registry = open_inventory(path)
    path.unlink()
    with pytest.raises(Unreachable, match=r"inventory.jsonl can't be read"):
        listed(registry, only())


def test_it_plans_everything_and_does_nothing(path: Path) -> None:
    registry = open_inventory(path)
    abilities = registry.abilities
    assert abilities.untags
    assert abilities.archives
    assert abilities.records_pulls
    assert abilities.records_pushes
    assert not abilities.deletes
    with pytest.raises(Unsupported):
        list(registry.delete("z", [image("1.0")]))
