"""Amazon ECS as boto3 meets it, as far as reading goes: JSON 1.1 by POST, its limits enforced.

What stands in a region is plain values that a test edits. Pages are smaller than asked for, so that little
makes several.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from tests.simulators.aws import ACCOUNT, Refusal, Role, invalid, shuffled
from tests.simulators.awsserver import REGION, Document, Json11Server, Parameters
from tests.simulators.content import sha256
from tests.simulators.started import Started, only_one
from tests.simulators.world import World

MOST_LISTED = 100
_LAUNCH_TYPES = frozenset({"EC2", "FARGATE", "EXTERNAL", "MANAGED_INSTANCES"})
_STATUSES = frozenset({"RUNNING", "PENDING", "STOPPED"})


class Region:
    """All of ECS in a region: documents as they are described, by ARN.

    ``deployments`` and ``revisions`` are of services; ``definitions`` are task definitions.
    """

    def __init__(self, region: str = REGION, account: str = ACCOUNT) -> None:
        self.prefix = f"arn:aws:ecs:{region}:{account}"
        self.clusters: dict[str, Document] = {}
        self.services: dict[str, Document] = {}
        self.tasks: dict[str, Document] = {}
        self.definitions: dict[str, Document] = {}
        self.deployments: dict[str, Document] = {}
        self.revisions: dict[str, Document] = {}
        self._count = 0

    def cluster(self, name: str = "default") -> str:
        """A cluster, made where there is none. -> its ARN"""
        arn = f"{self.prefix}:cluster/{name}"
        self.clusters.setdefault(arn, {"clusterArn": arn, "clusterName": name, "status": "ACTIVE"})
        return arn

    def define(self, family: str, *images: str) -> str:
        """A new revision of a task definition, a container an image. -> its ARN"""
        start = f"{self.prefix}:task-definition/{family}:"
        revision = 1 + sum(arn.startswith(start) for arn in self.definitions)
        arn = f"{start}{revision}"
        self.definitions[arn] = {
            "taskDefinitionArn": arn,
            "family": family,
            "revision": revision,
            "status": "ACTIVE",
            "containerDefinitions": [
                {"name": f"container-{n}", "image": image, "essential": True}
                for n, image in enumerate(images)
            ],
        }
        return arn

    def task(
        self,
        definition: str,
        *,
        cluster: str = "default",
        digests: Sequence[str] = (),
        launch: str = "FARGATE",
        **extra: Any,
    ) -> Document:
        """A task that runs; ``digests``: what its images stood for, of containers that were pulled."""
        arn = f"{self.prefix}:task/{cluster}/{self._next():032x}"
        containers = [
            {"name": each["name"], "image": each["image"], "lastStatus": "RUNNING", "taskArn": arn}
            for each in self.definitions[definition]["containerDefinitions"]
        ]
        for container, digest in zip(containers, digests, strict=False):
            container["imageDigest"] = digest
        self.tasks[arn] = {
            "taskArn": arn,
            "clusterArn": self.cluster(cluster),
            "taskDefinitionArn": definition,
            "containers": containers,
            "launchType": launch,
            "desiredStatus": "RUNNING",
            "lastStatus": "RUNNING",
        } | extra
        return self.tasks[arn]

    def service(
        self,
        name: str,
        definition: str | None,
        *,
        cluster: str = "default",
        count: int = 1,
        controller: str = "ECS",
        **extra: Any,
    ) -> Document:
        """A service with one deployment, or of another deployer with none."""
        arn = f"{self.prefix}:service/{cluster}/{name}"
        document: Document = {
            "serviceArn": arn,
            "serviceName": name,
            "clusterArn": self.cluster(cluster),
            "status": "ACTIVE",
            "desiredCount": count,
            "deploymentController": {"type": controller},
            "launchType": "FARGATE",
            "taskSets": [],
            "deployments": [],
        }
        if definition is not None:
            document["taskDefinition"] = definition
            if controller == "ECS":
                document["deployments"] = [self.deployed(definition)]
        self.services[arn] = document | extra
        return self.services[arn]

    def deployed(self, definition: str, status: str = "PRIMARY") -> Document:
        """One entry of a service's ``deployments``."""
        return {"id": f"ecs-svc/{self._next()}", "status": status, "taskDefinition": definition}

    def revise(self, service: Document, definition: str, **digests: str) -> str:
        """A revision of a service, its images pinned: by container, ``-`` as ``_``. -> its ARN"""
        arn = f"{service['serviceArn'].replace(':service/', ':service-revision/')}/{self._next()}"
        images = []
        for each in self.definitions[definition]["containerDefinitions"]:
            pinned = digests.get(each["name"].replace("-", "_"))
            image = {"containerName": each["name"], "image": each["image"]}
            images.append(image | ({"imageDigest": pinned} if pinned else {}))
        self.revisions[arn] = {
            "serviceRevisionArn": arn,
            "serviceArn": service["serviceArn"],
            "clusterArn": service["clusterArn"],
            "taskDefinition": definition,
            "containerImages": images,
        }
        return arn

    def deploy(
        self,
        service: Document,
        target: str,
        *,
        sources: Sequence[str] = (),
        status: str = "SUCCESSFUL",
        rollback: str | None = None,
    ) -> str:
        """A deployment of a service from revisions to another, later than those before. -> its ARN"""
        moment = self._next()
        arn = f"{service['serviceArn'].replace(':service/', ':service-deployment/')}/{moment}"
        self.deployments[arn] = {
            "serviceDeploymentArn": arn,
            "serviceArn": service["serviceArn"],
            "clusterArn": service["clusterArn"],
            "createdAt": 1_700_000_000.5 + moment,
            "status": status,
            "sourceServiceRevisions": [{"arn": each, "runningTaskCount": 1} for each in sources],
            "targetServiceRevision": {"arn": target, "runningTaskCount": 1},
        } | ({"rollback": {"serviceRevisionArn": rollback, "reason": "failed"}} if rollback else {})
        return arn

    def current(self, service: Document, *revisions: str) -> None:
        """Say which revisions a service has now."""
        service["currentServiceRevisions"] = [{"arn": each, "runningTaskCount": 0} for each in revisions]

    def _next(self) -> int:
        self._count += 1
        return self._count


