"""What was found of texts is asked for once, and only so much of it is remembered."""

from __future__ import annotations

from collections.abc import Sequence

from janitor.core.memory import MOST, Memory


class Lengths:
    """The length of each text, and what was asked."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def __call__(self, texts: Sequence[str]) -> list[int]:
        self.asked.append(list(texts))
        return [len(text) for text in texts]


def test_each_text_gets_its_own_answer_in_order() -> None:
    assert Memory(Lengths())(["a", "ccc", "bb", "a"]) == [1, 3, 2, 1]


def test_a_text_that_comes_again_is_not_asked_about_again() -> None:
    lengths = Lengths()
    memory = Memory(lengths)
    assert (memory(["a", "bb"]), memory(["bb", "ccc"]), memory(["a"])) == ([1, 2], [2, 3], [1])
    assert lengths.asked == [["a", "bb"], ["ccc"]]


def test_none_is_an_answer_too() -> None:
    asked: list[str] = []

    def nothing(texts: Sequence[str]) -> list[None]:
        asked.extend(texts)
        return [None] * len(texts)

    memory = Memory(nothing)
    assert (memory(["a"]), memory(["a"]), asked) == ([None], [None], ["a"])


def test_what_is_remembered_is_bounded() -> None:
    lengths = Lengths()
    memory = Memory(lengths)
    many = [str(n) for n in range(MOST + 1)]
    assert memory(many) == [len(text) for text in many]
    assert memory(["0"]) == [1]
    assert lengths.asked == [many, ["0"]]
