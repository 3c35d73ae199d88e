"""Amazon ECS as far as reading goes: clusters, what runs and is deployed in them, and of which images.

Lists are read to their end, or raise. What is described is told of every one that was asked for: as itself,
or as a failure with ECS's reason. All of it raises RegistryError; Gone where the cluster or service is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from janitor.errors import Gone, Malformed, Refused
from janitor.net.aws import Aws, Meaning
from janitor.net.awslists import Rejected, whole
from janitor.net.caller import Caller, Kind, Purpose
from janitor.net.ecsanswers import (
    Clusters,
    Deployment,
    DeploymentBrief,
    DescribedDefinition,
    DescribedDeployments,
    DescribedRevisions,
    DescribedServices,
    DescribedTasks,
    Failure,
    History,
    Revision,
    Service,
    Services,
    Task,
    Tasks,
)

T = TypeVar("T")
Described = tuple[Sequence[T], Sequence[Failure]]

PAGE = 100  # the most that a list gives
MOST_TASKS = 100  # of one request, as the next ones
MOST_SERVICES = 10
MOST_HISTORY = 20  # deployments, or revisions

_MEANINGS: dict[str, Meaning] = {
    "ClusterNotFoundException": (Kind.GONE, Gone),
    "ServiceNotFoundException": (Kind.GONE, Gone),
    "InvalidParameterException": (Kind.FINAL, Rejected),
    "UnsupportedFeatureException": (Kind.REFUSED, Refused),
}
# What ECS calls a mistake of the client's is here that there is no such task definition.
_OF_DEFINITIONS: dict[str, Meaning] = {"ClientException": (Kind.GONE, Gone)}


class EcsApi:
    """One account's ECS in one region. ``caller`` is the gate before it."""

    def __init__(self, aws: Aws, caller: Caller) -> None:
        self._service = aws.service("ecs", _MEANINGS)
        self._definitions = aws.service("ecs", _MEANINGS | _OF_DEFINITIONS)
        self._caller = caller

    def clusters(self) -> list[str]:
        """All clusters, by ARN."""

        def page(token: str | None) -> tuple[Sequence[str], str | None]:
            answer = self._page(token, "list_clusters", Clusters, "the clusters")
            return answer.cluster_arns, answer.next_token

        return whole(page, str, "the clusters")

    def services(self, cluster: str) -> list[str]:
        """All services of a cluster, by ARN."""
        what = f"the services of {cluster}"

        def page(token: str | None) -> tuple[Sequence[str], str | None]:
            answer = self._page(token, "list_services", Services, what, cluster=cluster)
            return answer.service_arns, answer.next_token

        return whole(page, str, what)

    def tasks(self, cluster: str) -> list[str]:
        """All tasks of a cluster that are to run or begin to, by ARN, whatever launches them."""
        what = f"the tasks of {cluster}"

        def page(token: str | None) -> tuple[Sequence[str], str | None]:
            answer = self._page(token, "list_tasks", Tasks, what, cluster=cluster, desiredStatus="RUNNING")
            return answer.task_arns, answer.next_token

        return whole(page, str, what)

    def history(self, service: str, cluster: str) -> list[DeploymentBrief]:
        """The deployments of a service, of the last 90 days; raises Refused where the region has none."""
        what = f"the deployments of {service}"

        def page(token: str | None) -> tuple[Sequence[DeploymentBrief], str | None]:
            answer = self._page(
                token, "list_service_deployments", History, what, service=service, cluster=cluster
            )
            return answer.service_deployments, answer.next_token

        return whole(page, lambda brief: brief.service_deployment_arn, what)

    def described_services(self, cluster: str, arns: Sequence[str]) -> Iterator[Described[Service]]:
        """Services of a cluster; deleted ones are told of for a while."""
        what = f"services of {cluster}"
        for some in _some(arns, MOST_SERVICES):
            answer = self._ask("describe_services", DescribedServices, what, cluster=cluster, services=some)
            _check(some, [each.service_arn for each in answer.services], answer.failures, what)
            yield answer.services, answer.failures

    def described_tasks(self, cluster: str, arns: Sequence[str]) -> Iterator[Described[Task]]:
        """Tasks of a cluster; what ended meanwhile is a failure, of reason MISSING."""
        what = f"tasks of {cluster}"
        for some in _some(arns, MOST_TASKS):
            answer = self._ask("describe_tasks", DescribedTasks, what, cluster=cluster, tasks=some)
            _check(some, [each.task_arn for each in answer.tasks], answer.failures, what)
            yield answer.tasks, answer.failures

    def described_deployments(self, arns: Sequence[str]) -> Described[Deployment]:
        """Deployments of services, at most :data:`MOST_HISTORY`; Rejected where a service is deleted."""
        what = "deployments of services"
        answer = self._ask(
            "describe_service_deployments", DescribedDeployments, what, serviceDeploymentArns=arns
        )
        found = answer.service_deployments
        _check(arns, [each.service_deployment_arn for each in found], answer.failures, what)
        return found, answer.failures

    def described_revisions(self, arns: Sequence[str]) -> Described[Revision]:
        """Revisions of services, at most :data:`MOST_HISTORY`; Rejected where a service is deleted.

        One from before 25 October 2024 is a failure.
        """
        what = "revisions of services"
        answer = self._ask("describe_service_revisions", DescribedRevisions, what, serviceRevisionArns=arns)
        found = answer.service_revisions
        _check(arns, [each.service_revision_arn for each in found], answer.failures, what)
        return found, answer.failures

    def images(self, definition: str) -> Sequence[str]:
        """The images of a task definition's containers, as they were written; raises Gone."""
        answer = self._definitions.ask(
            self._caller,
            "describe_task_definition",
            DescribedDefinition,
            f"the task definition {definition}",
            purpose=Purpose.LIST,
            taskDefinition=definition,
        )
        return tuple(each.image for each in answer.task_definition.container_definitions)

    def _page(self, token: str | None, operation: str, answer: type[T], what: str, **parameters: Any) -> T:
        after = {} if token is None else {"nextToken": token}
        return self._ask(operation, answer, what, maxResults=PAGE, **parameters, **after)

    def _ask(self, operation: str, answer: type[T], what: str, **parameters: Any) -> T:
        return self._service.ask(self._caller, operation, answer, what, purpose=Purpose.LIST, **parameters)


def _some(arns: Sequence[str], most: int) -> Iterator[Sequence[str]]:
    return (arns[start : start + most] for start in range(0, len(arns), most))


def _check(asked: Sequence[str], found: Sequence[str], failures: Sequence[Failure], what: str) -> None:
    """See to it that every one is answered for, and no other."""
    if not set(found) <= set(asked) or len(set(asked).difference(found)) > len(failures):
        raise Malformed(f"{what}: ECS told of others than it was asked for, or of fewer")
