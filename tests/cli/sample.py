"""A policy, and what stands in for its registry: an inventory file."""

from __future__ import annotations

from pathlib import Path

import msgspec

from janitor.core.units import format_time
from tests.factories import ago, digest

POLICY = """\
version: 1
registries:
  prod: {provider: inventory, path: inventory.jsonl}
policies:
  - name: services
    registries: [prod]
    repositories: ["**"]
    rules:
      - name: pull-requests
        delete: {tags: ["pr-*"], older_than: 14d}
"""


def write_policy(folder: Path, text: str = POLICY, name: str = "policy.yaml") -> str:
    path = folder / name
    path.write_text(text)
    return str(path)


def write_inventory(folder: Path, *, pull_requests: int = 4, releases: int = 16) -> None:
    """One repository of images that are a hundred days old."""
    tags = [f"pr-{number}" for number in range(pull_requests)] + [f"1.{number}" for number in range(releases)]
    lines = (
        {
            "registry": "prod",
            "repository": "services/api",
            "digest": digest(tag),
            "tags": [tag],
            "media_type": "application/vnd.oci.image.manifest.v1+json",
            "pushed_at": format_time(ago("100d")),
            "size_bytes": 2**20,
            "children": [],
        }
        for tag in tags
    )
    (folder / "inventory.jsonl").write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))


def prepared(folder: Path) -> str:
    """The policy's path, with its inventory beside it."""
    write_inventory(folder)
    return write_policy(folder)
