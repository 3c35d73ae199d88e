from __future__ import annotations

from typing import Any

import pytest

from janitor import log
from janitor.core.policy import NotifySpec
from janitor.core.report import NOTIFY, Report, Totals
from janitor.errors import FileError
from janitor.net.notify import Timing
from janitor.notifying import broken_off, events, tell
from tests.factories import WHERE
from tests.instant import NOW
from tests.reports.ledger import report, repository
from tests.simulators.server import Answer
from tests.simulators.webhook import Webhook, parts

NOTHING = report()
LIMITED = report(repository(state="limited", planned=1), exit_code=3)
FAILED = report(exit_code=1)
BOTH = report(repository(state="limited", planned=1), exit_code=1)
DEADLINE = report(exit_code=3)
INTERRUPTED = report(exit_code=143)
DELETED = report(mode="delete", totals=Totals(deleted=1))
ARCHIVED = report(mode="delete", totals=Totals(archived=1))
UNTAGGED = report(mode="delete", totals=Totals(untagged=1))


def hook(url: str, *on: str, form: str = "json") -> NotifySpec:
    return NotifySpec(webhook=url, format=form, on=on or ("always",), where=WHERE)


def told(shown: Report, *specs: NotifySpec) -> Any:
    return tell(specs, shown, {}, timing=Timing(sleep=lambda _: None))


@pytest.mark.parametrize(
    ("shown", "happened"),
    [
        (NOTHING, set()),
        (LIMITED, {"limit"}),
        (DEADLINE, {"limit"}),
        (FAILED, {"failure"}),
        (BOTH, {"failure", "limit"}),
        (INTERRUPTED, {"failure"}),
        (DELETED, {"deletion"}),
        (ARCHIVED, {"deletion"}),
        (UNTAGGED, set()),
    ],
)
def test_what_happened_in_a_run(shown: Report, happened: set[str]) -> None:
    assert events(shown) == happened | {"always"}


@pytest.mark.parametrize(
    ("on", "count"),
    [(("always",), 1), (("failure",), 0), (("limit",), 1), (("failure", "limit"), 1), (("deletion",), 0)],
)
def test_who_asked_for_what_happened_is_told(on: tuple[str, ...], count: int) -> None:
    with Webhook() as server:
        assert told(LIMITED, hook(server.url, *on)) == ()
        assert len(server.messages) == count


def test_a_dry_run_that_only_plans_is_no_deletion() -> None:
    shown = report(repository(planned=5, remaining=5), totals=Totals(planned=5))
    with Webhook() as server:
        told(shown, hook(server.url, "deletion"), hook(server.url, "always", form="slack"))
        assert len(server.messages) == 1


@pytest.mark.parametrize(
    ("form", "field"), [("json", "totals"), ("slack", "blocks"), ("teams", "attachments")]
)
def test_each_is_told_in_its_form(form: str, field: str) -> None:
    with Webhook() as server:
        told(NOTHING, hook(server.url, form=form))
        (message,) = server.messages
    assert field in message


def test_an_address_that_several_entries_name_is_told_once() -> None:
    with Webhook() as server:
        told(BOTH, hook(server.url, "failure"), hook(server.url, "limit"), hook(server.url, "deletion"))
        assert len(server.messages) == 1


def test_one_that_fails_keeps_nobody_else_from_being_told() -> None:
    with Webhook(*[Answer(status=404, body=b"no_service")]) as bad, Webhook() as good:
        errors = told(NOTHING, hook(bad.url, form="slack"), hook(good.url), hook("https://[", form="teams"))
        assert len(good.messages) == 1
    assert [error.code for error in errors] == [NOTIFY, NOTIFY]
    assert errors[0].message == (
        f"policy.yaml:1 (slack) was not told: the webhook: {bad.host} answered 404: no_service"
    )
    assert errors[1].message == "policy.yaml:1 (teams) was not told: its address is no URL"


def test_the_address_is_in_no_error_and_no_log(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure(log.Format.JSON, verbose=True)
    with Webhook(*[Answer(status=500)] * 3, Answer(status=404)) as server:
        (error,) = told(NOTHING, hook(server.url))
        told(NOTHING, hook(server.url))
        written = "".join(capsys.readouterr()) + error.message
        hidden = parts(server.url)
    assert "notify.failed" in written
    assert "notify.sent" in written
    assert "policy.yaml:1 (json)" in written
    assert [part for part in hidden if part in written] == []


def test_a_run_that_broke_off_is_a_failure_with_its_reason() -> None:
    error = FileError("the state folder is held by run 7; https://u:pw@example.com")
    shown = broken_off(error, run_id="r", deleting=True, policies=("p",), started_at=NOW, finished_at=NOW)
    assert (shown.exit_code, shown.mode, shown.policies) == (1, "delete", ("p",))
    assert [(each.code, each.message) for each in shown.errors] == [
        ("file", "the state folder is held by run 7; https://***@example.com")
    ]
    assert events(shown) == {"always", "failure"}


def test_a_bug_is_told_by_its_kind_alone() -> None:
    shown = broken_off(
        ValueError("secret"), run_id="r", deleting=False, policies=(), started_at=NOW, finished_at=NOW
    )
    assert [each.message for each in shown.errors] == ["this is a bug: ValueError"]
