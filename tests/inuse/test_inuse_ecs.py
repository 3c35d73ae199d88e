from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from janitor.core.use import SourceReading
from janitor.inuse.ecs import EcsSource
from janitor.inuse.interface import Context
from janitor.inuse.keys import EcsKeys
from tests.inuse.amazon import ENVIRON
from tests.net.scripted import Time
from tests.simulators.aws import ACCOUNT, Role
from tests.simulators.awsserver import REGION, Document
from tests.simulators.content import sha256
from tests.simulators.ecs import EcsServer, Region

APP = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/team/app"
SHA, OLD, OLDER = (sha256(each) for each in (b"new", b"old", b"older"))
ROLE = f"arn:aws:iam::{ACCOUNT}:role/ops/janitor"


@pytest.fixture
def server() -> Iterator[EcsServer]:
    with EcsServer(roles=(Role(arn=ROLE),)) as served:
        yield served


@pytest.fixture
def ecs(server: EcsServer) -> Region:
    return server.ecs


def read(
    server: EcsServer,
    *,
    allow_empty: bool = False,
    stop: threading.Event | None = None,
    **keys: Any,
) -> SourceReading:
    time = Time()
    source = EcsSource(EcsKeys(**{"region": REGION, "endpoint": server.address, **keys}))
    context = Context(
        environ=ENVIRON,
        sleep=time.sleep,
        clock=time.clock,
        random=lambda: 1.0,
        stop=stop or threading.Event(),
    )
    return source.read(context, allow_empty=allow_empty)


def names(reading: SourceReading) -> set[str]:
    assert reading.error is None
    return set(map(str, reading.references))


def error(reading: SourceReading) -> str:
    assert reading.error is not None
    return reading.error


def texts(reading: SourceReading) -> set[str]:
    return set(map(str, reading.references))


def asked(server: EcsServer, operation: str) -> int:
    return len(server.asked_for(operation))


# --- tasks


def test_a_task_counts_by_its_image_and_by_the_digest_that_it_runs(server: EcsServer, ecs: Region) -> None:
    ecs.task(ecs.define("app", f"{APP}:1.0", "busybox"), digests=[SHA])
    assert names(read(server)) == {f"{APP}:1.0", SHA, "docker.io/library/busybox:latest"}


def test_a_task_that_was_resolved_to_another_text_than_its_definition_s_counts_by_both(
    server: EcsServer, ecs: Region
) -> None:
    task = ecs.task(ecs.define("app", f"{APP}:1.0"))
    task["containers"][0]["image"] = f"{APP}@{SHA}"
    assert names(read(server)) == {f"{APP}:1.0", f"{APP}@{SHA}"}


@pytest.mark.parametrize("launch", ["EC2", "FARGATE", "EXTERNAL", "MANAGED_INSTANCES"])
def test_a_task_counts_whatever_launches_it(server: EcsServer, ecs: Region, launch: str) -> None:
    ecs.task(ecs.define("app", f"{APP}:1.0"), launch=launch)
    assert names(read(server)) == {f"{APP}:1.0"}


@pytest.mark.parametrize("status", ["PROVISIONING", "PENDING", "ACTIVATING", "RUNNING"])
def test_a_task_that_begins_to_run_counts(server: EcsServer, ecs: Region, status: str) -> None:
    ecs.task(ecs.define("app", f"{APP}:1.0"), lastStatus=status)
    assert names(read(server)) == {f"{APP}:1.0"}


def test_a_task_that_has_ended_does_not_count(server: EcsServer, ecs: Region) -> None:
    ecs.task(ecs.define("app", f"{APP}:1.0"), desiredStatus="STOPPED", lastStatus="STOPPED")
    ecs.task(ecs.define("job", f"{APP}:2.0"))
    assert names(read(server)) == {f"{APP}:2.0"}


def test_a_task_that_ends_while_it_is_read_stops_nothing(server: EcsServer, ecs: Region) -> None:
    definition = ecs.define("app", f"{APP}:1.0")
    gone, _ = ecs.task(ecs.define("job", f"{APP}:2.0")), ecs.task(definition)
    server.before["DescribeTasks"] = lambda: ecs.tasks.__delitem__(gone["taskArn"])
    assert names(read(server)) == {f"{APP}:1.0"}


