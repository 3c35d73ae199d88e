"""A large inventory through seven rules, against what ``json.loads`` needs to read the same lines."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

from benchmarks.inventory import write
from benchmarks.measuring import Cost, cost, python

_READ = "import json, sys\nfor line in open(sys.argv[1], 'rb'): json.loads(line)"
# A processor's speed changes with its other work: the median of so many pairs, each measured in turn.
_PAIRS = 3
_NOW = "2026-06-01T00:00:00Z"


def measure(images: int) -> None:
    """Print the ratios for so many images, in a five-hundredth and in a hundredth as many repositories."""
    bare = cost(python("-c", "pass"))
    for repositories, labelled in ((images // 500, True), (images // 500, False), (images // 100, True)):
        with tempfile.TemporaryDirectory(prefix="janitor-bench-") as name:
            folder = Path(name)
            write(folder, images, repositories, labelled=labelled)
            pairs = [(_read(folder), _plan(folder)) for _ in range(_PAIRS)]
            size = (folder / "inventory.jsonl").stat().st_size
        what = "labels" if labelled else "no labels"
        ratio = statistics.median(ours.cpu / read.cpu for read, ours in pairs)
        print(
            f"{images:,} images in {repositories:,} repositories ({what}, {size / images:.0f} bytes a line): "
            f"{ratio:.2f} times json.loads ({min(ours.cpu for _, ours in pairs):.1f} s to "
            f"{min(read.cpu for read, _ in pairs):.1f} s), "
            f"{max(ours.peak for _, ours in pairs) - bare.peak:.0f} MiB above a bare interpreter"
        )


def _read(folder: Path) -> Cost:
    return cost(python("-c", _READ, str(folder / "inventory.jsonl")))


def _plan(folder: Path) -> Cost:
    return cost(
        python(
            "-m", "janitor", "run", str(folder / "policy.yaml"), "--now", _NOW, "-q",
            "--state-dir", str(folder / "state"), "--plan", str(folder / "plan.jsonl"),
        )
    )  # fmt: skip
