"""Manifests: from bytes to what they name, and what type of image that makes.

Rules: a body that could be read in two ways (an index's ``manifests`` beside an image's ``layers``,
CVE-2021-41190), or whose types or digests are wrong, is refused; an index's children are the descriptors of
a manifest media type alone, since a build cache's index names layers; what an image is, is told from its
media types, a sigstore bundle's annotations and the cosign tag scheme, and is ``None`` where these don't
tell. Whether bytes have the digest under which they were asked for is the reader's business.

Sources: OCI image-spec 1.1 (manifest, index, descriptor), Docker's manifest v2 schema 1 and 2, cosign's tag
scheme, BuildKit's attestation and cache formats.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated

import msgspec

from janitor.core.image import ImageType
from janitor.core.units import parse_time

_OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_OCI_INDEX = "application/vnd.oci.image.index.v1+json"
_OCI_ARTIFACT = "application/vnd.oci.artifact.manifest.v1+json"
_ORAS_ARTIFACT = "application/vnd.cncf.oras.artifact.manifest.v1+json"
_DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
_DOCKER_SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+json"
_DOCKER_SCHEMA1_SIGNED = "application/vnd.docker.distribution.manifest.v1+prettyjws"

INDEX_TYPES = frozenset({_OCI_INDEX, _DOCKER_LIST})
_SCHEMA1_TYPES = frozenset({_DOCKER_SCHEMA1, _DOCKER_SCHEMA1_SIGNED})

# The newest first. Without OCI's types some servers answer 404, without the lists they answer with one
# platform of them.
_ACCEPTED = (
    _OCI_MANIFEST,
    _OCI_INDEX,
    _DOCKER_MANIFEST,
    _DOCKER_LIST,
    _OCI_ARTIFACT,
    _ORAS_ARTIFACT,
    _DOCKER_SCHEMA1_SIGNED,
    _DOCKER_SCHEMA1,
)
MANIFEST_TYPES = frozenset(_ACCEPTED)

# The value of an Accept header for a manifest of any type.
ACCEPT = ", ".join(_ACCEPTED)

_CREATED = "org.opencontainers.image.created"


class ManifestError(ValueError):
    """Bytes are no manifest, or an ambiguous one; the message is a sentence that says why."""


class Descriptor(msgspec.Struct, frozen=True, kw_only=True):
    """What a manifest names: a blob or another manifest. ``size`` is in bytes."""

    media_type: str
    digest: str
    size: int
    artifact_type: str | None = None
    annotations: Mapping[str, str] = {}


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """One manifest of any type.

    ``layers``: the blobs it names besides the config, of an artifact manifest its blobs, of an index whatever
    is no manifest. ``children``: the manifests that an index names, in its order. ``subject``: a digest.
    ``created``: from the annotation, or from schema 1's history; what an image's config says is not here.
    ``size_bytes``: of config and layers, each blob counted once; ``None`` where it isn't written (schema 1).
    """

    media_type: str
    is_index: bool
    artifact_type: str | None = None
    config: Descriptor | None = None
    layers: tuple[Descriptor, ...] = ()
    children: tuple[Descriptor, ...] = ()
    subject: str | None = None
    annotations: Mapping[str, str] = {}
    created: datetime | None = None
    size_bytes: int | None = None


def parse_manifest(body: bytes, content_type: str | None) -> Manifest:
    """Read a manifest.

    ``content_type`` is the answer's header, with or without parameters: it decides where the body names no
    media type, and must not say index where the body says image, or the reverse.
    """
    try:
        raw = _manifests.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ManifestError(f"this is no manifest: {error}") from None
    media_type = _media_type(raw, content_type)
    _refuse_ambiguous(raw, media_type)
    if media_type in _SCHEMA1_TYPES:
        return Manifest(media_type=media_type, is_index=False, created=_created_in_history(raw))
    is_index = raw.manifests is not None or media_type in INDEX_TYPES
    config = _descriptor(raw.config) if raw.config is not None else None
    named = tuple(map(_descriptor, raw.manifests or ()))
    layers = tuple(map(_descriptor, (*(raw.layers or ()), *(raw.blobs or ()))))
    children = tuple(entry for entry in named if plain_media_type(entry.media_type) in MANIFEST_TYPES)
    layers += tuple(entry for entry in named if plain_media_type(entry.media_type) not in MANIFEST_TYPES)
    annotations = raw.annotations or {}
    blobs = {blob.digest: blob.size for blob in (*layers, *((config,) if config else ()))}
    return Manifest(
        media_type=media_type,
        is_index=is_index,
        artifact_type=raw.artifact_type or None,
        config=config,
        layers=layers,
        children=children,
        subject=_descriptor(raw.subject).digest if raw.subject is not None else None,
        annotations=annotations,
        created=_time(annotations.get(_CREATED)),
        size_bytes=sum(blobs.values()),
    )


def digest_of(body: bytes) -> str:
    """The digest of bytes, ``sha256:…``."""
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def plain_media_type(text: str) -> str:
    """A media type in lower case, without the parameters that may follow it."""
    return text.partition(";")[0].strip().lower()


_SCHEME_TAG = re.compile(r"sha256-([0-9a-f]{64})(?:\.(sig|att|sbom))?")


def scheme_subject(tag: str) -> str | None:
    """The digest that a tag of cosign's scheme, or a referrers fallback tag, speaks of; else ``None``."""
    match = _SCHEME_TAG.fullmatch(tag)
    return f"sha256:{match[1]}" if match else None


