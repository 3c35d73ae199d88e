"""A command line like the real one, with commands that a test makes up."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import click
from click.testing import CliRunner, Result

from janitor.cli.command import CONTEXT, Group, Row
from janitor.cli.options import command


class House(Group):
    """One command, ``do``."""

    def __init__(self, only: click.Command) -> None:
        rows = [Row(name="do", section="All", help="Do it.")]
        super().__init__(rows=rows, name="janitor", context_settings=CONTEXT)
        self._only = only

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return self._only if cmd_name == "do" and super().list_commands(ctx) else None


def house(function: Callable[..., Any], *decorators: Callable[..., Any]) -> House:
    for decorator in reversed(decorators):
        function = decorator(function)
    return House(command("do")(function))


def call(group: Group, *args: str, env: dict[str, str | None] | None = None) -> Result:
    return CliRunner().invoke(group, args, env=env, prog_name="janitor")


def janitor(
    *args: str, env: dict[str, str] | None = None, **options: Any
) -> subprocess.CompletedProcess[str]:
    """The real program, in a process of its own, with output in blocks whatever these tests' own is."""
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.run(
        [sys.executable, "-m", "janitor", *args],
        env=variables | (env or {}),
        text=True,
        check=False,
        timeout=60,
        **({"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options),
    )
