from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from typing import IO

import pytest

from janitor import log
from janitor.cli.progress import Bar, Events, Silence, showing


def events(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_events_come_at_the_end_and_not_often_before(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure(log.Format.JSON)
    now = 0.0
    progress = Events(clock=lambda: now)
    progress.started(100, "listing")
    for _ in range(100):
        now += 1.0
        progress.advanced("prod/app", 5)
    progress.finished()
    told = events(capsys.readouterr().err)
    assert [each["event"] for each in told] == ["progress.advanced"] * 3 + ["progress.finished"]
    assert [each["repositories"] for each in told] == [30, 60, 90, 100]
    assert told[-1]["images"] == 500
    assert told[-1]["of"] == 100


def test_a_stage_counts_from_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure(log.Format.JSON)
    progress = Events()
    for stage in ("listing", "deleting"):
        progress.started(None, stage)
        progress.advanced("prod/app", 5)
        progress.finished()
    assert [(each["stage"], each["images"]) for each in events(capsys.readouterr().err)] == [
        ("listing", 5),
        ("deleting", 5),
    ]


def everything(screen: IO[bytes], stream: IO[str]) -> str:
    """All that was written to a terminal, which is closed; its other side then ends with an error."""
    stream.close()
    written = b""
    with contextlib.suppress(OSError):
        while piece := screen.read(65536):
            written += piece
    return written.decode()


def test_a_bar_shows_what_is_done_and_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    controller, terminal = os.openpty()
    with os.fdopen(controller, "rb", buffering=0) as screen, os.fdopen(terminal, "w") as stream:
        before = sys.stderr
        with showing(stream, quiet=False, events=False) as progress:
            assert isinstance(progress, Bar)
            for stage in ("listing", "deleting"):
                progress.started(2, stage)
                progress.advanced("prod/\x1b]0;evil\x07[bold]app", 1234)
                progress.advanced("prod/b", 1)
                progress.finished()
        assert sys.stderr is before
        written = everything(screen, stream)
    assert "listing" in written
    assert "deleting" in written
    assert "]0;evil\x07" not in written


def test_a_bar_that_was_left_open_gives_the_terminal_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    controller, terminal = os.openpty()
    with os.fdopen(controller, "rb", buffering=0) as screen, os.fdopen(terminal, "w") as stream:
        with showing(stream, quiet=False, events=False) as progress:
            progress.started(None, "listing")
        written = everything(screen, stream)
    assert written.rindex("\x1b[?25h") > written.rindex("\x1b[?25l")


def test_what_suits_is_chosen() -> None:
    for quiet, as_events, kind in (
        (True, True, Silence),
        (True, False, Silence),
        (False, True, Events),
        (False, False, Events),
    ):
        with showing(io.StringIO(), quiet=quiet, events=as_events) as progress:
            assert isinstance(progress, kind)