def is_fallback_tag(tag: str) -> bool:
    """Whether a tag is that of a list of referrers, ``sha256-`` and 64 digits."""
    match = _SCHEME_TAG.fullmatch(tag)
    return match is not None and match[2] is None


# What artifact types, config types and types of layers say. A type of layers counts only if all are of one.
_HELM = "application/vnd.cncf.helm.config.v1+json"
_CACHE = "application/vnd.buildkit.cacheconfig.v0"
_BUNDLE = "application/vnd.dev.sigstore.bundle"
_OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
IMAGE_CONFIGS = frozenset({_OCI_CONFIG, "application/vnd.docker.container.image.v1+json"})
_TELLING_PREFIXES: tuple[tuple[str, ImageType], ...] = (
    (_HELM, ImageType.HELM),
    (_CACHE, ImageType.CACHE),
    ("application/vnd.dev.cosign.simplesigning.", ImageType.SIGNATURE),
    ("application/vnd.cncf.notary.signature", ImageType.SIGNATURE),
    ("application/vnd.in-toto", ImageType.ATTESTATION),
    ("application/vnd.dsse.envelope.", ImageType.ATTESTATION),
    ("application/vnd.docker.attestation.manifest.", ImageType.ATTESTATION),
    ("application/spdx", ImageType.SBOM),
    ("text/spdx", ImageType.SBOM),
    ("application/vnd.cyclonedx", ImageType.SBOM),
)
_SUFFIX_TYPES = {"sig": ImageType.SIGNATURE, "att": ImageType.ATTESTATION, "sbom": ImageType.SBOM}

_COSIGN_SIGNS = "https://sigstore.dev/cosign/sign/v1"


def image_type(manifest: Manifest, tags: Iterable[str] = ()) -> ImageType | None:
    """What a manifest is, with the tags that are on it; ``None`` where a bundle doesn't say what it holds."""
    return type_of(
        media_type=_OCI_INDEX if manifest.is_index else manifest.media_type,
        artifact_type=manifest.artifact_type,
        config_media_type=manifest.config.media_type if manifest.config else None,
        layer_media_types=tuple(layer.media_type for layer in manifest.layers),
        annotations=manifest.annotations,
        tags=tags,
    )


