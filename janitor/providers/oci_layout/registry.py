"""The ``oci-layout`` provider: image layouts in a local folder, as skopeo, buildx, oras and regctl write.

Every folder with an ``oci-layout`` file is a repository, called by its path below the registry's folder (that
folder itself: ``.``). Listed is what ``index.json`` leads to: its manifests, and the manifests that these
name. Rules that are enforced here:

- A manifest that can't be read, isn't its digest or can be read in two ways makes the repository unreadable;
  a child that an index names and the layout doesn't hold is none of these.
- A name that stands on two digests, or can't be told to be a tag, locks what it stands on. So does a
  ``manifest.json`` beside: what ``docker save`` wrote has a second index, which nobody here would keep right.
- Deleting writes a new ``index.json`` in place of the old one, if that is still what was read, and then
  removes the blobs that nothing holds any more. When it can't be told what all remaining manifests hold,
  every blob stays.
- Symbolic links are not followed, and what isn't called by a digest is no blob.

A layout has no times but those of image configurations: a file's own is the copy's. Writers don't lock
layouts, so that a folder which a running server keeps must not be given here.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import ClassVar, Self

import msgspec

from janitor.core.image import Image
from janitor.core.manifest import IMAGE_CONFIGS, Manifest, image_type
from janitor.core.policy import RegistrySpec
from janitor.core.reference import normal_host
from janitor.core.report import OutcomeKind
from janitor.core.units import parse_time
from janitor.decoding import decode
from janitor.errors import FileError, Malformed, RegistryError, Unreachable
from janitor.files.layout import MARKER, Changed, Index, Layout, Names
from janitor.providers.interface import (
    Context,
    Field,
    Keepsake,
    Listing,
    Registry,
    RepositoryFilter,
    Result,
    Unit,
)
from janitor.providers.keys import Keys, OciLayoutKeys
from janitor.providers.oci_layout.removing import Removal, deleted, failed, refused
from janitor.providers.oci_layout.returning import put_back

_ATTEMPTS = 5  # to replace an index that somebody else keeps writing


class OciLayout(Registry):
    """Image layouts below one folder."""

    provider: ClassVar[str] = "oci-layout"
    keys: ClassVar[type[Keys]] = OciLayoutKeys
    abilities = OciLayoutKeys(path="").abilities

    def __init__(self, path: Path, hosts: tuple[str, ...], repositories: tuple[str, ...] | None) -> None:
        self.hosts = hosts
        self._path = path
        self._named = repositories
        self._changing = threading.Lock()
        # The layout that is being changed: batches follow one another, its manifests needn't be read again.
        self._last: Layout | None = None

    @classmethod
    def open(cls, spec: RegistrySpec, context: Context) -> Self:  # noqa: ARG003 - a folder needs nothing of a run
        """Make it of ``spec.keys``; the folder is looked at when it is listed."""
        keys = msgspec.convert(spec.keys, OciLayoutKeys, from_attributes=True)
        return cls(Path(keys.path), tuple(map(normal_host, spec.aliases)), spec.repositories)

    def _units(self, only: RepositoryFilter) -> Iterator[Unit]:
        names = _found(self._path) if self._named is None else iter(dict.fromkeys(self._named))
        return (Unit(name=name) for name in names if only.wants(name))

    def _list(self, unit: Unit, wanted: frozenset[Field]) -> Iterator[Listing]:  # noqa: ARG002 - all is at hand
        try:
            folder = self._folder(unit.name)
            images = () if folder is None else tuple(_images(Layout(folder)))
        except FileError as error:
            raise _translated(error) from error
        yield Listing(repository=unit.name, images=images)

    def _tags_now(self, repository: str, images: Sequence[Image]) -> Mapping[str, frozenset[str] | None]:
        with self._changing:
            try:
                layout = self._layout(repository)
                return _tags_of(layout, [image.digest for image in images])
            except FileError as error:
                raise _translated(error) from error

    def _delete(self, repository: str, images: Sequence[Image]) -> Iterator[Result]:
        with self._changing:
            try:
                results = self._deleted(repository, images)
            except FileError as error:
                raise _translated(error) from error
        yield from results

    def _deleted(self, repository: str, images: Sequence[Image]) -> tuple[Result, ...]:
        layout = self._layout(repository)
        if layout is None:
            return tuple(deleted(image.digest, "was gone already") for image in images)
        for _ in range(_ATTEMPTS):
            removal = Removal(layout, images)
            try:
                removal.write()
            except Changed:
                continue
            return removal.swept()
        return tuple(failed(image.digest, "the layout was written to again and again") for image in images)

    def _untag(self, repository: str, image: Image, tags: Sequence[str]) -> Result:
        with self._changing:
            try:
                return self._untagged(repository, image, frozenset(tags))
            except FileError as error:
                raise _translated(error) from error

    def _untagged(self, repository: str, image: Image, tags: frozenset[str]) -> Result:
        layout = self._layout(repository)
        if layout is None:
            return failed(image.digest, "is gone")
        for _ in range(_ATTEMPTS):
            index = layout.index()
            names = Names(layout, index)
            if image.digest in names.locked:
                return refused(image.digest, names.locked[image.digest])
            now = names.of(image.digest)
            if not now & tags:
                return Result(digest=image.digest, outcome=OutcomeKind.UNTAGGED, detail="was off already")
            if not now - tags:
                return failed(image.digest, "has no other tag now, and would be left without")
            try:
                layout.replace_index(index, index.with_entries(_without_tags(index, image.digest, tags)))
            except Changed:
                continue
            return Result(digest=image.digest, outcome=OutcomeKind.UNTAGGED)
        return failed(image.digest, "the layout was written to again and again")

    def _keepsakes(self, repository: str, images: Sequence[Image]) -> Mapping[str, Keepsake]:
        with self._changing:
            try:
                layout = self._layout(repository)
                if layout is None:
                    return {}
                bodies = [layout.blob(image.digest) for image in images]
            except FileError as error:
                raise _translated(error) from error
        return {
            image.digest: Keepsake(
                digest=image.digest, tags=image.tags, media_type=image.media_type, manifest=body
            )
            for image, body in zip(images, bodies, strict=True)
            if body is not None
        }

    def _restore(self, repository: str, keepsakes: Sequence[Keepsake]) -> Iterator[Result]:
        with self._changing:
            try:
                results = self._put_back(repository, keepsakes)
            except FileError as error:
                raise _translated(error) from error
        yield from results

    def _put_back(self, repository: str, keepsakes: Sequence[Keepsake]) -> tuple[Result, ...]:
        layout = self._layout(repository)
        if layout is None:
            return tuple(refused(kept.digest, "its layout is gone") for kept in keepsakes)
        for _ in range(_ATTEMPTS):
            try:
                return put_back(layout, keepsakes)
            except Changed:
                continue
        return tuple(failed(kept.digest, "the layout was written to again and again") for kept in keepsakes)

    def _layout(self, repository: str) -> Layout | None:
        """The layout of a repository that is to be changed; ``None`` where its folder is gone."""
        folder = self._folder(repository)
        if folder is None:
            return None
        if self._last is None or self._last.folder != folder:
            self._last = Layout(folder)
        return self._last

    def _folder(self, repository: str) -> Path | None:
        folder = _folder(self._path, repository)
        if not folder.is_dir():
            return None
        if not (folder / MARKER).is_file():
            raise Malformed(f"{folder} is no image layout: it has no {MARKER} file")
        return folder


def _tags_of(layout: Layout | None, digests: Sequence[str]) -> Mapping[str, frozenset[str] | None]:
    if layout is None:
        return dict.fromkeys(digests, None)
    index = layout.index()
    names = Names(layout, index)
    there = {named.digest for named in layout.walk(index.roots())}
    return {
        digest: names.of(digest) if digest in there and layout.holds(digest) else None for digest in digests
    }


class _Settings(msgspec.Struct, frozen=True, kw_only=True, rename={"labels": "Labels"}):
    labels: dict[str, str] | None = None


class _Configuration(msgspec.Struct, frozen=True, kw_only=True):
    created: str | None = None
    config: _Settings | None = None


def _images(layout: Layout) -> Iterator[Image]:
    index = layout.index()
    names = Names(layout, index)
    for named, manifest, body in layout.manifests(index.roots()):
        yield _image(layout, named.digest, manifest, body, names)


def _image(layout: Layout, digest: str, manifest: Manifest, body: bytes, names: Names) -> Image:
    tags = tuple(sorted(names.of(digest)))
    configuration = _configuration(layout, manifest)
    # What children have is theirs; a build cache's index has none, and is all that there is of it.
    whole = manifest.size_bytes is not None and not manifest.children
    # Of two times the later one: it deletes less.
    created = [each for each in (manifest.created, _time(configuration)) if each is not None]
    return Image(
        digest=digest,
        tags=tags,
        media_type=manifest.media_type,
        artifact_type=manifest.artifact_type,
        type=image_type(manifest, tags),
        created_at=max(created, default=None),
        size_bytes=(manifest.size_bytes or 0) + len(body) if whole else None,
        children=tuple(dict.fromkeys(child.digest for child in manifest.children)),
        subject=manifest.subject,
        locked=digest in names.locked,
        labels=_labels(configuration, manifest),
    )


def _configuration(layout: Layout, manifest: Manifest) -> _Configuration | None:
    """What the image's configuration says: nothing where it needs none, ``None`` where that is unknown."""
    if manifest.config is None or manifest.config.media_type not in IMAGE_CONFIGS:
        return _Configuration()
    body = layout.blob(manifest.config.digest)
    try:
        return None if body is None else decode(body, _Configuration)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _labels(configuration: _Configuration | None, manifest: Manifest) -> Mapping[str, str] | None:
    if configuration is None:
        return None
    said = configuration.config.labels if configuration.config is not None else None
    return {**(said or {}), **manifest.annotations}


