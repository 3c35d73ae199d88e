"""What ``janitor check`` says of policy files that are right. Loads nothing that reads command lines."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import cast

from janitor.core.fit import misfits_at
from janitor.core.policy import PolicySet
from janitor.kinds import kinds
from janitor.policyfile import load
from janitor.providers.keys import Keys


def read(paths: Sequence[str], *, online: bool = False) -> PolicySet:
    """Read policy files; raises PolicyError with every mistake.

    What a run would need from the environment needn't be there where policies alone are checked.
    """
    return load(paths, os.environ, kinds(), unset="error" if online else "keep")


def fine(found: PolicySet) -> str:
    """The line that says how much was read and is right."""
    rules = sum(len(policy.rules) for policy in found.policies)
    counts = [(len(found.policies), "policies", "policy"), (rules, "rules", "rule")]
    told = ", ".join(f"{number:,} {one if number == 1 else many}" for number, many, one in counts)
    return f"{told} in {len(found.files):,} {'file' if len(found.files) == 1 else 'files'}: fine\n"


def odd(found: PolicySet) -> list[str]:
    """What a registry can't do that a rule asks of it, a line each; no registry is asked."""
    return [
        f"{sentence}\n"
        for spec in found.registries
        for sentence in misfits_at(spec, cast("Keys", spec.keys).abilities, found)
    ]
