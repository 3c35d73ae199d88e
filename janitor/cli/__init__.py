"""The command line: options -> settings -> call -> print; one file a command.

Nothing is loaded before it is needed: the overview of commands is a text that lies ready, each command's file
is imported when it is called for, and what it needs when it runs. That policy files are right, which editors
and hooks ask at every change, is said without click. All else, and whatever goes wrong, is the commands' own.
"""

from __future__ import annotations

import gc
import os
import sys

# Words with which one asks for the overview, and the columns for which it is written.
_OVERVIEW = (["--help"], ["-h"])
_COLUMNS = 80
_INTERRUPTED = 130  # as shells say it: 128, and the signal's number
# What a command loads stays to its end. To look for garbage as often as Python does, each time that there are
# 700 objects more, would take a short command a tenth of its time.
_OBJECTS = 100_000


def main() -> None:
    """Run the command line of this process, and exit with its code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # A terminal that can't show an ellipsis is no reason to fail after a thousand deletions.
            stream.reconfigure(errors="backslashreplace")
    words = sys.argv[1:]
    if words in _OVERVIEW and _has_room() and _said_overview():
        return
    gc.set_threshold(_OBJECTS)
    try:
        if _is_plain_check(words) and _said_fine(words[1:]):
            return
        from janitor.cli.app import janitor

        janitor.main(prog_name="janitor")
    finally:
        gc.freeze()  # the process ends: what is left goes with it, without being looked through again


def _said_overview() -> bool:
    """Write the overview; where that fails, what to say of it is known to the commands."""
    path = os.path.join(os.path.dirname(__file__), "overview.txt")  # noqa: PTH118, PTH120 - pathlib costs more
    try:
        with open(path, encoding="utf-8") as text:  # noqa: PTH123 - as above
            sys.stdout.write(text.read())
        sys.stdout.flush()
    except OSError:
        return False
    return True


def _said_fine(paths: list[str]) -> bool:
    """Say that policy files are right; where they aren't, the command reads them again and tells why."""
    try:
        from janitor.cli.fine import fine, odd, read

        found = read(paths)
        sys.stdout.writelines([fine(found), *odd(found)])
        sys.stdout.flush()
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    except Exception:  # noqa: BLE001 - whatever it is, the command meets it again
        return False
    return True


def _is_plain_check(words: list[str]) -> bool:
    """Whether policy files are named after ``check`` and nothing else is said, in the environment neither."""
    command, *paths = words or [""]
    return (
        command == "check"
        and bool(paths)
        and all(path.strip() and not path.startswith("-") for path in paths)
        and not any("JANITOR_" in name for name in os.environ)
    )


def _has_room() -> bool:
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns >= _COLUMNS
    except (OSError, ValueError):
        return "COLUMNS" not in os.environ
