"""What one repository is, read a second time: shapes, times, sizes, pulls (the sentences stand at the code).

Everything is looked up slowly and anew, from the lines as an inventory has them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.laws.words import moment

Line = Mapping[str, Any]

INDEX_TYPES = {
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
}
_COSIGN = re.compile(r"sha256-([0-9a-f]{64})\.(sig|att|sbom)")
_FALLBACK = re.compile(r"sha256-([0-9a-f]{64})")
_BY_SUFFIX = {"sig": "signature", "att": "attestation", "sbom": "sbom"}


class Repository:
    """The lines of one repository, and what they are to one another."""

    def __init__(self, lines: Iterable[Line], now: datetime) -> None:
        self.lines: dict[str, Line] = {line["digest"]: line for line in lines}
        self.now = now
        # It says 'where no image of the repository has a recorded push, its creation'
        self.has_pushes = any(self._usable(line.get("pushed_at")) for line in self.lines.values())
        # It says 'Where no referrer of a repository has its subject in it (signatures kept in a repository of
        # their own), whether one is orphaned is unknown'
        self.orphans_are_known = any(self.present_subjects(digest) for digest in self.lines)
        # An index whose children nobody could read may name any untagged image.
        self.has_unread_index = any(
            "children" not in line and self.is_index(digest) for digest, line in self.lines.items()
        )

    # --- what an image is ---------------------------------------------------------------------------------

    def type_of(self, digest: str) -> str | None:
        """'`type` absent: told from the media type, as in 1.2.'"""
        line = self.lines[digest]
        if line.get("type"):
            return str(line["type"])
        for tag in line["tags"]:
            if found := _COSIGN.fullmatch(tag):
                return _BY_SUFFIX[found[2]]
        if line.get("media_type") is None or line.get("artifact_type"):
            return None
        return "index" if line["media_type"] in INDEX_TYPES else "image"

    def is_index(self, digest: str) -> bool | None:
        """Whether it names others; nothing where neither type nor media type is known.

        'keys that aren't known may be absent': a line of a few keys is no index that nobody could read.
        """
        media_type = self.lines[digest].get("media_type")
        if media_type is not None:
            return media_type in INDEX_TYPES
        kind = self.type_of(digest)
        return None if kind is None else kind == "index"

    def is_unread_index(self, digest: str) -> bool:
        """What would go along with it nobody can tell."""
        return "children" not in self.lines[digest] and bool(self.is_index(digest))

    def tag_subject(self, digest: str, tag: str) -> str | None:
        """'A referrer (`subject`, the referrers tag scheme, cosign's `.sig`/`.att`/`.sbom` tags)'."""
        if found := _COSIGN.fullmatch(tag):
            return f"sha256:{found[1]}"
        found = _FALLBACK.fullmatch(tag)
        # The fallback tag stands on an index that lists the referrers; an image's tag that happens to name
        # the image itself is a plain tag.
        if found and self.type_of(digest) == "index" and digest != f"sha256:{found[1]}":
            return f"sha256:{found[1]}"
        return None

    def subjects(self, digest: str) -> set[str]:
        line = self.lines[digest]
        found = {self.tag_subject(digest, tag) for tag in line["tags"]} | {line.get("subject")}
        return {subject for subject in found if subject}

    def present_subjects(self, digest: str) -> set[str]:
        return {subject for subject in self.subjects(digest) if subject in self.lines}

    def own_tags(self, digest: str) -> list[str]:
        return [tag for tag in self.lines[digest]["tags"] if self.tag_subject(digest, tag) is None]

    def tags(self, digest: str) -> list[str]:
        """'Scheme tags count as tags only of an orphan.'"""
        return list(self.lines[digest]["tags"]) if self.is_orphan(digest) else self.own_tags(digest)

    def children(self, digest: str) -> list[str]:
        """Those held: 'A child that the registry doesn't hold is no failure.'"""
        return [child for child in self.lines[digest].get("children") or () if child in self.lines]

    def holders(self, digest: str) -> set[str]:
        return {other for other in self.lines if digest in self.children(other)}

    def referrers(self, digest: str) -> set[str]:
        return {other for other in self.lines if digest in self.subjects(other)}

    def descendants(self, digest: str) -> set[str]:
        """'its platforms, at any depth'."""
        return closure([digest], self.children) - {digest}

    def is_orphan(self, digest: str) -> bool:
        """'an untagged referrer (… scheme tags aside) whose subject is gone'."""
        untagged_referrer = bool(self.subjects(digest)) and not self.own_tags(digest)
        return untagged_referrer and not self.present_subjects(digest) and self.orphans_are_known

    def is_archived(self, digest: str) -> bool:
        return self.lines[digest].get("archived_at") is not None

    def archived_at(self, digest: str) -> datetime | None:
        """Since when it is in the archive class."""
        return self._usable(self.lines[digest].get("archived_at"))

    def is_candidate(self, digest: str) -> bool:
        """Whether rules may speak of it at all."""
        # It says 'A **tagged** image that an index names is judged by its tags as any other'; of referrers:
        # 'one with a tag of its own beside those is judged as a tagged child is'
        if self.own_tags(digest):
            return True
        if self.subjects(digest):
            # It says 'A referrer lives and goes with its subject'; 'An orphan is judged as any image'; where
            # orphans are unknown, 'no untagged one is a candidate'
            if not self.is_orphan(digest):
                return False
            if self.tags(digest) and not self.has_unread_index:
                return True
        # It says 'An untagged image that an index names … is no candidate of its own'
        return not self.holders(digest) and not self.has_unread_index

    def goes_along(self, digest: str) -> bool:
        """Whether it is no candidate, and goes with what it lives with."""
        # Were it known to be an orphan, its scheme tags would count, and it were judged by them.
        may_be_tagged = bool(self.lines[digest]["tags"]) and not self.present_subjects(digest)
        return not self.is_candidate(digest) and not may_be_tagged

    # --- its time -----------------------------------------------------------------------------------------

    def _usable(self, value: str | None) -> datetime | None:
        """'A time before 1981 … or more than an hour in the future is no time.'"""
        if value is None:
            return None
        when = moment(value)
        too_old = when < datetime(1981, 1, 1, tzinfo=UTC)
        return None if too_old or when > self.now + timedelta(hours=1) else when

    def created(self, digest: str) -> datetime | None:
        """'its creation (an index's, where none is recorded: the latest of its platforms')'."""
        own = self._usable(self.lines[digest].get("created_at"))
        if own or not self.is_index(digest):
            return own
        known = [self._usable(self.lines[child].get("created_at")) for child in self.descendants(digest)]
        return max((when for when in known if when), default=None)

    def time(self, digest: str) -> datetime | None:
        """'the latest of: the push of the digest, the time at which a tag was placed on it where the registry
        records that, and, where no image of the repository has a recorded push, its creation'."""
        line = self.lines[digest]
        times = [self._usable(line.get("pushed_at")), self._usable(line.get("tagged_at"))]
        if not self.has_pushes:
            times.append(self.created(digest))
        return max((when for when in times if when), default=None)

    def changed(self, digest: str) -> datetime | None:
        """A time of last change whose meaning isn't documented."""
        return self._usable(self.lines[digest].get("changed_at"))

    def last_pull(self, digest: str) -> datetime | None:
        """'by last pull, of the image or of any platform of it at any depth; never pulled counts from its
        time. Unknown where one of them is unknown'."""
        pulls = []
        for member in {digest} | self.descendants(digest):
            line = self.lines[member]
            if "pulled_at" not in line:
                return None
            never = line["pulled_at"] is None
            when = self.time(member) if never else self._usable(line["pulled_at"])
            if when is None:
                return None
            pulls.append(when)
        return max(pulls)

    # --- its size -----------------------------------------------------------------------------------------

    def size(self, digest: str) -> int | None:
        """'An index's size, where the registry doesn't say, is its own and that of its platforms.'"""
        said = self.lines[digest].get("size_bytes")
        if said is not None or not self.is_index(digest):
            return None if said is None else int(said)
        # A nested index that holds others is no platform; what it says of itself may be itself alone, or all.
        leaves = [member for member in self.descendants(digest) if not self.children(member)]
        sizes = [self.lines[leaf].get("size_bytes") for leaf in leaves]
        known = [int(size) for size in sizes if size is not None]
        return sum(known) if known and len(known) == len(sizes) else None

    # --- what is protected with it ------------------------------------------------------------------------

    def protected_with(self, protected: Iterable[str]) -> set[str]:
        """'Whatever protects an image (use, `protect`, a lock) protects every index that holds it, and with
        each of these all that they hold and their referrers; a platform that is kept only so doesn't protect
        further indexes.'"""
        upwards = closure(protected, self.holders)
        return closure(upwards, lambda digest: set(self.children(digest)) | self.referrers(digest))


def closure(start: Iterable[str], step: Any) -> set[str]:
    """Everything that is reached from the start, the start too."""
    reached, waiting = set(start), list(start)
    while waiting:
        for found in step(waiting.pop()):
            if found not in reached:
                reached.add(found)
                waiting.append(found)
    return reached
