"""``janitor test``: runs the unit tests of policies."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from janitor.cli import options
from janitor.cli.options import OUTPUT, option

if TYPE_CHECKING:
    from janitor.policyfile.testfile import Case

_SUFFIXES = (".test.yaml", ".test.yml")


@options.command("test")
@click.argument("files", nargs=-1, required=True, type=options.TEXT)
@option("-v", "--verbose", section=OUTPUT, is_flag=True, help="Name the tests that pass, too.")
def command(*, files: tuple[str, ...], verbose: bool) -> int:
    """Run the unit tests of policies in FILES (*.test.yaml), or in folders of them.

    Each test says what is to become of some images, and names the policies that decide. No registry is asked
    anything. Exits 1 if a test fails.
    """
    from janitor.cli.terminal import say
    from janitor.policyfile.verdict import run_case
    from janitor.reports.console import clean

    verdicts = [run_case(case) for case in _cases(_found(files))]
    failed = sum(not verdict.passed for verdict in verdicts)
    shown = [str(verdict) for verdict in verdicts if verbose or not verdict.passed]
    say(f"{clean(line)}\n" for text in shown for line in text.split("\n"))
    tests = f"{len(verdicts):,} {'test' if len(verdicts) == 1 else 'tests'}"
    say([f"{tests}, {failed:,} failed\n" if failed else f"{tests}: fine\n"])
    return 1 if failed else 0


def _found(paths: Sequence[str]) -> list[str]:
    """Name the test files; a folder stands for those directly in it, as it does for policies."""
    found: dict[str, None] = {}
    for path in paths:
        if not Path(path).is_dir():
            found[path] = None
            continue
        inside = sorted(str(each) for each in Path(path).iterdir() if each.name.endswith(_SUFFIXES))
        if not inside:
            raise click.UsageError(f"no test found: {path} holds no *.test.yaml")
        found.update(dict.fromkeys(inside))
    return list(found)


def _cases(files: Sequence[str]) -> list[Case]:
    """Read all tests; the mistakes of all files are told together."""
    from janitor.errors import PolicyError, Problem
    from janitor.kinds import kinds
    from janitor.policyfile.testfile import load_cases

    known = kinds()
    cases: list[Case] = []
    problems: dict[Problem, None] = {}
    for file in files:
        try:
            cases.extend(load_cases(file, os.environ, known))
        except PolicyError as error:
            problems.update(dict.fromkeys(error.problems))
    if problems:
        raise PolicyError(tuple(problems))
    return cases