def test_a_task_that_is_not_described_for_another_reason_closes(server: EcsServer, ecs: Region) -> None:
    definition = ecs.define("app", f"{APP}:1.0")
    task, _ = ecs.task(definition), ecs.task(definition)
    server.unread[task["taskArn"]] = "ACCESS_DENIED"
    reading = read(server)
    assert f"{task['taskArn']}: ACCESS_DENIED" in error(reading)
    assert texts(reading) == {f"{APP}:1.0"}


def test_a_daemon_s_task_counts_by_what_it_runs(server: EcsServer, ecs: Region) -> None:
    task = ecs.task(ecs.define("agent", f"{APP}:agent"), digests=[SHA])
    task["taskDefinitionArn"] = f"{ecs.prefix}:daemon-task-definition/agent:1"
    assert names(read(server)) == {f"{APP}:agent", SHA}
    assert asked(server, "DescribeTaskDefinition") == 0


def test_a_text_that_no_runtime_could_pull_is_told_and_stops_nothing(server: EcsServer, ecs: Region) -> None:
    ecs.task(ecs.define("app", "Team/App:1.0", f"{APP}:1.0"))
    reading = read(server)
    assert names(reading) == {f"{APP}:1.0"}
    assert reading.unparsed == ("Team/App:1.0",)


# --- services


@pytest.mark.parametrize("count", [0, 3])
def test_a_service_counts_scaled_to_zero_or_not(server: EcsServer, ecs: Region, count: int) -> None:
    ecs.service("app", ecs.define("app", f"{APP}:1.0"), count=count)
    assert names(read(server)) == {f"{APP}:1.0"}


def test_every_deployment_of_a_service_counts(server: EcsServer, ecs: Region) -> None:
    old, new = ecs.define("app", f"{APP}:1.0"), ecs.define("app", f"{APP}:1.1")
    service = ecs.service("app", new)
    service["deployments"].append(ecs.deployed(old, "ACTIVE"))
    assert names(read(server)) == {f"{APP}:1.0", f"{APP}:1.1"}


@pytest.mark.parametrize("controller", ["CODE_DEPLOY", "EXTERNAL"])
def test_every_task_set_of_another_deployer_counts(server: EcsServer, ecs: Region, controller: str) -> None:
    blue, green = ecs.define("app", f"{APP}:blue"), ecs.define("app", f"{APP}:green")
    sets = [{"id": each, "taskDefinition": each} for each in (blue, green)]
    ecs.service("app", None, controller=controller, taskSets=sets)
    assert names(read(server)) == {f"{APP}:blue", f"{APP}:green"}
    assert asked(server, "ListServiceDeployments") == 0


def test_a_service_that_is_being_deleted_counts(server: EcsServer, ecs: Region) -> None:
    ecs.service("app", ecs.define("app", f"{APP}:1.0"), status="DRAINING")
    assert names(read(server)) == {f"{APP}:1.0"}


def test_a_definition_that_is_inactive_counts(server: EcsServer, ecs: Region) -> None:
    definition = ecs.define("app", f"{APP}:1.0")
    ecs.definitions[definition]["status"] = "INACTIVE"
    ecs.service("app", definition)
    assert names(read(server)) == {f"{APP}:1.0"}


def test_a_definition_is_read_once(server: EcsServer, ecs: Region) -> None:
    definition = ecs.define("app", f"{APP}:1.0")
    for n in range(5):
        ecs.service(f"app-{n}", definition)
        ecs.task(definition)
    assert names(read(server)) == {f"{APP}:1.0"}
    assert asked(server, "DescribeTaskDefinition") == 1


def test_a_definition_that_nothing_uses_does_not_count(server: EcsServer, ecs: Region) -> None:
    ecs.define("job", f"{APP}:job")
    ecs.service("app", ecs.define("app", f"{APP}:1.0"))
    assert names(read(server)) == {f"{APP}:1.0"}


