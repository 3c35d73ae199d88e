"""The program's own road from text to plan, for a world of plain data: files are written and read again."""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from msgspec import UNSET

from janitor import inuse
from janitor.core.policy import PolicySet
from janitor.inuse import SOURCES
from janitor.planning import Opened, Premises, make_plan, wanted_fields
from janitor.policyfile.load import load
from janitor.policyfile.registries import Kinds
from janitor.providers.interface import Context, RepositoryFilter
from janitor.providers.inventory import Inventory
from janitor.providers.keys import InventoryKeys
from tests.laws.oracle import Action, Planned
from tests.laws.rules import Place
from tests.laws.worlds import World

_KINDS = Kinds(
    providers={"inventory": InventoryKeys}, sources={name: source.keys for name, source in SOURCES.items()}
)


class _Silent:
    """Progress that nobody watches."""

    def started(self, total: int | None, what: str) -> None: ...

    def advanced(self, what: str, images: int) -> None: ...

    def finished(self) -> None: ...


def plan(world: World, *, broken: Collection[str] = ()) -> dict[Place, Planned]:
    """What the program plans. ``broken``: the registries of which reading must fail."""
    with _written(world) as folder:
        policies = load([folder], {}, _KINDS)
        in_use = inuse.collect(policies.protect.in_use, threading.Event())
        premises = Premises(policies=policies, in_use=in_use, now=world.now)
        made = make_plan(
            premises,
            [_opened(policies, name) for name in sorted(spec.name for spec in policies.registries)],
            created_at=world.now,
            stop=threading.Event(),
            progress=_Silent(),
        )
        try:
            assert {error.registry for error in made.notes.errors} == set(broken)
            found = {}
            for repository in made.repositories:
                actions: set[Action] = set()
                for action in made.actions(repository):
                    tags = () if action.remove_tags is UNSET else tuple(sorted(action.remove_tags))
                    actions.add((action.action.value, action.digest, tags))
                place = (repository.plan.registry, repository.plan.repository)
                found[place] = Planned(repository.plan.state.value, frozenset(actions))
            return found
        finally:
            made.close()


def _opened(policies: PolicySet, name: str) -> Opened:
    spec = policies.registry(name)
    covering = [policy for policy in policies.policies if policy.registries.selects(name)]
    registry = Inventory.open(spec, Context(environ={}))
    return Opened(
        spec=spec,
        registry=registry,
        only=RepositoryFilter(covered=tuple(policy.repositories for policy in covering)),
        wanted=wanted_fields([rule for policy in covering for rule in policy.rules], registry),
    )


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
