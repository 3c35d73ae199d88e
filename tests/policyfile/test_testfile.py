from __future__ import annotations

from pathlib import Path
from textwrap import dedent, indent

import pytest
from msgspec import UNSET

from janitor.core.image import Abilities, ImageType
from janitor.errors import PolicyError
from janitor.policyfile.testfile import Case, load_cases
from janitor.policyfile.verdict import CaseVerdict, run_case
from tests.policyfile.kinds import KINDS

_VALID = Path(__file__).parent / "valid"
_POLICY = """
version: 1
registries:
  prod: {provider: oci, endpoint: "https://registry.example.com", aliases: mirror.example.com}
  other: {provider: ecr, region: eu-west-1, account: "${ACCOUNT}"}
protect: {tags: [stable], images: "…"}
policies:
  - name: services
    registries: [other, prod]
    repositories: ["services/**"]
    rules:
      - {name: releases, keep: {tags: ["semver:*"], newest: 1}}
      - {name: old, delete: {tags: ["*"], older_than: 14d, untag: true}}
      - {name: untagged, delete: {untagged: true, older_than: 7d}}
"""
_HEAD = "version: 1\npolicies: policy.yaml\nnow: 2026-06-01T00:00:00Z\n"


def _write(folder: Path, images: str, *, case: str = "", head: str = _HEAD) -> Path:
    policy = _POLICY.replace("…", f"registry.example.com/a@sha256:{'a' * 64}")
    (folder / "policy.yaml").write_text(policy)
    file = folder / "policy.test.yaml"
    body = f"tests:\n- name: a case\n  repository: services/api\n{case}  images:\n"
    file.write_text(head + body + indent(dedent(images), "    ") + "\n")
    return file


def _case(folder: Path, images: str, *, case: str = "") -> Case:
    (only,) = load_cases(_write(folder, images, case=case), {}, KINDS)
    return only


def _verdict(folder: Path, images: str, *, case: str = "") -> CaseVerdict:
    return run_case(_case(folder, images, case=case))


def _problems(folder: Path, images: str, *, case: str = "", head: str = _HEAD) -> list[str]:
    with pytest.raises(PolicyError) as caught:
        load_cases(_write(folder, images, case=case, head=head), {}, KINDS)
    return [f"{problem.line}: {problem.message} ({problem.hint})" for problem in caught.value.problems]


def test_the_documented_example_passes() -> None:
    cases = load_cases(_VALID / "services.test.yaml", {"SLACK_URL": "https://hooks.example.com"}, KINDS)
    assert [str(run_case(case)) for case in cases] == ["ok      old pull requests go, releases stay"]


def test_a_failing_case_says_what_was_expected_what_happens_and_the_rule_with_its_line(
    tmp_path: Path,
) -> None:
    verdict = _verdict(
        tmp_path,
        """
        - {tags: [pr-1], pushed: 20d}
        - {tags: [1.0.0], pushed: 30d, expect: delete}
        - {tags: [pr-2], pushed: 3d, expect: delete, by: services/old}
        """,
    )
    assert not verdict.passed
    file, policy = tmp_path / "policy.test.yaml", tmp_path / "policy.yaml"
    assert str(verdict) == dedent(
        f"""\
        FAILED  a case
          {file}:9: pr-1: expected keep, but it is delete by services/old
            services/old ({policy}:13): delete {{tags: ["*"], older_than: 14d, untag: true}}; 20 days old
          {file}:10: 1.0.0: expected delete, but it is keep
            kept by services/releases ({policy}:12): keep {{tags: ["semver:*"], newest: 1}}
          {file}:11: pr-2: expected delete by services/old, but it is keep
            no delete rule holds for tag pr-2"""
    )


def test_what_keeps_an_image_can_be_expected_by_its_word(tmp_path: Path) -> None:
    verdict = _verdict(
        tmp_path,
        """
        - {tags: [latest], pushed: 20d, by: latest}
        - {tags: [stable], pushed: 20d, by: protect.tags}
        - {tags: [used], pushed: 20d, by: in_use}
        - {tags: [mirrored], pushed: 20d, by: in_use}
        - {tags: [locked], pushed: 20d, locked: true, by: lock}
        - {tags: [1.0.0], pushed: 20d, by: services/releases}
        - {pushed: 20d, id: amd, by: shape}
        - {tags: [a-1], pushed: 20d, children: [amd], id: held, expect: keep, by: in_use}
        - {tags: [named], pushed: 20d, digest: "sha256:%s", by: protect.images}
        - {tags: [young], pushed: 20d, tagged: 15d, expect: delete}
        """.replace("%s", "a" * 64),
        case="""\
  registry: prod
  in_use: [".../services/api:used", "…/services/api:a-1", "mirror.example.com/services/api:mirrored"]
""",
    )
    assert str(verdict) == "ok      a case"


def test_a_wrong_by_fails_though_the_image_fares_as_expected(tmp_path: Path) -> None:
    verdict = _verdict(tmp_path, "- {tags: [pr-1], pushed: 20d, expect: delete, by: services/untagged}")
    assert [mismatch.actual for mismatch in verdict.mismatches] == ["it is delete by services/old"]


def test_an_untag_names_the_tags_that_come_off(tmp_path: Path) -> None:
    images = "- {tags: [1.0.0, pr-1], pushed: 20d, expect: untag, remove_tags: [%s]}"
    assert _verdict(tmp_path, images.replace("%s", "pr-1")).passed
    (mismatch,) = _verdict(tmp_path, images.replace("%s", "1.0.0")).mismatches
    assert (mismatch.expected, mismatch.actual) == ("untag of 1.0.0", "it is untag of pr-1 by services/old")


