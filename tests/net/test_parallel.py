"""Order, bounds and the end of the thread pool."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator

import pytest

from janitor.parallel import each


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_results_come_in_the_order_of_the_items(workers: int) -> None:
    first = threading.Event()

    def slow_first(item: int) -> int:
        if item == 0 and workers > 1:
            first.wait(10)
        if item == 1:
            first.set()
        return item * item

    assert list(each(slow_first, range(50), workers=workers)) == [item * item for item in range(50)]


def test_nothing_of_nothing() -> None:
    assert list(each(str, [], workers=4)) == []


def test_only_so_many_items_are_begun_ahead() -> None:
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        for item in itertools.count():
            taken += 1
            yield item

    results = each(lambda item: item, items(), workers=2, ahead=5)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    assert taken <= 3 + 5
    results.close()  # type: ignore[attr-defined] # the threaded one is a generator


def test_the_first_error_cancels_what_has_not_begun() -> None:
    begun: list[int] = []

    def fails(item: int) -> int:
        begun.append(item)
        if item == 0:
            raise ValueError("the first")
        return item

    with pytest.raises(ValueError, match="the first"):
        list(each(fails, range(10_000), workers=2))
    assert len(begun) < 10_000


def test_what_was_answered_before_an_error_is_given_out() -> None:
    def fails(item: int) -> int:
        if item == 3:
            raise ValueError(item)
        return item

    got: list[int] = []
    with pytest.raises(ValueError, match="3"):
        got.extend(each(fails, range(10), workers=3))
    results = each(fails, range(10), workers=3)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="3"):
        next(results)


def test_a_consumer_that_leaves_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    results = each(lambda item: item, range(1000), workers=4)
    next(results)
    results.close()  # type: ignore[attr-defined] # the threaded one is a generator
    assert threading.active_count() == before
