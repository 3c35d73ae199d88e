"""Who is told of a run, and what is said of those who couldn't be.

- ``failure``: something failed, the run was interrupted, or it broke off. ``limit``: a limit, the deadline or
  an unread source stopped something. ``deletion``: something was deleted or moved to the archive. ``always``:
  every run. A dry run deletes nothing; of all else it tells as any run.
- A webhook that several entries name is told once.
- Nothing that a webhook does changes what a run comes to: it is an error of the report, with a code of its
  own, that names the entry by its place in the policy file. The address is a secret.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial

from janitor.core.overview import DELETING
from janitor.core.plan import RepositoryState
from janitor.core.policy import NotifySpec
from janitor.core.report import NOTIFY, ErrorReport, Report
from janitor.errors import JanitorError, RegistryError
from janitor.log import get_logger
from janitor.net.notify import LASTS_S, Timing, post
from janitor.parallel import each
from janitor.redaction import redact
from janitor.reports.messages import message

_AT_ONCE = 8
_LIMITED = 3
_SIGNAL = 128
# Seconds for a run that was interrupted: whoever asked it to stop gives it a minute for everything.
_HASTE_S = 5.0


def tell(
    specs: Sequence[NotifySpec],
    report: Report,
    environ: Mapping[str, str],
    *,
    timing: Timing | None = None,
) -> tuple[ErrorReport, ...]:
    """Tell everybody who wants to know of this run; return what couldn't be told. Raises nothing."""
    happened = events(report)
    wanted: dict[tuple[str, str], NotifySpec] = {}
    for spec in specs:
        if not happened.isdisjoint(spec.on):
            wanted.setdefault((spec.webhook, spec.format), spec)
    timing = timing or Timing(lasts=_HASTE_S if report.exit_code >= _SIGNAL else LASTS_S)
    send = partial(_sent, report=report, environ=environ, timing=timing)
    errors = each(send, list(wanted.values()), workers=_AT_ONCE)
    return tuple(error for error in errors if error is not None)


def events(report: Report) -> frozenset[str]:
    """Say what happened in a run, in the words of ``on``."""
    happened = {"always"}
    if report.exit_code not in {0, _LIMITED}:
        happened.add("failure")
    limited = any(one.state is RepositoryState.LIMITED for one in report.repositories)
    if limited or report.exit_code == _LIMITED:
        happened.add("limit")
    if report.totals.deleted or report.totals.archived:
        happened.add("deletion")
    return frozenset(happened)


def broken_off(
    error: Exception,
    *,
    run_id: str,
    deleting: bool,
    policies: tuple[str, ...],
    started_at: datetime,
    finished_at: datetime,
) -> Report:
    """Make what there is to tell of a run that ended by an exception instead of a report."""
    known = isinstance(error, JanitorError)
    text = str(error) if known else f"this is a bug: {type(error).__name__}"
    return Report(
        run_id=run_id,
        mode=DELETING if deleting else "dry-run",
        started_at=started_at,
        finished_at=finished_at,
        exit_code=error.exit_code if isinstance(error, JanitorError) else 1,
        policies=policies,
        errors=(
            ErrorReport(code=error.code if isinstance(error, JanitorError) else "bug", message=redact(text)),
        ),
    )


def _sent(
    spec: NotifySpec, *, report: Report, environ: Mapping[str, str], timing: Timing
) -> ErrorReport | None:
    """Send one message; say what kept it from being taken."""
    entry = f"{spec.where} ({spec.format})"
    try:
        post(spec.webhook, message(report, spec.format), environ=environ, timing=timing)
    except RegistryError as error:
        why = error.message
    except Exception as error:  # noqa: BLE001 - the run is over: whatever this is, its report must be written
        # The text of a foreign exception may hold the address.
        why = f"this is a bug: {type(error).__name__}"
    else:
        get_logger().info("notify.sent", entry=entry)
        return None
    get_logger().warning("notify.failed", entry=entry, message=why)
    return ErrorReport(code=NOTIFY, message=f"{entry} was not told: {why}")
