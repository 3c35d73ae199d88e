"""A file that was written down."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from janitor.providers.interface import ManifestMemory
from tests.conformance.harness import Harness, open_registry
from tests.conformance.stages import Stage
from tests.simulators.truth import Repository
from tests.simulators.world import World


class File(Stage):
    """A file that was written down: nothing can be done to it."""

    def held(self, repository: str) -> frozenset[str]:
        return frozenset(self.world[repository].manifests)

    def tags(self, repository: str) -> Mapping[str, str]:
        return dict(self.world[repository].tags)


@contextmanager
def _inventory(request: pytest.FixtureRequest, world: World, memory: ManifestMemory) -> Iterator[Stage]:
    path: Path = request.getfixturevalue("tmp_path") / "inventory.jsonl"
    lines = (
        _line(name, repository, digest)
        for name, repository in world.repositories.items()
        for digest in repository.manifests
    )
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    registry, time = open_registry("inventory", memory, path=path)
    yield File(registry, world, time)
    registry.close()


def _line(name: str, repository: Repository, digest: str) -> dict[str, Any]:
    held = repository.manifests[digest]
    return {
        "registry": "prod",
        "repository": name,
        "digest": digest,
        "tags": sorted(repository.tags_of(digest)),
        "media_type": held.media_type,
        "artifact_type": held.artifact_type,
        "type": held.type,
        "created_at": None if held.created_at is None else held.created_at.isoformat(),
        "size_bytes": held.size_bytes,
        "children": list(held.children),
        "subject": held.subject,
        "labels": dict(held.labels),
    }


ROWS = (Harness(name="inventory", provider="inventory", open=_inventory, deletes=False, untagged=True),)
