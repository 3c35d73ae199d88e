"""Real bytes, as small as they get: layers, configurations and manifests that a puller accepts.

Nothing here knows of a registry. The same arguments give the same bytes, so digests are stable.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

OCI_IMAGE = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
DOCKER_IMAGE = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+json"
SCHEMA1_SIGNED = "application/vnd.docker.distribution.manifest.v1+prettyjws"
HELM_CONFIG = "application/vnd.cncf.helm.config.v1+json"
CACHE_CONFIG = "application/vnd.buildkit.cacheconfig.v0"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json"
DSSE = "application/vnd.dsse.envelope.v1+json"
IN_TOTO = "application/vnd.in-toto+json"
SPDX = "application/spdx+json"

INDEX_TYPES = frozenset({OCI_INDEX, DOCKER_LIST})
CREATED = "org.opencontainers.image.created"
# What Go writes for a time that was never set; cosign's images carry it.
ZERO_TIME = "0001-01-01T00:00:00Z"


class Blob(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes that a manifest names."""

    media_type: str
    data: bytes

    @property
    def digest(self) -> str:
        return sha256(self.data)

    def descriptor(self, **extra: Any) -> dict[str, Any]:
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.data)} | extra


def sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def encode(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, indent=2).encode()


def timestamp(moment: datetime | None) -> str | None:
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def layer(text: str, media_type: str = OCI_LAYER) -> tuple[Blob, str]:
    """A layer of one file that holds this text, and the digest of it unpacked."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        entry = tarfile.TarInfo("content")
        entry.size = len(text.encode())
        tar.addfile(entry, io.BytesIO(text.encode()))
    unpacked = archive.getvalue()
    return Blob(media_type=media_type, data=gzip.compress(unpacked, mtime=0)), sha256(unpacked)


def image_config(
    unpacked: str,
    *,
    created: str | None,
    labels: Mapping[str, str] | None,
    platform: Mapping[str, str],
    media_type: str = OCI_CONFIG,
) -> Blob:
    config: dict[str, Any] = dict(platform)
    if created is not None:
        config["created"] = created
    config["config"] = {"Labels": dict(labels)} if labels else {}
    config["rootfs"] = {"type": "layers", "diff_ids": [unpacked]}
    config["history"] = [{"created_by": "a test"} | ({"created": created} if created else {})]
    return Blob(media_type=media_type, data=encode(config))


def image_manifest(
    media_type: str,
    config: Blob,
    layers: Sequence[Mapping[str, Any]],
    *,
    subject: Mapping[str, Any] | None = None,
    artifact_type: str | None = None,
    annotations: Mapping[str, str] | None = None,
) -> bytes:
    document: dict[str, Any] = {"schemaVersion": 2, "mediaType": media_type}
    if artifact_type is not None:
        document["artifactType"] = artifact_type
    document |= {"config": config.descriptor(), "layers": list(layers)}
    if subject is not None:
        document["subject"] = dict(subject)
    if annotations:
        document["annotations"] = dict(annotations)
    return encode(document)


def index_manifest(
    media_type: str,
    manifests: Sequence[Mapping[str, Any]],
    *,
    annotations: Mapping[str, str] | None = None,
    names_its_type: bool = True,
) -> bytes:
    document: dict[str, Any] = {"schemaVersion": 2}
    if names_its_type:
        document["mediaType"] = media_type
    document["manifests"] = list(manifests)
    if annotations:
        document["annotations"] = dict(annotations)
    return encode(document)


def schema1_manifest(name: str, tag: str, layer_digest: str, created: str) -> bytes:
    history = {"id": layer_digest.removeprefix("sha256:"), "created": created, "os": "linux"}
    return encode(
        {
            "schemaVersion": 1,
            "name": name,
            "tag": tag,
            "architecture": "amd64",
            "fsLayers": [{"blobSum": layer_digest}],
            "history": [{"v1Compatibility": json.dumps(history)}],
        }
    )


def signed(payload: bytes) -> bytes:
    """A schema 1 manifest as it is served: with a signature that its digest doesn't cover."""
    head, tail = payload[:-2], payload[-2:]
    protected = {"formatLength": len(head), "formatTail": _base64url(tail), "time": "2026-01-01T00:00:00Z"}
    signature = {
        "header": {"jwk": {"crv": "P-256", "kid": "TEST", "kty": "EC", "x": "AA", "y": "AA"}, "alg": "ES256"},
        "signature": "AA",
        "protected": _base64url(json.dumps(protected).encode()),
    }
    return head + b',\n   "signatures": ' + json.dumps([signature]).encode() + tail


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
