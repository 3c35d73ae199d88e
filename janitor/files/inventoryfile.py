"""The inventory file: what registries hold, one image a line, written once and planned with many times.

The lines of a repository stand together, so that a file of any size is read holding one repository. Digests,
children and subjects must be digests and times must carry an offset: a child that is misread would be an
image that nothing holds. In one repository a digest stands once, and a tag on one image. Keys that aren't
known may be absent, further ones are passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import IO, Annotated

import msgspec
from msgspec import UNSET, UnsetType

from janitor.core.image import Image, ImageType, Instant
from janitor.core.manifest import type_from_media_types
from janitor.core.reference import is_digest
from janitor.errors import FileError

# So many bytes are decoded at a time: what comes of them still fits a processor's cache.
_BLOCK = 2**16

# Far beyond any image's tags and labels: manifests themselves are limited to 4 MiB.
_MAX_LINE = 16 * 2**20


class ImageLine(Image, frozen=True, kw_only=True, gc=False):
    """One line as it is read: an image that says where it is."""

    registry: str
    repository: str
    size_bytes: Annotated[int, msgspec.Meta(ge=0)] | None = None


class _Unlabelled(ImageLine, frozen=True, kw_only=True, gc=False):
    """A line whose labels are passed over: building them costs as much as all the rest."""

    labels: None = msgspec.field(default=None, name="labels passed over")


class _WrittenLine(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """One line as it is written: the order of its keys, and what is left out when nobody knows it."""

    registry: str
    repository: str
    digest: str
    tags: tuple[str, ...]
    media_type: str | None = None
    artifact_type: str | None = None
    type: ImageType | None = None
    pushed_at: Instant | None = None
    created_at: Instant | None = None
    pulled_at: Instant | UnsetType | None = UNSET
    size_bytes: int | None = None
    children: tuple[str, ...] | UnsetType = UNSET
    subject: str | None = None
    tagged_at: Instant | None = None
    locked: bool = False
    archived_at: Instant | None = None
    labels: dict[str, str] | None = None
    changed_at: Instant | None = None


_Decoder = msgspec.json.Decoder[ImageLine]
_FIELDS = Image.__struct_fields__
_encoder = msgspec.json.Encoder()
_decoder: _Decoder = msgspec.json.Decoder(ImageLine)
_unlabelled: _Decoder = msgspec.json.Decoder(_Unlabelled)


def write_images(stream: IO[bytes], registry: str, repository: str, images: Iterable[Image]) -> None:
    """Write the lines of one repository, which must be all of it."""
    for image in images:
        values = {name: getattr(image, name) for name in _FIELDS}
        stream.write(
            _encoder.encode(_WrittenLine(registry=registry, repository=repository, **values)) + b"\n"
        )


def read_repositories(
    path: Path, registry: str | None = None, *, labels: bool = True
) -> Iterator[tuple[str, str, list[ImageLine]]]:
    """Each repository of the file with its images, as ``(registry, repository, images)``, in its order.

    ``registry``: only that one's; the lines of others are checked by themselves alone. Raises FileError with
    the line as soon as one is wrong; what was given out before is good.
    """
    try:
        with path.open("rb") as stream:
            yield from _repositories(_Lines(stream, str(path), _decoder if labels else _unlabelled), registry)
    except OSError as error:
        raise FileError(f"{path} can't be read: {error.strerror or error}") from error


class _Lines(msgspec.Struct, frozen=True, kw_only=False):
    """A file that is read, what it is called, and how."""

    stream: IO[bytes]
    name: str
    decoder: _Decoder


def _repositories(lines: _Lines, wanted: str | None) -> Iterator[tuple[str, str, list[ImageLine]]]:
    seen: set[tuple[str, str]] = set()
    place = "", ""
    images: list[ImageLine] = []
    first = 0  # the line at which the repository began
    for number, together in _runs(lines):
        here = together[0].registry, together[0].repository
        if here == place:
            images += together
            continue
        if images and wanted in (None, place[0]):
            yield *place, _checked(images, lines.name, first)
        place, images, first = here, together, number
        if wanted in (None, here[0]):
            _note(seen, *here, f"{lines.name}:{number}")
    if images and wanted in (None, place[0]):
        yield *place, _checked(images, lines.name, first)


def _runs(lines: _Lines) -> Iterator[tuple[int, list[ImageLine]]]:
    """Lines that stand together and name one repository, with the number of the first."""
    for number, images in _blocks(lines):
        start = 0
        for _, run in groupby([(image.registry, image.repository) for image in images]):
            end = start + len(list(run))
            yield number + start, images[start:end]
            start = end


def _blocks(lines: _Lines) -> Iterator[tuple[int, list[ImageLine]]]:
    """Lines, many decoded at a time, with the number of the first; one by one where that fails."""
    number = 1
    rest = b""
    while True:
        block = lines.stream.read(_BLOCK)
        whole, end, rest = (rest + block).rpartition(b"\n") if block else (rest, b"", b"")
        if whole:
            try:
                images = lines.decoder.decode_lines(whole)
            except (msgspec.MsgspecError, UnicodeDecodeError):
                images = []
            # Empty lines are skipped when many are decoded; only the very end may have any. The ends of lines
            # are counted by taking them away, which is six times as fast as bytes.count.
            count = len(whole) - len(whole.replace(b"\n", b"")) + 1
            if len(images) != count:
                yield from _one_by_one(whole + end, number, lines)
            elif None in [image.type for image in images]:
                yield number, list(map(_typed, images))
            else:
                yield number, images
            number += count
        if not block:
            return
        if len(rest) > _MAX_LINE:
            raise FileError(f"{lines.name}:{number}: {_told(rest, ValueError())}")


def _decoded(decoder: _Decoder, raw: bytes) -> ImageLine:
    """One line, whose lists may be null: some languages write an empty list so, others what isn't known."""
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError:
        keys = msgspec.json.decode(raw)
        if not isinstance(keys, dict) or not any(keys.get(key, "") is None for key in _NULLABLE):
            raise
        known = {key: value for key, value in keys.items() if value is not None or key not in _NULLABLE}
        return decoder.decode(msgspec.json.encode(known))