def test_a_service_that_names_nothing_closes(server: EcsServer, ecs: Region) -> None:
    ecs.service("app", None)
    assert "service/default/app names no task definition" in error(read(server))


def test_a_service_that_is_deleted_while_it_is_read_stops_nothing(server: EcsServer, ecs: Region) -> None:
    service = ecs.service("gone", ecs.define("gone", f"{APP}:gone"))
    ecs.service("app", ecs.define("app", f"{APP}:1.0"))
    server.before["DescribeServices"] = lambda: service.update(status="INACTIVE")
    assert names(read(server)) == {f"{APP}:1.0"}


def test_a_service_that_is_deleted_before_its_deployments_are_listed_stops_nothing(
    server: EcsServer, ecs: Region
) -> None:
    service = ecs.service("gone", ecs.define("gone", f"{APP}:gone"))
    server.before["ListServiceDeployments"] = lambda: ecs.services.__delitem__(service["serviceArn"])
    assert names(read(server)) == {f"{APP}:gone"}


def test_a_service_that_is_not_described_closes(server: EcsServer, ecs: Region) -> None:
    service = ecs.service("mute", ecs.define("mute", f"{APP}:mute"))
    ecs.service("app", ecs.define("app", f"{APP}:1.0"))
    server.unread[service["serviceArn"]] = "MISSING"
    reading = read(server)
    assert f"{service['serviceArn']}: MISSING" in error(reading)
    assert texts(reading) == {f"{APP}:1.0"}


def test_what_a_service_does_between_its_listing_and_that_of_tasks_is_seen(
    server: EcsServer, ecs: Region
) -> None:
    old, new = ecs.define("app", f"{APP}:1.0"), ecs.define("app", f"{APP}:1.1")
    ecs.service("app", old)

    def deploy() -> None:
        ecs.task(new)

    server.before["ListTasks"] = deploy
    assert names(read(server)) == {f"{APP}:1.0", f"{APP}:1.1"}


# --- digests that ECS pinned


def pinned(ecs: Region, digest: str, tag: str = "1.0", **service: Any) -> tuple[Document, str]:
    """A service of one tag that stood for a digest when it was deployed. -> it, and its revision"""
    made = ecs.service("app", ecs.define("app", f"{APP}:{tag}"), **service)
    return made, ecs.revise(made, made["taskDefinition"], container_0=digest)


def test_the_digest_of_a_service_now_counts_though_its_tag_moved_and_nothing_runs(
    server: EcsServer, ecs: Region
) -> None:
    service, revision = pinned(ecs, SHA, count=0)
    ecs.current(service, revision)
    assert names(read(server)) == {f"{APP}:1.0", SHA}


def test_the_digest_of_the_last_deployment_that_succeeded_counts_and_no_older_one(
    server: EcsServer, ecs: Region
) -> None:
    service, older = pinned(ecs, OLDER)
    old = ecs.revise(service, service["taskDefinition"], container_0=OLD)
    for revision in (older, old):
        ecs.deploy(service, revision)
    assert names(read(server)) == {f"{APP}:1.0", OLD}


@pytest.mark.parametrize(
    "status",
    [
        "PENDING",
        "IN_PROGRESS",
        "STOP_REQUESTED",
        "STOPPED",
        "ROLLBACK_REQUESTED",
        "ROLLBACK_IN_PROGRESS",
        "ROLLBACK_SUCCESSFUL",
        "ROLLBACK_FAILED",
        "OF_NEXT_YEAR",
    ],
)
def test_what_a_deployment_goes_to_and_what_it_would_go_back_to_count(
    server: EcsServer, ecs: Region, status: str
) -> None:
    service, old = pinned(ecs, OLD)
    new = ecs.revise(service, ecs.define("app", f"{APP}:1.1"), container_0=SHA)
    ecs.deploy(service, old)
    ecs.deploy(service, new, status=status)
    assert names(read(server)) == {f"{APP}:1.0", OLD, f"{APP}:1.1", SHA}


