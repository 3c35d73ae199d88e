from __future__ import annotations

import hashlib
import itertools
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from janitor.core.image import ImageType
from janitor.core.policy import OrderBy, Period, PolicySet, Rule, Side
from janitor.errors import PolicyError
from janitor.policyfile import load
from tests.policyfile.kinds import KINDS, FileKeys, KubernetesKeys, ManifestsKeys, OciKeys

_VALID = Path(__file__).parent / "valid"
_HEAD = 'version: 1\nregistries: {prod: {provider: oci, endpoint: "https://registry.example.com"}}\n'


def _policy(name: str, *rules: str, more: str = "") -> str:
    body = "".join(f"\n    - {rule}" for rule in rules or ("delete: {untagged: true}",))
    return f'policies:\n- name: {name}\n  registries: prod\n  repositories: "**"\n{more}  rules:{body}\n'


def _load(folder: Path, *texts: str, environ: dict[str, str] | None = None) -> PolicySet:
    for number, text in enumerate(texts):
        (folder / f"{number}.yaml").write_text(text)
    return load([folder], environ or {}, KINDS)


def _said(folder: Path, *texts: str) -> list[str]:
    with pytest.raises(PolicyError) as caught:
        _load(folder, *texts)
    return [
        f"{Path(problem.file).name}:{problem.line}: {problem.message}" for problem in caught.value.problems
    ]


def _rule(folder: Path, rule: str, *, more: str = "") -> Rule:
    (policy,) = _load(folder, _HEAD + _policy("p", rule, more=more)).policies
    return policy.rules[0]


def test_the_documented_example_is_read_whole() -> None:
    file = _VALID / "everything.yaml"
    policies = load([file], {"SLACK_URL": "https://hooks.example.com/x"}, KINDS)
    assert [spec.name for spec in policies.registries] == ["prod", "packages"]
    assert policies.registries[0].keys == OciKeys(endpoint="https://reg.example.com", password="hunter2")
    assert policies.protect.latest
    assert [str(image.reference) for image in policies.protect.images] == ["ghcr.io/acme/base:3"]
    assert [source.keys for source in policies.protect.in_use] == [
        KubernetesKeys(context="prod"),
        ManifestsKeys(paths=(str(_VALID / "deploy/**/*.yaml"),)),
        FileKeys(path=str(_VALID / "in-use.txt")),
    ]
    limits = policies.limits
    assert (limits.grace, limits.min_remaining, limits.max_percent) == (timedelta(hours=24), 1, 80)
    assert (limits.max_deletions, limits.budget) == (20000, 5000)
    assert policies.notify[0].on == ("failure", "limit", "deletion")
    assert [schedule.repositories for schedule in policies.schedules] == [(), ("ci/**",)]
    (services,) = policies.policies
    assert services.timezone == "Europe/Berlin"
    assert [rule.name for rule in services.rules] == [
        "services/releases",
        "services/old-releases",
        "services/pull-requests",
        "services/branches",
        "services/untagged",
    ]
    branches = services.rules[3]
    assert (branches.side, branches.group_by, branches.where.line) == (Side.DELETE, "branch", 43)
    assert policies.files == (str(file),)
    assert policies.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()


def test_the_smallest_policy_says_all_by_stars(tmp_path: Path) -> None:
    text = (
        'policies: [{name: cleanup, registries: "*", repositories: "**",'
        " rules: [{delete: {untagged: true, older_than: 7d}}]}]\n"
    )
    (policy,) = _load(tmp_path, _HEAD + text).policies
    assert policy.repositories.selects("any/thing")
    (rule,) = policy.rules
    assert (rule.name, rule.text) == ("cleanup/1", "delete {untagged: true, older_than: 7d}")


def test_every_selector_condition_and_option_is_read(tmp_path: Path) -> None:
    rule = _rule(
        tmp_path,
        "delete: {tags_all: [a, b-*], type: [image, index], labels: {stage: test-*, n: 1},"
        " repositories: a/**, registries: prod, larger_than: 2GiB, before: 2026-01-31,"
        " not_pulled_for: 1w2d, beyond_size: 50GiB,"
        " order_by: version, untag: true, archive: true, any_tag: true}",
    )
    assert [pattern.text for pattern in rule.select.tags_all] == ["a", "b-*"]
    assert rule.select.type == {ImageType.IMAGE, ImageType.INDEX}
    assert [(label, pattern.text) for label, pattern in rule.select.labels] == [
        ("stage", "test-*"),
        ("n", "1"),
    ]
    assert rule.select.repositories is not None
    assert rule.select.registries is not None
    assert [(condition.key, condition.value, condition.text) for condition in rule.conditions] == [
        ("larger_than", 2 * 2**30, "2GiB"),
        ("before", datetime(2026, 1, 31, tzinfo=UTC), "2026-01-31"),
        ("not_pulled_for", timedelta(days=9), "1w2d"),
        ("beyond_size", 50 * 2**30, "50GiB"),
    ]
    assert (rule.order_by, rule.untag, rule.archive, rule.any_tag) == (OrderBy.VERSION, True, True, True)


