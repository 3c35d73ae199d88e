"""What protects an image from every rule: protected tags, named images, use, locks.

Whatever protects an image protects every index that holds it; what these hold, and what refers to any of
them, stays with them by the shape alone. An index whose children could not be read is protected too: what
would go with it isn't known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from janitor.core.facts import Facts
from janitor.core.pattern import PatternKind, PatternList
from janitor.core.policy import Protect
from janitor.core.reference import Reference
from janitor.core.selection import Slots
from janitor.core.use import InUse


class Protections(msgspec.Struct, frozen=True, kw_only=True):
    """What is protected in one repository.

    ``images``: position -> why, indexes that hold a protected image too. ``tags``: slots whose own tag is
    protected or in use, with why. ``named``: the references in use that name something here.
    """

    images: Mapping[int, tuple[str, ...]]
    tags: Mapping[int, str]
    named: frozenset[Reference]


class Named:
    """References by what they name: digests anywhere, tags of one repository."""

    __slots__ = ("_digests", "_tags")

    def __init__(self, references: Iterable[tuple[Reference, str]]) -> None:
        self._digests: dict[str, list[tuple[Reference, str]]] = {}
        self._tags: dict[str, dict[str, list[tuple[Reference, str]]]] = {}
        for reference, why in references:
            if reference.digest is not None:
                self._digests.setdefault(reference.digest, []).append((reference, why))
            if reference.tag is not None:
                tags = self._tags.setdefault(reference.name, {})
                tags.setdefault(reference.tag, []).append((reference, why))

    def digests_of(self, facts: Facts) -> list[tuple[int, Reference, str]]:
        """The images that a reference names by digest."""
        return [
            (facts.shape.at[digest], reference, why)
            for digest in self._digests.keys() & facts.shape.at.keys()
            for reference, why in self._digests[digest]
        ]

    def tags_of(self, names: Iterable[str]) -> dict[str, list[tuple[Reference, str]]]:
        """The tags that references name in a repository that has these names."""
        found: dict[str, list[tuple[Reference, str]]] = {}
        for name in names:
            for tag, references in self._tags.get(name, {}).items():
                found.setdefault(tag, []).extend(references)
        return found


class Protector:
    """All that a run protects; made once, asked for each repository."""

    __slots__ = ("_images", "_in_use", "lists")

    def __init__(self, protect: Protect, in_use: InUse) -> None:
        self.lists: list[tuple[PatternList, str]] = [
            (protection.patterns, f"its tag {{tag}} is protected by {protection.where}")
            for protection in protect.tags
        ]
        if protect.latest:
            latest = PatternList.of(("latest",), PatternKind.TAG)
            self.lists.append((latest, 'its tag {tag} is protected unless a list says "!latest"'))
        self._images = Named((named.reference, f"protected by {named.where}") for named in protect.images)
        self._in_use = Named(
            (reference, f"in use as {reference} ({reading.source})")
            for reading in in_use.readings
            for reference in reading.references
        )

    def protections(
        self, facts: Facts, slots: Slots, bits: Sequence[int], names: Sequence[str]
    ) -> Protections:
        """What is protected in a repository that has these names; ``bits`` are those of ``lists``."""
        images: dict[int, list[str]] = {}
        tags: dict[int, str] = {}
        for s, why in self._protected_slots(slots, bits):
            tags.setdefault(s, why)
            images.setdefault(slots.image[s], []).append(why)
        references: frozenset[Reference] = frozenset()
        for named in (self._in_use, self._images):
            found: set[Reference] = set()
            for i, reference, why in named.digests_of(facts):
                images.setdefault(i, []).append(why)
                found.add(reference)
            wanted = named.tags_of(names)
            if wanted:
                found |= self._hold_tags(wanted, facts, slots, images, tags)
            if named is self._in_use:
                references = frozenset(found)
        for i in [i for i, image in enumerate(facts.images) if image.locked]:
            images.setdefault(i, []).append("it is locked")
        for i in facts.shape.shut:
            images.setdefault(i, []).append("what it holds could not be read")
        for i in facts.shape.indexes_holding(images) - images.keys() if facts.shape.holders else ():
            images[i] = ["it holds an image that is protected"]
        return Protections(
            images={i: tuple(dict.fromkeys(why)) for i, why in images.items()},
            tags=tags,
            named=references,
        )

    def _protected_slots(self, slots: Slots, bits: Sequence[int]) -> Iterable[tuple[int, str]]:
        for s in slots.selected_by(sum(bits)):
            for bit, (_, why) in zip(bits, self.lists, strict=True):
                if slots.selected[s] & bit:
                    yield s, why.format(tag=slots.tag[s])

    @staticmethod
    def _hold_tags(
        wanted: Mapping[str, list[tuple[Reference, str]]],
        facts: Facts,
        slots: Slots,
        images: dict[int, list[str]],
        tags: dict[int, str],
    ) -> set[Reference]:
        """Protect the images that wear a wanted tag, and the tag itself where it is one that counts."""
        found: set[Reference] = set()
        for i, image in enumerate(facts.images):
            for tag in image.tags:
                for reference, why in wanted.get(tag, ()):
                    images.setdefault(i, []).append(why)
                    found.add(reference)
                    if i in slots.first:
                        tags.update((s, why) for s in slots.of(i) if slots.tag[s] == tag)
        return found