def test_what_a_deployment_goes_from_and_what_it_goes_back_to_count(server: EcsServer, ecs: Region) -> None:
    service, new = pinned(ecs, SHA)
    old = ecs.revise(service, ecs.define("app", f"{APP}:0.9"), container_0=OLD)
    older = ecs.revise(service, ecs.define("app", f"{APP}:0.8"), container_0=OLDER)
    ecs.deploy(service, new, sources=[old], rollback=older, status="ROLLBACK_IN_PROGRESS")
    assert names(read(server)) == {f"{APP}:{tag}" for tag in ("1.0", "0.9", "0.8")} | {SHA, OLD, OLDER}


def test_a_container_that_is_not_pinned_counts_by_its_image(server: EcsServer, ecs: Region) -> None:
    service = ecs.service("app", ecs.define("app", f"{APP}:1.0", f"{APP}:sidecar"))
    ecs.current(service, ecs.revise(service, service["taskDefinition"], container_0=SHA))
    assert names(read(server)) == {f"{APP}:1.0", f"{APP}:sidecar", SHA}


def test_a_container_that_a_revision_does_not_tell_of_counts_by_its_definition(
    server: EcsServer, ecs: Region
) -> None:
    service, new = pinned(ecs, SHA)
    old = ecs.revise(service, ecs.define("app", f"{APP}:0.9", f"{APP}:sidecar"), container_0=OLD)
    del ecs.revisions[old]["containerImages"][1]
    ecs.deploy(service, new, sources=[old])
    assert names(read(server)) == {f"{APP}:1.0", SHA, f"{APP}:0.9", OLD, f"{APP}:sidecar"}


def test_a_region_without_deployments_of_services_pins_nothing(server: EcsServer, ecs: Region) -> None:
    pinned(ecs, SHA)
    server.failing["ListServiceDeployments"] = "UnsupportedFeatureException"
    assert names(read(server)) == {f"{APP}:1.0"}


def test_a_revision_that_can_not_be_described_closes_and_says_what_to_do(
    server: EcsServer, ecs: Region
) -> None:
    service, revision = pinned(ecs, SHA)
    ecs.current(service, revision)
    server.unread[revision] = "MISSING"
    reading = read(server)
    assert f"{revision}: MISSING; revisions from before 25 October 2024" in error(reading)
    assert texts(reading) == {f"{APP}:1.0"}


def test_a_deployment_that_can_not_be_described_closes(server: EcsServer, ecs: Region) -> None:
    service, revision = pinned(ecs, SHA)
    deployment = ecs.deploy(service, revision)
    server.unread[deployment] = "MISSING"
    reading = read(server)
    assert f"{deployment}: MISSING" in error(reading)
    assert texts(reading) == {f"{APP}:1.0", SHA}


@pytest.mark.parametrize("forgotten", [False, True])
@pytest.mark.parametrize("with_cluster", [False, True])
@pytest.mark.parametrize(
    "operation", ["ListServiceDeployments", "DescribeServiceDeployments", "DescribeServiceRevisions"]
)
def test_what_went_with_its_service_stops_nothing_and_hides_no_other(
    server: EcsServer, ecs: Region, operation: str, *, with_cluster: bool, forgotten: bool
) -> None:
    gone, revision = pinned(ecs, SHA)
    ecs.deploy(gone, revision)
    other = ecs.service("other", ecs.define("other", f"{APP}:other"), cluster="other")
    ecs.deploy(other, ecs.revise(other, other["taskDefinition"], container_0=OLD))

    def delete() -> None:
        gone["status"] = "INACTIVE"
        if forgotten:
            for held in (ecs.deployments, ecs.revisions):
                for arn in [arn for arn, each in held.items() if each["serviceArn"] == gone["serviceArn"]]:
                    del held[arn]
        if with_cluster:
            ecs.clusters[gone["clusterArn"]]["status"] = "INACTIVE"

    server.before[operation] = delete
    assert names(read(server)) == {f"{APP}:1.0", f"{APP}:other", OLD}


@pytest.mark.parametrize("operation", ["ListServiceDeployments", "DescribeServiceRevisions"])
def test_what_is_rejected_though_every_service_is_there_closes(
    server: EcsServer, ecs: Region, operation: str
) -> None:
    ecs.deploy(*pinned(ecs, SHA))
    server.failing[operation] = "InvalidParameterException"
    assert f"answered InvalidParameterException to {operation}" in error(read(server))


