"""The Kubernetes API as far as reading goes: lists in chunks, discovery, and whom it lets do what.

A cluster is plain values that a test edits; what is listed is what stands in it at that moment, and a list
that was begun goes on in its own moment until the cluster is compacted.
"""

from __future__ import annotations

import base64
import json
import re
import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import msgspec

from tests.simulators.content import encode
from tests.simulators.server import Answer, Request, Server
from tests.simulators.started import Started, only_one
from tests.simulators.truth import Fault, FaultKind
from tests.simulators.world import World

Document = dict[str, Any]
RESOURCES = {
    "v1/namespaces": ("Namespace", False),
    "v1/pods": ("Pod", True),
    "v1/replicationcontrollers": ("ReplicationController", True),
    "apps/v1/controllerrevisions": ("ControllerRevision", True),
    "apps/v1/daemonsets": ("DaemonSet", True),
    "apps/v1/deployments": ("Deployment", True),
    "apps/v1/replicasets": ("ReplicaSet", True),
    "apps/v1/statefulsets": ("StatefulSet", True),
    "batch/v1/cronjobs": ("CronJob", True),
    "batch/v1/jobs": ("Job", True),
}


class Kind(msgspec.Struct, frozen=True):
    """What the API serves under a plural."""

    kind: str
    namespaced: bool


class Right(msgspec.Struct, frozen=True):
    """One thing that somebody may do, or did; ``namespace`` is empty where it is the whole cluster."""

    group: str
    resource: str
    verb: str = "list"
    namespace: str = ""


