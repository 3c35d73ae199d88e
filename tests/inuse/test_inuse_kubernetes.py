from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from janitor.core.use import SourceReading
from janitor.inuse.interface import Context
from janitor.inuse.keys import KubernetesKeys
from janitor.inuse.kubernetes import BUILT_IN, KubernetesSource
from janitor.net.kubernetes import RESTARTS
from tests.net.scripted import Time
from tests.simulators.kubernetes import KubernetesServer, Right, pod_spec

SHA = "sha256:" + "a" * 64
ID = "sha256:" + "b" * 64
APP = "registry.example.com/team/app"
ROLLOUTS = "argoproj.io/v1alpha1/rollouts"


@pytest.fixture
def server() -> Iterator[KubernetesServer]:
    with KubernetesServer() as served:
        yield served


def read(
    server: KubernetesServer,
    *,
    allow_empty: bool = False,
    stop: threading.Event | None = None,
    time: Time | None = None,
    **keys: Any,
) -> SourceReading:
    time = time or Time()
    source = KubernetesSource(KubernetesKeys(server=server.address, **keys))
    context = Context(sleep=time.sleep, clock=time.clock, random=lambda: 1.0, stop=stop or threading.Event())
    return source.read(context, allow_empty=allow_empty)


def names(reading: SourceReading) -> set[str]:
    assert reading.error is None
    return set(map(str, reading.references))


def error(reading: SourceReading) -> str:
    assert reading.error is not None
    return reading.error


# --- what counts


def test_every_container_of_a_pod_counts_and_its_image_volumes(server: KubernetesServer) -> None:
    server.cluster.pod(
        "app",
        f"{APP}:1.0",
        "busybox",
        init=[f"{APP}:init"],
        ephemeral=[f"{APP}:debug"],
        volumes=[f"{APP}:model"],
    )
    assert names(read(server)) == {
        f"{APP}:1.0",
        "docker.io/library/busybox:latest",
        f"{APP}:init",
        f"{APP}:debug",
        f"{APP}:model",
    }


@pytest.mark.parametrize(
    "field", ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"]
)
def test_what_runs_counts_beside_what_was_asked_for(server: KubernetesServer, field: str) -> None:
    pod = server.cluster.pod("app", f"{APP}:1.0")
    pod["status"] = {field: [{"name": "x", "image": f"{APP}:0.9", "imageID": f"{APP}@{SHA}"}]}
    assert names(read(server)) == {f"{APP}:1.0", f"{APP}:0.9", f"{APP}@{SHA}"}


@pytest.mark.parametrize(
    ("image_id", "reference"),
    [
        (f"{APP}@{SHA}", f"{APP}@{SHA}"),  # containerd, CRI-O
        (f"docker-pullable://{APP}@{SHA}", f"{APP}@{SHA}"),  # Docker Engine
        (f"docker://{ID}", ID),  # Docker Engine, of an image that it built or loaded
        (ID, ID),  # containerd, of an image that it imported
        (f"docker.io/library/import-2026-01-01@{SHA}", f"docker.io/library/import-2026-01-01@{SHA}"),
        (f"NETBIOS/app@{SHA}", SHA),  # a name that can't be read, but a digest that can
    ],
)
def test_each_form_of_an_image_id_protects_the_digest_in_it(
    server: KubernetesServer, image_id: str, reference: str
) -> None:
    server.cluster.pod("app", f"{APP}:1.0", running=[image_id])
    assert names(read(server)) == {f"{APP}:1.0", reference}


@pytest.mark.parametrize("image_id", ["", "b" * 64])
def test_an_image_id_that_says_no_digest_leaves_the_name_to_protect(
    server: KubernetesServer, image_id: str
) -> None:
    server.cluster.pod("app", f"{APP}:1.0", running=[image_id])
    assert names(read(server)) == {f"{APP}:1.0"}


def test_an_image_volume_s_digest_counts(server: KubernetesServer) -> None:
    pod = server.cluster.pod("app", f"{APP}:1.0", volumes=[f"{APP}:model"])
    mounts = [{"name": "volume-0", "volumeStatus": {"image": {"imageRef": f"{APP}@{SHA}"}}}]
    pod["status"]["containerStatuses"] = [{"name": "container-0", "volumeMounts": mounts}]
    assert names(read(server)) == {f"{APP}:1.0", f"{APP}:model", f"{APP}@{SHA}"}


@pytest.mark.parametrize("resource", [each for each in BUILT_IN if each.plural != "pods"], ids=str)
def test_the_template_of_everything_that_makes_pods_counts(
    server: KubernetesServer, resource: object
) -> None:
    server.cluster.templated(str(resource), "app", f"{APP}:1.0", replicas=0)
    assert names(read(server)) == {f"{APP}:1.0"}


def test_a_pod_that_has_ended_counts(server: KubernetesServer) -> None:
    server.cluster.pod("app", f"{APP}:1.0")["status"]["phase"] = "Succeeded"
    assert names(read(server)) == {f"{APP}:1.0"}


