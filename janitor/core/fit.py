"""What a rule asks that a registry can't do: it is no mistake, and yet the rule does less than it says."""

from __future__ import annotations

from collections.abc import Iterator

from janitor.core.image import Abilities
from janitor.core.policy import Rule, Side

_PULLS = frozenset({"not_pulled_for", "pulled_within"})


def misfits(rule: Rule, abilities: Abilities) -> Iterator[str]:
    """Say in sentences what of a rule has no effect, or a larger one, at a registry of these abilities."""
    pulled = sorted(_PULLS & {condition.key for condition in rule.conditions})
    if (pulled or rule.order_by == "pulled") and not abilities.records_pulls:
        what = pulled[0] if pulled else "order_by: pulled"
        effect = "deletes nothing" if rule.side is Side.DELETE else "keeps all that it selects"
        yield f"{what} {effect} here: no pulls are recorded"
    if rule.archive and not abilities.archives:
        yield "archive does nothing here: there is no archive class"
    if rule.select.archived and not abilities.archives:
        yield "archived selects nothing here: there is no archive class"
    if rule.untag and not abilities.untags:
        yield "untag takes off nothing here: a tag can't be taken off alone"
    if rule.select.untagged and not abilities.lists_untagged:
        yield "untagged selects only what an index, a referrer or an earlier run names: no more is listed"
