"""Every protocol serves other programs when it is started by hand, whatever they call themselves."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from tests.simulators.byhand import ask, started

ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")


@pytest.mark.parametrize(
    ("protocol", "lines", "stop"),
    [
        ("acr", 1, signal.SIGINT),
        ("dockerhub", 2, signal.SIGTERM),
        ("ecr", 3, signal.SIGINT),
        ("ecs", 3, signal.SIGTERM),
        ("gar", 4, signal.SIGINT),
        ("ghcr", 4, signal.SIGTERM),
        ("kubernetes", 1, signal.SIGINT),
        ("lambda", 3, signal.SIGTERM),
        ("oci", 1, signal.SIGINT),
    ],
)
def test_it_says_its_address_alone_and_then_a_fact_a_line_and_ends_well(
    tmp_path: Path, protocol: str, lines: int, stop: signal.Signals
) -> None:
    with started(tmp_path, protocol, stop=stop, lines=lines) as hand:
        assert ADDRESS.fullmatch(hand.address)
        assert len(hand.facts) == lines - 1
        assert all(hand.facts.values())


def test_a_distribution_registry_serves_who_asks(tmp_path: Path) -> None:
    world = {"team/app": [{"id": "amd"}, {"tags": ["1"], "children": ["amd"]}]}
    with started(tmp_path, "oci", world) as hand:
        tags = ask(f"{hand.address}/v2/team/app/tags/list", headers={"Authorization": "Basic bWU6bWU="})
        assert tags.json == {"name": "team/app", "tags": ["1"]}
        assert ask(f"{hand.address}/v2/team/none/tags/list").json["errors"][0]["code"] == "NAME_UNKNOWN"
