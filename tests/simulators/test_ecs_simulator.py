"""The simulated ECS does what boto3 and its users know of the real one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.session import Session

from tests.simulators.awsserver import REGION
from tests.simulators.content import sha256
from tests.simulators.ecs import EcsServer, Region, sample

APP = "registry.example.com/team/app"


@pytest.fixture
def server() -> Iterator[EcsServer]:
    with EcsServer(page=100) as made:
        yield made


@pytest.fixture
def ecs(server: EcsServer) -> Iterator[Any]:
    made = client(server)
    yield made
    made.close()


def client(server: EcsServer, key: str = "AKIDTEST", region: str = REGION) -> Any:
    return Session().create_client(
        "ecs",
        region_name=region,
        endpoint_url=server.address,
        aws_access_key_id=key,
        aws_secret_access_key="secret",
        config=Config(retries={"mode": "standard", "total_max_attempts": 1}),
    )


def code_of(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


@pytest.mark.parametrize(
    ("operation", "parameters"),
    [
        ("list_clusters", {"maxResults": 101}),
        ("list_clusters", {"nextToken": "of another list"}),
        ("list_services", {"maxResults": 101}),
        ("list_tasks", {"maxResults": 0}),
        ("list_tasks", {"desiredStatus": "RUNS"}),
        ("list_tasks", {"launchType": "LAMBDA"}),
        ("list_service_deployments", {"service": "app", "maxResults": 101}),
        ("describe_tasks", {"tasks": ["x"] * 101}),
        ("describe_tasks", {"tasks": []}),
        ("describe_services", {"services": ["x"] * 11}),
        ("describe_service_deployments", {"serviceDeploymentArns": ["x"] * 21}),
        ("describe_service_revisions", {"serviceRevisionArns": ["x"] * 21}),
    ],
)
def test_what_boto3_lets_through_the_service_refuses(
    server: EcsServer, ecs: Any, operation: str, parameters: dict[str, Any]
) -> None:
    definition = server.ecs.define("app", APP)
    server.ecs.service("app", definition)
    server.ecs.task(definition)
    with pytest.raises(ClientError) as error:
        getattr(ecs, operation)(**parameters)
    assert code_of(error) == "InvalidParameterException"


@pytest.mark.parametrize(
    ("operation", "parameters"),
    [
        ("list_services", {}),
        ("list_tasks", {}),
        ("describe_services", {"services": ["x"]}),
        ("describe_tasks", {"tasks": ["x"]}),
        ("list_service_deployments", {"service": "x"}),
    ],
)
def test_a_cluster_that_is_not_there_is_an_error(
    ecs: Any, operation: str, parameters: dict[str, Any]
) -> None:
    with pytest.raises(ecs.exceptions.ClusterNotFoundException):
        getattr(ecs, operation)(cluster="gone", **parameters)


def test_a_cluster_is_the_default_one_and_goes_by_name_or_arn(server: EcsServer, ecs: Any) -> None:
    task = server.ecs.task(server.ecs.define("app", APP))
    for said in ({}, {"cluster": "default"}, {"cluster": server.ecs.cluster()}):
        assert ecs.list_tasks(**said)["taskArns"] == [task["taskArn"]]


def test_the_paginators_of_boto3_see_everything(server: EcsServer, ecs: Any) -> None:
    server.pages.most = 3
    definition = server.ecs.define("app", APP)
    for n in range(7):
        server.ecs.task(definition)
        server.ecs.service(f"app-{n}", definition)
    pages = [page["taskArns"] for page in ecs.get_paginator("list_tasks").paginate()]
    assert [len(page) for page in pages] == [3, 3, 1]
    assert {arn for page in pages for arn in page} == set(server.ecs.tasks)
    pages = [page["serviceArns"] for page in ecs.get_paginator("list_services").paginate()]
    assert {arn for page in pages for arn in page} == set(server.ecs.services)


def test_services_come_ten_at_a_time_where_nothing_is_said(server: EcsServer, ecs: Any) -> None:
    for n in range(11):
        server.ecs.service(f"app-{n}", server.ecs.define("app", APP))
    assert len(ecs.list_services()["serviceArns"]) == 10
    assert len(ecs.list_services(maxResults=100)["serviceArns"]) == 11


def test_tasks_are_listed_by_what_they_are_to_be(server: EcsServer, ecs: Any) -> None:
    definition = server.ecs.define("app", APP)
    starts = server.ecs.task(definition, lastStatus="PENDING")
    ends = server.ecs.task(definition, desiredStatus="STOPPED")
    assert ecs.list_tasks()["taskArns"] == [starts["taskArn"]]
    assert ecs.list_tasks(desiredStatus="PENDING")["taskArns"] == []
    assert ecs.list_tasks(desiredStatus="STOPPED")["taskArns"] == [ends["taskArn"]]
    assert ecs.list_tasks(launchType="EC2")["taskArns"] == []


def test_what_is_missing_is_a_failure_beside_what_is_there(server: EcsServer, ecs: Any) -> None:
    task = server.ecs.task(server.ecs.define("app", APP), digests=[sha256(b"x")])
    answer = ecs.describe_tasks(tasks=[task["taskArn"], "gone"])
    (container,) = answer["tasks"][0]["containers"]
    assert (container["image"], container["imageDigest"]) == (APP, sha256(b"x"))
    assert answer["failures"] == [{"arn": "gone", "reason": "MISSING"}]


def test_a_container_that_was_not_pulled_has_no_digest(server: EcsServer, ecs: Any) -> None:
    task = server.ecs.task(server.ecs.define("app", APP))
    (told,) = ecs.describe_tasks(tasks=[task["taskArn"]])["tasks"]
    assert "imageDigest" not in told["containers"][0]


def test_a_deleted_service_is_described_and_not_listed(server: EcsServer, ecs: Any) -> None:
    server.ecs.service("app", server.ecs.define("app", APP), status="INACTIVE")
    assert ecs.list_services()["serviceArns"] == []
    assert ecs.describe_services(services=["app"])["services"][0]["status"] == "INACTIVE"


def test_a_deleted_service_keeps_a_whole_request_from_being_answered(server: EcsServer, ecs: Any) -> None:
    definition = server.ecs.define("app", APP)
    gone, stays = server.ecs.service("gone", definition), server.ecs.service("stays", definition)
    arns = [server.ecs.revise(each, definition) for each in (gone, stays)]
    assert len(ecs.describe_service_revisions(serviceRevisionArns=arns)["serviceRevisions"]) == 2
    gone["status"] = "INACTIVE"
    with pytest.raises(ecs.exceptions.InvalidParameterException, match="INACTIVE"):
        ecs.describe_service_revisions(serviceRevisionArns=arns)


def test_a_definition_goes_by_family_revision_or_arn(server: EcsServer, ecs: Any) -> None:
    first, last = server.ecs.define("app", APP), server.ecs.define("app", APP)

    def described(name: str) -> str:
        return str(ecs.describe_task_definition(taskDefinition=name)["taskDefinition"]["taskDefinitionArn"])

    assert [described(name) for name in ("app", "app:1", first, "app:2")] == [last, first, first, last]
    server.ecs.definitions[last]["status"] = "INACTIVE"
    assert [described(name) for name in ("app", last)] == [first, last]
    with pytest.raises(ecs.exceptions.ClientException, match="Unable to describe task definition"):
        described("gone")


def test_deployments_are_listed_of_one_service_and_by_status(server: EcsServer, ecs: Any) -> None:
    definition = server.ecs.define("app", APP)
    service, other = server.ecs.service("app", definition), server.ecs.service("other", definition)
    done = server.ecs.deploy(service, server.ecs.revise(service, definition))
    server.ecs.deploy(service, server.ecs.revise(service, definition), status="PENDING")
    server.ecs.deploy(other, server.ecs.revise(other, definition))
    assert len(ecs.list_service_deployments(service="app")["serviceDeployments"]) == 2
    (brief,) = ecs.list_service_deployments(service=service["serviceArn"], status=["SUCCESSFUL"])[
        "serviceDeployments"
    ]
    assert brief["serviceDeploymentArn"] == done
    assert brief["createdAt"].tzinfo is not None
    with pytest.raises(ecs.exceptions.ServiceNotFoundException):
        ecs.list_service_deployments(service="gone")


def test_a_right_that_is_missing_is_access_denied(server: EcsServer, ecs: Any) -> None:
    server.denied.add("ListClusters")
    with pytest.raises(ecs.exceptions.AccessDeniedException, match="ecs:ListClusters"):
        ecs.list_clusters()


@pytest.mark.parametrize(
    ("key", "region", "code"),
    [
        ("AKIDOTHER", REGION, "UnrecognizedClientException"),
        ("AKIDTEST", "us-east-1", "InvalidSignatureException"),
    ],
)
def test_nobody_comes_in_without_keys_for_this_region(
    server: EcsServer, key: str, region: str, code: str
) -> None:
    stranger = client(server, key, region)
    with pytest.raises(ClientError) as error:
        stranger.list_clusters()
    stranger.close()
    assert code_of(error) == code


def test_what_it_does_not_do_is_unknown(ecs: Any) -> None:
    with pytest.raises(ClientError) as error:
        ecs.list_container_instances()
    assert code_of(error) == "UnknownOperationException"


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("throttle", "ThrottlingException"),
        ("unauthorized", "ExpiredTokenException"),
        ("error", "ServerException"),
    ],
)
def test_faults_are_told_as_aws_tells_them(server: EcsServer, ecs: Any, kind: str, code: str) -> None:
    server.world.fault(kind, status=500)
    with pytest.raises(ClientError) as error:
        ecs.list_clusters()
    assert code_of(error) == code


def test_the_sample_is_whole() -> None:
    with EcsServer(sample(), page=100) as server:
        made = client(server)
        (cluster,) = made.list_clusters()["clusterArns"]
        services = made.describe_services(cluster=cluster, services=["app"])
        tasks = made.list_tasks(cluster=cluster)["taskArns"]
        made.close()
    assert services["failures"] == []
    assert len(tasks) == 2


def test_a_lost_page_can_not_be_told(server: EcsServer, ecs: Any) -> None:
    server.pages.most = 2
    server.ecs = region = Region()
    for n in range(3):
        region.cluster(f"c-{n}")
    server.world.fault("lost-page", match="ListClusters")
    answer = ecs.list_clusters()
    assert len(answer["clusterArns"]) == 2
    assert "nextToken" not in answer
