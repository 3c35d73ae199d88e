"""The command line: options -> settings -> call -> print; one file a command.

Nothing but click is loaded before a command runs: each command's file is imported when it is called for, and
what it needs when it runs, so that ``--help`` answers at once on the smallest of machines.
"""

from __future__ import annotations

import sys

import click

from janitor import __version__
from janitor.cli.command import CONTEXT, Group, Row

_COMMANDS = (
    Row(name="run", section="Clean", help="Plan a clean-up and show it; with --delete, do it."),
    Row(name="inventory", section="Clean", help="Write down what the registries hold."),
    Row(name="demo", section="Clean", help="See all of it on a sample registry in a local folder."),
    Row(
        name="check", section="Policies", help="Say whether policy files are right, and what is odd in them."
    ),
    Row(name="test", section="Policies", help="Run the unit tests of policies (*.test.yaml)."),
    Row(name="schema", section="Policies", help="Print the JSON Schema of policy files, for editors."),
)

janitor = Group(
    name="janitor",
    rows=_COMMANDS,
    help="Cleans container registries by a small declarative policy, and shows exactly what would go and "
    "why.\n\nNothing is deleted unless --delete is written.",
    epilog="`janitor COMMAND --help` says more; `janitor demo` shows how it looks.",
    context_settings=CONTEXT,
)
click.version_option(__version__, prog_name="janitor", message="%(prog)s %(version)s")(janitor)


def main() -> None:
    """Run the command line of this process, and exit with its code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # A terminal that can't show an ellipsis is no reason to fail after a thousand deletions.
            stream.reconfigure(errors="backslashreplace")
    janitor.main(prog_name="janitor")
