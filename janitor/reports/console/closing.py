"""What stands below the repositories: errors, use, the sums, and what no rule selects."""

from __future__ import annotations

from collections.abc import Iterator

from janitor.core.legible import clean, number
from janitor.core.plan import ActionKind
from janitor.core.report import Outcome, OutcomeKind, Report, Sums
from janitor.core.units import format_size
from janitor.reports.console.paper import Paper

NOT_DONE = (OutcomeKind.FAILED, OutcomeKind.REFUSED, OutcomeKind.SKIPPED)
BOLD, DIM, ALARM = "1", "2", "1;31"

# An exit code above it is a signal's number on top of it.
_SIGNAL = 128
# Shapes of tags, and references that name nothing, that are told one by one; the rest is summed up.
_NAMED = 12

_DRY = {
    ActionKind.DELETE: "would delete",
    ActionKind.UNTAG: "would untag",
    ActionKind.ARCHIVE: "would archive",
}
_DONE = {ActionKind.DELETE: "deleted", ActionKind.UNTAG: "untagged", ActionKind.ARCHIVE: "archived"}


def count(sums: Sums, outcome: Outcome, *, stopped: bool) -> None:
    """Add one outcome; ``stopped``: what is still planned will not be done."""
    if outcome.outcome in NOT_DONE:
        return
    if outcome.outcome is OutcomeKind.PLANNED and stopped:
        sums.stopped += 1
        return
    action = outcome.action
    sums.going[action.action] += 1
    if action.action is ActionKind.DELETE:
        sums.size += action.size_bytes or 0
        sums.unsized += action.size_bytes is None


def errors(report: Report, paper: Paper, said: frozenset[tuple[tuple[str, str], str]]) -> Iterator[str]:
    """Every error but those that were ``said``: (registry, repository) and message."""
    for error in report.errors:
        place = error.registry, error.repository
        if (place, error.message) in said:
            continue
        name = "/".join(filter(None, place))
        text = paper.prose(f"{name}: {error.message}" if name else error.message)
        yield from paper.beside(paper.paint(ALARM, "error:"), 6, text)


def use(report: Report, paper: Paper, *, verbose: bool) -> Iterator[str]:
    """Say what the sources of use said, and which references name nothing."""
    for source in report.in_use.sources:
        said = number(source.references, "reference", "references") if source.error is None else source.error
        yield from paper.beside("in use:", 7, paper.prose(f"{source.source}: {said}"))
    lost = report.in_use.not_found
    if not lost:
        return
    names = lost if verbose else lost[:_NAMED]
    more = f" and {len(lost) - len(names):,} more" if len(lost) > len(names) else ""
    yield from paper.beside("in use, but not found:", 22, paper.prose(", ".join(names)) + more)


def requests(report: Report) -> Iterator[str]:
    """Say what each registry was asked."""
    for registry in report.registries:
        asked = registry.requests
        yield clean(
            f"{registry.name} ({registry.provider}): requests {asked.list:,} to list, {asked.delete:,} to "
            f"delete, {asked.other:,} other; {registry.retries:,} of them retries"
        )


def sums(report: Report, paper: Paper, counted: Sums) -> Iterator[str]:
    """Sum up, each sum on a line of its own where there is something to say."""
    totals = report.totals
    if report.exit_code > _SIGNAL:
        yield paper.paint(ALARM, "interrupted: what was not reached stays for the next run")
    verbs = _DONE if report.mode == "delete" else _DRY
    scope = f"of {totals.images:,} in {number(totals.repositories, 'repository', 'repositories')}"
    deletes = counted.going[ActionKind.DELETE]
    yield paper.paint(BOLD, f"{verbs[ActionKind.DELETE]} {images(deletes)}{_freed(counted)} {scope}")
    for kind in (ActionKind.UNTAG, ActionKind.ARCHIVE):
        if counted.going[kind]:
            yield f"{verbs[kind]} {images(counted.going[kind])}"
    undone = [f"{getattr(totals, kind):,} {kind.value}" for kind in NOT_DONE if getattr(totals, kind)]
    if undone:
        yield f"not done: {', '.join(undone)}"
    if counted.stopped:
        yield f"stopped: {images(counted.stopped)}, by a limit, an interrupt or what could not be read"


def unselected(report: Report, *, verbose: bool) -> Iterator[str]:
    """Say what stays only because no rule speaks of it, by the look of its tags."""
    rows = report.unselected
    if not rows:
        return
    named = rows if verbose else rows[:_NAMED]
    parts = [f"{clean(row.pattern)} ({row.images:,})" for row in named]
    rest = rows[len(named) :]
    if rest:
        parts.append(f"{len(rest):,} more ({sum(row.images for row in rest):,})")
    total = sum(row.images for row in rows)
    stay = "image stays" if total == 1 else "images stay"
    yield f"{total:,} {stay} because no rule selects: {', '.join(parts)}"


def advice(report: Report, counted: Sums) -> Iterator[str]:
    """Say what to type next."""
    if report.mode != "delete" and any(counted.going.values()):
        yield "nothing was deleted; add --delete to do so"


def images(count: int) -> str:
    """So many images."""
    return number(count, "image", "images")


def _freed(counted: Sums) -> str:
    if not counted.going[ActionKind.DELETE]:
        return ""
    unknown = f", {counted.unsized:,} of unknown size" if counted.unsized else ""
    return f" ({format_size(counted.size)} at most, layers are shared{unknown})"
