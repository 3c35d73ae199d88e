"""Options that several commands share, and the types of their values.

What a command calls is imported in its body, so that its help loads nothing but click.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar

import click

from janitor.cli.command import VERBOSE, Command, Option
from janitor.core.units import parse_duration, parse_time

_F = TypeVar("_F", bound=Callable[..., Any])

EFFECT, NARROW, LIMITS = "What it does", "What it covers", "How much"
FILES, OUTPUT = "Files", "Output"

_VARIABLES = "Options can be given as variables of the environment, too: JANITOR_STATE_DIR for --state-dir."


def command(
    name: str, *, epilog: str = _VARIABLES, **attrs: Any
) -> Callable[[Callable[..., Any]], click.Command]:
    """Make a function a command of this house; its docstring is its help."""
    return click.command(name, cls=Command, epilog=epilog, **attrs)


def option(*names: str, section: str, **attrs: Any) -> Callable[[_F], _F]:
    """Give a command an option below a heading of its help."""
    return click.option(*names, cls=Option, section=section, **attrs)


class _Text(click.ParamType[str]):
    """A text that isn't empty: an empty pattern is never meant, and empty lists are taken for 'all'."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value)
        if not text.strip():
            self.fail("it is empty", param, ctx)
        return text


class _Time(click.ParamType[datetime]):
    """An RFC 3339 time."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            return parse_time(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class _Shard(click.ParamType[tuple[int, int]]):
    """``I/N``: the part I, counted from 0, of N."""

    name = "I/N"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        if isinstance(value, tuple):
            return value
        index, _, count = str(value).partition("/")
        if not (_is_number(index) and _is_number(count)):
            self.fail(f"{value!r} is not of the form I/N, such as 0/4", param, ctx)
        shard = int(index), int(count)
        if shard[0] >= shard[1]:
            self.fail(f"of {shard[1]} shards, which are counted from 0, there is no {shard[0]}", param, ctx)
        return shard


class _Number(click.ParamType[int]):
    """A whole number within bounds."""

    name = "N"

    def __init__(self, least: int, most: int | None = None) -> None:
        self._least = least
        self._most = most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        upper = "on" if self._most is None else f"to {self._most}"
        meant = f"a whole number from {self._least} {upper}"
        if not _is_number(value) or not self._least <= int(value) <= (self._most or int(value)):
            self.fail(f"{value!r} is not {meant}", param, ctx)
        return int(value)


class _Duration(click.ParamType[timedelta]):
    """A duration as policies write it."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        try:
            duration: timedelta = parse_duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if not duration:
            self.fail("no time at all is given", param, ctx)
        return duration


TEXT, TIME, SHARD, DURATION = _Text(), _Time(), _Shard(), _Duration()
COUNT, PERCENT, WORKERS = _Number(0), _Number(0, 100), _Number(1, 1024)


def policies(function: _F) -> _F:
    """Take policy files and folders."""
    return click.argument("policies", nargs=-1, required=True, type=TEXT)(function)


def narrowed(function: _F) -> _F:
    """Take registries and repositories to narrow a run to."""
    return _all(
        function,
        option(
            "--registry",
            "registries",
            section=NARROW,
            envvar="JANITOR_REGISTRY",
            multiple=True,
            metavar="NAME",
            type=TEXT,
            help="Only registries of this name (or glob). May be repeated.",
        ),
        option(
            "--repository",
            "repositories",
            section=NARROW,
            envvar="JANITOR_REPOSITORY",
            multiple=True,
            metavar="PATTERN",
            type=TEXT,
            help="Only repositories that match; !PATTERN takes out again. May be repeated.",
        ),
    )


def deleting(function: _F) -> _F:
    """Take whether it is to be done."""
    return _all(
        function,
        option(
            "--delete",
            section=EFFECT,
            written=True,
            is_flag=True,
            help="Do it. Must be written: there is no variable for it.",
        ),
        option("--dry-run", section=EFFECT, is_flag=True, help="Only show what would be done. The default."),
    )


