"""How commands, options and their failures behave, the same for all.

- Commands are loaded when they are called for; help lists them from a table.
- Every option can be given as ``JANITOR_…`` (``JANITOR_STATE_DIR`` for ``--state-dir``, in every command) but
  those that must be written. A variable that is set and empty is an error: an empty ``JANITOR_REPOSITORY``
  would otherwise mean every repository.
- Help shows options under headings, in the order in which they are declared.
- A failure is one line on standard error; its exit code is 2 where the command is wrong.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any, NamedTuple, NoReturn, cast

import click

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
VERBOSE = "janitor.verbose"
"""The key of ``ctx.meta`` that says whether -v was given."""

_LAST = "Other"
CLOSED_PIPE = 128 + signal.SIGPIPE


class Row(NamedTuple):
    """One command: its file is ``janitor/cli/NAME.py``, which has it as ``command``."""

    name: str
    section: str
    help: str


class Option(click.Option):
    """An option with a heading, and with a variable of the environment unless it must be ``written``."""

    def __init__(self, *args: Any, section: str, written: bool = False, **attrs: Any) -> None:
        super().__init__(*args, **attrs)
        self.section = section
        if not written and self.name and self.envvar is None:
            self.envvar = f"JANITOR_{self.name.upper()}"

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        """Read the variable; one that is set says something."""
        del ctx
        if not isinstance(self.envvar, str):
            return None
        value = os.environ.get(self.envvar)
        if value is not None and not value.strip():
            raise click.UsageError(f"{self.envvar} is set and empty: give it a value, or unset it")
        return value


class Command(click.Command):
    """A command whose help has headings."""

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """Read the command line, and show help if it asks for it."""
        with _unread_help():
            return super().make_context(*args, **extra)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options below their headings, all on one margin."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = None if isinstance(parameter, click.Argument) else parameter.get_help_record(ctx)
            if record is not None:
                sections.setdefault(getattr(parameter, "section", _LAST), []).append(record)
        sections[_LAST] = sections.pop(_LAST)  # --help comes first of all parameters, and is wanted least
        margin = max(len(name) for records in sections.values() for name, _ in records)
        for section, records in sections.items():
            with formatter.section(section):
                formatter.write_dl([(name.ljust(margin), text) for name, text in records])


class Group(click.Group):
    """The commands of a table, and what becomes of their failures."""

    def __init__(self, *, rows: Sequence[Row], **attrs: Any) -> None:
        super().__init__(**attrs)
        self._rows = {row.name: row for row in rows}

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """Read the command line, and show help if it asks for it."""
        with _unread_help():
            return super().make_context(*args, **extra)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the commands in the order of the table."""
        del ctx
        return list(self._rows)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load the file of a command."""
        del ctx
        if cmd_name not in self._rows:
            return None
        return cast("click.Command", import_module(f"janitor.cli.{cmd_name}").command)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table, without loading what it names."""
        del ctx
        width = max(map(len, self._rows))
        for section in dict.fromkeys(row.section for row in self._rows.values()):
            with formatter.section(section):
                formatter.write_dl(
                    [
                        (row.name.ljust(width), row.help)
                        for row in self._rows.values()
                        if row.section == section
                    ]
                )

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an exception becomes one line and an exit code."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except KeyboardInterrupt as interrupt:
            number = interrupt.args[0] if interrupt.args else signal.SIGINT
            raise click.exceptions.Exit(128 + number) from None
        except Exception as error:  # noqa: BLE001  the last border: whatever it is, it is told in one line
            from janitor.cli.failure import tell

            raise click.exceptions.Exit(tell(error, verbose=bool(ctx.meta.get(VERBOSE)))) from None

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,  # noqa: FBT001, FBT002  as click's
        **extra: Any,
    ) -> Any:
        """Run, and exit with the code that the command returned."""
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        try:
            code = super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        except click.ClickException as error:
            code = _told(error)
        except click.Abort:
            code = 128 + signal.SIGINT
        except OSError as error:
            # Help that can't be written, such as to a full disk; commands tell of their own failures.
            from janitor.cli.terminal import silence

            silence()
            click.echo(f"error: standard output can't be written: {error.strerror or error}", err=True)
            code = 1
        return _exit(code if isinstance(code, int) else 0)


@contextlib.contextmanager
def _unread_help() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise click.exceptions.Exit(CLOSED_PIPE) from None


def _told(error: click.ClickException) -> int:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message(), err=True)
        return error.exit_code
    message = error.format_message()
    if message[1:2].islower():
        message = message[0].lower() + message[1:]
    click.echo(f"error: {message}", err=True)
    if isinstance(error, click.UsageError) and error.ctx is not None:
        click.echo(f"`{error.ctx.command_path} --help` shows what there is", err=True)
    return error.exit_code


def _exit(code: int) -> NoReturn:
    """Exit without a word about a reader that has gone in the meantime."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        from janitor.cli.terminal import silence

        silence()
        code = CLOSED_PIPE
    sys.exit(code)
