"""``janitor apply``: carries out what a saved plan and a fresh one both hold; only with ``--delete``."""

from __future__ import annotations

from datetime import timedelta

import click

from janitor.cli import options


@options.command(
    "apply",
    epilog="Options can be given as variables of the environment, too (JANITOR_STATE_DIR for --state-dir), "
    "but not --delete.",
)
@click.argument("saved", metavar="PLAN", type=options.TEXT)
@options.policies
@options.deleting
@options.narrowed
@options.limits
@options.concurrency
@options.reports
@options.state_dir
@options.output
@click.pass_context
def command(
    ctx: click.Context,
    *,
    saved: str,
    policies: tuple[str, ...],
    delete: bool,
    dry_run: bool,
    registries: tuple[str, ...],
    repositories: tuple[str, ...],
    max_deletions: int | None,
    max_percent: int | None,
    deadline: timedelta | None,
    concurrency: int,
    reports: tuple[str, ...],
    state_dir: str | None,
    log_format: str,
    quiet: bool,
    verbose: bool,
) -> int:
    """Plan afresh by POLICIES, and show what that plan and PLAN both hold.

    PLAN is a file that `janitor run --plan` wrote. Nothing is deleted without --delete. With it, what both
    plans hold is carried out and nothing else; the rest is reported as skipped, each line with its reason.
    Limits are judged afresh.
    """
    options.refuse_both(ctx, delete=delete, dry_run=dry_run)
    options.check_files(ctx, *reports, reports=reports)

    from janitor.cli.running import Output, carry_out
    from janitor.settings import Settings

    settings = Settings(
        policies=policies,
        saved=saved,
        delete=delete,
        registries=registries,
        repositories=repositories,
        reports=reports,
        state_dir=state_dir,
        concurrency=concurrency,
        max_deletions=max_deletions,
        max_percent=max_percent,
        deadline=deadline,
        verbose=verbose,
    )
    return carry_out(settings, Output(log_format=log_format, quiet=quiet, verbose=verbose))
