"""``janitor inventory``: writes down what the registries hold."""

from __future__ import annotations

from janitor.cli import options
from janitor.cli.options import FILES, option


@options.command("inventory")
@options.policies
@option(
    "-o",
    "--output",
    "path",
    section=FILES,
    envvar="JANITOR_OUTPUT",
    metavar="FILE",
    type=options.TEXT,
    required=True,
    help="The file to write, as JSON lines.",
)
@options.narrowed
@options.concurrency
@options.state_dir
@options.output
def command(
    *,
    policies: tuple[str, ...],
    path: str,
    registries: tuple[str, ...],
    repositories: tuple[str, ...],
    concurrency: int,
    state_dir: str | None,
    log_format: str,
    quiet: bool,
    verbose: bool,
) -> int:
    """Write down what the registries of POLICIES hold, one image a line.

    The file can be read in place of the registry (provider: inventory), to try policies on it without asking
    the registry again. What can't be read whole is left out, and named.
    """
    from janitor.cli.running import Output, take_inventory
    from janitor.settings import Settings

    settings = Settings(
        policies=policies,
        registries=registries,
        repositories=repositories,
        concurrency=concurrency,
        state_dir=state_dir,
        verbose=verbose,
    )
    return take_inventory(settings, path, Output(log_format=log_format, quiet=quiet, verbose=verbose))
