"""A cluster: the images of its pods, and of everything that makes pods, scaled to zero or not.

- Of pods: what their ``spec`` names (init and ephemeral containers, image volumes too), and what their
  ``status`` says that runs (``imageID``). Of what makes pods: the templates. Of further ``resources``: every
  ``image`` at any depth, as in manifests.
- What makes is listed before what is made, pods last: what changes hands meanwhile is seen in one of them.
- A kind that can't be listed whole, and a pattern of namespaces that matches none, are problems; the other
  kinds are read all the same. A cluster that doesn't answer, or doesn't know who asks, is asked no further.

An ``imageID`` without a repository is the runtime's own name of an image (the digest of its configuration),
given where it knows no digest of a registry. It protects what has that digest, as any digest does; what may
be pulled again is what the ``spec`` names, which is protected beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from janitor.core.pattern import PatternKind, PatternList
from janitor.errors import Gone, RegistryError, Stopped, Unreachable
from janitor.inuse.interface import Context, Findings, Source
from janitor.inuse.keys import KubernetesKeys
from janitor.inuse.mentions import VOLUME_KEYS, Mentions
from janitor.net.http import show
from janitor.net.kubeaccess import SERVICE_ACCOUNT, Access, access_in_cluster
from janitor.net.kubeconfig import access_by_context
from janitor.net.kubernetes import Cluster, Item, Resource, Unauthorized

BUILT_IN: Sequence[Resource] = tuple(
    map(
        Resource.parse,
        (
            "batch/v1/cronjobs",
            "batch/v1/jobs",
            "apps/v1/deployments",
            "apps/v1/replicasets",
            "apps/v1/statefulsets",
            "apps/v1/daemonsets",
            "v1/replicationcontrollers",
            "v1/pods",
        ),
    )
)

_KEYS = ("image", "images", "imageID")
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")  # of a namespace; anything else is a pattern


class KubernetesSource(Source[KubernetesKeys]):
    """The images that one cluster names. ``service_account``: where a pod finds its own credentials."""

    kind: ClassVar[str] = "kubernetes"
    keys: ClassVar[type[msgspec.Struct]] = KubernetesKeys

    def __init__(self, keys: KubernetesKeys, *, service_account: Path = SERVICE_ACCOUNT) -> None:
        super().__init__(keys)
        self._service_account = service_account

    @property
    def name(self) -> str:
        """``kubernetes: `` and which: the context, the file of the context, the server, or ``in-cluster``."""
        keys = self._keys
        which = keys.context or keys.kubeconfig or (show(keys.server) if keys.server else "in-cluster")
        return f"kubernetes: {which}"

    def _read(self, found: Findings, context: Context, *, allow_empty: bool) -> None:
        namespaces = _Namespaces(self._keys.namespaces)
        reader = _Reader(found, namespaces)
        cluster = Cluster(self._access(context.environ), caller=context.caller(), environ=context.environ)
        try:
            cluster.connect()
            for resource in (*map(Resource.parse, self._keys.resources), *BUILT_IN):
                reader.read(cluster, resource)
        finally:
            cluster.close()
        if not allow_empty:
            found.problems += [
                f"no namespace with anything in it matches {each}" for each in namespaces.idle()
            ]

    def _access(self, environ: Mapping[str, str]) -> Access:
        keys = self._keys
        if keys.server is not None:
            access = Access.of_server(keys.server, token_file=keys.token_file, ca_file=keys.ca_file)
        elif keys.context is not None or keys.kubeconfig is not None:
            access = access_by_context(keys.context, keys.kubeconfig, environ)
        else:
            return access_in_cluster(environ, folder=self._service_account, server=keys.endpoint)
        if keys.endpoint is None:
            return access
        return msgspec.structs.replace(access, server=keys.endpoint)


class _Namespaces:
    """Which namespaces count, and whether each pattern of them meant one."""

    def __init__(self, texts: Sequence[str] | None) -> None:
        self._texts = texts
        self._patterns = None if texts is None else PatternList.of(texts, PatternKind.NAME)
        self._wanted: dict[str, bool] = {}

    def asked(self) -> Sequence[str | None]:
        """Say what is asked for: names alone one by one, so that rights are needed there only; else all."""
        if self._texts is None or not all(map(_NAME.fullmatch, self._texts)):
            return (None,)
        return tuple(dict.fromkeys(self._texts))

    def wants(self, item: Item) -> bool:
        """Whether an object counts; one that stands in no namespace always does."""
        if self._patterns is None or not item.namespace:
            return True
        wanted = self._wanted.get(item.namespace)
        if wanted is None:
            wanted = self._wanted[item.namespace] = self._patterns.selects(item.namespace)
        return wanted

    def idle(self) -> Iterator[str]:
        """Each pattern that no namespace of an object matches: mistyped, perhaps."""
        for text in self._texts or ():
            if not text.startswith("!") and not any(
                map(PatternList.of((text,), PatternKind.NAME).selects, self._wanted)
            ):
                yield text


class _Reader:
    """Takes the images of one kind of objects after another into the findings."""

    def __init__(self, found: Findings, namespaces: _Namespaces) -> None:
        self._found = found
        self._namespaces = namespaces
        self._mentions = Mentions(
            found,
            owner="its controller",
            unrendered="filled in only when it runs; leave the kind out of `resources`",
            undecided="leave the kind out of `resources`",
        )
        self._seen: set[str] = set()

    def read(self, cluster: Cluster, resource: Resource) -> None:
        """Read every object of a kind; raises what keeps all further kinds from being read."""
        take = self._take_built_in if resource in BUILT_IN else self._take_any
        for namespace in self._namespaces.asked():
            try:
                for item in cluster.objects(resource, namespace):
                    if self._namespaces.wants(item):
                        take(item, f"{resource} {item.namespace}/{item.name}")
            except (Stopped, Unauthorized, Unreachable):
                raise
            except Gone as error:
                self._found.problems.append(f"{error.message}; the cluster has no {resource}")
            except RegistryError as error:
                self._found.problems.append(error.message)

    def _take_built_in(self, item: Item, place: str) -> None:  # noqa: ARG002 - as the other's
        """Take what a pod or a template of one names: a runtime takes each text as it stands."""
        for _, value in _named(item.content):
            if isinstance(value, str):
                self._text(value)
            elif isinstance(value, dict):
                fields = _texts(value)
                for name in VOLUME_KEYS:
                    self._text(fields.get(name, ""))

    def _take_any(self, item: Item, place: str) -> None:
        """Take what names images anywhere, as in manifests."""
        for key, value in _named(item.content):
            if key == "imageID" and isinstance(value, str):
                self._text(value)
            elif key == "image" and isinstance(value, str) and value.strip():
                self._mentions.text(value.strip(), place)
            elif key == "image" and isinstance(value, dict):
                self._mentions.mapping(_texts(value), place)
            elif key == "images" and isinstance(value, list):
                for each in value:
                    if isinstance(each, dict):
                        self._mentions.override(_texts(each), place)
                    elif isinstance(each, str) and each.strip():
                        self._mentions.override(each.strip(), place)

    def _text(self, text: str) -> None:
        if text in self._seen:
            return
        self._seen.add(text)
        self._found.take(text)


def _named(content: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Give what stands under each key that may name images, at any depth but in the object's metadata."""
    stack: list[Any] = [{key: value for key, value in content.items() if key != "metadata"}]
    while stack:
        node = stack.pop()
        if isinstance(node, list):
            stack += node
        elif isinstance(node, dict):
            stack += node.values()
            yield from ((key, node[key]) for key in _KEYS if key in node)


def _texts(mapping: Mapping[str, Any]) -> dict[str, str]:
    """Read the texts and numbers of a mapping."""
    texts = {
        key: str(value).strip()
        for key, value in mapping.items()
        if isinstance(value, str | int) and not isinstance(value, bool)
    }
    return {key: text for key, text in texts.items() if text}
