"""An OCI image layout in a folder: read with suspicion, changed by replacing one file.

Rules: every manifest is verified against its digest before it is believed; a manifest that ``index.json``
lists must be there, a child that an index names may be missing. ``index.json`` is replaced only if it is
still, byte for byte, what was read, and what this program doesn't know in it stays as it was written. A blob
is removed only if it is called by a digest, is a plain file, and all manifests that are left say what they
hold. No symbolic link is followed below the layout's folder. A name that stands on two digests, or can't be
told to be a tag, locks what it stands on, and so does the second index that ``docker save`` writes.

Source: OCI image-spec, image-layout.md. There is no locking standard: a writer that puts a blob between
our look and its ``index.json`` is why blobs that nobody released must be a day old to be swept.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from janitor.core.manifest import MANIFEST_TYPES, Manifest, ManifestError, parse_manifest
from janitor.core.manifest import plain_media_type as plain
from janitor.decoding import decode
from janitor.errors import FileError
from janitor.files.atomic import replacing, write_atomically

MARKER = "oci-layout"
INDEX = "index.json"
DOCKER_INDEX = "manifest.json"

REF_NAME = "org.opencontainers.image.ref.name"
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
# containerd and docker write the whole reference: docker.io/library/app:1.0
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]*")

_MAX_INDEX = 512 * 2**20  # some 300 bytes a descriptor: over a million of them
_MAX_BLOB = 16 * 2**20  # registries take manifests of 4 MiB; configurations are smaller
_HEX_DIGITS = {"sha256": 64, "sha512": 128}
_STALE_SECONDS = 24 * 3600

# What an index may name besides manifests and still be understood: build caches name their layers.
_BLOB_TYPES = (
    "application/vnd.oci.image.layer.",
    "application/vnd.docker.image.rootfs.",
    "application/vnd.buildkit.",
)


_Found = TypeVar("_Found")


class Changed(Exception):
    """Somebody else wrote ``index.json`` meanwhile."""


class Named(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A manifest as something else names it; ``size`` is in bytes."""

    media_type: str
    digest: str
    size: int


