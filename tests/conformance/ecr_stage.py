"""Amazon ECR, simulated: boto3 over the wire."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest

from janitor.providers.interface import ManifestMemory, Registry
from tests.conformance.harness import TOLD, Faults, Harness, open_registry
from tests.conformance.stages import Stage, Time
from tests.simulators.ecr import REGION, EcrServer
from tests.simulators.world import World

# What boto3 finds in the environment: keys that the simulator knows.
ENVIRON = {"AWS_ACCESS_KEY_ID": "AKIDTEST", "AWS_SECRET_ACCESS_KEY": "secret"}


class SimulatedEcr(Stage):
    """A simulated account: the world is what is there now."""

    def __init__(self, registry: Registry, server: EcrServer, time: Time) -> None:
        super().__init__(registry, server.world, time)
        self.server = server

    def held(self, repository: str) -> frozenset[str]:
        return frozenset(self.world[repository].manifests)

    def tags(self, repository: str) -> Mapping[str, str]:
        return dict(self.world[repository].tags)

    def asked(self) -> int:
        return len(self.server.requests)

    def manifest_reads(self) -> int:
        manifests = sum(len(asked["imageIds"]) for asked in self.server.asked_for("BatchGetImage"))
        return manifests + len(self.server.asked("GET", "/blobs/"))


@contextmanager
def _simulated(_: pytest.FixtureRequest, world: World, memory: ManifestMemory) -> Iterator[SimulatedEcr]:
    with EcrServer(world) as server:
        # Else the times of pulls would move by being read, as they do at ECR.
        server.excluded.add(f"arn:aws:iam::{server.account}:user/janitor")
        registry, time = open_registry("ecr", memory, ENVIRON, region=REGION, endpoint=server.address)
        yield SimulatedEcr(registry, server, time)
        registry.close()


def _named(name: str) -> str:
    """A name of at least two characters, which ECR's must have."""
    return f"prod/{name}"


ROWS = (
    Harness(
        name="ecr",
        provider="ecr",
        open=_simulated,
        untags=True,
        archives=True,
        untagged=True,
        referrers=True,
        faults=Faults(
            listing=("DescribeRepositories", "DescribeImages", "BatchGetImage", "GetDownloadUrl", "/blobs/"),
            pages=("DescribeRepositories", "DescribeImages"),
            tags="DescribeImages",
            deleting="BatchDeleteImage",
            manifests="BatchGetImage prod/a$",
            # An expired session can't be renewed by asking again: it is tried with the provider.
            kinds=("throttle", "error", "reset", "slow", "cut", "cut-json"),
            waits=False,
        ),
        remembers=True,
        tells=TOLD | {"pushed_at"},
        at=_named,
    ),
)
