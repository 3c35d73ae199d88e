"""The field's traps by name, told in the language of policy tests, and run by what runs those of users.

Policy tests are decided before the limits of a run; what the floor and the brake make of three of them is
planned here as a run plans.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import msgspec
import pytest

from janitor.core.policy import PolicySet
from janitor.files.inventoryfile import write_images
from janitor.kinds import kinds
from janitor.policyfile.testfile import Case, load_cases
from janitor.policyfile.verdict import run_case
from janitor.providers.keys import InventoryKeys
from tests.laws.oracle import Planned
from tests.laws.road import plan_of

FOLDER = Path(__file__).parent
TRAPS = {
    "a-digest-of-ten-tags",
    "all-tags-expired-but-one",
    "attestation-children",
    "cosign-tags",
    "first-run-past-max-percent",
    "floor-of-1",
    "git-describe-tags",
    "in-use-by-moved-tag",
    "nested-index",
    "pre-releases",
    "referrers",
    "reproducible-build-times",
    "retagged-promotion",
    "shared-children",
    "signatures-in-their-own-repository",
    "small-repository-under-it",
    "sparse-index",
    "tagged-children",
    "two-policies-of-one-repository",
}


def test_every_trap_has_its_file_and_every_file_its_policy() -> None:
    assert {path.name.removesuffix(".test.yaml") for path in FOLDER.glob("*.test.yaml")} == TRAPS
    policies = {path.stem for path in FOLDER.glob("*.yaml") if not path.name.endswith(".test.yaml")}
    assert policies == TRAPS


@pytest.mark.parametrize("trap", sorted(TRAPS))
def test_the_trap_is_no_trap(trap: str) -> None:
    for case in cases(trap):
        assert str(run_case(case)) == f"ok      {case.name}"


def test_a_floor_of_one_leaves_the_newest(tmp_path: Path) -> None:
    (case,) = cases("floor-of-1")
    found = planned(case, tmp_path)
    newest = next(image.digest for image in case.inventory.images if image.tags == ("b",))
    assert found.state == "ok"
    assert len(found.actions) == 2
    assert newest not in {digest for _, digest, _ in found.actions}


def test_a_first_run_past_max_percent_is_stopped_with_its_plan_to_look_at(tmp_path: Path) -> None:
    (case,) = cases("first-run-past-max-percent")
    stopped = planned(case, tmp_path)
    assert stopped.state == "limited"
    assert Counter(kind for kind, _, _ in stopped.actions) == {"delete": 9}
    looked = msgspec.structs.replace(case.policies.limits, max_percent=100)
    policies = msgspec.structs.replace(case.policies, limits=looked)
    allowed = planned(msgspec.structs.replace(case, policies=policies), tmp_path)
    assert allowed == Planned("ok", stopped.actions)


def test_a_small_repository_is_under_the_brake(tmp_path: Path) -> None:
    (case,) = cases("small-repository-under-it")
    found = planned(case, tmp_path)
    assert found.state == "ok"
    assert Counter(kind for kind, _, _ in found.actions) == {"delete": 8}


def cases(trap: str) -> tuple[Case, ...]:
    return load_cases(FOLDER / f"{trap}.test.yaml", {}, kinds())


def planned(case: Case, folder: Path) -> Planned:
    """Plan the case's repository as a run does: listed from a file, decided, limited."""
    path = folder / "held.jsonl"
    inventory = case.inventory
    with path.open("wb") as stream:
        write_images(stream, inventory.registry, inventory.repository, inventory.images)
    (found,) = plan_of(_reading(case, path), case.in_use, case.now).values()
    return found


def _reading(case: Case, path: Path) -> PolicySet:
    registry = msgspec.structs.replace(case.registry, keys=InventoryKeys(path=str(path)))
    return msgspec.structs.replace(case.policies, registries=(registry,))
