"""Every pod that is deployed may run where Pod Security is "restricted", with no more than it needs."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.deploy.manifests import CRONJOB, FOLDERS, Document, pods, read, rendered
from tests.deploy.pod_security import violations

PLACES = [str(CRONJOB), *FOLDERS]


def documents(place: str) -> tuple[Document, ...]:
    return read(CRONJOB) if place == str(CRONJOB) else rendered(place)


@pytest.mark.parametrize("place", PLACES)
def test_every_pod_is_restricted(place: str) -> None:
    assert [fault for pod in pods(documents(place)) for fault in violations(pod["spec"])] == []


@pytest.mark.parametrize("place", PLACES)
def test_every_pod_is_somebody_by_number_on_a_root_that_cannot_be_written(place: str) -> None:
    for pod in pods(documents(place)):
        context = pod["spec"]["securityContext"]
        assert context["runAsUser"] == context["runAsGroup"] == context["fsGroup"] == 65532
        for container in pod["spec"]["containers"]:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True


@pytest.mark.parametrize("place", [place for place in PLACES if "monitoring" not in place])
def test_the_namespace_enforces_it(place: str) -> None:
    labels = next(each for each in documents(place) if each["kind"] == "Namespace")["metadata"]["labels"]
    modes = {name: value for name, value in labels.items() if name.startswith("pod-security.kubernetes.io/")}
    assert modes == {
        f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "audit", "warn")
    }


def _put(path: str, value: Any) -> tuple[str, Any]:
    return path, value


@pytest.mark.parametrize(
    ("path", "value"),
    [
        _put("hostNetwork", value=True),
        _put("hostPID", value=True),
        _put("securityContext.runAsUser", 0),
        _put("securityContext.runAsNonRoot", value=False),
        _put("securityContext.runAsNonRoot", None),
        _put("securityContext.seccompProfile.type", "Unconfined"),
        _put("securityContext.seccompProfile", None),
        _put("securityContext.sysctls", [{"name": "kernel.msgmax", "value": "1"}]),
        _put("securityContext.seLinuxOptions", {"type": "spc_t"}),
        _put("volumes", [{"name": "node", "hostPath": {"path": "/"}}]),
        _put("volumes", [{"name": "share", "nfs": {"server": "a", "path": "/"}}]),
        _put("containers.0.securityContext", None),
        _put("containers.0.securityContext.privileged", value=True),
        _put("containers.0.securityContext.allowPrivilegeEscalation", None),
        _put("containers.0.securityContext.capabilities.drop", ["NET_RAW"]),
        _put("containers.0.securityContext.capabilities.add", ["SYS_PTRACE"]),
        _put("containers.0.securityContext.procMount", "Unmasked"),
        _put("containers.0.securityContext.runAsUser", 0),
        _put("containers.0.securityContext.runAsNonRoot", value=False),
        _put("containers.0.securityContext.seccompProfile", {"type": "Unconfined"}),
        _put("containers.0.securityContext.appArmorProfile", {"type": "Unconfined"}),
        _put("containers.0.ports", [{"containerPort": 1, "hostPort": 1}]),
        _put("containers.0.livenessProbe", {"httpGet": {"host": "10.0.0.1", "port": 1}}),
        _put("containers.0.lifecycle", {"preStop": {"tcpSocket": {"host": "10.0.0.1", "port": 1}}}),
        _put("initContainers", [{"name": "first"}]),
    ],
)
def test_what_is_not_restricted_is_seen(path: str, value: Any) -> None:
    spec = copy.deepcopy(next(pods(read(CRONJOB)))["spec"])
    *way, last = path.split(".")
    place: Any = spec
    for step in way:
        place = place[int(step)] if step.isdigit() else place[step]
    if value is None:
        del place[last]
    else:
        place[last] = value
    assert violations(spec)
