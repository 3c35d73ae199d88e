from __future__ import annotations

import importlib
from datetime import UTC, datetime
from typing import Any

import click
import pytest

from janitor.cli import options
from janitor.cli.app import janitor as real
from janitor.cli.command import Option
from janitor.cli.options import option
from tests.cli.house import call, house

ALL = ("run", "apply", "undo", "inventory", "report", "serve", "check", "test", "schema", "demo")


def _into(got: list[Any]) -> Any:
    def take(x: Any) -> None:
        got.append(x)

    return take


def given(*args: str, kind: click.ParamType[Any], env: dict[str, str | None] | None = None) -> Any:
    """What a command gets of its option --x; a text if it was refused."""
    got: list[Any] = []
    group = house(_into(got), option("--x", section="S", type=kind))
    result = call(group, "do", *args, env=env)
    if result.exit_code == 0:
        return got[0]
    assert result.exit_code == 2
    return result.stderr.splitlines()[0]


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (options.TIME, "2026-06-01T02:00:00+02:00", datetime(2026, 6, 1, tzinfo=UTC)),
        (options.SHARD, "0/1", (0, 1)),
        (options.SHARD, "3/4", (3, 4)),
        (options.COUNT, "0", 0),
        (options.PERCENT, "100", 100),
        (options.PERCENT, "0", 0),
        (options.TEXT, "a b", "a b"),
    ],
)
def test_a_value_is_read(kind: click.ParamType[Any], text: str, value: object) -> None:
    assert given("--x", text, kind=kind) == value
    assert given(kind=kind, env={"JANITOR_X": text}) == value


@pytest.mark.parametrize(
    ("kind", "text", "meant"),
    [
        (options.TIME, "2026-06-01", "2026-06-01T00:00:00Z"),
        (options.SHARD, "1", "I/N, such as 0/4"),
        (options.SHARD, "1/", "I/N"),
        (options.SHARD, "-1/4", "I/N"),
        (options.SHARD, "4/4", "counted from 0"),
        (options.SHARD, "0/0", "counted from 0"),
        (options.SHARD, "²/4", "I/N"),
        (options.COUNT, "-1", "a whole number from 0 on"),
        (options.COUNT, "1e3", "a whole number from 0 on"),
        (options.COUNT, "1_000", "a whole number from 0 on"),
        (options.PERCENT, "101", "a whole number from 0 to 100"),
        (options.PERCENT, "80%", "a whole number from 0 to 100"),
        (options.WORKERS, "0", "a whole number from 1 to 1024"),
        (options.TEXT, "", "empty"),
        (options.TEXT, "  ", "empty"),
    ],
)
def test_a_wrong_value_says_what_is_meant(kind: click.ParamType[Any], text: str, meant: str) -> None:
    said = given("--x", text, kind=kind)
    assert said.startswith("error: invalid value for '--x': ")
    assert meant in said


def test_a_variable_that_is_set_and_empty_is_an_error() -> None:
    for empty in ("", " "):
        said = given(kind=options.TEXT, env={"JANITOR_X": empty})
        assert said == "error: JANITOR_X is set and empty: give it a value, or unset it"


def test_what_is_written_beats_the_variable() -> None:
    assert given("--x", "1", kind=options.COUNT, env={"JANITOR_X": "2"}) == 1


def test_a_wrong_variable_says_which_option_it_was_for() -> None:
    assert "--x" in given(kind=options.COUNT, env={"JANITOR_X": "many"})


def parameters() -> list[tuple[str, Option]]:
    commands = [(name, importlib.import_module(f"janitor.cli.{name}").command) for name in ALL]
    return [(name, each) for name, command in commands for each in command.params if isinstance(each, Option)]


def test_every_option_has_a_variable_of_its_own_name_but_delete() -> None:
    for name, parameter in parameters():
        longest = max(parameter.opts, key=len)
        expected = "JANITOR_" + longest.removeprefix("--").replace("-", "_").upper()
        written = longest in {"--delete", "--restore"}
        assert parameter.envvar == (None if written else expected), (name, longest)


def test_an_option_means_the_same_in_every_command() -> None:
    forms: dict[str, set[str]] = {}
    for _, parameter in parameters():
        form = repr((parameter.multiple, parameter.is_flag, parameter.type, parameter.default))
        forms.setdefault(max(parameter.opts, key=len), set()).add(form)
    assert {option: found for option, found in forms.items() if len(found) > 1} == {}


def test_every_option_says_what_it_does() -> None:
    for name, parameter in parameters():
        assert parameter.help, (name, parameter.name)
        assert parameter.help[0].isupper()
        assert parameter.help.rstrip("]").endswith((".", "janitor"))


def test_the_table_names_every_command() -> None:
    assert tuple(sorted(real.list_commands(click.Context(real)))) == tuple(sorted(ALL))
