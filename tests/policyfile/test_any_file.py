from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from janitor.errors import PolicyError
from janitor.policyfile.load import load
from janitor.policyfile.nodes import Problems
from janitor.policyfile.parse import parse
from janitor.policyfile.reader import Reader
from janitor.policyfile.source import read
from janitor.policyfile.testfile import load_cases
from tests.policyfile.kinds import KINDS

_HERE = Path(__file__).parent
_ENVIRON = {"SLACK_URL": "https://hooks.example.com", "A": "\udcff", "B": "1"}
_TEXTS = [
    file.read_bytes().decode("utf-8", "replace")
    for file in (*sorted(_HERE.glob("valid/*.yaml")), *sorted(_HERE.glob("errors/*.yaml")))
]
# What a slip of the hand or a hostile one puts somewhere.
_PIECES = st.one_of(
    st.sampled_from(
        [*"[]{}:,-!&*?|>'\"#%@`~ \n\t\r\\$", "${A}", "${B}", "0", "null", "true", "<<: ", "!!str ", "&a "]
    ),
    st.sampled_from(["9" * 30, "re:(?P<a>", "semver:", "\u202e", "日本", "delete", "keep", "*a", "- ", ": "]),
    st.characters(),
)


@st.composite
def _damaged(draw: st.DrawFn, texts: Sequence[str]) -> str:
    text = draw(st.sampled_from(texts))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = start + draw(st.integers(0, 12))
        text = text[:start] + draw(_PIECES) + text[end:]
    return text


def _parse(text: str) -> Any:
    problems = Problems()
    root = read("x.yaml", text.encode("utf-8", "surrogatepass"), problems)
    if root is not None:
        parse(Reader(problems, _ENVIRON), root, KINDS)
    return problems.sorted()


@given(_damaged(_TEXTS))
def test_whatever_stands_in_a_file_it_is_read_or_its_problems_can_be_printed(text: str) -> None:
    for problem in _parse(text):
        str(problem).encode()
        assert str(problem).replace("\n", "").isprintable()


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    problems = Problems()
    assert read("x.yaml", data, problems) is not None or problems


@given(_damaged([text for text in _TEXTS if "tests:" in text]))
def test_a_damaged_test_file_is_read_or_refused(tmp_path_factory: Any, text: str) -> None:
    folder = tmp_path_factory.getbasetemp() / "damaged"
    folder.mkdir(exist_ok=True)
    (folder / "everything.yaml").write_bytes((_HERE / "valid" / "everything.yaml").read_bytes())
    file = folder / "x.test.yaml"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    with suppress(PolicyError):
        load_cases(file, _ENVIRON, KINDS)


def test_a_variable_with_half_a_character_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("version: 1\nprotect: {tags: '${A}'}\n")
    with pytest.raises(PolicyError, match="from the environment"):
        load([file], _ENVIRON, KINDS)
