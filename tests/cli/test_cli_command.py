from __future__ import annotations

import signal

import click
import pytest

from janitor.cli.options import output
from janitor.errors import FileError, JanitorError, PolicyError, Problem, UsageError
from tests.cli.house import call, house


def fail(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize("code", [0, 1, 3, 130])
def test_a_command_exits_with_what_it_returns(code: int) -> None:
    assert call(house(lambda: code), "do").exit_code == code


def test_a_command_that_returns_nothing_went_well() -> None:
    assert call(house(lambda: None), "do").exit_code == 0


@pytest.mark.parametrize(
    ("error", "code"), [(UsageError("no"), 2), (FileError("no"), 1), (JanitorError("no"), 1)]
)
def test_an_error_of_ours_is_one_line_with_the_code_of_its_class(error: JanitorError, code: int) -> None:
    result = call(house(lambda: fail(error)), "do")
    assert (result.exit_code, result.stdout, result.stderr) == (code, "", "error: no\n")


def test_mistakes_in_policy_files_stand_at_their_places() -> None:
    problems = (
        Problem(
            file="a.yaml",
            line=3,
            column=7,
            message="no such key",
            hint="did you mean tags?",
            excerpt="tagz: x",
        ),
        Problem(file="b.yaml", message="is empty"),
    )
    result = call(house(lambda: fail(PolicyError(problems))), "do")
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        "a.yaml:3:7: no such key (did you mean tags?)",
        "  tagz: x",
        "        ^",
        "b.yaml: is empty",
        "error: 2 mistakes in policy files; nothing was done",
    ]


def test_an_unexpected_exception_is_one_line_that_says_so() -> None:
    result = call(house(lambda: fail(KeyError("a\nb"))), "do")
    assert result.exit_code == 1
    assert result.stderr == "this is a bug: KeyError: 'a\\nb'; -v shows where\n"


def test_where_it_happened_is_shown_to_those_who_ask() -> None:
    group = house(lambda **_: fail(KeyError("x")), output)
    for result in (call(group, "do", "-v"), call(group, "do", env={"JANITOR_DEBUG": "1"})):
        assert result.exit_code == 1
        assert "Traceback" in result.stderr
        assert result.stderr.endswith("this is a bug: KeyError: 'x'\n")
    assert "Traceback" not in call(group, "do").stderr


def test_no_failure_moves_the_cursor_or_shows_a_password() -> None:
    result = call(house(lambda: fail(UsageError("\x1b[2J https://me:hunter2@host/"))), "do")
    assert result.stderr == "error: \\x1b[2J https://***@host/\n"


@pytest.mark.parametrize(
    ("interrupt", "code"),
    [
        (KeyboardInterrupt(), 130),
        (KeyboardInterrupt(signal.SIGTERM), 143),
        (KeyboardInterrupt(signal.SIGINT), 130),
    ],
)
def test_an_interrupt_exits_with_the_number_of_its_signal(interrupt: KeyboardInterrupt, code: int) -> None:
    assert call(house(lambda: fail(interrupt)), "do").exit_code == code


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("doo",), "error: no such command 'doo'."),
        (("do", "--lost"), "error: no such option '--lost'."),
        (("do", "more"), "error: got unexpected extra argument (more)"),
        (("do", "-v", "-q"), "error: -q and -v ask for opposite things"),
        (("do", "-q", "-v"), "error: -q and -v ask for opposite things"),
        (("do", "--log-format", "xml"), "error: invalid value for '--log-format': 'xml' is not one of"),
    ],
)
def test_a_wrong_command_line_says_what_is_wrong_and_exits_2(args: tuple[str, ...], said: str) -> None:
    result = call(house(lambda **_: None, output), *args)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith(said)
    assert "--help` shows what there is" in result.stderr


def test_no_command_shows_what_there_is() -> None:
    result = call(house(lambda: None))
    assert result.exit_code == 2
    assert "do  Do it." in result.stderr


def test_others_can_call_it_without_exiting() -> None:
    assert house(lambda: 3).main(["do"], standalone_mode=False) == 3
    with pytest.raises(click.UsageError):
        house(lambda: 3).main(["dont"], standalone_mode=False)
