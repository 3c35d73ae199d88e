from __future__ import annotations

from collections.abc import Sequence

import pytest

from janitor.core.overview import AGES, Fate, Overview, headline, overview, sums, verdict
from janitor.core.plan import ActionKind, RepositoryPlan, RepositoryState
from janitor.core.report import ErrorReport, Outcome, Report, Totals
from janitor.core.tally import Counts
from tests.reports.ledger import outcome, report, repository


def seen(shown: Report, *outcomes: Outcome, most: int = 100, each: int = 100) -> Overview:
    return overview(shown, outcomes, most=most, each=each)


def tallied(outcomes: Sequence[Outcome], *plans: RepositoryPlan) -> Report:
    """The report of a run that deleted, counted as a run counts."""
    counts = Counts(plans)
    counts.add(outcomes)
    return report(*counts.repositories(), mode="delete", totals=counts.totals())


@pytest.mark.parametrize(
    ("kind", "action", "fate"),
    [
        ("planned", "delete", Fate.GOES),
        ("planned", "untag", Fate.UNTAGGED),
        ("planned", "archive", Fate.ARCHIVED),
        ("deleted", "delete", Fate.GOES),
        ("untagged", "untag", Fate.UNTAGGED),
        ("archived", "archive", Fate.ARCHIVED),
        ("failed", "delete", Fate.FAILED),
        ("refused", "untag", Fate.REFUSED),
        ("skipped", "archive", Fate.SKIPPED),
    ],
)
def test_what_becomes_of_an_image(kind: str, action: str, fate: Fate) -> None:
    found = seen(report(), outcome("x", kind=kind, action=action))
    assert {each for each, count in found.fates.items() if count} == {fate}


def test_what_is_planned_in_a_stopped_repository_or_left_by_a_deletion_does_not_go() -> None:
    stopped = seen(report(repository(state="limited")), outcome("x"))
    left = seen(report(mode="delete"), outcome("x"))
    assert stopped.fates[Fate.STOPPED] == left.fates[Fate.STOPPED] == 1
    assert stopped.total.goes == left.total.goes == 0


def test_sizes_are_of_what_goes_and_unknown_ones_are_counted() -> None:
    found = seen(report(), outcome("a", size=5), outcome("b", size=None), outcome("c", size=7, kind="failed"))
    assert (found.total.size, found.total.unsized) == (5, 1)
    assert sums(found).going[ActionKind.DELETE] == 2
    assert sums(found).size == 5


@pytest.mark.parametrize(
    ("age", "label"),
    [
        ("1h", "<7d"),
        ("7d", "<14d"),
        ("89d", "<90d"),
        ("90d", "<180d"),
        ("2y", "2y+"),
        ("40y", "2y+"),
        (None, "?"),
    ],
)
def test_ages_fall_in_one_place_each(age: str | None, label: str) -> None:
    found = seen(report(), outcome("x", pushed=age))
    told = {name for (name, _), share in zip(AGES, found.ages, strict=True) if share.goes}
    assert told == {label}


def test_images_are_kept_as_many_as_asked_and_those_not_done_beside_them() -> None:
    well = [outcome(f"{n}", repository=f"r{n % 3}") for n in range(30)]
    bad = [outcome(f"bad-{n}", repository="r0", kind="failed") for n in range(30)]
    found = seen(report(*(repository(f"r{n}") for n in range(3))), *well, *bad, most=8, each=3)
    assert [len(each.shown) for each in found.corners.values()] == [3, 3, 2]
    assert [len(each.left) for each in found.corners.values()] == [3, 0, 0]
    assert found.total.images == 60


def test_repositories_come_by_what_they_free_and_quiet_ones_not_at_all() -> None:
    shown = report(
        repository("small"), repository("quiet"), repository("stopped", state="limited"), repository("large")
    )
    found = seen(shown, outcome("a", repository="small", size=1), outcome("b", repository="large", size=9))
    assert [each.report.repository for each in found.largest()] == ["large", "small", "stopped"]


def test_why_a_repository_is_not_touched_is_its_error_or_its_registrys_or_the_limit() -> None:
    shown = report(
        repository("a", state="failed"),
        repository("b", state="failed"),
        repository("c", state="limited"),
        errors=(
            ErrorReport(registry="prod", code="x", message="all of it"),
            ErrorReport(registry="prod", repository="a", code="x", message="this one"),
        ),
    )
    found = seen(shown, outcome("x", repository="c", detail="over 80 %"))
    why = {each.report.repository: each.why for each in found.corners.values()}
    assert why == {"a": "this one", "b": "all of it", "c": "over 80 %"}


def test_counts_alone_tell_the_same_as_the_images_of_a_deletion() -> None:
    kinds = ["deleted"] * 5 + ["failed", "refused", "skipped", "skipped"]
    outcomes = [outcome(f"{n}", repository="a", kind=kind, size=n) for n, kind in enumerate(kinds)]
    outcomes += [outcome("u", repository="b", kind="untagged", action="untag", remove=["u"])]
    outcomes += [outcome("v", repository="b", kind="archived", action="archive")]
    outcomes += [outcome("w", repository="c", kind="skipped")]
    plans = [
        RepositoryPlan(registry="prod", repository="a", images=20),
        RepositoryPlan(registry="prod", repository="b", images=9),
        RepositoryPlan(registry="prod", repository="c", images=9, state=RepositoryState.LIMITED),
    ]
    shown = tallied(outcomes, *plans)
    with_images, without = seen(shown, *outcomes), seen(shown)
    assert with_images.fates == without.fates
    for one, other in zip(with_images.corners.values(), without.corners.values(), strict=True):
        assert (one.goes, one.changed, one.undone) == (other.goes, other.changed, other.undone)
    assert (with_images.total.size, with_images.listed) == (without.total.size, not without.listed)


def test_the_headline_does_not_speak_of_nothing_freed() -> None:
    shown = report(totals=Totals(repositories=1, images=3))
    assert headline(shown, seen(shown).total) == "Would delete 0 of 3 images in 1 repository"


@pytest.mark.parametrize(
    ("code", "words"), [(0, "nothing failed"), (3, "a limit"), (143, "interrupted"), (9, "9")]
)
def test_the_exit_code_is_told_in_words(code: int, words: str) -> None:
    assert words in verdict(report(exit_code=code))