def test_where_a_registry_cannot_untag_a_test_that_is_told_so_expects_it_to_stay(tmp_path: Path) -> None:
    case = _case(tmp_path, "- {tags: [1.0.0, pr-1], pushed: 20d}")
    assert not run_case(case).passed
    assert run_case(case, abilities=Abilities()).passed


def test_a_registry_is_the_first_that_the_policy_names(tmp_path: Path) -> None:
    images = "- {pushed: 1d}"
    assert _case(tmp_path, images).registry.name == "other"
    assert _case(tmp_path, images, case="  registry: prod\n").registry.name == "prod"


def test_every_key_of_an_image_is_read(tmp_path: Path) -> None:
    plain, whole, orphan, scheme = _case(
        tmp_path,
        """
        - {}
        - tags: [1.0, 012]
          pushed: 2026-01-31T10:00:00+02:00
          created: 2026-01-30
          pulled: never
          tagged: 1d
          archived: 90d
          size: 2kB
          type: helm
          media_type: a/b
          artifact_type: c/d
          labels: {a: 1}
          locked: true
          id: whole
          children: [whole]
        - {subject: "sha256:gone", tags: []}
        - {tags: ["sha256-%s.sig"], pulled: 1d}
        """.replace("%s", "b" * 64),
    ).inventory.images
    assert plain.type is ImageType.IMAGE
    assert (plain.pulled_at, plain.pushed_at, plain.children, plain.labels) == (UNSET, None, (), {})
    assert whole.tags == ("1.0", "012")
    assert (str(whole.pushed_at), str(whole.created_at)) == (
        "2026-01-31 08:00:00+00:00",
        "2026-01-30 00:00:00+00:00",
    )
    assert (whole.pulled_at, whole.size_bytes, whole.type, whole.locked) == (None, 2000, ImageType.HELM, True)
    assert whole.children == (whole.digest,)
    assert orphan.subject == "sha256:gone"
    assert scheme.type is ImageType.SIGNATURE


def test_mistakes_in_a_test_are_told_with_their_places(tmp_path: Path) -> None:
    said = _problems(
        tmp_path,
        """\
        - {tags: [a], pushd: 1d}
        - {tags: [a], pushed: 30}
        - {id: x, children: [y], subject: z}
        - {id: x, expect: deleted}
        - {by: services/olds, remove_tags: [a]}
        - {labels: [a], tags: ""}
        """,
        case='  registry: prud\n  in_use: ["…/UPPER"]\n',
    )
    assert said == [
        '7: registry: there is no registry "prud"; there are prod, other (did you mean "prod"?)',
        "8: in_use: …/UPPER: a repository is written in lower case, upper ()",
        '10: an image of a test has no key "pushd" (did you mean "pushed"?)',
        '11: tags: the tag "a" is on another image already, in line 10 ()',
        "11: pushed: 30 is no time; one is written 2026-06-01T00:00:00Z (an age is written 30d)",
        '12: children: no image of the test has the id "y" ()',
        '12: subject: no image of the test has the id "z" ()',
        '13: two images of the test are called "x" ()',
        '13: expect: "deleted" is none of keep, delete, untag, archive (did you mean "delete"?)',
        '14: by: "services/olds" is no rule of these policies (did you mean "services/old"?)',
        "14: remove_tags: only an untag removes tags (expect: untag)",
        "15: labels: a mapping of labels to texts is wanted, not a list ()",
        "15: tags: an empty text stands here ()",
    ]


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ("version: 1\npolicies: policy.yaml\n", "4: a"),
        (
            "version: 1\npolicies: missing.yaml\nnow: 2026-06-01T00:00:00Z\n",
            "0: there is no such file or folder ()",
        ),
        (
            _HEAD.replace("Z", ""),
            "3: now: 2026-06-01T00:00:00 lacks its offset; write 2026-06-01T00:00:00Z if it is in UTC ()",
        ),
    ],
)
def test_a_file_needs_policies_that_are_there_and_a_now(tmp_path: Path, head: str, message: str) -> None:
    said = _problems(tmp_path, "- {}", head=head)
    assert any(message in each for each in said) or "a file of policy tests needs now" in said[0]


@pytest.mark.parametrize(
    "tests", ["tests: []", "tests:", "", "tests: [{name: a, repository: b, images: []}]"]
)
def test_a_file_without_a_test_is_a_mistake(tmp_path: Path, tests: str) -> None:
    _write(tmp_path, "- {}")
    file = tmp_path / "empty.test.yaml"
    file.write_text(_HEAD + tests + "\n")
    with pytest.raises(PolicyError):
        load_cases(file, {}, KINDS)


def test_mistakes_of_the_policies_are_told_too(tmp_path: Path) -> None:
    _write(tmp_path, "- {}")
    (tmp_path / "wrong.yaml").write_text("version: 2\n")
    file = tmp_path / "empty.test.yaml"
    file.write_text(_HEAD.replace("policy.yaml", "[policy.yaml, wrong.yaml]") + "nope: 1\n")
    with pytest.raises(PolicyError) as caught:
        load_cases(file, {}, KINDS)
    assert [Path(problem.file).name for problem in caught.value.problems] == [
        "empty.test.yaml",
        "empty.test.yaml",
        "wrong.yaml",
    ]
