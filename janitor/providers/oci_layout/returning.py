"""Putting deleted images of a layout back: their manifests, and where they stood in ``index.json``.

The manifest alone is kept of an image: it comes back only where all that it is made of is there still,
because other images hold it too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from janitor.core.manifest import ManifestError, parse_manifest
from janitor.core.report import OutcomeKind
from janitor.files.layout import REF_NAME, Index, Layout
from janitor.providers.interface import Keepsake, Result, in_order_of_return
from janitor.providers.oci_layout.removing import refused


def put_back(layout: Layout, keepsakes: Sequence[Keepsake]) -> tuple[Result, ...]:
    """Put images back as far as they can be, by one new ``index.json``. Raises Changed, and FileError."""
    index = layout.index()
    results: list[Result] = []
    returned: list[Keepsake] = []
    for kept in (kept for level in in_order_of_return(keepsakes) for kept in level):
        missing = _missing(layout, kept)
        if missing is not None:
            results.append(refused(kept.digest, missing))
            continue
        layout.put(kept.digest, kept.manifest or b"")
        returned.append(kept)
    owners = {entry.tag: entry.digest for entry in index.entries if entry.tag is not None}
    entries = [entry.raw for entry in index.entries]
    for kept in returned:
        taken = [tag for tag in kept.tags if owners.get(tag, kept.digest) != kept.digest]
        free = [tag for tag in kept.tags if tag not in owners]
        entries += [msgspec.Raw(_descriptor(kept, tag)) for tag in free]
        if not kept.tags or len(taken) == len(kept.tags):
            entries += _unnamed(kept, index, returned)
        detail = f"without {', '.join(taken)}: on another image by now" if taken else None
        results.append(Result(digest=kept.digest, outcome=OutcomeKind.RESTORED, detail=detail))
    if len(entries) > len(index.entries):
        layout.replace_index(index, index.with_entries(entries))
    return tuple(results)


def _missing(layout: Layout, kept: Keepsake) -> str | None:
    """Say what keeps an image from coming back."""
    if kept.manifest is None:
        return "its manifest was not kept"
    try:
        manifest = parse_manifest(kept.manifest, kept.media_type)
    except ManifestError as error:
        return f"its manifest can't be read: {error}"
    parts = (manifest.config, *manifest.layers, *manifest.children)
    gone = [part.digest for part in parts if part is not None and not layout.holds(part.digest)]
    return f"some of what it is made of is gone: {gone[0]}" if gone else None


def _unnamed(kept: Keepsake, index: Index, returned: Iterable[Keepsake]) -> list[msgspec.Raw]:
    """The descriptor of an image without a tag, unless something lists it."""
    if any(entry.digest == kept.digest for entry in index.entries):
        return []
    for other in returned:
        children = parse_manifest(other.manifest or b"", other.media_type).children
        if any(child.digest == kept.digest for child in children):
            return []
    return [msgspec.Raw(_descriptor(kept, None))]


def _descriptor(kept: Keepsake, tag: str | None) -> bytes:
    named = {"mediaType": kept.media_type, "digest": kept.digest, "size": len(kept.manifest or b"")}
    return msgspec.json.encode(named | ({"annotations": {REF_NAME: tag}} if tag else {}))
