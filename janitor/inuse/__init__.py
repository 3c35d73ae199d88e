"""The sources that say which images are in use: one row a source, one file a source.

Nothing is imported before a row is used, so that a command loads only the sources that its policies name.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

import msgspec

from janitor.core.use import InUse
from janitor.inuse.keys import EcsKeys, FileKeys, KubernetesKeys, LambdaKeys, ManifestsKeys, UrlKeys

if TYPE_CHECKING:
    import threading

    from janitor.core.policy import SourceSpec
    from janitor.inuse.interface import Source


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One source: the word that policies use, its keys, and where its class stands, as ``module:class``."""

    kind: str
    keys: type[msgspec.Struct]
    place: str

    @property
    def source(self) -> type[Source[Any]]:
        """The source's class; imports its module."""
        module, _, name = self.place.partition(":")
        return cast("type[Source[Any]]", getattr(import_module(module), name))


SOURCES: Mapping[str, Row] = {
    row.kind: row
    for row in (
        Row(kind="kubernetes", keys=KubernetesKeys, place="janitor.inuse.kubernetes:KubernetesSource"),
        Row(kind="ecs", keys=EcsKeys, place="janitor.inuse.ecs:EcsSource"),
        Row(kind="lambda", keys=LambdaKeys, place="janitor.inuse.lambda_:LambdaSource"),
        Row(kind="manifests", keys=ManifestsKeys, place="janitor.inuse.manifests:ManifestsSource"),
        Row(kind="file", keys=FileKeys, place="janitor.inuse.file:FileSource"),
        Row(kind="url", keys=UrlKeys, place="janitor.inuse.url:UrlSource"),
    )
}


def collect(
    specs: tuple[SourceSpec, ...],
    stop: threading.Event,
    environ: Mapping[str, str] = MappingProxyType({}),
) -> InUse:
    """Read every source once, in the order of the policy files.

    ``environ``: where proxies, certificates and credentials may be named. A source that can't be read is a
    reading with its ``error``; the others are read all the same, and nothing is raised.
    """
    if not specs:
        return InUse()
    from janitor.inuse.interface import Context  # noqa: PLC0415 - only a policy that names sources pays for it

    context = Context(environ=environ, stop=stop)
    return InUse(
        readings=tuple(
            SOURCES[spec.kind].source(spec.keys).read(context, allow_empty=spec.allow_empty) for spec in specs
        )
    )
