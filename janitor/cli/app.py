"""The table of commands, and the group that they make."""

from __future__ import annotations

import click

from janitor import __version__
from janitor.cli.command import CONTEXT, Group, Row

COMMANDS = (
    Row(name="run", section="Clean", help="Plan a clean-up and show it; with --delete, do it."),
    Row(name="apply", section="Clean", help="Carry out what a saved plan and a fresh one both hold."),
    Row(name="undo", section="Clean", help="Show what of a run can come back; with --restore, put it back."),
    Row(name="serve", section="Clean", help="Run by schedules, and show on a web page what came of it."),
    Row(name="inventory", section="Clean", help="Write down what the registries hold."),
    Row(name="report", section="Clean", help="Show saved reports again, several as one."),
    Row(name="demo", section="Clean", help="See all of it on a sample registry in a local folder."),
    Row(
        name="check", section="Policies", help="Say whether policy files are right, and what is odd in them."
    ),
    Row(name="test", section="Policies", help="Run the unit tests of policies (*.test.yaml)."),
    Row(name="schema", section="Policies", help="Print the JSON Schema of policy files, for editors."),
)

janitor = Group(
    name="janitor",
    rows=COMMANDS,
    help="Cleans container registries by a small declarative policy, and shows exactly what would go and "
    "why.\n\nNothing is deleted unless --delete is written.",
    epilog="`janitor COMMAND --help` says more; `janitor demo` shows how it looks.",
    context_settings=CONTEXT,
)
click.version_option(__version__, prog_name="janitor", message="%(prog)s %(version)s")(janitor)
