"""``janitor report``: renders saved reports again, several merged into one."""

from __future__ import annotations

import click

from janitor.cli import options


@options.command("report")
@click.argument("saved", metavar="REPORTS...", nargs=-1, required=True, type=options.TEXT)
@options.reports
@options.output
@click.pass_context
def command(
    ctx: click.Context,
    *,
    saved: tuple[str, ...],
    reports: tuple[str, ...],
    log_format: str,
    quiet: bool,
    verbose: bool,
) -> int:
    """Show saved REPORTS (.jsonl or .json of janitor run --report) again, and write them in other forms.

    Several are merged: the shards of a run, or the runs of some days. A repository that several of them hold
    is as the latest has it, with what the earlier ones deleted added. A .json file holds no single images.
    """
    options.check_files(ctx, *reports, reports=reports)
    options.check_apart(ctx, read=saved, written=reports)

    from janitor.cli.running import Output, show_again

    return show_again(saved, reports, Output(log_format=log_format, quiet=quiet, verbose=verbose))
