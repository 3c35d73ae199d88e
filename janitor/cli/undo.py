"""``janitor undo``: shows what of a run can come back; puts it back only with ``--restore``."""

from __future__ import annotations

import click

from janitor.cli import options
from janitor.cli.options import EFFECT, option


@options.command(
    "undo",
    epilog="Options can be given as variables of the environment, too (JANITOR_STATE_DIR for --state-dir), "
    "but not --restore.",
)
@click.argument("run", metavar="RUN", type=options.TEXT)
@options.policies
@option(
    "--restore",
    section=EFFECT,
    written=True,
    is_flag=True,
    help="Put it back. Must be written: there is no variable for it.",
)
@options.narrowed
@options.concurrency
@options.state_dir
@options.output
def command(
    *,
    run: str,
    policies: tuple[str, ...],
    restore: bool,
    registries: tuple[str, ...],
    repositories: tuple[str, ...],
    concurrency: int,
    state_dir: str | None,
    log_format: str,
    quiet: bool,
    verbose: bool,
) -> int:
    """Show what of RUN can come back, by its journal in the state folder and the registries of POLICIES.

    With --restore it is put back: images with the tags that are still free, what an index names before the
    index. What can't come back is named, each with its reason.
    """
    from janitor.cli.running import Output, take_back
    from janitor.settings import Settings

    settings = Settings(
        policies=policies,
        registries=registries,
        repositories=repositories,
        concurrency=concurrency,
        state_dir=state_dir,
        verbose=verbose,
    )
    output = Output(log_format=log_format, quiet=quiet, verbose=verbose)
    return take_back(run, settings, output, restore=restore)
