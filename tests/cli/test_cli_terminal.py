from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from janitor.cli.command import CLOSED_PIPE
from janitor.cli.terminal import look
from tests.cli.house import janitor

CHATTY = """
import sys
from janitor.cli.terminal import say
from tests.cli.house import house
house(lambda: say(f"line {number}\\n" for number in range(%d))).main(["do"], prog_name="janitor")
"""


def chatty(lines: int, stdout: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CHATTY % lines],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )


@pytest.mark.parametrize("lines", [3, 1_000_000])
def test_a_reader_that_has_gone_ends_it_quietly(lines: int) -> None:
    reader, writer = os.pipe()
    with chatty(lines, writer) as process:
        os.close(writer)
        os.close(reader)
        assert process.wait(60) == CLOSED_PIPE
        assert process.stderr is not None
        assert process.stderr.read() == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_disk_is_an_error_that_says_so() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    with chatty(3, full) as process:
        os.close(full)
        assert process.wait(60) == 1
        assert process.stderr is not None
        assert process.stderr.read() == "error: standard output can't be written: No space left on device\n"


def test_help_for_a_reader_that_has_gone_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = janitor("--help", stdout=writer)
    os.close(writer)
    assert (done.returncode, done.stderr) == (CLOSED_PIPE, "")


@pytest.mark.parametrize(
    ("environ", "colors"),
    [
        ({}, False),
        ({"FORCE_COLOR": "1"}, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ({"NO_COLOR": ""}, False),
    ],
)
def test_what_is_no_terminal_gets_no_colours_unless_they_are_forced(
    environ: dict[str, str], *, colors: bool
) -> None:
    how = look(environ, verbose=False, quiet=False)
    assert how.width is None
    assert how.color is colors


@pytest.mark.parametrize(
    ("environ", "colors"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False), ({"NO_COLOR": ""}, True)],
)
def test_a_terminal_gets_colours_unless_told_otherwise(
    environ: dict[str, str], *, colors: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    controller, terminal = os.openpty()
    monkeypatch.setenv("COLUMNS", "20")
    with os.fdopen(controller), os.fdopen(terminal, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        how = look(environ, verbose=True, quiet=False)
    assert how.color is colors
    assert how.width == 40
