"""Random registries are cleaned over the wire, and what is left is what the policy language says."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from datetime import timedelta
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from janitor.core.image import Image
from janitor.core.manifest import scheme_subject
from janitor.core.report import OutcomeKind
from tests.conformance.harness import Harness
from tests.conformance.harnesses import on, struck
from tests.conformance.stages import ALL_FIELDS, EVERYTHING, Stage
from tests.laws.verdicts import Source
from tests.peers.distribution import Distribution, serving
from tests.proofs.cleaning_expected import Left, expected, lines
from tests.proofs.cleaning_runs import Place, Ran, placed
from tests.proofs.cleaning_worlds import Case, cases
from tests.simulators.world import World

Serving = Callable[[], Distribution]
Listed = Mapping[str, tuple[Image, ...]]

# Every example is a server, a listing and several runs: few of them a provider, and always the same ones,
# unless there is time.
_PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "ci")
_LONG = _PROFILE == "long"
_EXAMPLES = {"dev": 3, "ci": 8, "long": 100}
few = settings(
    max_examples=_EXAMPLES.get(_PROFILE, 8),
    derandomize=not _LONG,
    database=None,
    deadline=None,
    # Making a failure small takes hundreds of runs.
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def distribution() -> Iterator[Serving]:
    """The real registry, started when it is first asked for."""
    with ExitStack() as stack:
        started: list[Distribution] = []

        def get() -> Distribution:
            if not started:
                started.append(stack.enter_context(serving()))
            return started[0]

        yield get


class Seen(NamedTuple):
    """What of one repository is really there; ``held``: what of that can be seen."""

    there: frozenset[str]
    held: frozenset[str]
    tags: Mapping[str, str]
    archived: frozenset[str]


class Cleaning:
    """One case on its stage: what was there, and what may and must become of it."""

    def __init__(self, harness: Harness, place: Place, case: Case) -> None:
        self.harness, self.place, self.case, self.stage = harness, place, case, place.stage
        self.story = repr(case)
        self.world = case.world.copy()
        lock(self.stage, case)
        self.hosts = self.stage.registry.hosts
        used = tuple(f"{(*self.hosts, 'nowhere.example')[0]}/{name}" for name in case.used)
        self.sources = [Source(references=used)] if used else []
        place.write(case.files, list(used))
        self.listed = self.list()
        self.before = self.seen()

    def list(self) -> Listed:
        """What the registry tells of all that a run could ask."""
        fields = ALL_FIELDS if "size_bytes" in self.harness.tells else self.place.wanted()
        registry = self.stage.registry
        return {
            listing.repository: listing.images
            for unit in registry.units(EVERYTHING)
            for listing in registry.list(unit, fields)
        }

    def seen(self) -> dict[str, Seen]:
        """What is really there, as far as anybody can see it."""
        found = {}
        for name in self.world.repositories:
            there = held = self.stage.held(name)
            if self.stage.world is not self.world and name in self.stage.world.repositories:
                held &= self.harness.visible(self.stage.world, name)
            archived = self.stage.world[name].archived if name in self.stage.world.repositories else {}
            found[name] = Seen(there, held, dict(self.stage.tags(name)), frozenset(archived) & held)
        return found

    def expected(
        self, *, limits: bool = True, refused: Mapping[str, frozenset[str]] | None = None
    ) -> dict[str, Left]:
        """By the second reading, of what was there at the start."""
        inventory = [
            line
            for name, images in self.listed.items()
            for line in lines("prod", name, self.world[name], images)
        ]
        spec = {"prod": {"aliases": list(self.hosts), "allow_unused": True}}
        found = expected(
            [{**file, "registries": spec} for file in self.case.files],
            inventory,
            self.sources,
            self.place.now,
            self.stage.registry.abilities,
            limits=limits,
            refused={("prod", name): digests for name, digests in (refused or {}).items()},
        )
        return {name: left for (_, name), left in found.items()}

    def has_orphans(self) -> bool:
        """Whether something refers to what is gone: whether that is known hangs on what else is there."""
        return any(
            subject not in place.manifests
            for place in self.world.repositories.values()
            for held in place.manifests.values()
            for subject in (held.subject, *map(scheme_subject, place.tags_of(held.digest)))
            if subject is not None
        )

    def refused(self, ran: Ran) -> dict[str, frozenset[str]]:
        """What the registry refused, and that it could only: something out of sight names it."""
        after = self.seen()
        found: dict[str, set[str]] = {}
        for outcome in ran.outcomes:
            name, digest = outcome.action.repository, outcome.action.digest
            if outcome.outcome is OutcomeKind.REFUSED and digest in after[name].held:
                seen = {image.digest for image in self.listed[name]}
                assert self.world[name].holders_of(digest) - seen, told(ran) + self.story
                found.setdefault(name, set()).add(digest)
        return {name: frozenset(digests) for name, digests in found.items()}


def lock(stage: Stage, case: Case) -> None:
    """Lock images where the registry has such locks."""
    switch = getattr(getattr(stage, "server", None), "switch", None)
    if switch is not None:
        for name, digest in case.locked:
            switch(name, digest, deleteEnabled=False)


def told(ran: Ran) -> str:
    """A run in a few lines, for whoever looks at a failure."""
    rows = [f"exit {ran.report.exit_code}", *map(str, (*ran.report.errors, *ran.notes))]
    for each in ran.outcomes:
        action = each.action
        what = f"{action.action} {action.repository} {action.digest[7:13]} {action.tags}"
        rows.append(f"{what} -> {each.outcome} {each.detail or ''}")
    return "\n".join([*rows, ""])


@on(deletes=True)
@few
@given(st.data())
def test_what_is_left_is_what_the_policies_say(
    harness: Harness, distribution: Serving, data: st.DataObject
) -> None:
    case = data.draw(cases(harness))
    with placed(harness, case.world, distribution) as place:
        cleaning = Cleaning(harness, place, case)
        ran = place.run(delete=True)
        story = told(ran) + cleaning.story
        assert ran.report.errors == (), story
        assert ran.report.exit_code in {0, 3}, story
        must = cleaning.expected(refused=cleaning.refused(ran))
        after = cleaning.seen()
        for name, before in cleaning.before.items():
            left, now = must.get(name, Left()), after[name]
            assert before.held - now.held == left.deleted, story
            stays = {
                tag: named
                for tag, named in before.tags.items()
                if named in now.held and (named, tag) not in left.untagged
            }
            assert now.tags == stays, story
            assert now.archived == (before.archived | left.archived) & now.held, story


def signed(harness: Harness) -> tuple[World, str, str]:
    """An image with a tag, another that signs it, and one that stays; the first two are returned."""
    world = World()
    subject = world.push(harness.a, tags=["pr-1"], pushed="30d", created="30d")
    signature = world.refer(harness.a, subject, created="30d", fallback=not harness.referrers)
    world.push(harness.a, tags=["1.0.0"], pushed="30d", created="30d")
    return world, subject, signature


PULL_REQUESTS = [
    {
        "version": 1,
        "limits": {"max_percent": 100, "grace": "0h"},
        "policies": [
            {
                "name": "p",
                "registries": "*",
                "repositories": "**",
                "rules": [{"delete": {"tags": "pr-*"}}],
            }
        ],
    }
]


@on(deletes=True)
def test_a_run_deletes_an_image_with_what_refers_to_it(harness: Harness, distribution: Serving) -> None:
    world, subject, signature = signed(harness)
    with placed(harness, world, distribution) as place:
        place.write(PULL_REQUESTS, [])
        ran = place.run(delete=True)
        assert ran.report.exit_code == 0, told(ran)
        assert place.stage.held(harness.a).isdisjoint({subject, signature}), told(ran)
        assert set(place.stage.tags(harness.a)) == {"1.0.0"}
        if place.stage.registry.abilities.cascades:
            # The registry may take it along with the first request: it must be in the journal by then.
            assert ran.journal is not None
            lines = ran.journal.path.read_text().splitlines()
            settled = next(n for n, line in enumerate(lines) if '"kind":"outcome"' in line)
            announced = "".join(lines[:settled])
            assert f'"digest":"{subject}"' in announced
            assert f'"digest":"{signature}"' in announced


@on(deletes=True)
def test_a_run_loses_no_tagged_image_with_what_that_refers_to(
    harness: Harness, distribution: Serving
) -> None:
    world, _, signature = signed(harness)
    world.retag(harness.a, "mine", signature, at="30d")
    with placed(harness, world, distribution) as place:
        place.write(PULL_REQUESTS, [])
        ran = place.run(delete=True)
        assert ran.report.exit_code == 0, told(ran)
        assert signature in place.stage.held(harness.a), told(ran)
        assert place.stage.tags(harness.a)["mine"] == signature


def assert_told(cleaning: Cleaning, ran: Ran, earlier: Mapping[str, Seen]) -> None:
    """All that went may go, and is told; what is told is so; the exit code is that of what is told."""
    story = told(ran) + cleaning.story
    may, now = cleaning.expected(limits=False), cleaning.seen()
    done = {(each.action.repository, each.action.digest): each.outcome for each in ran.outcomes}
    settled = {} if ran.journal is None else ran.journal.outcomes
    journal = {
        (intent.repository, intent.digest): settled[intent.n].outcome
        for intent in (() if ran.journal is None else ran.journal.intents)
        if intent.n in settled
    }
    for name, before in earlier.items():
        left = may.get(name, Left())
        for digest in before.there - now[name].there:
            assert digest in left.deleted, story
            assert done.get((name, digest)) is OutcomeKind.DELETED, story
            assert journal.get((name, digest)) is OutcomeKind.DELETED, story
        for tag, named in before.tags.items():
            if named in now[name].held and now[name].tags.get(tag) != named:
                assert (named, tag) in left.untagged, story
    for (name, digest), outcome in done.items():
        assert outcome is not OutcomeKind.DELETED or digest not in now[name].held, story
    failed = bool(ran.report.errors) or OutcomeKind.FAILED in done.values()
    assert (ran.report.exit_code == 1) is failed, story


@on(deletes=True, faults=True)
@few
@given(st.data())
def test_whatever_goes_wrong_nothing_is_lost_untold_and_later_runs_do_the_rest(
    harness: Harness, distribution: Serving, data: st.DataObject
) -> None:
    case = data.draw(cases(harness, faults=True))
    with placed(harness, case.world, distribution) as place:
        cleaning = Cleaning(harness, place, case)
        for fault in case.faults:
            case.world.fault(**fault)
        ran = place.run(delete=True)
        assert_told(cleaning, ran, cleaning.before)
        case.world.faults.clear()
        stories, before = [told(ran)], cleaning.seen()
        while True:
            place.now += timedelta(seconds=1)
            ran = place.run(delete=True)
            stories.append(told(ran))
            assert ran.report.errors == (), "\n".join(stories) + cleaning.story
            assert_told(cleaning, ran, before)
            if cleaning.seen() == before:
                break
            before = cleaning.seen()
        if not case.counts and not cleaning.has_orphans():
            must = cleaning.expected(refused=cleaning.refused(ran))
            gone = {name: seen.held - before[name].held for name, seen in cleaning.before.items()}
            expected_gone = {name: must.get(name, Left()).deleted for name in gone}
            assert gone == expected_gone, "\n".join(stories) + cleaning.story


@struck("kind", lambda faults: faults.lost_kinds, deletes=True)
def test_what_went_and_was_never_answered_is_looked_for(
    harness: Harness, distribution: Serving, kind: str
) -> None:
    world, subject, _ = signed(harness)
    assert harness.faults is not None
    with placed(harness, world, distribution) as place:
        place.write(PULL_REQUESTS, [])
        world.fault(kind, times=1_000_000, match=harness.faults.deleting)
        ran = place.run(delete=True)
        gone = subject not in place.stage.held(harness.a)
        outcomes = {each.action.digest: each.outcome for each in ran.outcomes}
        assert gone is (outcomes[subject] is OutcomeKind.DELETED), told(ran)


@on(deletes=True)
def test_a_run_deletes_an_image_with_a_tagged_one_that_refers_to_it(
    harness: Harness, distribution: Serving
) -> None:
    world, subject, signature = signed(harness)
    world.retag(harness.a, "pr-1-signed", signature, at="30d")
    with placed(harness, world, distribution) as place:
        place.write(PULL_REQUESTS, [])
        ran = place.run(delete=True)
        assert ran.report.exit_code == 0, told(ran)
        assert place.stage.held(harness.a).isdisjoint({subject, signature}), told(ran)
