"""What should have gone along with an image that an earlier run deleted, and was left there.

A run that was killed between an index and its platforms leaves untagged images that no rule may ever speak
of. They go in the next run, if by then nothing names, tags, protects or uses them; rules have no more say in
that than they had before. Nor may they have arrived within the grace: who pushes an index again pushes its
platforms first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet

import msgspec

from janitor.core.manifest import scheme_subject
from janitor.core.shape import Shape


class Leftover(msgspec.Struct, frozen=True, kw_only=True):
    """What an image that was left behind went with: the digest, and the rules that took it."""

    root: str
    rules: tuple[str, ...] = ()


def left_behind(
    leftovers: Mapping[str, Leftover],
    shape: Shape,
    staying: AbstractSet[int],
    fresh: Callable[[Iterable[int]], set[int]],
) -> dict[int, Leftover]:
    """Tell which of these images, by digest, may still go; ``staying`` and what is ``fresh`` do not.

    Where the children of an index are unknown, any of them may be one.
    """
    if not leftovers or shape.shut:
        return {}
    found = {shape.at[digest]: left for digest, left in leftovers.items() if digest in shape.at}
    young = fresh(found)
    found = {
        i: left
        for i, left in found.items()
        if i not in staying and i not in young and all(map(scheme_subject, shape.tags[i]))
    }
    # What is left of a nested index goes with it, but nothing that something else holds, or would go with.
    while held := [i for i in found if not found.keys() >= {*shape.bound_to(i), *_taken_along(shape, i)}]:
        for i in held:
            del found[i]
    return found


def _taken_along(shape: Shape, i: int) -> Iterable[int]:
    return shape.referrers.get(i, ()) if shape.cascades else ()
