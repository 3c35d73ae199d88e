"""Image layouts in a folder."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from janitor.providers.interface import ManifestMemory, Registry
from tests.conformance.harness import Harness, open_registry
from tests.conformance.stages import Stage, Time
from tests.simulators.content import OCI_INDEX, encode
from tests.simulators.truth import Repository
from tests.simulators.world import World

_REF_NAME = "org.opencontainers.image.ref.name"


class Layout(Stage):
    """Image layouts in a folder."""

    def __init__(self, registry: Registry, world: World, time: Time, folder: Path) -> None:
        super().__init__(registry, world, time)
        self.folder = folder

    def held(self, repository: str) -> frozenset[str]:
        blobs = self.folder / repository / "blobs" / "sha256"
        return frozenset(
            digest
            for digest in self.world[repository].manifests
            if (blobs / digest.removeprefix("sha256:")).exists()
        )

    def tags(self, repository: str) -> Mapping[str, str]:
        index = json.loads((self.folder / repository / "index.json").read_bytes())
        return {
            descriptor["annotations"][_REF_NAME]: descriptor["digest"]
            for descriptor in index["manifests"]
            if _REF_NAME in descriptor.get("annotations", {})
        }


@contextmanager
def _layout(request: pytest.FixtureRequest, world: World, memory: ManifestMemory) -> Iterator[Stage]:
    folder: Path = request.getfixturevalue("tmp_path") / "layouts"
    for name, repository in world.repositories.items():
        write_layout(folder / name, repository, world)
    registry, time = open_registry("oci-layout", memory, path=folder)
    yield Layout(registry, world, time, folder)
    registry.close()


def write_layout(folder: Path, repository: Repository, world: World) -> None:
    """One layout: a descriptor a tag, and one for what neither a tag nor an index names."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    for held in repository.manifests.values():
        contents = {held.digest: held.body} | {blob: world.blobs[blob] for blob in held.blobs}
        for digest, data in contents.items():
            (blobs / digest.removeprefix("sha256:")).write_bytes(data)
    named = [
        held.descriptor(annotations={_REF_NAME: tag})
        for held in repository.manifests.values()
        for tag in sorted(repository.tags_of(held.digest))
    ]
    unnamed = [
        held.descriptor()
        for held in repository.manifests.values()
        if not repository.tags_of(held.digest) and not repository.holders_of(held.digest)
    ]
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": named + unnamed}
    (folder / "index.json").write_bytes(encode(index))
    (folder / "oci-layout").write_bytes(encode({"imageLayoutVersion": "1.0.0"}))
    # Writers put blobs first and the index last: what is young may belong to one of them.
    past = world.now.timestamp() - 86_400 * 30
    for path in folder.rglob("*"):
        os.utime(path, (past, past))


ROWS = (
    # Blobs that nothing holds go with an image, so that it comes back only where others hold them too.
    Harness(
        name="oci-layout",
        provider="oci-layout",
        open=_layout,
        untags=True,
        untagged=True,
        restores=True,
        returns_whole=False,
    ),
)
