"""The Pod Security Standard "restricted", for Linux, as Kubernetes 1.29 to 1.37 enforce it.

Each control is one function that yields what breaks it. A volume, capability or profile that isn't known to
be allowed breaks it, as does what the standard asks to be said and isn't.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

Spec = dict[str, Any]

_VOLUMES = frozenset(
    {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
)
_SYSCTLS = frozenset(
    {
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ping_group_range",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.tcp_wmem",
    }
)
_SELINUX_TYPES = frozenset({"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"})
_PROFILES = frozenset({"RuntimeDefault", "Localhost"})
_HANDLERS = ("livenessProbe", "readinessProbe", "startupProbe")


def violations(pod: Spec) -> list[str]:
    """Say what of a pod's spec keeps it out of a namespace that enforces "restricted"."""
    return [f"{name}: {fault}" for name, control in _CONTROLS.items() for fault in control(pod)]


def _containers(pod: Spec) -> Iterator[tuple[Spec, Spec]]:
    """Each container of any kind, with its security context."""
    for kind in ("containers", "initContainers", "ephemeralContainers"):
        for container in pod.get(kind, ()):
            yield container, container.get("securityContext", {})


def _contexts(pod: Spec) -> Iterator[tuple[str, Spec]]:
    yield "the pod", pod.get("securityContext", {})
    for container, context in _containers(pod):
        yield container["name"], context


def _host(pod: Spec) -> Iterator[str]:
    yield from (key for key in ("hostNetwork", "hostPID", "hostIPC") if pod.get(key))
    for name, context in _contexts(pod):
        if context.get("windowsOptions", {}).get("hostProcess"):
            yield f"{name} is a host process"


def _ports(pod: Spec) -> Iterator[str]:
    for container, _ in _containers(pod):
        yield from (
            f"hostPort of {container['name']}" for port in container.get("ports", ()) if port.get("hostPort")
        )


def _probes(pod: Spec) -> Iterator[str]:
    for container, _ in _containers(pod):
        hooks = container.get("lifecycle", {})
        handlers = {**{name: container.get(name, {}) for name in _HANDLERS}, **hooks}
        for name, handler in handlers.items():
            if any(handler.get(kind, {}).get("host") for kind in ("httpGet", "tcpSocket")):
                yield f"{name} of {container['name']} names a host"


def _privileges(pod: Spec) -> Iterator[str]:
    for container, context in _containers(pod):
        if context.get("privileged"):
            yield f"{container['name']} is privileged"
        if context.get("allowPrivilegeEscalation") is not False:
            yield f"{container['name']} doesn't forbid escalation"
        if context.get("procMount", "Default") != "Default":
            yield f"{container['name']} sees more of /proc"


def _capabilities(pod: Spec) -> Iterator[str]:
    for container, context in _containers(pod):
        capabilities = context.get("capabilities", {})
        if "ALL" not in capabilities.get("drop", ()):
            yield f"{container['name']} doesn't drop all"
        yield from (
            f"{container['name']} adds {added}"
            for added in capabilities.get("add", ())
            if added != "NET_BIND_SERVICE"
        )


def _volumes(pod: Spec) -> Iterator[str]:
    for volume in pod.get("volumes", ()):
        yield from (f"{volume['name']} is a {kind}" for kind in volume.keys() - {"name"} - _VOLUMES)


def _user(pod: Spec) -> Iterator[str]:
    shared = pod.get("securityContext", {})
    for name, context in _contexts(pod):
        if context.get("runAsUser") == 0:
            yield f"{name} is root"
        if context.get("runAsNonRoot") is False:
            yield f"{name} may be root"
    for container, context in _containers(pod):
        if not context.get("runAsNonRoot", shared.get("runAsNonRoot")):
            yield f"{container['name']} may be root"


def _seccomp(pod: Spec) -> Iterator[str]:
    shared = pod.get("securityContext", {}).get("seccompProfile", {}).get("type")
    if shared is not None and shared not in _PROFILES:
        yield f"the pod is {shared}"
    for container, context in _containers(pod):
        own = context.get("seccompProfile", {}).get("type", shared)
        if own not in _PROFILES:
            yield f"{container['name']} has {own}"


def _labels(pod: Spec) -> Iterator[str]:
    for name, context in _contexts(pod):
        options = context.get("seLinuxOptions", {})
        if options.get("type", "") not in _SELINUX_TYPES or options.get("user") or options.get("role"):
            yield f"SELinux of {name}"
        if context.get("appArmorProfile", {}).get("type", "RuntimeDefault") not in _PROFILES:
            yield f"AppArmor of {name}"
    for sysctl in pod.get("securityContext", {}).get("sysctls", ()):
        if sysctl["name"] not in _SYSCTLS:
            yield f"sysctl {sysctl['name']}"


_CONTROLS: dict[str, Callable[[Spec], Iterator[str]]] = {
    "host": _host,
    "ports": _ports,
    "probes": _probes,
    "privileges": _privileges,
    "capabilities": _capabilities,
    "volumes": _volumes,
    "user": _user,
    "seccomp": _seccomp,
    "labels": _labels,
}
