"""How much may go: a floor, two brakes and a ration, in this order.

Beside them stands what a registry will never delete, known beforehand: it is left out of the plan as well.

Limits count images that rules judge: candidates, tagged children among them; what goes along counts for
nothing, a move to the archive as a deletion, taking off a tag not at all. A brake stops a whole scope; the
ration lets the oldest go and leaves the rest for the next run.
"""

from __future__ import annotations

import heapq
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

import msgspec

from janitor.core.decision import Decisions
from janitor.core.policy import Limits
from janitor.core.ranking import newest_first, tie_break

# Below this many images a share says little: one of three is 33 %.
_FEWEST_FOR_PERCENT = 10


def floor(decisions: Decisions, min_remaining: int) -> Decisions:
    """Let the newest of those that would go stay until so many are left.

    Orphans and archived images count neither as left nor as going. An image without a usable time is the
    newest.
    """
    facts, shape = decisions.facts, decisions.facts.shape
    counted = [i for i in shape.candidates if i not in shape.orphans and i not in facts.in_archive]
    going = decisions.going
    missing = min_remaining - len(counted) + sum(1 for i in counted if i in going)
    if missing <= 0:
        return decisions
    times = {i: facts.time_or_last(i) for i in counted if i in going}
    stack = newest_first(times, lambda i: tie_break(facts, i))
    spared: set[int] = set()
    for i in stack:
        if missing <= 0:
            break
        if i not in going:
            continue
        spared.add(i)
        if i in shape.children or i in shape.referrers:
            # What it holds or is referred to by stays with it, and counts as left.
            now_going = decisions.without(frozenset(spared)).going
            missing -= sum(1 for j in counted if j in going and j not in now_going)
            going = now_going
        else:
            going.discard(i)
            missing -= 1
    return decisions.without(frozenset(spared))


def last_tagged(decisions: Decisions) -> Decisions:
    """Let the newest tagged image stay, where without it no image of the repository had a tag any more."""
    images = decisions.facts.images
    leaving = decisions.going | decisions.along.keys() | decisions.left.keys()
    if any(image.tags for i, image in enumerate(images) if i not in leaving):
        return decisions
    times = {i: decisions.facts.time_or_last(i) for i in decisions.condemned if images[i].tags}
    newest = newest_first(times, lambda i: tie_break(decisions.facts, i))[:1]
    return decisions.without(frozenset(), last=frozenset(newest)) if newest else decisions


def oldest_first(decisions: Decisions) -> list[tuple[float, int]]:
    """The candidates that go, in the order in which a ration lets them, each with the time that counts.

    The oldest first, but none before an index or a subject that holds it; without a usable time, last. The
    times never fall: what waits for something younger counts as old as that.
    """
    facts, shape = decisions.facts, decisions.facts.shape
    going = decisions.going
    along = {**decisions.along, **decisions.archived_along}
    waits_for: dict[int, set[int]] = {}
    frees: dict[int, list[int]] = {}
    for i in going & (shape.holders.keys() | shape.subjects.keys()):
        roots = {root for bond in shape.bound_to(i) for root in along.get(bond, (bond,)) if root in going}
        waits_for[i] = roots
        for root in roots:
            frees.setdefault(root, []).append(i)
    # Ranks turn (time, version, tag, digest) into one number, worked out from the newest on.
    times = {i: facts.time_or_last(i) for i in going}
    ranked = newest_first(times, lambda i: tie_break(facts, i))
    if not waits_for:
        return [(times[i], i) for i in reversed(ranked)]
    rank = {i: -n for n, i in enumerate(ranked)}
    ready = [(rank[i], i) for i in going if i not in waits_for]
    heapq.heapify(ready)
    order: list[tuple[float, int]] = []
    latest = float("-inf")
    while ready:
        _, i = heapq.heappop(ready)
        latest = max(latest, times[i])
        order.append((latest, i))
        for freed in frees.get(i, ()):
            waits_for[freed].discard(i)
            if not waits_for[freed]:
                heapq.heappush(ready, (rank[freed], freed))
    # Images that hold one another wait in vain; no digest can be so, but a file may say it.
    knotted = sorted(going.difference(i for _, i in order), key=rank.__getitem__)
    return order + [(max(latest, times[i]), i) for i in knotted]


