"""Which images, by which of their tags, a rule speaks of.

A *slot* is one tag of one candidate, or an untagged candidate itself: what rules take is always a set of
slots, so that "every tag is selected" and "any tag is kept" are plain questions of numbers. Slots of one
image stand together, in the order of its tags.

What a selector asks for and nobody knows selects in a ``keep`` rule and doesn't in a ``delete`` rule; such an
image takes no place in a rank.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, chain

import msgspec

from janitor.core.facts import Facts
from janitor.core.image import ImageType
from janitor.core.pattern import PatternList, TagMatcher
from janitor.core.policy import Rule, Side


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """What the selectors of one rule choose: slots in order, and the images of these nobody is sure of."""

    slots: list[int]
    unsure: frozenset[int] = frozenset()


class Slots:
    """The slots of one repository, and which pattern lists select their tags.

    ``image[s]`` is the position of the image, ``tag[s]`` its tag or ``None``; ``first[i]`` the first slot of
    a candidate; ``selected[s]`` has bit n set when list n of the matcher selects it.
    """

    __slots__ = ("_alike", "_tags", "first", "image", "selected", "tag", "untagged")

    def __init__(self, facts: Facts, matcher: TagMatcher) -> None:
        self._tags = facts.shape.tags
        candidates = facts.shape.candidates
        tags: list[tuple[str | None, ...]] = [self._tags[i] or (None,) for i in candidates]
        self.tag: list[str | None] = [tag for together in tags for tag in together]
        self.image: list[int] = [i for i, together in zip(candidates, tags, strict=True) for _ in together]
        self.first: dict[int, int] = dict(
            zip(candidates, accumulate(map(len, tags), initial=0), strict=False)
        )
        self.untagged: list[int] = [s for s, tag in enumerate(self.tag) if tag is None]
        tagged = iter(matcher.select_each([tag for tag in self.tag if tag is not None]))
        self.selected: list[int] = [0 if tag is None else next(tagged) for tag in self.tag]
        # Most tags are selected by the same few lists as others: rules ask for these, not for each tag.
        self._alike: dict[int, list[int]] = {}
        for s, selected in enumerate(self.selected):
            self._alike.setdefault(selected, []).append(s)

    def selected_by(self, bits: int) -> list[int]:
        """The slots, in order, that one of these lists selects."""
        found = [slots for selected, slots in self._alike.items() if selected & bits]
        return found[0] if len(found) == 1 else sorted(chain.from_iterable(found))

    def of(self, i: int) -> range:
        """The slots of a candidate."""
        start = self.first[i]
        return range(start, start + (len(self._tags[i]) or 1))


class Lists:
    """The pattern lists of several rules, numbered as one matcher knows them."""

    __slots__ = ("_all", "_bits")

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._all: list[PatternList] = []
        self._bits: dict[str, tuple[int, ...]] = {}
        for rule in rules:
            select = rule.select
            lists = (
                [select.tags]
                if select.tags is not None
                else [PatternList(patterns=(p,)) for p in select.tags_all]
            )
            self._bits[rule.name] = tuple(self.add(patterns) for patterns in lists)

    def add(self, patterns: PatternList) -> int:
        """Number one more list; returned is the bit that says that it selects a tag."""
        self._all.append(patterns)
        return 1 << (len(self._all) - 1)

    def bits(self, rule: Rule) -> tuple[int, ...]:
        """The bits of a rule's lists: one for ``tags``, one a pattern for ``tags_all``."""
        return self._bits[rule.name]

    def matcher(self) -> TagMatcher:
        """One matcher for all of them."""
        return TagMatcher(self._all)


def choose(rule: Rule, bits: Sequence[int], slots: Slots, facts: Facts) -> Chosen:
    """The slots that the selectors of a rule choose; ``bits`` are those of its pattern lists."""
    select = rule.select
    chosen = _by_tags(rule, bits, slots)
    image, images, shape = slots.image, facts.images, facts.shape
    if select.archived:
        chosen = [s for s in chosen if image[s] in facts.in_archive]
    elif facts.in_archive:
        chosen = [s for s in chosen if image[s] not in facts.in_archive]
    if select.undated:
        chosen = [s for s in chosen if facts.times[image[s]] is None]
    if select.orphaned:
        chosen = [s for s in chosen if image[s] in shape.orphans]
    unsure: set[int] = set()
    if select.type:
        types = select.type | {ImageType.INDEX} if ImageType.IMAGE in select.type else select.type
        unsure.update(image[s] for s in chosen if images[image[s]].type is None)
        chosen = [s for s in chosen if images[image[s]].type in types or image[s] in unsure]
    for key, pattern in select.labels:
        unsure.update(image[s] for s in chosen if images[image[s]].labels is None)
        chosen = [
            s
            for s in chosen
            if (labels := images[image[s]].labels) is None
            or (key in labels and pattern.matches(labels[key]) is not pattern.negated)
        ]
    if unsure and rule.side is Side.DELETE:
        chosen = [s for s in chosen if image[s] not in unsure]
    return Chosen(slots=chosen, unsure=frozenset(unsure))


def _by_tags(rule: Rule, bits: Sequence[int], slots: Slots) -> list[int]:
    select = rule.select
    if select.tags is not None:
        return slots.selected_by(sum(bits))
    if select.tags_all:
        wanted = sum(bits)
        have: dict[int, int] = {}
        for s, selected in enumerate(slots.selected):
            have[slots.image[s]] = have.get(slots.image[s], 0) | selected
        return [s for s in slots.selected_by(wanted) if have[slots.image[s]] & wanted == wanted]
    if select.untagged:
        return slots.untagged
    return list(range(len(slots.image)))
