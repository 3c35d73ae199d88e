"""Amazon ECR as boto3 meets it: JSON 1.1 by POST, its limits enforced, and STS beside it.

Pages are smaller than asked for, so that few images make several; lists are in no order that means anything.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import msgspec

from tests.simulators import content
from tests.simulators.aws import (
    ACCOUNT,
    Door,
    Pages,
    Refusal,
    Role,
    bounded,
    identified,
    invalid,
    only,
    parameters,
    reply,
    shuffled,
)
from tests.simulators.ecr_desk import Desk, EcrRegistry
from tests.simulators.server import Answer, Request, Server
from tests.simulators.started import Started
from tests.simulators.truth import Fault, FaultKind, Held, Repository
from tests.simulators.world import World

REGION = "eu-west-1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/ops/janitor"
# A restored image can be pulled after up to so long.
ACTIVATION = timedelta(minutes=20)

_TARGET = "AmazonEC2ContainerRegistry_V20150921."
_NAME = re.compile(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*")
_DIGEST = re.compile(r"[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+")
_STATUSES = frozenset({"ACTIVE", "ARCHIVED", "ACTIVATING", "ANY"})
_BLOBS = "/blobs/"
_REWRITTEN = frozenset(
    {FaultKind.LOST_PAGE, FaultKind.REPEATED_PAGE, FaultKind.ENDLESS_PAGE, FaultKind.WRONG_DIGEST}
)

Parameters = Mapping[str, Any]


class EcrServer(Server):
    """One account's registry in one region, over a world.

    ``mutability``: of a repository; ``excluded``: whose pulls don't count; ``rules``: of replication.
    ``denied``: operations, or an operation and a repository (``"BatchDeleteImage team/app"``), without a
    right; ``refused``: with an error code. ``unreadable``: digests whose manifests can't be had. ``said``:
    what an operation answers instead (``%d``: ever other numbers); ``mute``: keys that no description has;
    ``statuses``: what a status is called instead. ``before``: what somebody
    does just before an operation; ``failing``: digests and the failure code of their deletion; ``lags``: what
    an index seems to name once more. ``used``: the operations that were asked for.
    """

    def __init__(
        self,
        world: World | None = None,
        *,
        page: int = 2,
        roles: tuple[Role, ...] = (),
        arn: str | None = None,
        region: str = REGION,
        port: int = 0,
    ) -> None:
        self.account = ACCOUNT
        self.door = Door(region=region, roles=roles, arn=arn)
        self.pages = Pages(page)
        self.mutability: dict[str, str] = {}
        self.excluded: set[str] = set()
        self.rules: list[Mapping[str, Any]] = []
        self.denied: set[str] = set()
        self.unreadable: set[str] = set()
        self.refused: dict[str, str] = {}
        self.said: dict[str, bytes] = {}
        self.mute: set[str] = set()
        self.before: dict[str, Callable[[], None]] = {}
        self.failing: dict[str, str] = {}
        self.lags: list[str] = []
        self.statuses: dict[str, str] = {}
        self.used: set[str] = set()
        self.activating: dict[tuple[str, str], datetime] = {}
        self.operations: dict[str, Callable[[Parameters], Mapping[str, Any]]] = {
            "BatchDeleteImage": self._batch_delete,
            "BatchGetImage": self._batch_get,
            "DescribeImages": self._describe_images,
            "DescribeRegistry": self._describe_registry,
            "DescribeRepositories": self._describe_repositories,
            "GetDownloadUrlForLayer": self._download_url,
            "ListImages": self._list_images,
            "ListPullTimeUpdateExclusions": self._list_exclusions,
            "PutImage": self._put_image,
            "UpdateImageStorageClass": self._update_class,
        }
        self.desk = Desk(self)
        self.operations |= self.desk.operations
        self._caller = ""
        super().__init__(world, port=port)

    @property
    def region(self) -> str:
        return self.door.region

    def called(self, request: Request) -> str:
        """An operation and its repository: all of them are a POST of the root."""
        target = request.headers.get("x-amz-target")
        if target is None:
            return str(request)
        return f"{target.rpartition('.')[2]} {parameters(request).get('repositoryName', '')}"

    def asked_for(self, operation: str) -> list[Parameters]:
        """The parameters of the requests so far for this operation."""
        return [parameters(each) for each in self.requests if self.called(each).startswith(f"{operation} ")]

    def answer(self, request: Request) -> Answer:
        return identified(self._told(request))

    def _told(self, request: Request) -> Answer:
        if request.path.startswith(_BLOBS):
            return self._blob(request)
        if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            return self.door.sts(request)
        try:
            return self._answer(request)
        except Refusal as exc:
            return exc.answer()

    def spoil(self, fault: Fault, request: Request) -> Answer:
        match fault.kind:
            case FaultKind.THROTTLE:  # 400, and no word of how long
                return Refusal("ThrottlingException", "Rate exceeded").answer()
            case FaultKind.UNAUTHORIZED:
                message = "The security token included in the request is expired"
                return Refusal("ExpiredTokenException", message).answer()
            case FaultKind.ERROR if fault.status == 500:
                return Refusal("ServerException", "internal", 500).answer()
        answer = super().spoil(fault, request)
        if fault.kind not in _REWRITTEN or answer.status != 200 or answer.body[:1] != b"{":
            return answer
        document = json.loads(answer.body)
        match fault.kind:
            case FaultKind.LOST_PAGE:
                document.pop("nextToken", None)
            case FaultKind.REPEATED_PAGE | FaultKind.ENDLESS_PAGE:
                document["nextToken"] = self._again(request, fault)
            case FaultKind.WRONG_DIGEST:
                for image in document.get("images", ()):
                    image["imageManifest"] = image["imageManifest"].replace('"size": ', '"size": 1')
        return reply(document)

    def _answer(self, request: Request) -> Answer:
        if request.method != "POST" or request.path != "/":
            raise Refusal("UnknownOperationException", "no such path", 404)
        if request.headers.get("content-type", "").partition(";")[0] != "application/x-amz-json-1.1":
            raise Refusal("SerializationException", "no JSON 1.1")
        target = request.headers.get("x-amz-target", "")
        operation = self.operations.get(target.removeprefix(_TARGET))
        if operation is None or not target.startswith(_TARGET):
            raise Refusal("UnknownOperationException", target)
        self._caller = self.door.come_in(request, "ecr").arn
        asked, name = parameters(request), target.removeprefix(_TARGET)
        self.used.add(name)
        if name in self.denied or self.called(request) in self.denied:
            message = f"User: {self._caller} is not authorized to perform: ecr:{name}"
            raise Refusal("AccessDeniedException", message)
        if name in self.refused:
            raise Refusal(self.refused[name], "refused")
        if name in self.said:
            return Answer(body=self.said[name].replace(b"%d", b"%d" % len(self.requests)))
        if self.door.anybody:  # each has the registry, whichever account is asked about
            self.account = asked.get("registryId") or self._caller.split(":")[4]
        if asked.get("registryId", self.account) != self.account:
            raise Refusal("RepositoryNotFoundException", f"no registry {asked['registryId']}")
        if name in self.before:
            self.before.pop(name)()
        return reply(operation(asked))

    def _describe_repositories(self, asked: Parameters) -> Mapping[str, Any]:
        names = asked.get("repositoryNames")
        if names is not None:
            only(asked, "repositoryNames", "nextToken", "maxResults")
            for name in bounded(names, "repositoryNames", 100):
                self.found(name)
            return {"repositories": [self.described(name) for name in names]}
        page, token = self.pages.page(sorted(self.world.repositories, key=shuffled), asked, "repositories")
        return {"repositories": [self.described(name) for name in page], **token}

    def described(self, name: str) -> Mapping[str, Any]:
        return {
            "repositoryArn": f"arn:aws:ecr:{self.region}:{self.account}:repository/{name}",
            "registryId": self.account,
            "repositoryName": name,
            "repositoryUri": f"{self.account}.dkr.ecr.{self.region}.amazonaws.com/{name}",
            "createdAt": self.world.now.timestamp() - 1e6,
            "imageTagMutability": self.mutability.get(name, "MUTABLE"),
            "imageScanningConfiguration": {"scanOnPush": False},
            "encryptionConfiguration": {"encryptionType": "AES256"},
        }

    def _describe_images(self, asked: Parameters) -> Mapping[str, Any]:
        name, place = self.found(asked.get("repositoryName"))
        digests = self._chosen(name, place, asked)
        if "imageIds" in asked:
            only(asked, "imageIds", "nextToken", "maxResults")
            found = [self.digest_of(name, place, each) for each in _ids(asked)]
            # One that is missing fails the whole, and only the first is named.
            return {"imageDetails": [self._detail(name, place, digest) for digest in dict.fromkeys(found)]}
        page, token = self.pages.page(digests, asked, f"images {name} {asked.get('filter')}")
        return {"imageDetails": [self._detail(name, place, digest) for digest in page], **token}

    def _list_images(self, asked: Parameters) -> Mapping[str, Any]:
        name, place = self.found(asked.get("repositoryName"))
        entries = [
            entry
            for digest in self._chosen(name, place, asked)
            for entry in _entries(digest, place.tags_of(digest))
        ]
        page, token = self.pages.page(sorted(map(json.dumps, entries), key=shuffled), asked, f"ids {name}")
        return {"imageIds": [json.loads(entry) for entry in page], **token}

    def _chosen(self, name: str, place: Repository, asked: Parameters) -> list[str]:
        """The digests that a filter lets through: those of active images unless it says otherwise."""
        status = asked.get("filter", {}).get("imageStatus", "ACTIVE")
        tagged = asked.get("filter", {}).get("tagStatus", "ANY")
        if status not in _STATUSES or tagged not in {"TAGGED", "UNTAGGED", "ANY"}:
            raise invalid("filter", f"Member must satisfy enum value set: {sorted(_STATUSES)}")
        return sorted(
            (
                digest
                for digest in place.manifests
                if status in {"ANY", self._status(name, place, digest)}
                and (tagged == "ANY" or (tagged == "TAGGED") == bool(place.tags_of(digest)))
            ),
            key=shuffled,
        )

    def _detail(self, name: str, place: Repository, digest: str) -> Mapping[str, Any]:
        """What is told of an image; what there isn't has no key."""
        held = place.manifests[digest]
        restored = self.activating.get((name, digest))
        status = self._status(name, place, digest)
        told = {
            "registryId": self.account,
            "repositoryName": name,
            "imageDigest": digest,
            "imageTags": sorted(place.tags_of(digest)) or None,
            "imageSizeInBytes": self._size(place, held),
            "imagePushedAt": _seconds(held.pushed_at),
            "imageManifestMediaType": held.media_type,
            "artifactMediaType": _artifact_type(held),
            "subjectManifestDigest": held.subject,
            "lastRecordedPullTime": _seconds(held.pulled_at),
            "imageStatus": self.statuses.get(status, status),
            "lastArchivedAt": _seconds(place.archived.get(digest)),
            "lastActivatedAt": _seconds(restored + ACTIVATION if restored and status == "ACTIVE" else None),
        }
        return {key: value for key, value in told.items() if value is not None and key not in self.mute}

    def _size(self, place: Repository, held: Held) -> int:
        """Of an index the largest of its manifests, not the sum."""
        sizes = [
            self._size(place, place.manifests[each]) for each in held.children if each in place.manifests
        ]
        return max(sizes, default=held.size_bytes or len(held.body))

    def _status(self, name: str, place: Repository, digest: str) -> str:
        if digest in place.archived:
            return "ARCHIVED"
        restored = self.activating.get((name, digest))
        return "ACTIVATING" if restored and self.world.now < restored + ACTIVATION else "ACTIVE"

    def _batch_get(self, asked: Parameters) -> Mapping[str, Any]:
        name, place = self.found(asked.get("repositoryName"))
        accepted = bounded(asked.get("acceptedMediaTypes", [content.DOCKER_IMAGE]), "acceptedMediaTypes", 100)
        images: list[Mapping[str, Any]] = []
        failures: list[Mapping[str, Any]] = []
        for each in _ids(asked):
            try:
                digest = self.digest_of(name, place, each)
            except Refusal:
                failures.append(_failure(each, "ImageNotFound", "Requested image not found"))
                continue
            held = place.manifests[digest]
            if self._status(name, place, digest) != "ACTIVE" or digest in self.unreadable:
                failures.append(_failure(each, "ImageInaccessible", "Requested image is not accessible"))
                continue
            if self._caller not in self.excluded and _role_of(self._caller) not in self.excluded:
                # A pull is recorded, the janitor's own as any other.
                place.manifests[digest] = msgspec.structs.replace(held, pulled_at=self.world.now)
            if held.media_type not in accepted and held.children:
                held = place.manifests.get(held.children[0], held)
            # An entry a tag, whatever was asked by.
            images += [
                {
                    "registryId": self.account,
                    "repositoryName": name,
                    "imageId": entry,
                    "imageManifest": held.body.decode(),
                    "imageManifestMediaType": held.media_type,
                }
                for entry in _entries(held.digest, place.tags_of(held.digest))
            ]
        return {"images": images, "failures": failures}

    def _batch_delete(self, asked: Parameters) -> Mapping[str, Any]:
        name, place = self.found(asked.get("repositoryName"))
        # No order within a request is promised: what an index names stays, though the index goes with it.
        named = frozenset(child for held in place.manifests.values() for child in held.children)
        named = named.union(self.lags)
        self.lags.clear()
        done: dict[str, list[str]] = {}
        failures = []
        for each in _ids(asked):
            failed = self._delete_one(name, place, each, named, done)
            if failed is not None:
                failures.append(_failure(each, *failed))
        entries = [entry for digest, tags in done.items() for entry in _entries(digest, tags)]
        return {"imageIds": entries, "failures": failures}

    def _delete_one(
        self,
        name: str,
        place: Repository,
        each: Parameters,
        named: frozenset[str],
        done: dict[str, list[str]],
    ) -> tuple[str, str] | None:
        """Delete by one id; why not, is returned. ``done``: the tags that went, by digest."""
        digest, tag = each.get("imageDigest"), each.get("imageTag")
        if digest is None and tag is None:
            return "MissingDigestAndTag", "Invalid request parameters: both tag and digest cannot be null"
        if digest is not None and not _DIGEST.fullmatch(digest):
            return "InvalidImageDigest", "Invalid request parameters: image digest should satisfy the regex"
        if tag is not None and tag not in place.tags:
            known = any(tag in tags for tags in done.values())
            return None if known and digest is None else ("ImageNotFound", "Requested image not found")
        if digest is None:
            digest = place.tags[tag or ""]
        if digest not in place.manifests:
            return None if digest in done else ("ImageNotFound", "Requested image not found")
        if tag is not None and place.tags[tag] != digest:
            reason = "Invalid request parameters: given tag does not map to the given digest"
            return "ImageTagDoesNotMatchDigest", reason
        if digest in self.failing:
            return self.failing[digest], "as it was told to"
        tags = sorted(place.tags_of(digest))
        if tag is not None and (len(tags) > 1 or digest in named):
            place.untag(tag)
            done.setdefault(digest, []).append(tag)
            return None
        if digest in named:
            holder = min(place.holders_of(digest), default="")
            reason = f"Requested image referenced by manifest list: [{holder}]"
            return "ImageReferencedByManifestList", reason
        done.setdefault(digest, []).extend(tags)
        self.activating.pop((name, digest), None)
        self.world.forget(name, digest)
        return None

    def _update_class(self, asked: Parameters) -> Mapping[str, Any]:
        name, place = self.found(asked.get("repositoryName"))
        target = asked.get("targetStorageClass")
        if target not in {"ARCHIVE", "STANDARD"}:
            raise invalid("targetStorageClass", "Member must satisfy enum value set: [ARCHIVE, STANDARD]")
        digest = self.digest_of(name, place, asked["imageId"])
        status = self._status(name, place, digest)
        if (status == "ARCHIVED") == (target == "ARCHIVE"):
            raise Refusal("ImageStorageClassUpdateNotSupportedException", f"The image is {status}")
        if target == "ARCHIVE":
            holders = place.holders_of(digest) - place.archived.keys()
            if holders:  # what an index names can't go before the index
                message = f"Requested image referenced by manifest list: [{min(holders)}]"
                raise Refusal("ImageStorageClassUpdateNotSupportedException", message)
            place.archived[digest] = self.world.now
        else:
            del place.archived[digest]
            self.activating[name, digest] = self.world.now
        return {
            "registryId": self.account,
            "repositoryName": name,
            "imageId": {"imageDigest": digest},
            "imageStatus": self._status(name, place, digest),
        }

    def _put_image(self, asked: Parameters) -> Mapping[str, Any]:
        """Takes back what it once held, and places tags."""
        name, place = self.found(asked.get("repositoryName"))
        digest, tag = content.sha256(asked["imageManifest"].encode()), asked.get("imageTag")
        if asked.get("imageDigest", digest) != digest:
            raise Refusal("ImageDigestDoesNotMatchException", "the digest does not match the image")
        held = place.manifests.get(digest) or place.absent.get(digest)
        if held is None or any(blob not in self.world.blobs for blob in held.blobs):
            raise Refusal("LayersNotFoundException", "The layers do not exist in the repository")
        if any(child not in place.manifests for child in held.children):
            raise Refusal("ReferencedImagesNotFoundException", "Images with digests are not found")
        named = place.tags.get(tag or "")
        if named == digest or (tag is None and digest in place.manifests):
            raise Refusal("ImageAlreadyExistsException", "Image with digest and tag already exists")
        if named is not None and self.mutability.get(name) == "IMMUTABLE":
            raise Refusal("ImageTagAlreadyExistsException", f"The image tag {tag} cannot be overwritten")
        if digest not in place.manifests:
            place.manifests[digest] = msgspec.structs.replace(held, pushed_at=self.world.now, pulled_at=None)
            place.absent.pop(digest, None)
        if tag is not None:
            self.world.retag(name, tag, digest)
        entry = {"imageDigest": digest} | ({"imageTag": tag} if tag else {})
        return {"image": {"registryId": self.account, "repositoryName": name, "imageId": entry}}

    def _download_url(self, asked: Parameters) -> Mapping[str, Any]:
        self.found(asked.get("repositoryName"))
        digest = asked["layerDigest"]
        if digest not in self.world.blobs:
            raise Refusal("LayersNotFoundException", f"The layer with digest '{digest}' does not exist")
        url = f"{self.address}{_BLOBS}{digest}?X-Amz-Expires=3600&X-Amz-Signature=secret"
        return {"downloadUrl": url, "layerDigest": digest}

    def _blob(self, request: Request) -> Answer:
        """The blob store behind presigned addresses: credentials beside the address's own are refused."""
        data = self.world.blobs.get(request.path.removeprefix(_BLOBS))
        if "authorization" in request.headers or request.asked("X-Amz-Signature") != "secret":
            return Answer(status=400, body=b"Only one auth mechanism allowed")
        return Answer(status=404, body=b"NoSuchKey") if data is None else Answer(body=data)

    def _describe_registry(self, asked: Parameters) -> Mapping[str, Any]:  # noqa: ARG002  asks nothing
        return {"registryId": self.account, "replicationConfiguration": {"rules": self.rules}}

    def _list_exclusions(self, asked: Parameters) -> Mapping[str, Any]:
        page, token = self.pages.page(sorted(self.excluded, key=shuffled), asked, "exclusions")
        return {"pullTimeUpdateExclusions": page, **token}

    def _again(self, request: Request, fault: Fault) -> str:
        """A token that leads to the page it stands on; of an endless list, always another."""
        asked = parameters(request)
        salt = str(fault.struck) if fault.kind is FaultKind.ENDLESS_PAGE else "again"
        if "nextToken" in asked:
            return self.pages.token(*self.pages.behind(asked["nextToken"]), salt)
        name, choice = asked.get("repositoryName"), asked.get("filter")
        return self.pages.token(f"images {name} {choice}" if name else "repositories", "", salt)

    @staticmethod
    def named(name: Any) -> str:
        """A name as repositories have; raises Refusal."""
        if not isinstance(name, str) or not 2 <= len(name) <= 256 or not _NAME.fullmatch(name):
            raise invalid("repositoryName", "Member must satisfy regular expression pattern")
        return name

    def found(self, name: Any) -> tuple[str, Repository]:
        """A repository that is there; raises Refusal."""
        name = self.named(name)
        place = self.world.repositories.get(name)
        if place is None:
            where = f"does not exist in the registry with id '{self.account}'"
            raise Refusal("RepositoryNotFoundException", f"The repository with name '{name}' {where}")
        return name, place

    def digest_of(self, name: str, place: Repository, each: Parameters) -> str:
        """The digest that an id names; raises Refusal as ECR says it."""
        digest, tag = each.get("imageDigest"), each.get("imageTag")
        found = place.tags.get(tag) if tag is not None else digest
        if found is None or found not in place.manifests or digest not in {None, found}:
            what = f"{{imageDigest:'{digest or 'null'}', imageTag:'{tag or 'null'}'}}"
            where = f"within the repository with name '{name}' in the registry with id '{self.account}'"
            raise Refusal("ImageNotFoundException", f"The image with imageId {what} does not exist {where}")
        return found


