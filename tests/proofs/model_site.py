"""One registry, its policies, its state folder and what is in use, and runs over them that may be killed."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from janitor.core.report import OutcomeKind
from janitor.files.journal import NAME, Change, Intent, JournalFile, Settled, read_journal
from janitor.run import run
from janitor.settings import Settings, Stop
from janitor.undoing import UndoResult, undo
from tests.journeys.inprocess import Clock
from tests.journeys.site import Ran, Watch
from tests.laws import oracle
from tests.laws.repository import Repository as Reading
from tests.laws.verdicts import Decided, Source, is_young
from tests.proofs.cleaning_expected import Left, expected, lines
from tests.proofs.cleaning_runs import row_in_place
from tests.proofs.model_registry import HOST, ModelRegistry, image_of, row
from tests.simulators.truth import Repository

Body = dict[str, Any]
Truth = dict[str, tuple[frozenset[str], dict[str, str], frozenset[str]]]


class ModelSite:
    """Where runs happen. ``body``: the policy file without registries; ``used``: references in use."""

    def __init__(self, folder: Path, registry: ModelRegistry, clock: Clock, body: Body) -> None:
        self.folder, self.registry, self.clock, self.body = folder, registry, clock, body
        self.used: list[str] = []
        self.returned: dict[tuple[str, str], str] = {}
        registry.watch = self._look
        (folder / "policies").mkdir(parents=True)

    def twin(self, folder: Path) -> ModelSite:
        """The same once more, to be run alone."""
        other = ModelSite(folder, self.registry.twin(), self.clock, self.body)
        other.used, other.returned = list(self.used), dict(self.returned)
        if self.state.exists():
            shutil.copytree(self.state, other.state)
        return other

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def truth(self) -> Truth:
        """What is there: digests, tags and what is archived, by repository."""
        return {
            name: (frozenset(place.manifests), dict(place.tags), frozenset(place.archived))
            for name, place in self.registry.world.repositories.items()
        }

    # --- runs

    def run(self, *, at_deleting: Callable[[], object] | None = None, **settings: Any) -> Ran:
        """Run; ``at_deleting`` happens between the plan and the first deletion."""
        watch = Watch()
        if at_deleting is not None:
            watch.at_start["deleting"] = at_deleting
        with self._placed():
            done = run(self._settings(**settings), {}, stop=Stop(), clock=self.clock, progress=watch)
        with contextlib.closing(done):
            return Ran(done.report, tuple(done.outcomes()), done.notes)

    def undo(self, run_id: str, *, restore: bool) -> UndoResult:
        with self._placed():
            return undo(
                run_id,
                self._settings(),
                {},
                restore=restore,
                stop=Stop(),
                clock=self.clock,
                progress=Watch(),
            )

    @contextlib.contextmanager
    def _placed(self) -> Iterator[None]:
        self.registry.world.now = self.clock()
        protect = {**self.body.get("protect", {})}
        if self.used:
            (self.folder / "policies" / "use.txt").write_text("\n".join(self.used))
            protect["in_use"] = [{"file": "use.txt"}]
        body = {
            **self.body,
            "registries": {"prod": {"provider": "world", "allow_unused": True}},
            "protect": protect,
        }
        (self.folder / "policies" / "policies.yaml").write_text(json.dumps(body))
        with row_in_place("world", row(self.registry)):
            yield

    def _settings(self, **settings: Any) -> Settings:
        return Settings(policies=(str(self.folder / "policies"),), state_dir=str(self.state), **settings)

    # --- what the second reading says

    def _files(self) -> list[Body]:
        return [{**self.body, "registries": {"prod": {"aliases": [HOST], "allow_unused": True}}}]

    def _sources(self) -> list[Source]:
        return [Source(references=tuple(self.used))] if self.used else []

    def _lines(self, name: str, place: Repository) -> list[Body]:
        found = lines("prod", name, place, [image_of(held, place) for held in place.manifests.values()])
        for line in found:
            times = [line["tagged_at"], self.returned.get((name, line["digest"]))]
            line["tagged_at"] = max((time for time in times if time), default=None)
        return found

    def may(self, name: str, place: Repository) -> Left:
        """What of a repository may be done at this moment, by the rules."""
        found = expected(
            self._files(),
            self._lines(name, place),
            self._sources(),
            self.clock(),
            self.registry.abilities,
            limits=False,
        )
        return found.get(("prod", name), Left())

    def _decided(self, name: str, place: Repository) -> Decided:
        return oracle.decide(self._files(), self._lines(name, place), self._sources(), self.clock())[
            "prod", name
        ]

    # --- what is looked at

    def _look(self, name: str, digest: str) -> None:
        """A deletion: the rules say so, or an earlier run left it, and it is in a journal on disk."""
        place = self.registry.listed[name]
        if digest not in self.may(name, place).deleted:
            self._look_at_leftover(name, place, digest)
        told = [
            intent
            for journal in self.journals()
            for intent in journal.unsettled()
            if (intent.repository, intent.digest, intent.action) == (name, digest, Change.DELETE)
        ]
        assert told, f"{digest} is deleted, and no journal says so"

    def _look_at_leftover(self, name: str, place: Repository, digest: str) -> None:
        """Left behind by an earlier run; nothing tags, names, protects or uses it, nor is it young."""
        decided = self._decided(name, place)
        reading: Reading = decided.repository
        owed = self.owed(name)
        now = self.registry.world[name]
        assert digest in owed, f"{digest} was deleted by no rule"
        assert not reading.own_tags(digest), f"{digest} had tags of its own"
        assert digest not in decided.protected, f"{digest} was protected"
        grace = oracle.merged_limits(self._files())["grace"]
        assert not is_young(reading, digest, grace), f"{digest} was young"
        above = reading.holders(digest) | reading.present_subjects(digest)
        assert not above & now.manifests.keys(), f"{digest} was held"

    def owed(self, name: str) -> set[str]:
        """What was to go along with something that was to be deleted, by any journal."""
        return {
            digest
            for journal in self.journals()
            for intent in journal.intents
            if intent.repository == name
            for digest in intent.along
        }

    def journals(self) -> list[JournalFile]:
        found = (read_journal(path) for path in sorted(self.state.glob(f"runs/*/{NAME}")))
        return [journal for journal in found if journal is not None]

    def runs(self) -> list[str]:
        """The runs that announced something, undos aside; the newest last."""
        return [journal.begun.run_id for journal in self.journals() if "undo" not in journal.begun.run_id]

    def settled(self) -> list[tuple[Intent, Settled]]:
        """Every change of which the outcome is known."""
        return [
            (intent, journal.outcomes[intent.n])
            for journal in self.journals()
            for intent in journal.intents
            if intent.n in journal.outcomes
        ]

    def assert_all_is_told(self) -> None:
        """After a run that came to its end: whatever was deleted is told in a journal, and all are closed."""
        told = Counter(
            (intent.repository, intent.digest)
            for intent, settled in self.settled()
            if intent.action is Change.DELETE and settled.outcome is OutcomeKind.DELETED
        )
        assert Counter(self.registry.took) <= told
        assert all(journal.ended for journal in self.journals())
        assert self.registry.broke == []
