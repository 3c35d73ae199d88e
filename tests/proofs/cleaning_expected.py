"""What must be left of a registry, by the second reading of the policy language.

Shapes, tags and types are those of the truth; times, pulls, sizes and locks are what the registry tells.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import UNSET

from janitor.core.image import Abilities, Image
from tests.laws import oracle
from tests.laws.repository import closure
from tests.laws.rules import File, Place
from tests.laws.verdicts import Decided, Source, settle
from tests.simulators.truth import Repository


@dataclasses.dataclass(frozen=True)
class Left:
    """What is to happen in one repository: digests, and the tags that come off images that stay."""

    deleted: frozenset[str] = frozenset()
    archived: frozenset[str] = frozenset()
    untagged: frozenset[tuple[str, str]] = frozenset()


def lines(registry: str, name: str, place: Repository, images: Sequence[Image]) -> list[dict[str, Any]]:
    """The images that a registry lists, as lines of an inventory."""
    return [_line(registry, name, place, image) for image in images]


def _line(registry: str, name: str, place: Repository, image: Image) -> dict[str, Any]:
    held = place.manifests[image.digest]
    line: dict[str, Any] = {
        "registry": registry,
        "repository": name,
        "digest": held.digest,
        "tags": sorted(place.tags_of(held.digest)),
        "media_type": held.media_type,
        "artifact_type": held.artifact_type,
        "type": held.type.value,
        "children": list(held.children),
        "subject": held.subject,
        "size_bytes": image.size_bytes,
        "locked": image.locked,
        "labels": None if image.labels is None else dict(image.labels),
    }
    for key in ("pushed_at", "created_at", "tagged_at", "changed_at", "archived_at"):
        when = getattr(image, key)
        line[key] = None if when is None else when.isoformat()
    if image.pulled_at is not UNSET:
        line["pulled_at"] = None if image.pulled_at is None else image.pulled_at.isoformat()
    return line


def without_archive(files: Sequence[File]) -> list[dict[str, Any]]:
    """'where the registry has an archive class …; elsewhere the rule does nothing'."""
    found = []
    for file in files:
        policies = [
            {**policy, "rules": [r for r in policy["rules"] if not r.get("delete", {}).get("archive")]}
            for policy in file["policies"]
        ]
        found.append({**file, "policies": policies})
    return found


def expected(
    files: Sequence[File],
    inventory: Sequence[Mapping[str, Any]],
    sources: Sequence[Source],
    now: datetime,
    abilities: Abilities,
    *,
    limits: bool = True,
    refused: Mapping[Place, frozenset[str]] | None = None,
) -> dict[Place, Left]:
    """What a run must do. ``refused``: what turned out to stay.

    Without ``limits``: what it may do at most.
    """
    files = list(files) if abilities.archives else without_archive(files)
    decided = oracle.decide(files, inventory, sources, now)
    said = oracle.merged_limits(files)
    for each in decided.values():
        _keep_floor(each, said["min_remaining"] if limits else 0, abilities)
    if limits:
        oracle.close_unused(files, decided, sources)
        oracle.brake_percent(decided, said["max_percent"])
        oracle.ration(decided, said["budget"])
        oracle.brake_deletions(decided, said["max_deletions"])
    for place, digests in (refused or {}).items():
        each = decided[place]
        each.protected |= digests
        each.roots = {digest: kind for digest, kind in each.roots.items() if digest not in digests}
        _tie(each, abilities)
    return {place: _left(each, abilities) for place, each in decided.items()}


def _left(each: Decided, abilities: Abilities) -> Left:
    planned = oracle.planned(each)
    if planned.state != "ok":
        return Left()
    of = {kind: {digest for k, digest, _ in planned.actions if k == kind} for kind in ("delete", "archive")}
    off = {(digest, tag) for kind, digest, tags in planned.actions if kind == "untag" for tag in tags}
    return Left(
        deleted=frozenset(of["delete"]),
        archived=frozenset(of["archive"]),
        untagged=frozenset(off if abilities.untags else ()),
    )


def _keep_floor(each: Decided, floor: int, abilities: Abilities) -> None:
    """As the second reading's floor, where what refers to an image may go with it, or a last tag stays."""
    while True:
        _tie(each, abilities)
        left = oracle.counted(each, floor=True) - set(each.roots)
        goers = oracle.counted(each, floor=True) & set(each.roots)
        if len(left) >= floor or not goers:
            break
        del each.roots[max(goers, key=lambda digest: oracle.age_key(each, digest))]
    if abilities.keeps_last_tagged:
        _keep_last_tagged(each)


def _tie(each: Decided, abilities: Abilities) -> None:
    """Where a registry takes along what refers to an image, the image stays while a referrer does."""
    while True:
        each.roots, along = settle(each.repository, each.roots, each.protected)
        going = {digest for digest, kind in (each.roots | along).items() if kind == "delete"}
        tied = {digest for digest in going if not each.repository.referrers(digest) <= going}
        tied |= closure(tied, each.repository.holders) & going
        if not abilities.cascades or not tied:
            return
        each.protected |= tied
        for digest in tied:
            each.roots.pop(digest, None)


def _keep_last_tagged(each: Decided) -> None:
    """GitHub never deletes a package's last version that has a tag."""
    going = set().union(*settle(each.repository, each.roots, each.protected))
    tagged = {digest for digest, line in each.repository.lines.items() if line["tags"]}
    if tagged <= going and tagged & set(each.roots):
        newest = max(tagged & set(each.roots), key=lambda digest: oracle.age_key(each, digest))
        del each.roots[newest]
        each.roots = oracle.going(each)