def test_what_no_runtime_could_pull_is_told_and_stops_nothing(server: KubernetesServer) -> None:
    server.cluster.pod("good", f"{APP}:1.0")
    server.cluster.templated("apps/v1/deployments", "raw", "{{ .Values.image }}")
    reading = read(server)
    assert names(reading) == {f"{APP}:1.0"}
    assert reading.unparsed == ("{{ .Values.image }}",)


def test_labels_and_annotations_name_nothing(server: KubernetesServer) -> None:
    pod = server.cluster.pod("app", f"{APP}:1.0")
    pod["metadata"]["annotations"] = {"image": "registry.example.com/other:1"}
    assert names(read(server)) == {f"{APP}:1.0"}


def test_an_empty_cluster_is_an_answer_without_images(server: KubernetesServer) -> None:
    reading = read(server)
    assert (reading.error, reading.references) == (None, ())


def test_what_makes_is_listed_before_what_is_made() -> None:
    order = [each.plural for each in BUILT_IN]
    for maker, made in [("cronjobs", "jobs"), ("deployments", "replicasets")]:
        assert order.index(maker) < order.index(made)
    assert order[-1] == "pods"


# --- further resources


def test_any_image_at_any_depth_of_a_further_resource_counts(server: KubernetesServer) -> None:
    server.cluster.define(ROLLOUTS, "Rollout")
    server.cluster.put(
        ROLLOUTS,
        "app",
        spec={
            "template": {"spec": pod_spec(f"{APP}:1.0")},
            "sidecar": {
                "image": {"registry": "registry.example.com", "repository": "team/side", "tag": 1.10}
            },
            "images": ["old=registry.example.com/team/new:2", {"name": "x", "newName": APP, "newTag": "3"}],
        },
        status={"running": [{"imageID": f"{APP}@{SHA}"}]},
    )
    assert names(read(server, resources=(ROLLOUTS,))) == {
        f"{APP}:1.0",
        "registry.example.com/team/side:1.1",
        "registry.example.com/team/new:2",
        f"{APP}:3",
        f"{APP}@{SHA}",
    }


def test_a_further_resource_is_not_asked_for_unless_it_is_named(server: KubernetesServer) -> None:
    server.cluster.define(ROLLOUTS, "Rollout")
    read(server)
    assert server.asked("GET", "rollouts") == []


@pytest.mark.parametrize(
    ("image", "said"),
    [
        ("{{workflow.parameters.image}}", "filled in only when it runs"),
        ({"repository": APP}, "its controller decides"),
    ],
)
def test_a_further_resource_that_leaves_its_image_open_closes_and_says_which(
    server: KubernetesServer, image: object, said: str
) -> None:
    server.cluster.define(ROLLOUTS, "Rollout")
    server.cluster.put(ROLLOUTS, "app", namespace="team", spec={"image": image})
    server.cluster.pod("app", f"{APP}:1.0")
    reading = read(server, resources=(ROLLOUTS,))
    assert f"{ROLLOUTS} team/app: " in error(reading)
    assert said in error(reading)
    assert list(map(str, reading.references)) == [f"{APP}:1.0"]


def test_a_resource_that_the_cluster_does_not_have_closes_and_is_named(server: KubernetesServer) -> None:
    server.cluster.pod("app", f"{APP}:1.0")
    reading = read(server, resources=(ROLLOUTS,))
    assert f"the cluster has no {ROLLOUTS}" in error(reading)
    assert list(map(str, reading.references)) == [f"{APP}:1.0"]


@pytest.mark.parametrize("resource", BUILT_IN, ids=str)
def test_a_cluster_without_a_usual_kind_closes(server: KubernetesServer, resource: object) -> None:
    del server.cluster.kinds[str(resource)]
    assert f"the cluster has no {resource}" in error(read(server))


@pytest.mark.parametrize(
    "resource", ["rollouts", "argoproj.io/v1alpha1/Rollout", "argoproj.io/rollouts", "a b"]
)
def test_what_is_no_resource_is_refused(resource: str) -> None:
    with pytest.raises(ValueError, match="GROUP/VERSION/PLURAL"):
        KubernetesKeys(resources=(resource,))


@pytest.mark.parametrize("resource", [ROLLOUTS, "v1/podtemplates", "apps/v1/controllerrevisions", "${KIND}"])
def test_what_is_a_resource_is_taken(resource: str) -> None:
    assert KubernetesKeys(resources=(resource,)).resources == (resource,)


# --- namespaces


def spread(server: KubernetesServer) -> None:
    for namespace in ("team-a", "team-b", "other"):
        server.cluster.pod("app", f"{APP}:{namespace}", namespace=namespace)


def test_every_namespace_counts(server: KubernetesServer) -> None:
    spread(server)
    assert names(read(server)) == {f"{APP}:team-a", f"{APP}:team-b", f"{APP}:other"}


def test_patterns_of_namespaces_narrow(server: KubernetesServer) -> None:
    spread(server)
    assert names(read(server, namespaces=("team-*", "!team-b"))) == {f"{APP}:team-a"}


