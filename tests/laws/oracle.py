"""The policy language, read a second time: what is to happen to which image, slowly and simply.

Input is plain data: policy files as YAML gives them, lines as an inventory has them, what sources of use
said, an instant. Output: of each covered repository its state and the set of its actions. Every piece stands
under the sentence that it obeys; nothing of the program is used. Where a sentence leaves two readings, the
one that deletes less is taken.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from tests.laws.repository import Line, Repository
from tests.laws.rules import File, Place, covering, tie
from tests.laws.verdicts import Decided, Source, decide_one, hosts, registries, settle
from tests.laws.words import duration, reference

Action = tuple[str, str, tuple[str, ...]]
"""What happens (delete, untag, archive), to which digest, and of an untag the tags that go."""


@dataclasses.dataclass(frozen=True)
class Planned:
    """What is planned for one repository."""

    state: str = "ok"
    actions: frozenset[Action] = frozenset()


def judge(
    files: Sequence[File], lines: Iterable[Line], sources: Sequence[Source], now: datetime
) -> dict[Place, Planned]:
    """What the program must plan."""
    decided = decide(files, lines, sources, now)
    limits = merged_limits(files)
    # 1.5: closing rules of use, floor, brakes, ration. 'What is stopped so is stopped before the limits'; the
    # floor only shortens what would be done, so whether something is planned is asked after it.
    for each in decided.values():
        keep_floor(each, limits["min_remaining"])
    close_unused(files, decided, sources)
    brake_percent(decided, limits["max_percent"])
    ration(decided, limits["budget"])
    brake_deletions(decided, limits["max_deletions"])
    return {place: planned(each) for place, each in decided.items()}


def before_limits(
    files: Sequence[File], lines: Iterable[Line], sources: Sequence[Source], now: datetime
) -> dict[Place, Planned]:
    """'the plan before the limits (1.5)'."""
    return {place: planned(each) for place, each in decide(files, lines, sources, now).items()}


def planned(each: Decided) -> Planned:
    """The lines of one repository."""
    roots, along = settle(each.repository, each.roots, each.protected)
    actions: set[Action] = {(kind, digest, ()) for digest, kind in roots.items()}
    # It says 'What goes along has plan lines of its own'; 'what goes along moves along': where it is already,
    # it is.
    for digest, kind in along.items():
        if kind == "delete" or not each.repository.is_archived(digest):
            actions.add((kind, digest, ()))
    actions |= {("untag", digest, tags) for digest, tags in each.untags.items()}
    # It says 'every repository with something planned is `limited`'
    return Planned("limited" if each.limited and actions else "ok", frozenset(actions))


def decide(
    files: Sequence[File], lines: Iterable[Line], sources: Sequence[Source], now: datetime
) -> dict[Place, Decided]:
    """Each covered repository by itself."""
    places: dict[Place, list[Line]] = {}
    for line in lines:
        places.setdefault((line["registry"], line["repository"]), []).append(line)
    grace = merged_limits(files)["grace"]
    found = {}
    for place, held in sorted(places.items()):
        rules = covering(files, place)
        if rules is not None and place[0] in registries(files):
            found[place] = decide_one(files, place, Repository(held, now), rules, sources, grace=grace)
    return found


def merged_limits(files: Sequence[File]) -> dict[str, Any]:
    """'of a limit given twice the stricter counts (of `grace` and `min_remaining` the larger, of the rest the
    smaller)'; of the defaults: '`max_deletions` and `budget` have none'."""
    given = [file.get("limits", {}) for file in files]

    def of(key: str, choose: Any, default: Any) -> Any:
        values = [limits[key] for limits in given if key in limits]
        if key == "grace":
            values = [duration(value) for value in values]
        return choose(values) if values else default

    return {
        "grace": of("grace", max, timedelta(hours=24)),
        "min_remaining": of("min_remaining", max, 1),
        "max_percent": of("max_percent", min, 80),
        "max_deletions": of("max_deletions", min, None),
        "budget": of("budget", min, None),
    }


# --- limits


