"""Artifact Registry by the distribution API: images below the project's name, with what Google adds."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from tests.simulators.access import Access
from tests.simulators.gar_rules import DOWNLOADING, refusal
from tests.simulators.oci import Flavour, OciServer
from tests.simulators.server import Answer, Request

if TYPE_CHECKING:
    from tests.simulators.gar import GarServer

# Why a manifest can't go, as the registry says what the service says in words.
_REASONS = (
    ("by tag", "GOOGLE_MANIFEST_DANGLING_TAG"),
    ("by image", "GOOGLE_MANIFEST_DANGLING_PARENT_IMAGE"),
    ("parent images", "GOOGLE_MANIFEST_REFERRING_MANIFEST"),
)


class GarRegistry(OciServer):
    """One project's. A tag goes by its name and leaves the manifest; a manifest goes by its digest."""

    def __init__(self, service: GarServer) -> None:
        self.service = service
        self._project = ""
        super().__init__(
            service.world, Flavour(name="gar", referrers=True, deletes_tags=True), access=Access()
        )

    def answer(self, request: Request) -> Answer:
        if self.service.token is not None:
            sent = request.headers.get("authorization")
            if sent != f"Bearer {self.service.token}":
                return Answer(status=401, headers={"WWW-Authenticate": 'Bearer realm="https://g.example/t"'})
        if request.path != "/v2/" and not self.service.may(DOWNLOADING):
            return Answer(status=403, body=b'{"errors":[{"code":"DENIED","message":"Permission denied"}]}')
        self.world = self.service.world
        self._project = self._project_of(request.path)
        path = request.path.replace(f"/v2/{self._project}/", "/v2/", 1)
        return super().answer(msgspec.structs.replace(request, path=path))

    def _project_of(self, path: str) -> str:
        """The project of a path: of anybody's, whatever stands first."""
        found = re.match(r"/v2/([^/_][^/]*)/", path) if self.service.anybody else None
        return found[1] if found else self.service.project

    def _catalogue(self, request: Request) -> Answer:
        answer = super()._catalogue(request)
        names = [f"{self._project}/{name}" for name in json.loads(answer.body)["repositories"]]
        return msgspec.structs.replace(answer, body=json.dumps({"repositories": names}).encode())

    def _tags(self, request: Request, name: str) -> Answer:
        """With every manifest, its times and tags beside the list of tags, and the names below this one."""
        below = {
            full.removeprefix(f"{name}/").partition("/")[0]
            for full in self.world.repositories
            if full.startswith(f"{name}/")
        }
        place = self.world.repositories.get(name)
        if place is None and not below:
            return super()._tags(request, name)
        held = place.manifests.values() if place is not None else ()
        manifests = {
            each.digest: {
                "imageSizeBytes": str(each.size_bytes or 0),
                "layerId": "",
                "mediaType": each.media_type,
                "tag": sorted(place.tags_of(each.digest)) if place is not None else [],
                "timeCreatedMs": _milliseconds(each.created_at),
                "timeUploadedMs": _milliseconds(each.pushed_at),
            }
            for each in held
        }
        document: dict[str, Any] = {
            "child": sorted(below),
            "manifest": manifests,
            "name": f"{self._project}/{name}",
            "tags": sorted(place.tags) if place is not None else [],
        }
        headers = {"Content-Type": "application/json"}
        return Answer(headers=headers, body=json.dumps(document).encode())

    def _delete_manifest(self, name: str, reference: str) -> Answer:
        place = self.world.repositories.get(name)
        if place is not None and reference in place.manifests:
            immutable = self.service.settings_of(name).immutable
            refused = refusal(place, reference, force=False, immutable=immutable)
            if refused is not None:
                code = next((code for words, code in _REASONS if words in refused.message), "DENIED")
                body = {"errors": [{"code": code, "message": refused.message}]}
                return Answer(status=400, body=json.dumps(body).encode())
        return super()._delete_manifest(name, reference)


def _milliseconds(moment: datetime | None) -> str:
    """Since 1970, as text; what has no time is of that year."""
    return "0" if moment is None else str(max(0, int(moment.timestamp() * 1000)))
