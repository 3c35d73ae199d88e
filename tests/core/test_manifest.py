from __future__ import annotations

import hashlib
import json
import re
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from janitor.core.image import ImageType
from janitor.core.manifest import (
    ACCEPT,
    MANIFEST_TYPES,
    ManifestError,
    digest_of,
    image_type,
    is_fallback_tag,
    parse_manifest,
    scheme_subject,
    type_from_media_types,
    type_of,
)

OCI = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+json"
SIGNED = "application/vnd.docker.distribution.manifest.v1+prettyjws"
ARTIFACT = "application/vnd.oci.artifact.manifest.v1+json"
ORAS = "application/vnd.cncf.oras.artifact.manifest.v1+json"

CONFIG = "application/vnd.oci.image.config.v1+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
EMPTY = "application/vnd.oci.empty.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json"
IN_TOTO = "application/vnd.in-toto+json"
DSSE = "application/vnd.dsse.envelope.v1+json"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
CACHE = "application/vnd.buildkit.cacheconfig.v0"
HELM = "application/vnd.cncf.helm.config.v1+json"
NOTATION = "application/vnd.cncf.notary.signature"

Body = dict[str, Any]


def digest(letter: str) -> str:
    return "sha256:" + letter * 64


def descriptor(letter: str = "a", media_type: str = LAYER, size: int = 10, **more: object) -> Body:
    return {"mediaType": media_type, "digest": digest(letter), "size": size, **more}


def image(config: str = CONFIG, layers: tuple[str, ...] = (LAYER,), **more: object) -> Body:
    return {
        "schemaVersion": 2,
        "mediaType": OCI,
        "config": descriptor("c", config, 5),
        "layers": [descriptor(letter, layer) for letter, layer in zip("0123456789", layers, strict=False)],
        **more,
    }


def index(*children: Body, **more: object) -> Body:
    return {"schemaVersion": 2, "mediaType": INDEX, "manifests": list(children), **more}


def encoded(body: object) -> bytes:
    return json.dumps(body).encode()


def schema1(created: str | None = "2020-01-02T03:04:05.678901234Z", **more: object) -> Body:
    return {
        "schemaVersion": 1,
        "name": "app",
        "tag": "1",
        "architecture": "amd64",
        "fsLayers": [{"blobSum": digest("a")}],
        "history": [
            {"v1Compatibility": json.dumps({"id": "x", "created": created})},
            {"v1Compatibility": "{}"},
        ],
        **more,
    }


def test_an_image_names_its_config_and_layers() -> None:
    manifest = parse_manifest(encoded(image(layers=(LAYER, LAYER))), OCI)
    assert manifest.media_type == OCI
    assert not manifest.is_index
    assert manifest.config is not None
    assert manifest.config.digest == digest("c")
    assert [layer.digest for layer in manifest.layers] == [digest("0"), digest("1")]
    assert manifest.children == ()
    assert manifest.subject is None
    assert manifest.created is None
    assert manifest.size_bytes == 25


def test_a_blob_that_is_named_twice_has_its_size_once() -> None:
    body = image()
    body["layers"] = [descriptor("a"), descriptor("a"), descriptor("b")]
    assert parse_manifest(encoded(body), None).size_bytes == 25


def test_an_index_names_its_children_in_order() -> None:
    body = index(descriptor("b", OCI), descriptor("a", DOCKER, annotations={"k": "v"}, artifactType="t"))
    manifest = parse_manifest(encoded(body), INDEX)
    assert manifest.is_index
    assert [child.digest for child in manifest.children] == [digest("b"), digest("a")]
    assert manifest.children[1].annotations == {"k": "v"}
    assert manifest.children[1].artifact_type == "t"
    assert manifest.layers == ()


@pytest.mark.parametrize("media_type", sorted(MANIFEST_TYPES))
def test_every_manifest_media_type_makes_a_child(media_type: str) -> None:
    for written in (media_type, media_type.upper(), f"{media_type}; charset=utf-8"):
        manifest = parse_manifest(encoded(index(descriptor("a", written))), INDEX)
        assert [child.digest for child in manifest.children] == [digest("a")]


