"""A list of AWS is read to its end, or raises."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pytest

from janitor.errors import Malformed
from janitor.net.awslists import MAX_EMPTY_PAGES, RESTARTS, Rejected, whole

Pages = Mapping[str | None, tuple[Sequence[str], str | None]]


def listed(page: Pages | Callable[[str | None], tuple[Sequence[str], str | None]]) -> list[str]:
    return whole(page if callable(page) else page.__getitem__, str, "the clusters")


def test_each_entry_comes_once_in_the_order_of_the_pages() -> None:
    assert listed({None: (["a", "b"], "1"), "1": ([], "2"), "2": (["b", "c"], "")}) == ["a", "b", "c"]


@pytest.mark.parametrize(
    "pages",
    [
        {None: (["a"], "1"), "1": (["b"], "1")},
        {None: (["a"], "1"), "1": (["b"], "2"), "2": (["c"], "1")},
    ],
)
def test_a_token_that_comes_again_is_an_error(pages: Pages) -> None:
    with pytest.raises(Malformed, match="the clusters: the pages never end"):
        listed(pages)


def test_a_page_that_brings_nothing_new_is_an_error() -> None:
    with pytest.raises(Malformed, match="a page came twice"):
        listed(lambda token: (["a"], f"{token}1"))


def test_pages_that_are_always_empty_are_an_error() -> None:
    asked: list[str | None] = []

    def page(token: str | None) -> tuple[Sequence[str], str | None]:
        asked.append(token)
        return [], str(len(asked))

    with pytest.raises(Malformed, match="never end"):
        listed(page)
    assert len(asked) == MAX_EMPTY_PAGES + 1


@pytest.mark.parametrize("times", range(RESTARTS + 2))
def test_a_token_that_is_not_taken_begins_the_list_anew_a_few_times(times: int) -> None:
    left = [times]

    def page(token: str | None) -> tuple[Sequence[str], str | None]:
        if token is None:
            return ["a"], "1"
        left[0] -= 1
        if left[0] >= 0:
            raise Rejected("an expired token")
        return ["b"], None

    if times <= RESTARTS:
        assert listed(page) == ["a", "b"]
        return
    with pytest.raises(Malformed, match="cut off \\(an expired token\\)"):
        listed(page)


def test_what_is_rejected_without_a_token_is_not_asked_again() -> None:
    asked: list[str | None] = []

    def page(token: str | None) -> tuple[Sequence[str], str | None]:
        asked.append(token)
        raise Rejected("maxResults")

    with pytest.raises(Rejected):
        listed(page)
    assert asked == [None]
