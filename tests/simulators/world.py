"""The truth that every simulator serves: repositories, manifests, tags, blobs and planned faults.

A world is plain values that a test edits (``world.push("team/app", tags=["1.0"])``) and looks into
afterwards. Everything pushed is real: digests are of the bytes, layers unpack, configurations say when they
were created. Nothing here knows a protocol.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Self

from janitor.core.image import ImageType
from janitor.core.units import parse_duration, parse_time
from tests.instant import NOW
from tests.simulators import content
from tests.simulators.truth import Fault, FaultKind, Held, Repository

When = str | datetime | None
AMD64 = {"architecture": "amd64", "os": "linux"}
ARM64 = {"architecture": "arm64", "os": "linux", "variant": "v8"}
UNKNOWN = {"architecture": "unknown", "os": "unknown"}
_REFERENCE_TYPE = "vnd.docker.reference.type"
_REFERENCE_DIGEST = "vnd.docker.reference.digest"


class World:
    """Everything that exists. Ages (``"30d"``) are before ``now``, which stands still unless it follows a
    clock."""

    def __init__(self, now: datetime = NOW) -> None:
        self.follow(lambda: now)
        self.repositories: dict[str, Repository] = {}
        self.blobs: dict[str, bytes] = {}
        self.faults: list[Fault] = []
        self.lock = threading.RLock()
        self._serial = 0

    def __getitem__(self, repository: str) -> Repository:
        return self.repositories[repository]

    @property
    def now(self) -> datetime:
        return self._clock()

    @now.setter
    def now(self, moment: datetime) -> None:
        self.follow(lambda: moment)

    def follow(self, clock: Callable[[], datetime]) -> None:
        """From now on it is as late as the clock says."""
        self._clock = clock

    def copy(self) -> Self:
        """The same world again, to be changed alone."""
        twin = type(self)(self.now)
        twin.repositories = {name: place.copy() for name, place in self.repositories.items()}
        twin.blobs = dict(self.blobs)
        twin.faults = list(map(copy.copy, self.faults))
        twin._serial = self._serial
        return twin

    def push(
        self,
        repository: str,
        *,
        tags: Iterable[str] = (),
        created: When = "100d",
        pushed: When = None,
        pulled: When = None,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        platform: Mapping[str, str] = AMD64,
        text: str | None = None,
        docker: bool = False,
    ) -> str:
        """An image of one layer, which holds ``text`` (each push its own, unless said). -> its digest."""
        layer, unpacked = content.layer(
            self._next(text), content.DOCKER_LAYER if docker else content.OCI_LAYER
        )
        moment = content.timestamp(self.moment(created))
        config = content.image_config(
            unpacked,
            created=moment,
            labels=labels,
            platform=platform,
            media_type=content.DOCKER_CONFIG if docker else content.OCI_CONFIG,
        )
        return self._manifest(
            repository,
            config=config,
            layers=[layer],
            media_type=content.DOCKER_IMAGE if docker else content.OCI_IMAGE,
            type=ImageType.IMAGE,
            tags=tags,
            annotations=annotations,
            created_at=self.moment(created),
            labels=dict(labels or {}) | dict(annotations or {}),
            platform=platform,
            pushed_at=self.moment(pushed) or self.moment(created) or self.now,
            pulled_at=self.moment(pulled),
        )

    def push_index(
        self,
        repository: str,
        *,
        children: Sequence[str],
        tags: Iterable[str] = (),
        created: When = None,
        pushed: When = None,
        pulled: When = None,
        provenance: bool = False,
        names_its_type: bool = True,
        docker: bool = False,
    ) -> str:
        """An index of manifests that the repository holds. -> its digest.

        ``created`` is its annotation. ``provenance`` adds a BuildKit attestation of each child, as a child.
        """
        held = [self[repository].manifests[child] for child in children]
        descriptors = [child.descriptor() for child in held]
        for child in list(held) if provenance else ():
            attestation = self._provenance(repository)
            held.append(attestation)
            described = {_REFERENCE_TYPE: "attestation-manifest", _REFERENCE_DIGEST: child.digest}
            descriptors.append(attestation.descriptor(annotations=described))
        moment = content.timestamp(self.moment(created))
        annotations = {content.CREATED: moment} if moment else {}
        media_type = content.DOCKER_LIST if docker else content.OCI_INDEX
        body = content.index_manifest(
            media_type,
            descriptors,
            annotations=annotations,
            names_its_type=names_its_type,
        )
        return self._hold(
            repository,
            Held(
                digest=content.sha256(body),
                body=body,
                media_type=media_type,
                type=ImageType.INDEX,
                children=tuple(child.digest for child in held),
                created_at=self.moment(created),
                labels=annotations,
                pushed_at=self.moment(pushed) or self.moment(created) or self.now,
                pulled_at=self.moment(pulled),
            ),
            tags,
        )

    def refer(
        self,
        repository: str,
        subject: str,
        *,
        artifact_type: str = content.BUNDLE,
        type: ImageType = ImageType.SIGNATURE,  # noqa: A002  as the field is called
        tags: Iterable[str] = (),
        created: When = "100d",
        fallback: bool = False,
    ) -> str:
        """An artifact whose ``subject`` is this digest. -> its digest.

        ``fallback``: as clients do where there is no referrers API, it is entered in the index under the
        tag ``sha256-<hex>``.
        """
        moment = content.timestamp(self.moment(created))
        annotations = {content.CREATED: moment} if moment else {}
        if type is ImageType.SIGNATURE:
            annotations["dev.sigstore.bundle.content"] = "message-signature"
        digest = self._manifest(
            repository,
            config=content.Blob(media_type=content.OCI_EMPTY, data=b"{}"),
            layers=[content.Blob(media_type=artifact_type, data=self._next(None).encode())],
            type=type,
            tags=tags,
            artifact_type=artifact_type,
            subject=subject,
            annotations=annotations,
            created_at=self.moment(created),
            labels=annotations,
        )
        if fallback:
            self._enter_fallback(repository, subject)
        return digest

    def sign(self, repository: str, digest: str) -> str:
        """A signature by cosign's tag scheme: no subject, created at Go's zero time. -> its digest."""
        return self._scheme(repository, digest, "sig", content.SIMPLE_SIGNING, ImageType.SIGNATURE)

    def attest(self, repository: str, digest: str) -> str:
        """An attestation by cosign's tag scheme. -> its digest."""
        return self._scheme(repository, digest, "att", content.DSSE, ImageType.ATTESTATION)

    def sbom(self, repository: str, digest: str) -> str:
        """An SBOM by cosign's tag scheme. -> its digest."""
        return self._scheme(repository, digest, "sbom", content.SPDX, ImageType.SBOM)

    def cache(self, repository: str, *, tags: Iterable[str] = ("buildcache",)) -> str:
        """BuildKit's cache: an index that names layers and a configuration, and no manifest."""
        layer, _ = content.layer(self._next(None))
        config = content.Blob(media_type=content.CACHE_CONFIG, data=b'{"layers":[],"records":[]}')
        for blob in (layer, config):
            self.blobs[blob.digest] = blob.data
        body = content.index_manifest(content.OCI_INDEX, [layer.descriptor(), config.descriptor()])
        held = Held(
            digest=content.sha256(body),
            body=body,
            media_type=content.OCI_INDEX,
            type=ImageType.CACHE,
            size_bytes=len(body) + len(layer.data) + len(config.data),
            blobs=(layer.digest, config.digest),
            pushed_at=self.now,
        )
        return self._hold(repository, held, tags)

    def chart(self, repository: str, *, tags: Iterable[str] = (), created: When = "100d") -> str:
        """A Helm chart; only its annotation says when it was created."""
        moment = content.timestamp(self.moment(created))
        annotations = {content.CREATED: moment} if moment else {}
        return self._manifest(
            repository,
            config=content.Blob(media_type=content.HELM_CONFIG, data=b'{"name":"chart"}'),
            layers=[content.layer(self._next(None))[0]],
            type=ImageType.HELM,
            tags=tags,
            annotations=annotations,
            created_at=self.moment(created),
            labels=annotations,
        )

    def schema1(
        self, repository: str, *, tags: Sequence[str] = ("old",), created: When = "3y", signed: bool = True
    ) -> str:
        """A manifest of Docker's first schema; when signed, its digest is not that of its bytes."""
        layer, _ = content.layer(self._next(None))
        self.blobs[layer.digest] = layer.data
        moment = content.timestamp(self.moment(created)) or content.ZERO_TIME
        payload = content.schema1_manifest(repository, tags[0], layer.digest, moment)
        held = Held(
            digest=content.sha256(payload),
            body=content.signed(payload) if signed else payload,
            media_type=content.SCHEMA1_SIGNED if signed else content.SCHEMA1,
            type=ImageType.IMAGE,
            created_at=self.moment(created),
            blobs=(layer.digest,),
            pushed_at=self.moment(created),
        )
        return self._hold(repository, held, tags)

    def retag(self, repository: str, tag: str, digest: str, *, at: When = None) -> None:
        """The tag is placed on (or moved to) this digest."""
        self[repository].tags[tag] = self[repository].manifests[digest].digest
        self[repository].tagged_at[tag] = self.moment(at) or self.now

    def forget(self, repository: str, digest: str) -> None:
        """The repository loses a manifest that others still name: a sparse index, an orphaned referrer."""
        self[repository].absent[digest] = self[repository].manifests[digest]
        self[repository].delete(digest)

    def empty(self, repository: str) -> None:
        """A repository that holds nothing (any more)."""
        self.repositories[repository] = Repository()

    def fault(
        self,
        kind: FaultKind | str,
        *,
        after: int = 0,
        times: int = 1,
        match: str = "",
        status: int = 503,
        retry_after: str | None = None,
    ) -> Fault:
        """Plan a fault for requests whose ``METHOD path`` matches the expression."""
        planned = Fault(
            kind=FaultKind(kind),
            after=after,
            times=times,
            match=match,
            status=status,
            retry_after=retry_after,
        )
        self.faults.append(planned)
        return planned

    def strike(self, request: str) -> Fault | None:
        """The fault that this request (``METHOD path``) meets, if any; counts it."""
        with self.lock:
            return next((fault for fault in self.faults if fault.strikes(request)), None)

    def moment(self, when: When) -> datetime | None:
        """An age, an RFC 3339 time or an instant, as an instant."""
        if when is None or isinstance(when, datetime):
            return when
        return parse_time(when) if "T" in when else self.now - parse_duration(when)

    def _next(self, text: str | None) -> str:
        """What the next layer holds: the text, or something that no other holds."""
        self._serial += 1
        return f"content {self._serial}" if text is None else text

    def _scheme(self, repository: str, digest: str, suffix: str, layer_type: str, type_: ImageType) -> str:
        return self._manifest(
            repository,
            config=content.image_config(
                content.sha256(b""), created=content.ZERO_TIME, labels=None, platform=UNKNOWN
            ),
            layers=[content.Blob(media_type=layer_type, data=self._next(None).encode())],
            type=type_,
            tags=[f"{digest.replace(':', '-')}.{suffix}"],
            created_at=parse_time(content.ZERO_TIME),
        )

    def _provenance(self, repository: str) -> Held:
        layer = content.Blob(media_type=content.IN_TOTO, data=self._next(None).encode())
        predicate = {"in-toto.io/predicate-type": "https://slsa.dev/provenance/v0.2"}
        digest = self._manifest(
            repository,
            config=content.image_config(
                content.sha256(layer.data), created=None, labels=None, platform=UNKNOWN
            ),
            layers=[layer],
            layer_extra={"annotations": predicate},
            type=ImageType.ATTESTATION,
            platform=UNKNOWN,
        )
        return self[repository].manifests[digest]

    def _enter_fallback(self, repository: str, subject: str) -> None:
        """Write the index of all referrers under the fallback tag; the one before it stays untagged."""
        referrers = self[repository].referrers_of(subject)
        body = content.index_manifest(
            content.OCI_INDEX, [held.descriptor(artifactType=held.artifact_type) for held in referrers]
        )
        held = Held(
            digest=content.sha256(body),
            body=body,
            media_type=content.OCI_INDEX,
            type=ImageType.INDEX,
            children=tuple(each.digest for each in referrers),
            pushed_at=self.now,
        )
        self._hold(repository, held, [subject.replace(":", "-")])

    def _manifest(
        self,
        repository: str,
        *,
        config: content.Blob,
        layers: Sequence[content.Blob],
        layer_extra: Mapping[str, Any] | None = None,
        media_type: str = content.OCI_IMAGE,
        annotations: Mapping[str, str] | None = None,
        tags: Iterable[str] = (),
        **true: Any,
    ) -> str:
        """An image manifest of these blobs; ``true`` are fields of :class:`Held`. -> its digest."""
        for blob in (config, *layers):
            self.blobs[blob.digest] = blob.data
        subject = true.get("subject")
        usual: dict[str, Any] = {"pushed_at": true.get("created_at")}
        body = content.image_manifest(
            media_type,
            config,
            [layer.descriptor(**(layer_extra or {})) for layer in layers],
            subject=None if subject is None else self._descriptor(repository, subject),
            artifact_type=true.get("artifact_type"),
            annotations=annotations,
        )
        held = Held(
            digest=content.sha256(body),
            body=body,
            media_type=media_type,
            size_bytes=len(body) + sum(len(blob.data) for blob in (config, *layers)),
            blobs=tuple(blob.digest for blob in (config, *layers)),
            **usual | true,
        )
        return self._hold(repository, held, tags)

    def _descriptor(self, repository: str, digest: str) -> dict[str, Any]:
        """A descriptor of a manifest that the repository holds, held, or never did."""
        place = self.repositories.get(repository) or Repository()
        held = place.manifests.get(digest) or place.absent.get(digest)
        return held.descriptor() if held else {"mediaType": content.OCI_IMAGE, "digest": digest, "size": 1}

    def _hold(self, repository: str, held: Held, tags: Iterable[str]) -> str:
        place = self.repositories.setdefault(repository, Repository())
        place.manifests[held.digest] = held
        for tag in tags:
            self.retag(repository, tag, held.digest, at=held.pushed_at)
        return held.digest
