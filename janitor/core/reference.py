"""References to images, as people, clusters and files write them: ``host/repository:tag@digest``.

Rules, which are docker's: a first component is a host if it has a dot or a colon or is ``localhost``; what
has no host is on ``docker.io``, and a bare name there is below ``library``; ``docker.io``,
``index.docker.io`` and ``registry-1.docker.io`` are one host, called ``docker.io`` here. Hosts are compared
in lower case and without the default port. What Kubernetes puts before an ``imageID`` is dropped, and an
``imageID`` that is a digest alone is a reference without host and repository.
"""

from __future__ import annotations

import re
from functools import lru_cache

import msgspec

_HUB = "docker.io"
_HUB_HOSTS = frozenset({_HUB, "index.docker.io", "registry-1.docker.io"})
_HTTPS_PORT = ":443"

_SCHEMES = ("docker-pullable://", "docker://", "oci://")
_WEB_SCHEMES = ("https://", "http://")

# Longer than host, repository (255), tag (128) and a SHA-512 digest together.
_MAX_TEXT = 1024

_HOST = r"(?:[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?"
_COMPONENT = r"[a-z0-9]+(?:(?:[.]|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = rf"{_COMPONENT}(?:/{_COMPONENT})*"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}"
# What registries name content by; a regular expression of the whole.
DIGEST = r"(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})"
_is_digest = re.compile(DIGEST).fullmatch
_IMAGE_ID = r"[0-9a-f]{64}"


class ImageReferenceError(ValueError):
    """A text is no reference to an image; the message is a sentence that says why."""


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """One reference.

    ``host`` and ``repository`` are empty in a digest that stands alone. ``tag`` is ``latest`` where neither
    tag nor digest was written; with both, both are kept.
    """

    host: str
    repository: str
    tag: str | None = None
    digest: str | None = None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Read a reference; :class:`ImageReferenceError` says what is wrong with the text."""
        if len(text) > _MAX_TEXT:
            raise ImageReferenceError(f"{text[:60]}… is too long for an image reference")
        rest = _without_scheme(text)
        if is_digest(rest):
            return cls(host="", repository="", digest=rest)
        name, at, digest = rest.partition("@")
        if at and not is_digest(digest):
            raise ImageReferenceError(
                f"{text}: after the @ stands no digest; one is sha256: and 64 of 0-9a-f, or sha512: and 128"
            )
        name, tag = _cut_tag(name)
        if tag is not None and not re.fullmatch(_TAG, tag):
            raise ImageReferenceError(
                f"{text}: {tag!r} is no tag; one has up to 128 letters, digits, dots, hyphens or _"
            )
        host, repository = _cut_host(name)
        _check_name(host, repository, text)
        if tag is None and not at:
            tag = "latest"
        return cls(host=host, repository=repository, tag=tag, digest=digest or None)

    @property
    def name(self) -> str:
        """``host/repository``; empty where a digest stands alone."""
        return f"{self.host}/{self.repository}" if self.repository else ""

    def __str__(self) -> str:
        if not self.repository:
            return self.digest or ""
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.name}{tag}{digest}"

    def repository_below(self, prefix: str) -> str | None:
        """What follows ``prefix`` (``docker.io/acme``, ``registry.example.com:5000``) in the name.

        ``None`` if the name isn't below it, component by component: ``acme`` isn't a prefix of ``acme-2``.
        """
        below = normal_host(prefix) + "/"
        return self.name[len(below) :] if self.name.startswith(below) else None

    def matches_host(self, prefix: str) -> bool:
        """Whether the reference names a repository below this prefix."""
        return self.repository_below(prefix) is not None


def is_digest(text: str) -> bool:
    """Whether a text is a digest of SHA-256 or SHA-512."""
    return _is_digest(text) is not None


@lru_cache(maxsize=1024)
def normal_host(prefix: str) -> str:
    """A host, or a host with the beginning of a repository, in the form that :attr:`Reference.name` has.

    Scheme, trailing slash and default port are dropped, the host is in lower case, the hosts of Docker Hub
    are ``docker.io``, and what begins with no host is below ``docker.io``.
    """
    for scheme in (*_WEB_SCHEMES, *_SCHEMES):
        if prefix.lower().startswith(scheme):
            prefix = prefix[len(scheme) :]
            return "/".join((_normal(prefix.split("/")[0]), *prefix.rstrip("/").split("/")[1:]))
    first, *rest = prefix.rstrip("/").split("/")
    if not _is_host(first):
        return "/".join((_HUB, first, *rest))
    return "/".join((_normal(first), *rest))


def _without_scheme(text: str) -> str:
    for scheme in _SCHEMES:
        if text.startswith(scheme):
            return text.removeprefix(scheme)
    if text.startswith(_WEB_SCHEMES):
        raise ImageReferenceError(f"{text}: an image reference has no {text.partition('//')[0]}//")
    return text


def _cut_tag(name: str) -> tuple[str, str | None]:
    """Cut off what follows the last colon, unless that colon is a host's."""
    before, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:
        return name, None
    return before, tag


def _cut_host(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    if not slash or not _is_host(first):
        host, repository = _HUB, name
    else:
        host, repository = _normal(first), rest
    if host == _HUB and "/" not in repository:
        repository = f"library/{repository}"
    return host, repository


def _check_name(host: str, repository: str, text: str) -> None:
    own = repository.removeprefix("library/")
    if not own:
        raise ImageReferenceError(f"{text or repr(text)} names no image")
    if not re.fullmatch(_HOST, host):
        raise ImageReferenceError(f"{text}: {host} is no host")
    if host == _HUB and (own in ("sha256", "sha512") or re.fullmatch(_IMAGE_ID, own)):
        raise ImageReferenceError(f"{text} is an image's id, or a digest that is cut, and no reference")
    if re.fullmatch(_REPOSITORY, repository):
        return
    if re.fullmatch(_REPOSITORY, repository.lower()):
        raise ImageReferenceError(f"{text}: a repository is written in lower case, {repository.lower()}")
    raise ImageReferenceError(f"{text}: {own} is no repository's name")


def _is_host(component: str) -> bool:
    return "." in component or ":" in component or component.lower() == "localhost"


def _normal(host: str) -> str:
    host = host.lower().removesuffix(_HTTPS_PORT)
    return _HUB if host in _HUB_HOSTS else host
