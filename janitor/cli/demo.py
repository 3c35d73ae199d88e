"""``janitor demo``: all of it on a sample registry in a local folder."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click

from janitor.cli import options
from janitor.cli.options import FILES, option


@options.command("demo")
@option(
    "--folder",
    section=FILES,
    metavar="DIR",
    type=options.TEXT,
    help="Put the sample there, and leave it; a folder that isn't there yet. Else it is removed again.",
)
@options.output
@click.pass_context
def command(ctx: click.Context, *, folder: str | None, log_format: str, quiet: bool, verbose: bool) -> int:
    """Make a sample registry in a local folder, and clean it up.

    Shows its policy, plans a clean-up, does it, and plans again. Nothing outside of the folder is touched.
    """
    if folder is not None and Path(folder).exists():
        raise click.UsageError(f"{folder} is there already: name a folder that isn't", ctx)

    from janitor.cli.running import Output, carry_out, clock
    from janitor.cli.terminal import say
    from janitor.demo import build_sample
    from janitor.settings import Settings

    output = Output(log_format=log_format, quiet=quiet, verbose=verbose)
    with _place(folder) as place:
        policy = build_sample(place, clock())
        say([f"# a sample registry in {place}, and its policy {policy.name}:\n", policy.read_text()])
        for delete in (False, True, False):
            typed = f"janitor run {policy.name}{' --delete' if delete else ''}"
            say([f"\n$ {typed}\n"])
            settings = Settings(
                policies=(str(policy),), delete=delete, state_dir=str(place / "state"), verbose=verbose
            )
            code = carry_out(settings, output)
            if code:
                return code
    return 0


@contextlib.contextmanager
def _place(folder: str | None) -> Iterator[Path]:
    if folder is not None:
        Path(folder).mkdir(parents=True)
        yield Path(folder)
        return
    with tempfile.TemporaryDirectory(prefix="janitor-demo-") as place:
        yield Path(place)
