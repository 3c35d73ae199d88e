"""Real programs, started for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.peers.distribution import Distribution, serving


@pytest.fixture(scope="module")
def served() -> Iterator[Distribution]:
    with serving() as server:
        yield server


@pytest.fixture
def distribution(served: Distribution) -> Distribution:
    """The real registry, with nothing in it."""
    served.empty()
    return served
