"""Registries with much to clean, runs over them in processes of their own, and the books that must be right.

Everything that a change can hang on is there: platforms, indexes in indexes, platforms that are shared,
signatures by tag and by subject, referrers of referrers, tags that come off.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from janitor.core.report import OutcomeKind
from janitor.files.journal import NAME, Change, JournalFile, read_journal
from janitor.files.statefolder import run_ids
from tests.proofs.warm import Break, Ended, Job, Warm
from tests.simulators.world import ARM64, World

RULES: tuple[Mapping[str, Any], ...] = (
    {"name": "releases", "keep": {"tags": ["semver:*"]}},
    {"name": "pull-requests", "delete": {"tags": ["pr-*"], "older_than": "14d"}},
    {"name": "builds", "delete": {"tags": ["sha-*"], "older_than": "14d", "untag": True}},
)
ARCHIVING = ({"name": "old", "delete": {"tags": ["old-*"], "older_than": "14d", "archive": True}},)
USED = "pr-used"
_DONE = frozenset({OutcomeKind.DELETED, OutcomeKind.UNTAGGED, OutcomeKind.ARCHIVED})


def build(names: Sequence[str] = ("team/api", "team/web"), *, fallback: bool = True) -> World:
    """A world whose ages are before the machine's now. ``fallback``: referrers stand in an index, too."""
    world = World(datetime.now(UTC).replace(microsecond=0))
    for name in names:
        _fill(world, name, fallback=fallback)
    for number in range(6):
        world.push(names[0], tags=[f"pr-1{number}"], created=f"{60 + number}d")
    return world


def _fill(world: World, name: str, *, fallback: bool) -> None:
    def pair(age: str) -> list[str]:
        return [world.push(name, created=age), world.push(name, created=age, platform=ARM64)]

    platforms = pair("90d")
    release = world.push_index(name, children=platforms, tags=["1.0.0", "sha-100"], created="90d")
    world.sign(name, release)
    world.refer(name, release, fallback=fallback)

    plain = world.push_index(name, children=pair("50d"), tags=["pr-1"], created="50d")
    world.sign(name, plain)
    world.refer(name, world[name].manifests[plain].children[0], fallback=fallback)

    inner = world.push_index(name, children=pair("45d"), created="45d")
    outer = world.push_index(
        name, children=[inner, world.push(name, created="45d")], tags=["pr-2", "pr-two"], created="45d"
    )
    world.sign(name, inner)
    world.refer(name, world.refer(name, outer, fallback=fallback), fallback=fallback)

    world.push_index(name, children=[platforms[0], world.push(name)], tags=["pr-3", "sha-3"], created="40d")
    tagged = world.push(name, tags=["pr-4"], created="60d")
    world.push_index(name, children=[tagged], tags=["pr-5"], created="30d")
    world.push_index(name, children=pair("30d"), tags=["pr-6", "stable"], created="30d")
    world.push_index(name, children=pair("30d"), tags=["pr-used"], created="30d")
    world.push(name, tags=["pr-young"], created="3d")


class Truth(msgspec.Struct, frozen=True, kw_only=True):
    """What a world holds: images, where each tag points to, and what is in the archive; by repository."""

    images: frozenset[tuple[str, str]]
    tags: frozenset[tuple[str, str, str]]
    archived: frozenset[tuple[str, str]]

    @classmethod
    def of(cls, world: World) -> Truth:
        """Look at a world."""
        places = world.repositories.items()
        return cls(
            images=frozenset((name, digest) for name, place in places for digest in place.manifests),
            tags=frozenset(
                (name, tag, digest) for name, place in places for tag, digest in place.tags.items()
            ),
            archived=frozenset((name, digest) for name, place in places for digest in place.archived),
        )


