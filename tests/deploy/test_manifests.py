"""What runs the janitor on Kubernetes: right for every release, one file to start, safe until it is said."""

from __future__ import annotations

import itertools
import re
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import jsonschema
import kubernetes_validate
import pytest
import yaml

import janitor as package
from janitor.cli.app import janitor
from janitor.core.units import parse_duration
from janitor.errors import PolicyError
from janitor.kinds import kinds
from janitor.policyfile import load
from tests.deploy.manifests import (
    COMPONENTS,
    CRONJOB,
    DEPLOY,
    FOLDERS,
    LIVE,
    ROOT,
    SHAPES,
    Document,
    containers,
    every,
    of_kind,
    pods,
    read,
    render,
    rendered,
)
from tests.deploy.pod_security import violations

VERSIONS = [
    version
    for version in kubernetes_validate.utils.all_versions()
    if tuple(map(int, version.split(".")))[:2] >= (1, 29)
]
DOCUMENTS = dict(every())
CORE = {name: each for name, each in DOCUMENTS.items() if not each["apiVersion"].startswith("monitoring.")}
IMAGE = f"registry.example.com/janitor:{package.__version__}"
WITH_PODS = [folder for folder in FOLDERS if not folder.startswith("deploy/monitoring")]
GRACE_OF_A_POD = timedelta(seconds=60)


# --- right for every release --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CORE)
def test_every_release_of_kubernetes_takes_it(name: str) -> None:
    for version in VERSIONS:
        kubernetes_validate.validate(CORE[name], version, strict=True)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("spec", "timezone"), "Etc/UTC"),
        (("spec", "jobTemplate", "spec", "backofLimit"), 0),
        (("spec", "jobTemplate", "spec", "backoffLimit"), "none"),
        (("spec", "jobTemplate", "spec", "template", "spec", "securityContext", "runAsNonroot"), True),
    ],
)
def test_what_no_release_takes_is_seen(path: tuple[str, ...], value: object) -> None:
    document = render(DEPLOY / "base")
    place = of_kind(document, "CronJob")[0]
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(of_kind(document, "CronJob")[0], VERSIONS[-1], strict=True)


_LABELS = {"type": "object", "additionalProperties": {"type": "string"}}
_METADATA = {
    "type": "object",
    "required": ["name", "namespace"],
    "additionalProperties": False,
    "properties": {"name": {"type": "string"}, "namespace": {"type": "string"}, "labels": _LABELS},
}
_DURATION = {"type": "string", "pattern": r"^(\d+y)?(\d+w)?(\d+d)?(\d+h)?(\d+m)?(\d+s)?$", "minLength": 2}
_ALERT: dict[str, Any] = {
    "required": ["alert", "expr", "labels", "annotations"],
    "properties": {"alert": {"type": "string"}, "for": _DURATION, "labels": _LABELS, "annotations": _LABELS},
}
_RECORD: dict[str, Any] = {"required": ["record", "expr"], "properties": {"record": {"type": "string"}}}
_SHAPES: dict[str, Any] = {
    "PrometheusRule": {
        "required": ["groups"],
        "additionalProperties": False,
        "properties": {
            "groups": {
                "type": "array",
                "items": {
                    "required": ["name", "rules"],
                    "additionalProperties": False,
                    "properties": {
                        "name": {"type": "string"},
                        "rules": {
                            "type": "array",
                            "items": {
                                "oneOf": [
                                    {**each, "additionalProperties": False}
                                    | {"properties": each["properties"] | {"expr": {"type": "string"}}}
                                    for each in (_ALERT, _RECORD)
                                ]
                            },
                        },
                    },
                },
            }
        },
    },
    "PodMonitor": {
        "required": ["selector", "podMetricsEndpoints"],
        "additionalProperties": False,
        "properties": {
            "selector": {
                "required": ["matchLabels"],
                "additionalProperties": False,
                "properties": {"matchLabels": _LABELS},
            },
            "podMetricsEndpoints": {
                "type": "array",
                "items": {
                    "required": ["port"],
                    "additionalProperties": False,
                    "properties": {
                        "port": {"type": "string"},
                        "path": {"type": "string", "pattern": "^/"},
                        "interval": _DURATION,
                    },
                },
            },
        },
    },
}


@pytest.mark.parametrize("name", [name for name in DOCUMENTS if name not in CORE])
def test_resources_of_the_operator_of_prometheus_have_its_shape(name: str) -> None:
    document = DOCUMENTS[name]
    assert document["apiVersion"] == "monitoring.coreos.com/v1"
    jsonschema.validate(document["metadata"], _METADATA)
    jsonschema.validate(document["spec"], _SHAPES[document["kind"]])
    assert document.keys() == {"apiVersion", "kind", "metadata", "spec"}


