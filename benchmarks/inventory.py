"""An inventory of any size, as teams' registries look, written as the ``inventory`` provider reads it.

A fifth of the images is untagged; the others are SemVer releases, pull requests, branch builds with a commit and
images of two tags; every tenth is an index with three platforms, every twentieth has a signature.
"""

from __future__ import annotations

import hashlib
import json
import sys
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
        delete: {tags: ["re:(?P<branch>.+)-[0-9a-f]{7,40}"], group_by: branch, beyond_newest: 3, older_than: 30d}
      - name: untagged
        delete: {untagged: true, older_than: 7d}
"""


def lines(images: int, repositories: int) -> Iterator[bytes]:
    """Give the lines of an inventory of so many images."""
    each = images // repositories
    for r in range(repositories):
        yield from _repository(f"team-{r % 50}/app-{r}", r, each)


def _repository(name: str, seed: int, images: int) -> Iterator[bytes]:
    n = 0
    while n < images:
        kind = n % 20
        when = NOW - timedelta(hours=(n * 37 + seed) % 9000, minutes=n % 60)
        if kind % 10 == 0 and n + 4 <= images:
            platforms = [_digest(seed, n + 1 + p) for p in range(3)]
            for platform in platforms:
                yield _line(name, platform, [], when)
            yield _line(name, _digest(seed, n), _tags(n, kind), when, children=platforms)
            n += 4
        elif kind % 20 == 5 and n + 2 <= images:
            signed = _digest(seed, n)
            yield _line(name, signed, _tags(n, kind), when)
            yield _line(name, _digest(seed, n + 1), [f"sha256-{signed[7:]}.sig"], when, kind="signature")
            n += 2
        else:
            yield _line(name, _digest(seed, n), _tags(n, kind), when)
            n += 1


def _tags(n: int, kind: int) -> list[str]:
    if kind in {1, 6, 11, 16}:
        return []
    if kind in {2, 7, 12}:
        return [f"pr-{n}"]
    if kind in {3, 8, 13, 18}:
        return [f"feature-{n % 7}-{hashlib.sha1(str(n).encode(), usedforsecurity=False).hexdigest()[:10]}"]
    if kind in {4, 14}:
        return [f"1.{n % 30}.{n}", f"sha-{n:07x}"]
    return [f"1.{n % 30}.{n}"]


def _digest(seed: int, n: int) -> str:
    return "sha256:" + hashlib.sha256(f"{seed}/{n}".encode()).hexdigest()


def _line(
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
        "size_bytes": 50_000_000 + len(digest) * 1000,
        "children": children or [],
        "subject": None,
        "tagged_at": time,
        "locked": False,
        "archived_at": None,
        "labels": {},
    }
    return json.dumps(line, separators=(",", ":")).encode() + b"\n"


def write(folder: Path, images: int, repositories: int) -> None:
    """Write the inventory and its policy into a folder."""
    (folder / "policy.yaml").write_text(POLICY)
    with (folder / "inventory.jsonl").open("wb") as stream:
        stream.writelines(lines(images, repositories))


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