class Tally(msgspec.Struct, kw_only=True, gc=False):
    """What the limits of a run need to know of one repository.

    ``judged``: images that rules judge; ``going``: those that would be deleted or archived; ``planned``:
    whether anything at all is planned, a tag to take off too; ``times``: of those that go, in the order of
    :func:`oldest_first`, kept only where there is a budget. ``stopped``: why nothing of it is done, if so;
    ``allowed``: how many of those that go may, where a ration leaves some for later.
    """

    registry: str
    repository: str
    images: int = 0
    judged: int = 0
    going: int = 0
    planned: bool = False
    times: array[float] | None = None
    stopped: str | None = None
    allowed: int | None = None


def limit(tallies: Sequence[Tally], limits: Limits, unused: Mapping[str, str]) -> None:
    """Stop what must not be done and ration what may: fills in ``stopped`` and ``allowed``.

    ``unused`` names the registries (``""``: all) that the state of use closes, each with its reason; they are
    stopped first, so that no budget is spent on them, and count for the shares as if their images went.
    """
    for tally in tallies:
        if tally.planned:
            tally.stopped = unused.get("") or unused.get(tally.registry)
        if tally.stopped is None:
            tally.stopped = brake(tally.going, tally.judged, limits.max_percent)
    _brake_registries(tallies, limits.max_percent)
    if limits.budget is not None:
        _ration(tallies, limits.budget)
    if limits.max_deletions is not None:
        _brake_run(tallies, limits.max_deletions)


def brake(going: int, judged: int, max_percent: int) -> str | None:
    """Say why a repository is stopped of which so many would go; ``None`` when it isn't."""
    if _passes(going, judged, max_percent):
        return f"{going} of its {judged} images would go, over max_percent {max_percent}"
    return None


def _passes(going: int, judged: int, max_percent: int) -> bool:
    if max_percent == 0:
        return going > 0
    return judged >= _FEWEST_FOR_PERCENT and going * 100 > judged * max_percent


def _brake_registries(tallies: Iterable[Tally], max_percent: int) -> None:
    sums: dict[str, tuple[int, int]] = {}
    for tally in tallies:
        going, judged = sums.get(tally.registry, (0, 0))
        sums[tally.registry] = going + tally.going, judged + tally.judged
    for registry, (going, judged) in sums.items():
        if _passes(going, judged, max_percent):
            why = f"{going} of the {judged} images of {registry} would go, over max_percent {max_percent}"
            _stop((tally for tally in tallies if tally.registry == registry), why)


def _stop(tallies: Iterable[Tally], why: str) -> None:
    for tally in tallies:
        if tally.planned and tally.stopped is None:
            tally.stopped = why


def _ration(tallies: Sequence[Tally], budget: int) -> None:
    rationed = [tally for tally in tallies if tally.stopped is None and tally.going]
    if budget == 0 and rationed:
        _stop(tallies, "budget 0 lets nothing go")
        return
    if sum(tally.going for tally in rationed) <= budget:
        return
    for tally in rationed:
        tally.allowed = 0
    in_order = sorted(rationed, key=lambda tally: (tally.registry, tally.repository))
    queue = heapq.merge(*(_numbered(n, tally) for n, tally in enumerate(in_order)))
    for _, n, _ in islice(queue, budget):
        in_order[n].allowed = (in_order[n].allowed or 0) + 1


def _numbered(n: int, tally: Tally) -> Iterator[tuple[float, int, int]]:
    for seq, time in enumerate(tally.times or ()):
        yield time, n, seq


def _brake_run(tallies: Iterable[Tally], max_deletions: int) -> None:
    going = sum(
        tally.going if tally.allowed is None else tally.allowed for tally in tallies if tally.stopped is None
    )
    if going > max_deletions:
        _stop(tallies, f"the run would delete {going} images, over max_deletions {max_deletions}")