# --- one file, and what kustomize makes of it ---------------------------------------------------------------


def test_what_kustomize_builds_on_is_the_file_at_the_root() -> None:
    assert (DEPLOY / "base" / "cronjob.yaml").read_bytes() == CRONJOB.read_bytes(), "make manifests"


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("identity", [name for name in COMPONENTS if name != "network-policy"])
def test_every_shape_takes_every_identity(shape: str, identity: str, tmp_path: Path) -> None:
    shutil.copytree(DEPLOY, tmp_path / "deploy")
    (tmp_path / "kustomization.yaml").write_text(
        f"resources: [{shape}]\n"
        f"components: [deploy/components/network-policy, deploy/components/{identity}]\n"
        f"images: [{{name: registry.example.com/janitor, newTag: elsewhere}}]\n"
    )
    documents = render(tmp_path)
    for document in documents:
        kubernetes_validate.validate(document, VERSIONS[0], strict=True)
    assert [fault for pod in pods(documents) for fault in violations(pod["spec"])] == []
    assert {each["image"] for each in containers(documents)} == {"registry.example.com/janitor:elsewhere"}
    assert documents != rendered(shape)


@pytest.mark.parametrize("shape", SHAPES)
def test_on_azure_every_pod_that_asks_a_registry_has_the_label(shape: str, tmp_path: Path) -> None:
    shutil.copytree(DEPLOY, tmp_path / "deploy")
    (tmp_path / "kustomization.yaml").write_text(
        f"resources: [{shape}]\ncomponents: [deploy/components/aks]\n"
    )
    labelled = [
        pod["metadata"]["labels"].get("azure.workload.identity/use") == "true"
        for pod in pods(render(tmp_path))
        if pod["spec"]["containers"][0]["args"][0] != "report"
    ]
    assert labelled
    assert all(labelled)


@pytest.mark.parametrize("folder", WITH_PODS)
def test_what_one_document_names_is_in_another(folder: str) -> None:
    documents = rendered(folder)
    names = {(each["kind"], each["metadata"]["name"]) for each in documents}
    for pod in pods(documents):
        spec = pod["spec"]
        assert ("ServiceAccount", spec["serviceAccountName"]) in names
        mounted = {mount["name"] for mount in spec["containers"][0]["volumeMounts"]}
        assert mounted == {volume["name"] for volume in spec["volumes"]}
        for volume in spec["volumes"]:
            if "configMap" in volume:
                assert ("ConfigMap", volume["configMap"]["name"]) in names
            if "persistentVolumeClaim" in volume:
                assert ("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]) in names
    assert {each["metadata"].get("namespace", "janitor") for each in documents} == {"janitor"}


def test_the_monitor_finds_the_daemon() -> None:
    (daemon,) = of_kind(rendered("deploy/overlays/daemon"), "Deployment")
    (monitor,) = of_kind(rendered("deploy/monitoring/daemon"), "PodMonitor")
    template = daemon["spec"]["template"]
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    assert wanted <= template["metadata"]["labels"].items()
    assert daemon["spec"]["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    (port,) = template["spec"]["containers"][0]["ports"]
    assert [each["port"] for each in monitor["spec"]["podMetricsEndpoints"]] == [port["name"]]
    probes = [
        template["spec"]["containers"][0][f"{kind}Probe"] for kind in ("startup", "liveness", "readiness")
    ]
    assert {probe["httpGet"]["port"] for probe in probes} == {port["name"]}
    assert f"--listen=0.0.0.0:{port['containerPort']}" in template["spec"]["containers"][0]["args"]


# --- rights -------------------------------------------------------------------------------------------------


def test_the_file_grants_what_reading_the_cluster_takes_and_no_more() -> None:
    (wanted,) = of_kind(read(DEPLOY / "rbac" / "in-use.yaml"), "ClusterRole")
    for folder in WITH_PODS:
        (role,) = of_kind(rendered(folder), "ClusterRole")
        assert role["rules"] == wanted["rules"]
        (binding,) = of_kind(rendered(folder), "ClusterRoleBinding")
        assert binding["roleRef"]["name"] == role["metadata"]["name"]
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "janitor", "namespace": "janitor"}]
        assert of_kind(rendered(folder), "Role") == []


