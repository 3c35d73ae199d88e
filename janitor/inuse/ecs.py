"""ECS: what runs in the clusters of a region, and what its services may start at any moment.

- Of tasks that run or begin to: the image and the digest of each container, and their task definition. Of
  services, scaled to zero too: the task definitions of all deployments and task sets.
- ECS pins the digest that a tag stands for when a service is deployed, and starts every later task by it. So
  the revisions count that a service has now, and those of its last deployment that succeeded and of all
  since: what a roll-back goes to is among them.
- Services are read before tasks: what changes hands meanwhile is seen in one of them.
- What can't be read is a problem, as is anything that ECS doesn't describe; the rest is read all the same.
  Only a task that is missing has ended, and a cluster or service that is gone runs nothing.

Left out: task definitions that no service and no task uses (of schedules, for example).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import ClassVar, TypeVar

import msgspec

from janitor.core.pattern import PatternKind, PatternList
from janitor.errors import Denied, Gone, Refused, RegistryError, Stopped, Unreachable
from janitor.inuse.awsdoor import door, place
from janitor.inuse.interface import Context, Findings, Source
from janitor.inuse.keys import EcsKeys
from janitor.net.awslists import Rejected
from janitor.net.ecs import MOST_HISTORY, Described, EcsApi
from janitor.net.ecsanswers import Container, DeploymentBrief, Failure, Service

T = TypeVar("T")

# ECS lets an account read clusters, and what is in them, 20 times a second each; half is left to others.
REQUESTS_PER_SECOND = 10.0

_ALL = ("*",)
_MISSING = "MISSING"
_SUCCEEDED = "SUCCESSFUL"
_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")  # of a cluster; anything else is a pattern
_OLD = (
    "revisions from before 25 October 2024 can't be read: deploy the service anew"
    " (aws ecs update-service --force-new-deployment)"
)


class EcsSource(Source[EcsKeys]):
    """The images that the clusters of one region run and deploy."""

    kind: ClassVar[str] = "ecs"
    keys: ClassVar[type[msgspec.Struct]] = EcsKeys

    @property
    def name(self) -> str:
        """``ecs: REGION``, whose where the policy says it, and which clusters."""
        clusters = "" if self._keys.cluster == _ALL else f", {' '.join(self._keys.cluster)}"
        return f"ecs: {place(self._keys)}{clusters}"

    def _read(self, found: Findings, context: Context, *, allow_empty: bool) -> None:
        caller = context.caller(requests_per_second=REQUESTS_PER_SECOND)
        with door(self._keys, context, caller) as aws:
            api = EcsApi(aws, caller)
            clusters = api.clusters()
            found.problems += _idle(self._keys.cluster, clusters, allow_empty=allow_empty)
            wanted = PatternList.of(self._keys.cluster, PatternKind.NAME)
            _Reader(found, api).read([each for each in clusters if wanted.selects(_name(each))])


def _idle(texts: Sequence[str], clusters: Sequence[str], *, allow_empty: bool) -> Iterator[str]:
    """Tell of each pattern that no cluster matches: mistyped, perhaps. A name must always be one's."""
    names = list(map(_name, clusters))
    for text in texts:
        if text.startswith("!") or any(map(PatternList.of((text,), PatternKind.NAME).selects, names)):
            continue
        if not allow_empty or _NAME.fullmatch(text):
            yield f"no cluster matches {text}"


