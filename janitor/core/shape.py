"""The shape of a repository: what indexes hold, what refers to what, and what lives and goes together.

The rules that stand here:

- An untagged image that an index names, or whose subject is there, is no candidate: rules don't speak of it.
  It goes when everything that holds it, and everything that it refers to, goes.
- A tagged image that an index names (or that refers to a subject) is a candidate, but stays while one of
  these stays.
- Tags of the cosign and referrers tag schemes are links to a subject; they count as tags only of an orphan,
  an otherwise untagged referrer whose subjects are all gone.
- Where no referrer of the repository has its subject in it, signatures live apart from what they sign, and
  nobody can tell an orphan: no untagged referrer is a candidate then.
- An index whose children could not be read may hold any untagged image: none that stands alone is a
  candidate then. An image of which neither type, media type nor children are known may be such an index.

Images are spoken of by their position in the listing. Nothing here knows of rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet

from msgspec import UNSET

from janitor.core.image import Image, ImageType
from janitor.core.manifest import INDEX_TYPES, is_fallback_tag, scheme_subject

_SCHEME_PREFIX = "sha256-"


class Shape:
    """How the images of one repository hang together.

    ``tags[i]``: the tags that count as tags of image i. ``children`` and ``holders``: positions, of what is
    held here only. ``subjects`` and ``referrers``: likewise. ``orphans``: candidates that are orphans.
    ``strays``: referrers by tag whose subjects are gone, or elsewhere. ``shut``: indexes whose children are
    unknown. ``candidates``: what rules may speak of, in order. ``cascades``: what refers to an image goes
    with it, whatever it is; so an image stays while one of its referrers does.
    """

    __slots__ = (
        "_orphans_unknown",
        "_platforms",
        "at",
        "candidates",
        "cascades",
        "children",
        "holders",
        "orphans",
        "referrers",
        "shut",
        "strays",
        "subjects",
        "tags",
    )

    def __init__(self, images: Sequence[Image]) -> None:
        self.at: dict[str, int] = dict(
            zip([image.digest for image in images], range(len(images)), strict=True)
        )
        self.tags: list[tuple[str, ...]] = [image.tags for image in images]
        self.children: dict[int, tuple[int, ...]] = {}
        self.holders: dict[int, list[int]] = {}
        self.subjects: dict[int, tuple[int, ...]] = {}
        self.referrers: dict[int, list[int]] = {}
        self.orphans: set[int] = set()
        self.shut: set[int] = set()
        self.cascades = False
        self.strays: set[int] = set()
        self._platforms: dict[int, tuple[int, ...]] = {}
        self._orphans_unknown = False
        adrift = self._link(images)
        self.candidates = self._candidates(images, adrift)

    def _link(self, images: Sequence[Image]) -> set[int]:
        """Fill in all links; the referrers whose subjects are all absent are returned."""
        for i, children in [(i, image.children) for i, image in enumerate(images) if image.children]:
            self._hold(i, children)
        self.shut.update(
            [i for i, image in enumerate(images) if image.children is UNSET and _is_index(image)]
        )
        referring = {i for i, image in enumerate(images) if image.subject is not None}
        referring.update([i for i, tags in enumerate(self.tags) for tag in tags if _SCHEME_PREFIX in tag])
        adrift: set[int] = set()
        for i in sorted(referring):
            named = self._subjects_named(images[i], i)
            there = tuple(dict.fromkeys([self.at[digest] for digest in named if digest in self.at]))
            if there:
                self.subjects[i] = there
                for subject in there:
                    self.referrers.setdefault(subject, []).append(i)
            elif named:
                adrift.add(i)
        self._orphans_unknown = bool(adrift) and not self.subjects
        return adrift

    def _hold(self, i: int, children: Iterable[str]) -> None:
        held = tuple(dict.fromkeys([h for child in children if (h := self.at.get(child, i)) != i]))
        if held:
            self.children[i] = held
            for child in held:
                self.holders.setdefault(child, []).append(i)

    def _subjects_named(self, image: Image, i: int) -> list[str]:
        """The digests that an image refers to; takes the tags that say so from its tags."""
        named = [] if image.subject is None else [image.subject]
        links = []
        for tag in image.tags:
            subject = scheme_subject(tag)
            # Only an index lists referrers; and a registry may resolve that tag to the subject itself.
            if subject is None or (is_fallback_tag(tag) and not _is_index(image)):
                continue
            if subject != image.digest:
                named.append(subject)
                links.append(tag)
        if links:
            self.tags[i] = tuple(tag for tag in image.tags if tag not in links)
        return [digest for digest in named if digest != image.digest]

    def _candidates(self, images: Sequence[Image], adrift: AbstractSet[int]) -> list[int]:
        out: set[int] = set()
        unsure = self._orphans_unknown or bool(self.shut)
        for i in [i for i, tags in enumerate(self.tags) if not tags]:
            if i in adrift and images[i].tags:
                # Of an orphan, the tags of the scheme count: it is tagged, whatever names it.
                self.tags[i] = images[i].tags
                self.strays.add(i)
            elif i in self.holders or i in self.subjects or self.shut:
                out.add(i)
                continue
            if i in adrift:
                (out if unsure else self.orphans).add(i)
        return [i for i in range(len(images)) if i not in out]

    def platforms(self, i: int) -> tuple[int, ...]:
        """All that an index holds, at any depth, each once; empty for what is no index."""
        if i not in self.children:
            return ()
        known = self._platforms.get(i)
        if known is None:
            seen = {i: None}
            queue = [i]
            while queue:
                for child in self.children.get(queue.pop(), ()):
                    if child not in seen:
                        seen[child] = None
                        queue.append(child)
            del seen[i]
            known = self._platforms[i] = tuple(seen)
        return known

    def indexes_holding(self, images: Iterable[int]) -> set[int]:
        """Every index that holds one of these, at any depth."""
        found: set[int] = set()
        queue = list(images)
        while queue:
            for holder in self.holders.get(queue.pop(), ()):
                if holder not in found:
                    found.add(holder)
                    queue.append(holder)
        return found

    def referring_to(self, images: Iterable[int]) -> list[int]:
        """Every image that refers to one of these, or to one that does."""
        found: dict[int, None] = {}
        queue = list(images)
        while queue:
            for referrer in self.referrers.get(queue.pop(), ()):
                if referrer not in found:
                    found[referrer] = None
                    queue.append(referrer)
        return list(found)

    def bound_to(self, i: int) -> tuple[int, ...]:
        """What must go before image i may go: the indexes that name it, and its subjects."""
        return (*self.holders.get(i, ()), *self.subjects.get(i, ()))

    def along(self, going: AbstractSet[int], staying: AbstractSet[int]) -> dict[int, tuple[int, ...]]:
        """What goes along when these candidates go, each with the candidates that it hangs on.

        Nothing that is in ``staying`` goes along, nor what hangs on it; and nothing at all where the children
        of an index are unknown, which may be any of these.
        """
        if self.shut or not (self.children or self.referrers):
            return {}
        roots: dict[int, tuple[int, ...]] = {}
        queue = [i for i in going if i in self.children or i in self.referrers]
        while queue:
            parent = queue.pop()
            for i in (*self.children.get(parent, ()), *self.referrers.get(parent, ())):
                if i in roots or i in staying or self.tags[i]:
                    continue
                bonds = self.bound_to(i)
                if len(bonds) == 1:
                    roots[i] = roots.get(parent) or (parent,)
                elif all(bond in going or bond in roots for bond in bonds):
                    hung_on = (root for bond in bonds for root in roots.get(bond, (bond,)))
                    roots[i] = tuple(dict.fromkeys(hung_on))
                else:
                    continue
                if i in self.children or i in self.referrers:
                    queue.append(i)
        return roots

    def why_no_candidate(self, i: int) -> str:
        """The sentence on an image that no rule speaks of."""
        if i in self.holders:
            return "an index names it: it lives as long as that"
        if i in self.subjects:
            return "it refers to an image that is here: it lives as long as that"
        if self._orphans_unknown and not self.shut:
            return "no signature here has what it signs beside it: whether this one is orphaned is unknown"
        return "the children of an index here are unknown: it may be one of them"


def _is_index(image: Image) -> bool:
    return image.type is ImageType.INDEX or image.media_type in INDEX_TYPES


def closed(
    shape: Shape, condemned: AbstractSet[int], archived: AbstractSet[int], staying: AbstractSet[int]
) -> tuple[set[int], set[int], Mapping[int, tuple[int, ...]], Mapping[int, tuple[int, ...]]]:
    """Take from both sets what something that stays still holds, until nothing changes.

    An index that moves to the archive stays for what is to be deleted, but not for what moves along.
    Returned are the two sets, and what goes along with deletions and with moves to the archive.
    """
    condemned, archived = set(condemned), set(archived)
    bound = (condemned | archived) & (shape.holders.keys() | shape.subjects.keys())
    while True:
        along = shape.along(condemned, staying)
        moved = shape.along(condemned | archived, staying) if archived else along
        held = _held(shape, bound & condemned, condemned | along.keys()) if bound else set()
        if archived:
            held |= _held(shape, bound & archived, condemned | archived | moved.keys())
        tied = _tied(shape, condemned | along.keys()) if shape.cascades else set()
        held |= tied & condemned
        staying = staying | tied if tied else staying
        if not held and not tied:
            only_moved = {i: roots for i, roots in moved.items() if i not in along} if archived else {}
            return condemned, archived, along, only_moved
        bound -= held
        condemned -= held
        archived -= held


def _tied(shape: Shape, gone: set[int]) -> set[int]:
    """Which of these something that isn't gone refers to, and the indexes that hold such."""
    tied = {i for i in gone & shape.referrers.keys() if not gone.issuperset(shape.referrers[i])}
    return tied | (shape.indexes_holding(tied) & gone)


def _held(shape: Shape, images: Iterable[int], gone: set[int]) -> set[int]:
    """Which of these something holds that isn't gone."""
    return {i for i in images if not gone.issuperset(shape.bound_to(i))}
