"""Where an Azure registry keeps what was deleted, while soft delete is on."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import msgspec

from tests.simulators.acr_answers import error, json_answer, manifest_unknown, timestamp
from tests.simulators.server import Answer, Request
from tests.simulators.truth import Held, Repository
from tests.simulators.world import World


class Binned(msgspec.Struct, frozen=True, kw_only=True):
    """What was deleted and is kept."""

    held: Held
    tags: frozenset[str]
    at: datetime


class Bin:
    """What was deleted, by repository and digest."""

    def __init__(self) -> None:
        self._kept: dict[str, dict[str, Binned]] = {}
        self._tags: dict[str, dict[str, tuple[str, datetime]]] = {}

    def throw_in(self, name: str, held: Held, tags: frozenset[str], at: datetime) -> None:
        self._kept.setdefault(name, {})[held.digest] = Binned(held=held, tags=tags, at=at)

    def throw_tag_in(self, name: str, tag: str, digest: str, at: datetime) -> None:
        """A tag that was taken off is kept too, apart from its image, which stays."""
        self._tags.setdefault(name, {})[tag] = digest, at

    def holds(self, name: str, digest: str) -> bool:
        return digest in self._kept.get(name, {})

    def clear(self) -> None:
        """The days of everything in it are over."""
        self._kept.clear()
        self._tags.clear()

    def catalogue(self) -> tuple[str, list[dict[str, Any]]]:
        """Objects, not names as the other catalogue has them."""
        named = [
            {"repository": name, "deletedAt": timestamp(max(each.at for each in kept.values()))}
            for name, kept in sorted(self._kept.items())
            if kept
        ]
        return "repositories", named

    def manifests(self, name: str) -> tuple[str, list[dict[str, Any]]]:
        kept = sorted(self._kept.get(name, {}).items())
        return "manifests", [{"digest": digest, "deletedAt": timestamp(each.at)} for digest, each in kept]

    def tags(self, name: str) -> tuple[str, list[dict[str, Any]]]:
        """The field is called ``tag`` here; the oldest come first."""
        kept = [
            (each.at, tag, digest) for digest, each in self._kept.get(name, {}).items() for tag in each.tags
        ]
        kept += [(at, tag, digest) for tag, (digest, at) in self._tags.get(name, {}).items()]
        entries = [
            {"tag": tag, "digest": digest, "deletedAt": timestamp(at)} for at, tag, digest in sorted(kept)
        ]
        return "tags", entries

    def restore(self, request: Request, world: World, name: str, digest: str) -> Answer:
        """One tag a call; the rest of what is kept of an image waits for further calls."""
        binned = self._kept.get(name, {}).get(digest)
        tag = json.loads(request.body or b"{}").get("tag")
        place = world.repositories.setdefault(name, Repository())
        force = request.asked("force") == "True"
        if binned is None:
            return self._restore_tag(world, name, digest, tag)
        subject = binned.held.subject
        if subject is not None and subject not in place.manifests:
            return error(409, "SUBJECT_UNKNOWN", "restore its subject before it")
        if tag is not None and place.tags.get(tag, digest) != digest and not force:
            return error(409, "TAG_EXISTS", "the tag is on another manifest")
        place.manifests[digest] = binned.held
        place.absent.pop(digest, None)
        if tag is not None:
            world.retag(name, tag, digest)
        left = binned.tags - {tag}
        if left:
            self._kept[name][digest] = msgspec.structs.replace(binned, tags=left)
        else:
            del self._kept[name][digest]
        return json_answer({"digest": digest, "tag": tag})

    def _restore_tag(self, world: World, name: str, digest: str, tag: str | None) -> Answer:
        """Of an image that is there, a tag that was taken off it."""
        if tag is None or self._tags.get(name, {}).get(tag, ("",))[0] != digest:
            return manifest_unknown(name, digest)
        if tag in world[name].tags:
            return error(409, "TAG_EXISTS", "the tag is on another manifest")
        del self._tags[name][tag]
        world.retag(name, tag, digest)
        return json_answer({"digest": digest, "tag": tag})
