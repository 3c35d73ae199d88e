"""Which tags are on some images of many, read anew without listing all of them."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from janitor.core.image import Image
from tests.providers.hubs import Stage, staged
from tests.simulators.dockerhub import PERSONAL
from tests.simulators.world import World

MANY = msgspec.structs.replace(PERSONAL, pulls=None)
PAGES = 5


def large() -> World:
    world = World()
    for number in range(PAGES * 100 - 20):
        world.push("app", tags=[f"v{number}"], created=f"{number + 10}d", text=f"{number}")
    return world


def of(stage: Stage, *tags: str) -> list[Image]:
    by_tag = {image.tags[0]: image for image in stage.images().values()}
    return [by_tag[tag] for tag in tags]


def pages(stage: Stage) -> int:
    return len(stage.server.hub.asked("GET", "/tags?"))


def test_a_few_of_many_are_looked_up_one_by_one() -> None:
    with staged(large(), MANY) as stage:
        images = of(stage, "v3", "v400")
        before = pages(stage)
        assert before == PAGES + 1  # the first page again, to see that nothing changed
        now = stage.registry.tags_now("app", images)
        assert pages(stage) == before + 1
        assert len(stage.server.registry.asked("HEAD")) == 2
    assert list(now.values()) == [frozenset({"v3"}), frozenset({"v400"})]


def test_where_it_takes_fewer_requests_the_whole_is_listed() -> None:
    with staged(large(), MANY) as stage:
        images = of(stage, *(f"v{number}" for number in range(PAGES)))
        before = pages(stage)
        stage.registry.tags_now("app", images)
        assert pages(stage) == before + PAGES + 1
        assert stage.server.registry.asked("HEAD") == []


def test_what_happened_since_is_seen() -> None:
    world = large()
    with staged(world, MANY) as stage:
        first, second, third = of(stage, "v3", "v400", "v401")
        stage.time.sleep(60)
        world.retag("app", "stable", first.digest, at=stage.now())
        world.retag("app", "v400", first.digest, at=stage.now())
        world.forget("app", third.digest)
        now = stage.registry.tags_now("app", [first, second, third])
    assert now == {
        first.digest: frozenset({"v3", "v400", "stable"}),
        second.digest: frozenset(),
        third.digest: None,
    }


def test_what_was_placed_in_the_last_moment_before_the_list_is_seen_too() -> None:
    """The machines of the service needn't agree on the second."""
    world = large()
    for number in range(150):
        world.retag(
            "app", f"v{number}", world["app"].tags[f"v{number}"], at=world.now - timedelta(seconds=number)
        )
    with staged(world, MANY) as stage:
        (image,) = of(stage, "v400")
        world.retag("app", "late", image.digest, at=world.now - timedelta(seconds=140))
        before = pages(stage)
        assert stage.registry.tags_now("app", [image]) == {image.digest: frozenset({"v400", "late"})}
        assert pages(stage) == before + 3


def test_where_the_order_changed_since_the_whole_is_listed() -> None:
    world = large()
    with staged(world, MANY) as stage:
        (image,) = of(stage, "v400")
        stage.server.hub.by_name = True
        stage.time.sleep(60)
        world.retag("app", "zz", image.digest, at=stage.now())
        assert stage.registry.tags_now("app", [image]) == {image.digest: frozenset({"v400", "zz"})}


@pytest.mark.parametrize("tags", [(), ("v3",), ("v400", "other")])
def test_images_with_other_tags_than_were_listed_have_the_whole_listed(tags: tuple[str, ...]) -> None:
    with staged(large(), MANY) as stage:
        (image,) = of(stage, "v400")
        before = pages(stage)
        now = stage.registry.tags_now("app", [msgspec.structs.replace(image, tags=tags)])
        assert pages(stage) == before + PAGES + 1
    assert now == {image.digest: frozenset({"v400"})}


def test_where_the_order_does_not_tell_the_whole_is_listed() -> None:
    with staged(large(), MANY) as stage:
        stage.server.hub.tells["last_updated"] = None
        (image,) = of(stage, "v400")
        before = pages(stage)
        assert stage.registry.tags_now("app", [image]) == {image.digest: frozenset({"v400"})}
        assert pages(stage) == before + PAGES + 1


def test_many_pushes_since_are_read_to_their_end() -> None:
    world = large()
    with staged(world, MANY) as stage:
        (image,) = of(stage, "v400")
        stage.time.sleep(3600)
        world.retag("app", "stable", image.digest, at=stage.now())
        for number in range(150):
            stage.time.sleep(1)
            world.push("app", tags=[f"new{number}"], created=stage.now().isoformat(), text="same")
        before = pages(stage)
        assert stage.registry.tags_now("app", [image]) == {image.digest: frozenset({"v400", "stable"})}
        assert pages(stage) == before + 3
