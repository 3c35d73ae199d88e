"""What programs ask ECR for beside its images: a token for the registry, tags, policies and scans of
repositories, who refers to an image; and the registry itself, which takes that token."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from tests.simulators.access import Access, Guard, Scheme
from tests.simulators.aws import Refusal, bounded, invalid, shuffled
from tests.simulators.oci import Flavour, OciServer
from tests.simulators.server import Answer, Request
from tests.simulators.truth import Repository
from tests.simulators.world import World

if TYPE_CHECKING:
    from tests.simulators.ecr import EcrServer

Parameters = Mapping[str, Any]

_TOKEN_LIFE = timedelta(hours=12)
_MOST_REFERRERS = 50
_HABITS = Flavour(name="ecr", catalogue_page=None, referrers=True, held_status=400)


class Desk:
    """``proxy``: where the registry is; what ECR itself would say, unless it is set. ``tags`` and
    ``policies`` are of repositories; ``scanned`` digests were looked through, and nothing was found."""

    def __init__(self, ecr: EcrServer) -> None:
        self._ecr = ecr
        self.proxy: str | None = None
        self.tags: dict[str, dict[str, str]] = {}
        self.policies: dict[str, str] = {}
        self.scanned: set[tuple[str, str]] = set()
        self.operations: Mapping[str, Callable[[Parameters], Mapping[str, Any]]] = {
            "CreateRepository": self._create,
            "DeleteLifecyclePolicy": self._delete_policy,
            "DeleteRepository": self._delete,
            "DescribeImageScanFindings": self._findings,
            "GetAuthorizationToken": self._token,
            "GetLifecyclePolicy": self._policy,
            "GetRepositoryPolicy": self._no_policy,
            "ListImageReferrers": self._referrers,
            "ListTagsForResource": self._tags_of,
            "PutLifecyclePolicy": self._put_policy,
            "StartImageScan": self._scan,
            "TagResource": self._tag,
            "UntagResource": self._untag,
        }

    def _token(self, asked: Parameters) -> Mapping[str, Any]:
        """One is good for every account; nobody is to read anything out of it."""
        accounts = bounded(asked.get("registryIds") or [self._ecr.account], "registryIds", 10)
        until = self._ecr.world.now + _TOKEN_LIFE
        inside = {"payload": "c2ltdWxhdGVk", "type": "DATA_KEY", "expiration": int(until.timestamp())}
        password = base64.b64encode(json.dumps(inside).encode()).decode()
        token = base64.b64encode(f"AWS:{password}".encode()).decode()
        return {
            "authorizationData": [
                {
                    "authorizationToken": token,
                    "expiresAt": until.timestamp(),
                    "proxyEndpoint": self.proxy
                    or f"https://{account}.dkr.ecr.{self._ecr.region}.amazonaws.com",
                }
                for account in accounts
            ]
        }

    def _create(self, asked: Parameters) -> Mapping[str, Any]:
        name = self._ecr.named(asked.get("repositoryName"))
        if name in self._ecr.world.repositories:
            raise Refusal("RepositoryAlreadyExistsException", f"The repository with name '{name}' exists")
        self._ecr.world.empty(name)
        self._ecr.mutability[name] = asked.get("imageTagMutability", "MUTABLE")
        self.tags[name] = _given(asked)
        return {"repository": self._ecr.described(name)}

    def _delete(self, asked: Parameters) -> Mapping[str, Any]:
        name, place = self._ecr.found(asked.get("repositoryName"))
        if place.manifests and not asked.get("force"):
            message = f"The repository with name '{name}' cannot be deleted because it still contains images"
            raise Refusal("RepositoryNotEmptyException", message)
        described = self._ecr.described(name)
        del self._ecr.world.repositories[name]
        self.tags.pop(name, None)
        self.policies.pop(name, None)
        return {"repository": described}

    def _tags_of(self, asked: Parameters) -> Mapping[str, Any]:
        tags = self.tags.get(self._resource(asked), {})
        return {"tags": [{"Key": key, "Value": value} for key, value in tags.items()]}

    def _tag(self, asked: Parameters) -> Mapping[str, Any]:
        self.tags.setdefault(self._resource(asked), {}).update(_given(asked))
        return {}

    def _untag(self, asked: Parameters) -> Mapping[str, Any]:
        tags = self.tags.get(self._resource(asked), {})
        for key in asked.get("tagKeys", ()):
            tags.pop(key, None)
        return {}

    def _resource(self, asked: Parameters) -> str:
        name, _ = self._ecr.found(asked.get("resourceArn", "").partition(":repository/")[2])
        return name

    def _policy(self, asked: Parameters) -> Mapping[str, Any]:
        name, _ = self._ecr.found(asked.get("repositoryName"))
        if name not in self.policies:
            where = f"for the repository with name '{name}' in the registry with id '{self._ecr.account}'"
            raise Refusal("LifecyclePolicyNotFoundException", f"Lifecycle policy does not exist {where}")
        # It was never carried out: that is left to whoever asks.
        return self._told(name, lifecyclePolicyText=self.policies[name], lastEvaluatedAt=0)

    def _put_policy(self, asked: Parameters) -> Mapping[str, Any]:
        name, _ = self._ecr.found(asked.get("repositoryName"))
        text = asked.get("lifecyclePolicyText", "")
        try:
            json.loads(text)["rules"]
        except (ValueError, KeyError, TypeError):
            raise invalid("LifecyclePolicyText", "Lifecycle policy validation failure") from None
        self.policies[name] = text
        return self._told(name, lifecyclePolicyText=text)

    def _delete_policy(self, asked: Parameters) -> Mapping[str, Any]:
        told = self._policy(asked)
        del self.policies[told["repositoryName"]]
        return told

    def _no_policy(self, asked: Parameters) -> Mapping[str, Any]:
        name, _ = self._ecr.found(asked.get("repositoryName"))
        where = f"for the repository with name '{name}' in the registry with id '{self._ecr.account}'"
        raise Refusal("RepositoryPolicyNotFoundException", f"Repository policy does not exist {where}")

    def _scan(self, asked: Parameters) -> Mapping[str, Any]:
        name, digest = self._image(asked)
        self.scanned.add((name, digest))
        status = {"status": "IN_PROGRESS"}
        return self._told(name, imageId={"imageDigest": digest}, imageScanStatus=status)

    def _findings(self, asked: Parameters) -> Mapping[str, Any]:
        name, digest = self._image(asked)
        if (name, digest) not in self.scanned:
            message = f"Image scan does not exist for the image with '{{imageDigest:'{digest}'}}'"
            raise Refusal("ScanNotFoundException", message)
        now = self._ecr.world.now.timestamp()
        findings = {"imageScanCompletedAt": now, "findings": [], "findingSeverityCounts": {}}
        done = {"status": "COMPLETE", "description": "The scan was completed successfully."}
        return self._told(
            name, imageId={"imageDigest": digest}, imageScanStatus=done, imageScanFindings=findings
        )

    def _image(self, asked: Parameters) -> tuple[str, str]:
        name, place = self._ecr.found(asked.get("repositoryName"))
        return name, self._ecr.digest_of(name, place, asked.get("imageId", {}))

    def _referrers(self, asked: Parameters) -> Mapping[str, Any]:
        name, place = self._ecr.found(asked.get("repositoryName"))
        subject = asked.get("subjectId", {}).get("imageDigest", "")
        if asked.get("maxResults", 20) > _MOST_REFERRERS:
            raise invalid("maxResults", f"Member must have value less than or equal to {_MOST_REFERRERS}")
        wanted = asked.get("filter", {}).get("artifactTypes")
        found = {
            held.digest: {
                "digest": held.digest,
                "mediaType": held.media_type,
                "artifactType": held.artifact_type,
                "size": len(held.body),
                "annotations": dict(held.labels),
                "artifactStatus": "ARCHIVED" if held.digest in place.archived else "ACTIVE",
            }
            for held in place.referrers_of(subject)
            if not wanted or held.artifact_type in wanted
        }
        query = f"referrers {name} {subject}"
        page, token = self._ecr.pages.page(sorted(found, key=shuffled), asked, query)
        return {"referrers": [found[digest] for digest in page], **token}

    def _told(self, name: str, **more: Any) -> Mapping[str, Any]:
        return {"registryId": self._ecr.account, "repositoryName": name, **more}


def _given(asked: Parameters) -> dict[str, str]:
    return {each["Key"]: each.get("Value", "") for each in asked.get("tags", ())}


class EcrRegistry(OciServer):
    """The registry: Basic by the name ``AWS`` and a token, which isn't looked into."""

    def __init__(self, world: World) -> None:
        access = Access(scheme=Scheme.BASIC, anybody=True)
        super().__init__(world, _HABITS, access=access)
        self.guard = _Guard(access)

    def _read_manifest(self, request: Request, name: str, reference: str) -> Answer:
        place = self.world.repositories.get(name, Repository())
        digest = place.tags.get(reference, reference)
        if digest in place.archived:
            return Answer(status=404, body=b'{"errors":[{"code":"MANIFEST_UNKNOWN"}]}')
        if request.method == "GET" and digest in place.manifests:
            held = place.manifests[digest]
            place.manifests[digest] = msgspec.structs.replace(held, pulled_at=self.world.now)
        return super()._read_manifest(request, name, reference)


class _Guard(Guard):
    def is_known(self, name: str, password: str) -> bool:
        return name == "AWS" and bool(password)