def _time(configuration: _Configuration | None) -> datetime | None:
    if configuration is None or not configuration.created:
        return None
    try:
        return parse_time(configuration.created)
    except ValueError:
        return None


def _without_tags(index: Index, digest: str, tags: frozenset[str]) -> Iterator[msgspec.Raw]:
    """The descriptors without those of a digest that only say these tags."""
    return (entry.raw for entry in index.entries if entry.digest != digest or entry.tag not in tags)


def _found(root: Path) -> Iterator[str]:
    """The name of every layout below a folder, sorted within each folder. Raises RegistryError."""

    def refuse(error: OSError) -> None:
        raise Unreachable(f"{error.filename} can't be read: {error.strerror or error}") from error

    for place, folders, files in os.walk(root, onerror=refuse):
        folders.sort()
        if MARKER in files:
            # Nothing below a layout's blobs is a layout, and there may be very many of them.
            folders[:] = [name for name in folders if name != "blobs"]
            name = Path(place).relative_to(root).as_posix()
            if not name.isascii() and name != name.encode(errors="replace").decode(errors="replace"):
                raise Malformed(f"{root}: the name of the folder {name!r} is no UTF-8")
            yield name


def _folder(root: Path, repository: str) -> Path:
    """The folder of a repository. Raises RegistryError for a name that leads out of the registry's folder."""
    parts = [] if repository == "." else repository.split("/")
    try:
        folder = root.resolve().joinpath(*parts)
        if any(part in ("", ".", "..") for part in parts) or folder.resolve() != folder:
            raise Malformed(f"{repository!r} leads out of {root}, or over a symbolic link")
    except (OSError, ValueError) as error:
        raise Malformed(f"{repository!r} is no name of a folder: {error}") from error
    return folder


def _translated(error: FileError) -> RegistryError:
    kind = Unreachable if isinstance(error.__cause__, OSError) else Malformed
    return kind(error.message)
