"""In which order images go, where one must not outlive or outrun another.

A referrer goes before its subject, and an index before its children: stopped anywhere, nothing that is left
names what is gone. A tag of cosign's scheme names a subject as the manifest's own field does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from janitor.core.image import Image
from janitor.core.manifest import scheme_subject


def levels(images: Sequence[Image]) -> Iterator[tuple[Image, ...]]:
    """Yield the images in levels: each may go once those of the levels before it are gone.

    In a level they stand in the order in which they were given. Images that wait for one another in a
    circle, which only tags can make, are the last level.
    """
    waiting = waits(images)
    rest = list({image.digest: image for image in images}.values())
    while rest:
        ready = tuple(image for image in rest if not waiting[image.digest])
        if not ready:
            yield tuple(rest)
            return
        yield ready
        gone = {image.digest for image in ready}
        rest = [image for image in rest if image.digest not in gone]
        for image in rest:
            waiting[image.digest] -= gone


def holders(images: Sequence[Image]) -> dict[str, set[str]]:
    """Tell which of these images name each of them as a child; by the child's digest."""
    found: dict[str, set[str]] = {image.digest: set() for image in images}
    for image in images:
        if isinstance(image.children, tuple):
            for child in image.children:
                if child in found and child != image.digest:
                    found[child].add(image.digest)
    return found


def subjects_among(images: Sequence[Image]) -> dict[str, set[str]]:
    """Tell to which of these images each refers; those that refer to none of them are left out."""
    there = {image.digest for image in images}
    found: dict[str, set[str]] = {}
    for image in images:
        named = {image.subject, *map(scheme_subject, image.tags)} & there - {image.digest}
        if named:
            found[image.digest] = {subject for subject in named if subject is not None}
    return found


def waits(images: Sequence[Image]) -> dict[str, set[str]]:
    """Tell for which of these images each must wait: those that hold it, and those that refer to it."""
    found = holders(images)
    for digest, subjects in subjects_among(images).items():
        for subject in subjects:
            found[subject].add(digest)
    return found
