"""The sample registry of ``janitor demo``: a few OCI image layouts in a folder, and a policy for them.

It tells the story of a small company: releases for two platforms with attestations and signatures, builds of
pull requests and branches, a build cache, base images, and what pushing over a tag leaves behind. Everything
is made of the instant that is handed in and nothing else: the same instant gives the same bytes. Its layers
are a few kilobytes of noise, so that the whole is smaller than a photograph.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from janitor.core.units import format_time
from janitor.errors import FileError
from janitor.files.atomic import write_atomically

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_EMPTY = "application/vnd.oci.empty.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_IN_TOTO = "application/vnd.in-toto+json"
_SIGNATURE = "application/vnd.dev.cosign.simplesigning.v1+json"
_CACHE_CONFIG = "application/vnd.buildkit.cacheconfig.v0"
_SPDX = "application/spdx+json"

_REF_NAME = "org.opencontainers.image.ref.name"
_HOST = "registry.example.com"

_POLICY = f"""\
# What stays and what goes in the sample registry, in the words of its owners.
version: 1

registries:
  sample:
    provider: oci-layout
    path: registry
    aliases: [{_HOST}]         # the name under which its images are pulled

protect:
  in_use:
    - file: in-use.txt                  # what runs in the cluster, one reference a line

policies:
  - name: services
    registries: [sample]
    repositories: ["services/**"]
    rules:
      - name: releases
        keep: {{tags: ["semver:*"], newest: 5}}
      - name: old-releases
        delete: {{tags: ["semver:*", "semver:pre"], older_than: 90d}}
      - name: pull-requests
        delete: {{tags: ["pr-*"], older_than: 14d}}
      - name: branches
        delete:
          tags: ["re:(?P<branch>.+)-[0-9a-f]{{7}}"]
          group_by: branch
          beyond_newest: 3
          older_than: 7d
      - name: untagged
        delete: {{untagged: true, older_than: 7d}}

  - name: build-cache
    registries: [sample]
    repositories: ["ci/*"]
    rules:
      - name: unused
        delete: {{type: cache, older_than: 14d}}
