"""From rules to what happens to each image of one repository: four passes, of which only one condemns.

1. Every rule, independent of every other, says for which slots (an image by one of its tags) it holds.
2. The union gives a verdict an image: any slot kept, it is kept; every slot taken, it is condemned.
3. Protections and the grace turn condemned into kept, never the reverse.
4. The shape keeps what something that stays still holds; then what belongs to the condemned goes along.

**A later pass can only save; only the second can condemn.** What is unknown never deletes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta

import msgspec

from janitor.core.conditions import holding
from janitor.core.facts import Facts
from janitor.core.image import Abilities, Inventory
from janitor.core.leftover import Leftover, left_behind
from janitor.core.plan import ActionKind
from janitor.core.policy import PolicySet, Rule, Side
from janitor.core.protection import Protections, Protector
from janitor.core.selection import Lists, Slots, choose
from janitor.core.shape import closed
from janitor.core.use import InUse


class Decider:
    """Decides repository after repository by one set of policies, at one instant."""

    def __init__(self, policies: PolicySet, in_use: InUse, now: datetime) -> None:
        self._policies = policies
        self._now = now
        self._protector = Protector(policies.protect, in_use)
        self._books: dict[tuple[tuple[int, int], ...], RuleBook] = {}

    def decide(
        self,
        inventory: Inventory,
        *,
        hosts: Sequence[str],
        abilities: Abilities,
        names: Sequence[str] = (),
        leftovers: Mapping[str, Leftover] | None = None,
    ) -> Decisions:
        """What happens to each image of a repository, before the limits.

        ``hosts`` are the prefixes under which the registry's images are pulled, ``names`` what this
        repository is called beside; ``leftovers``, by digest, what earlier runs left behind here.
        """
        book = self._book(inventory.registry, inventory.repository, abilities)
        facts = Facts(inventory.images, self._now)
        facts.shape.cascades = abilities.cascades
        slots = Slots(facts, book.matcher)
        votes = Votes(book, slots, facts)
        all_names = [*(f"{host}/{inventory.repository}" for host in hosts), *names]
        protections = self._protector.protections(facts, slots, book.protected_bits, all_names)
        grace = self._policies.limits.grace
        decisions = _saved(inventory, votes, protections, grace)
        return _with_leftovers(decisions, leftovers, grace) if leftovers else decisions

    def _book(self, registry: str, repository: str, abilities: Abilities) -> RuleBook:
        """The rules that cover a repository; repositories of one kind share one book."""
        covering = tuple(
            (p, r)
            for p, policy in enumerate(self._policies.policies)
            if policy.registries.selects(registry) and policy.repositories.selects(repository)
            for r, rule in enumerate(policy.rules)
            if (abilities.archives or not rule.archive) and _within(rule, registry, repository)
        )
        book = self._books.get(covering)
        if book is None:
            policies = self._policies.policies
            rules = [(policies[p].rules[r], policies[p].timezone) for p, r in covering]
            book = self._books[covering] = RuleBook(rules, self._protector, untags=abilities.untags)
        return book


def _within(rule: Rule, registry: str, repository: str) -> bool:
    select = rule.select
    if select.registries is not None and not select.registries.selects(registry):
        return False
    return select.repositories is None or select.repositories.selects(repository)


class RuleBook:
    """The rules that cover one repository, with one matcher for all their patterns.

    Rule n is bit n of every mask: ``archive``, ``any_tag`` and ``untag`` are of the rules that say so.
    """

    __slots__ = (
        "_words",
        "any_tag",
        "archive",
        "bits",
        "matcher",
        "protected_bits",
        "rules",
        "timezones",
        "untag",
    )

    def __init__(self, rules: Sequence[tuple[Rule, str]], protector: Protector, *, untags: bool) -> None:
        self.rules: tuple[Rule, ...] = tuple(rule for rule, _ in rules)
        self.timezones = tuple(timezone for _, timezone in rules)
        self._words: dict[int, tuple[tuple[str, ...], str]] = {}
        lists = Lists(self.rules)
        self.bits = tuple(lists.bits(rule) for rule in self.rules)
        self.protected_bits = tuple(lists.add(patterns) for patterns, _ in protector.lists)
        self.matcher = lists.matcher()
        self.archive = self._mask(lambda rule: rule.archive)
        self.any_tag = self._mask(lambda rule: rule.any_tag)
        self.untag = self._mask(lambda rule: rule.untag) if untags else 0

    def _mask(self, says: Callable[[Rule], bool]) -> int:
        return sum(1 << n for n, rule in enumerate(self.rules) if says(rule))

    def named(self, mask: int) -> tuple[Rule, ...]:
        """The rules of a mask, in the order of the files."""
        return tuple(rule for n, rule in enumerate(self.rules) if mask >> n & 1)

    def words(self, mask: int) -> tuple[tuple[str, ...], str]:
        """The names of the rules of a mask, and the sentence that cites them."""
        words = self._words.get(mask)
        if words is None:
            rules = self.named(mask)
            reason = "; ".join(f"{rule.name} ({rule.where}): {rule.text}" for rule in rules)
            words = self._words[mask] = tuple(rule.name for rule in rules), reason
        return words


class Votes:
    """What every rule says of every slot: passes 1 and 2.

    ``kept[s]`` and ``taken[s]`` have bit n set when rule n holds for slot s; ``spoken_of`` are the slots that
    the selectors of some rule choose.
    """

    __slots__ = ("_taking", "book", "facts", "kept", "slots", "spoken_of", "taken")

    def __init__(self, book: RuleBook, slots: Slots, facts: Facts) -> None:
        self.book = book
        self.slots = slots
        self.facts = facts
        self.kept = [0] * len(slots.image)
        self.taken = [0] * len(slots.image)
        self.spoken_of: set[int] = set()
        for n, rule in enumerate(book.rules):
            chosen = choose(rule, book.bits[n], slots, facts)
            self.spoken_of.update(chosen.slots)
            votes = self.kept if rule.side is Side.KEEP else self.taken
            bit = 1 << n
            for s in holding(rule, chosen, slots, facts, book.timezones[n]):
                votes[s] |= bit
        self._taking = dict.fromkeys(slots.first, 0)
        for i, vote in zip(slots.image, self.taken, strict=True):
            self._taking[i] |= vote

    def verdicts(self) -> tuple[set[int], set[int]]:
        """The images that rules would delete, and those that they would move to the archive."""
        image, kept = self.slots.image, self.kept
        free = self.slots.first.keys() - {image[s] for s, vote in enumerate(kept) if vote}
        condemned = free - self._spared_by(~self.book.archive)
        return condemned, free - self._spared_by(~0) - condemned

    def _spared_by(self, rules: int) -> set[int]:
        """The images of which these rules, a mask, leave a tag."""
        image, taken = self.slots.image, self.taken
        spared = {image[s] for s, vote in enumerate(taken) if not vote & rules}
        whole = rules & self.book.any_tag
        return spared - {image[s] for s, vote in enumerate(taken) if vote & whole} if whole else spared

    def _whole(self, votes: Iterable[int]) -> int:
        """The rules that take all of an image by one of its tags."""
        whole = 0
        for vote in votes:
            whole |= vote & self.book.any_tag
        return whole

    def taking(self, i: int, *, deleting: bool) -> int:
        """The rules that take an image, as a mask; those that archive have no part in a deletion."""
        mask = self._taking[i]
        return mask & ~self.book.archive if deleting else mask

    def untagged(self, i: int, protected: Mapping[int, str]) -> tuple[int, ...]:
        """The slots whose tags come off an image that stays for another of its tags."""
        span = self.slots.of(i)
        taken, kept = self.taken, self.kept
        off = [s for s in span if taken[s] & self.book.untag and not kept[s] and s not in protected]
        if not off:
            return ()
        whole = self._whole(taken[s] for s in span)
        stays = any(kept[s] or s in protected or not (taken[s] | whole) for s in span)
        return tuple(off) if stays else ()


class Decisions(msgspec.Struct, frozen=True, kw_only=True):
    """What happens to the images of one repository, by position, and what that rests on.

    ``condemned`` and ``archived`` are what rules take and nothing saves; the ``along`` maps give what goes
    with them, each with the candidates that it hangs on. ``untag`` has the tags to take off images that stay.
    ``young``, ``held``, ``floored`` and ``last`` are what rules take and the grace, the shape, the floor or
    the registry itself saves. ``left`` are images that earlier runs left behind, and that go now.
    """

    inventory: Inventory
    votes: Votes
    protections: Protections
    condemned: AbstractSet[int]
    archived: AbstractSet[int]
    along: Mapping[int, tuple[int, ...]]
    archived_along: Mapping[int, tuple[int, ...]]
    untag: Mapping[int, tuple[str, ...]]
    young: AbstractSet[int]
    held: AbstractSet[int]
    floored: AbstractSet[int] = frozenset()
    last: AbstractSet[int] = frozenset()
    left: Mapping[int, Leftover] = {}

    @property
    def facts(self) -> Facts:
        """What is known of the images."""
        return self.votes.facts

    @property
    def going(self) -> set[int]:
        """The candidates that are deleted or moved to the archive."""
        return {*self.condemned, *self.archived}

    def action(self, i: int) -> ActionKind | None:
        """What happens to an image; ``None``: it stays as it is."""
        if i in self.condemned or i in self.along or i in self.left:
            return ActionKind.DELETE
        if i in self.archived or i in self.archived_along:
            return ActionKind.ARCHIVE
        return ActionKind.UNTAG if i in self.untag else None

    def only(self, deletable: AbstractSet[int]) -> Decisions:
        """Delete only what is among these, and of that only what nothing outside of them holds."""
        shape = self.facts.shape
        staying = self.protections.images.keys() | (self.along.keys() - deletable)
        condemned, _, along, _ = closed(shape, self.condemned & deletable, frozenset(), staying)
        return msgspec.structs.replace(
            self,
            condemned=condemned,
            archived=frozenset(),
            along=along,
            archived_along={},
            left={i: left for i, left in self.left.items() if i in deletable},
        )

    def only_moving(self, movable: AbstractSet[int], gone: AbstractSet[int]) -> Decisions:
        """Move only what is among these, and of that only what nothing else holds but what is ``gone``."""
        staying = self.protections.images.keys() | (self.archived_along.keys() - movable)
        _, archived, _, moved = closed(
            self.facts.shape, self.condemned & gone, self.archived & movable, staying
        )
        return msgspec.structs.replace(
            self,
            condemned=frozenset(),
            archived=archived,
            along={},
            archived_along=_moving(moved, self.facts),
            left={},
        )

    def without(self, floored: AbstractSet[int], *, last: AbstractSet[int] = frozenset()) -> Decisions:
        """The same, but that these candidates stay, and what then stays with them."""
        spared = floored | last
        condemned, archived, along, archived_along = closed(
            self.facts.shape,
            self.condemned - spared,
            self.archived - spared,
            self.protections.images.keys(),
        )
        return msgspec.structs.replace(
            self,
            condemned=condemned,
            archived=archived,
            along=along,
            archived_along=_moving(archived_along, self.facts),
            floored=self.floored | floored,
            last=self.last | last,
            held=self.held | (self.going - condemned - archived - spared),
        )


def _saved(inventory: Inventory, votes: Votes, protections: Protections, grace: timedelta) -> Decisions:
    """Passes 3 and 4: what is protected, young or held stays."""
    facts, shape = votes.facts, votes.facts.shape
    staying = protections.images.keys()
    fresh = _arrived_within(facts, grace)
    condemned, archived = votes.verdicts()
    taken = condemned | archived
    young = fresh(taken)
    # Whether a platform would go with its index depends on what else names it; a young one holds all of them,
    # so that one more rule or protection can't let an index go that it held.
    indexes = taken & shape.children.keys()
    platforms = {p for i in indexes for p in shape.platforms(i) if not shape.tags[p] or p in shape.strays}
    young_platforms = fresh(platforms)
    young |= {i for i in indexes if not young_platforms.isdisjoint(shape.platforms(i))}
    unsaved = taken - young - staying
    condemned, archived, along, moved = closed(shape, condemned & unsaved, archived & unsaved, staying)
    return Decisions(
        inventory=inventory,
        votes=votes,
        protections=protections,
        condemned=condemned,
        archived=archived,
        along=along,
        archived_along=_moving(moved, facts),
        untag=_untags(votes, protections, condemned | archived, fresh),
        young=young,
        held=unsaved - condemned - archived,
    )


def _with_leftovers(decisions: Decisions, leftovers: Mapping[str, Leftover], grace: timedelta) -> Decisions:
    """Let go what earlier runs left behind, unless something protects it; no rule has a say in that."""
    facts, staying = decisions.facts, decisions.protections.images.keys()
    left = left_behind(leftovers, facts.shape, staying, _arrived_within(facts, grace))
    gone = decisions.going | decisions.along.keys() | decisions.archived_along.keys()
    return msgspec.structs.replace(decisions, left={i: each for i, each in left.items() if i not in gone})


def _moving(along: Mapping[int, tuple[int, ...]], facts: Facts) -> Mapping[int, tuple[int, ...]]:
    """What moves to the archive along with others, but for what is there already."""
    if not facts.in_archive:
        return along
    return {i: roots for i, roots in along.items() if i not in facts.in_archive}


def _untags(
    votes: Votes,
    protections: Protections,
    going: AbstractSet[int],
    fresh: Callable[[Iterable[int]], set[int]],
) -> dict[int, tuple[str, ...]]:
    untag = votes.book.untag
    if not untag:
        return {}
    slots, images = votes.slots, votes.facts.images
    untags: dict[int, tuple[str, ...]] = {}
    spoken = {slots.image[s] for s, mask in enumerate(votes.taken) if mask & untag} - going
    for i in sorted(spoken - fresh(spoken)):
        if images[i].locked:
            continue
        off = votes.untagged(i, protections.tags)
        if off:
            untags[i] = tuple(tag for s in off if (tag := slots.tag[s]) is not None)
    return untags


def _arrived_within(facts: Facts, grace: timedelta) -> Callable[[Iterable[int]], set[int]]:
    """Tell which of some images arrived within the grace; one without any time is no concern of it."""
    if not grace:
        return lambda _: set()
    arrivals, cutoff = facts.arrivals(), facts.ago(grace)
    return lambda images: {i for i in images if (at := arrivals[i]) is not None and at > cutoff}
