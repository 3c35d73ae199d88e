"""What the versions of a package are: their manifests, read from the registry once a digest.

GitHub's API tells neither media type, nor children, nor subject, and the registry has no list of referrers.
Each reading counts as a download, and what was downloaded often can't be deleted any more. So:

- Every version is read, once: it may be an index, or refer to another. Only what an index that is there names
  as the image of a platform is neither; it is read where its size, time or labels are asked for.
- What can't be read is an error of the whole package: unread, it might hold or refer to anything.
- What isn't there any more, though it is listed, is left out: GitHub lists what was deleted for a while.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from janitor.core.image import ImageType
from janitor.core.known import Known
from janitor.decoding import decode
from janitor.errors import Gone, Malformed
from janitor.net.answers import Body
from janitor.net.distribution import Distribution
from janitor.net.reading import known_of, with_config
from janitor.parallel import each

_IMAGES = frozenset(
    {
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    }
)


class Manifests:
    """The manifests of one package.

    ``name``: as the registry calls it. ``known``: what earlier runs read. ``deep``: platforms too are read;
    ``configs``: and the configurations of images. ``gone``: whether a digest isn't there any more.
    """

    def __init__(
        self,
        api: Distribution,
        name: str,
        *,
        known: Mapping[str, Known],
        deep: bool,
        configs: bool,
        gone: Callable[[str], bool],
        workers: int,
    ) -> None:
        self._api = api
        self._name = name
        self._known = dict(known)
        self._deep = deep
        self._configs = configs
        self._gone = gone
        self._workers = workers

    def read(self, tagged: Sequence[str], untagged: Sequence[str]) -> dict[str, Known]:
        """Find out all about these digests; what is gone is left out. Raises RegistryError of what isn't."""
        there = {*tagged, *untagged}
        found: dict[str, Known | None] = {}
        self._reach(tagged, there, found)
        self._reach([digest for digest in untagged if digest not in found], there, found)
        return {digest: known for digest, known in found.items() if known is not None}

    def _reach(self, digests: Sequence[str], there: set[str], found: dict[str, Known | None]) -> None:
        """Read these, then what the indexes among them name, and so on; each once."""
        level = digests
        while level:
            read = list(each(self._find, level, workers=self._workers))
            found.update({digest: one.known for digest, one in zip(level, read, strict=True)})
            following: dict[str, None] = {}
            for one in read:
                for child in one.children & there - found.keys():
                    platform = one.platforms.get(child) or self._recalled_platform(child)
                    if platform is None or self._deep:
                        following[child] = None
                    else:
                        found[child] = platform
            level = [child for child in following if child not in found]

    def _find(self, digest: str) -> _Found:
        known = self._known.get(digest)
        platforms: Mapping[str, Known] = {}
        if known is None or _is_unread(known):
            try:
                body = self._api.manifest(self._name, digest)
            except Gone as exc:
                if self._gone(digest):
                    return _Found(known=None)
                raise Malformed(f"{exc}; the version is listed, but its manifest can't be read") from exc
            known = known_of(body, self._name)
            platforms = _platforms(body) if known.children else {}
        if self._configs:
            known = with_config(self._api, self._name, known)
        return _Found(known=known, platforms=platforms)

    def _recalled_platform(self, digest: str) -> Known | None:
        known = self._known.get(digest)
        return known if known is not None and _is_unread(known) else None


class _Found(msgspec.Struct, frozen=True, kw_only=True):
    """What was found of a digest: ``None`` where it is gone; and what it says of the platforms it names."""

    known: Known | None
    platforms: Mapping[str, Known] = {}

    @property
    def children(self) -> frozenset[str]:
        return frozenset(self.known.children if self.known else ())


def _is_unread(known: Known) -> bool:
    """Whether all that is known of a manifest is what an index says of it: that it is a platform's image."""
    return known.labels is None and known.config_digest is None


class _Platform(msgspec.Struct, kw_only=True):
    os: str = ""


class _Descriptor(msgspec.Struct, kw_only=True, rename="camel"):
    media_type: str
    digest: str
    artifact_type: str | None = None
    platform: _Platform | None = None


class _Index(msgspec.Struct, kw_only=True):
    manifests: tuple[_Descriptor, ...] = ()


def _platforms(body: Body) -> dict[str, Known]:
    """Tell which children an index names as the images of platforms; attestations have an unknown one."""
    index = decode(body.content, _Index)
    return {
        child.digest: Known(media_type=child.media_type, type=ImageType.IMAGE)
        for child in index.manifests
        if child.media_type in _IMAGES
        and not child.artifact_type
        and child.platform is not None
        and child.platform.os not in {"", "unknown"}
    }
