"""What ECS answers, as values: names as AWS writes them, and no more than matters here.

A key without a default must be there: an answer without what it is about is none.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec


class _Answer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What all answers have in common: names as AWS writes them."""


class Failure(_Answer, frozen=True, kw_only=True):
    """Why one of several wasn't described."""

    arn: str = ""
    reason: str = ""
    detail: str | None = None

    def __str__(self) -> str:
        return f"{self.arn}: {self.reason}" + (f": {self.detail}" if self.detail else "")


class Container(_Answer, frozen=True, kw_only=True):
    """An image, and the digest that it stood for: of a running container, or pinned by a deployment."""

    image: str = ""
    image_digest: str = ""


class Task(_Answer, frozen=True, kw_only=True):
    """A task that runs, or begins to; a digest is told once an image was pulled."""

    task_arn: str
    task_definition_arn: str
    containers: tuple[Container, ...] = ()


class _Arn(_Answer, frozen=True, kw_only=True):
    arn: str


class _Definition(_Answer, frozen=True, kw_only=True):
    """Something that names a task definition."""

    task_definition: str


class _Controller(_Answer, frozen=True, kw_only=True):
    type: str = "ECS"


class Service(_Answer, frozen=True, kw_only=True):
    """A service, with its own deployments, or the task sets of another deployer."""

    service_arn: str
    cluster_arn: str
    status: str
    task_definition: str | None = None
    deployments: tuple[_Definition, ...] = ()
    task_sets: tuple[_Definition, ...] = ()
    current_service_revisions: tuple[_Arn, ...] = ()
    deployment_controller: _Controller = _Controller()

    @property
    def definitions(self) -> Iterator[str]:
        """Every task definition that it names."""
        if self.task_definition:
            yield self.task_definition
        for each in (*self.deployments, *self.task_sets):
            yield each.task_definition

    @property
    def revisions(self) -> tuple[str, ...]:
        """Its revisions now."""
        return tuple(each.arn for each in self.current_service_revisions)

    @property
    def is_deleted(self) -> bool:
        """Whether it is gone, and still told of for a while."""
        return self.status == "INACTIVE"

    @property
    def deploys_itself(self) -> bool:
        """Whether ECS deploys it; only of such are there service deployments and revisions."""
        return self.deployment_controller.type == "ECS"


class DeploymentBrief(_Answer, frozen=True, kw_only=True):
    """A deployment as it is listed; times in seconds since 1970."""

    service_deployment_arn: str
    status: str
    created_at: float
    target_service_revision_arn: str


class _Rollback(_Answer, frozen=True, kw_only=True):
    service_revision_arn: str | None = None


class Deployment(_Answer, frozen=True, kw_only=True):
    """A deployment, and the revisions that it goes from, to, and back to."""

    service_deployment_arn: str
    source_service_revisions: tuple[_Arn, ...] = ()
    target_service_revision: _Arn | None = None
    rollback: _Rollback | None = None

    @property
    def revisions(self) -> Iterator[str]:
        """All of them."""
        yield from (each.arn for each in self.source_service_revisions)
        if self.target_service_revision is not None:
            yield self.target_service_revision.arn
        if self.rollback is not None and self.rollback.service_revision_arn:
            yield self.rollback.service_revision_arn


class Revision(_Answer, frozen=True, kw_only=True):
    """A revision of a service, with the digests that its images stood for when it was deployed."""

    service_revision_arn: str
    task_definition: str
    container_images: tuple[Container, ...] = ()


class Clusters(_Answer, frozen=True, kw_only=True):
    """A page of clusters."""

    cluster_arns: tuple[str, ...]
    next_token: str | None = None


class Services(_Answer, frozen=True, kw_only=True):
    """A page of services."""

    service_arns: tuple[str, ...]
    next_token: str | None = None


class Tasks(_Answer, frozen=True, kw_only=True):
    """A page of tasks."""

    task_arns: tuple[str, ...]
    next_token: str | None = None


class History(_Answer, frozen=True, kw_only=True):
    """A page of a service's deployments."""

    service_deployments: tuple[DeploymentBrief, ...]
    next_token: str | None = None


class DescribedTasks(_Answer, frozen=True, kw_only=True):
    """Tasks, and why some are none."""

    tasks: tuple[Task, ...]
    failures: tuple[Failure, ...] = ()


class DescribedServices(_Answer, frozen=True, kw_only=True):
    """Services, and why some are none."""

    services: tuple[Service, ...]
    failures: tuple[Failure, ...] = ()


class DescribedDeployments(_Answer, frozen=True, kw_only=True):
    """Deployments, and why some are none."""

    service_deployments: tuple[Deployment, ...]
    failures: tuple[Failure, ...] = ()


class DescribedRevisions(_Answer, frozen=True, kw_only=True):
    """Revisions, and why some are none."""

    service_revisions: tuple[Revision, ...]
    failures: tuple[Failure, ...] = ()


class _ContainerDefinition(_Answer, frozen=True, kw_only=True):
    image: str


class _TaskDefinition(_Answer, frozen=True, kw_only=True):
    container_definitions: tuple[_ContainerDefinition, ...]


class DescribedDefinition(_Answer, frozen=True, kw_only=True):
    """A task definition."""

    task_definition: _TaskDefinition