class EcsServer(Json11Server):
    """One region. ``unread``: the reason why an ARN isn't described, though it is there."""

    service = "ecs"
    target = "AmazonEC2ContainerServiceV20141113"

    def __init__(
        self,
        region: Region | None = None,
        *,
        page: int = 2,
        roles: tuple[Role, ...] = (),
        world: World | None = None,
        port: int = 0,
    ) -> None:
        self.ecs = region or Region()
        self.unread: dict[str, str] = {}
        self.operations = {
            "DescribeClusters": self._describe_clusters,
            "DescribeServiceDeployments": self._describe_deployments,
            "DescribeServiceRevisions": self._describe_revisions,
            "DescribeServices": self._describe_services,
            "DescribeTaskDefinition": self._describe_definition,
            "DescribeTasks": self._describe_tasks,
            "ListClusters": self._list_clusters,
            "ListTaskDefinitions": self._list_definitions,
            "ListServiceDeployments": self._list_deployments,
            "ListServices": self._list_services,
            "ListTasks": self._list_tasks,
        }
        super().__init__(most=page, roles=roles, world=world, port=port)

    def _list_clusters(self, asked: Parameters) -> Document:
        return self._listed("clusterArns", list(self.ecs.clusters), asked, "clusters", usual=100)

    def _list_definitions(self, asked: Parameters) -> Document:
        family = asked.get("familyPrefix")
        arns = [
            arn for arn, each in self.ecs.definitions.items() if family is None or each["family"] == family
        ]
        return self._listed("taskDefinitionArns", arns, asked, f"definitions {family}", usual=100)

    def _describe_clusters(self, asked: Parameters) -> Document:
        # The one cluster that isn't said.
        return self._described(
            "clusters", self.ecs.clusters, {"clusters": ["default"], **asked}, "clusters", 100
        )

    def _list_services(self, asked: Parameters) -> Document:
        cluster = self._cluster(asked)
        arns = [
            arn
            for arn, service in self.ecs.services.items()
            if service["clusterArn"] == cluster
            and service["status"] != "INACTIVE"
            and _launched(service, asked)
        ]
        # Ten where nothing is said, unlike the other lists.
        return self._listed("serviceArns", arns, asked, f"services {cluster}", usual=10)

    def _list_tasks(self, asked: Parameters) -> Document:
        cluster, status = self._cluster(asked), asked.get("desiredStatus", "RUNNING")
        if status not in _STATUSES:
            raise invalid("desiredStatus", f"Member must satisfy enum value set: {sorted(_STATUSES)}")
        # No task is ever to be pending: that is a state on the way.
        arns = [
            arn
            for arn, task in self.ecs.tasks.items()
            if task["clusterArn"] == cluster and task["desiredStatus"] == status and _launched(task, asked)
        ]
        return self._listed("taskArns", arns, asked, f"tasks {cluster} {status}", usual=100)

    def _list_deployments(self, asked: Parameters) -> Document:
        cluster, wanted = self._cluster(asked), asked.get("service", "")
        service = next(
            (
                arn
                for arn, each in self.ecs.services.items()
                if each["clusterArn"] == cluster and wanted in {arn, each["serviceName"]}
            ),
            None,
        )
        if service is None:
            raise Refusal("ServiceNotFoundException", "Service not found.")
        if self.ecs.services[service]["status"] == "INACTIVE":
            message = "Cannot call ListServiceDeployments for a service that is INACTIVE"
            raise Refusal("InvalidParameterException", message)
        statuses = asked.get("status") or {each["status"] for each in self.ecs.deployments.values()}
        arns = [
            arn
            for arn, each in self.ecs.deployments.items()
            if each["serviceArn"] == service and each["status"] in statuses
        ]
        key = "serviceDeployments"
        answer = self._listed(key, arns, asked, f"deployments {service}", usual=20)
        return answer | {key: [self._brief(arn) for arn in answer[key]]}

    def _brief(self, arn: str) -> Document:
        whole = self.ecs.deployments[arn]
        told = {key: whole[key] for key in ("serviceArn", "clusterArn", "createdAt", "status")}
        target = whole["targetServiceRevision"]["arn"]
        return told | {"serviceDeploymentArn": arn, "targetServiceRevisionArn": target}

    def _describe_services(self, asked: Parameters) -> Document:
        cluster = self._cluster(asked)
        held = {arn: each for arn, each in self.ecs.services.items() if each["clusterArn"] == cluster}
        return self._described("services", held, asked, "services", 10)

    def _describe_tasks(self, asked: Parameters) -> Document:
        cluster = self._cluster(asked)
        held = {arn: each for arn, each in self.ecs.tasks.items() if each["clusterArn"] == cluster}
        return self._described("tasks", held, asked, "tasks", 100)

    def _describe_deployments(self, asked: Parameters) -> Document:
        self._check_services(
            self.ecs.deployments, asked, "serviceDeploymentArns", "DescribeServiceDeployments"
        )
        key = "serviceDeployments"
        return self._described(key, self.ecs.deployments, asked, "serviceDeploymentArns", 20)

    def _describe_revisions(self, asked: Parameters) -> Document:
        self._check_services(self.ecs.revisions, asked, "serviceRevisionArns", "DescribeServiceRevisions")
        return self._described("serviceRevisions", self.ecs.revisions, asked, "serviceRevisionArns", 20)

    def _describe_definition(self, asked: Parameters) -> Document:
        name = asked.get("taskDefinition", "")
        of_family = [
            arn
            for arn, each in self.ecs.definitions.items()
            if name in {arn, arn.rpartition("/")[2]}
            or (name == each["family"] and each["status"] == "ACTIVE")
        ]
        if not of_family:
            raise Refusal("ClientException", "Unable to describe task definition.")
        return {"taskDefinition": self.ecs.definitions[of_family[-1]], "tags": []}

    def _check_services(
        self, held: Mapping[str, Document], asked: Parameters, names: str, operation: str
    ) -> None:
        """One deleted service among those of a request, and nothing of it is answered."""
        for name in asked.get(names) or ():
            service = self.ecs.services.get(held.get(name, {}).get("serviceArn", ""), {})
            if service.get("status") == "INACTIVE":
                message = f"Cannot call {operation} for a service that is INACTIVE"
                raise Refusal("InvalidParameterException", message)

    def _cluster(self, asked: Parameters) -> str:
        name = asked.get("cluster", "default")
        for arn, each in self.ecs.clusters.items():
            if name in {arn, each["clusterName"]} and each["status"] == "ACTIVE":
                return arn
        raise Refusal("ClusterNotFoundException", "Cluster not found.")

    def _listed(
        self, key: str, arns: Collection[str], asked: Parameters, query: str, *, usual: int
    ) -> Document:
        most = asked.get("maxResults", usual)
        if not 1 <= most <= MOST_LISTED:
            raise invalid("maxResults", f"Member must have value less than or equal to {MOST_LISTED}")
        page, token = self.pages.page(sorted(arns, key=shuffled), {**asked, "maxResults": most}, query)
        return {key: page, **token}

    def _described(
        self, key: str, held: Mapping[str, Document], asked: Parameters, names: str, most: int
    ) -> Document:
        """What there is of what was asked for, and why the rest isn't told: an answer all the same."""
        wanted = asked.get(names) or []
        if not 1 <= len(wanted) <= most:
            raise Refusal("InvalidParameterException", f"{names} length should be between 1 and {most}.")
        found: list[Document] = []
        failures: list[Document] = []
        for name in wanted:
            arn = next((arn for arn in held if name in {arn, arn.rpartition("/")[2]}), None)
            if arn is None or arn in self.unread:
                failures.append({"arn": name, "reason": self.unread.get(name, "MISSING")})
            else:
                found.append(held[arn])
        return {key: found, "failures": failures}


