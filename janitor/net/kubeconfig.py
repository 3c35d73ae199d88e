"""Kubeconfig files, read as kubectl reads them: which cluster a context means, and who asks.

- Without a file of one's own, the files of ``$KUBECONFIG``, or ``~/.kube/config``. Of several files the first
  that names something counts; one that isn't there is passed over, unless it is the only one.
- A path in a file is relative to that file, and what is given as data comes before a path.
- The user's token file comes before a token, then an exec plugin, then a password; a client's certificate is
  shown beside each of them. What kubectl has given up (``auth-provider``), and asking as somebody else
  (``as``), is refused instead of passed over.

No message holds anything that a file keeps secret.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml

from janitor.errors import Denied, Malformed
from janitor.net.execplugin import ExecPlugin, ExecSpec
from janitor.net.kubeaccess import Access, Certificate, Identity, Plain, TokenFile, read_file

_EXEC_CONFIG = "client.authentication.k8s.io/exec"

NamedT = TypeVar("NamedT", bound="_Named")


class _Extension(msgspec.Struct, kw_only=True):
    name: str = ""
    extension: Any = None


class _Cluster(msgspec.Struct, kw_only=True, rename="kebab"):
    server: str = ""
    tls_server_name: str | None = None
    insecure_skip_tls_verify: bool | None = None
    certificate_authority: str | None = None
    certificate_authority_data: str | None = None
    proxy_url: str | None = None
    extensions: list[_Extension] | None = None


class _User(msgspec.Struct, kw_only=True, rename="kebab"):
    client_certificate: str | None = None
    client_certificate_data: str | None = None
    client_key: str | None = None
    client_key_data: str | None = None
    token: str | None = None
    token_file: str | None = msgspec.field(default=None, name="tokenFile")
    username: str | None = None
    password: str | None = None
    exec: ExecSpec | None = None
    auth_provider: Any = None
    as_: str | None = msgspec.field(default=None, name="as")


class _Context(msgspec.Struct, kw_only=True):
    cluster: str = ""
    user: str = ""


class _Named(msgspec.Struct, kw_only=True):
    name: str


class _NamedCluster(_Named, kw_only=True):
    cluster: _Cluster | None = None


class _NamedUser(_Named, kw_only=True):
    user: _User | None = None


class _NamedContext(_Named, kw_only=True):
    context: _Context | None = None


class _Config(msgspec.Struct, kw_only=True, rename="kebab"):
    current_context: str | None = None
    clusters: list[_NamedCluster] | None = None
    users: list[_NamedUser] | None = None
    contexts: list[_NamedContext] | None = None


class _File(msgspec.Struct, frozen=True):
    path: Path
    config: _Config


def access_by_context(name: str | None, file: str | None, environ: Mapping[str, str]) -> Access:
    """Tell how to reach the cluster of a context; ``None``: the current one. ``file``: instead of the usual.

    Raises Denied where a file can't be read, and Malformed where what it says is not to be understood.
    """
    files = _read_files(file, environ)
    told = ", ".join(str(each.path) for each in files)
    name = name or next((each.config.current_context for each in files if each.config.current_context), None)
    if name is None:
        raise Malformed(f"{told} names no current context; say `context`")
    _, context = _find(name, "context", [(each.path, each.config.contexts) for each in files], told)
    said = context.context or _Context()
    place, entry = _find(said.cluster, "cluster", [(each.path, each.config.clusters) for each in files], told)
    cluster = entry.cluster or _Cluster()
    if not cluster.server:
        raise Malformed(f"{place}: the cluster {said.cluster} has no server")
    access = _access(cluster, place)
    if not said.user:
        return access
    place, found = _find(said.user, "user", [(each.path, each.config.users) for each in files], told)
    identity = _identity(found.user or _User(), f"{place}: the user {said.user}", place, cluster, environ)
    return msgspec.structs.replace(access, identity=identity)


def _read_files(file: str | None, environ: Mapping[str, str]) -> list[_File]:
    if file is not None:
        paths = [Path(file)]
    elif listed := environ.get("KUBECONFIG"):
        paths = [Path(each) for each in listed.split(os.pathsep) if each]
    elif home := environ.get("HOME"):
        paths = [Path(home) / ".kube" / "config"]
    else:
        raise Denied("no kubeconfig: neither KUBECONFIG nor HOME is set; say `kubeconfig`")
    there = [path for path in paths if path.exists()] or paths[:1]
    return [_File(path, _read(path)) for path in there]


def _read(path: Path) -> _Config:
    text = read_file(path, "the kubeconfig")
    try:
        return msgspec.convert(yaml.load(text, Loader=yaml.CSafeLoader) or {}, type=_Config)
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        line = f":{mark.line + 1}" if mark is not None else ""
        raise Malformed(f"{path}{line}: the kubeconfig is no YAML") from None
    except msgspec.ValidationError as exc:
        raise Malformed(f"{path}: the kubeconfig is not as kubectl writes it: {exc}") from None


def _find(
    name: str, what: str, lists: Sequence[tuple[Path, list[NamedT] | None]], told: str
) -> tuple[Path, NamedT]:
    """Find the entry of a name, and the file that it stands in; the first counts."""
    for path, entries in lists:
        for entry in entries or ():
            if entry.name == name:
                return path, entry
    known = sorted({entry.name for _, entries in lists for entry in entries or ()})
    there = f"there are {', '.join(known)}" if known else "there are none"
    raise Malformed(f"{told}: there is no {what} {name!r}; {there}")


def _access(cluster: _Cluster, place: Path) -> Access:
    return Access(
        server=cluster.server,
        authority=_data_or_file(
            cluster.certificate_authority_data, cluster.certificate_authority, "certificate-authority", place
        ),
        insecure=bool(cluster.insecure_skip_tls_verify),
        server_name=cluster.tls_server_name or None,
        proxy=cluster.proxy_url or None,
    )


def _identity(
    user: _User, told: str, place: Path, cluster: _Cluster, environ: Mapping[str, str]
) -> Identity | None:
    if user.auth_provider is not None:
        raise Malformed(f"{told} has an auth-provider, which kubectl gave up: use an exec plugin or a token")
    if user.as_ is not None:
        raise Malformed(f"{told} asks as somebody else (`as`), which is not done here: use a context without")
    certificate = _certificate(user, told, place)
    if user.token_file:
        return TokenFile(place.parent / user.token_file, certificate)
    if user.token:
        return Plain(f"Bearer {user.token}", certificate)
    if user.exec is not None:
        return ExecPlugin(
            user.exec, told, folder=place.parent, cluster=_exec_cluster(cluster, place), environ=environ
        )
    if user.username:
        pair = f"{user.username}:{user.password or ''}".encode()
        return Plain(f"Basic {base64.b64encode(pair).decode()}", certificate)
    return Plain(None, certificate) if certificate is not None else None


def _certificate(user: _User, told: str, place: Path) -> Certificate | None:
    chain = _data_or_file(user.client_certificate_data, user.client_certificate, "client-certificate", place)
    key = _data_or_file(user.client_key_data, user.client_key, "client-key", place)
    if chain is None and key is None:
        return None
    if chain is None or key is None:
        raise Malformed(f"{told} has a client certificate or its key, and not both")
    return Certificate(chain=chain, key=key)


def _data_or_file(data: str | None, file: str | None, what: str, place: Path) -> bytes | None:
    if data:
        try:
            return base64.b64decode(data, validate=False)
        except (binascii.Error, ValueError):
            raise Malformed(f"{place}: {what}-data is no base64") from None
    return read_file(place.parent / file, f"{what} of {place}") if file else None


def _exec_cluster(cluster: _Cluster, place: Path) -> dict[str, Any]:
    """Say of the cluster what a plugin is told that asks for it."""
    authority = _data_or_file(
        cluster.certificate_authority_data, cluster.certificate_authority, "certificate-authority", place
    )
    said: dict[str, Any] = {
        "server": cluster.server,
        "tls-server-name": cluster.tls_server_name,
        "insecure-skip-tls-verify": cluster.insecure_skip_tls_verify,
        "certificate-authority-data": base64.b64encode(authority).decode() if authority else None,
        "proxy-url": cluster.proxy_url,
        "config": next(
            (each.extension for each in cluster.extensions or () if each.name == _EXEC_CONFIG), None
        ),
    }
    return {key: value for key, value in said.items() if value is not None}
