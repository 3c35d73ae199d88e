"""What holds or refers goes first."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from janitor.core.image import Image
from janitor.core.order import holders, levels
from tests.factories import image


def names(*images: Image) -> list[list[str]]:
    by_digest = {each.digest: each.tags[0] if each.tags else "" for each in images}
    return [[by_digest[each.digest] for each in level] for level in levels(images)]


def test_a_referrer_goes_before_its_subject_and_an_index_before_its_children() -> None:
    child = image("child")
    index = image("index", children=["child"])
    outer = image("outer", children=["index"])
    signature = image("signature", subject="outer")
    order = [["signature"], ["outer"], ["index"], ["child"]]
    assert names(child, index, outer, signature) == order
    assert names(signature, outer, index, child) == order


def test_what_does_not_wait_goes_together_in_the_order_given() -> None:
    assert names(image("b"), image("a")) == [["b", "a"]]


def test_a_scheme_tag_names_a_subject() -> None:
    subject = image("1")
    tag = subject.digest.replace(":", "-") + ".sig"
    assert names(subject, image(tag)) == [[tag], ["1"]]


def test_an_image_that_names_itself_waits_for_nobody() -> None:
    alone = image("1")
    tag = alone.digest.replace(":", "-")
    assert names(Image(digest=alone.digest, tags=(tag,))) == [[tag]]


def test_a_circle_of_tags_is_the_last_level() -> None:
    first, second = image("1").digest, image("2").digest
    circle = (
        Image(digest=first, tags=(second.replace(":", "-") + ".sig",)),
        Image(digest=second, tags=(first.replace(":", "-") + ".sig",)),
    )
    assert [len(level) for level in levels((image("3"), *circle))] == [1, 2]


def test_only_what_is_given_counts() -> None:
    index = image("index", children=["absent"])
    assert holders([index]) == {index.digest: set()}
    assert names(index, image("x", subject="absent")) == [["index", "x"]]


@given(st.lists(st.lists(st.integers(0, 9), max_size=4), min_size=1, max_size=10), st.randoms())
def test_every_image_comes_once_and_after_all_that_hold_it(
    children: list[list[int]], shuffle: random.Random
) -> None:
    images = [
        image(str(i), children=[str(child) for child in named if child > i])
        for i, named in enumerate(children)
    ]
    shuffle.shuffle(images)
    place = {each.digest: i for i, level in enumerate(levels(images)) for each in level}
    assert sum(len(level) for level in levels(images)) == len(images)
    for digest, held_by in holders(images).items():
        assert all(place[holder] < place[digest] for holder in held_by)
