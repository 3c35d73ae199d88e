"""Programs measured as a whole, from outside: processor time and peak memory of each run, ratios of pairs."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple


class Cost(NamedTuple):
    """What one run of a program took: seconds of processor time, and MiB at its peak."""

    cpu: float
    peak: float


def cost(command: Sequence[str], *, folder: Path | None = None, expect: int = 0) -> Cost:
    """Run a program to its end; raises RuntimeError when it ends otherwise than expected."""
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != expect:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
    return Cost(cpu=usage.ru_utime + usage.ru_stime, peak=usage.ru_maxrss / 1024)


def python(*arguments: str) -> list[str]:
    """Give the command that runs this interpreter."""
    return [sys.executable, *arguments]


def ratio(one: Sequence[str], other: Sequence[str], *, pairs: int) -> float:
    """Run two programs in turn; the median of the ratios of their processor time."""
    cost(one), cost(other)
    return statistics.median(cost(one).cpu / cost(other).cpu for _ in range(pairs))
