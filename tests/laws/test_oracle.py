"""The program plans what the second reading of the language plans."""

from __future__ import annotations

from hypothesis import given

from tests.laws import road
from tests.laws.oracle import judge
from tests.laws.worlds import World, worlds


@given(worlds())
def test_the_program_plans_what_the_second_reading_says(world: World) -> None:
    expected = judge(world.files, world.lines, world.sources, world.now)
    assert road.plan(world) == expected


@given(worlds(limits=False))
def test_before_the_limits_both_readings_are_one(world: World) -> None:
    expected = judge(world.files, world.lines, world.sources, world.now)
    assert road.plan(world) == expected
