"""Rules and images put together, and what tests ask of the answer, in the names that they gave.

An image is spoken of by its name (its tags, unless it was given another), a slot by its tag or, where it is
that of an untagged image, by the image's name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from janitor.core.conditions import holding
from janitor.core.decision import Decider, Decisions
from janitor.core.facts import Facts
from janitor.core.image import Abilities, Image
from janitor.core.leftover import Leftover
from janitor.core.plan import ActionKind
from janitor.core.policy import Limits, Protect, Rule
from janitor.core.selection import Lists, Slots, choose
from janitor.core.shape import Shape
from janitor.core.use import InUse
from tests.factories import digest, inventory, limits, name_of, policy, policy_set
from tests.instant import NOW

ABLE = Abilities(records_pushes=True, records_pulls=True, untags=True, archives=True)
HOSTS = ("registry.test",)


def names(shape: Shape, positions: Iterable[int]) -> set[str]:
    """What tests call the images at these positions."""
    digests = {i: digest for digest, i in shape.at.items()}
    return {name_of(digests[i]) for i in positions}


def place(shape: Shape, name: str) -> int:
    """The position of the image of that name."""
    return shape.at[digest(name)]


def chosen(rule: Rule, *images: Image) -> set[str]:
    """The slots that the selectors of a rule choose."""
    facts, slots, bits = _arranged(rule, images)
    return _slot_names(facts, slots, choose(rule, bits, slots, facts).slots)


def held(rule: Rule, *images: Image, timezone: str = "UTC") -> set[str]:
    """The slots for which a rule holds."""
    facts, slots, bits = _arranged(rule, images)
    found = choose(rule, bits, slots, facts)
    return _slot_names(facts, slots, holding(rule, found, slots, facts, timezone))


def _arranged(rule: Rule, images: Sequence[Image]) -> tuple[Facts, Slots, tuple[int, ...]]:
    facts, lists = Facts(images, NOW), Lists([rule])
    return facts, Slots(facts, lists.matcher()), lists.bits(rule)


def _slot_names(facts: Facts, slots: Slots, found: Iterable[int]) -> set[str]:
    return {slots.tag[s] or name_of(facts.images[slots.image[s]].digest) for s in found}


def decide(
    rules: Rule | Sequence[Rule],
    *images: Image,
    protect: Protect | None = None,
    in_use: InUse | None = None,
    grace: str = "0h",
    timezone: str = "UTC",
    abilities: Abilities = ABLE,
    hosts: Sequence[str] = HOSTS,
    repository: str = "team/app",
    leftovers: Mapping[str, Leftover] | None = None,
) -> Decisions:
    """What these rules decide on a repository of these images, before the limits; no grace unless given."""
    bare = (rules,) if isinstance(rules, Rule) else rules
    given: Limits = limits(grace=grace, min_remaining=0)
    policies = policy_set(policy(*bare, timezone=timezone), protect=protect, limits=given)
    decider = Decider(policies, in_use or InUse(), NOW)
    return decider.decide(
        inventory(*images, repository=repository),
        hosts=tuple(hosts),
        abilities=abilities,
        leftovers=leftovers,
    )


def deleted(decisions: Decisions) -> set[str]:
    """The images that are deleted, those too that go along."""
    return _with(decisions, ActionKind.DELETE)


def archived(decisions: Decisions) -> set[str]:
    """The images that are moved to the archive, those too that move along."""
    return _with(decisions, ActionKind.ARCHIVE)


def untagged(decisions: Decisions) -> dict[str, tuple[str, ...]]:
    """The tags that are taken off, by image."""
    return {name_of(decisions.facts.images[i].digest): tags for i, tags in decisions.untag.items()}


def _with(decisions: Decisions, kind: ActionKind) -> set[str]:
    images = decisions.facts.images
    return {name_of(image.digest) for i, image in enumerate(images) if decisions.action(i) is kind}
