from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from janitor.core.policy import CONDITION_KEYS
from janitor.policyfile.keys import TABLES, Kind
from janitor.policyfile.schema import policy_schema
from tests.policyfile.kinds import KINDS

_HERE = Path(__file__).parent
# What is wrong in these is wrong with one key, which a schema can see.
_STRUCTURAL = (
    "booleans",
    "condition-on-the-wrong-side",
    "empty-in-use",
    "everything-by-leaving-all-out",
    "limits",
    "notify",
    "numbers",
    "only-negated-coverage",
    "only-negated-patterns",
    "only-negated-protection",
    "option-on-the-wrong-side",
    "order-by",
    "periods",
    "protections",
    "registries",
    "required-keys",
    "root-is-a-list",
    "units",
    "unknown-keys",
    "versions",
    "versions-as-text",
    "wrong-shapes",
    "wrong-shapes-inside",
    "zero-in-a-rule",
)


class _Loader(yaml.SafeLoader):
    """The scalars of YAML 1.2, as editors read them before they apply a schema."""


_Loader.yaml_implicit_resolvers = {}
for tag, pattern in (
    ("null", "~|null|Null|NULL|"),
    ("bool", "true|True|TRUE|false|False|FALSE"),
    ("int", "[-+]?[0-9]+"),
    ("float", "[-+]?[0-9]+[.][0-9]*"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"^(?:{pattern})$"), None)


def _document(path: Path) -> Any:
    return yaml.load(path.read_bytes(), Loader=_Loader)  # noqa: S506 - a SafeLoader


def _validator() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json.loads(json.dumps(policy_schema(KINDS))))


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(policy_schema(KINDS))


@pytest.mark.parametrize("path", sorted(_HERE.glob("valid/[!.]*[!t].yaml")), ids=lambda path: path.name)
def test_a_valid_policy_is_valid_by_the_schema(path: Path) -> None:
    if not path.name.endswith(".test.yaml"):
        _validator().validate(_document(path))


@pytest.mark.parametrize("name", _STRUCTURAL)
def test_what_is_wrong_with_one_key_is_wrong_by_the_schema(name: str) -> None:
    document = _document(_HERE / "errors" / f"{name}.yaml")
    assert not _validator().is_valid(document)


@pytest.mark.parametrize("name", ["numbers", "units", "zero-in-a-rule", "condition-on-the-wrong-side"])
def test_each_wrong_rule_is_wrong_by_the_schema(name: str) -> None:
    document = _document(_HERE / "errors" / f"{name}.yaml")
    (policy,) = document["policies"]
    for rule in policy["rules"]:
        alone = {**document, "policies": [{**policy, "rules": [rule]}]}
        # A leading zero is the one thing that only the text shows.
        assert rule == {"keep": {"newest": 10}} or not _validator().is_valid(alone), rule


def test_every_table_names_its_keys_and_says_what_they_mean() -> None:
    for table in TABLES.values():
        for name, key in table.items():
            assert key.name == name
            assert key.doc
            assert (key.kind in (Kind.CHOICE, Kind.CHOICES)) == bool(key.choices)
            assert not key.table or key.table in TABLES


def test_every_condition_stands_on_its_side_alone() -> None:
    for name, row in CONDITION_KEYS.items():
        other = "delete" if row.side == "keep" else "keep"
        assert name in TABLES[row.side]
        assert name not in TABLES[other]
        assert not row.twin or CONDITION_KEYS[row.twin].twin == name
