"""The starter policies are right, mean what their tests say, and can be used side by side."""

from __future__ import annotations

from pathlib import Path

import pytest

from janitor.kinds import kinds
from janitor.opening import load_policies
from janitor.policyfile.testfile import load_cases
from janitor.policyfile.verdict import run_case
from tests.cli.house import janitor

FOLDER = Path(__file__).parents[2] / "policies"
STARTERS = ("base-images", "ci-caches", "services", "untagged")


def test_every_policy_of_the_folder_has_its_tests() -> None:
    expected = {f"{name}{suffix}" for name in STARTERS for suffix in (".yaml", ".test.yaml")}
    assert {path.name for path in FOLDER.iterdir()} == expected


@pytest.mark.parametrize("name", STARTERS)
def test_a_starter_means_what_its_tests_say(name: str) -> None:
    cases = load_cases(FOLDER / f"{name}.test.yaml", {}, kinds())
    assert [str(run_case(case)) for case in cases] == [f"ok      {case.name}" for case in cases]


@pytest.mark.parametrize("name", STARTERS)
def test_every_rule_of_a_starter_decides_in_its_tests(name: str) -> None:
    """A rule that no expectation names could say anything."""
    policies = load_policies([str(FOLDER / f"{name}.yaml")], {})
    rules = {rule.name for policy in policies.policies for rule in policy.rules}
    cases = load_cases(FOLDER / f"{name}.test.yaml", {}, kinds())
    assert rules <= {expectation.by for case in cases for expectation in case.expectations}


def test_starters_are_right_and_nothing_is_odd_about_them() -> None:
    paths = [FOLDER, *(FOLDER / f"{name}.yaml" for name in STARTERS)]
    for path in paths:
        done = janitor("check", "--strict", str(path))
        assert (done.returncode, done.stderr) == (0, "")


def test_side_by_side_no_starter_loosens_the_limits_of_another() -> None:
    together = load_policies([str(FOLDER)], {}).limits
    for name in STARTERS:
        alone = load_policies([str(FOLDER / f"{name}.yaml")], {}).limits
        assert together.grace >= alone.grace
        assert together.min_remaining >= alone.min_remaining
        assert together.max_percent <= alone.max_percent
