"""What the policies schedule, each under the name that it has in the log, in metrics and in the state folder.

The name says all that makes the schedule: one that is changed is another, and has never been served.
"""

from __future__ import annotations

from typing import cast

import msgspec

from janitor.core.pattern import PatternKind, PatternList
from janitor.core.policy import PolicySet, Schedule
from janitor.errors import UsageError
from janitor.providers.keys import Keys
from janitor.serve.trigger import Cron


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """One schedule, and when it is due."""

    name: str
    schedule: Schedule
    cron: Cron


def planned(policies: PolicySet) -> tuple[Planned, ...]:
    """Read the schedules, each once; raises UsageError where there is none, or one is never due."""
    found: dict[str, Planned] = {}
    for schedule in policies.schedules:
        name = _name(schedule)
        try:
            cron = Cron(schedule.cron, schedule.timezone)
        except ValueError as error:
            raise UsageError(f"{schedule.where}: {error}") from None
        found.setdefault(name, Planned(name=name, schedule=schedule, cron=cron))
    if not found:
        raise UsageError(
            f"no schedule in {', '.join(policies.files)}: `janitor serve` runs by the schedules of the "
            'policy files, such as schedules: [{cron: "15 3 * * *", timezone: Europe/Berlin}]'
        )
    return tuple(found.values())


def refuse_read_only(policies: PolicySet) -> None:
    """Raise UsageError where a schedule would delete in a registry that is only read: each run would fail."""
    for schedule in policies.schedules:
        chosen = PatternList.of(schedule.registries or ("*",), PatternKind.NAME)
        for spec in policies.registries:
            covered = any(policy.registries.selects(spec.name) for policy in policies.policies)
            if covered and chosen.selects(spec.name) and not cast("Keys", spec.keys).abilities.deletes:
                raise UsageError(
                    f"{schedule.where}: this schedule covers registry {spec.name} ({spec.provider}), which "
                    "is only read: leave out --delete, or name others under its `registries`"
                )


def _name(schedule: Schedule) -> str:
    parts = [" ".join(schedule.cron.split()), schedule.timezone]
    parts += [f"registry:{pattern}" for pattern in schedule.registries]
    parts += [f"repository:{pattern}" for pattern in schedule.repositories]
    return " ".join(parts)