@pytest.mark.parametrize("operation", ["DescribeServiceDeployments", "DescribeServiceRevisions"])
def test_a_service_that_is_not_found_among_others_hides_none_of_them(
    server: EcsServer, ecs: Region, operation: str
) -> None:
    ecs.deploy(*pinned(ecs, SHA))
    server.failing[operation] = "ServiceNotFoundException"
    assert f"answered ServiceNotFoundException to {operation}" in error(read(server))


def test_a_definition_that_only_a_past_revision_names_may_be_gone(server: EcsServer, ecs: Region) -> None:
    service, old = pinned(ecs, OLD)
    gone = ecs.define("app", f"{APP}:1.1")
    failed = ecs.revise(service, gone, container_0=SHA)
    ecs.deploy(service, old)
    ecs.deploy(service, failed, status="ROLLBACK_SUCCESSFUL")
    del ecs.definitions[gone]
    assert names(read(server)) == {f"{APP}:1.0", OLD, f"{APP}:1.1", SHA}
    ecs.revisions[failed]["containerImages"] = []
    assert "Unable to describe task definition" in error(read(server))


@pytest.mark.parametrize("kind", ["task", "service"])
def test_a_definition_that_something_uses_and_that_is_gone_closes(
    server: EcsServer, ecs: Region, kind: str
) -> None:
    definition = ecs.define("app", f"{APP}:1.0")
    if kind == "task":
        ecs.task(definition)
    else:
        ecs.service("app", definition)
    ecs.definitions.clear()
    assert f"{definition}: ecs answered ClientException" in error(read(server))


# --- clusters


def spread(ecs: Region) -> None:
    for name in ("prod-a", "prod-b", "test"):
        ecs.task(ecs.define(name, f"{APP}:{name}"), cluster=name)


@pytest.mark.parametrize(
    ("cluster", "found"),
    [
        (("*",), {"prod-a", "prod-b", "test"}),
        (("prod-*",), {"prod-a", "prod-b"}),
        (("test", "prod-a"), {"prod-a", "test"}),
        (("*", "!test"), {"prod-a", "prod-b"}),
    ],
)
def test_clusters_are_chosen_by_names_and_patterns(
    server: EcsServer, ecs: Region, cluster: tuple[str, ...], found: set[str]
) -> None:
    spread(ecs)
    assert names(read(server, cluster=cluster)) == {f"{APP}:{each}" for each in found}


def test_every_cluster_is_read_where_none_is_said(server: EcsServer, ecs: Region) -> None:
    spread(ecs)
    assert len(names(read(server))) == 3


@pytest.mark.parametrize("cluster", [("prod-a", "gone"), ("prod-a", "gone-*")])
def test_a_pattern_that_matches_no_cluster_closes(
    server: EcsServer, ecs: Region, cluster: tuple[str, ...]
) -> None:
    spread(ecs)
    reading = read(server, cluster=cluster)
    assert error(reading) == f"no cluster matches {cluster[1]}"
    assert texts(reading) == {f"{APP}:prod-a"}


def test_where_empty_is_right_a_pattern_may_match_nothing_but_a_name_may_not(server: EcsServer) -> None:
    assert read(server, cluster=("*", "prod-*"), allow_empty=True).error is None
    assert error(read(server, cluster=("prod",), allow_empty=True)) == "no cluster matches prod"


def test_clusters_without_anything_are_an_answer_without_images(server: EcsServer, ecs: Region) -> None:
    ecs.cluster("empty")
    reading = read(server)
    assert (reading.error, reading.references) == (None, ())


@pytest.mark.parametrize("operation", ["ListServices", "ListTasks"])
def test_a_cluster_that_is_deleted_meanwhile_runs_nothing(
    server: EcsServer, ecs: Region, operation: str
) -> None:
    gone = ecs.cluster("gone")
    ecs.task(ecs.define("app", f"{APP}:1.0"))
    server.before[operation] = lambda: ecs.clusters[gone].update(status="INACTIVE")
    assert names(read(server)) == {f"{APP}:1.0"}