_NULLABLE = ("tags", "children", "locked")


def _one_by_one(block: bytes, number: int, lines: _Lines) -> Iterator[tuple[int, list[ImageLine]]]:
    raws = block.splitlines(keepends=True)
    for place, raw in enumerate(raws):
        try:
            yield number + place, [_typed(_decoded(lines.decoder, raw))]
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            if all(line.isspace() for line in (*raws[place:], *lines.stream)):
                return  # empty lines at the very end
            raise FileError(f"{lines.name}:{number + place}: {_told(raw, error)}") from error


def _note(seen: set[tuple[str, str]], registry: str, repository: str, place: str) -> None:
    """Note that a repository begins here; refuse one that was there before."""
    if not repository:
        raise FileError(f"{place}: the repository has no name")
    if (registry, repository) in seen:
        raise FileError(
            f"{place}: {repository} of {registry} comes up again; "
            "the lines of a repository must stand together"
        )
    seen.add((registry, repository))


def _told(raw: bytes, error: Exception) -> str:
    if len(raw) == _MAX_LINE:
        return f"the line is longer than {_MAX_LINE} bytes; one image a line was meant"
    if not raw.endswith(b"\n"):
        return f"the last line is cut off, or no JSON: the inventory was not written to its end ({error})"
    return f"is no line of an inventory: {error}"


def _typed(line: ImageLine) -> ImageLine:
    if line.type is not None:
        return line
    told = type_from_media_types(line.media_type, line.artifact_type, line.tags)
    return line if told is None else msgspec.structs.replace(line, type=told)


def _checked(images: list[ImageLine], name: str, first: int) -> list[ImageLine]:
    """Refuse what is no digest, a digest that stands twice, and a tag on two images; ``first`` is a line.

    All digests are looked at at once: a pattern for each would cost as much as half of all the rest.
    """
    digests = [image.digest for image in images]
    named = [child for image in images if image.children for child in image.children]
    named += [image.subject for image in images if image.subject is not None]
    tags = [tag for image in images for tag in image.tags]
    distinct = set(tags)
    if (
        not _are_digests(digests + named)
        or len(set(digests)) != len(digests)
        or len(distinct) != len(tags)
        or "" in distinct
    ):
        raise FileError(_wrong(images, name, first))
    return images


def _are_digests(texts: list[str]) -> bool:
    return _are_sha256(texts) or all(map(is_digest, texts))


def _are_sha256(texts: list[str]) -> bool:
    """Whether all are digests of SHA-256, told in a few steps over all of them.

    Each of the equally long texts begins with the algorithm's name, and all that is no digit is of that.
    """
    joined = "".join(texts).encode("ascii", "replace")
    return (
        set(map(len, texts)) == {71}
        and all(joined[n::71].strip(letter) == b"" for n, letter in enumerate(_SHA256))
        and joined.translate(None, b"0123456789abcdef") == b"sh:" * len(texts)
    )


_SHA256 = (b"s", b"h", b"a", b"2", b"5", b"6", b":")


def _named(image: ImageLine) -> Iterator[tuple[str, str]]:
    """Each digest of a line, after its key."""
    yield "digest", image.digest
    for child in image.children or ():
        yield "children", child
    if image.subject is not None:
        yield "subject", image.subject


def _wrong(images: list[ImageLine], name: str, first: int) -> str:
    digests: set[str] = set()
    owners: dict[str, str] = {}
    for number, image in enumerate(images, first):
        place = f"{name}:{number}: {image.repository}"
        for key, named in _named(image):
            if not is_digest(named):
                return f"{place} has {named!r} as its {key}, which is no digest of SHA-256 or SHA-512"
        if image.digest in digests:
            return f"{place} has {image.digest} already; a digest stands once in a repository"
        digests.add(image.digest)
        for tag in image.tags:
            if not tag:
                return f"{place}@{image.digest} has an empty tag"
            if tag in owners:
                return f"{place} has the tag {tag} twice, before on {owners[tag]}; a tag stands once"
            owners[tag] = image.digest
    return f"{name}:{first}: {images[0].repository} has a digest or a tag twice"
