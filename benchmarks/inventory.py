"""An inventory of any size, as teams' registries look, written as the ``inventory`` provider reads it.

A fifth of the images is untagged; the others are SemVer releases, pull requests, branch builds with a commit
and images of two tags; every tenth is an index with three platforms, every twentieth has a signature.
Versions and pull requests are numbered alike in every repository, a commit is of one repository alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

NOW = datetime(2026, 6, 1, tzinfo=UTC)
_IMAGE = "application/vnd.oci.image.manifest.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"

POLICY = """\
version: 1
registries:
  prod: {provider: inventory, path: inventory.jsonl, aliases: [registry.example.com]}
protect:
  tags: [stable, "re:prod-.*"]
  images: ["registry.example.com/team/app-1:1.2.3"]
limits: {max_percent: 100}
policies:
  - name: services
    timezone: Europe/Berlin
    registries: [prod]
    repositories: ["**"]
    rules:
      - name: releases
        keep: {tags: ["semver:*"], newest: 20}
      - name: history
        keep: {tags: ["semver:*"], one_per: {week: 5, month: 12}}
      - name: minors
        keep: {tags: ["semver:*"], group_by: minor, newest: 1}
      - name: old-releases
        delete: {tags: ["semver:*", "sha-*"], older_than: 90d}
      - name: pull-requests
        delete: {tags: ["pr-*"], older_than: 14d}
      - name: branches
        delete:
          {tags: ["re:(?P<branch>.+)-[0-9a-f]{7,40}"], group_by: branch, beyond_newest: 3, older_than: 30d}
      - name: untagged
        delete: {untagged: true, older_than: 7d}
"""


class Shape:
    """How the lines of a benchmark look: with the labels that builds put on images, or without."""

    def __init__(self, *, labelled: bool) -> None:
        self._labelled = labelled

    def lines(self, images: int, repositories: int) -> Iterator[bytes]:
        """Give the lines of an inventory of so many images."""
        for r in range(repositories):
            yield from self._repository(f"team-{r % 50}/app-{r}", r, images // repositories)

    def _repository(self, name: str, seed: int, images: int) -> Iterator[bytes]:
        n = 0
        while n < images:
            kind = n % _CYCLE
            when = NOW - timedelta(hours=(n * 37 + seed) % 9000, minutes=n % 60)
            digest = _digest(seed, n)
            tags = _tags(n, kind, commit=digest[-10:])
            children: list[str] = []
            if kind in _INDEXES and n + 4 <= images:
                children = [_digest(seed, n + 1 + place) for place in range(3)]
                for child in children:
                    yield self._line(name, child, [], when)
            yield self._line(name, digest, tags, when, children=children)
            n += 1 + len(children)
            if kind == _SIGNED and n < images:
                yield self._line(name, _digest(seed, n), [f"sha256-{digest[7:]}.sig"], when, kind="signature")
                n += 1

    def _line(
        self,
        repository: str,
        digest: str,
        tags: list[str],
        when: datetime,
        *,
        children: list[str] | None = None,
        kind: str = "image",
    ) -> bytes:
        time = when.strftime("%Y-%m-%dT%H:%M:%SZ")
        line: dict[str, object] = {
            "registry": "prod",
            "repository": repository,
            "digest": digest,
            "tags": tags,
            "media_type": _INDEX if children else _IMAGE,
            "artifact_type": None,
            "type": "index" if children else kind,
            "pushed_at": time,
            "created_at": time,
            "pulled_at": time,
            "size_bytes": 50_000_000,
            "children": children or [],
            "subject": None,
            "tagged_at": time,
            "locked": False,
            "archived_at": None,
            "labels": _labels(repository, digest, time) if self._labelled else {},
        }
        return json.dumps(line, separators=(",", ":")).encode() + b"\n"


# Of so many images in a row: which are indexes, and which is signed.
_CYCLE, _INDEXES, _SIGNED = 20, {0, 10}, 5


def _tags(n: int, kind: int, *, commit: str) -> list[str]:
    if kind in {1, 6, 11, 16}:
        return []
    if kind in {2, 7, 12}:
        return [f"pr-{n}"]
    if kind in {3, 8, 13, 18}:
        return [f"feature-{n % 7}-{commit}"]
    if kind in {4, 14}:
        return [f"1.{n % 30}.{n}", f"sha-{commit}"]
    return [f"1.{n % 30}.{n}"]


def _labels(repository: str, digest: str, time: str) -> dict[str, str]:
    """Give what common build actions write."""
    return {
        "org.opencontainers.image.created": time,
        "org.opencontainers.image.revision": digest[7:47],
        "org.opencontainers.image.source": f"https://git.example.com/{repository}",
        "org.opencontainers.image.version": digest[7:15],
    }


def _digest(seed: int, n: int) -> str:
    return "sha256:" + hashlib.sha256(f"{seed}/{n}".encode()).hexdigest()


def write(folder: Path, images: int, repositories: int, *, labelled: bool) -> None:
    """Write the inventory and its policy into a folder."""
    (folder / "policy.yaml").write_text(POLICY)
    with (folder / "inventory.jsonl").open("wb") as stream:
        stream.writelines(Shape(labelled=labelled).lines(images, repositories))
