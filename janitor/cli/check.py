"""``janitor check``: says whether policy files are right."""

from __future__ import annotations

from janitor.cli import options
from janitor.cli.options import option


@options.command("check")
@options.policies
@option(
    "--online",
    section="What it does",
    is_flag=True,
    help="Look at each registry and source of use, too: credentials, rights, and what would surprise.",
)
@option(
    "--strict", section="What it does", is_flag=True, help="Exit 1 if something is odd, though not wrong."
)
def command(*, policies: tuple[str, ...], online: bool, strict: bool) -> int:
    """Say whether POLICIES, files or folders of them, are right.

    Mistakes stand at their places as FILE:LINE:COLUMN, all at once. No registry is asked anything, unless
    --online says so; nothing is changed even then.
    """
    from janitor.cli.fine import fine, odd, read
    from janitor.cli.terminal import say

    found = read(policies, online=online)
    say([fine(found)])
    if not online:
        lints = odd(found)
        say(lints)
        return int(strict and bool(lints))
    from janitor.cli.online import look_around

    return look_around(found, strict=strict)
