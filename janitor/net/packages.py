"""The container packages of one owner on GitHub, and their versions: one version is one manifest digest.

- Whose packages they are is asked once: an organisation's, the token's own user's, or those of another user,
  of whom GitHub lists the public ones alone.
- Package names are one segment of a path, their slashes encoded.
- A list of versions is whole when it has as many as GitHub counts, or what is missing was deleted.
- A deletion that was answered 404 is looked up: without the right GitHub says the same of what is there. So
  is one whose answer was lost.

Source: GitHub's documentation of the packages API (``/orgs/{org}/packages/container/{name}/versions``).
"""

from __future__ import annotations

import threading
from enum import StrEnum
from urllib.parse import quote

import msgspec

from janitor.core.image import Instant
from janitor.errors import Denied, Gone, Malformed, Refused, RegistryError, Unreachable
from janitor.net.caller import Purpose
from janitor.net.github import GitHub
from janitor.net.grammar import check_digest, check_name, check_tag

_COUNTS = 2  # readings of a list that is shorter than GitHub's own count


class Owner(StrEnum):
    """Whose packages they are; ``OTHER`` is a user who isn't the token's."""

    ORGANISATION = "organisation"
    SELF = "self"
    OTHER = "other"


class Package(msgspec.Struct, frozen=True, kw_only=True):
    """One package; ``version_count`` may lag behind, and may count deleted versions."""

    id: int
    name: str
    visibility: str | None = None
    version_count: int | None = None


class _Container(msgspec.Struct, frozen=True, kw_only=True):
    tags: tuple[str, ...]


class _Metadata(msgspec.Struct, frozen=True, kw_only=True):
    container: _Container


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """One manifest of a package: ``name`` is its digest, ``id`` what GitHub deletes and restores it by.

    ``created_at``: when the digest was pushed. ``updated_at``: not documented; tags move it.
    """

    id: int
    name: str
    created_at: Instant
    updated_at: Instant | None = None
    metadata: _Metadata

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags on it."""
        return self.metadata.container.tags


class _Account(msgspec.Struct, frozen=True, kw_only=True):
    login: str
    type: str = ""


class Packages:
    """The packages of one owner. Used from many threads; everything raises RegistryError."""

    def __init__(self, github: GitHub, owner: str) -> None:
        self._github = github
        self._owner = owner
        self._lock = threading.Lock()
        self._found: tuple[Owner, str] | None = None

    @property
    def owner(self) -> Owner:
        """Whose packages they are; asked once."""
        return self._place()[0]

    def names(self) -> tuple[str, ...]:
        """Read the names of all packages that the token may see."""
        _, base = self._place()
        what = f"the packages of {self._owner}"
        try:
            found = self._github.list(f"{base}/packages?package_type=container", Package, what)
        except Denied as exc:
            if "not accessible by" not in exc.message:
                raise
            raise Denied(
                f"{exc}; a workflow's GITHUB_TOKEN may not list packages: name them under `repositories`, or"
                " use a classic token with read:packages"
            ) from exc
        return tuple(check_name(package.name) for package in found)

    def versions(self, name: str) -> tuple[Version, ...]:
        """Read all versions of a package, the newest first; raises Gone where it isn't there."""
        what = f"the versions of {name}"
        for _ in range(_COUNTS):
            count = self._github.get(self._path(name), Package, f"the package {name}").version_count or 0
            found = self._github.list(f"{self._path(name)}/versions?state=active", Version, what)
            if len(found) >= count or len(found) + self._deleted(name) >= count:
                return tuple(map(_checked, found))
        raise Malformed(f"{what}: GitHub counts {count}, but lists {len(found)}")

    def version(self, name: str, version: int, *, finishing: bool = False) -> Version:
        """Read one version as it is now; raises Gone where it isn't there, or is deleted."""
        path = f"{self._path(name)}/versions/{version}"
        found = self._github.get(path, Version, f"version {version} of {name}", finishing=finishing)
        return _checked(found)

    def exists(self, name: str, version: int, *, finishing: bool = False) -> bool:
        """Look whether a version is there at this moment."""
        try:
            self.version(name, version, finishing=finishing)
        except Gone:
            return False
        return True

    def delete(self, name: str, version: int, what: str) -> str | None:
        """Delete a version with all its tags; return what is worth telling, or ``None``.

        ``what`` is it called in messages. Raises Refused where GitHub never will, Denied where the right is
        lacking.
        """
        path = f"{self._path(name)}/versions/{version}"
        request = self._github.changing("DELETE", path, what, purpose=Purpose.DELETE)
        try:
            self._github.send(request)
        except RegistryError as exc:
            if isinstance(exc, Gone) or request.lost:
                if not self._is_there_still(name, version, exc):
                    return "gone: a request without an answer did it" if request.lost else "was gone already"
                if isinstance(exc, Gone):
                    raise Denied(f"{exc}, but it is there; {_TO_DELETE}") from exc
            if isinstance(exc, Denied):
                raise Denied(f"{exc}; {_TO_DELETE}") from exc
            raise
        return None

    def restore(self, name: str, version: int, what: str) -> None:
        """Bring a deleted version back; one that is there is left as it is.

        Raises Refused where GitHub has it no more, Denied where the right is lacking.
        """
        path = f"{self._path(name)}/versions/{version}/restore"
        try:
            self._github.send(self._github.changing("POST", path, what, purpose=Purpose.OTHER))
        except Gone as exc:
            if not self.exists(name, version, finishing=True):
                message = "GitHub has it no more (it keeps what was deleted for 30 days)"
                raise Refused(f"{exc}; {message}, or {_TO_RESTORE}") from exc
        except Denied as exc:
            raise Denied(f"{exc}; {_TO_RESTORE}") from exc

    def _is_there_still(self, name: str, version: int, told: RegistryError) -> bool:
        """Look up what became of a deletion; it may have been done where that can't be told."""
        try:
            return self.exists(name, version, finishing=True)
        except RegistryError as exc:
            raise Unreachable(f"{told}; whether it is deleted could not be looked up ({exc})") from exc

    def _deleted(self, name: str) -> int:
        """Count the versions that are deleted and can be restored."""
        path = f"{self._path(name)}/versions?state=deleted"
        try:
            return len(self._github.list(path, Version, f"the deleted versions of {name}"))
        except (Gone, Denied):
            return 0

    def _path(self, name: str) -> str:
        return f"{self._place()[1]}/packages/container/{quote(check_name(name), safe='')}"

    def _place(self) -> tuple[Owner, str]:
        """Tell whose packages they are, and the path below which they stand."""
        with self._lock:
            if self._found is None:
                self._found = self._find()
            return self._found

    def _find(self) -> tuple[Owner, str]:
        login = quote(self._owner, safe="")
        try:
            account = self._github.get(f"/users/{login}", _Account, f"the account {self._owner}")
        except Gone as exc:
            raise Gone(f"{exc}; `owner` is the name of an organisation or a user") from exc
        if account.type == "Organization":
            return Owner.ORGANISATION, f"/orgs/{login}"
        try:
            me = self._github.get("/user", _Account, "the user whose token it is").login
        except (Denied, Gone):  # the token of a workflow or an app is nobody's
            me = ""
        if me.lower() == account.login.lower():
            return Owner.SELF, "/user"
        return Owner.OTHER, f"/users/{login}"


_TO_DELETE = "it takes delete:packages, and the role Admin on the package"
_TO_RESTORE = "it takes write:packages, and the role Admin on the package"


def _checked(version: Version) -> Version:
    check_digest(version.name)
    for tag in version.tags:
        check_tag(tag)
    return version
