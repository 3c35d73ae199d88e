"""Start a simulator by hand: ``python -m tests.simulators oci [--world FILE] [--flavour NAME] [--port N]``.

Its first line is its address, and nothing else; on the lines after it stand what else a client may need, as
``name: value``. Any credentials do. It serves until SIGINT or SIGTERM.
"""

from __future__ import annotations

import argparse
import signal
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from tests.simulators.started import Started
from tests.simulators.world import World
from tests.simulators.worldfile import Unreadable, read_world, sample

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
    # Blocked before any thread is there: each of them would inherit the signals else.
    stops = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, stops)
    world = _world(options.world)
    serve = cast(
        "Callable[[World, int, str | None], AbstractContextManager[Started]]",
        cast("Any", import_module(PROTOCOLS[options.protocol])).serve,
    )
    with serve(world, options.port, options.flavour) as started:
        print(started, flush=True)  # noqa: T201  what the caller waits for
        signal.sigwait(stops)


def _world(path: Path | None) -> World:
    """What the file says, its ages before now; then time goes on."""
    world = World(datetime.now(UTC).replace(microsecond=0))
    try:
        if path is None:
            sample(world)
        else:
            read_world(path, world)
    except (OSError, Unreadable) as exc:
        raise SystemExit(f"{path}: {exc}") from exc
    world.follow(lambda: datetime.now(UTC).replace(microsecond=0))
    return world


main()
