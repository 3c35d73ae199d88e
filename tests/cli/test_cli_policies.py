from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml

from janitor.cli.app import janitor
from tests.cli.house import call
from tests.cli.house import janitor as program
from tests.cli.sample import POLICY, write_policy

TEST = """\
version: 1
policies: [policy.yaml]
now: 2026-06-01T00:00:00Z
tests:
  - name: old pull requests go
    repository: services/api
    images:
      - {tags: [1.0.0], pushed: 400d}
      - {tags: [pr-1], pushed: 20d, expect: %s}
"""


def write_test(folder: Path, *, expect: str = "delete", name: str = "policy.test.yaml") -> str:
    path = folder / name
    path.write_text(TEST % expect)
    return str(path)


def test_check_counts_what_is_fine(tmp_path: Path) -> None:
    policy = write_policy(tmp_path)
    write_policy(tmp_path, POLICY.replace("services", "others"), "more.yml")
    write_test(tmp_path)
    one = call(janitor, "check", policy)
    assert (one.exit_code, one.stdout) == (0, "1 policy, 1 rule in 1 file: fine\n")
    both = call(janitor, "check", str(tmp_path), "--strict")
    assert (both.exit_code, both.stdout) == (0, "2 policies, 2 rules in 2 files: fine\n")


def test_check_says_what_a_registry_can_not_do_of_a_rule_and_strict_fails_by_it(tmp_path: Path) -> None:
    rule = 'delete: {tags: ["a-*"], not_pulled_for: 90d}'
    registry = '{provider: oci, endpoint: "https://registry.example.com"}'
    text = (
        f"version: 1\nregistries: {{prod: {registry}}}\npolicies:\n  - name: cleanup\n    registries: prod\n"
    )
    path = write_policy(tmp_path, f'{text}    repositories: "**"\n    rules:\n      - {rule}\n')
    told = f"{path}:8: cleanup/1: not_pulled_for deletes nothing at prod (oci): no pulls are recorded\n"
    plain = call(janitor, "check", path)
    assert (plain.exit_code, plain.stdout) == (0, f"1 policy, 1 rule in 1 file: fine\n{told}")
    assert call(janitor, "check", "--strict", path).exit_code == 1


def test_check_loads_only_what_these_policies_need(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from janitor.cli import main\n"
        f"sys.argv = ['janitor', 'check', {write_policy(tmp_path)!r}]\n"
        "try:\n    main()\n"
        "finally:\n    print(*sys.modules, file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())
    assert "janitor.policyfile" in loaded
    assert not loaded & {"click", "rich", "structlog", "urllib3"}
    assert not loaded & {"fractions", "hashlib", "json", "pathlib", "threading", "urllib.parse"}
    assert not [name for name in loaded if name.startswith(("janitor.inuse", "janitor.net"))]


@pytest.mark.parametrize(
    ("text", "env"),
    [
        (POLICY, {}),
        (POLICY, {"JANITOR_STRICT": ""}),
        (POLICY, {"JANITOR_STRICT": "1"}),
        (POLICY.replace("older_than", "older"), {}),
    ],
)
def test_check_says_the_same_whether_or_not_it_needs_the_command_line_read(
    tmp_path: Path, text: str, env: dict[str, str]
) -> None:
    policy = write_policy(tmp_path, text)
    plain = program("check", policy, env=env)
    read = call(janitor, "check", policy, env=dict(env))
    assert (plain.returncode, plain.stdout, plain.stderr) == (read.exit_code, read.stdout, read.stderr)


@pytest.mark.parametrize("args", [[], [""], ["--", "-"], ["--strict"], ["gone.yaml"]])
def test_check_without_a_policy_file_is_wrong_however_it_is_said(args: list[str]) -> None:
    done = program("check", *args)
    assert (done.returncode, done.stdout) == (2, "")
    assert "error: " in done.stderr


def test_check_that_can_not_be_written_is_told_in_one_line(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = program("check", write_policy(tmp_path), stdout=full.fileno())
    assert (done.returncode, done.stderr) == (
        1,
        "error: standard output can't be written: No space left on device\n",
    )


def test_check_needs_no_credential(tmp_path: Path) -> None:
    registry = '{provider: oci, endpoint: "https://registry.example.com", password: "${NOT_SET_HERE}"}'
    text = POLICY.replace("{provider: inventory, path: inventory.jsonl}", registry)
    result = call(janitor, "check", write_policy(tmp_path, text))
    assert (result.exit_code, result.stderr) == (0, "")


def test_check_tells_all_mistakes_at_their_places(tmp_path: Path) -> None:
    policy = write_policy(tmp_path, POLICY.replace("older_than", "oldr_than").replace("[prod]", "[prd]"))
    result = call(janitor, "check", policy)
    assert result.exit_code == 2
    assert result.stdout == ""
    lines = [line for line in result.stderr.splitlines() if line.startswith(policy)]
    assert len(lines) == 2
    assert "older_than" in result.stderr
    assert result.stderr.splitlines()[-1] == "error: 2 mistakes in policy files; nothing was done"


def test_check_of_nothing_is_an_error(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere"):
        result = call(janitor, "check", str(path))
        assert result.exit_code == 2
        assert str(path) in result.stderr


def test_schema_takes_a_policy_and_refuses_a_wrong_one() -> None:
    result = call(janitor, "schema")
    assert result.exit_code == 0
    schema = json.loads(result.stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(yaml.safe_load(POLICY), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(POLICY.replace("older_than", "oldr_than")), schema)


def test_a_test_that_holds_is_fine(tmp_path: Path) -> None:
    write_policy(tmp_path)
    result = call(janitor, "test", write_test(tmp_path))
    assert (result.exit_code, result.stdout) == (0, "1 test: fine\n")
    assert "old pull requests go" in call(janitor, "test", str(tmp_path), "-v").stdout


def test_a_test_that_fails_says_where_and_exits_1(tmp_path: Path) -> None:
    write_policy(tmp_path)
    path = write_test(tmp_path, expect="keep")
    result = call(janitor, "test", path)
    assert result.exit_code == 1
    assert result.stdout.startswith("FAILED  old pull requests go\n")
    assert f"{path}:9: pr-1: expected keep" in result.stdout
    assert result.stdout.endswith("1 test, 1 failed\n")


def test_all_test_files_of_a_folder_are_run(tmp_path: Path) -> None:
    write_policy(tmp_path)
    write_test(tmp_path, name="a.test.yaml")
    write_test(tmp_path, name="b.test.yml", expect="keep")
    result = call(janitor, "test", str(tmp_path), str(tmp_path / "a.test.yaml"))
    assert result.stdout.endswith("2 tests, 1 failed\n")


def test_no_test_found_is_an_error(tmp_path: Path) -> None:
    write_policy(tmp_path)
    empty = tmp_path / "empty.test.yaml"
    result = call(janitor, "test", str(tmp_path))
    assert result.exit_code == 2
    assert "no test found" in result.stderr
    empty.write_text("version: 1\npolicies: [policy.yaml]\nnow: 2026-06-01T00:00:00Z\ntests: []\n")
    assert call(janitor, "test", str(empty)).exit_code == 2


def test_mistakes_of_all_test_files_are_told_together(tmp_path: Path) -> None:
    write_policy(tmp_path)
    paths = [write_test(tmp_path, name=f"{name}.test.yaml", expect="vanish") for name in "ab"]
    result = call(janitor, "test", *paths)
    assert result.exit_code == 2
    assert all(f"{path}:9:" in result.stderr for path in paths)
