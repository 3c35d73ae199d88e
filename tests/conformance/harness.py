"""How one provider is tried: what it tells, what it can do, and where it can be struck, as data."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any

import msgspec
import pytest

from janitor.providers import PROVIDERS
from janitor.providers.interface import Context, ManifestMemory, Registry
from tests.conformance.stages import Opening, Stage, Time, visible
from tests.factories import registry_spec
from tests.instant import NOW
from tests.simulators.world import World

Open = Callable[[pytest.FixtureRequest, World, ManifestMemory], AbstractContextManager[Stage]]

# Passing faults of any protocol, and those of answers that come in pages.
KINDS = ("throttle", "error", "reset", "slow", "cut", "cut-json", "unauthorized")
PAGED_KINDS = ("repeated-page", "endless-page")
# What was asked is done, and its answer never arrives.
LOST_KINDS = ("lost-answer", "gateway")
# What every registry without a word of its own tells of an image.
TOLD = frozenset({"media_type", "artifact_type", "type", "created_at", "size_bytes", "labels"})


class Faults(msgspec.Struct, frozen=True, kw_only=True):
    """Where the requests of a provider are struck: expressions of what its simulator calls a request.

    ``listing``: one a kind of request that a listing sends; ``harmless`` are those of them without which no
    image is missing. ``pages``: those that are answered in pages. ``tags``: what :meth:`tags_now` sends,
    ``deleting``: what changes anything, ``manifests``: what reads a manifest of the repository ``a``; each
    may be empty where the protocol has no such request. ``kinds``, ``page_kinds``, ``lost_kinds``: what may
    befall them, as far as the protocol knows it; ``undone_kinds`` leave a change undone; ``tag_kinds`` keep
    the tags from being read. ``waits``: the service says how long to wait when it throttles.
    """

    listing: tuple[str, ...]
    harmless: frozenset[str] = frozenset()
    pages: tuple[str, ...] = ()
    tags: str = ""
    deleting: str = ""
    manifests: str = ""
    kinds: tuple[str, ...] = KINDS
    page_kinds: tuple[str, ...] = PAGED_KINDS
    lost_kinds: tuple[str, ...] = LOST_KINDS
    undone_kinds: tuple[str, ...] = ("throttle", "error", "reset", "unauthorized")
    tag_kinds: tuple[str, ...] = ("error", "cut", "cut-json", "reset")
    waits: bool = True


class Harness(msgspec.Struct, frozen=True, kw_only=True):
    """How one provider is tried.

    ``deletes``, ``untags``, ``archives``, ``restores``: really, not only in plans; ``returns_whole``: what
    was deleted comes back whatever else is there. ``untagged``: what nothing
    names is listed too. ``referrers``: the registry tells them itself; else clients keep the fallback tag.
    ``collects``: what has no tag is the registry's own to delete, and refused to others. ``tokens``: a token
    server gives them out. ``faults``: where it is struck; ``None``: nowhere. ``remembers``: what was read of
    manifests is kept by a memory. ``tells``: the fields that a listing says exactly as they are; another is
    unknown, or means something else at this registry (a size). ``at``: what the registry calls a
    repository of that name. ``peers``: real programs that must be installed.
    """

    name: str
    provider: str
    open: Open
    deletes: bool = True
    untags: bool = False
    archives: bool = False
    restores: bool = False
    returns_whole: bool = True
    untagged: bool = False
    referrers: bool = False
    collects: bool = False
    tokens: bool = False
    faults: Faults | None = None
    remembers: bool = False
    tells: frozenset[str] = TOLD
    at: Callable[[str], str] = str
    peers: tuple[str, ...] = ()

    @property
    def a(self) -> str:
        """What the registry calls the first of a small world's repositories."""
        return self.at("a")

    @property
    def b(self) -> str:
        """And the second."""
        return self.at("b")

    @property
    def app(self) -> str:
        """And the repository of every shape."""
        return self.at("team/app")

    def visible(self, world: World, repository: str) -> frozenset[str]:
        """The digests that a listing of the repository must hold."""
        return visible(world, repository, untagged=self.untagged, referrers=self.referrers)


def open_registry(
    provider: str,
    memory: ManifestMemory,
    environ: Mapping[str, str] | None = None,
    now: Callable[[], datetime] = lambda: NOW,
    **keys: Any,
) -> tuple[Registry, Time]:
    """A registry whose sleeping takes no time, and the clock that it moves instead."""
    opening = Opening(provider=provider, keys=keys, environ=environ or dict(os.environ))
    time = Time(opening)
    context = Context(
        environ=opening.environ,
        concurrency=4,
        memory=memory,
        sleep=time.sleep,
        clock=time.clock,
        random=lambda: 1.0,
        now=now,
    )
    row = PROVIDERS[provider]
    return row.open(registry_spec("prod", provider, row.keys(**keys)), context), time