class Node(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What one manifest holds. ``opaque``: that can't be told in full."""

    children: tuple[Named, ...]
    blobs: tuple[str, ...]
    opaque: bool


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One descriptor of ``index.json``; ``raw`` is as it was written, ``name`` its ref.name."""

    raw: msgspec.Raw
    media_type: str
    digest: str
    size: int
    name: str | None

    @property
    def is_manifest(self) -> bool:
        """Whether it names a manifest, and not some other blob."""
        return plain(self.media_type) in MANIFEST_TYPES

    @property
    def tag(self) -> str | None:
        """The tag that its name says; ``None`` where it has none, or one that says something else."""
        if self.name is None or _TAG.fullmatch(self.name):
            return self.name
        rest, _, tag = self.name.rpartition(":")
        return tag if _NAME.fullmatch(rest) and _TAG.fullmatch(tag) else None


class Index(msgspec.Struct, frozen=True, kw_only=True):
    """``index.json`` as it was read: its bytes, and what stands in it."""

    body: bytes
    parts: Mapping[str, msgspec.Raw]
    entries: tuple[Entry, ...]

    def roots(self, without: Collection[str] = ()) -> Iterator[Named]:
        """Every manifest that it lists, but those of these digests."""
        for entry in self.entries:
            if entry.is_manifest and entry.digest not in without:
                yield Named(media_type=entry.media_type, digest=entry.digest, size=entry.size)

    def with_entries(self, descriptors: Iterable[msgspec.Raw]) -> bytes:
        """The bytes of this index with other descriptors, and all else as it was written."""
        manifests = msgspec.Raw(msgspec.json.encode(list(descriptors)))
        return msgspec.json.encode({**self.parts, "manifests": manifests})


class Layout:
    """One layout. It keeps what manifests hold, never what ``index.json`` says."""

    def __init__(self, folder: Path) -> None:
        """Raises FileError when it is of another version, or blobs lie behind a symbolic link."""
        self.folder = folder
        self._nodes: dict[str, Node] = {}
        self._check_version()
        for part in ("blobs", *(f"blobs/{algorithm}" for algorithm in _HEX_DIGITS)):
            if (folder / part).is_symlink():
                raise FileError(
                    f"{folder / part} is a symbolic link; only what lies in a layout itself is read"
                )

    def index(self) -> Index:
        """Read ``index.json``. Raises FileError."""
        path = self.folder / INDEX
        body = _read(path, _MAX_INDEX)
        if body is None:
            raise FileError(f"{path} is missing; every layout has one")
        try:
            parts = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
            if "layers" in parts or "config" in parts:
                raise FileError(f"{path} could be read in two ways: it has the parts of an image, too")
            raws = msgspec.json.decode(parts["manifests"], type=list[msgspec.Raw] | None) or []
            return Index(body=body, parts=parts, entries=tuple(map(_entry, raws)))
        except KeyError:
            raise FileError(f"{path} is no index: it has no manifests") from None
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise FileError(f"{path} is no index: {error}") from error

    def blob(self, digest: str) -> bytes | None:
        """A small blob, verified; ``None`` where it is missing. Raises FileError."""
        path = self._path(digest)
        body = _read(path, _MAX_BLOB)
        if body is not None and hashlib.new(digest.partition(":")[0], body).hexdigest() != path.name:
            raise FileError(f"{path} is not what its name says: its digest differs")
        return body

    def holds(self, digest: str) -> bool:
        """Whether a blob is there, whatever it holds."""
        path = self._path(digest)
        return path.is_file() and not path.is_symlink()

    def put(self, digest: str, body: bytes) -> None:
        """Put a small blob back. Raises FileError."""
        path = self._path(digest)
        if not path.exists():
            write_atomically(path, body)

    def walk(self, roots: Iterable[Named]) -> Iterator[Named]:
        """Every manifest that is there and that these lead to, each once; the roots come first.

        Raises FileError for a root that is missing, and for any manifest that is wrong.
        """
        return (named for named, _ in self._walk(roots, self._node))

    def manifests(self, roots: Iterable[Named]) -> Iterator[tuple[Named, Manifest, bytes]]:
        """As :meth:`walk`, each with its bytes; all of them are read and verified now."""
        return ((named, manifest, body) for named, (manifest, body) in self._walk(roots, self._manifest))

    def node(self, digest: str) -> Node:
        """What a manifest holds that a walk came by."""
        return self._nodes[digest]

    def replace_index(self, old: Index, body: bytes) -> None:
        """Put a new ``index.json`` in the place of the old one.

        Raises Changed when it isn't the old one any more, and FileError.
        """
        path = self.folder / INDEX

        def unchanged() -> None:
            if _read(path, _MAX_INDEX) != old.body:
                raise Changed

        unchanged()  # no symbolic link either, or it couldn't be read
        with replacing(path, like=path.lstat(), just_before=unchanged) as stream:
            stream.write(body)

    def sweep(self, released: Collection[str]) -> None:
        """Remove what nothing holds: of the released blobs all, of others what is older than a day.

        Raises FileError, with nothing removed, when it can't be told what is held.
        """
        index = self.index()
        held = self._held(index)
        # The file system's own clock, since it is its times that are compared.
        stale = (self.folder / INDEX).lstat().st_mtime - _STALE_SECONDS
        unheld = [
            path
            for digest, path, modified in self._blobs()
            if digest not in held and (digest in released or modified < stale)
        ]
        if self.index().body != index.body:
            raise FileError(f"{self.folder / INDEX} changed while blobs were counted")
        try:
            for path in unheld:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise FileError(f"{error.filename} can't be removed: {error.strerror or error}") from error

    def _held(self, index: Index) -> set[str]:
        held = {entry.digest for entry in index.entries}
        if any(not _is_understood(entry.media_type) for entry in index.entries):
            raise FileError(f"{self.folder / INDEX} lists what may hold further blobs")
        for named in self.walk(index.roots()):
            node = self.node(named.digest)
            if node.opaque:
                raise FileError(f"{self._path(named.digest)} doesn't say all that it holds")
            held.add(named.digest)
            held.update(node.blobs)
            for child in node.children:
                if not self.holds(child.digest):
                    raise FileError(
                        f"{self._path(child.digest)} is missing, and what it would hold is unknown"
                    )
        return held

    def _blobs(self) -> Iterator[tuple[str, Path, float]]:
        for algorithm, digits in _HEX_DIGITS.items():
            folder = self.folder / "blobs" / algorithm
            if not folder.is_dir() or folder.is_symlink():
                continue
            is_hex = re.compile(rf"[0-9a-f]{{{digits}}}").fullmatch
            with os.scandir(folder) as found:
                for each in found:
                    if is_hex(each.name) and each.is_file(follow_symlinks=False):
                        status = each.stat(follow_symlinks=False)
                        yield f"{algorithm}:{each.name}", Path(each.path), status.st_mtime

    def _walk(
        self, roots: Iterable[Named], look: Callable[[Named], _Found | None]
    ) -> Iterator[tuple[Named, _Found]]:
        waiting = deque((named, True) for named in roots)
        met: set[str] = set()
        while waiting:
            named, is_root = waiting.popleft()
            if named.digest in met:
                continue
            met.add(named.digest)
            found = look(named)
            if found is not None:
                yield named, found
                waiting.extend((child, False) for child in self.node(named.digest).children)
            elif is_root:
                raise FileError(f"{self._path(named.digest)} is missing, but {INDEX} lists it")

    def _manifest(self, named: Named) -> tuple[Manifest, bytes] | None:
        body = self.blob(named.digest)
        if body is None:
            return None
        try:
            manifest = parse_manifest(body, named.media_type)
        except ManifestError as error:
            raise FileError(f"{self._path(named.digest)}: {error}") from error
        self._nodes[named.digest] = _node(manifest)
        return manifest, body

    def _node(self, named: Named) -> Node | None:
        if named.digest not in self._nodes and self._manifest(named) is None:
            return None
        return self._nodes[named.digest]

    def _check_version(self) -> None:
        try:
            marker = decode(_read(self.folder / MARKER, _MAX_BLOB) or b"", _Marker)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return  # that the file is there says enough
        if marker.version.partition(".")[0] != "1":
            raise FileError(f"{self.folder} is a layout of version {marker.version}; this program knows 1")

    def _path(self, digest: str) -> Path:
        algorithm, _, encoded = digest.partition(":")
        if algorithm not in _HEX_DIGITS or not re.fullmatch(r"[0-9a-f]+", encoded):
            raise FileError(f"{self.folder} names {digest!r}, whose blobs can't be verified")
        return self.folder / "blobs" / algorithm / encoded


class Names:
    """Which tags stand on which digest; and what is locked, with the reason."""

    def __init__(self, layout: Layout, index: Index) -> None:
        self.locked: dict[str, str] = {}
        self._tags: dict[str, set[str]] = {}
        owners: dict[str, set[str]] = {}
        for entry in index.entries:
            if entry.name is None:
                continue
            tag = entry.tag
            if tag is None:
                self.locked[entry.digest] = f"is called {entry.name!r}, which is no tag"
                continue
            self._tags.setdefault(entry.digest, set()).add(tag)
            owners.setdefault(tag, set()).add(entry.digest)
        for tag, digests in owners.items():
            if len(digests) > 1:
                self.locked.update(dict.fromkeys(digests, f"shares its tag {tag} with another image"))
        if os.path.lexists(layout.folder / DOCKER_INDEX):
            reason = "is in a layout of `docker save`, whose manifest.json names it, too"
            self.locked.update(dict.fromkeys((entry.digest for entry in index.entries), reason))

    def of(self, digest: str) -> frozenset[str]:
        """The tags on a digest."""
        return frozenset(self._tags.get(digest, ()))


class _Marker(msgspec.Struct, frozen=True, kw_only=True, rename={"version": "imageLayoutVersion"}):
    version: str


class _RawEntry(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    media_type: str
    digest: str
    size: int = 0
    annotations: dict[str, str] | None = None


_entries = msgspec.json.Decoder(_RawEntry)


def _entry(raw: msgspec.Raw) -> Entry:
    entry = _entries.decode(raw)
    return Entry(
        raw=raw.copy(),
        media_type=entry.media_type,
        digest=entry.digest,
        size=entry.size,
        name=(entry.annotations or {}).get(REF_NAME),
    )


def _node(manifest: Manifest) -> Node:
    children = tuple(
        Named(media_type=child.media_type, digest=child.digest, size=child.size)
        for child in manifest.children
    )
    blobs = [layer.digest for layer in manifest.layers]
    if manifest.config is not None:
        blobs.append(manifest.config.digest)
    opaque = (
        manifest.is_index and not all(_is_understood(layer.media_type) for layer in manifest.layers)
    ) or (
        manifest.size_bytes is None  # schema 1: its layers stand elsewhere
    )
    return Node(children=children, blobs=tuple(blobs), opaque=opaque)


def _is_understood(media_type: str) -> bool:
    media_type = plain(media_type)
    return media_type in MANIFEST_TYPES or media_type.startswith(_BLOB_TYPES)


def _read(path: Path, limit: int) -> bytes | None:
    """The bytes of a plain file; ``None`` where there is none."""
    try:
        # Without O_NONBLOCK, opening a pipe that somebody put here would wait for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as stream:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise FileError(f"{path} is no plain file")
            if status.st_size > limit:
                raise FileError(f"{path} has {status.st_size} bytes, more than the {limit} that are read")
            return stream.read(limit)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise FileError(f"{path} can't be read: {error.strerror or error}") from error
