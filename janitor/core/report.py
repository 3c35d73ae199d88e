"""What happened, as values: outcomes of single images, and the report of a run.

The structs have the shape of the report files (``.json`` is one :class:`Report`).
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import msgspec

from janitor.core.plan import Action, ActionKind, RepositoryState


class OutcomeKind(StrEnum):
    """What became of one planned action."""

    PLANNED = "planned"
    DELETED = "deleted"
    UNTAGGED = "untagged"
    ARCHIVED = "archived"
    RESTORED = "restored"
    FAILED = "failed"
    REFUSED = "refused"
    SKIPPED = "skipped"


class Outcome(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One action and what became of it; ``detail`` says why where it was not done."""

    action: Action
    outcome: OutcomeKind
    detail: str | None = None


class Stay(msgspec.Struct, frozen=True, kw_only=True):
    """One image that stays, and what keeps it: a rule, a protection, a limit, or that nothing selects it."""

    registry: str
    repository: str
    digest: str
    tags: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()


class Sums(msgspec.Struct, kw_only=True):
    """What is counted of outcomes for people: images that go (or went) by what happens to them, and bytes.

    ``size``: of the images that are deleted, ``unsized`` of which have none. ``stopped``: images of which
    something was planned that will not be done.
    """

    going: dict[ActionKind, int] = msgspec.field(default_factory=lambda: dict.fromkeys(ActionKind, 0))
    size: int = 0
    unsized: int = 0
    stopped: int = 0


class Totals(msgspec.Struct, kw_only=True):
    """Sums over a run; images unless the name says bytes."""

    repositories: int = 0
    images: int = 0
    planned: int = 0
    deleted: int = 0
    untagged: int = 0
    archived: int = 0
    failed: int = 0
    refused: int = 0
    skipped: int = 0
    planned_bytes: int = 0
    deleted_bytes: int = 0


class RequestCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Requests by what they were for; retries are counted in them."""

    list: int = 0
    delete: int = 0
    other: int = 0


class RegistryReport(msgspec.Struct, frozen=True, kw_only=True):
    """What one registry was asked."""

    name: str
    provider: str
    requests: RequestCounts = RequestCounts()
    retries: int = 0


class RepositoryReport(msgspec.Struct, frozen=True, kw_only=True):
    """What one repository had and lost."""

    registry: str
    repository: str
    images: int
    state: RepositoryState
    planned: int = 0
    deleted: int = 0
    failed: int = 0
    refused: int = 0
    skipped: int = 0
    remaining: int = 0


class Unselected(msgspec.Struct, frozen=True, kw_only=True):
    """Images that stay only because no rule selects them, by the look of the tag that nothing selects."""

    pattern: str
    images: int


class UseSource(msgspec.Struct, frozen=True, kw_only=True):
    """One source of use: how many references it gave, or why it could not be read."""

    source: str
    references: int = 0
    error: str | None = None


class UseReport(msgspec.Struct, frozen=True, kw_only=True):
    """What the sources of use said. ``not_found``: references that name nothing that was listed."""

    sources: tuple[UseSource, ...] = ()
    references: int = 0
    not_found: tuple[str, ...] = ()


NOTIFY = "notify"
"""The code of an error of a message that could not be sent; it alone doesn't change the exit code."""


class ErrorReport(msgspec.Struct, frozen=True, kw_only=True):
    """Something that went wrong; the names are empty where a whole registry, or the run, is meant."""

    registry: str = ""
    repository: str = ""
    code: str
    message: str


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One run on a page. ``mode`` is ``dry-run`` or ``delete``; ``policies`` are the files' paths."""

    version: int = 1
    run_id: str
    mode: str
    started_at: datetime
    finished_at: datetime
    exit_code: int
    policies: tuple[str, ...] = ()
    totals: Totals = msgspec.field(default_factory=Totals)
    registries: tuple[RegistryReport, ...] = ()
    repositories: tuple[RepositoryReport, ...] = ()
    unselected: tuple[Unselected, ...] = ()
    in_use: UseReport = UseReport()
    errors: tuple[ErrorReport, ...] = ()
