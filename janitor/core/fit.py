"""What a rule asks that a registry can't do: it is no mistake, and yet the rule does less than it says."""

from __future__ import annotations

from collections.abc import Iterator

from janitor.core.image import Abilities
from janitor.core.policy import PolicySet, RegistrySpec, Rule, Side

_PULLS = frozenset({"not_pulled_for", "pulled_within"})


def misfits(rule: Rule, abilities: Abilities, where: str = "here") -> Iterator[str]:
    """Say in sentences what of a rule has no effect, or a larger one, at a registry of these abilities."""
    pulled = sorted(_PULLS & {condition.key for condition in rule.conditions})
    if (pulled or rule.order_by == "pulled") and not abilities.records_pulls:
        what = pulled[0] if pulled else "order_by: pulled"
        effect = "deletes nothing" if rule.side is Side.DELETE else "keeps all that it selects"
        yield f"{what} {effect} {where}: no pulls are recorded"
    if rule.archive and not abilities.archives:
        yield f"archive does nothing {where}: there is no archive class"
    if rule.select.archived and not abilities.archives:
        yield f"archived selects nothing {where}: there is no archive class"
    if rule.untag and not abilities.untags:
        yield f"untag takes off nothing {where}: a tag can't be taken off alone"
    if rule.select.untagged and not abilities.lists_untagged:
        yield f"untagged selects little {where}: only what an index, a referrer or an earlier run names"


def misfits_at(spec: RegistrySpec, abilities: Abilities, policies: PolicySet) -> Iterator[str]:
    """Say the same of every rule that speaks of a registry, with the place of the rule in front."""
    where = f"at {spec.name} ({spec.provider})"
    for policy in policies.policies:
        if not policy.registries.selects(spec.name):
            continue
        for rule in policy.rules:
            if rule.select.registries is None or rule.select.registries.selects(spec.name):
                for sentence in misfits(rule, abilities, where):
                    yield f"{rule.where}: {rule.name}: {sentence}"