def test_the_index_of_a_build_cache_names_layers_and_no_children() -> None:
    body = index(descriptor("a", LAYER, 7), descriptor("b", CACHE, 3), mediaType=LIST)
    manifest = parse_manifest(encoded(body), LIST)
    assert manifest.children == ()
    assert [layer.digest for layer in manifest.layers] == [digest("a"), digest("b")]
    assert manifest.size_bytes == 10
    assert image_type(manifest) is ImageType.CACHE


def test_subject_artifact_type_and_annotations_are_read() -> None:
    body = image(
        EMPTY,
        subject=descriptor("e", OCI),
        artifactType=NOTATION,
        annotations={"org.opencontainers.image.created": "2026-06-01T02:00:00+02:00", "k": "v"},
    )
    manifest = parse_manifest(encoded(body), OCI)
    assert manifest.subject == digest("e")
    assert manifest.artifact_type == NOTATION
    assert manifest.annotations["k"] == "v"
    assert manifest.created == datetime(2026, 6, 1, tzinfo=UTC)
    assert parse_manifest(encoded(index(subject=descriptor("e", OCI))), INDEX).subject == digest("e")


@pytest.mark.parametrize("text", ["", "yesterday", "2026-06-01", "2026-06-01T00:00:00"])
def test_a_creation_that_cannot_be_read_is_unknown(text: str) -> None:
    body = image(annotations={"org.opencontainers.image.created": text})
    assert parse_manifest(encoded(body), OCI).created is None


@pytest.mark.parametrize("media_type", [ARTIFACT, ORAS])
def test_an_artifact_manifest_names_blobs(media_type: str) -> None:
    body = {
        "mediaType": media_type,
        "artifactType": "t",
        "blobs": [descriptor()],
        "subject": descriptor("e", OCI),
    }
    manifest = parse_manifest(encoded(body), media_type)
    assert [blob.digest for blob in manifest.layers] == [digest("a")]
    assert manifest.subject == digest("e")
    assert manifest.size_bytes == 10
    assert image_type(manifest) is ImageType.ARTIFACT


