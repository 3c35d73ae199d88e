from __future__ import annotations

import re
from datetime import timedelta
from xml.etree import ElementTree as ET

import pytest

from janitor.core.report import ErrorReport, Outcome, Report
from janitor.core.tally import exit_code
from janitor.reports.junit import render
from tests.instant import NOW
from tests.reports.ledger import outcome, report, repository

DENIED = ErrorReport(registry="lost", code="denied", message="403")


def document(shown: Report, *outcomes: Outcome) -> ET.Element:
    return ET.fromstring("".join(render(shown, outcomes)))  # noqa: S314  it is ours


def case(root: ET.Element, name: str) -> ET.Element:
    (found,) = [each for each in root.iter("testcase") if each.get("name") == name]
    return found


def test_a_repository_is_a_testcase_and_a_registry_a_testsuite() -> None:
    root = document(report(repository("a"), repository("b"), repository("c", registry="other")))
    suites = {suite.get("name"): [each.get("name") for each in suite.iter("testcase")] for suite in root}
    assert suites == {"prod": ["a", "b"], "other": ["c"]}
    assert {each.get("classname") for each in root[0].iter("testcase")} == {"prod"}
    assert not [*root.iter("failure"), *root.iter("error"), *root.iter("skipped")]


def test_what_failed_is_a_failure_that_names_the_images() -> None:
    root = document(
        report(repository("a", planned=3, failed=2, deleted=1), mode="delete"),
        outcome("1", repository="a", kind="failed", detail="HTTP 500"),
        outcome("2", repository="a", kind="deleted"),
        outcome("3", repository="a", kind="failed", detail="HTTP 502"),
    )
    failure = case(root, "a").find("failure")
    assert failure is not None
    assert failure.get("message") == "2 images of 3 failed"
    assert (failure.text or "").count("\n") == 1
    assert "(1): HTTP 500" in (failure.text or "")


def test_a_repository_that_could_not_be_read_is_a_failure_with_its_reason() -> None:
    error = ErrorReport(registry="prod", repository="a", code="malformed", message="a page was repeated")
    root = document(report(repository("a", state="failed"), errors=(error,)))
    failure = case(root, "a").find("failure")
    assert failure is not None
    assert (failure.get("type"), failure.get("message")) == ("unread", "a page was repeated")
    assert root[0].get("tests") == "1"


def test_what_a_limit_stopped_is_skipped() -> None:
    root = document(report(repository("a", planned=5, state="limited")))
    skipped = case(root, "a").find("skipped")
    assert skipped is not None
    assert "5 images planned" in str(skipped.get("message"))
    assert (root[0].get("skipped"), root[0].get("failures")) == ("1", "0")


def test_an_error_of_a_registry_or_the_run_has_a_testcase_of_its_own() -> None:
    run = ErrorReport(code="file", message="the journal can't be written")
    root = document(report(repository("a"), errors=(DENIED, run)))
    assert case(root, "lost as a whole").find("failure") is not None
    assert case(root, "run as a whole").find("failure") is not None
    assert [suite.get("failures") for suite in root] == ["0", "1", "1"]


def test_a_message_that_could_not_be_sent_makes_nothing_red() -> None:
    error = ErrorReport(code="notify", message="policy.yaml:3: slack: no answer")
    root = document(report(repository("a"), errors=(error,)))
    assert not [*root.iter("failure"), *root.iter("error")]
    assert "policy.yaml:3: slack: no answer" in [each.text for each in root.iter("system-err")]


@pytest.mark.parametrize(
    ("repositories", "errors"),
    [
        ((repository(),), ()),
        ((repository(failed=1, planned=1),), ()),
        ((repository(state="failed"),), ()),
        ((repository(state="limited", planned=1),), ()),
        ((repository(state="limited", planned=2, failed=1),), ()),
        ((), (DENIED,)),
        ((repository(state="limited", planned=1),), (DENIED,)),
    ],
)
def test_it_is_red_whenever_the_exit_code_is_1_and_skipped_when_it_is_3(
    repositories: tuple[object, ...], errors: tuple[ErrorReport, ...]
) -> None:
    shown = report(*repositories, errors=errors)  # type: ignore[arg-type]  # of the table above
    held = shown.repositories if repositories else ()
    code = exit_code(held, errors=bool(errors), limited=False, signal=None)
    root = document(shown)
    red = bool([*root.iter("failure"), *root.iter("error")])
    assert (red, not red and bool([*root.iter("skipped")])) == (code == 1, code == 3)


def test_it_has_the_shape_that_ant_and_jenkins_ask_for() -> None:
    root = document(
        report(
            repository("a", planned=1, failed=1),
            repository("b", planned=1, state="limited"),
            repository("c"),
            errors=(DENIED,),
            finished_at=NOW + timedelta(seconds=61),
        ),
        outcome("x", repository="a", kind="failed"),
    )
    assert (root.tag, {suite.tag for suite in root}) == ("testsuites", {"testsuite"})
    for place, suite in enumerate(root):
        wanted = {
            "id", "name", "package", "hostname", "timestamp", "tests", "failures", "errors", "skipped", "time"
        }  # fmt: skip
        assert set(suite.attrib) == wanted
        assert suite.get("id") == str(place)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", str(suite.get("timestamp")))
        order = [child.tag for child in suite]
        assert order == [
            "properties",
            *["testcase"] * int(str(suite.get("tests"))),
            "system-out",
            "system-err",
        ]
        for each in suite.iter("testcase"):
            assert set(each.attrib) == {"name", "classname", "time"}
            assert len(each) <= 1
            assert all(set(child.attrib) <= {"message", "type"} for child in each)
        for kind in ("failure", "error", "skipped"):
            name = {"failure": "failures", "error": "errors"}.get(kind, kind)
            assert suite.get(name) == str(len(list(suite.iter(kind))))
    assert [suite.get("time") for suite in root] == ["61.000", "0.000"]


def test_names_from_a_registry_are_text_whatever_they_hold() -> None:
    evil = '"><script>\x00\x1b]]>&<!--\ud800\ufffe\n'
    root = document(
        report(repository(evil, planned=1, failed=1), errors=(ErrorReport(code="x", message=evil),)),
        outcome(evil, repository=evil, kind="failed", detail=evil, id="x"),
    )
    assert [child.tag for child in root[0].iter("testcase")] == ["testcase"]
    assert str(root[0][1].get("name")).startswith('"><script>\\x00\\x1b]]>&<!--\\ud800\\ufffe')


def test_a_repository_with_many_failures_names_some_and_counts_the_rest() -> None:
    outcomes = [outcome(f"{n}", repository="a", kind="failed") for n in range(500)]
    failure = case(document(report(repository("a", planned=500, failed=500)), *outcomes), "a").find("failure")
    assert failure is not None
    assert str(failure.text).splitlines()[-1] == "and 480 more"
