from __future__ import annotations

import os
from pathlib import Path

import pytest

from janitor.errors import PolicyError
from janitor.policyfile import load
from tests.policyfile.kinds import KINDS

_FOLDER = Path(__file__).parent / "errors"
_WRONG = sorted(path.name for path in _FOLDER.glob("*.yaml"))
_ENVIRON = {"AGE": "thirty", "CONTROL": "a\x07b", "PASSWORD": "hunter2"}


@pytest.mark.parametrize("name", _WRONG)
def test_a_wrong_policy_file_gets_exactly_these_messages(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(_FOLDER)
    with pytest.raises(PolicyError) as caught:
        load([name], _ENVIRON, KINDS)
    golden = (_FOLDER / name).with_suffix(".txt")
    if os.environ.get("WRITE_GOLDEN_FILES"):
        golden.write_text(f"{caught.value}\n")
    assert f"{caught.value}\n" == golden.read_text()


def test_every_golden_file_has_its_policy_file() -> None:
    assert sorted(path.stem + ".yaml" for path in _FOLDER.glob("*.txt")) == _WRONG


@pytest.mark.parametrize("name", _WRONG)
def test_no_message_holds_what_a_terminal_could_obey_or_a_credential(name: str) -> None:
    said = (_FOLDER / name).with_suffix(".txt").read_text()
    assert all(char.isprintable() or char == "\n" for char in said)
    assert "hunter2" not in said


@pytest.mark.parametrize("name", _WRONG)
def test_a_caret_points_into_its_excerpt(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(_FOLDER)
    with pytest.raises(PolicyError) as caught:
        load([name], _ENVIRON, KINDS)
    for problem in caught.value.problems:
        assert len(problem.excerpt) <= 110
        assert not problem.excerpt or 1 <= problem.caret <= 2 * len(problem.excerpt) + 1
