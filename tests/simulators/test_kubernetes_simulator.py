"""The simulated API answers as the real one, as far as clients can see."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.net.scripted import http
from tests.simulators.kubernetes import KubernetesServer, Right, sample


@pytest.fixture
def server() -> Iterator[KubernetesServer]:
    with KubernetesServer(chunk=2) as served:
        yield served


def ask(server: KubernetesServer, target: str, **headers: str) -> tuple[int, dict[str, Any]]:
    response = http().request("GET", f"{server.address}{target}", headers=headers)
    return response.status, json.loads(response.body)


def names(document: dict[str, Any]) -> list[str]:
    return [item["metadata"]["name"] for item in document["items"]]


def fill(server: KubernetesServer) -> None:
    for namespace, name in [("b", "x"), ("a", "z"), ("a", "y")]:
        server.cluster.pod(name, "busybox", namespace=namespace)


def test_a_list_is_in_the_order_of_the_store_and_says_what_remains(server: KubernetesServer) -> None:
    fill(server)
    status, page = ask(server, "/api/v1/pods?limit=500")
    assert (status, page["kind"], page["apiVersion"], names(page)) == (200, "PodList", "v1", ["y", "z"])
    assert page["metadata"]["remainingItemCount"] == 1
    status, rest = ask(server, f"/api/v1/pods?limit=500&continue={page['metadata']['continue']}")
    assert names(rest) == ["x"]
    assert rest["metadata"] == {"resourceVersion": page["metadata"]["resourceVersion"]}


def test_the_limit_holds(server: KubernetesServer) -> None:
    fill(server)
    assert names(ask(server, "/api/v1/pods?limit=1")[1]) == ["y"]


def test_a_namespace_is_listed_alone_and_an_unknown_one_is_empty(server: KubernetesServer) -> None:
    fill(server)
    assert names(ask(server, "/api/v1/namespaces/b/pods")[1]) == ["x"]
    assert names(ask(server, "/api/v1/namespaces/gone/pods")[1]) == []


def test_a_list_goes_on_in_its_own_moment(server: KubernetesServer) -> None:
    fill(server)
    _, page = ask(server, "/api/v1/pods?limit=2")
    server.cluster.delete("v1/pods", "x", namespace="b")
    assert names(ask(server, f"/api/v1/pods?continue={page['metadata']['continue']}")[1]) == ["x"]
    assert names(ask(server, "/api/v1/pods")[1]) == ["y", "z"]


def test_a_token_that_is_too_old_is_gone_and_comes_with_another_for_another_moment(
    server: KubernetesServer,
) -> None:
    fill(server)
    _, page = ask(server, "/api/v1/pods?limit=2")
    server.compact()
    status, said = ask(server, f"/api/v1/pods?continue={page['metadata']['continue']}")
    assert (status, said["kind"], said["reason"], said["code"]) == (410, "Status", "Expired", 410)
    assert names(ask(server, f"/api/v1/pods?continue={said['metadata']['continue']}")[1]) == ["x"]


def test_items_of_built_in_lists_do_not_repeat_their_kind_and_custom_ones_do(
    server: KubernetesServer,
) -> None:
    server.cluster.define("argoproj.io/v1alpha1/rollouts", "Rollout")
    server.cluster.templated("argoproj.io/v1alpha1/rollouts", "app", "busybox")
    server.cluster.templated("apps/v1/deployments", "app", "busybox")
    (deployment,) = ask(server, "/apis/apps/v1/deployments")[1]["items"]
    (rollout,) = ask(server, "/apis/argoproj.io/v1alpha1/rollouts")[1]["items"]
    assert "kind" not in deployment
    assert (rollout["kind"], rollout["apiVersion"]) == ("Rollout", "argoproj.io/v1alpha1")


def test_who_is_not_known_is_401(server: KubernetesServer) -> None:
    server.accepts = {"Bearer good"}
    status, said = ask(server, "/api/v1/pods", Authorization="Bearer bad")
    assert (status, said["kind"], said["reason"]) == (401, "Status", "Unauthorized")
    assert ask(server, "/api/v1/pods", Authorization="Bearer good")[0] == 200


def test_who_lacks_a_right_is_403_and_told_which(server: KubernetesServer) -> None:
    server.rights = {Right("", "pods", namespace="a"), Right("batch", "jobs")}
    assert ask(server, "/api/v1/namespaces/a/pods")[0] == 200
    assert ask(server, "/apis/batch/v1/namespaces/b/jobs")[0] == 200
    status, said = ask(server, "/api/v1/pods")
    assert (status, said["reason"]) == (403, "Forbidden")
    assert said["message"].endswith('cannot list resource "pods" in API group "" at the cluster scope')
    _, said = ask(server, "/apis/apps/v1/namespaces/b/deployments")
    assert said["message"].startswith("deployments.apps is forbidden: ")
    assert said["message"].endswith('in the namespace "b"')


@pytest.mark.parametrize(
    "path", ["/apis/apps/v1/rollouts", "/api/v2/pods", "/nothing", "/api/v1/namespaces/a/namespaces"]
)
def test_what_is_not_there_is_404(server: KubernetesServer, path: str) -> None:
    status, said = ask(server, path)
    assert (status, said["kind"], said["reason"]) == (404, "Status", "NotFound")


def test_nothing_can_be_changed(server: KubernetesServer) -> None:
    fill(server)
    response = http().request("DELETE", f"{server.address}/api/v1/namespaces/a/pods/y")
    assert response.status == 405
    assert len(server.cluster.objects["v1/pods"]) == 3


def test_what_it_serves_is_discovered(server: KubernetesServer) -> None:
    server.cluster.define("argoproj.io/v1alpha1/rollouts", "Rollout")
    groups = {group["name"] for group in ask(server, "/apis")[1]["groups"]}
    assert groups == {"apps", "batch", "argoproj.io"}
    (rollouts,) = ask(server, "/apis/argoproj.io/v1alpha1")[1]["resources"]
    assert (rollouts["name"], rollouts["kind"], rollouts["namespaced"]) == ("rollouts", "Rollout", True)
    assert "pods" in {each["name"] for each in ask(server, "/api/v1")[1]["resources"]}


def test_a_throttled_request_is_429_with_a_status(server: KubernetesServer) -> None:
    server.world.fault("throttle", retry_after="1")
    response = http().request("GET", f"{server.address}/api/v1/pods")
    assert (response.status, response.header("Retry-After")) == (429, "1")
    assert json.loads(response.body)["reason"] == "TooManyRequests"


def kubectl(server: KubernetesServer, *words: str) -> subprocess.CompletedProcess[str]:
    line = ["kubectl", "--server", server.address, *words]
    return subprocess.run(line, check=False, capture_output=True, text=True, timeout=60)


@pytest.mark.peer("kubectl")
@pytest.mark.parametrize("kind", ["pods", "deployments", "cronjobs", "rollouts"])
def test_kubectl_lists_what_there_is_in_chunks(kind: str) -> None:
    with KubernetesServer(sample(), chunk=1) as server:
        for resource, held in server.cluster.objects.items():
            if resource.endswith(f"/{kind}"):
                server.cluster.templated(resource, "another", "busybox")
                wanted = sorted(name for _, name in held)
        done = kubectl(server, "get", kind, "-A", "-o", "json", "--chunk-size=1")
        assert done.returncode == 0, done.stderr
        assert len(server.asked("GET", f"/{kind}?")) == len(wanted)
    assert sorted(names(json.loads(done.stdout))) == wanted


@pytest.mark.peer("kubectl")
def test_kubectl_knows_that_it_is_not_known_or_lacks_a_right() -> None:
    with KubernetesServer(sample(), accepts={"Bearer good"}) as server:
        assert "Unauthorized" in kubectl(server, "get", "--raw", "/api/v1/pods").stderr
        server.accepts, server.rights = set(), {Right("apps", "deployments")}
        assert "(Forbidden): pods is forbidden" in kubectl(server, "get", "pods", "-A").stderr