"""

_IN_USE = f"""\
# Written by a cron job from the cluster.
{_HOST}/services/api:2.1.0
{_HOST}/services/api:pr-198    # a customer's preview that nobody dares to switch off
{_HOST}/services/web:1.4.0
{_HOST}/base/python:3.13
"""

Descriptor = Mapping[str, Any]


def build_sample(folder: Path, now: datetime) -> Path:
    """Put the sample registry, its list of images in use and its policy into a folder; return the policy.

    Times in it lie before ``now``, which is aware. Raises FileError, with nothing overwritten, where the
    folder has something of these names already.
    """
    policy, in_use, registry = folder / "policy.yaml", folder / "in-use.txt", folder / "registry"
    for path in (policy, in_use, registry):
        if os.path.lexists(path):
            raise FileError(f"{path} is there already; the sample registry needs a folder of its own")
    try:
        _api(_Layout(registry / "services" / "api", now))
        _web(_Layout(registry / "services" / "web", now))
        _base(_Layout(registry / "base" / "python", now))
        _cache(_Layout(registry / "ci" / "cache", now))
    except OSError as error:
        raise FileError(f"{error.filename or folder} can't be written: {error.strerror or error}") from error
    write_atomically(in_use, _IN_USE.encode())
    write_atomically(policy, _POLICY.encode())
    return policy


def _api(layout: _Layout) -> None:
    # 1.3.0 was built for arm64 once more than needed: 2.2.0 still names that platform of it.
    shared = layout.image("api 1.3.0 arm64", days=300, platform="arm64")
    releases = [f"1.{minor}.0" for minor in range(8)] + ["2.0.0-rc.1", "2.0.0", "2.1.0", "2.2.0"]
    for place, version in enumerate(releases):
        days = 400 - 33 * place
        arm = shared if version in {"1.3.0", "2.2.0"} else None
        release = layout.release(f"api {version}", days=days, arm=arm)
        layout.tag(release, version, *{"1.2.0": ["production"], "2.2.0": ["latest"]}.get(version, []))
        if version in {"1.0.0", "1.7.0", "2.2.0"}:
            layout.sign(release)
    for place in range(14):
        request = layout.image(f"api pr {198 + place}", days=53 - 4 * place)
        layout.tag(request, f"pr-{198 + place}")
        if place == 1:
            layout.refer(request, _SPDX, days=48)
    for branch, builds in (("main", 8), ("feature-login", 5), ("hotfix", 2)):
        for place in range(builds):
            commit = hashlib.sha256(f"{branch} {place}".encode()).hexdigest()[:7]
            layout.tag(layout.image(f"api {branch} {place}", days=40 - 4 * place), f"{branch}-{commit}")
    for days in (2, 5, 11, 26, 33):
        layout.tag(layout.image(f"api edge {days}", days=days))
    layout.tag(layout.image("api edge", days=1.5), "edge")
    layout.save()


def _web(layout: _Layout) -> None:
    for place, version in enumerate(("1.0.0", "1.1.0", "1.2.0", "1.3.0", "1.4.0", "1.5.0", "1.6.0")):
        layout.tag(layout.release(f"web {version}", days=260 - 40 * place), version)
    for place in range(6):
        layout.tag(layout.image(f"web pr {40 + place}", days=30 - 5 * place), f"pr-{40 + place}")
    for place in range(3):
        layout.tag(layout.image(f"web nightly {place}", days=3 - place + 0.2), f"nightly-{place + 1}")
    layout.save()


def _base(layout: _Layout) -> None:
    for version, days in (("3.11", 500), ("3.12", 240), ("3.13", 30)):
        layout.tag(layout.release(f"python {version}", days=days), version)
    layout.save()


def _cache(layout: _Layout) -> None:
    for branch, days in (("main", 1), ("feature-login", 20), ("feature-search", 45), ("spike", 90)):
        layout.tag(layout.cache(f"cache {branch}", days=days), f"buildcache-{branch}")
    layout.save()


class _Layout:
    """One image layout under construction; ages are in days before the sample's now."""

    def __init__(self, folder: Path, now: datetime) -> None:
        self._folder = folder
        self._now = now
        self._entries: list[Descriptor] = []
        (folder / "blobs" / "sha256").mkdir(parents=True)

    def image(self, name: str, *, days: float, platform: str = "amd64") -> Descriptor:
        """Make an image of two layers: one that all images share, and one of its own."""
        config = {
            "architecture": platform,
            "os": "linux",
            "created": self._time(days),
            "config": {"Labels": {"org.opencontainers.image.title": name.partition(" ")[0]}},
        }
        layers = [self._blob(_noise("base", 4096), _LAYER, 500), self._blob(_noise(name, 2048), _LAYER, days)]
        described = self._manifest(self._blob(_json(config), _CONFIG, days), layers, days)
        return {**described, "platform": {"architecture": platform, "os": "linux"}}

    def release(self, name: str, *, days: float, arm: Descriptor | None = None) -> Descriptor:
        """Make an index of two platforms and their provenance, as buildx does."""
        amd = self.image(f"{name} amd64", days=days)
        arm = arm or self.image(f"{name} arm64", days=days, platform="arm64")
        provenance = self._provenance(name, amd, days)
        return self._index([amd, arm, provenance], days)

    def cache(self, name: str, *, days: float) -> Descriptor:
        """Make a build cache, which is an index of layers."""
        layers = [
            self._blob(_noise(f"{name} {place}", 3072), _LAYER, days)
            | {"annotations": {"buildkit/createdat": self._time(days)}}
            for place in range(3)
        ]
        config = self._blob(_json({"layers": len(layers), "of": name}), _CACHE_CONFIG, days)
        return self._index([*layers, config], days, {"org.opencontainers.image.created": self._time(days)})

    def sign(self, subject: Descriptor) -> None:
        """Put cosign's signature beside an image, under its tag scheme; it knows no time."""
        payload = _json({"critical": {"image": {"docker-manifest-digest": subject["digest"]}}})
        config = self._blob(_json({"created": "0001-01-01T00:00:00Z"}), _CONFIG, 0)
        signature = self._manifest(config, [self._blob(payload, _SIGNATURE, 0)], 0)
        self.tag(signature, subject["digest"].replace(":", "-") + ".sig")

    def refer(self, subject: Descriptor, artifact_type: str, *, days: float) -> None:
        """Put an artifact beside an image that names it as its subject."""
        fields = {
            "artifactType": artifact_type,
            "subject": {key: subject[key] for key in ("mediaType", "digest", "size")},
            "annotations": {"org.opencontainers.image.created": self._time(days)},
        }
        layer = self._blob(_json({"spdxVersion": "SPDX-2.3", "name": subject["digest"]}), artifact_type, days)
        self.tag(self._manifest(self._blob(b"{}", _EMPTY, days), [layer], days, fields))

    def tag(self, image: Descriptor, *tags: str) -> None:
        """List an image once for each tag; without any, untagged."""
        plain = {key: image[key] for key in ("mediaType", "digest", "size")}
        self._entries += [{**plain, "annotations": {_REF_NAME: tag}} for tag in tags] or [plain]

    def save(self) -> None:
        """Write the marker, and at last the index."""
        (self._folder / "oci-layout").write_bytes(_json({"imageLayoutVersion": "1.0.0"}))
        index = {"schemaVersion": 2, "mediaType": _INDEX, "manifests": self._entries}
        (self._folder / "index.json").write_bytes(msgspec.json.format(_json(index), indent=2))

    def _provenance(self, name: str, subject: Descriptor, days: float) -> Descriptor:
        statement = _json({"_type": "https://in-toto.io/Statement/v0.1", "subject": [{"name": name}]})
        config = _json({"architecture": "unknown", "os": "unknown", "of": name})
        manifest = self._manifest(
            self._blob(config, _CONFIG, days), [self._blob(statement, _IN_TOTO, days)], days
        )
        return {
            **manifest,
            "platform": {"architecture": "unknown", "os": "unknown"},
            "annotations": {
                "vnd.docker.reference.type": "attestation-manifest",
                "vnd.docker.reference.digest": subject["digest"],
            },
        }

    def _manifest(
        self,
        config: Descriptor,
        layers: Sequence[Descriptor],
        days: float,
        fields: Mapping[str, Any] | None = None,
    ) -> Descriptor:
        body = {"schemaVersion": 2, "mediaType": _MANIFEST, "config": config, "layers": layers}
        return self._blob(_json({**body, **(fields or {})}), _MANIFEST, days)

    def _index(
        self, manifests: Sequence[Descriptor], days: float, annotations: Mapping[str, str] | None = None
    ) -> Descriptor:
        body: dict[str, Any] = {"schemaVersion": 2, "mediaType": _INDEX, "manifests": manifests}
        if annotations:
            body["annotations"] = annotations
        return self._blob(_json(body), _INDEX, days)

    def _blob(self, data: bytes, media_type: str, days: float) -> dict[str, Any]:
        encoded = hashlib.sha256(data).hexdigest()
        path = self._folder / "blobs" / "sha256" / encoded
        path.write_bytes(data)
        # As old as what it belongs to, as if it had been pushed then.
        modified = (self._now - timedelta(days=days)).timestamp()
        os.utime(path, (modified, modified))
        return {"mediaType": media_type, "digest": f"sha256:{encoded}", "size": len(data)}

    def _time(self, days: float) -> str:
        return format_time((self._now - timedelta(days=days)).replace(microsecond=0))


def _json(value: object) -> bytes:
    return msgspec.json.encode(value)


def _noise(name: str, size: int) -> bytes:
    """Bytes that no compression would shorten, as a layer's are: always the same for one name."""
    return hashlib.shake_256(name.encode()).digest(size)
