"""``janitor run``: plans and shows; deletes only with ``--delete``."""

from __future__ import annotations

from datetime import datetime, timedelta

import click

from janitor.cli import options
from janitor.cli.options import EFFECT, FILES, NARROW, option


@options.command(
    "run",
    epilog="Options can be given as variables of the environment, too (JANITOR_STATE_DIR for --state-dir), "
    "but not --delete.",
)
@options.policies
@options.deleting
@option(
    "--now",
    section=EFFECT,
    metavar="TIME",
    type=options.TIME,
    help="Judge as at this time, such as 2026-06-01T00:00:00Z. Not with --delete.",
)
@options.narrowed
@option(
    "--shard",
    section=NARROW,
    metavar="I/N",
    type=options.SHARD,
    help="Only part I of N, from 0: several machines share the work.",
)
@options.limits
@options.concurrency
@option("--plan", section=FILES, metavar="FILE", type=options.TEXT, help="Write the plan, as JSON lines.")
@options.reports
@options.state_dir
@options.output
@click.pass_context
def command(
    ctx: click.Context,
    *,
    policies: tuple[str, ...],
    delete: bool,
    dry_run: bool,
    now: datetime | None,
    registries: tuple[str, ...],
    repositories: tuple[str, ...],
    shard: tuple[int, int] | None,
    max_deletions: int | None,
    max_percent: int | None,
    deadline: timedelta | None,
    concurrency: int,
    plan: str | None,
    reports: tuple[str, ...],
    state_dir: str | None,
    log_format: str,
    quiet: bool,
    verbose: bool,
) -> int:
    """Plan a clean-up by POLICIES, files or folders of them, and show it.

    Nothing is deleted without --delete. With it the plan is carried out, each repository being listed and
    decided afresh first.
    """
    options.refuse_both(ctx, delete=delete, dry_run=dry_run)
    if delete and now is not None:
        raise click.UsageError("--delete judges by the clock, not by --now: give one of them", ctx)
    options.check_files(ctx, *reports, *filter(None, [plan]), reports=reports)

    from janitor.cli.running import Output, carry_out
    from janitor.settings import Settings

    settings = Settings(
        policies=policies,
        delete=delete,
        registries=registries,
        repositories=repositories,
        plan=plan,
        reports=reports,
        state_dir=state_dir,
        now=now,
        shard=shard,
        concurrency=concurrency,
        max_deletions=max_deletions,
        max_percent=max_percent,
        deadline=deadline,
        verbose=verbose,
    )
    return carry_out(settings, Output(log_format=log_format, quiet=quiet, verbose=verbose))