def test_periods_are_read_the_shorter_first(tmp_path: Path) -> None:
    rule = _rule(tmp_path, "keep: {one_per: {month: 12, hour: 24}}")
    assert rule.conditions[0].value == ((Period.HOUR, 24), (Period.MONTH, 12))


@pytest.mark.parametrize(
    ("timezone", "written", "instant"),
    [
        ("UTC", "2026-07-01", datetime(2026, 7, 1, tzinfo=UTC)),
        ("Europe/Berlin", "2026-07-01", datetime(2026, 6, 30, 22, tzinfo=UTC)),
        ("Europe/Berlin", "2026-01-01", datetime(2025, 12, 31, 23, tzinfo=UTC)),
        ("Europe/Berlin", "2026-01-01T00:00:00Z", datetime(2026, 1, 1, tzinfo=UTC)),
        ("Asia/Tokyo", "2026-01-01T00:00:00+02:00", datetime(2025, 12, 31, 22, tzinfo=UTC)),
    ],
)
def test_a_date_is_midnight_in_the_policys_timezone(
    tmp_path: Path, timezone: str, written: str, instant: datetime
) -> None:
    rule = _rule(tmp_path, f"keep: {{after: {written}}}", more=f"  timezone: {timezone}\n")
    assert rule.conditions[0].value == instant


def test_a_tag_list_is_read_as_the_text_that_stands_there(tmp_path: Path) -> None:
    rule = _rule(tmp_path, "keep: {tags: [1.0, 2024-01-31, 012, 1_000, null, ~, on, true, 1e3, 0x1]}")
    assert rule.select.tags is not None
    assert [pattern.text for pattern in rule.select.tags.patterns] == [
        "1.0",
        "2024-01-31",
        "012",
        "1_000",
        "null",
        "~",
        "on",
        "true",
        "1e3",
        "0x1",
    ]


def test_a_variable_is_put_into_the_scalar_and_never_read_as_yaml(tmp_path: Path) -> None:
    rule = _rule(tmp_path, "keep: {tags: ['a']}")
    environ = {"TAG": "'*a'", "N": "3", "AGE": "14d", "YES": "true"}
    text = 'delete: {tags: ["x-${TAG}-$${N}"], beyond_newest: "${N}", older_than: "${AGE}", untag: "${YES}"}'
    (policy,) = _load(tmp_path, _HEAD + _policy("p", text), environ=environ).policies
    rule = policy.rules[0]
    assert rule.select.tags is not None
    assert rule.select.tags.patterns[0].text == "x-'*a'-$3"
    assert [condition.value for condition in rule.conditions] == [3, timedelta(days=14)]
    assert rule.untag
    assert "14d" not in rule.text


