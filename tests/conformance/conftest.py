"""Stages for the suites, given back at the end of each test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from janitor.providers.interface import ManifestMemory
from tests.conformance.harness import Harness
from tests.conformance.harnesses import FORGETFUL
from tests.conformance.stages import Stage, StageOf
from tests.peers.distribution import Distribution, serving
from tests.simulators.world import World


@pytest.fixture(scope="session")
def distribution() -> Iterator[Distribution]:
    """The real registry, shared: a stage empties it before it fills it."""
    with serving() as server:
        yield server


@pytest.fixture
def stage_of(request: pytest.FixtureRequest) -> Iterator[StageOf]:
    """Make a world real for a harness: ``stage_of(harness, world, memory)``."""
    with ExitStack() as stack:

        def make(harness: Harness, world: World, memory: ManifestMemory = FORGETFUL) -> Stage:
            return stack.enter_context(harness.open(request, world, memory))

        yield make
