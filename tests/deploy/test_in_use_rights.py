"""What is granted to read a cluster is what is asked of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from janitor.inuse.interface import Context
from janitor.inuse.keys import KubernetesKeys
from janitor.inuse.kubernetes import KubernetesSource
from tests.simulators.kubernetes import KubernetesServer, Right

FILE = Path(__file__).parents[2] / "deploy" / "rbac" / "in-use.yaml"


def documents() -> dict[str, dict[str, Any]]:
    return {document["kind"]: document for document in yaml.safe_load_all(FILE.read_text())}


def granted() -> set[Right]:
    return {
        Right(group, resource, verb)
        for rule in documents()["ClusterRole"]["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def test_the_role_grants_what_is_asked_and_nothing_else() -> None:
    with KubernetesServer() as server:
        server.cluster.pod("app", "registry.example.com/team/app:1.0")
        reading = KubernetesSource(KubernetesKeys(server=server.address)).read(Context(), allow_empty=False)
        assert reading.error is None
        assert server.used == granted()


def test_the_role_is_enough() -> None:
    with KubernetesServer(rights=granted()) as server:
        server.cluster.pod("app", "registry.example.com/team/app:1.0")
        reading = KubernetesSource(KubernetesKeys(server=server.address)).read(Context(), allow_empty=False)
    assert reading.error is None
    assert len(reading.references) == 1


def test_the_role_is_bound() -> None:
    found = documents()
    assert found["ClusterRoleBinding"]["roleRef"]["name"] == found["ClusterRole"]["metadata"]["name"]
    assert found["ClusterRoleBinding"]["subjects"]