def type_of(
    *,
    media_type: str | None,
    artifact_type: str | None = None,
    config_media_type: str | None = None,
    layer_media_types: tuple[str, ...] = (),
    annotations: Mapping[str, str] | None = None,
    tags: Iterable[str] = (),
) -> ImageType | None:
    """What an image is, from all that is known of its manifest.

    ``layer_media_types``: of its blobs, and of an index whatever it names that is no manifest.
    ``annotations``: the manifest's, or those of the descriptor under which an index names it; ``None`` where
    they weren't read.
    """
    said = tuple(plain_media_type(text) for text in (artifact_type, config_media_type) if text)
    layers = tuple(map(plain_media_type, layer_media_types))
    annotations = annotations or {}
    if any(map(_is_bundle, (*said, *layers))):
        return _type_of_bundle(annotations)
    if any(text.startswith(_CACHE) for text in layers):
        return ImageType.CACHE
    told = _first_told(said) or _common(layers)
    if told is not None:
        return told
    if annotations.get("vnd.docker.reference.type") == "attestation-manifest":
        return ImageType.ATTESTATION
    for tag in tags:
        match = _SCHEME_TAG.fullmatch(tag)
        if match and match[2]:
            return _SUFFIX_TYPES[match[2]]
    media_type = plain_media_type(media_type or "")
    if media_type in INDEX_TYPES:
        return ImageType.INDEX
    if media_type in _SCHEMA1_TYPES or (
        config_media_type and plain_media_type(config_media_type) in IMAGE_CONFIGS
    ):
        return ImageType.IMAGE
    return ImageType.ARTIFACT


def type_from_media_types(
    media_type: str | None, artifact_type: str | None = None, tags: Iterable[str] = ()
) -> ImageType | None:
    """What an image is where its manifest wasn't read; ``None`` where that can't be told.

    Some registries give the config's media type as the artifact type, so it is read as either.
    """
    plain = plain_media_type(media_type or "")
    if artifact_type is None and plain in (_OCI_MANIFEST, _DOCKER_MANIFEST):
        artifact_type = _OCI_CONFIG
    told = type_of(media_type=media_type, config_media_type=artifact_type, tags=tags)
    if told is ImageType.ARTIFACT and plain not in MANIFEST_TYPES:
        return None
    return told


def _is_bundle(text: str) -> bool:
    return text.startswith(_BUNDLE)


def _type_of_bundle(annotations: Mapping[str, str]) -> ImageType | None:
    content = annotations.get("dev.sigstore.bundle.content")
    predicate = annotations.get("dev.sigstore.bundle.predicateType")
    if content == "message-signature" or predicate == _COSIGN_SIGNS:
        return ImageType.SIGNATURE
    return ImageType.ATTESTATION if content == "dsse-envelope" or predicate else None


def _told(text: str) -> ImageType | None:
    return next((told for prefix, told in _TELLING_PREFIXES if text.startswith(prefix)), None)


def _first_told(texts: tuple[str, ...]) -> ImageType | None:
    return next(filter(None, map(_told, texts)), None)


def _common(layers: tuple[str, ...]) -> ImageType | None:
    """What all layers say; ``None`` where they differ or say nothing."""
    types = set(map(_told, layers))
    return types.pop() if len(types) == 1 else None


_Strings = dict[str, str] | None


class _RawDescriptor(msgspec.Struct, kw_only=True, rename="camel"):
    """A descriptor as it is written."""

    media_type: str
    digest: str
    size: Annotated[int, msgspec.Meta(ge=0)]
    artifact_type: str | None = None
    annotations: _Strings = None


class _RawHistory(msgspec.Struct, kw_only=True, rename="camel"):
    """An entry of schema 1's history: JSON within a string."""

    v1_compatibility: str = ""


class _RawV1Image(msgspec.Struct, kw_only=True):
    """What is read of that string."""

    created: str | None = None


