"""``janitor run``: plans and shows; deletes only with ``--delete``."""

from __future__ import annotations

import os
from datetime import datetime

import click

from janitor.cli import options
from janitor.cli.options import FILES, LIMITS, NARROW, option


@options.command(
    "run",
    epilog="Options can be given as variables of the environment, too (JANITOR_STATE_DIR for --state-dir), "
    "but not --delete.",
)
@options.policies
@option(
    "--delete",
    section="What it does",
    written=True,
    is_flag=True,
    help="Do it. Must be written: there is no variable for it.",
)
@option("--dry-run", section="What it does", is_flag=True, help="Only show what would be done. The default.")
@option(
    "--now",
    section="What it does",
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
@option(
    "--max-deletions",
    section=LIMITS,
    metavar="N",
    type=options.COUNT,
    help="Stop everything if more would go; replaces the files' value.",
)
@option(
    "--max-percent",
    section=LIMITS,
    metavar="N",
    type=options.PERCENT,
    help="Stop a repository or registry of which more would go; replaces the files' value.",
)
@options.concurrency
@option("--plan", section=FILES, metavar="FILE", type=options.TEXT, help="Write the plan, as JSON lines.")
@option(
    "--report",
    "reports",
    section=FILES,
    envvar="JANITOR_REPORT",
    metavar="FILE",
    type=options.TEXT,
    multiple=True,
    help="Write a report; the suffix chooses: .json .jsonl .csv. May be repeated.",
)
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
    if delete and dry_run:
        raise click.UsageError("--delete and --dry-run ask for opposite things", ctx)
    if delete and now is not None:
        raise click.UsageError("--delete judges by the clock, not by --now: give one of them", ctx)
    _check_files(ctx, plan, reports)

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
        verbose=verbose,
    )
    return carry_out(settings, Output(log_format=log_format, quiet=quiet, verbose=verbose))


def _check_files(ctx: click.Context, plan: str | None, reports: tuple[str, ...]) -> None:
    """Refuse before anything is done what could not be written after it."""
    from janitor.reports import renderer

    for path in reports:
        renderer(path)
    written = [os.path.realpath(path) for path in (*reports, *filter(None, [plan]))]
    for path in written:
        if written.count(path) > 1:
            raise click.UsageError(f"{path} would be written twice: give each file a name of its own", ctx)