def test_only_pods_that_ask_the_cluster_have_a_token_for_it() -> None:
    for folder in WITH_PODS:
        (account,) = of_kind(rendered(folder), "ServiceAccount")
        assert account["automountServiceAccountToken"] is False
        for pod in pods(rendered(folder)):
            asks = pod["spec"]["containers"][0]["args"][0] in {"run", "serve"}
            assert pod["spec"]["automountServiceAccountToken"] is asks


# --- safe until it is said ----------------------------------------------------------------------------------


def _parsed(container: Document, index: str = "0") -> dict[str, Any] | None:
    """What the command makes of a container's arguments; ``None`` where there is no such command."""
    name, *rest = [argument.replace("$(JOB_COMPLETION_INDEX)", index) for argument in container["args"]]
    with click.Context(janitor, info_name="janitor") as context:
        found = janitor.get_command(context, name)
        if found is None:
            assert name not in janitor.list_commands(context)
            return None
        return found.make_context(name, rest, parent=context).params


@pytest.mark.parametrize("folder", WITH_PODS)
def test_as_they_are_the_files_delete_nothing_and_their_commands_can_be_typed(folder: str) -> None:
    for container in containers(rendered(folder)):
        assert "--delete" not in container["args"]
        parameters = _parsed(container)
        assert parameters is None or not parameters.get("delete")


LIVE_FILES = sorted(
    path
    for path in [CRONJOB, *DEPLOY.rglob("*.yaml")]
    if any(f"- --dry-run  # {LIVE}" in line for line in path.read_text().splitlines())
)