@pytest.mark.parametrize(
    "keys",
    [{"cluster": ("!a",)}, {"cluster": ()}, {"cluster": ("[",)}, {"account": "1"}, {"external_id": "xx"}],
    ids=str,
)
def test_keys_that_can_not_be_meant_are_refused(keys: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=rf"{min(keys)}|\["):
        EcsKeys(region=REGION, **keys)


@pytest.mark.parametrize(
    ("keys", "name"),
    [
        ({}, "ecs: eu-west-1"),
        ({"cluster": ("a", "b-*")}, "ecs: eu-west-1, a b-*"),
        ({"role_arn": ROLE}, f"ecs: eu-west-1 of {ROLE}"),
    ],
    ids=str,
)
def test_reports_call_it_by_its_region_and_clusters(keys: dict[str, Any], name: str) -> None:
    assert EcsSource(EcsKeys(region=REGION, **keys)).name == name


# --- whole or an error


def fill(ecs: Region, count: int = 23) -> set[str]:
    """More services and tasks than any batch of theirs, so that several pages and batches are needed."""
    for n in range(count):
        definition = ecs.define(f"app-{n}", f"{APP}:{n}")
        service = ecs.service(f"app-{n}", definition)
        revision = ecs.revise(service, definition, container_0=sha256(b"%d" % n))
        ecs.current(service, revision)
        ecs.deploy(service, revision)
        ecs.task(definition)
    return {f"{APP}:{n}" for n in range(count)} | {sha256(b"%d" % n) for n in range(count)}


def test_everything_is_listed_to_its_end_and_described_in_batches(server: EcsServer, ecs: Region) -> None:
    expected = fill(ecs)
    server.pages.most = 7
    assert names(read(server)) == expected
    assert asked(server, "ListServices") == 4
    sizes = [len(each["services"]) for each in server.parameters_of("DescribeServices")]
    assert sizes == [10, 10, 3]
    sizes = [len(each["serviceRevisionArns"]) for each in server.parameters_of("DescribeServiceRevisions")]
    assert sizes == [20, 3]


LISTS = ["ListClusters", "ListServices", "ListTasks", "ListServiceDeployments"]
DESCRIPTIONS = [
    "DescribeServices",
    "DescribeTasks",
    "DescribeServiceDeployments",
    "DescribeServiceRevisions",
    "DescribeTaskDefinition",
]


def crowd(ecs: Region) -> set[str]:
    """Three of everything, so that every list has two pages."""
    expected = fill(ecs, 3)
    for n in range(2):
        ecs.cluster(f"other-{n}")
    for service in list(ecs.services.values()):
        (current,) = service["currentServiceRevisions"]
        for _ in range(2):
            ecs.deploy(service, current["arn"])
    return expected


@pytest.mark.parametrize("kind", ["repeated-page", "endless-page"])
@pytest.mark.parametrize("operation", LISTS)
def test_a_list_that_repeats_or_never_ends_closes(
    server: EcsServer, ecs: Region, operation: str, kind: str
) -> None:
    crowd(ecs)
    server.world.fault(kind, match=operation, times=1000)
    said = error(read(server))
    assert "never end" in said or "came twice" in said


@pytest.mark.parametrize("operation", LISTS)
def test_a_token_that_is_no_longer_taken_begins_the_list_anew(
    server: EcsServer, ecs: Region, operation: str
) -> None:
    expected = crowd(ecs)
    server.before[operation] = lambda: setattr(server.pages, "forgets", 1)
    assert names(read(server)) == expected


def test_empty_pages_and_pages_that_overlap_end_no_list(server: EcsServer, ecs: Region) -> None:
    expected = crowd(ecs)
    server.pages.empty = server.pages.overlaps = True
    assert names(read(server)) == expected


@pytest.mark.parametrize("kind", ["reset", "cut", "cut-json", "error", "throttle", "gateway"])
def test_what_passes_is_asked_again(server: EcsServer, ecs: Region, kind: str) -> None:
    expected = crowd(ecs)
    for operation in (*LISTS, *DESCRIPTIONS):
        server.world.fault(kind, match=f"^{operation} ", times=2)
    assert names(read(server)) == expected