@contextmanager
def serve(world: World, port: int, flavour: str | None) -> Iterator[Started]:
    """The servers that are started by hand. A flavour is the only region; without it every region will do."""
    with (
        EcrServer(world, page=1000, region=flavour or REGION, port=port) as server,
        EcrRegistry(world) as registry,
    ):
        server.door.anybody, server.door.anywhere = True, flavour is None
        server.desk.proxy = registry.address
        facts = {"registry_endpoint": registry.address, "region": server.region, "account": ACCOUNT}
        yield Started(address=server.address, facts=facts)


def _ids(asked: Parameters) -> Sequence[Parameters]:
    return bounded(asked.get("imageIds"), "imageIds", 100)


def _entries(digest: str, tags: Iterable[str]) -> list[dict[str, str]]:
    """An entry a tag; one without where there is none."""
    return [{"imageDigest": digest, "imageTag": tag} for tag in sorted(tags)] or [{"imageDigest": digest}]


def _failure(each: Parameters, code: str, reason: str) -> Mapping[str, Any]:
    return {"imageId": dict(each), "failureCode": code, "failureReason": reason}


def _seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()


def _artifact_type(held: Held) -> str | None:
    """Its artifact type, or the type of its configuration; an index has none."""
    document = json.loads(held.body)
    if "manifests" in document:
        return None
    told = document.get("artifactType") or document.get("config", {}).get("mediaType")
    return None if told is None else str(told)


def _role_of(arn: str) -> str:
    """The role behind a session, without its path; what is no session is itself."""
    head, _, name = arn.partition(":assumed-role/")
    return f"{head.replace(':sts:', ':iam:')}:role/{name.partition('/')[0]}" if name else arn