class _Reader:
    """Takes the images of one cluster after another, then of what these name."""

    def __init__(self, found: Findings, api: EcsApi) -> None:
        self._found = found
        self._api = api
        # Whether something needs it; else what names it names the images too, and it may be gone.
        self._definitions: dict[str, bool] = {}
        # The service that each deployment and revision is of.
        self._deployments: dict[str, Service] = {}
        self._revisions: dict[str, Service] = {}
        self._deleted: dict[str, bool] = {}

    def read(self, clusters: Iterable[str]) -> None:
        """Read everything; raises what keeps all the rest from being read."""
        for cluster in clusters:
            # A cluster that is gone meanwhile has nothing in it: ECS deletes no other.
            with self._going_on(), suppress(Gone):
                self._read_services(cluster)
            with self._going_on(), suppress(Gone):
                self._read_tasks(cluster)
        self._read_deployments()
        self._read_revisions()
        self._read_definitions()

    @contextmanager
    def _going_on(self) -> Iterator[None]:
        """Turn what fails into a problem, unless nothing else could be read either."""
        try:
            yield
        except (Stopped, Unreachable):
            raise
        except RegistryError as error:
            self._found.problems.append(error.message)

    def _read_services(self, cluster: str) -> None:
        for services, failures in self._api.described_services(cluster, self._api.services(cluster)):
            self._fail(failures)
            for service in services:
                if not service.is_deleted:
                    with self._going_on():
                        self._take_service(service)

    def _take_service(self, service: Service) -> None:
        definitions = dict.fromkeys(service.definitions, True)
        self._definitions |= definitions
        if not service.deploys_itself:
            return
        if not definitions:
            self._found.problems.append(f"{service.service_arn} names no task definition")
        self._revisions |= dict.fromkeys(service.revisions, service)
        try:
            history = self._api.history(service.service_arn, service.cluster_arn)
        except (Gone, Refused):  # deleted meanwhile; or the region has none, and pins no digests
            return
        except Rejected:
            if not self._was_deleted(service):
                raise
            return
        for brief in _since_success(history):
            self._deployments[brief.service_deployment_arn] = service
            self._revisions[brief.target_service_revision_arn] = service

    def _read_tasks(self, cluster: str) -> None:
        for tasks, failures in self._api.described_tasks(cluster, self._api.tasks(cluster)):
            self._fail([failure for failure in failures if failure.reason != _MISSING])
            for task in tasks:
                self._take(task.containers)
                # Of a daemon of ECS's own managed instances it is none, and can't be described as one.
                if ":task-definition/" in task.task_definition_arn:
                    self._definitions[task.task_definition_arn] = True

    def _read_deployments(self) -> None:
        for deployment in self._described(self._api.described_deployments, self._deployments):
            service = self._deployments[deployment.service_deployment_arn]
            self._revisions |= dict.fromkeys(deployment.revisions, service)

    def _read_revisions(self) -> None:
        for revision in self._described(self._api.described_revisions, self._revisions, advice=_OLD):
            self._take(revision.container_images)
            if not revision.container_images:
                self._definitions[revision.task_definition] = True
            self._definitions.setdefault(revision.task_definition, False)

    def _described(
        self,
        describe: Callable[[Sequence[str]], Described[T]],
        services: Mapping[str, Service],
        *,
        advice: str = "",
    ) -> Iterator[T]:
        """Describe what is of these services; what went with its service is left out."""
        for start in range(0, len(services), MOST_HISTORY):
            with self._going_on():
                arns = list(services)[start : start + MOST_HISTORY]
                try:
                    found, failures = describe(arns)
                except Rejected:  # as ECS does where one of the services is deleted
                    there = [arn for arn in arns if not self._was_deleted(services[arn])]
                    found, failures = describe(there) if there else ((), ())
                lost = [each for each in failures if not self._was_deleted(services.get(each.arn))]
                self._fail(lost, advice=advice)
                yield from found

    def _read_definitions(self) -> None:
        for definition, is_needed in self._definitions.items():
            try:
                images = self._api.images(definition)
            except (Stopped, Unreachable):
                raise
            except Gone as error:
                if is_needed:
                    self._found.problems.append(error.message)
            except RegistryError as error:
                self._found.problems.append(error.message)
                if isinstance(error, Denied):  # the right is to all of them, or none
                    return
            else:
                for image in images:
                    self._found.take(image)

    def _take(self, containers: Iterable[Container]) -> None:
        for container in containers:
            self._found.take(container.image)
            self._found.take(container.image_digest)

    def _was_deleted(self, service: Service | None) -> bool:
        """Look again whether a service is there."""
        if service is None:
            return False
        arn = service.service_arn
        if arn not in self._deleted:
            self._deleted[arn] = True
            with suppress(Gone):  # with its cluster
                ((found, _),) = self._api.described_services(service.cluster_arn, [arn])
                self._deleted[arn] = any(now.is_deleted for now in found)
        return self._deleted[arn]

    def _fail(self, failures: Iterable[Failure], *, advice: str = "") -> None:
        self._found.problems += [f"{failure}; {advice}" if advice else str(failure) for failure in failures]


def _since_success(history: Sequence[DeploymentBrief]) -> Iterator[DeploymentBrief]:
    """The last deployment that succeeded, and all since; all, where none did."""
    last = max((brief.created_at for brief in history if brief.status == _SUCCEEDED), default=0.0)
    return (brief for brief in history if brief.created_at >= last)


def _name(arn: str) -> str:
    return arn.rpartition("/")[2]
