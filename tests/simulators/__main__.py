"""Start a simulator by hand: ``python -m tests.simulators oci [--world FILE] [--flavour NAME] [--port N]``.

It prints its address, and serves until it is stopped.
"""

from __future__ import annotations

import argparse
import signal
from datetime import UTC, datetime
from pathlib import Path

from tests.simulators.oci import FLAVOURS, OciServer
from tests.simulators.world import World
from tests.simulators.worldfile import read_world, sample


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.simulators", description=__doc__)
    parser.add_argument("protocol", choices=["oci"])
    parser.add_argument("--world", type=Path, help="a YAML file; without it, a sample")
    parser.add_argument("--flavour", choices=sorted(FLAVOURS), default="distribution-2")
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    world = World(datetime.now(UTC).replace(microsecond=0))
    if options.world is None:
        sample(world)
    else:
        read_world(options.world, world)
    stops = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, stops)
    with OciServer(world, FLAVOURS[options.flavour], port=options.port) as server:
        print(server.address, flush=True)  # noqa: T201  what the caller waits for
        signal.sigwait(stops)


main()
