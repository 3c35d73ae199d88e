"""Every promise is held by tests that are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "promises.md"
_NAMED = re.compile(r"`([\w/]+\.py)::(test_\w+)`")
_LINE = re.compile(r"^\| (?!promise \||--- \|)(.+) \| (.+) \|$", re.MULTILINE)


def lines() -> list[tuple[str, str]]:
    return _LINE.findall(PAGE.read_text())


def test_there_are_promises() -> None:
    assert len(lines()) > 40


@pytest.mark.parametrize("line", lines(), ids=lambda line: line[0][:60])
def test_each_promise_names_tests_that_are_there(line: tuple[str, str]) -> None:
    promise, held_by = line
    named = _NAMED.findall(held_by)
    assert named, promise
    assert _NAMED.sub("", held_by).strip() == "", "nothing but tests stands beside a promise"
    for path, name in named:
        tree = ast.parse((TESTS / path).read_text())
        assert any(isinstance(node, ast.FunctionDef) and node.name == name for node in ast.walk(tree)), path


def test_no_promise_is_given_twice() -> None:
    promises = [promise for promise, _ in lines()]
    assert len(set(promises)) == len(promises)
