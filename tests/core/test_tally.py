"""What a run comes to: its counts by repository and in all, and its exit code."""

from __future__ import annotations

import pytest

from janitor.core.plan import Action, ActionKind, RepositoryPlan, RepositoryState
from janitor.core.report import Outcome, OutcomeKind, RepositoryReport
from janitor.core.tally import Counts, exit_code
from tests.factories import digest


def repository(name: str = "a", images: int = 10, **fields: RepositoryState) -> RepositoryPlan:
    return RepositoryPlan(registry="prod", repository=name, images=images, **fields)


def outcome(
    kind: str, *, repository: str = "a", size: int | None = 5, action: str | None = None, name: str = "1"
) -> Outcome:
    usual = {"untagged": ActionKind.UNTAG, "archived": ActionKind.ARCHIVE}
    return Outcome(
        action=Action(
            action=ActionKind(action) if action else usual.get(kind, ActionKind.DELETE),
            registry="prod",
            repository=repository,
            digest=digest(name),
            tags=(),
            rules=("cleanup/1",),
            reason="",
            size_bytes=size,
            pushed_at=None,
        ),
        outcome=OutcomeKind(kind),
    )


def counts(*outcomes: Outcome, plans: tuple[RepositoryPlan, ...] = ()) -> Counts:
    found = Counts(plans or (repository(),))
    found.add(outcomes)
    return found


def test_every_outcome_counts_as_planned_and_as_what_became_of_it() -> None:
    kinds = ("planned", "deleted", "deleted", "untagged", "archived", "failed", "refused", "skipped")
    totals = counts(*map(outcome, kinds)).totals()
    assert (totals.planned, totals.deleted, totals.untagged, totals.archived) == (8, 2, 1, 1)
    assert (totals.failed, totals.refused, totals.skipped) == (1, 1, 1)


def test_a_repository_has_what_it_had_and_lost() -> None:
    (report,) = counts(*map(outcome, ("deleted", "deleted", "failed", "refused", "skipped"))).repositories()
    assert (report.images, report.planned, report.deleted, report.remaining) == (10, 5, 2, 8)
    assert (report.failed, report.refused, report.skipped) == (1, 1, 1)


def test_only_deletions_leave_fewer_images() -> None:
    (report,) = counts(outcome("archived"), outcome("untagged"), outcome("planned")).repositories()
    assert report.remaining == 10


def test_outcomes_count_for_their_repository() -> None:
    plans = repository("a"), repository("b")
    found = counts(outcome("deleted"), outcome("deleted", repository="b"), outcome("failed"), plans=plans)
    assert [(one.repository, one.planned, one.deleted) for one in found.repositories()] == [
        ("a", 2, 1),
        ("b", 1, 1),
    ]


def test_a_repository_without_anything_planned_is_in_the_report() -> None:
    limited = repository("b", images=3, state=RepositoryState.LIMITED)
    reports = counts(outcome("deleted"), plans=(repository("a"), limited)).repositories()
    assert reports[1] == RepositoryReport(
        registry="prod", repository="b", images=3, state=RepositoryState.LIMITED, remaining=3
    )


def test_totals_are_over_all_repositories_of_the_plan() -> None:
    totals = counts(plans=(repository("a", images=10), repository("b", images=5))).totals()
    assert (totals.repositories, totals.images) == (2, 15)


def test_bytes_are_those_of_deletions_and_an_unknown_size_adds_nothing() -> None:
    totals = counts(
        outcome("planned", size=1),
        outcome("deleted", size=20),
        outcome("failed", size=300),
        outcome("deleted", size=None),
        outcome("archived", size=4000),
        outcome("untagged", size=50_000),
    ).totals()
    assert (totals.planned_bytes, totals.deleted_bytes) == (321, 20)


def test_a_plan_that_is_not_carried_out_counts_as_planned() -> None:
    found = counts()
    found.plan(repository(), actions=7, deletions=5, size=99)
    assert (found.totals().planned, found.totals().planned_bytes, found.totals().deleted) == (7, 99, 0)
    assert found.repositories()[0].planned == 7


def test_what_would_be_deleted_would_not_remain_unless_it_is_stopped() -> None:
    for state, left in ((RepositoryState.OK, 6), (RepositoryState.LIMITED, 10)):
        plan = repository(state=state)
        found = Counts([plan])
        found.plan(plan, actions=5, deletions=4, size=0)
        assert found.repositories()[0].remaining == left


@pytest.mark.parametrize(
    ("code", "fields"),
    [
        (0, {}),
        (0, {"planned": 5, "refused": 3, "skipped": 2}),
        (1, {"failed": 1}),
        (1, {"state": RepositoryState.FAILED}),
        (3, {"state": RepositoryState.LIMITED}),
    ],
)
def test_a_run_ends_with_what_its_repositories_come_to(code: int, fields: dict[str, int]) -> None:
    whole = {"registry": "prod", "repository": "a", "images": 10, "state": RepositoryState.OK, **fields}
    report = RepositoryReport(**whole)  # type: ignore[arg-type]  # fields of the report
    assert exit_code([report], errors=False, limited=False, signal=None) == code


@pytest.mark.parametrize(
    ("code", "errors", "limited", "signal"),
    [
        (0, False, False, None),
        (1, True, False, None),
        (3, False, True, None),
        (1, True, True, None),
        (130, True, True, 2),
        (143, False, False, 15),
    ],
)
def test_of_several_exit_codes_the_first_that_applies_counts(
    code: int, signal: int | None, *, errors: bool, limited: bool
) -> None:
    assert exit_code([], errors=errors, limited=limited, signal=signal) == code


def test_what_failed_outweighs_what_a_limit_stopped() -> None:
    reports = [
        RepositoryReport(registry="prod", repository=name, images=1, state=state)
        for name, state in (("a", RepositoryState.LIMITED), ("b", RepositoryState.FAILED))
    ]
    assert exit_code(reports, errors=False, limited=False, signal=None) == 1