@pytest.mark.parametrize("path", LIVE_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_one_line_makes_it_delete_and_says_so(path: Path) -> None:
    text = path.read_text()
    (line,) = [line for line in text.splitlines() if "--dry-run" in line]
    assert line.strip() == "- --dry-run  # GOING LIVE: change this to --delete"
    (container,) = containers(yaml.safe_load_all(text.replace(line, line.replace("--dry-run", "--delete"))))
    parameters = _parsed(container)
    assert parameters is None or parameters["delete"] is True


def test_every_shape_has_its_line() -> None:
    assert {path.parent.name for path in LIVE_FILES} == {ROOT.name, "base", "sharded", "daemon"}


# --- policies -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", WITH_PODS)
def test_the_policies_are_right_where_a_config_map_puts_them(folder: str, tmp_path: Path) -> None:
    """The kubelet mounts a ConfigMap as links into a hidden folder, which must not be read a second time."""
    (config,) = of_kind(rendered(folder), "ConfigMap")
    hidden = tmp_path / "..2026_01_01_00_00_00.1"
    hidden.mkdir()
    (tmp_path / "..data").symlink_to(hidden.name)
    for name, text in config["data"].items():
        (hidden / name).write_text(text)
        (tmp_path / name).symlink_to(f"..data/{name}")
    try:
        policies = load([tmp_path], {}, kinds())
    except PolicyError as error:
        pytest.fail(str(error))
    assert len(policies.files) == len(config["data"])
    assert policies.protect.in_use, "what runs in the cluster is kept"


# --- a run's time -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", WITH_PODS)
def test_a_run_ends_by_itself_before_its_job_is_ended(folder: str) -> None:
    for cronjob in of_kind(rendered(folder), "CronJob"):
        job = cronjob["spec"]["jobTemplate"]["spec"]
        (container,) = job["template"]["spec"]["containers"]
        deadlines = [each.removeprefix("--deadline=") for each in container["args"] if "--deadline=" in each]
        end = timedelta(seconds=job["activeDeadlineSeconds"])
        assert all(parse_duration(each) + 10 * GRACE_OF_A_POD <= end for each in deadlines)
        assert timedelta(seconds=cronjob["spec"]["startingDeadlineSeconds"]) + end < timedelta(days=1)


@pytest.mark.parametrize("folder", WITH_PODS)
def test_the_next_night_is_the_retry(folder: str) -> None:
    for cronjob in of_kind(rendered(folder), "CronJob"):
        spec = cronjob["spec"]
        assert spec["concurrencyPolicy"] == "Forbid"
        assert spec["timeZone"]
        assert spec["successfulJobsHistoryLimit"] > 0
        assert spec["failedJobsHistoryLimit"] > 0
        job = spec["jobTemplate"]["spec"]
        indexed = job.get("completionMode") == "Indexed"
        assert job["backoffLimitPerIndex" if indexed else "backoffLimit"] == 0
        assert job["podFailurePolicy"]["rules"] == [
            {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
        ]
        assert job["ttlSecondsAfterFinished"] > 86400
        assert job["template"]["spec"]["restartPolicy"] == "Never"


@pytest.mark.parametrize("folder", WITH_PODS)
def test_every_pod_has_what_a_pod_needs(folder: str) -> None:
    for pod in pods(rendered(folder)):
        spec = pod["spec"]
        assert timedelta(seconds=spec["terminationGracePeriodSeconds"]) == GRACE_OF_A_POD
        assert spec["enableServiceLinks"] is False
        (container,) = spec["containers"]
        assert container["image"] == IMAGE
        assert container["terminationMessagePolicy"] == "FallbackToLogsOnError"
        assert container["resources"]["requests"].keys() == {"cpu", "memory", "ephemeral-storage"}
        assert container["resources"]["limits"].keys() >= {"memory", "ephemeral-storage"}
        assert "/tmp" in {mount["mountPath"] for mount in container["volumeMounts"]}  # noqa: S108 - in a pod


def test_the_name_of_the_image_is_the_one_that_the_file_builds() -> None:
    (build,) = [line for line in CRONJOB.read_text().splitlines() if "docker build" in line]
    assert build.count(IMAGE) == 2


# --- shards -------------------------------------------------------------------------------------------------


def _sharded() -> tuple[Document, Document]:
    documents = {each["metadata"]["name"]: each for each in of_kind(rendered(SHAPES[1]), "CronJob")}
    return documents["janitor"]["spec"]["jobTemplate"]["spec"], documents["janitor-report"]


def test_every_part_runs_and_none_twice() -> None:
    job, _ = _sharded()
    (container,) = job["template"]["spec"]["containers"]
    parsed = [_parsed(container, str(index)) for index in range(job["completions"])]
    shards = [parameters["shard"] for parameters in parsed if parameters is not None]
    assert shards == [(index, job["completions"]) for index in range(job["completions"])]
    assert job["parallelism"] == job["completions"], "all within one deadline"


def test_a_part_that_fails_ends_no_other() -> None:
    job, _ = _sharded()
    assert "backoffLimit" not in job
    assert job["maxFailedIndexes"] == job["completions"]


def test_what_the_parts_write_is_what_is_put_together() -> None:
    job, report = _sharded()
    (container,) = job["template"]["spec"]["containers"]
    (written,) = [
        each.removeprefix("--report=") for each in container["args"] if each.startswith("--report=")
    ]
    (reader,) = containers([report])
    read_again = [each for each in reader["args"] if not each.startswith("--")]
    index = "$(JOB_COMPLETION_INDEX)"
    assert read_again == [
        "report",
        *(written.replace(index, str(part)) for part in range(job["completions"])),
    ]


def test_the_reports_are_put_together_when_the_last_part_is_over() -> None:
    job, report = _sharded()
    (cronjob,) = [
        each for each in of_kind(rendered(SHAPES[1]), "CronJob") if each["metadata"]["name"] == "janitor"
    ]
    begin, collect = (_time_of_day(each["spec"]["schedule"]) for each in (cronjob, report))
    assert begin + timedelta(seconds=job["activeDeadlineSeconds"]) <= collect


def _time_of_day(schedule: str) -> timedelta:
    minute, hour, *rest = schedule.split()
    assert rest == ["*", "*", "*"]
    return timedelta(hours=int(hour), minutes=int(minute))


def test_the_parts_share_their_folder() -> None:
    (claim,) = of_kind(rendered(SHAPES[1]), "PersistentVolumeClaim")
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]


def test_no_document_is_said_twice_in_one_folder() -> None:
    for folder in FOLDERS:
        names = [(each["kind"], each["metadata"]["name"]) for each in rendered(folder)]
        assert [name for name, again in itertools.groupby(sorted(names)) if len(list(again)) > 1] == []


# --- the page -----------------------------------------------------------------------------------------------

PAGE = (ROOT / "docs" / "kubernetes.md").read_text()


def test_the_page_names_every_overlay_component_and_alert() -> None:
    named = {Path(folder).name for folder in FOLDERS if "overlays" in folder} | set(COMPONENTS)
    alerts = {
        rule["alert"]
        for kind in ("cronjob", "daemon")
        for group in read(DEPLOY / "monitoring" / kind / "rules.yaml")[0]["spec"]["groups"]
        for rule in group["rules"]
        if "alert" in rule
    }
    assert {name for name in named | alerts if name not in PAGE} == set()
    assert set(re.findall(r"`(Janitor\w+)`", PAGE)) == alerts


def test_what_the_page_applies_is_there() -> None:
    applied = re.findall(r"kubectl apply -[fk] (\S+)", PAGE)
    assert applied
    assert [path for path in applied if not (ROOT / path).exists()] == []
