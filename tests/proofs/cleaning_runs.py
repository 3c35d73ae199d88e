"""Whole runs against a stage of the conformance suite: opened by its keys, sleeping in no time."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from janitor.core.policy import RegistrySpec
from janitor.core.report import Outcome, Report
from janitor.files.journal import NAME, JournalFile, read_journal
from janitor.opening import load_policies
from janitor.premises import wanted_fields
from janitor.providers import PROVIDERS, Provider
from janitor.providers.interface import Context, Field, Registry
from janitor.run import run
from janitor.settings import Settings, Stop
from janitor.undoing import UndoResult, undo
from tests.conformance.harness import Harness
from tests.conformance.harnesses import FORGETFUL
from tests.conformance.stages import Stage, Time
from tests.instant import NOW
from tests.journeys.site import Watch as Steps
from tests.peers.distribution import Distribution
from tests.simulators.world import World

Watch = Callable[[str, str], None]


class Unhurried(Provider, frozen=True, kw_only=True):
    """A provider's row, whose registries sleep by a stage's clock.

    ``watch`` is called before each of their methods, and after it, with its name and a repository or unit.
    """

    time: Time
    now: Callable[[], datetime]
    watch: Watch

    def open(self, spec: RegistrySpec, context: Context) -> Registry:
        registry = super().open(
            spec,
            msgspec.structs.replace(
                context, sleep=self.time.sleep, clock=self.time.clock, random=lambda: 1.0, now=self.now
            ),
        )
        for method in ("units", "list", "delete", "archive", "restore"):
            setattr(registry, method, _streaming(method, getattr(registry, method), self.watch))
        for method in ("tags_now", "keepsakes", "untag"):
            setattr(registry, method, _answering(method, getattr(registry, method), self.watch))
        return registry


def _streaming(name: str, method: Callable[..., Iterator[Any]], watch: Watch) -> Callable[..., Iterator[Any]]:
    def watched(place: Any, *rest: Any) -> Iterator[Any]:
        where = getattr(place, "name", place) if name != "units" else ""
        watch(name, where)
        try:
            yield from method(place, *rest)
        finally:
            watch(f"after {name}", where)

    return watched


def _answering(name: str, method: Callable[..., Any], watch: Watch) -> Callable[..., Any]:
    def watched(place: str, *rest: Any) -> Any:
        watch(name, place)
        try:
            return method(place, *rest)
        finally:
            watch(f"after {name}", place)

    return watched


@contextlib.contextmanager
def row_in_place(name: str, row: Provider) -> Iterator[None]:
    """For a while another row stands in the table of providers."""
    table = cast("dict[str, Provider]", PROVIDERS)
    before = table.get(name)
    table[name] = row
    try:
        yield
    finally:
        del table[name]
        if before is not None:
            table[name] = before


class Asked:
    """What a stage asks of pytest, new for each example."""

    def __init__(self, folder: Path, distribution: Callable[[], Distribution]) -> None:
        self._folder = folder
        self._distribution = distribution

    def getfixturevalue(self, name: str) -> object:
        return {"tmp_path": lambda: self._folder, "distribution": self._distribution}[name]()


class Ran(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a run; ``journal``: of what it changed."""

    report: Report
    outcomes: tuple[Outcome, ...]
    notes: tuple[str, ...]
    journal: JournalFile | None


class Place:
    """One stage, with a folder for policies and state beside it. ``now`` is the time of day of its runs."""

    def __init__(self, stage: Stage, folder: Path) -> None:
        self.stage = stage
        self.folder = folder
        self.now = NOW
        self.watch: Watch = lambda *_: None
        self.progress = Steps()
        assert stage.time.opening is not None
        self.opening = stage.time.opening

    def write(self, files: list[dict[str, Any]], used: list[str]) -> None:
        """Write policy files, the first with the registry, and what is in use."""
        keys = {
            key: str(value) if isinstance(value, Path) else value for key, value in self.opening.keys.items()
        }
        registry = {"provider": self.opening.provider, **keys, "allow_unused": True}
        for number, file in enumerate(files):
            written = {**file, "registries": {"prod": registry}}
            if used and number == 0:
                (self.folder / "policies" / "use.txt").write_text("\n".join(used))
                written["protect"] = {**file.get("protect", {}), "in_use": [{"file": "use.txt"}]}
            (self.folder / "policies" / f"{number}.yaml").write_text(json.dumps(written))

    def wanted(self) -> frozenset[Field]:
        """What the policies ask of an image that may cost a request of its own."""
        policies = load_policies([str(self.folder / "policies")], self._environ())
        rules = [rule for policy in policies.policies for rule in policy.rules]
        return wanted_fields(rules, self.stage.registry)

    def run(self, **settings: Any) -> Ran:
        """Run, and read out everything that came of it."""
        with self._row():
            result = run(
                self._settings(**settings),
                self._environ(),
                stop=Stop(),
                clock=self._clock,
                progress=self.progress,
            )
        with contextlib.closing(result):
            path = self.folder / "state" / "runs" / result.report.run_id / NAME
            return Ran(
                report=result.report,
                outcomes=tuple(result.outcomes()),
                notes=result.notes,
                journal=read_journal(path),
            )

    def undo(self, run_id: str) -> UndoResult:
        """Put back what a run took."""
        with self._row():
            return undo(
                run_id,
                self._settings(),
                self._environ(),
                restore=True,
                stop=Stop(),
                clock=self._clock,
                progress=self.progress,
            )

    def _clock(self) -> datetime:
        return self.now

    def _environ(self) -> Mapping[str, str]:
        return self.opening.environ

    def _settings(self, **settings: Any) -> Settings:
        return Settings(
            policies=(str(self.folder / "policies"),),
            state_dir=str(self.folder / "state"),
            concurrency=4,
            **settings,
        )

    def _row(self) -> contextlib.AbstractContextManager[None]:
        row = PROVIDERS[self.opening.provider]
        unhurried = Unhurried(
            name=row.name,
            keys=row.keys,
            place=row.place,
            time=self.stage.time,
            now=self._clock,
            watch=self.watch,
        )
        return row_in_place(row.name, unhurried)


@contextlib.contextmanager
def placed(harness: Harness, world: World, distribution: Callable[[], Distribution]) -> Iterator[Place]:
    """A world made real for a harness, in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="janitor-test-") as name:
        folder = Path(name)
        (folder / "policies").mkdir()
        asked = cast("pytest.FixtureRequest", Asked(folder, distribution))
        with harness.open(asked, world, FORGETFUL) as stage:
            yield Place(stage, folder)