class Cluster:
    """Everything that exists. ``objects`` are by ``version/plural``, then by namespace and name."""

    def __init__(self) -> None:
        self.kinds = {resource: Kind(*kind) for resource, kind in RESOURCES.items()}
        self.objects: dict[str, dict[tuple[str, str], Document]] = {}
        self.revision = 1000

    def define(self, resource: str, kind: str, *, namespaced: bool = True) -> None:
        """A custom resource, as ``argoproj.io/v1alpha1/rollouts``."""
        self.kinds[resource] = Kind(kind, namespaced)

    def put(self, resource: str, name: str, *, namespace: str = "default", **content: Any) -> Document:
        """An object that is new, or that takes the place of the one of its name. -> the document."""
        kind = self.kinds[resource]
        version = resource.rpartition("/")[0]
        self.revision += 1
        metadata = {
            "name": name,
            "uid": f"uid-{self.revision}",
            "resourceVersion": str(self.revision),
            "creationTimestamp": "2026-01-01T00:00:00Z",
        }
        if kind.namespaced:
            metadata["namespace"] = namespace
            self.objects.setdefault("v1/namespaces", {}).setdefault(
                ("", namespace),
                {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
            )
        document = {"apiVersion": version, "kind": kind.kind, "metadata": metadata} | content
        self.objects.setdefault(resource, {})[metadata.get("namespace", ""), name] = document
        return document

    def pod(
        self,
        name: str,
        *images: str,
        namespace: str = "default",
        running: Iterable[str] = (),
        init: Iterable[str] = (),
        ephemeral: Iterable[str] = (),
        volumes: Iterable[str] = (),
    ) -> Document:
        """A pod of these images; ``running`` are the ``imageID`` of its containers, in their order."""
        spec = pod_spec(*images, init=init, volumes=volumes)
        if ephemeral:
            spec["ephemeralContainers"] = _containers("debugger", ephemeral)
        statuses = [
            {
                "name": f"container-{i}",
                "image": images[i],
                "imageID": image_id,
                "ready": True,
                "restartCount": 0,
            }
            for i, image_id in enumerate(running)
        ]
        status = {"phase": "Running", "containerStatuses": statuses}
        return self.put("v1/pods", name, namespace=namespace, spec=spec, status=status)

    def templated(
        self, resource: str, name: str, *images: str, namespace: str = "default", replicas: int = 1
    ) -> Document:
        """Something with a pod template: a workload of any kind, a CronJob too."""
        template = {"metadata": {"labels": {"app": name}}, "spec": pod_spec(*images)}
        spec: Document = {"template": template}
        if resource.endswith("/cronjobs"):
            spec = {"schedule": "@daily", "jobTemplate": {"spec": spec}}
        elif not resource.endswith(("/jobs", "/daemonsets")):
            spec["replicas"] = replicas
        return self.put(resource, name, namespace=namespace, spec=spec)

    def delete(self, resource: str, name: str, *, namespace: str = "default") -> None:
        self.revision += 1
        del self.objects[resource][namespace, name]


def pod_spec(*images: str, init: Iterable[str] = (), volumes: Iterable[str] = ()) -> Document:
    spec: Document = {"containers": _containers("container", images)}
    if init:
        spec["initContainers"] = _containers("init", init)
    if volumes:
        spec["volumes"] = [
            {"name": f"volume-{i}", "image": {"reference": image, "pullPolicy": "IfNotPresent"}}
            for i, image in enumerate(volumes)
        ]
    return spec


def _containers(name: str, images: Iterable[str]) -> list[Document]:
    return [{"name": f"{name}-{i}", "image": image} for i, image in enumerate(images)]


def sample() -> Cluster:
    """Some of everything."""
    cluster = Cluster()
    cluster.define("argoproj.io/v1alpha1/rollouts", "Rollout")
    for resource in sorted(
        cluster.kinds.keys() - {"v1/namespaces", "v1/pods", "apps/v1/controllerrevisions"}
    ):
        plural = resource.rpartition("/")[2]
        cluster.templated(resource, plural, f"registry.example.com/team/{plural}:1.0")
    digest = "sha256:" + "a" * 64
    image = "registry.example.com/team/app"
    cluster.pod("app", f"{image}:1.0", running=[f"{image}@{digest}"], init=["busybox:1.36"])
    return cluster


@contextmanager
def serve(world: World, port: int, flavour: str | None) -> Iterator[Started]:
    """The server that is started by hand; the world gives its faults alone."""
    only_one("Kubernetes API", flavour)
    with KubernetesServer(sample(), world=world, port=port) as server:
        yield Started(address=server.address)


_LISTED = re.compile(
    r"/(?:api/(?P<core>v1)|apis/(?P<group>[^/]+)/(?P<version>[^/]+))"
    r"(?:/namespaces/(?P<namespace>[^/]+))?/(?P<plural>[a-z0-9-]+)(?:/(?P<name>[^/]+))?"
)
# What people type.
_SHORT = {
    "namespaces": "ns",
    "pods": "po",
    "replicationcontrollers": "rc",
    "daemonsets": "ds",
    "deployments": "deploy",
    "replicasets": "rs",
    "statefulsets": "sts",
    "cronjobs": "cj",
}


class KubernetesServer(Server):
    """One cluster's API.

    ``accepts``: the values of ``Authorization`` that are known; empty: anybody is. ``rights``: what these may
    do; None: all. ``chunk``: a chunk has no more objects, whatever the limit, so that few make several.
    """

    def __init__(
        self,
        cluster: Cluster | None = None,
        *,
        accepts: Iterable[str] = (),
        rights: Iterable[Right] | None = None,
        chunk: int = 500,
        tls: ssl.SSLContext | None = None,
        world: World | None = None,
        port: int = 0,
    ) -> None:
        self.cluster = cluster or Cluster()
        self.accepts = set(accepts)
        self.rights = None if rights is None else set(rights)
        self.chunk = chunk
        self.used: set[Right] = set()
        self._moments: dict[int, list[Document]] = {}
        self._expiring = self._lasting = 0
        super().__init__(world, port=port)
        if tls is not None:
            # The handshake waits for the request's own thread, so that a bad one holds up nobody else.
            self._listener.socket = tls.wrap_socket(
                self._listener.socket, server_side=True, do_handshake_on_connect=False
            )
            self.host = self.host.replace("127.0.0.1", "localhost")
            self.address = f"https://{self.host}"

    def compact(self, *, after: int = 0, times: int = 1) -> None:
        """The store forgets older moments: after so many tokens, this many are too old when shown."""
        self._expiring = times
        self._lasting = after

    def answer(self, request: Request) -> Answer:
        if self.accepts and request.headers.get("authorization") not in self.accepts:
            return status(401, "Unauthorized", "Unauthorized")
        path = request.path.rstrip("/")
        if request.method != "GET":
            return status(405, "MethodNotAllowed", "the server does not allow this method")
        found = self._discovered(path)
        if found is not None:
            return _json(found)
        listed = _LISTED.fullmatch(path)
        if listed is None:
            return _not_found()
        version = listed["core"] or f"{listed['group']}/{listed['version']}"
        resource, namespace = f"{version}/{listed['plural']}", listed["namespace"]
        kind = self.cluster.kinds.get(resource)
        if kind is None or (namespace is not None and not kind.namespaced):
            return _not_found()
        name = listed["name"]
        verb = "list" if name is None else "get"
        right = Right(listed["group"] or "", listed["plural"], verb, namespace or "")
        self.used.add(right)
        everywhere = msgspec.structs.replace(right, namespace="")
        if self.rights is not None and not {right, everywhere} & self.rights:
            return _forbidden(right)
        if name is not None:
            held = self.cluster.objects.get(resource, {}).get((namespace or "", name))
            said = f'{listed["plural"]} "{name}" not found'
            return status(404, "NotFound", said, name=name) if held is None else _json(held)
        return self._list(request, resource, kind, namespace)

    def spoil(self, fault: Fault, request: Request) -> Answer:
        match fault.kind:
            case FaultKind.THROTTLE:
                said = "too many requests, please try again later"
                answer = status(429, "TooManyRequests", said)
                wait = {} if fault.retry_after is None else {"Retry-After": fault.retry_after}
                return msgspec.structs.replace(answer, headers={**answer.headers, **wait})
            case FaultKind.ERROR:
                return status(fault.status, "InternalError", "etcdserver: request timed out")
            case FaultKind.UNAUTHORIZED:
                return status(401, "Unauthorized", "Unauthorized")
            case FaultKind.LOST_PAGE:
                return self._with_token(request, lambda _: "")
            case FaultKind.REPEATED_PAGE:
                return self._with_token(
                    request, lambda moment: request.asked("continue") or _token(moment, 0)
                )
            case FaultKind.ENDLESS_PAGE:
                fault.times += 1  # as long as somebody asks
                return self._with_token(request, lambda moment: _token(moment, fault.times), empty=True)
        return super().spoil(fault, request)

    def _with_token(self, request: Request, token: Callable[[int], str], *, empty: bool = False) -> Answer:
        """The right answer with another token; ``remainingItemCount`` stays as it was."""
        document = json.loads(self.answer(request).body)
        metadata = document["metadata"]
        metadata["continue"] = token(int(metadata["resourceVersion"]))
        if empty:
            document["items"] = []
        return _json(document)

    def _list(self, request: Request, resource: str, kind: Kind, namespace: str | None) -> Answer:
        token = request.asked("continue")
        limit = min(int(request.asked("limit") or 0) or self.chunk, self.chunk)
        if token:
            moment, start = _read_token(token)
            if self._expires() or moment not in self._moments:
                return _expired(_token(self._remember(resource, namespace), start))
        else:
            moment, start = self._remember(resource, namespace), 0
        everything = self._moments[moment]
        items = everything[start : start + limit]
        rest = len(everything) - start - len(items)
        metadata: Document = {"resourceVersion": str(moment)}
        if rest:
            metadata |= {"continue": _token(moment, start + len(items)), "remainingItemCount": rest}
        version = resource.rpartition("/")[0]
        # Items of a list of a built-in kind carry neither apiVersion nor kind; those of a custom one do.
        custom = "." in version
        return _json(
            {
                "apiVersion": version,
                "kind": f"{kind.kind}List",
                "metadata": metadata,
                "items": [
                    {key: value for key, value in item.items() if custom or key not in {"apiVersion", "kind"}}
                    for item in items
                ],
            }
        )

    def _remember(self, resource: str, namespace: str | None) -> int:
        """Keep what there is at this moment, in the order of the store's keys. -> its revision."""
        self.cluster.revision += 1
        held = self.cluster.objects.get(resource, {})
        self._moments[self.cluster.revision] = [
            deepcopy(held[key]) for key in sorted(held) if namespace is None or key[0] == namespace
        ]
        return self.cluster.revision

    def _expires(self) -> bool:
        """Whether the token that is shown now has grown too old."""
        self._lasting -= 1
        return -self._expiring <= self._lasting < 0

    def _discovered(self, path: str) -> Document | None:
        """What clients ask before they ask for anything else."""
        if path == "/version":
            return {"major": "1", "minor": "34", "gitVersion": "v1.34.1", "platform": "linux/amd64"}
        if path == "/api":
            return {"kind": "APIVersions", "versions": ["v1"]}
        if path == "/apis":
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": self._groups()}
        prefix, _, version = path.removeprefix("/").partition("/")
        resources = [
            {
                "name": plural,
                "singularName": kind.kind.lower(),
                "namespaced": kind.namespaced,
                "kind": kind.kind,
                "verbs": ["get", "list"],
                "shortNames": [_SHORT[plural]] if plural in _SHORT else [],
                "categories": ["all"] if kind.namespaced and plural != "controllerrevisions" else [],
            }
            for resource, kind in self.cluster.kinds.items()
            for of, _, plural in [resource.rpartition("/")]
            if of == version and prefix == ("apis" if "/" in version else "api")
        ]
        if not resources:
            return None
        return {
            "kind": "APIResourceList",
            "apiVersion": "v1",
            "groupVersion": version,
            "resources": resources,
        }

    def _groups(self) -> list[Document]:
        versions = dict.fromkeys(resource.rpartition("/")[0] for resource in self.cluster.kinds)
        groups = []
        for version in versions:
            group, slash, short = version.partition("/")
            if slash:
                said = {"groupVersion": version, "version": short}
                groups.append({"name": group, "versions": [said], "preferredVersion": said})
        return groups


def status(code: int, reason: str, message: str, **metadata: str) -> Answer:
    """What the API says instead of an answer."""
    return _json(
        {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": metadata,
            "status": "Failure",
            "message": message,
            "reason": reason,
            "code": code,
        },
        code,
    )


def _not_found() -> Answer:
    return status(404, "NotFound", "the server could not find the requested resource")


def _forbidden(right: Right) -> Answer:
    what = f"{right.resource}{f'.{right.group}' if right.group else ''}"
    where = f'in the namespace "{right.namespace}"' if right.namespace else "at the cluster scope"
    user = 'User "system:serviceaccount:janitor:janitor"'
    group = f'resource "{right.resource}" in API group "{right.group}"'
    return status(403, "Forbidden", f"{what} is forbidden: {user} cannot {right.verb} {group} {where}")


def _expired(token: str) -> Answer:
    said = (
        "The provided continue parameter is too old to display a consistent list result. You can start a new"
        " list without the continue parameter, or use the continue token in this response to retrieve the"
        " remainder of the results."
    )
    return status(410, "Expired", said, **{"continue": token})


def _token(moment: int, start: int) -> str:
    said = {"v": "meta.k8s.io/v1", "rv": moment, "start": str(start)}
    return base64.urlsafe_b64encode(json.dumps(said).encode()).decode().rstrip("=")


def _read_token(token: str) -> tuple[int, int]:
    try:
        said = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except ValueError:
        return 0, 0
    return said["rv"], int(said["start"])


def _json(document: Mapping[str, Any], code: int = 200) -> Answer:
    return Answer(status=code, headers={"Content-Type": "application/json"}, body=encode(document))
