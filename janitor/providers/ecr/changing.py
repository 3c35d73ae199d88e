"""What is done to images of ECR: deleted, untagged, moved to the archive and back; one Result an image.

- An index goes before what it names, each in a request of its own: in one request ECR promises no order. What
  an index still names stays.
- A deletion whose answer was lost is looked up; a digest counts once, whatever number of its tags is
  answered for.
- A tag is taken off where it is on that image still, and never the last one: that would delete the image.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

import msgspec

from janitor.core.image import Image
from janitor.core.order import holders, levels
from janitor.core.report import OutcomeKind
from janitor.errors import Denied, Gone, Refused, RegistryError, Stopped
from janitor.parallel import each
from janitor.providers.ecr.answers import Detail, Failure
from janitor.providers.ecr.api import MOST_IDS, EcrApi, RepositoryGone
from janitor.providers.interface import Keepsake, Result

T = TypeVar("T")

_GONE_ALREADY = "it was gone already"


class Changes:
    """Changes images of one registry; ``workers``: so many requests at once."""

    def __init__(self, api: EcrApi, *, workers: int) -> None:
        self._api = api
        self._workers = workers

    def described(self, repository: str, digests: Sequence[str]) -> dict[str, Detail]:
        """Those of these images that are there."""
        found: dict[str, Detail] = {}
        for some in each(
            lambda batch: self._api.described(repository, batch),
            _batches(digests, MOST_IDS),
            workers=self._workers,
        ):
            found.update(some)
        return found

    def delete(self, repository: str, images: Sequence[Image]) -> Iterator[Result]:
        """Delete images, whatever names others first."""
        held_by = holders(images)
        left: set[str] = set()
        for level in levels(images):
            ready = [image.digest for image in level if left.isdisjoint(held_by[image.digest])]
            for digest in sorted({image.digest for image in level}.difference(ready)):
                left.add(digest)
                yield _failed(digest, "it stays, because an index that holds it could not be deleted")
            for batch in _batches(ready, MOST_IDS):
                for result in self._delete_batch(repository, batch):
                    if result.outcome is not OutcomeKind.DELETED:
                        left.add(result.digest)
                    yield result

    def _delete_batch(self, repository: str, digests: Sequence[str]) -> Iterator[Result]:
        """Delete at most a hundred; twice what an index names: that it went may show a moment later."""
        results = self._deleted(repository, digests)
        named = [digest for digest, result in results.items() if result.outcome is OutcomeKind.REFUSED]
        yield from (result for digest, result in results.items() if digest not in named)
        if named:
            yield from self._deleted(repository, named).values()

    def _deleted(self, repository: str, digests: Sequence[str]) -> dict[str, Result]:
        """Send one deletion, and tell what became of each."""
        try:
            answer = self._api.delete(repository, digests)
        except Stopped:
            raise
        except RepositoryGone as exc:
            return {digest: _gone(digest, exc.message) for digest in digests}
        except Denied as exc:
            return {digest: _failed(digest, exc.message) for digest in digests}
        except RegistryError as exc:
            return self._looked_up(repository, digests, exc.message)
        failures, gone = answer.failed, answer.gone
        results = {digest: _told(digest, failures[digest]) for digest in digests if digest in failures}
        done = [digest for digest in digests if digest in gone and digest not in failures]
        results.update((digest, Result(digest=digest, outcome=OutcomeKind.DELETED)) for digest in done)
        silent = [digest for digest in digests if digest not in results]
        if silent:
            results.update(self._looked_up(repository, silent, "ECR did not answer for it"))
        return results

    def _looked_up(self, repository: str, digests: Sequence[str], why: str) -> dict[str, Result]:
        """Look which of these are there still, after a deletion of which nothing was heard."""
        try:
            there = self.described(repository, digests)
        except RegistryError as exc:
            unknown = f"{why}; whether it was deleted isn't known: {exc.message}"
            return {digest: _failed(digest, unknown) for digest in digests}
        lost = "the answer to its deletion was lost, and it is gone"
        return {
            digest: _failed(digest, why) if digest in there else _gone(digest, lost) for digest in digests
        }

    def untag(self, repository: str, image: Image, tags: Sequence[str]) -> Result:
        """Take tags off an image that keeps another."""
        digest = image.digest
        detail = self.described(repository, [digest]).get(digest)
        if detail is None:
            return _gone(digest, _GONE_ALREADY)
        on = [tag for tag in dict.fromkeys(tags) if tag in detail.image_tags]
        if not on:
            return Result(digest=digest, outcome=OutcomeKind.UNTAGGED, detail="the tags were off it already")
        if set(detail.image_tags) == set(on):
            why = "it has no other tag by now, and with its last tag ECR deletes an image"
            return Result(digest=digest, outcome=OutcomeKind.REFUSED, detail=why)
        for batch in _batches(on, MOST_IDS):
            answer = self._api.untag(repository, digest, batch)
            for failure in answer.failures:
                if failure.failure_code not in _OFF_ALREADY:
                    return _failed(digest, f"{failure.image_id.image_tag}: {failure}")
        if not self.described(repository, [digest]):
            why = "WITH ITS TAG WENT THE IMAGE: its other tags must have gone meanwhile"
            return _failed(digest, f"{why}; push it again if it is needed")
        return Result(digest=digest, outcome=OutcomeKind.UNTAGGED)

    def archive(self, repository: str, images: Sequence[Image]) -> Iterator[Result]:
        """Move images to the archive: ECR moves no platform before its index."""
        held_by = holders(images)
        left: set[str] = set()
        for level in levels(images):
            ready = [image for image in level if left.isdisjoint(held_by[image.digest])]
            for digest in sorted({image.digest for image in level} - {image.digest for image in ready}):
                left.add(digest)
                yield _failed(digest, "it stays, because an index that holds it could not be archived")
            stopped: Stopped | None = None
            for answer in each(
                lambda image: self._move(repository, image.digest, _ARCHIVE),
                ready,
                workers=self._workers,
            ):
                if isinstance(answer, Stopped):
                    stopped = answer
                    continue
                if answer.outcome is not OutcomeKind.ARCHIVED:
                    left.add(answer.digest)
                yield answer
            if stopped is not None:
                raise stopped

    def restore(self, repository: str, keepsakes: Sequence[Keepsake]) -> Iterator[Result]:
        """Bring images back from the archive; their tags never left them."""
        there = self.described(repository, [kept.digest for kept in keepsakes])
        for kept in keepsakes:
            detail = there.get(kept.digest)
            if detail is None:
                yield _failed(kept.digest, "it is gone: ECR keeps nothing of what was deleted")
                continue
            missing = sorted(set(kept.tags).difference(detail.image_tags))
            without = (
                f"without {', '.join(missing)}, taken off or placed on another image since"
                if missing
                else None
            )
            if detail.image_status != _ARCHIVED:
                told = "; ".join(filter(None, ("it is not in the archive", without)))
                yield Result(digest=kept.digest, outcome=OutcomeKind.RESTORED, detail=told)
                continue
            answer = self._move(repository, kept.digest, _STANDARD)
            if isinstance(answer, Stopped):
                raise answer
            if answer.outcome is OutcomeKind.RESTORED and without:
                yield Result(digest=kept.digest, outcome=OutcomeKind.RESTORED, detail=without)
                continue
            yield answer

    def _move(self, repository: str, digest: str, target: _Class) -> Result | Stopped:
        """Move one image to another class; never raises, so that no answer to what was sent is lost."""
        try:
            self._api.move(repository, digest, target.name)
        except Stopped as exc:
            return exc
        except Gone:
            return _gone(digest, _GONE_ALREADY)
        except RegistryError as exc:
            return self._moved(repository, digest, target, exc)
        return Result(digest=digest, outcome=target.outcome, detail=target.detail)

    def _moved(self, repository: str, digest: str, target: _Class, why: RegistryError) -> Result:
        """Look whether a move that failed, or was not answered, was done all the same."""
        outcome = OutcomeKind.REFUSED if isinstance(why, Refused) else OutcomeKind.FAILED
        try:
            detail = self.described(repository, [digest]).get(digest)
        except RegistryError:
            return Result(digest=digest, outcome=outcome, detail=why.message)
        if detail is not None and detail.image_status in target.statuses:
            return Result(digest=digest, outcome=target.outcome, detail="it was there already")
        return Result(digest=digest, outcome=outcome, detail=why.message)


class _Class(msgspec.Struct, frozen=True, kw_only=True):
    """A storage class as a target: what an image that is in it has for a status, and what a Result says."""

    name: str
    statuses: frozenset[str]
    outcome: OutcomeKind
    detail: str | None = None


_ARCHIVED = "ARCHIVED"
_ARCHIVE = _Class(name="ARCHIVE", statuses=frozenset({_ARCHIVED}), outcome=OutcomeKind.ARCHIVED)
_STANDARD = _Class(
    name="STANDARD",
    statuses=frozenset({"ACTIVE", "ACTIVATING"}),
    outcome=OutcomeKind.RESTORED,
    detail="it can be pulled in up to 20 minutes",
)

_OFF_ALREADY = frozenset({"ImageNotFound", "ImageTagDoesNotMatchDigest"})


def _told(digest: str, failure: Failure) -> Result:
    """Say what a failure means for an image that was to be deleted."""
    match failure.failure_code:
        case "ImageNotFound":
            return _gone(digest, _GONE_ALREADY)
        case "ImageReferencedByManifestList":
            return Result(digest=digest, outcome=OutcomeKind.REFUSED, detail=f"it stays: {failure}")
    return _failed(digest, str(failure))


def _failed(digest: str, why: str) -> Result:
    return Result(digest=digest, outcome=OutcomeKind.FAILED, detail=why)


def _gone(digest: str, why: str) -> Result:
    return Result(digest=digest, outcome=OutcomeKind.DELETED, detail=why)


def _batches(items: Sequence[T], size: int) -> list[Sequence[T]]:
    return [items[i : i + size] for i in range(0, len(items), size)]