def test_names_of_namespaces_alone_are_asked_for_one_by_one(server: KubernetesServer) -> None:
    spread(server)
    server.rights = {Right(group, plural, namespace="team-a") for group, plural in _built_in()}
    assert names(read(server, namespaces=("team-a",))) == {f"{APP}:team-a"}
    assert all("/namespaces/team-a/" in each.target for each in server.requests)


@pytest.mark.parametrize("namespaces", [("team-a", "gone"), ("team-a", "gone-*")])
def test_a_namespace_that_nothing_stands_in_closes(
    server: KubernetesServer, namespaces: tuple[str, ...]
) -> None:
    spread(server)
    assert f"matches {namespaces[1]}" in error(read(server, namespaces=namespaces))
    assert names(read(server, namespaces=namespaces, allow_empty=True)) == {f"{APP}:team-a"}


def test_what_stands_in_no_namespace_always_counts(server: KubernetesServer) -> None:
    spread(server)
    server.cluster.define(ROLLOUTS, "Rollout", namespaced=False)
    server.cluster.put(ROLLOUTS, "app", spec={"image": f"{APP}:whole"})
    found = names(read(server, namespaces=("team-?", "!team-b"), resources=(ROLLOUTS,)))
    assert found == {f"{APP}:team-a", f"{APP}:whole"}


@pytest.mark.parametrize("namespaces", [("!kube-system",), ("[",)])
def test_patterns_that_can_select_nothing_are_refused(namespaces: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"only leave out|\["):
        KubernetesKeys(namespaces=namespaces)


def _built_in() -> list[tuple[str, str]]:
    return [(each.version.rpartition("/")[0], each.plural) for each in BUILT_IN]


# --- whole or an error


def fill(server: KubernetesServer, count: int = 7) -> set[str]:
    server.chunk = 2
    for i in range(count):
        server.cluster.pod(f"app-{i}", f"{APP}:{i}")
    return {f"{APP}:{i}" for i in range(count)}


def test_a_list_is_read_in_chunks_to_its_end(server: KubernetesServer) -> None:
    expected = fill(server)
    assert names(read(server)) == expected
    pages = server.asked("GET", "/pods")
    assert len(pages) == 4
    assert all("limit=" in page for page in pages)


def test_a_list_that_grows_too_old_is_begun_anew(server: KubernetesServer) -> None:
    expected = fill(server)
    server.compact(after=1)
    assert names(read(server)) == expected
    assert len(server.asked("GET", "/pods")) == 3 + 4


def test_a_list_that_always_grows_too_old_closes(server: KubernetesServer) -> None:
    fill(server)
    server.compact(times=1 + RESTARTS)
    assert "grew too old" in error(read(server))


@pytest.mark.parametrize(
    ("kind", "after", "said"),
    [
        ("repeated-page", 0, "came twice"),
        ("repeated-page", 1, "never end"),
        ("endless-page", 0, "never end"),
        ("endless-page", 1, "never end"),
        ("lost-page", 0, "ends 5 objects early"),
        ("lost-page", 1, "ends 3 objects early"),
    ],
)
def test_a_list_that_repeats_never_ends_or_ends_early_closes(
    server: KubernetesServer, kind: str, after: int, said: str
) -> None:
    fill(server)
    server.world.fault(kind, match="/pods", after=after)
    assert said in error(read(server))


@pytest.mark.parametrize("kind", ["reset", "cut", "cut-json", "error", "slow", "throttle"])
def test_what_passes_is_asked_again(server: KubernetesServer, kind: str) -> None:
    expected = fill(server)
    server.world.fault(kind, match="/pods.*continue", times=2, retry_after="3")
    assert names(read(server)) == expected


def test_a_throttled_list_waits_as_long_as_it_is_told_to(server: KubernetesServer) -> None:
    time = Time()
    server.world.fault("throttle", retry_after="7")
    read(server, time=time)
    assert time.now >= 7


def test_a_cluster_that_does_not_answer_closes_and_is_asked_no_further(server: KubernetesServer) -> None:
    fill(server)
    server.world.fault("error", times=1000)
    assert "gave up after" in error(read(server))
    assert len({each.path for each in server.requests}) == 1


@pytest.mark.parametrize("resource", BUILT_IN, ids=str)
def test_a_right_that_is_missing_closes_and_the_rest_protects(
    server: KubernetesServer, resource: Any
) -> None:
    server.cluster.pod("app", f"{APP}:1.0")
    server.cluster.templated("apps/v1/deployments", "app", f"{APP}:1.0")
    group = resource.version.rpartition("/")[0]
    server.rights = {Right(*each) for each in _built_in()} - {Right(group, resource.plural)}
    reading = read(server)
    assert "cannot list resource" in error(reading)
    assert resource.plural in error(reading)
    assert list(map(str, reading.references)) == [f"{APP}:1.0"]


def test_nothing_is_asked_after_a_stop(server: KubernetesServer) -> None:
    stop = threading.Event()
    stop.set()
    assert "asked to stop" in error(read(server, stop=stop))
    assert server.requests == []
