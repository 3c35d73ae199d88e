"""Why an image stays, in sentences that cite rules with their file and line."""

from __future__ import annotations

from janitor.core.decision import Decisions


def why_stays(decisions: Decisions, i: int) -> tuple[str, ...]:
    """Everything that keeps image i, the strongest first; at least one sentence."""
    facts, votes = decisions.facts, decisions.votes
    reasons = list(decisions.protections.images.get(i, ()))
    if i not in votes.slots.first:
        return (*reasons, facts.shape.why_no_candidate(i))
    span = votes.slots.of(i)
    kept = 0
    for s in span:
        kept |= votes.kept[s]
    reasons.extend(f"kept by {rule.name} ({rule.where}): {rule.text}" for rule in votes.book.named(kept))
    if i in decisions.young:
        reasons.append("it, or a platform that would go with it, arrived within the grace")
    if i in decisions.held:
        reasons.append("something that stays holds it, or is what it refers to")
    if i in decisions.floored:
        reasons.append("min_remaining: so many images stay in a repository")
    if i in decisions.last:
        reasons.append("its registry never deletes the last tagged image of a repository")
    free = [s for s in span if not votes.taken[s]]
    reasons.extend(_free(decisions, s) for s in free)
    return tuple(reasons) or ("no rule takes all of it",)


def _free(decisions: Decisions, s: int) -> str:
    """Why no rule takes one slot."""
    votes = decisions.votes
    what = "it" if (tag := votes.slots.tag[s]) is None else f"tag {tag}"
    if s not in votes.spoken_of:
        return f"no rule selects {what}"
    if decisions.facts.times[votes.slots.image[s]] is None:
        return f"no delete rule holds for {what}: it has no usable time"
    return f"no delete rule holds for {what}"
