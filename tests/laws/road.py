"""The program's own road from text to plan, for a world of plain data: files are written and read again."""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from msgspec import UNSET

from janitor import inuse
from janitor.core.plan import Action as PlannedAction
from janitor.core.policy import PolicySet
from janitor.core.use import InUse
from janitor.opening import Request, load_policies, open_registries
from janitor.planning import make_plan
from janitor.premises import Premises
from janitor.providers.interface import Forgetful
from tests.laws.oracle import Action, Planned
from tests.laws.rules import Place
from tests.laws.worlds import World


def plan(world: World, *, broken: Collection[str] = ()) -> dict[Place, Planned]:
    """What the program plans. ``broken``: the registries of which reading must fail."""
    with _written(world) as folder:
        policies = load_policies([str(folder)], {})
        in_use = inuse.collect(policies.protect.in_use, threading.Event())
        return plan_of(policies, in_use, world.now, broken=broken)


def plan_of(
    policies: PolicySet, in_use: InUse, now: datetime, *, broken: Collection[str] = ()
) -> dict[Place, Planned]:
    """What the program plans by policies that were read."""
    stop = threading.Event()
    with open_registries(policies, Request(), {}, stop, Forgetful()) as (registries, errors):
        assert errors == []
        premises = Premises(policies=policies, in_use=in_use, now=now)
        made = make_plan(premises, registries, created_at=now, stop=stop, progress=_Silent())
        try:
            assert {error.registry for error in made.notes.errors} == set(broken)
            return {
                (each.plan.registry, each.plan.repository): Planned(
                    each.plan.state.value, frozenset(map(_simply, made.actions(each)))
                )
                for each in made.repositories
            }
        finally:
            made.close()


def _simply(action: PlannedAction) -> Action:
    tags = () if action.remove_tags is UNSET else tuple(sorted(action.remove_tags))
    return action.action.value, action.digest, tags


class _Silent:
    """Progress that nobody watches."""

    def started(self, total: int | None, what: str) -> None: ...

    def advanced(self, what: str, images: int) -> None: ...

    def finished(self) -> None: ...


@cache
def _folder() -> Path:
    """One folder for all worlds: making thousands of them takes longer than planning."""
    folder = Path(tempfile.mkdtemp(prefix="worlds-"))
    atexit.register(shutil.rmtree, folder)
    return folder


@contextmanager
def _written(world: World) -> Iterator[Path]:
    """A folder with the world's policy files, its inventory and its sources of use."""
    folder = _folder()
    try:
        (folder / "inventory.jsonl").write_text("".join(json.dumps(line) + "\n" for line in world.lines))
        in_use: list[dict[str, Any]] = []
        for number, source in enumerate(world.sources):
            in_use.append({"file": f"use{number}.txt", "allow_empty": source.allow_empty})
            if not source.failed:
                (folder / f"use{number}.txt").write_text("\n".join(source.references))
        for number, file in enumerate(world.files):
            written = dict(file)
            if number == 0 and in_use:
                written["protect"] = {**file.get("protect", {}), "in_use": in_use}
            # JSON is YAML, and ten times as fast to write.
            (folder / f"{number}.yaml").write_text(json.dumps(written))
        yield folder
    finally:
        for path in folder.iterdir():
            path.unlink()
