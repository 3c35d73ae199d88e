"""``janitor serve``: runs by the schedules of the policies; deletes only with ``--delete``."""

from __future__ import annotations

import ipaddress
from datetime import timedelta
from typing import Any

import click

from janitor.cli import options
from janitor.cli.options import NARROW, option

_LISTEN = "Where it listens"
_MAX_PORT = 65535


class _Address(click.ParamType[tuple[str, int]]):
    """``ADDR:PORT``: an IP address, or localhost, and a port; 0 takes a free one."""

    name = "ADDR:PORT"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        if isinstance(value, tuple):
            return value
        host, _, port = str(value).rpartition(":")
        if not (port.isascii() and port.isdecimal() and int(port) <= _MAX_PORT):
            self.fail(f"{value!r} is not of the form ADDR:PORT, such as 127.0.0.1:8080", param, ctx)
        if host == "localhost":
            host = "127.0.0.1"
        try:
            # An address of IPv6 stands in brackets, or its colons can't be told from the port's.
            address = ipaddress.ip_address(host[1:-1] if host.startswith("[") else host)
        except ValueError:
            address = None
        if address is None or (address.version == 6) != host.startswith("["):  # noqa: PLR2004  IPv6
            self.fail(
                f"{host!r} is no IP address; 127.0.0.1 is this machine alone, 0.0.0.0 everybody", param, ctx
            )
        return str(address), int(port)


@options.command(
    "serve",
    epilog="Options can be given as variables of the environment, too (JANITOR_LISTEN for --listen), but not "
    "--delete.",
)
@options.policies
@options.deleting
@option(
    "--listen",
    section=_LISTEN,
    metavar="ADDR:PORT",
    type=_Address(),
    default="127.0.0.1:8080",
    show_default=True,
    help="Serve page, health and metrics here. Nobody has to log in: 0.0.0.0 shows them to everybody.",
)
@option(
    "--shard",
    section=NARROW,
    metavar="I/N",
    type=options.SHARD,
    help="Only part I of N, from 0: several daemons share the work.",
)
@options.limits
@options.concurrency
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
    listen: tuple[str, int],
    shard: tuple[int, int] | None,
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
    """Run by the schedules of POLICIES, files or folders of them, until a signal ends it.

    Nothing is deleted without --delete. Runs come one after the other, each as `janitor run` would have it;
    a time that was missed is made up within six hours. Files that change are read again. Reports that are
    asked for are written anew by each run; all runs are shown on a web page.
    """
    options.refuse_both(ctx, delete=delete, dry_run=dry_run)
    options.check_files(ctx, *reports, reports=reports)

    from janitor.cli.running import Output, keep_running
    from janitor.settings import Settings

    settings = Settings(
        policies=policies,
        delete=delete,
        reports=reports,
        state_dir=state_dir,
        shard=shard,
        concurrency=concurrency,
        max_deletions=max_deletions,
        max_percent=max_percent,
        deadline=deadline,
    )
    return keep_running(settings, listen, Output(log_format=log_format, quiet=quiet, verbose=verbose))