def refuse_both(ctx: click.Context, *, delete: bool, dry_run: bool) -> None:
    """Refuse what asks for opposite things."""
    if delete and dry_run:
        raise click.UsageError("--delete and --dry-run ask for opposite things", ctx)


def limits(function: _F) -> _F:
    """Take how much may go, and how long it may take."""
    return _all(
        function,
        option(
            "--max-deletions",
            section=LIMITS,
            metavar="N",
            type=COUNT,
            help="Stop everything if more would go; replaces the files' value.",
        ),
        option(
            "--max-percent",
            section=LIMITS,
            metavar="N",
            type=PERCENT,
            help="Stop a repository or registry of which more would go; replaces the files' value.",
        ),
        option(
            "--deadline",
            section=LIMITS,
            metavar="DURATION",
            type=DURATION,
            help="Begin nothing after this long, such as 50m; half of it is to list. The next run goes on.",
        ),
    )


def reports(function: _F) -> _F:
    """Take reports to write."""
    return option(
        "--report",
        "reports",
        section=FILES,
        envvar="JANITOR_REPORT",
        metavar="FILE",
        type=TEXT,
        multiple=True,
        help="Write a report; the suffix chooses: .json .jsonl .csv .md .html .xml .prom. May be repeated.",
    )(function)


def concurrency(function: _F) -> _F:
    """Take how many requests are under way at once."""
    return option(
        "--concurrency",
        section=LIMITS,
        metavar="N",
        type=WORKERS,
        default="16",
        show_default=True,
        help="Requests under way at once.",
    )(function)


def state_dir(function: _F) -> _F:
    """Take the state folder."""
    return option(
        "--state-dir",
        section=FILES,
        metavar="DIR",
        type=TEXT,
        help="Where journals, reports and what was seen before are kept. [default: $XDG_STATE_HOME/janitor]",
    )(function)


def output(function: _F) -> _F:
    """Take how much is said, and how; ``-v`` is remembered for failures."""
    return _all(
        function,
        option(
            "--log-format",
            section=OUTPUT,
            type=click.Choice(["auto", "console", "json"]),
            default="auto",
            metavar="FORMAT",
            help="The log on standard error: console, json, or auto (console on a terminal).",
        ),
        option(
            "-q",
            "--quiet",
            section=OUTPUT,
            is_flag=True,
            callback=_remember,
            help="Say only the closing lines, and errors.",
        ),
        option(
            "-v",
            "--verbose",
            section=OUTPUT,
            is_flag=True,
            callback=_remember,
            help="Say everything: every image, and why what stays does.",
        ),
    )


def check_files(ctx: click.Context, *written: str, reports: tuple[str, ...]) -> None:
    """Refuse before anything is done what could not be written after it."""
    from janitor.reports import renderer

    for path in reports:
        renderer(path)
    places = [os.path.realpath(path) for path in written]
    for path in places:
        if places.count(path) > 1:
            raise click.UsageError(f"{path} would be written twice: give each file a name of its own", ctx)


def check_apart(ctx: click.Context, *, read: tuple[str, ...], written: tuple[str, ...]) -> None:
    """Refuse to write over what is read."""
    places = {os.path.realpath(path) for path in read}
    for path in written:
        if os.path.realpath(path) in places:
            raise click.UsageError(f"{path} is read, and would be written over: give another name", ctx)


def _all(function: _F, *options: Callable[[_F], _F]) -> _F:
    """Apply decorators so that help shows them in this order."""
    for each in reversed(options):
        function = each(function)
    return function


def _remember(ctx: click.Context, param: click.Parameter, value: bool) -> bool:  # noqa: FBT001  as click calls
    """Refuse both, whichever is read first, and remember -v where failures look for it."""
    if value and ctx.params.get("quiet" if param.name == "verbose" else "verbose"):
        raise click.UsageError("-q and -v ask for opposite things", ctx)
    if param.name == "verbose":
        ctx.meta[VERBOSE] = value
    return value


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal()