class _Raw(msgspec.Struct, kw_only=True, rename="camel"):
    """A manifest of any type as it is written; Go writes an empty list as null."""

    schema_version: int | None = None
    media_type: str | None = None
    artifact_type: str | None = None
    config: _RawDescriptor | None = None
    layers: list[_RawDescriptor] | None = None
    blobs: list[_RawDescriptor] | None = None
    manifests: list[_RawDescriptor] | None = None
    subject: _RawDescriptor | None = None
    annotations: _Strings = None
    history: list[_RawHistory] | None = None
    fs_layers: list[dict[str, str]] | None = None
    signatures: list[object] | None = None


_manifests, _v1_images = map(msgspec.json.Decoder, (_Raw, _RawV1Image))  # before any thread uses them


def _media_type(raw: _Raw, content_type: str | None) -> str:
    """The type that the body names, else the answer's, else the one that its shape has."""
    answered = plain_media_type(content_type or "")
    named = plain_media_type(raw.media_type or "")
    if named:
        if answered in MANIFEST_TYPES and _family(answered) != _family(named):
            raise ManifestError(f"this manifest says {named}, but was answered as {answered}")
        return named
    if answered in MANIFEST_TYPES:
        return answered
    if raw.manifests is not None:
        return _OCI_INDEX
    if raw.schema_version == 1:
        return _DOCKER_SCHEMA1_SIGNED if raw.signatures else _DOCKER_SCHEMA1
    return _OCI_MANIFEST


def _family(media_type: str) -> str:
    """What must not be mistaken for one another."""
    if media_type in INDEX_TYPES:
        return "index"
    return "schema 1" if media_type in _SCHEMA1_TYPES else "manifest"


def _refuse_ambiguous(raw: _Raw, media_type: str) -> None:
    """Refuse a body that has parts of several shapes, or none of the shape that it says it has."""
    parts = {
        "index": ["manifests"] if raw.manifests is not None else [],
        "schema 1": ["fsLayers"] if raw.fs_layers is not None else [],
        "manifest": [name for name in ("config", "layers", "blobs") if getattr(raw, name) is not None],
    }
    written = [name for names in parts.values() for name in names]
    if sum(map(bool, parts.values())) > 1:
        raise ManifestError(
            f"this manifest has {' and '.join(written)}, so that it could be read in two ways"
        )
    if not written and media_type not in INDEX_TYPES:
        raise ManifestError("this is no manifest: it names neither manifests, layers nor a config")
    if media_type in MANIFEST_TYPES and written and not parts[_family(media_type)]:
        raise ManifestError(f"this manifest says {media_type}, but has {' and '.join(written)}")


_DIGEST = re.compile(r"[a-z0-9]+(?:[+._-][a-z0-9]+)*:[A-Za-z0-9=_-]+")
_HEX_DIGITS = {"sha256": 64, "sha512": 128}


def _descriptor(raw: _RawDescriptor) -> Descriptor:
    if not _is_digest(raw.digest):
        raise ManifestError(f"this manifest names {raw.digest!r}, which is no digest")
    return Descriptor(
        media_type=raw.media_type,
        digest=raw.digest,
        size=raw.size,
        artifact_type=raw.artifact_type or None,
        annotations=raw.annotations or {},
    )


def _is_digest(text: str) -> bool:
    """Whether it has a digest's form; the registered algorithms fix the number of digits too."""
    if not _DIGEST.fullmatch(text):
        return False
    algorithm, _, encoded = text.partition(":")
    digits = _HEX_DIGITS.get(algorithm)
    return digits is None or re.fullmatch(rf"[0-9a-f]{{{digits}}}", encoded) is not None


def _created_in_history(raw: _Raw) -> datetime | None:
    """When the uppermost layer of a schema 1 image was made."""
    if not raw.history:
        return None
    try:
        image = _v1_images.decode(raw.history[0].v1_compatibility)
    except (msgspec.DecodeError, RecursionError):
        return None
    return _time(image.created)


def _time(text: str | None) -> datetime | None:
    """A time that somebody wrote into a manifest; one that can't be read isn't known."""
    try:
        return parse_time(text) if text else None
    except ValueError:
        return None
