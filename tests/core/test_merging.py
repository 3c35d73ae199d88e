from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest

from janitor.core.merging import Merged, Part, merge
from janitor.core.report import (
    ErrorReport,
    Outcome,
    RegistryReport,
    Report,
    RepositoryReport,
    RequestCounts,
    Totals,
    Unselected,
    UseReport,
    UseSource,
)
from tests.instant import NOW
from tests.reports.ledger import outcome, report, repository

ERROR = ErrorReport(registry="prod", code="denied", message="403")


def run(day: int, *repositories: RepositoryReport, mode: str = "delete", **fields: Any) -> Report:
    """A run that began so many days after the first."""
    at = NOW + timedelta(days=day)
    usual: dict[str, Any] = {
        "run_id": f"run-{day}",
        "started_at": at,
        "finished_at": at + timedelta(hours=1),
        "totals": totals(repositories),
    }
    return report(*repositories, mode=mode, **usual | fields)


def totals(repositories: Iterable[RepositoryReport], **more: int) -> Totals:
    held = list(repositories)
    sums = {
        name: sum(getattr(each, name) for each in held)
        for name in ("images", "planned", "deleted", "failed", "refused", "skipped")
    }
    return Totals(repositories=len(held), **sums | more)


def merged(*reports: Report) -> Report:
    return merge([Part(report=each) for each in reports]).report


def test_shards_share_no_repository_and_their_totals_add_up() -> None:
    one = run(0, repository("a", planned=3, deleted=2, failed=1, remaining=8))
    two = run(0, repository("b", planned=1, refused=1), run_id="other")
    one.totals.deleted_bytes, two.totals.planned_bytes = 7, 9
    both = merged(one, two)
    wanted = totals([*one.repositories, *two.repositories], deleted_bytes=7, planned_bytes=9)
    assert both.totals == wanted
    assert both.repositories == (*one.repositories, *two.repositories)


def test_a_repository_is_as_the_latest_run_has_it_with_what_the_earlier_ones_deleted() -> None:
    days = [
        run(0, repository("a", images=100, planned=30, deleted=20, failed=6, refused=4, remaining=80)),
        run(1, repository("a", images=90, planned=12, deleted=10, skipped=2, remaining=80)),
    ]
    (only,) = merged(*reversed(days)).repositories
    assert (only.images, only.planned, only.deleted, only.remaining) == (110, 32, 30, 80)
    assert (only.failed, only.refused, only.skipped) == (0, 0, 2)
    assert only.images == only.deleted + only.remaining
    assert only.planned == only.deleted + only.failed + only.refused + only.skipped


def test_dry_runs_of_several_days_count_no_image_twice() -> None:
    days = [run(day, repository("a", planned=5, remaining=5), mode="dry-run") for day in range(3)]
    both = merged(*days)
    assert (both.totals.planned, both.totals.images) == (5, 10)


def test_what_an_image_was_planned_for_is_told_by_the_latest_and_what_was_done_by_each() -> None:
    old, new = run(0, repository("a"), repository("gone")), run(1, repository("a"))
    found = merge([Part(report=new), Part(report=old)])
    told = {
        kind: (
            found.stands(0, outcome("x", repository="a", kind=kind)),
            found.stands(1, outcome("x", kind=kind)),
        )
        for kind in ("planned", "deleted", "untagged", "archived", "failed", "refused", "skipped")
    }
    assert {kind for kind, (earlier, _) in told.items() if earlier} == {"deleted", "untagged", "archived"}
    assert all(later for _, later in told.values())
    assert found.stands(0, outcome("x", repository="gone", kind="failed"))


@pytest.mark.parametrize(
    ("codes", "gravest"),
    [((0, 3), 3), ((3, 1), 1), ((1, 2, 0), 2), ((1, 143, 2), 143), ((0, 0), 0), ((130, 3), 130)],
)
def test_of_exit_codes_the_gravest_stands(codes: tuple[int, ...], gravest: int) -> None:
    assert merged(*(run(day, exit_code=code) for day, code in enumerate(codes))).exit_code == gravest


def test_times_span_all_runs_and_ids_name_them() -> None:
    both = merged(run(2), run(0), run(1))
    assert both.started_at == NOW
    assert both.finished_at == NOW + timedelta(days=2, hours=1)
    assert both.run_id == "run-0,run-1,run-2"


def test_requests_add_up_by_registry() -> None:
    def asked(name: str, count: int) -> RegistryReport:
        requests = RequestCounts(list=count, delete=2 * count, other=3 * count)
        return RegistryReport(name=name, provider="oci", requests=requests, retries=count)

    both = merged(run(0, registries=(asked("a", 1), asked("b", 1))), run(1, registries=(asked("a", 4),)))
    assert both.registries == (asked("a", 5), asked("b", 1))


def test_what_no_rule_selects_adds_up_over_shards_and_not_over_days() -> None:
    shards = [
        run(
            day,
            repository(name),
            unselected=(Unselected(pattern="sha-*", images=images),),
            run_id=f"{day}{name}",
        )
        for day, name, images in ((0, "a", 5), (0, "b", 6), (1, "a", 7), (1, "b", 8))
    ]
    assert merged(*shards).unselected == (Unselected(pattern="sha-*", images=15),)


def test_a_source_of_use_is_told_once_and_unread_where_any_shard_could_not_read_it() -> None:
    def used(error: str | None, *missing: str) -> UseReport:
        source = UseSource(source="url", references=0 if error else 9, error=error)
        return UseReport(sources=(source,), references=9, not_found=missing)

    found = merged(
        run(0, repository("a"), in_use=used("no answer", "x")),
        run(1, repository("b"), in_use=used(None, "x", "y")),
    ).in_use
    assert found == UseReport(
        sources=(UseSource(source="url", error="no answer"),), references=9, not_found=("x", "y")
    )


def test_errors_are_kept_once_each() -> None:
    other = ErrorReport(code="file", message="the journal")
    assert merged(run(0, errors=(ERROR, other)), run(1, errors=(ERROR,))).errors == (ERROR, other)


def planned_bytes(*parts: tuple[Report, list[Outcome] | None]) -> int:
    found: Merged = merge(
        [
            Part(report=each, outcomes=None if lines is None else lambda lines=lines: lines)  # type: ignore[misc]  # a lambda's default
            for each, lines in parts
        ]
    )
    return found.report.totals.planned_bytes


def test_planned_bytes_of_what_a_later_run_plans_again_count_once() -> None:
    old = run(0, repository("a", planned=2, deleted=1, failed=1))
    old.totals.planned_bytes, old.totals.deleted_bytes = 30, 20
    new = run(1, repository("a", planned=1, failed=1))
    new.totals.planned_bytes = 10
    assert planned_bytes((old, None), (new, None)) == 30


def test_planned_bytes_of_a_run_of_which_a_part_is_told_again_are_counted_by_its_lines() -> None:
    old = run(0, repository("a", planned=2), repository("b", planned=1))
    old.totals.planned_bytes = 1100
    lines = [
        outcome("1", repository="a", kind="deleted", size=20),
        outcome("2", repository="a", kind="failed", size=80),
        outcome("3", repository="b", kind="failed", size=1000),
    ]
    new = run(1, repository("a", planned=1, failed=1))
    new.totals.planned_bytes = 80
    assert planned_bytes((old, lines), (new, None)) == 20 + 1000 + 80
    assert planned_bytes((old, None), (new, None)) == 1100 + 80
