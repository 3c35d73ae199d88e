"""A large inventory through seven rules, against what ``json.loads`` needs to read the same lines."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.inventory import write
from benchmarks.measuring import Cost, cost, python

_READ = "import json, sys\nfor line in open(sys.argv[1], 'rb'): json.loads(line)"
_NOW = "2026-06-01T00:00:00Z"


def measure(images: int) -> None:
    """Print the ratios for so many images, in a five-hundredth and in a hundredth as many repositories."""
    bare = cost(python("-c", "pass"))
    for repositories, labelled in ((images // 500, True), (images // 500, False), (images // 100, True)):
        with tempfile.TemporaryDirectory(prefix="janitor-bench-") as name:
            folder = Path(name)
            write(folder, images, repositories, labelled=labelled)
            read = cost(python("-c", _READ, str(folder / "inventory.jsonl")))
            ours = _plan(folder)
            size = (folder / "inventory.jsonl").stat().st_size
        what = "labels" if labelled else "no labels"
        print(
            f"{images:,} images in {repositories:,} repositories ({what}, {size / images:.0f} bytes a line): "
            f"{ours.cpu / read.cpu:.2f} times json.loads ({ours.cpu:.1f} s to {read.cpu:.1f} s), "
            f"{ours.peak - bare.peak:.0f} MiB above a bare interpreter"
        )


def _plan(folder: Path) -> Cost:
    return cost(
        python(
            "-m", "janitor", "run", str(folder / "policy.yaml"), "--now", _NOW, "-q",
            "--state-dir", str(folder / "state"), "--plan", str(folder / "plan.jsonl"),
        )
    )  # fmt: skip
