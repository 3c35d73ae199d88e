"""Brings back what was deleted, where soft delete keeps it for a while.

- A manifest comes back by its digest with one tag at a time; a tag that is on another image by now stays
  there. Nothing is forced.
- An index comes back without its platforms, and what refers to something only after that. So images go
  first, then indexes, and what fails is tried again for as long as others come back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from janitor.core.manifest import INDEX_TYPES, plain_media_type
from janitor.core.report import OutcomeKind
from janitor.errors import RegistryError, Stopped, Unreachable
from janitor.providers.acr.api import Api
from janitor.providers.interface import Keepsake, Result


def restore(api: Api, repository: str, keepsakes: Sequence[Keepsake]) -> Iterator[Result]:
    """Bring back images and their tags: one Result an image. Raises Unsupported without soft delete."""
    kept = api.deleted(repository)
    waiting = sorted(keepsakes, key=_is_index)
    while waiting:
        failed: list[tuple[Keepsake, Result]] = []
        for keepsake in waiting:
            result = _restore_one(api, repository, keepsake, kept)
            if result.outcome is OutcomeKind.RESTORED:
                yield result
            else:
                failed.append((keepsake, result))
        if len(failed) == len(waiting):
            yield from (result for _, result in failed)
            return
        waiting = [keepsake for keepsake, _ in failed]


def _is_index(keepsake: Keepsake) -> bool:
    return plain_media_type(keepsake.media_type or "") in INDEX_TYPES


def _restore_one(api: Api, repository: str, keepsake: Keepsake, kept: frozenset[str]) -> Result:
    digest = keepsake.digest
    try:
        there = api.manifest(repository, digest)
        if there is None and digest not in kept:
            detail = "the registry doesn't keep it: soft delete was off when it went, or its days are over"
            return Result(digest=digest, outcome=OutcomeKind.FAILED, detail=detail)
        taken = {tag: now for tag in keepsake.tags if (now := api.tag(repository, tag)) is not None}
        missing = [tag for tag in keepsake.tags if tag not in taken]
        if there is None and not missing:
            _bring_back(api, repository, digest, None)
        lost = [tag for tag in missing if not _bring_back(api, repository, digest, tag)]
        if api.manifest(repository, digest) is None:
            detail = "the registry took the request, but it isn't back"
            return Result(digest=digest, outcome=OutcomeKind.FAILED, detail=detail)
    except Stopped:
        raise
    except RegistryError as exc:
        return Result(digest=digest, outcome=OutcomeKind.FAILED, detail=exc.message)
    said = [f"{tag} stays on {now}" for tag, now in taken.items() if now != digest]
    said += [f"{tag} did not come back; place it again" for tag in lost]
    return Result(digest=digest, outcome=OutcomeKind.RESTORED, detail="; ".join(said) or None)


def _bring_back(api: Api, repository: str, digest: str, tag: str | None) -> bool:
    """Ask for it; false where the manifest is back and only this tag isn't."""
    try:
        api.restore(repository, digest, tag)
    except Stopped:
        raise
    except RegistryError as exc:
        if api.manifest(repository, digest) is None:
            raise
        if tag is None:
            return isinstance(exc, Unreachable)  # done, and the answer got lost
    return tag is None or api.tag(repository, tag) == digest
