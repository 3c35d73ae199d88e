"""Reports and outcomes with every field defaulted: a test says only what matters to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import UNSET

from janitor.core.plan import Action, ActionKind, RepositoryState
from janitor.core.report import Outcome, OutcomeKind, Report, RepositoryReport, Totals
from tests.factories import ago, digest
from tests.instant import NOW


def outcome(
    *tags: str,
    kind: str = "planned",
    action: str = "delete",
    repository: str = "team/app",
    registry: str = "prod",
    detail: str | None = None,
    rules: Sequence[str] = ("cleanup/1",),
    reason: str = "older than 14d",
    size: int | None = 2**20,
    pushed: str | None = "20d",
    remove: Sequence[str] | None = None,
    id: str = "",  # noqa: A002  as factories call it
) -> Outcome:
    """One image that is planned to go; without tags it is untagged, and called by ``id``."""
    return Outcome(
        action=Action(
            action=ActionKind(action),
            registry=registry,
            repository=repository,
            digest=digest(id or " ".join(tags) or "untagged"),
            tags=tags,
            remove_tags=UNSET if remove is None else tuple(remove),
            rules=tuple(rules),
            reason=reason,
            size_bytes=size,
            pushed_at=None if pushed is None else ago(pushed),
        ),
        outcome=OutcomeKind(kind),
        detail=detail,
    )


def repository(
    name: str = "team/app", *, state: str = "ok", images: int = 10, **counts: Any
) -> RepositoryReport:
    """One repository of ten images, of the registry ``prod`` unless said otherwise."""
    usual: dict[str, Any] = {"registry": "prod", "remaining": images}
    return RepositoryReport(repository=name, images=images, state=RepositoryState(state), **usual | counts)


def report(*repositories: RepositoryReport, mode: str = "dry-run", **fields: Any) -> Report:
    """A dry run of these repositories, or of one."""
    held = repositories or (repository(),)
    usual: dict[str, Any] = {
        "run_id": "20260601T000000Z-1",
        "started_at": NOW,
        "finished_at": NOW,
        "exit_code": 0,
        "totals": Totals(repositories=len(held), images=sum(each.images for each in held)),
        "repositories": held,
    }
    return Report(mode=mode, **usual | fields)
