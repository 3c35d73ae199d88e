"""From the decisions on one repository to the lines of a plan, before the limits of the run.

Lines stand in the order in which a ration lets images go; what goes along follows what it hangs on. So a
ration cuts a repository's lines at one place.
"""

from __future__ import annotations

import re
from array import array
from collections import Counter
from functools import lru_cache
from operator import attrgetter

import msgspec
from msgspec import UNSET, UnsetType

from janitor.core.decision import Decisions, RuleBook
from janitor.core.limits import Tally, oldest_first
from janitor.core.plan import Action, ActionKind

_SHORT_DIGEST = 19


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """What would happen in one repository if no limit of the run stops it.

    ``needs[n]``: line n stands only where at least so many of the repository's images are allowed to go; 0
    always stands; empty where there is no ration. ``unselected``: images that stay only because no rule
    selects one of their tags, by the look of that tag.
    """

    tally: Tally
    actions: tuple[Action, ...]
    needs: array[int]
    unselected: Counter[str]


def assemble(decisions: Decisions, *, rationed: bool = False) -> Draft:
    """Write down the decisions on one repository; what only a ration asks for where there is one."""
    inventory = decisions.inventory
    order = oldest_first(decisions)
    place = {i: n for n, (_, i) in enumerate(order, 1)}
    reasons = _Reasons(decisions)
    hung_on: dict[int, list[Action]] = {}
    for along in (decisions.along, decisions.archived_along):
        kind = _DELETE if along is decisions.along else _ARCHIVE
        for i, roots in along.items():
            last = place[roots[0]] if len(roots) == 1 else max([place[root] for root in roots])
            hung_on.setdefault(last, []).append(_action(decisions, i, kind, *reasons.hanging_on(roots)))
    actions = sorted((_left(decisions, i) for i in decisions.left), key=_digest)
    needs = array("l", [0] * len(actions) if rationed else [])
    for n, (_, i) in enumerate(order, 1):
        deleting = i in decisions.condemned
        kind = _DELETE if deleting else _ARCHIVE
        actions.append(_action(decisions, i, kind, *reasons.going(i, deleting=deleting)))
        if n in hung_on:
            actions += sorted(hung_on[n], key=_digest)
        if rationed:
            needs.extend([n] * (len(actions) - len(needs)))
    actions.extend(sorted((_untagged(decisions, i) for i in decisions.untag), key=_digest))
    needs.extend([0] * (len(actions) - len(needs) if rationed else 0))
    tally = Tally(
        registry=inventory.registry,
        repository=inventory.repository,
        images=len(inventory.images),
        judged=len(decisions.facts.shape.candidates),
        going=len(order),
        planned=bool(actions),
        times=array("d", [time for time, _ in order]) if rationed else None,
    )
    return Draft(tally=tally, actions=tuple(actions), needs=needs, unselected=_unselected(decisions))


_digest = attrgetter("digest")
_DELETE, _UNTAG, _ARCHIVE = ActionKind.DELETE, ActionKind.UNTAG, ActionKind.ARCHIVE


_Reason = tuple[tuple[str, ...], str]


class _Reasons:
    """The rules that something goes by, and why in words; what goes for the same reason shares both."""

    def __init__(self, decisions: Decisions) -> None:
        self._decisions = decisions
        self._by_roots: dict[tuple[int, ...], _Reason] = {}

    def going(self, i: int, *, deleting: bool) -> _Reason:
        """Of a candidate: the rules that take it, and its age."""
        votes = self._decisions.votes
        return _taken(votes.book, votes.taking(i, deleting=deleting), self._decisions.facts.age(i))

    def hanging_on(self, roots: tuple[int, ...]) -> _Reason:
        """Of what goes along: the rules that take the candidates that it hangs on, and the first of these."""
        reason = self._by_roots.get(roots)
        if reason is None:
            decisions = self._decisions
            mask = 0
            for root in roots:
                mask |= decisions.votes.taking(root, deleting=root in decisions.condemned)
            names, _ = decisions.votes.book.words(mask)
            first = min([decisions.inventory.images[root].digest for root in roots])
            more = f" and {len(roots) - 1} more" if len(roots) > 1 else ""
            reason = self._by_roots[roots] = names, f"goes with {first[:_SHORT_DIGEST]}{more}"
        return reason


# Repositories that the same rules cover have images of the same ages; 4,096 hold the ages of years.
@lru_cache(maxsize=4096)
def _taken(book: RuleBook, rules: int, days: int | None) -> _Reason:
    names, words = book.words(rules)
    return names, f"{words}; {_age(days)}"


def _age(days: int | None) -> str:
    """How old an image is, in words."""
    if days is None:
        return "its time is unknown"
    return f"{days} days old" if days != 1 else "1 day old"


def _left(decisions: Decisions, i: int) -> Action:
    left = decisions.left[i]
    reason = f"was left behind when {left.root[:_SHORT_DIGEST]} went, and nothing holds it any more"
    return _action(decisions, i, _DELETE, left.rules, reason)


def _untagged(decisions: Decisions, i: int) -> Action:
    votes = decisions.votes
    removed = decisions.untag[i]
    mask = 0
    for s in votes.slots.of(i):
        if votes.slots.tag[s] in removed:
            mask |= votes.taken[s] & votes.book.untag
    names, reason = votes.book.words(mask)
    return _action(decisions, i, _UNTAG, names, f"stays for another of its tags; {reason}", removed=removed)


def _action(
    decisions: Decisions,
    i: int,
    kind: ActionKind,
    rules: tuple[str, ...],
    reason: str,
    *,
    removed: tuple[str, ...] | UnsetType = UNSET,
) -> Action:
    inventory = decisions.inventory
    image = inventory.images[i]
    return Action(
        action=kind,
        registry=inventory.registry,
        repository=inventory.repository,
        digest=image.digest,
        tags=image.tags,
        remove_tags=removed,
        rules=rules,
        reason=reason,
        size_bytes=image.size_bytes,
        pushed_at=image.pushed_at,
    )


def _unselected(decisions: Decisions) -> Counter[str]:
    """Images that would be free to go if only some rule spoke of all their tags."""
    votes = decisions.votes
    slots, spoken_of = votes.slots, votes.spoken_of
    unspoken = [s for s in range(len(slots.image)) if s not in spoken_of]
    if not unspoken:
        return Counter()
    otherwise = (
        decisions.protections.images.keys()
        | decisions.held
        | decisions.young
        | decisions.floored
        | decisions.last
    )
    found: dict[int, str] = {}
    for s in unspoken:
        i = slots.image[s]
        if i in found or i in otherwise or i in decisions.facts.in_archive:
            continue
        if i in decisions.condemned or i in decisions.archived or i in decisions.left:
            continue
        if any(votes.kept[t] or (t in spoken_of and not votes.taken[t]) for t in slots.of(i)):
            continue
        found[i] = look(slots.tag[s])
    return Counter(found.values())


_SEMVER_LOOK = re.compile(r"v?\d+\.\d+\.\d+(?:[-+].*)?")
_HEAD = re.compile(r"[A-Za-z][A-Za-z]*(?=[-_.]|\d)")


def look(tag: str | None) -> str:
    """How a tag looks, as a pattern that people would write: ``sha-*``, ``semver``, ``untagged``."""
    if tag is None:
        return "untagged"
    if _SEMVER_LOOK.fullmatch(tag):
        return "semver:*"
    head = _HEAD.match(tag)
    if head is not None:
        end = head.end()
        return f"{tag[:end]}{tag[end] if tag[end] in '-_.' else ''}*"
    return "[0-9]*" if tag[:1].isdigit() else tag
