"""What a run stands on when it decides: its premises, and each registry opened and narrowed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec

from janitor.core.decision import Decider, Decisions
from janitor.core.image import Image, Inventory
from janitor.core.leftover import Leftover
from janitor.core.limits import floor, last_tagged
from janitor.core.policy import PolicySet, RegistrySpec, Rule, Side
from janitor.core.use import InUse
from janitor.files.repositorystate import RepositoryStates
from janitor.providers.interface import Field, Listing, Registry, RepositoryFilter


class Premises(msgspec.Struct, frozen=True, kw_only=True):
    """What decisions rest on besides the images.

    ``states`` fills in when digests and tags were first seen; ``None`` where that is not to count.
    """

    policies: PolicySet
    in_use: InUse
    now: datetime
    states: RepositoryStates | None = None

    def decider(self) -> Decider:
        """Decide by these premises."""
        return Decider(self.policies, self.in_use, self.now)


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """A registry of a run: as the files describe it, opened, and narrowed to what the run wants to see."""

    spec: RegistrySpec
    registry: Registry
    only: RepositoryFilter
    wanted: frozenset[Field]

    def decide(
        self,
        listing: Listing,
        decider: Decider,
        premises: Premises,
        leftovers: Mapping[str, Leftover] | None = None,
    ) -> Decisions:
        """Decide one repository that was just listed, the floor included.

        ``leftovers``: what was left behind there; ``None``: what the state folder says, which forgets what
        may not go any more.
        """
        images: tuple[Image, ...] = listing.images
        states = premises.states
        kept: Mapping[str, Leftover] = {}
        if states is not None and self.registry.abilities.deletes:
            images = states.placed(self.spec.name, listing.repository, images, premises.now)
            kept = states.leftovers(self.spec.name, listing.repository) if leftovers is None else leftovers
        inventory = Inventory(registry=self.spec.name, repository=listing.repository, images=images)
        abilities = self.registry.abilities
        decisions = decider.decide(
            inventory,
            hosts=self.registry.hosts,
            abilities=abilities,
            names=self.registry.other_names(listing.repository),
            leftovers=kept,
        )
        if kept and leftovers is None and states is not None:
            going = {decisions.facts.images[i].digest for i in decisions.left}
            still = {digest: left for digest, left in kept.items() if digest in going}
            states.leave(self.spec.name, listing.repository, still)
        decisions = floor(decisions, premises.policies.limits.min_remaining)
        return last_tagged(decisions) if abilities.keeps_last_tagged else decisions


def wanted_fields(rules: Iterable[Rule], registry: Registry) -> frozenset[Field]:
    """Work out what these rules ask of an image that may cost a request of its own."""
    wanted: set[Field] = set()
    for rule in rules:
        keys = {condition.key for condition in rule.conditions}
        if rule.side is Side.DELETE and not registry.abilities.records_pushes:
            # Without pushes, the time of an image is its creation, and no deletion goes without a time.
            wanted.add(Field.CREATED)
        if rule.order_by == "created":
            wanted.add(Field.CREATED)
        if rule.select.labels:
            wanted.add(Field.LABELS)
        if rule.select.type:
            wanted.add(Field.TYPE)
        if keys & {"pulled_within", "not_pulled_for"} or rule.order_by == "pulled":
            wanted.add(Field.PULLED)
        if keys & {"within_size", "beyond_size", "larger_than"}:
            wanted.add(Field.SIZE)
    return frozenset(wanted)
