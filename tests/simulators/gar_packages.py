"""Packages and moved tags: what programs ask Artifact Registry for that go image name by image name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from google.cloud import artifactregistry_v1 as ar

from tests.simulators.gar_rules import Refusal, delete, missing, tag_refusal
from tests.simulators.gar_wire import timestamp

if TYPE_CHECKING:
    from tests.simulators.gar import GarServer


class Packages:
    """``methods``: by name, what answers them."""

    def __init__(self, service: GarServer) -> None:
        self._service = service
        self.methods: Mapping[str, Callable[[Any], Any]] = {
            "ListPackages": self._list,
            "GetPackage": self._get,
            "DeletePackage": self._delete,
            "UpdateTag": self._move_tag,
        }

    def _list(self, request: Any) -> Any:
        place = self._service.place(request.parent, "")
        found = [
            self._package(full)
            for full in sorted(self._service.world.repositories)
            if full.partition("/")[0] == place
        ]
        page, token = self._service.page(request, found)
        return ar.ListPackagesResponse(packages=page, next_page_token=token)

    def _get(self, request: Any) -> Any:
        full = self._service.full(request.name)
        return self._package(full) if full in self._service.world.repositories else missing(request.name)

    def _package(self, full: str) -> Any:
        place, _, name = full.partition("/")
        held = self._service.at(full).manifests.values()
        pushed = sorted(each.pushed_at for each in held if each.pushed_at is not None)
        return ar.Package(
            name=f"{self._service.parent}/repositories/{place}/packages/{quote(name, safe='')}",
            create_time=timestamp(pushed[0]) if pushed else None,
            update_time=timestamp(pushed[-1]) if pushed else None,
        )

    def _delete(self, request: Any) -> Any:
        full = self._service.full(request.name)
        if full not in self._service.world.repositories:
            return missing(request.name)

        def run() -> Refusal | None:
            delete(self._service.world, full, list(self._service.at(full).manifests))
            del self._service.world.repositories[full]
            return None

        return self._service.begun(run, ar.OperationMetadata())

    def _move_tag(self, request: Any) -> Any:
        """A tag that isn't there is made."""
        package, _, tag = request.tag.name.partition("/tags/")
        full, digest = self._service.full(package), request.tag.version.partition("/versions/")[2]
        if digest not in self._service.at(full).manifests:
            return missing(request.tag.version)
        if unquote(tag) in self._service.at(full).tags and (
            refused := tag_refusal(self._service.settings_of(full).immutable)
        ):
            return refused
        self._service.world.retag(full, unquote(tag), digest)
        return ar.Tag(name=request.tag.name, version=request.tag.version)
