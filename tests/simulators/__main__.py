"""Start a simulator by hand: ``python -m tests.simulators oci [--world FILE] [--flavour NAME] [--port N]``.

It prints its address, and serves until it is stopped.
"""

from __future__ import annotations

import argparse
import signal
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

from tests.simulators.world import World
from tests.simulators.worldfile import read_world, sample


class Serving(Protocol):
    """A simulator that serves; ``address`` is what a client is given."""

    address: str


# Each module has ``serve(world, port, flavour)``; a flavour of ``None`` is its usual one.
PROTOCOLS: Mapping[str, str] = {
    "acr": "tests.simulators.acr",
    "kubernetes": "tests.simulators.kubernetes",
    "dockerhub": "tests.simulators.dockerhub",
    "gar": "tests.simulators.gar",
    "ghcr": "tests.simulators.ghcr",
    "ecr": "tests.simulators.ecr",
    "ecs": "tests.simulators.ecs",
    "lambda": "tests.simulators.lambda_",
    "oci": "tests.simulators.oci",
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.simulators", description=__doc__)
    parser.add_argument("protocol", choices=sorted(PROTOCOLS))
    parser.add_argument("--world", type=Path, help="a YAML file; without it, a sample")
    parser.add_argument("--flavour", help="which of the kinds that the protocol has")
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    world = World(datetime.now(UTC).replace(microsecond=0))
    if options.world is None:
        sample(world)
    else:
        read_world(options.world, world)
    serve = cast(
        "Callable[[World, int, str | None], AbstractContextManager[Serving]]",
        cast("Any", import_module(PROTOCOLS[options.protocol])).serve,
    )
    stops = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, stops)
    with serve(world, options.port, options.flavour) as server:
        print(server.address, flush=True)  # noqa: T201  what the caller waits for
        signal.sigwait(stops)


main()