def test_a_schema_1_image_tells_its_creation_and_no_sizes() -> None:
    manifest = parse_manifest(encoded(schema1(signatures=[{"header": {}}])), SIGNED)
    assert manifest.media_type == SIGNED
    assert manifest.config is None
    assert manifest.layers == ()
    assert manifest.size_bytes is None
    assert manifest.created == datetime(2020, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    assert image_type(manifest) is ImageType.IMAGE


@pytest.mark.parametrize("history", [None, [], [{}], [{"v1Compatibility": "{"}], [{"v1Compatibility": "[]"}]])
def test_a_schema_1_image_may_lack_its_history(history: object) -> None:
    assert parse_manifest(encoded(schema1() | {"history": history}), SCHEMA1).created is None


@pytest.mark.parametrize(
    ("body", "content_type", "media_type"),
    [
        (image(), None, OCI),
        (image(), "application/octet-stream", OCI),
        (image(), f"{OCI}; charset=utf-8", OCI),
        (image(), DOCKER, OCI),
        (image(mediaType=None), DOCKER, DOCKER),
        (image(mediaType=None), None, OCI),
        (image(mediaType=""), "text/plain", OCI),
        (index(mediaType=None), None, INDEX),
        (index(mediaType=None), f"{LIST.upper()} ;x=y", LIST),
        (index(mediaType=None), "application/json", INDEX),
        (index() | {"manifests": None}, None, INDEX),
        (image() | {"layers": None}, None, OCI),
        (schema1(), None, SCHEMA1),
        (schema1(signatures=[{}]), None, SIGNED),
        (schema1(), SIGNED, SIGNED),
        (image(mediaType="application/vnd.acme.thing+json"), None, "application/vnd.acme.thing+json"),
    ],
)
def test_the_media_type_is_the_bodys_then_the_answers_then_the_shapes(
    body: Body, content_type: str | None, media_type: str
) -> None:
    assert parse_manifest(encoded(body), content_type).media_type == media_type


@pytest.mark.parametrize(
    ("body", "content_type", "meant"),
    [
        (image(manifests=[]), OCI, "read in two ways"),
        (index(layers=[]), INDEX, "read in two ways"),
        (index(config=descriptor()), INDEX, "read in two ways"),
        (index(blobs=[]), INDEX, "read in two ways"),
        (image(fsLayers=[]), OCI, "read in two ways"),
        (image(mediaType=INDEX), INDEX, "but has config and layers"),
        (index(mediaType=OCI), OCI, "but has manifests"),
        (image(), INDEX, "was answered as"),
        (index(), DOCKER, "was answered as"),
        (image(), SIGNED, "was answered as"),
        (image(mediaType=None), LIST, "but has config and layers"),
        (index(mediaType=None), OCI, "but has manifests"),
        ({}, OCI, "names neither"),
        ({"schemaVersion": 2}, None, "names neither"),
        ({"errors": []}, "application/json", "names neither"),
        ([], OCI, "is no manifest"),
        ("text", OCI, "is no manifest"),
        (None, OCI, "is no manifest"),
        (image(mediaType=7), OCI, "is no manifest"),
        (image(layers=()) | {"layers": {}}, OCI, "is no manifest"),
        (image(annotations={"k": 1}), OCI, "is no manifest"),
        (image(annotations=["k"]), OCI, "is no manifest"),
        (index(descriptor() | {"size": "10"}), INDEX, "is no manifest"),
        (index(descriptor() | {"size": -1}), INDEX, "is no manifest"),
        (index(descriptor() | {"mediaType": None}), INDEX, "is no manifest"),
        (index({"mediaType": OCI, "size": 1}), INDEX, "is no manifest"),
        (index({"digest": digest("a"), "size": 1}), INDEX, "is no manifest"),
        (index({"mediaType": OCI, "digest": digest("a")}), INDEX, "is no manifest"),
        (index(descriptor() | {"digest": "sha256:abc"}), INDEX, "is no digest"),
        (index(descriptor() | {"digest": digest("A")}), INDEX, "is no digest"),
        (index(descriptor() | {"digest": digest("a") + "\n"}), INDEX, "is no digest"),
        (index(descriptor() | {"digest": "sha512:" + "a" * 64}), INDEX, "is no digest"),
        (index(descriptor() | {"digest": "latest"}), INDEX, "is no digest"),
        (index(descriptor() | {"digest": "../../etc/passwd"}), INDEX, "is no digest"),
        (image(subject=descriptor() | {"digest": ""}), OCI, "is no digest"),
        (image(subject="sha256:abc"), OCI, "is no manifest"),
    ],
)
def test_what_is_ambiguous_or_wrong_is_refused(body: object, content_type: str | None, meant: str) -> None:
    with pytest.raises(ManifestError, match=re.escape(meant)) as caught:
        parse_manifest(encoded(body), content_type)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff", b"<html>", b'{"a":"\xff"}', b"[" * 100_000, b"\xef\xbb\xbf{}"]
)
def test_what_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(ManifestError):
        parse_manifest(body, OCI)


@pytest.mark.parametrize("known", [digest("a"), "sha512:" + "a" * 128, "blake3:" + "a" * 64])
def test_digests_of_other_algorithms_are_legal(known: str) -> None:
    manifest = parse_manifest(encoded(index(descriptor(media_type=OCI) | {"digest": known})), INDEX)
    assert manifest.children[0].digest == known


@given(st.binary(max_size=60), st.sampled_from([None, OCI, INDEX, SCHEMA1]))
def test_no_bytes_break_the_reading_of_manifests(body: bytes, content_type: str | None) -> None:
    with suppress(ManifestError):
        parse_manifest(body, content_type)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)


@given(st.sampled_from([image(), index(descriptor("a", OCI)), schema1()]), st.data())
def test_no_body_breaks_the_reading_of_manifests(body: Body, data: st.DataObject) -> None:
    key = data.draw(st.sampled_from([*body, "subject", "blobs", "annotations", "fsLayers", "signatures"]))
    with suppress(ManifestError):
        image_type(parse_manifest(encoded(body | {key: data.draw(_json)}), None))


