"""A registry lives, and is cleaned: pushes, moved tags, use, kills, saved plans and undos in any order.

Whatever happens, nothing goes that the second reading of the policy language keeps, and all that goes is told
beforehand (the registry looks at each deletion as it happens); a run that was killed is finished by the next;
an undo brings back what it says, and nothing else changes; a dry run changes nothing.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from janitor.core.manifest import scheme_subject
from janitor.core.report import OutcomeKind
from tests.journeys.inprocess import Clock
from tests.journeys.site import Ran
from tests.proofs.model_registry import HOST, Killed, ModelRegistry
from tests.proofs.model_site import ModelSite
from tests.simulators.world import World

_EXAMPLES = {"dev": 30, "ci": 300, "long": 5000}.get(os.environ.get("HYPOTHESIS_PROFILE", "ci"), 300)
_FOLDER = next((path for path in ("/dev/shm",) if Path(path).is_dir()), None)  # noqa: S108 - syncing is quick there

REPOSITORIES = ("team/app", "other")
_TAGS = ("pr-1", "pr-2", "1.0.0", "1.1.0", "main-abc1234", "main-def5678", "stable", "latest")


def _policy(*rules: dict[str, Any], **limits: Any) -> dict[str, Any]:
    named = {"name": "p", "registries": "*", "repositories": "**", "rules": list(rules)}
    return {
        "version": 1,
        "limits": {"max_percent": 100, "min_remaining": 0, **limits},
        "policies": [named],
    }


# In none of these does it hang on what went before whether an image goes.
POLICIES = [
    _policy({"keep": {"tags": "semver:*"}}, {"delete": {"older_than": "7d"}}),
    _policy(
        {"delete": {"tags": "pr-*", "older_than": "2d"}}, {"delete": {"untagged": True, "older_than": "2d"}}
    ),
    _policy({"keep": {"tags": "*", "newest": 2}}, {"delete": {"all": True}}, grace="0h"),
    _policy({"delete": {"tags": ["pr-*", "main-*"], "untag": True}}, {"delete": {"orphaned": True}}),
    _policy({"delete": {"tags": "pr-*", "any_tag": True}}, {"delete": {"type": "index"}}, min_remaining=1),
    _policy(
        {"delete": {"tags": ["*", "!semver:*"], "older_than": "3d", "archive": True}},
        {"delete": {"archived": True, "archived_for": "7d"}},
    ),
    _policy({"delete": {"tags": "*", "beyond_newest": 2}}),
]
_PROTECTIONS: list[dict[str, Any]] = [{}, {"tags": ["stable"]}, {"tags": ["!latest"]}, {"tags": ["main-*"]}]

number = st.integers(0, 719)
Change = tuple[int, int, int, int]
change = st.tuples(number, number, number, number)
_HOURS = (0, 1, 1, 12, 30, 60, 100, 240)


class Life(RuleBasedStateMachine):
    """One registry. Arguments are small numbers, by which each step chooses among what is there."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="janitor-test-", dir=_FOLDER))
        self.clock = Clock()
        self.world = World(self.clock())
        self.registry = ModelRegistry(self.world)
        for name in REPOSITORIES:
            self.world.empty(name)
        self.plan: Path | None = None
        self.twins = 0

    @initialize(body=st.sampled_from(POLICIES), changes=st.lists(change, min_size=6, max_size=16))
    def begin(self, body: dict[str, Any], changes: list[Change]) -> None:
        self.site = ModelSite(self.folder / "site", self.registry, self.clock, body)
        self.live(changes)

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    # --- what others do

    @rule(changes=st.lists(change, min_size=1, max_size=8))
    def live(self, changes: list[Change]) -> None:
        """Others push, sign, move tags, delete; and time goes by."""
        steps = [self.push, self.push, self.push_index, self.push_index, self.sign, self.retag, self.delete]
        for kind, where, which, how in changes:
            steps[kind % len(steps)](where, which, how)
            self.tick(_HOURS[how % len(_HOURS)])

    def push(self, where: int, tags: int, _: int) -> None:
        self.world.push(self._name(where), tags=self._tags(tags), pushed=self.clock(), created=self.clock())

    def push_index(self, where: int, tags: int, more: int) -> None:
        """Of a new platform and, at times, of one that is there."""
        name, now = self._name(where), self.clock()
        found = self._digest(where, more)
        children = [found[1]] if found and more % 3 == 0 else []
        children.append(self.world.push(name, pushed=now, created=now))
        self.world.push_index(name, children=children, tags=self._tags(tags), pushed=now, created=now)

    def sign(self, where: int, which: int, how: int) -> None:
        found = self._digest(where, which)
        if found is None:
            return
        if how % 2:
            self.world.sign(*found)
        else:
            self.world.refer(*found, created=self.clock())

    def retag(self, where: int, which: int, tag: int) -> None:
        found = self._digest(where, which)
        if found is not None:
            self.world.retag(*(found[0], _TAGS[tag % 8], found[1]), at=self.clock())

    def delete(self, where: int, which: int, _: int) -> None:
        found = self._digest(where, which)
        if found is not None:
            self.world.forget(*found)

    def tick(self, hours: float) -> None:
        self.clock.advance(hours=hours)
        self.world.now = self.clock()

    def _name(self, where: int) -> str:
        return REPOSITORIES[where % 3 // 2]

    def _digest(self, where: int, which: int) -> tuple[str, str] | None:
        name = self._name(where)
        held = list(self.world[name].manifests)
        return (name, held[which % len(held)]) if held else None

    def _tags(self, which: int) -> list[str]:
        """None, one or two tags."""
        return [_TAGS[which % 8], _TAGS[which // 8 % 8]][: (0, 1, 1, 2)[which // 64 % 4]]

    @rule(kind=number, where=number, which=number)
    def mind(self, kind: int, where: int, which: int) -> None:
        """Something is in use, or protected, or isn't any more."""
        found = self._digest(where, which)
        if kind % 4 == 0:
            self.site.used = [f"{HOST}/{self._name(where)}:{_TAGS[which % 8]}"]
        elif kind % 4 == 1 and found is not None:
            self.site.used = [f"{HOST}/{found[0]}@{found[1]}"]
        elif kind % 4 == 2:
            self.site.used = []
        else:
            protect = _PROTECTIONS[which % len(_PROTECTIONS)]
            self.site.body = {**self.site.body, "protect": protect}

    # --- what the program does

    @rule(keep=st.booleans())
    def dry_run(self, keep: bool) -> None:  # noqa: FBT001 - as hypothesis gives it
        before = self.site.truth()
        self.clock.advance(seconds=1)
        plan = self.folder / "plan.jsonl"
        ran = self.site.run(plan=str(plan) if keep else None)
        assert ran.exit_code == 0
        assert self.site.truth() == before
        if keep:
            self.plan = plan

    @rule(change=number, failing=number)
    def run(self, change: int, failing: int) -> None:
        """A whole run; at times something changes meanwhile, or one image can't be deleted."""
        found = self._digest(failing, failing)
        if failing % 5 == 0 and found is not None:
            self.registry.fails = {found[1]}
        self._run(at_deleting=self._meanwhile(change), delete=True)
        self.registry.fails = set()

    @precondition(lambda self: self.plan is not None)
    @rule()
    def apply(self) -> None:
        taken = len(self.registry.took)
        planned = self.plan.read_text() if self.plan else ""
        self._run(delete=True, saved=str(self.plan))
        assert all(digest in planned for _, digest in self.registry.took[taken:])
        self.plan = None

    def _run(self, **settings: Any) -> Ran:
        self.clock.advance(seconds=1)
        before, taken = self.site.truth(), len(self.registry.took)
        ran = self.site.run(**settings)
        failed = any(each.outcome is OutcomeKind.FAILED for each in ran.outcomes)
        assert (ran.exit_code, ran.report.errors) == (int(failed), ())
        gone = {
            (each.action.repository, each.action.digest)
            for each in ran.outcomes
            if each.outcome is OutcomeKind.DELETED
        }
        assert set(self.registry.took[taken:]) <= gone
        if settings.get("at_deleting") is None:
            now = self.site.truth()
            for name, (held, tags, _) in before.items():
                assert {(name, digest) for digest in held - now[name][0]} == gone & {
                    (name, digest) for digest in held
                }
                off = {tag: on for tag, on in tags.items() if on in now[name][0] and tag not in now[name][1]}
                untagged = {
                    each.action.digest for each in ran.outcomes if each.outcome is OutcomeKind.UNTAGGED
                }
                assert set(off.values()) <= untagged
        self.site.assert_all_is_told()
        return ran

    def _meanwhile(self, change: int) -> Callable[[], object] | None:
        """What happens between the plan and the first deletion."""
        steps: list[Callable[[], object]] = [
            lambda: self.retag(change, change // 7, change // 5),
            lambda: self.push_index(change, 0, change // 7 * 3),
            lambda: self.delete(change, change // 7, 0),
            lambda: self.sign(change, change // 7, change // 3),
        ]
        return steps[change % 4] if change % 3 == 0 else None

    @rule(fuse=st.integers(0, 25), again=st.integers(0, 40), lost=number, finish=st.booleans())
    def run_that_is_killed(self, fuse: int, again: int, lost: int, finish: bool) -> None:  # noqa: FBT001
        """Killed once or twice; then another finishes it, at once or some time."""
        twin, orphans = None, self._has_orphans()
        if finish:
            self.twins += 1
            twin = self.site.twin(self.folder / f"twin{self.twins}")
            self.clock.advance(seconds=1)
            twin.run(delete=True)
        for limit in (fuse, again):
            self._killed(limit, lost)
        if twin is not None:
            self._run(delete=True)
            self._compare(twin, orphans=orphans)

    def _killed(self, fuse: int, lost: int) -> None:
        self.clock.advance(seconds=1)
        self.registry.fuse = fuse
        try:
            self.site.run(delete=True)
        except Killed:
            self._lose(lost)
        finally:
            self.registry.fuse = None

    def _lose(self, lost: int) -> None:
        """What was written after the last intents was perhaps not on disk yet."""
        path = max(self.site.state.glob("runs/*/journal.jsonl"), default=None)
        if path is None or lost % 2:
            return
        lines = path.read_bytes().splitlines(keepends=True)
        last = max(n for n, line in enumerate(lines) if b'"kind":"outcome"' not in line)
        tail = b"".join(lines[last + 1 :])
        path.write_bytes(b"".join(lines[: last + 1]) + tail[: lost % (len(tail) + 1)])

    def _compare(self, twin: ModelSite, *, orphans: bool) -> None:
        """The end is as if nobody had been killed; but who knows an orphan by others may know it no more."""
        mine, other = self.site.truth(), twin.truth()
        if orphans:
            assert all(other[name][0] <= mine[name][0] for name in mine)
        else:
            assert mine == other

    def _has_orphans(self) -> bool:
        return any(
            subject not in place.manifests
            for place in self.world.repositories.values()
            for held in place.manifests.values()
            for subject in (held.subject, *map(scheme_subject, place.tags_of(held.digest)))
            if subject is not None
        )

    @rule(which=number, restore=st.booleans())
    def undo(self, which: int, restore: bool) -> None:  # noqa: FBT001 - as hypothesis gives it
        runs = self.site.runs()
        if not runs:
            return
        self.clock.advance(seconds=1)
        before = self.site.truth()
        done = self.site.undo(runs[-1 - which % len(runs)], restore=restore)
        after = self.site.truth()
        back = {
            (each.intent.repository, each.intent.digest)
            for each in done.changes
            if each.outcome is OutcomeKind.RESTORED
        }
        for name, (held, tags, archived) in before.items():
            now_held, now_tags, now_archived = after[name]
            assert held <= now_held
            assert {(name, digest) for digest in now_held - held} <= back
            assert archived - now_archived <= {digest for _, digest in back}
            assert tags.items() <= now_tags.items()
            for tag, digest in now_tags.items() - tags.items():
                assert (name, digest) in back
                assert tag in {
                    tag
                    for each in done.changes
                    if (each.intent.repository, each.intent.digest) == (name, digest)
                    for tag in (*each.intent.tags, *each.intent.remove_tags)
                }
        assert all(digest in after[name][0] for name, digest in back)
        assert restore or after == before
        for name, digest in back:
            self.site.returned[name, digest] = self.clock().isoformat()


def test_a_registry_that_lives() -> None:
    steps = settings(
        max_examples=_EXAMPLES,
        stateful_step_count=30,
        deadline=None,
        derandomize=os.environ.get("HYPOTHESIS_PROFILE") != "long",  # a change is tried on what the last was
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Life, settings=steps)
