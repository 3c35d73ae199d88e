from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from janitor.core.report import ErrorReport
from janitor.errors import PolicyError, UsageError
from janitor.opening import Request, load_policies, open_registries
from janitor.premises import Opened
from janitor.providers.interface import Field, Forgetful

POLICIES = """
version: 1
registries:
  prod: {provider: oci-layout, path: prod}
  dev: {provider: oci-layout, path: dev}
  saved: {provider: inventory, path: saved.jsonl}
  spare: {provider: oci-layout, path: spare}
policies:
  - name: services
    registries: [prod, dev]
    repositories: ["services/**"]
    rules: [{delete: {tags: ["pr-*"], older_than: 14d}}]
  - name: charts
    registries: [prod, saved]
    repositories: ["charts/*"]
    rules: [{keep: {labels: {keep: "yes"}}}]
"""


@pytest.fixture
def policies(tmp_path: Path) -> str:
    path = tmp_path / "policies.yaml"
    path.write_text(POLICIES)
    return str(path)


@contextmanager
def opened(path: str, **wanted: Any) -> Iterator[tuple[dict[str, Opened], list[ErrorReport]]]:
    request = Request(**wanted)
    policies = load_policies([path], {})
    with open_registries(policies, request, {}, threading.Event(), Forgetful()) as (found, errors):
        yield {one.spec.name: one for one in found}, errors


def test_every_registry_that_a_policy_covers_is_opened_in_the_order_of_the_files(policies: str) -> None:
    with opened(policies) as (found, errors):
        assert list(found) == ["prod", "dev", "saved"]
        assert errors == []


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (("dev",), ["dev"]),
        (("saved", "prod"), ["prod", "saved"]),
        (("{prod,dev}",), ["prod", "dev"]),
        (("*",), ["prod", "dev", "saved"]),
        (("spare",), []),
        (("*", "!dev"), ["prod", "saved"]),
    ],
)
def test_a_run_is_narrowed_by_registries(policies: str, names: tuple[str, ...], chosen: list[str]) -> None:
    with opened(policies, registries=names) as (found, _):
        assert list(found) == chosen


def test_a_repository_is_wanted_that_some_policy_covers_and_the_request_names(policies: str) -> None:
    with opened(policies, repositories=("**/web", "!services/old/**")) as (found, _):
        wants = found["prod"].only.wants
        assert (wants("services/web"), wants("charts/web")) == (True, True)
        assert not wants("services/api")
        assert not wants("services/old/web")
        assert not wants("elsewhere/web")
        assert not found["dev"].only.wants("charts/web")


def test_narrowing_leaves_no_policy_out(policies: str) -> None:
    """What the policies ask of images is the same, and so every rule has its say."""
    with opened(policies) as (whole, _), opened(policies, repositories=("services/**",)) as (narrowed, _):
        assert whole["prod"].wanted == narrowed["prod"].wanted >= {Field.LABELS}


def test_only_what_the_policies_of_a_registry_ask_for_is_read(policies: str) -> None:
    with opened(policies) as (found, _):
        assert found["prod"].wanted == {Field.CREATED, Field.LABELS}
        assert found["dev"].wanted == {Field.CREATED}
        assert found["saved"].wanted == {Field.LABELS}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("pord", "--registry pord: no registry of the policies is called so; did you mean prod?"),
        ("qqqqqq", "there are: prod, dev, saved, spare"),
        ("test-*", "there are: prod, dev, saved, spare"),
    ],
)
def test_a_name_that_names_nothing_is_refused_with_what_was_meant(
    policies: str, name: str, said: str
) -> None:
    with pytest.raises(UsageError) as caught, opened(policies, registries=("prod", name)):
        pass
    assert said in caught.value.message


def test_a_wrong_pattern_is_refused_by_the_option_that_has_it(policies: str) -> None:
    with pytest.raises(UsageError, match="--repository: "), opened(policies, repositories=("re:(",)):
        pass
    with pytest.raises(UsageError, match="--registry: "), opened(policies, registries=("re:(",)):
        pass


def test_what_only_leaves_out_is_refused_with_what_was_meant(policies: str) -> None:
    with (
        pytest.raises(UsageError, match=r'--repository "\*\*"'),
        opened(policies, repositories=("!services/old/**",)),
    ):
        pass
    with pytest.raises(UsageError, match=r'--registry "\*"'), opened(policies, registries=("!dev",)):
        pass


def test_deleting_in_what_is_only_read_is_refused(policies: str) -> None:
    with pytest.raises(UsageError) as caught, opened(policies, deleting=True):
        pass
    assert "registry saved (inventory) is only read" in caught.value.message
    assert f"{policies}:6" in caught.value.message


def test_deleting_elsewhere_is_not(policies: str) -> None:
    with opened(policies, deleting=True, registries=("prod",)) as (found, _):
        assert list(found) == ["prod"]


def test_a_registry_that_can_not_be_opened_leaves_the_others_alone(tmp_path: Path, policies: str) -> None:
    text = POLICIES.replace("dev: {provider: oci-layout, path: dev}", DEV)
    (tmp_path / "policies.yaml").write_text(text)
    with opened(policies) as (found, errors):
        assert list(found) == ["prod", "saved"]
        assert [(error.registry, error.repository) for error in errors] == [("dev", "")]
        assert "secret" not in errors[0].message


DEV = 'dev: {provider: oci, endpoint: "https://me:secret@registry.example"}'


def test_shards_part_the_repositories_of_a_registry(policies: str) -> None:
    names = [f"services/r{number}" for number in range(200)]
    parts = []
    for shard in range(4):
        with opened(policies, shard=(shard, 4)) as (found, _):
            parts.append({name for name in names if found["prod"].only.wants(name)})
    assert sum(map(len, parts)) == len(names)
    assert set.union(*parts) == set(names)
    assert all(25 <= len(part) <= 75 for part in parts)


def test_one_shard_more_moves_only_what_it_takes(policies: str) -> None:
    names = [f"services/r{number}" for number in range(200)]

    def part_of(count: int) -> dict[str, int]:
        found = {}
        for shard in range(count):
            with opened(policies, shard=(shard, count)) as (registries, _):
                found.update({name: shard for name in names if registries["prod"].only.wants(name)})
        return found

    before, after = part_of(4), part_of(5)
    assert all(after[name] in (before[name], 4) for name in names)


def test_mistakes_of_policies_are_all_told_before_anything_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "policies.yaml"
    path.write_text(POLICIES.replace("older_than", "oldr_than").replace("oci-layout", "oci-layuot", 1))
    with pytest.raises(PolicyError) as caught:
        load_policies([str(path)], {})
    assert len(caught.value.problems) == 2
