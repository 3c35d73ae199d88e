"""Policy tests are decided as a run decides, before its limits, and compared with what was expected."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from janitor.core.decision import Decider, Decisions
from janitor.core.draft import assemble
from janitor.core.image import Abilities
from janitor.core.plan import Action
from janitor.core.policy import Where
from janitor.core.reference import normal_host
from janitor.core.story import why_stays
from janitor.policyfile.testfile import ANY_HOST, Case, Expectation

# A test asks what the policy means where everything that it asks for can be done.
EVERYTHING = Abilities(records_pushes=True, records_pulls=True, untags=True, archives=True, restores=True)


class Mismatch(msgspec.Struct, frozen=True, kw_only=True):
    """One image that fares otherwise than expected. ``reasons`` cite rules with their file and line."""

    label: str
    where: Where
    expected: str
    actual: str
    reasons: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [f"{self.where}: {self.label}: expected {self.expected}, but {self.actual}"]
        return "\n".join([*lines, *(f"    {reason}" for reason in self.reasons)])


class CaseVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """One case and every image of it that fares otherwise than expected."""

    name: str
    where: Where
    mismatches: tuple[Mismatch, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether everything is as expected."""
        return not self.mismatches

    def __str__(self) -> str:
        if self.passed:
            return f"ok      {self.name}"
        return "\n".join([f"FAILED  {self.name}", *(f"  {mismatch}" for mismatch in self.mismatches)])


def run_case(case: Case, *, hosts: Sequence[str] = (), abilities: Abilities = EVERYTHING) -> CaseVerdict:
    """Decide the case's repository and compare.

    ``hosts`` are the prefixes under which the registry's images are pulled, beside its aliases; ``abilities``
    what the registry can do, where a test is to know.
    """
    decider = Decider(case.policies, case.in_use, case.now)
    names = (ANY_HOST, *hosts, *map(normal_host, case.registry.aliases))
    decisions = decider.decide(case.inventory, hosts=names, abilities=abilities)
    actions = {action.digest: action for action in assemble(decisions).actions}
    at = {image.digest: i for i, image in enumerate(case.inventory.images)}
    mismatches = (
        _compare(decisions, at[expectation.digest], actions.get(expectation.digest), expectation)
        for expectation in case.expectations
    )
    return CaseVerdict(
        name=case.name, where=case.where, mismatches=tuple(each for each in mismatches if each is not None)
    )


def _compare(decisions: Decisions, i: int, action: Action | None, expected: Expectation) -> Mismatch | None:
    actual = "keep" if action is None else str(action.action)
    removed = action.remove_tags if action is not None and isinstance(action.remove_tags, tuple) else ()
    right_tags = expected.remove_tags is None or set(expected.remove_tags) == set(removed)
    right_by = expected.by is None or _decided(decisions, i, action, expected.by)
    if actual == expected.expect and right_tags and right_by:
        return None
    by = f" by {expected.by}" if expected.by is not None else ""
    of = f" of {', '.join(expected.remove_tags)}" if expected.remove_tags is not None else ""
    if action is None:
        reasons = why_stays(decisions, i)
    else:
        actual += f" of {', '.join(removed)}" if removed else ""
        actual += f" by {', '.join(action.rules)}"
        reasons = (action.reason,)
    return Mismatch(
        label=expected.label,
        where=expected.where,
        expected=f"{expected.expect}{of}{by}",
        actual=f"it is {actual}",
        reasons=reasons,
    )


def _decided(decisions: Decisions, i: int, action: Action | None, by: str) -> bool:
    if action is not None:
        return by in action.rules
    if by in _KEPT_BY:
        return _KEPT_BY[by](decisions, i)
    votes = decisions.votes
    if i not in votes.slots.first:
        return False
    kept = 0
    for s in votes.slots.of(i):
        kept |= votes.kept[s]
    return any(rule.name == by for rule in votes.book.named(kept))


def _protected(decisions: Decisions, i: int, *beginnings: str) -> bool:
    return any(why.startswith(beginnings) for why in decisions.protections.images.get(i, ()))


_KEPT_BY: Mapping[str, Callable[[Decisions, int], bool]] = {
    "protect": lambda decisions, i: _protected(decisions, i, "its tag", "protected by"),
    "protect.tags": lambda decisions, i: _protected(decisions, i, "its tag"),
    "protect.images": lambda decisions, i: _protected(decisions, i, "protected by"),
    "in_use": lambda decisions, i: _protected(decisions, i, "in use as"),
    "latest": lambda decisions, i: _protected(decisions, i, "its tag latest"),
    "lock": lambda decisions, i: _protected(decisions, i, "it is locked"),
    "grace": lambda decisions, i: i in decisions.young,
    "shape": lambda decisions, i: (
        i in decisions.held or _protected(decisions, i, "it holds") or i not in decisions.votes.slots.first
    ),
}