def close_unused(files: Sequence[File], decided: Mapping[Place, Decided], sources: Sequence[Source]) -> None:
    """'Closed when in doubt.'"""
    # It says 'When a source of `in_use` can't be read, or answers with no image at all (unless it says
    # `allow_empty: true`), the plan stands, but every repository with something planned is `limited`'
    if any(source.failed or not (source.references or source.allow_empty) for source in sources):
        for each in decided.values():
            each.limited = True
    # It says 'a source that is empty by leave counts for it as if it weren't configured'
    asked = [source for source in sources if source.references]
    if not asked:
        return
    # It says 'So are those of a registry of which the sources together name nothing (no digest of its listed
    # images, and no reference by one of its host names; one into a repository that isn't listed counts)'
    named = [reference(text) for source in asked for text in source.references]
    for registry, spec in registries(files).items():
        places = [place for place in decided if place[0] == registry]
        digests = {digest for place in places for digest in decided[place].repository.lines}
        by_host = any(name.startswith(f"{host}/") for name, _, _ in named for host in hosts(files, registry))
        by_digest = any(digest in digests for _, _, digest in named)
        if not (by_host or by_digest or spec.get("allow_unused")):
            for place in places:
                decided[place].limited = True


def counted(each: Decided, *, floor: bool = False) -> set[str]:
    """'count images that rules judge (a tagged child too; an archived one and an orphan too but in the floor;
    not what goes along)'."""
    repo = each.repository
    found = {digest for digest in repo.lines if repo.is_candidate(digest)}
    if floor:
        found = {digest for digest in found if not repo.is_archived(digest) and not repo.is_orphan(digest)}
    return found


def going(each: Decided) -> dict[str, str]:
    return settle(each.repository, each.roots, each.protected)[0]


def age_key(each: Decided, digest: str) -> tuple[Any, ...]:
    """The oldest first; 'no usable time: last'; 'equal times: … then as in ranks'."""
    repo = each.repository
    when = repo.time(digest)
    stamp = when.timestamp() if when else 0.0
    return (when is None, stamp), tie(digest, repo.tags(digest))


def keep_floor(each: Decided, floor: int) -> None:
    """'`min_remaining`, a floor for each repository: the newest of those that would go stay until that many
    are left (no usable time: newest)'."""
    while True:
        each.roots = going(each)
        left = counted(each, floor=True) - set(each.roots)
        goers = counted(each, floor=True) & set(each.roots)
        if len(left) >= floor or not goers:
            return
        del each.roots[max(goers, key=lambda digest: age_key(each, digest))]


def brake_percent(decided: Mapping[Place, Decided], percent: int) -> None:
    """'`max_percent`, a brake for each repository of at least 10 such images, then for each registry of at
    least 10 over the repositories that the run lists (what is stopped already counts as if it went)'."""
    for each in decided.values():
        each.limited |= passed(len(going(each)), len(counted(each)), percent)
    for registry in {registry for registry, _ in decided}:
        mine = [each for place, each in decided.items() if place[0] == registry]
        if passed(sum(len(going(each)) for each in mine), sum(len(counted(each)) for each in mine), percent):
            for each in mine:
                each.limited = True


def passed(goes: int, of: int, percent: int) -> bool:
    """'"Passed" is strictly more'; 'A `0` … means nothing may be deleted'."""
    if percent == 0:
        return goes > 0
    return of >= 10 and goes * 100 > of * percent


def ration(decided: Mapping[Place, Decided], budget: int | None) -> None:
    """'`budget`: over the repositories not stopped, the oldest this many go …, an image never before an index
    or subject that holds it; the rest waits for the next run'."""
    if budget is None:
        return
    # It says 'A `0` in `max_percent`, `max_deletions` or `budget` means nothing may be deleted.'
    if budget == 0:
        brake_deletions(decided, 0)
        return
    open_places = {place: each for place, each in decided.items() if not each.limited}
    waiting = sorted(
        (age_key(each, digest)[0], place, age_key(each, digest)[1], digest)
        for place, each in open_places.items()
        for digest in going(each)
    )
    chosen: dict[Place, dict[str, str]] = {place: {} for place in open_places}
    for _ in range(budget):
        for entry in waiting:
            _, place, _, digest = entry
            each = open_places[place]
            tried = chosen[place] | {digest: each.roots[digest]}
            if settle(each.repository, tried, each.protected)[0] == tried:
                chosen[place] = tried
                waiting.remove(entry)
                break
    for place, each in open_places.items():
        each.roots = chosen[place]


def brake_deletions(decided: Mapping[Place, Decided], limit: int | None) -> None:
    """'`max_deletions`, a brake for the run, over what the budget left: passed, every repository with
    something planned is stopped.'"""
    goes = sum(len(going(each)) for each in decided.values() if not each.limited)
    if limit is not None and goes > limit:
        for each in decided.values():
            each.limited = True
