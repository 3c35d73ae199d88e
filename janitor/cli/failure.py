"""What a failure says: one line on standard error, and an exit code.

Errors that this project raises on purpose say what, where and what to do; they are printed as they are. Any
other exception is a mistake of the program, and says so; where it happened is shown to those who ask.
"""

from __future__ import annotations

import os
import sys
import traceback

from janitor.errors import JanitorError, PolicyError
from janitor.redaction import redact
from janitor.reports.console import clean

_BUG = 1


def tell(error: Exception, *, verbose: bool) -> int:
    """Print what went wrong, and give the exit code of it."""
    if isinstance(error, PolicyError):
        for problem in error.problems:
            _say(str(problem))
        count = len(error.problems)
        _say(f"error: {count:,} {'mistake' if count == 1 else 'mistakes'} in policy files; nothing was done")
        return error.exit_code
    if isinstance(error, JanitorError):
        _say(f"error: {error.message}")
        return error.exit_code
    asked = verbose or bool(os.environ.get("JANITOR_DEBUG"))
    if asked:
        _say("".join(traceback.format_exception(error)).rstrip())
    where = "" if asked else "; -v shows where"
    _say(f"this is a bug: {type(error).__name__}: {' '.join(str(error).split())}{where}")
    return _BUG


def _say(text: str) -> None:
    # Line by line: a message may have lines, but nothing else that moves the cursor.
    for line in redact(text).split("\n"):
        print(clean(line), file=sys.stderr)  # noqa: T201  standard error is where failures go
