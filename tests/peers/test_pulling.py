"""After a real deletion, a real puller still gets everything that stayed."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from janitor.core.manifest import ACCEPT
from janitor.core.report import OutcomeKind
from janitor.providers import PROVIDERS
from janitor.providers.interface import Context
from tests.conformance.stages import ALL_FIELDS, EVERYTHING
from tests.factories import registry_spec
from tests.peers.distribution import Distribution
from tests.peers.skopeo import PullError, pull_every_platform, tags_seen
from tests.simulators.upload import upload
from tests.simulators.world import ARM64, World

pytestmark = pytest.mark.peer("docker-registry", "skopeo")

APP = "team/app"


def releases(world: World) -> None:
    """Five releases of two platforms each, of which the last two share one; pull requests of one each."""
    shared = world.push(APP, created="12d", platform=ARM64)
    for number in range(1, 6):
        age = f"{60 - number * 8}d"
        arm = shared if number > 3 else world.push(APP, created=age, platform=ARM64)
        amd = world.push(APP, created=age)
        index = world.push_index(
            APP, children=[amd, arm], tags=[f"1.{number}.0"], created=age, docker=number == 2
        )
        world.refer(APP, index, fallback=True)
        world.sign(APP, index)
    for number in range(1, 5):
        world.push(APP, tags=[f"pr-{number}"], created=f"{number * 6}d", docker=number % 2 == 0)


def is_pulled(distribution: Distribution, tag: str) -> bool:
    try:
        pull_every_platform(distribution.host, APP, tag)
    except PullError:
        return False
    return True


def image_tags(distribution: Distribution) -> set[str]:
    return {tag for tag in tags_seen(distribution.host, APP) if not tag.startswith("sha256-")}


def test_everything_that_a_world_holds_can_be_pulled(distribution: Distribution) -> None:
    world = World()
    releases(world)
    upload(world, distribution.address)
    pulled = {tag: pull_every_platform(distribution.host, APP, tag) for tag in image_tags(distribution)}
    assert pulled == {f"1.{n}.0": 2 for n in range(1, 6)} | {f"pr-{n}": 0 for n in range(1, 5)}


def test_a_platform_that_is_missing_is_noticed(distribution: Distribution) -> None:
    world = World()
    releases(world)
    world.forget(APP, world[APP].manifests[world[APP].tags["1.1.0"]].children[1])
    upload(world, distribution.address)
    assert not is_pulled(distribution, "1.1.0")


def test_what_stays_after_the_provider_deleted_can_be_pulled(distribution: Distribution) -> None:
    world = World()
    releases(world)
    upload(world, distribution.address)
    row = PROVIDERS["oci"]
    spec = registry_spec("prod", "oci", row.keys(endpoint=distribution.address))
    registry = row.open(spec, Context(environ={}))
    (unit,) = registry.units(EVERYTHING)
    (listing,) = registry.list(unit, ALL_FIELDS)
    place = world[APP]
    index = place.tags["1.4.0"]
    (own,) = set(place.manifests[index].children) - set(place.manifests[place.tags["1.5.0"]].children)
    gone = {index, own, place.tags["pr-1"]}
    results = list(registry.delete(APP, [image for image in listing.images if image.digest in gone]))
    registry.close()
    assert {result.digest for result in results} == gone
    assert {result.outcome for result in results} == {OutcomeKind.DELETED}
    assert image_tags(distribution) == {"1.1.0", "1.2.0", "1.3.0", "1.5.0", "pr-2", "pr-3", "pr-4"}
    for tag in image_tags(distribution):
        assert pull_every_platform(distribution.host, APP, tag) == (0 if tag.startswith("pr-") else 2)


POLICY = """
version: 1
registries:
  prod: {{provider: oci, endpoint: "{address}"}}
policies:
  - name: services
    registries: [prod]
    repositories: ["**"]
    rules:
      - {{name: releases, keep: {{tags: ["semver:*"], newest: 2}}}}
      - {{name: old-releases, delete: {{tags: ["semver:*"], older_than: 7d}}}}
      - {{name: pull-requests, delete: {{tags: ["pr-*"], older_than: 10d}}}}
"""


def test_what_stays_after_a_run_can_be_pulled(distribution: Distribution, tmp_path: Path) -> None:
    """The run's clock is the machine's, so ages are before now, not before the tests' instant."""
    world = World(datetime.now(UTC).replace(microsecond=0))
    releases(world)
    upload(world, distribution.address)
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY.format(address=distribution.address))
    command = [sys.executable, "-m", "janitor", "run", str(policy), "--delete", "--max-percent", "100"]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=120, env=dict(os.environ)
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert image_tags(distribution) == {"1.4.0", "1.5.0", "pr-1"}
    schemes = {f"{world[APP].tags[f'1.{number}.0'].replace(':', '-')}" for number in (4, 5)}
    assert tags_seen(distribution.host, APP) - image_tags(distribution) == schemes | {
        f"{tag}.sig" for tag in schemes
    }
    for tag in image_tags(distribution):
        assert pull_every_platform(distribution.host, APP, tag) == (0 if tag.startswith("pr-") else 2)
    # What went along with an index is gone too: its own platforms and its signatures.
    gone = [world[APP].tags[f"1.{number}.0"] for number in (1, 2, 3)]
    along = {child for digest in gone for child in world[APP].manifests[digest].children}
    along |= {held.digest for digest in gone for held in world[APP].referrers_of(digest)}
    for digest in [*gone, *along]:
        assert distribution.head(f"/v2/{APP}/manifests/{digest}", ACCEPT)[0] == 404