class Estate:
    """A folder with a policy for one registry; its runs are processes, with a state folder each."""

    def __init__(
        self,
        warm: Warm,
        folder: Path,
        keys: Mapping[str, Any],
        *,
        rules: Sequence[Mapping[str, Any]] = RULES,
        used: str | None = None,
        environ: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        self.warm = warm
        self.folder = folder
        self._environ = {**os.environ, **(environ or {})}
        self._runs = 0
        document: dict[str, Any] = {
            "version": 1,
            "registries": {"prod": dict(keys)},
            "limits": {"max_percent": 100},
            "protect": {"tags": ["stable"]},
            "policies": [{"name": "cleanup", "registries": "*", "repositories": "**", "rules": list(rules)}],
        }
        if used is not None:
            (folder / "use.txt").write_text(used)
            document["protect"]["in_use"] = [{"file": "use.txt"}]
        (folder / "policy.yaml").write_text(json.dumps(document | more))

    def job(self, *arguments: str, state: str = "state", **suffering: Any) -> Job:
        """A run that deletes."""
        self._runs += 1
        words = ("run", str(self.folder / "policy.yaml"), "--delete", "--state-dir", str(self.folder / state))
        return Job(
            arguments=(*words, "--log-format", "json", *arguments),
            environ=self._environ,
            folder=self.folder / f"out-{self._runs}",
            **suffering,
        )

    def run(self, *arguments: str, break_at: Break | None = None, **more: Any) -> Ended:
        """Run to the end, whatever it is."""
        return self.warm.run(self.job(*arguments, break_at=break_at, **more))

    def undo(self, run_id: str, state: str = "state") -> Ended:
        """Put back what a run took away."""
        policy, folder = str(self.folder / "policy.yaml"), str(self.folder / state)
        words = ("undo", run_id, policy, "--restore", "--state-dir", folder)
        job = self.job(state=state)
        return self.warm.run(msgspec.structs.replace(job, arguments=words))

    def journals(self, state: str = "state") -> list[JournalFile]:
        """The journal of every run that announced something, in the order of the runs' names."""
        folder = self.folder / state
        found = [read_journal(folder / "runs" / run / NAME) for run in run_ids(folder)]
        return [journal for journal in found if journal is not None]

    def reported(self, run_id: str, state: str = "state") -> bool:
        """Whether the report of a run is there."""
        return (self.folder / state / "runs" / run_id / "report.jsonl").exists()

    def left(self, state: str = "state") -> list[Path]:
        """The files that say that something was left behind."""
        folder = self.folder / state / "left"
        return [path for path in folder.glob("*") if b"root" in path.read_bytes()]

    def forget(self) -> None:
        """No run was ever here."""
        for path in self.folder.glob("state*"):
            shutil.rmtree(path)
        for path in self.folder.glob("out-*"):
            shutil.rmtree(path)
        self._runs = 0


def announced(journals: Sequence[JournalFile]) -> Truth:
    """What these runs were about to take away, or to move."""
    intents = [intent for journal in journals for intent in journal.intents]
    going = [intent for intent in intents if intent.action is Change.DELETE]
    off = [intent for intent in intents if intent.action is Change.UNTAG]
    return Truth(
        images=frozenset((each.repository, each.digest) for each in going),
        tags=frozenset((i.repository, tag, i.digest) for i in going for tag in i.tags)
        | frozenset((i.repository, tag, i.digest) for i in off for tag in i.remove_tags),
        archived=frozenset((i.repository, i.digest) for i in intents if i.action is Change.ARCHIVE),
    )


def done(journals: Sequence[JournalFile]) -> Truth:
    """What these runs say that they took away, or moved."""
    kept = [
        msgspec.structs.replace(
            journal,
            intents=tuple(
                intent
                for intent in journal.intents
                if (settled := journal.outcomes.get(intent.n)) is not None and settled.outcome in _DONE
            ),
        )
        for journal in journals
    ]
    return announced(kept)


def gone(before: Truth, after: Truth) -> Truth:
    """What went from a world, and what came into its archive."""
    return Truth(
        images=before.images - after.images,
        tags=before.tags - after.tags,
        archived=after.archived - before.archived,
    )


def within(one: Truth, other: Truth) -> bool:
    """Whether all that one says is in the other."""
    return one.images <= other.images and one.tags <= other.tags and one.archived <= other.archived
