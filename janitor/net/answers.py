"""What the answers of the distribution API say and mean.

A page is JSON of its shape; a manifest read by digest is of that digest, or Malformed; a delete that is
refused for good is told apart from one that failed this time. Schema 1 is let through unread: its digest
isn't that of its bytes.
"""

from __future__ import annotations

import hashlib

import msgspec

from janitor.core.manifest import digest_of
from janitor.core.reference import is_digest
from janitor.errors import Gone, Malformed, Refused
from janitor.net.caller import Kind, Trouble
from janitor.net.grammar import check_digest
from janitor.net.http import Response, decode, show, trouble

_SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+"


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """What a HEAD says of a manifest; ``digest`` is ``None`` where an older server doesn't say it."""

    digest: str | None
    media_type: str

    @property
    def is_schema1(self) -> bool:
        """Whether it is of Docker's first schema, whose digest isn't that of its bytes."""
        return self.media_type.startswith(_SCHEMA1)


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """A manifest's bytes, which are of its digest unless it is of schema 1."""

    digest: str
    media_type: str
    content: bytes

    @property
    def is_schema1(self) -> bool:
        """Whether it is of Docker's first schema."""
        return self.media_type.startswith(_SCHEMA1)


class Unsaid(Gone):
    """A 404 that doesn't say in a registry's words what isn't there; some proxy's, perhaps."""


class Catalogue(msgspec.Struct, kw_only=True):
    """A page of the catalogue; its length counts names."""

    repositories: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.repositories or ())


class Tags(msgspec.Struct, kw_only=True):
    """A page of tags; some servers write null for none."""

    tags: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.tags or ())


class _Descriptor(msgspec.Struct, kw_only=True):
    digest: str


class Referrers(msgspec.Struct, kw_only=True):
    """A page of referrers: an index, of which only the digests are believed."""

    manifests: tuple[_Descriptor, ...] | None

    def __len__(self) -> int:
        return len(self.manifests or ())


def read_catalogue(response: Response) -> Catalogue:
    """Read a page of the catalogue."""
    return decode(response, Catalogue)


def read_tags(response: Response) -> Tags:
    """Read a page of tags."""
    return decode(response, Tags)


def read_referrers(response: Response) -> Referrers:
    """Read a page of referrers; raises Gone where the answer is a page for people."""
    if "json" not in response.media_type:
        raise Gone(f"{show(response.url)} is no list of referrers")
    return decode(response, Referrers)


def read_head(response: Response) -> Head:
    """Read what a HEAD of a manifest says."""
    digest = response.header("Docker-Content-Digest")
    if digest is not None and not is_digest(digest):
        raise Malformed(f"{show(response.url)} says that its digest is {digest[:100]!r}, which is none")
    return Head(digest=digest, media_type=response.media_type)


def read_manifest(response: Response, reference: str, what: str) -> Body:
    """Read a manifest that was asked by ``reference``, and check it against its digest."""
    media_type = response.media_type
    said = reference if ":" in reference else response.header("Docker-Content-Digest")
    if media_type.startswith(_SCHEMA1):
        if said is None:
            raise Malformed(f"the manifest {what} is of schema 1 and comes without its digest")
        return Body(digest=check_digest(said), media_type=media_type, content=response.body)
    digest = check_digest(said or digest_of(response.body))
    verify(digest, response.body, f"the manifest {what}")
    return Body(digest=digest, media_type=media_type, content=response.body)


def verify(digest: str, content: bytes, what: str) -> None:
    """Check bytes against their digest; ``what`` they are."""
    algorithm, _, expected = digest.partition(":")
    if hashlib.new(algorithm, content).hexdigest() != expected:
        raise Malformed(f"{what}: the {len(content):,} bytes that came are not of its digest {digest}")


def referrers_trouble(response: Response, what: str, said: str) -> Trouble:
    """Take any refusal of the path itself as a server without this list."""
    if response.status in {400, 406}:
        return Trouble(Kind.GONE, Gone(f"{what}: {said}"))
    return trouble(response, what, said)


def delete_trouble(response: Response, what: str, said: str) -> Trouble:
    """Tell what the registry will never do from what failed this time."""
    text = f"{what}: {said}" if said else f"{what}: the registry answered {response.status}"
    match response.status, said.partition(" ")[0]:
        case ((400 | 404), "NAME_UNKNOWN" | "MANIFEST_UNKNOWN"):
            return Trouble(Kind.GONE, Gone(text))
        case ((404 | 410), _):
            return Trouble(Kind.GONE, Unsaid(text))
        case 405, "DENIED":  # zot, of a child of an index
            return Trouble(Kind.REFUSED, Refused(text))
        case 405, _:
            hint = "deleting is switched off there (distribution: storage.delete.enabled, or"
            hint += " REGISTRY_STORAGE_DELETE_ENABLED=true), or it is read-only"
            return Trouble(Kind.REFUSED, Refused(f"{text}; {hint}"))
        case ((400 | 409 | 412 | 423), _):
            return Trouble(Kind.REFUSED, Refused(text))
        case _:
            return trouble(response, what, said)


def put_trouble(response: Response, what: str, said: str) -> Trouble:
    """Tell a manifest that names what isn't there any more from one that could not be written this time."""
    code = said.partition(" ")[0]
    if code in {"MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN", "MANIFEST_UNKNOWN"}:
        return Trouble(Kind.GONE, Gone(f"{what}: some of what it is made of is gone ({said})"))
    return trouble(response, what, said)