_signed = {"dev.sigstore.bundle.content": "message-signature"}
_signed_by_predicate = {
    "dev.sigstore.bundle.content": "dsse-envelope",
    "dev.sigstore.bundle.predicateType": "https://sigstore.dev/cosign/sign/v1",
}
_attested = {
    "dev.sigstore.bundle.content": "dsse-envelope",
    "dev.sigstore.bundle.predicateType": "https://slsa.dev/provenance/v1",
}
SIG, ATT, SBOM = (f"sha256-{'a' * 64}.{suffix}" for suffix in ("sig", "att", "sbom"))


@pytest.mark.parametrize(
    ("body", "tags", "expected"),
    [
        (image(), (), ImageType.IMAGE),
        (image(DOCKER_CONFIG, mediaType=DOCKER), (), ImageType.IMAGE),
        (image(layers=()), (), ImageType.IMAGE),
        (image(), ("1.0", f"sha256-{'a' * 64}"), ImageType.IMAGE),
        (index(descriptor("a", OCI)), (), ImageType.INDEX),
        (index(mediaType=LIST), (), ImageType.INDEX),
        (index(mediaType="application/vnd.acme.index+json"), (), ImageType.INDEX),
        (index(descriptor("a", OCI)), (f"sha256-{'a' * 64}",), ImageType.INDEX),
        (image(HELM), (), ImageType.HELM),
        (image(CACHE), (), ImageType.CACHE),
        (image(layers=(SIMPLE_SIGNING, SIMPLE_SIGNING)), (), ImageType.SIGNATURE),
        (image(layers=(SIMPLE_SIGNING,)), (SIG,), ImageType.SIGNATURE),
        (image(layers=()), (SIG,), ImageType.SIGNATURE),
        (image(EMPTY, artifactType=NOTATION), (), ImageType.SIGNATURE),
        (image(NOTATION), (), ImageType.SIGNATURE),
        (image(EMPTY, (BUNDLE,), artifactType=BUNDLE, annotations=_signed), (), ImageType.SIGNATURE),
        (
            image(EMPTY, (BUNDLE,), artifactType=BUNDLE, annotations=_signed_by_predicate),
            (),
            ImageType.SIGNATURE,
        ),
        (image(EMPTY, (BUNDLE,), artifactType=BUNDLE, annotations=_attested), (), ImageType.ATTESTATION),
        (image(EMPTY, (BUNDLE,), annotations=_attested), (), ImageType.ATTESTATION),
        (
            image(
                EMPTY,
                artifactType="application/vnd.dev.sigstore.bundle+json;version=0.2",
                annotations=_signed,
            ),
            (),
            ImageType.SIGNATURE,
        ),
        (image(EMPTY, (BUNDLE,), artifactType=BUNDLE), (), None),
        (image(layers=(IN_TOTO, IN_TOTO)), (), ImageType.ATTESTATION),
        (image(EMPTY, artifactType=IN_TOTO), (), ImageType.ATTESTATION),
        (
            image(EMPTY, (IN_TOTO,), artifactType="application/vnd.docker.attestation.manifest.v1+json"),
            (),
            ImageType.ATTESTATION,
        ),
        (image(layers=(DSSE,)), (), ImageType.ATTESTATION),
        (image(layers=()), (ATT,), ImageType.ATTESTATION),
        (image(layers=(IN_TOTO, LAYER)), (), ImageType.IMAGE),
        (image(EMPTY, artifactType="application/spdx+json"), (), ImageType.SBOM),
        (image(EMPTY, artifactType="application/vnd.cyclonedx+json"), (), ImageType.SBOM),
        (image(layers=("text/spdx+json",)), (SBOM,), ImageType.SBOM),
        (image(layers=("application/vnd.cyclonedx+xml",)), (), ImageType.SBOM),
        (image(layers=()), (SBOM,), ImageType.SBOM),
        (image(EMPTY, artifactType="application/vnd.acme"), (), ImageType.ARTIFACT),
        (image("application/vnd.wasm.config.v0+json"), (), ImageType.ARTIFACT),
    ],
)
def test_what_an_image_is_follows_from_its_manifest_and_tags(
    body: Body, tags: tuple[str, ...], expected: ImageType | None
) -> None:
    assert image_type(parse_manifest(encoded(body), None), tags) is expected


