"""Standard output: what it can show, and what becomes of a run when nobody reads it any more."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import click

from janitor.cli.command import CLOSED_PIPE
from janitor.errors import FileError

if TYPE_CHECKING:
    from janitor.reports.console import Look

# Narrower than this nothing could be told; a terminal that says so (0 in some CI systems) is not believed.
_LEAST = 40


def say(lines: Iterable[str]) -> None:
    """Write text to standard output, as it comes.

    A reader that has gone (``| head``) ends the command quietly, with the exit code of a closed pipe. Raises
    FileError where it can't be written for another reason, such as a full disk.
    """
    try:
        sys.stdout.writelines(lines)
        sys.stdout.flush()
    except OSError as error:
        silence()
        if error.errno == errno.EPIPE:
            raise click.exceptions.Exit(CLOSED_PIPE) from None
        raise FileError(f"standard output can't be written: {error.strerror or error}") from error


def silence() -> None:
    """Let what is still buffered go nowhere, so that the interpreter doesn't fail on it at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def look(environ: Mapping[str, str], *, verbose: bool, quiet: bool, notes: tuple[str, ...] = ()) -> Look:
    """Say how a report is to look on this standard output.

    Colours follow NO_COLOR (https://no-color.org) and FORCE_COLOR; without either, a terminal has them.
    """
    import shutil

    from janitor.reports.console import Look

    terminal = sys.stdout.isatty()
    return Look(
        width=max(shutil.get_terminal_size().columns, _LEAST) if terminal else None,
        color=_colors(environ, terminal=terminal),
        verbose=verbose,
        quiet=quiet,
        notes=notes,
    )


def _colors(environ: Mapping[str, str], *, terminal: bool) -> bool:
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR"):
        return True
    return terminal and environ.get("TERM") != "dumb"
