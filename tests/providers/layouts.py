"""Image layouts as other programs write them, by hand: blobs first, the index last."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
REF_NAME = "org.opencontainers.image.ref.name"

Descriptor = dict[str, Any]


class LayoutFolder:
    """One layout that a test fills; what is put into it has a day and an hour on it, as if it lay there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "blobs" / "sha256").mkdir(parents=True)
        (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
        self.write({"schemaVersion": 2, "mediaType": INDEX, "manifests": []})

    def blob(self, data: bytes, media_type: str = LAYER) -> Descriptor:
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        self.path(digest).write_bytes(data)
        self.age(digest, days=2)
        return {"mediaType": media_type, "digest": digest, "size": len(data)}

    def image(
        self, name: str, *, created: str | None = None, layers: Any = None, **fields: Any
    ) -> Descriptor:
        """An image with a layer of its own, not listed yet."""
        config = {"created": created, "config": {"Labels": {"name": name}}}
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self.blob(json.dumps(config).encode(), CONFIG),
            "layers": [self.blob(name.encode())] if layers is None else layers,
            **fields,
        }
        return self.blob(json.dumps(manifest).encode(), MANIFEST)

    def index(self, *children: Descriptor, **fields: Any) -> Descriptor:
        """An index of these, not listed yet."""
        body = {"schemaVersion": 2, "mediaType": INDEX, "manifests": list(children), **fields}
        return self.blob(json.dumps(body).encode(), INDEX)

    def list(self, descriptor: Descriptor, *names: str) -> str:
        """List it in ``index.json``, once for each name, or without any; its digest is returned."""
        named = [descriptor | {"annotations": {REF_NAME: name}} for name in names] or [descriptor]
        body = self.read()
        self.write(body | {"manifests": body["manifests"] + named})
        digest: str = descriptor["digest"]
        return digest

    def read(self) -> dict[str, Any]:
        body: dict[str, Any] = json.loads((self.folder / "index.json").read_bytes())
        return body

    def write(self, body: dict[str, Any]) -> None:
        (self.folder / "index.json").write_text(json.dumps(body, indent=1))

    def path(self, digest: str) -> Path:
        algorithm, _, encoded = digest.partition(":")
        return self.folder / "blobs" / algorithm / encoded

    def age(self, digest: str, *, days: float) -> None:
        then = (self.folder / "index.json").stat().st_mtime if (self.folder / "index.json").exists() else None
        then = (then if then is not None else self.path(digest).stat().st_mtime) - days * 86_400
        os.utime(self.path(digest), (then, then))

    def blobs(self) -> set[str]:
        return {f"sha256:{each.name}" for each in (self.folder / "blobs" / "sha256").iterdir()}