def test_the_descriptor_of_buildkits_attestation_tells_what_it_is() -> None:
    annotations = {"vnd.docker.reference.type": "attestation-manifest"}
    assert type_of(media_type=OCI, config_media_type=CONFIG, annotations=annotations) is ImageType.ATTESTATION


@pytest.mark.parametrize(
    ("media_type", "artifact_type", "tags", "expected"),
    [
        (OCI, None, (), ImageType.IMAGE),
        (f"{OCI}; charset=utf-8", None, (), ImageType.IMAGE),
        (DOCKER, None, ("1.0",), ImageType.IMAGE),
        (SCHEMA1, None, (), ImageType.IMAGE),
        (INDEX, None, (), ImageType.INDEX),
        (LIST, None, (), ImageType.INDEX),
        (OCI, CONFIG, (), ImageType.IMAGE),
        (OCI, HELM, (), ImageType.HELM),
        (OCI, CACHE, (), ImageType.CACHE),
        (OCI, NOTATION, (), ImageType.SIGNATURE),
        (OCI, BUNDLE, (), None),
        (OCI, "application/spdx+json", (), ImageType.SBOM),
        (OCI, "application/vnd.acme", (), ImageType.ARTIFACT),
        (OCI, EMPTY, (), ImageType.ARTIFACT),
        (ARTIFACT, None, (), ImageType.ARTIFACT),
        (OCI, CONFIG, (SIG,), ImageType.SIGNATURE),
        (OCI, None, (ATT,), ImageType.ATTESTATION),
        (None, None, (SBOM,), ImageType.SBOM),
        (None, None, (), None),
        (None, None, ("1.0", f"sha256-{'a' * 64}"), None),
        (None, HELM, (), ImageType.HELM),
        (None, CONFIG, (), ImageType.IMAGE),
        (None, "application/vnd.acme", (), None),
        ("application/vnd.acme.manifest+json", None, (), None),
    ],
)
def test_where_no_manifest_was_read_media_types_and_tags_must_do(
    media_type: str | None, artifact_type: str | None, tags: tuple[str, ...], expected: ImageType | None
) -> None:
    assert type_from_media_types(media_type, artifact_type, tags) is expected


@pytest.mark.parametrize("suffix", ["", ".sig", ".att", ".sbom"])
def test_a_scheme_tag_speaks_of_a_subject(suffix: str) -> None:
    tag = f"sha256-{'0a' * 32}{suffix}"
    assert scheme_subject(tag) == f"sha256:{'0a' * 32}"
    assert is_fallback_tag(tag) == (suffix == "")


@pytest.mark.parametrize(
    "tag",
    [
        "latest",
        "sha256-",
        "sha256-" + "a" * 63,
        "sha256-" + "a" * 65,
        "sha256-" + "A" * 64,
        "sha256:" + "a" * 64,
        "sha512-" + "a" * 64,
        "sha256-" + "a" * 64 + ".",
        "sha256-" + "a" * 64 + ".sigs",
        "sha256-" + "a" * 64 + ".sig\n",
        "x-sha256-" + "a" * 64 + ".sig",
    ],
)
def test_any_other_tag_is_an_ordinary_one(tag: str) -> None:
    assert scheme_subject(tag) is None
    assert not is_fallback_tag(tag)


def test_all_manifest_types_are_accepted_the_ocis_first() -> None:
    accepted = ACCEPT.split(", ")
    assert set(accepted) == MANIFEST_TYPES
    assert accepted[:2] == [OCI, INDEX]


@given(st.binary(max_size=100))
def test_a_digest_is_of_the_bytes_as_they_are(body: bytes) -> None:
    assert digest_of(body) == "sha256:" + hashlib.sha256(body).hexdigest()