def test_a_variable_that_only_a_run_needs_may_be_unset_where_nothing_runs(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(
        "version: 1\n"
        'registries: {prod: {provider: oci, endpoint: "https://${HOST}", password: "${PASSWORD}"}}\n'
        'notify: [{webhook: "${HOOK}"}]\nprotect: {in_use: [{file: "${FILE}"}]}\n'
    )
    kept = load([file], {"HOST": "a"}, KINDS, unset="keep")
    assert kept.registries[0].keys == OciKeys(endpoint="https://a", password="${PASSWORD}")
    assert kept.notify[0].webhook == "${HOOK}"
    assert kept.protect.in_use[0].keys == FileKeys(path="${FILE}")
    with pytest.raises(PolicyError) as caught:
        load([file], {}, KINDS)
    assert len(caught.value.problems) == 4


def test_a_variable_that_a_rule_uses_is_wanted_always(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(_HEAD + _policy("p", 'delete: {tags: ["${TAG}"]}'))
    with pytest.raises(PolicyError, match="the environment variable TAG is not set"):
        load([file], {}, KINDS, unset="keep")


# Several files


def test_a_folder_is_every_policy_file_in_it_but_tests(tmp_path: Path) -> None:
    (tmp_path / "b.yml").write_text(_policy("b").join(["version: 1\n", ""]))
    (tmp_path / "a.yaml").write_text(_HEAD)
    (tmp_path / "a.test.yaml").write_text("nonsense")
    (tmp_path / "c.test.yml").write_text("nonsense")
    (tmp_path / "notes.txt").write_text("nonsense")
    policies = load([tmp_path], {}, KINDS)
    assert [Path(file).name for file in policies.files] == ["a.yaml", "b.yml"]


def test_a_file_that_is_named_twice_is_read_once(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(_HEAD + _policy("p"))
    (tmp_path / "link.yaml").symlink_to(file)
    assert len(load([file, str(tmp_path), tmp_path / "." / "a.yaml"], {}, KINDS).files) == 1


def test_the_order_of_files_changes_nothing(tmp_path: Path) -> None:
    files = []
    for name in "abc":
        file = tmp_path / f"{name}.yaml"
        file.write_text(_HEAD + _policy(name) + f"limits: {{budget: {ord(name)}}}\n")
        files.append(file)
    sets = {load(order, {}, KINDS) == load(files, {}, KINDS) for order in itertools.permutations(files)}
    assert sets == {True}


def test_each_protect_list_is_kept_by_itself(tmp_path: Path) -> None:
    policies = _load(
        tmp_path,
        'version: 1\nprotect: {tags: ["*", "!dev-*"], images: a/b:1}\n',
        "version: 1\nprotect: {tags: dev-1, in_use: [kubernetes: {allow_empty: true}]}\n",
        "version: 1\nprotect: {in_use: [{file: [x], allow_empty: false}]}\n".replace("[x]", "x"),
    )
    assert [len(each.patterns.patterns) for each in policies.protect.tags] == [2, 1]
    assert policies.protect.latest
    assert [source.allow_empty for source in policies.protect.in_use] == [True, False]


def test_latest_is_protected_unless_any_list_says_otherwise(tmp_path: Path) -> None:
    protect = _load(
        tmp_path, 'version: 1\nprotect: {tags: "!latest"}\n', "version: 1\nprotect: {tags: a}\n"
    ).protect
    assert not protect.latest
    assert [[pattern.text for pattern in each.patterns.patterns] for each in protect.tags] == [["a"]]


def test_of_a_limit_given_twice_the_stricter_counts(tmp_path: Path) -> None:
    limits = _load(
        tmp_path,
        "version: 1\nlimits: {grace: 0h, min_remaining: 5, max_percent: 100, max_deletions: 9, budget: 1}\n",
        "version: 1\nlimits: {grace: 48h, min_remaining: 0, max_percent: 90, max_deletions: 3}\n",
    ).limits
    assert limits.grace == timedelta(hours=48)
    assert (limits.min_remaining, limits.max_percent, limits.max_deletions, limits.budget) == (5, 90, 3, 1)


def test_a_limit_given_once_counts_though_the_default_is_stricter(tmp_path: Path) -> None:
    limits = _load(tmp_path, "version: 1\nlimits: {grace: 0h, max_percent: 100}\n", "version: 1\n").limits
    assert (limits.grace, limits.max_percent, limits.min_remaining) == (timedelta(0), 100, 1)


def test_a_registry_alike_in_several_files_is_one(tmp_path: Path) -> None:
    assert len(_load(tmp_path, _HEAD, _HEAD).registries) == 1


def test_a_registry_unlike_in_several_files_is_an_error(tmp_path: Path) -> None:
    said = _said(tmp_path, _HEAD, _HEAD.replace("https", "http"))
    assert said == [f'1.yaml:2: the registry "prod" is unlike the one of this name at {tmp_path}/0.yaml:2']


def test_one_place_under_two_names_in_two_files_is_an_error(tmp_path: Path) -> None:
    said = _said(tmp_path, _HEAD, _HEAD.replace("prod", "other"))
    assert said == [f'1.yaml:2: "other" is the same place as "prod" at {tmp_path}/0.yaml:2']


@pytest.mark.parametrize(
    "registries",
    [
        "{a: {provider: inventory, path: x}, b: {provider: inventory, path: x}}",
        "{a: {provider: ecr, region: r, role_arn: x}, b: {provider: ecr, region: r, role_arn: y}}",
        '{a: {provider: oci, endpoint: "https://a"}, b: {provider: oci, endpoint: "https://a:8443"}}',
        "{a: {provider: gar, project: p, repository: x}, b: {provider: gar, project: p, repository: y}}",
    ],
)
def test_what_may_be_two_places_is_no_error(tmp_path: Path, registries: str) -> None:
    assert len(_load(tmp_path, f"version: 1\nregistries: {registries}\n").registries) == 2


def test_a_policy_name_in_two_files_is_an_error_that_names_both_places(tmp_path: Path) -> None:
    said = _said(tmp_path, _HEAD + _policy("p"), "version: 1\n" + _policy("p"))
    assert said == [f'1.yaml:3: two policies are called "p", at {tmp_path}/0.yaml:4 and {tmp_path}/1.yaml:3']


def test_rules_of_two_policies_never_share_a_name(tmp_path: Path) -> None:
    one = _policy("a/b", "{name: c, delete: {untagged: true}}")
    other = _policy("a", "{name: b/c, delete: {untagged: true}}")
    said = _said(tmp_path, _HEAD + one, "version: 1\n" + other)
    assert said == [f'1.yaml:7: the rule "a/b/c" has the name of the one at {tmp_path}/0.yaml:8']


def test_a_policy_may_name_a_registry_of_another_file(tmp_path: Path) -> None:
    assert len(_load(tmp_path, _HEAD, "version: 1\n" + _policy("p")).policies) == 1


def test_all_mistakes_of_all_files_are_told_at_once_in_the_order_of_their_places(tmp_path: Path) -> None:
    said = _said(tmp_path, "version: 2\nnope: 1\n", "a: [\n", "version: 1\nlimits: {grace: 1}\n")
    assert [each.partition(": ")[0] for each in said] == ["0.yaml:1", "0.yaml:2", "1.yaml:2", "2.yaml:2"]


def test_paths_in_a_file_are_relative_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "[odd]"
    folder.mkdir()
    (folder / "a.yaml").write_text(
        "version: 1\nregistries: {a: {provider: oci, endpoint: x, ca_file: ../ca.pem}}\n"
        "protect: {in_use: [manifests: [d/*.yaml, /abs], file: x]}\n".replace(", file: x", "")
    )
    monkeypatch.chdir(tmp_path)
    policies = load(["[odd]/a.yaml"], {}, KINDS)
    assert policies.registries[0].keys == OciKeys(endpoint="x", ca_file="ca.pem")
    assert policies.protect.in_use[0].keys == ManifestsKeys(paths=("[[]odd]/d/*.yaml", "/abs"))


# What is no file


def test_nothing_to_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="no policy file stands in this folder"):
        load([tmp_path], {}, KINDS)
    with pytest.raises(PolicyError, match="there is no such file or folder"):
        load([tmp_path / "missing.yaml"], {}, KINDS)
    with pytest.raises(PolicyError, match="no policy file is given"):
        load([], {}, KINDS)


@pytest.mark.parametrize("kind", ["folder", "dangling", "pipe", "loop", "nul", "unreadable"])
def test_what_can_not_be_read_is_an_error_and_never_a_wait(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x.yaml"
    named: str | Path = tmp_path
    if kind == "folder":
        path.mkdir()
    elif kind == "dangling":
        path.symlink_to(tmp_path / "missing")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "loop":
        path.symlink_to(path)
    elif kind == "nul":
        named = "a\0b.yaml"
    else:
        path.symlink_to("/proc/self/mem")
    with pytest.raises(PolicyError) as caught:
        load([named], {}, KINDS)
    assert len(caught.value.problems) == 1


def test_a_huge_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    with path.open("wb") as file:
        file.truncate(100 * 2**30)
    with pytest.raises(PolicyError, match="the file is larger than the 4 MiB"):
        load([path], {}, KINDS)


def test_a_file_of_tests_is_no_policy_file(tmp_path: Path) -> None:
    (tmp_path / "a.test.yaml").write_text("version: 1\n")
    with pytest.raises(PolicyError, match="run janitor test"):
        load([tmp_path / "a.test.yaml"], {}, KINDS)


def test_loading_imports_nothing_heavy() -> None:
    script = "import sys, janitor.policyfile; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    loaded = set(done.stdout.split())
    assert not loaded & {"jsonschema", "difflib", "zoneinfo", "urllib3", "click", "boto3"}


def test_the_digest_is_of_the_bytes_of_all_files_in_their_order(tmp_path: Path) -> None:
    one, two = tmp_path / "1.yaml", tmp_path / "2.yaml"
    one.write_text("version: 1\n")
    two.write_text("version: 1 # the second\n")
    digest = hashlib.sha256(one.read_bytes() + two.read_bytes()).hexdigest()
    assert load([two, one], {}, KINDS).sha256 == digest
