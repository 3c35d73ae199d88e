"""What a run comes to: its counts by repository and in all, and its exit code."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from janitor.core.plan import RepositoryPlan, RepositoryState
from janitor.core.report import Outcome, OutcomeKind, RepositoryReport, Totals

_INTERRUPTED = 128


class Counts:
    """Counts of outcomes, filled one by one in the order of a plan."""

    def __init__(self, plans: Sequence[RepositoryPlan]) -> None:
        self._counts: dict[tuple[str, str], dict[str, int]] = {}
        self._plans = plans
        self._planned_bytes = 0
        self._deleted_bytes = 0

    def add(self, outcomes: Iterable[Outcome]) -> None:
        """Count outcomes."""
        for outcome in outcomes:
            action = outcome.action
            counts = self._counts.setdefault((action.registry, action.repository), {})
            counts["planned"] = counts.get("planned", 0) + 1
            if outcome.outcome is not OutcomeKind.PLANNED:
                counts[outcome.outcome] = counts.get(outcome.outcome, 0) + 1
            if action.action == "delete":
                self._planned_bytes += action.size_bytes or 0
            if outcome.outcome is OutcomeKind.DELETED:
                self._deleted_bytes += action.size_bytes or 0

    def plan(self, plan: RepositoryPlan, actions: int, deletions: int, size: int) -> None:
        """Count the actions of a repository that are only planned; ``size`` is in bytes.

        What would be deleted doesn't count as remaining, unless the repository is stopped.
        """
        leaving = deletions if plan.state is RepositoryState.OK else 0
        self._counts[plan.registry, plan.repository] = {"planned": actions, "leaving": leaving}
        self._planned_bytes += size

    def repositories(self) -> tuple[RepositoryReport, ...]:
        """Every repository of the plan, with what it had and lost."""
        return tuple(self._repository(plan) for plan in self._plans)

    def _repository(self, plan: RepositoryPlan) -> RepositoryReport:
        counts = self._counts.get((plan.registry, plan.repository), {})
        deleted = counts.get("deleted", 0)
        return RepositoryReport(
            registry=plan.registry,
            repository=plan.repository,
            images=plan.images,
            state=plan.state,
            planned=counts.get("planned", 0),
            deleted=deleted,
            failed=counts.get("failed", 0),
            refused=counts.get("refused", 0),
            skipped=counts.get("skipped", 0),
            remaining=plan.images - deleted - counts.get("leaving", 0),
        )

    def totals(self) -> Totals:
        """Add all repositories up."""

        def total(key: str) -> int:
            return sum(counts.get(key, 0) for counts in self._counts.values())

        return Totals(
            repositories=len(self._plans),
            images=sum(plan.images for plan in self._plans),
            planned=total("planned"),
            deleted=total("deleted"),
            untagged=total("untagged"),
            archived=total("archived"),
            failed=total("failed"),
            refused=total("refused"),
            skipped=total("skipped"),
            planned_bytes=self._planned_bytes,
            deleted_bytes=self._deleted_bytes,
        )


def exit_code(
    repositories: Iterable[RepositoryReport], *, errors: bool, limited: bool, signal: int | None
) -> int:
    """Say with what a run ends: 130 or 143, 1, 3 or 0, the first that applies.

    ``errors``: something could not be read or written; ``limited``: something was stopped after the plan.
    """
    repositories = tuple(repositories)
    if signal is not None:
        return _INTERRUPTED + signal
    if errors or any(one.failed or one.state is RepositoryState.FAILED for one in repositories):
        return 1
    if limited or any(one.state is RepositoryState.LIMITED for one in repositories):
        return 3
    return 0