def _launched(document: Document, asked: Parameters) -> bool:
    kind = asked.get("launchType", document["launchType"])
    if kind not in _LAUNCH_TYPES:
        raise invalid("launchType", f"Member must satisfy enum value set: {sorted(_LAUNCH_TYPES)}")
    return bool(kind == document["launchType"])


def sample() -> Region:
    """Some of everything."""
    region = Region()
    image = "registry.example.com/team/app"
    old, new = region.define("app", f"{image}:1.0"), region.define("app", f"{image}:1.1")
    service = region.service("app", new, deployments=[region.deployed(new), region.deployed(old, "ACTIVE")])
    digest = sha256(b"app")
    revision = region.revise(service, new, container_0=digest)
    region.current(service, revision)
    region.deploy(service, revision, status="IN_PROGRESS")
    region.task(new, digests=[digest])
    region.task(region.define("job", f"{image}:job"))
    return region


@contextmanager
def serve(world: World, port: int, flavour: str | None) -> Iterator[Started]:
    """The server that is started by hand; the world gives its faults alone."""
    only_one("ECS", flavour)
    with EcsServer(sample(), page=100, world=world, port=port) as server:
        server.door.anybody = server.door.anywhere = True
        yield Started(address=server.address, facts={"region": server.region, "account": ACCOUNT})
