"""Measure, on this machine: ``python -m benchmarks``, or one of it by name."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from benchmarks import listing_ecr, listing_gar, requests, scale, startup

# A million images take a few minutes; fewer are said by BENCH_IMAGES.
_IMAGES = int(os.environ.get("BENCH_IMAGES", "1000000"))

_ALL: dict[str, Callable[[], None]] = {
    "startup": startup.measure,
    "ecr": listing_ecr.measure,
    "gar": listing_gar.measure,
    "requests": requests.measure,
    "scale": lambda: scale.measure(_IMAGES),
}

if __name__ == "__main__":
    for chosen in sys.argv[1:] or _ALL:
        _ALL[chosen]()