@pytest.mark.parametrize("operation", [*LISTS, *DESCRIPTIONS])
def test_an_answer_without_what_it_is_about_closes(server: EcsServer, ecs: Region, operation: str) -> None:
    fill(ecs, 1)
    server.said[operation] = b"{}"
    assert "did not send the JSON that was expected" in error(read(server))


@pytest.mark.parametrize(
    ("operation", "key"),
    [
        ("DescribeServices", "services"),
        ("DescribeTasks", "tasks"),
        ("DescribeServiceDeployments", "serviceDeployments"),
        ("DescribeServiceRevisions", "serviceRevisions"),
    ],
)
def test_an_answer_that_tells_of_fewer_than_were_asked_for_closes(
    server: EcsServer, ecs: Region, operation: str, key: str
) -> None:
    fill(ecs, 1)
    server.said[operation] = b'{"%s": [], "failures": []}' % key.encode()
    assert "than it was asked for, or of fewer" in error(read(server))


@pytest.mark.parametrize("beside", [False, True])
def test_an_answer_that_tells_of_another_than_was_asked_for_closes(
    server: EcsServer, ecs: Region, *, beside: bool
) -> None:
    task = ecs.task(ecs.define("app", f"{APP}:1.0"))
    other = {**task, "taskArn": "other"}
    server.said["DescribeTasks"] = json.dumps({"tasks": [task, other] if beside else [other]}).encode()
    assert "ECS told of others" in error(read(server))


@pytest.mark.parametrize("operation", [*LISTS, *DESCRIPTIONS])
def test_a_right_that_is_missing_closes_and_is_named(server: EcsServer, ecs: Region, operation: str) -> None:
    fill(ecs, 2)
    server.denied.add(operation)
    assert f"ecs:{operation}" in error(read(server))


@pytest.mark.parametrize("operation", ["ListServices", "DescribeServices", "ListServiceDeployments"])
def test_what_runs_protects_where_services_can_not_be_read(
    server: EcsServer, ecs: Region, operation: str
) -> None:
    ecs.service("app", ecs.define("app", f"{APP}:1.0"))
    ecs.task(ecs.define("job", f"{APP}:job"))
    server.denied.add(operation)
    reading = read(server)
    assert error(reading)
    assert f"{APP}:job" in texts(reading)


def test_a_right_to_definitions_that_is_missing_is_told_once(server: EcsServer, ecs: Region) -> None:
    fill(ecs, 5)
    server.denied.add("DescribeTaskDefinition")
    assert "more" not in error(read(server))
    assert asked(server, "DescribeTaskDefinition") == 1


@pytest.mark.parametrize("kind", ["throttle", "reset"])
def test_what_never_answers_closes_and_is_asked_no_further(server: EcsServer, ecs: Region, kind: str) -> None:
    fill(ecs, 3)
    server.world.fault(kind, match="ListServices", times=1000)
    assert "gave up after" in error(read(server))
    assert asked(server, "ListTasks") == 0


def test_nothing_is_asked_after_a_stop(server: EcsServer) -> None:
    stop = threading.Event()
    stop.set()
    assert "asked to stop" in error(read(server, stop=stop))
    assert server.requests == []


# --- who asks


def test_a_role_is_taken_on_and_again_when_its_credentials_expire(server: EcsServer, ecs: Region) -> None:
    expected = fill(ecs, 3)
    server.door.roles[ROLE] = Role(arn=ROLE, uses=3)
    assert names(read(server, role_arn=ROLE)) == expected
    assert server.door.taken_on > 1
    assert server.door.callers == {f"arn:aws:sts::{ACCOUNT}:assumed-role/janitor/registry-janitor"}


def test_the_account_that_is_named_must_be_the_one_that_is_asked(server: EcsServer, ecs: Region) -> None:
    expected = fill(ecs, 1)
    assert names(read(server, account=ACCOUNT)) == expected
    reading = read(server, account="210987654321", allow_empty=True)
    assert f"of account {ACCOUNT}, not of 210987654321" in error(reading)
