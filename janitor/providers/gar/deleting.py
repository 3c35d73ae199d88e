"""Deleting in Artifact Registry: in the service's order, never with a tag that nobody decided on.

- The service refuses a child while its index is there, and a subject while something refers to it. So what
  holds or refers goes first; what was refused is tried again as long as something else went meanwhile.
- Tags are taken off one by one, each only while it points to the image; then the image goes without
  ``force``, so that a tag which was pushed meanwhile makes the deletion fail. An image that stays gets back
  the tags that were taken off.
- Untagged images go in batches of one name, all or none of each; whatever the answer, each is looked at
  afterwards, and what is still there is tried alone.
- A deletion is an operation that takes its time. Those that are begun are asked after in turn, by no thread
  of their own; of one that doesn't end, the image is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import msgspec

from janitor.core.image import Image
from janitor.core.order import levels, waits
from janitor.core.report import OutcomeKind
from janitor.errors import Gone, Refused, RegistryError, Stopped
from janitor.parallel import each
from janitor.providers.gar.service import BATCH, Operation, Service
from janitor.providers.interface import Context, Result

T = TypeVar("T")
R = TypeVar("R")

FIRST_LOOK_S = 0.25  # most deletions are done within a second
SLOWER = 1.5
SELDOMEST_S = 5.0
PATIENCE_S = 120.0  # with one round of operations
PATIENCE_STOPPED_S = 20.0  # a pod has 60 s to stop, and journals its outcomes


class _Change(msgspec.Struct, frozen=True, kw_only=True):
    """What was sent for some images: an operation that is under way, or the error that came instead.

    ``taken``: tags that were taken off, or may have been.
    """

    images: tuple[Image, ...]
    taken: tuple[str, ...] = ()
    operation: Operation | None = None
    error: RegistryError | None = None

    @property
    def is_lasting(self) -> bool:
        """Whether the service may still be at it."""
        return self.operation is not None and not self.operation.done

    @property
    def trouble(self) -> RegistryError | None:
        """Why it came to nothing; ``None`` where it came to its end, or lasts."""
        return self.error if self.operation is None else self.operation.error


class Deleter:
    """Deletes images of one name in one repository."""

    def __init__(self, service: Service, repository: str, name: str, context: Context) -> None:
        self._service = service
        self._repository = repository
        self._name = name
        self._context = context

    def delete(self, images: Sequence[Image]) -> Iterator[Result]:
        """Delete these; one result each. Raises Stopped for those of which nothing was sent."""
        rest = list({image.digest: image for image in images}.values())
        while rest:
            stayed: dict[str, Result] = {}
            try:
                for result in self._pass(rest):
                    if result.outcome is OutcomeKind.DELETED:
                        yield result
                    else:
                        stayed[result.digest] = result
            except Stopped:
                yield from stayed.values()
                raise
            went = len(rest) > len(stayed)
            rest = [image for image in rest if image.digest in stayed]
            if not (went and any(result.outcome is OutcomeKind.REFUSED for result in stayed.values())):
                yield from stayed.values()
                return

    def _pass(self, images: Sequence[Image]) -> Iterator[Result]:
        waiting_for = waits(images)
        left: set[str] = set()
        for level in levels(images):
            ready = [image for image in level if left.isdisjoint(waiting_for[image.digest])]
            for digest in [image.digest for image in level if image not in ready]:
                left.add(digest)
                detail = "it stays, because what holds it or refers to it could not be deleted"
                yield Result(digest=digest, outcome=OutcomeKind.FAILED, detail=detail)
            stopped: Stopped | None = None
            for answer in self._level(ready):
                if isinstance(answer, Stopped):
                    stopped = answer
                    continue
                if answer.outcome is not OutcomeKind.DELETED:
                    left.add(answer.digest)
                yield answer
            if stopped is not None:
                raise stopped

    def _level(self, images: Sequence[Image]) -> Iterator[Result | Stopped]:
        """Delete images of which none waits for another."""
        alone = [(image,) for image in images if image.tags]
        untagged = [image for image in images if not image.tags]
        batches = [tuple(untagged[at : at + BATCH]) for at in range(0, len(untagged), BATCH)]
        left: list[Image] = []
        for change in self._carried_out([*alone, *batches]):
            if len(change.images) == 1:
                yield self._result(change)
            elif isinstance(change.error, Stopped):
                yield change.error
            else:
                yield from self._looked_at(change, left)
        for change in self._carried_out([(image,) for image in left]):
            yield self._result(change)

    def _looked_at(self, change: _Change, left: list[Image]) -> Iterator[Result]:
        """Look at each image of a batch: its answer says nothing of any of them."""
        for image, gone in zip(change.images, self._each(self._is_gone, change.images), strict=True):
            if gone:
                yield Result(digest=image.digest, outcome=OutcomeKind.DELETED)
            else:
                left.append(image)

    def _carried_out(self, work: Sequence[tuple[Image, ...]]) -> list[_Change]:
        """Begin all of these, and follow them until they end or patience does."""
        changes = list(self._each(self._begin, work))
        clock = self._context.clock
        pause, until, stopped = FIRST_LOOK_S, clock() + PATIENCE_S, False
        while lasting := [at for at, change in enumerate(changes) if change.is_lasting]:
            if self._context.stop.is_set() and not stopped:
                until, stopped = min(until, clock() + PATIENCE_STOPPED_S), True
            if clock() >= until:
                break
            self._context.sleep(pause)
            pause = min(pause * SLOWER, SELDOMEST_S)
            for at, change in zip(
                lasting, self._each(self._asked_after, [changes[i] for i in lasting]), strict=True
            ):
                changes[at] = change
        return changes

    def _begin(self, images: tuple[Image, ...]) -> _Change:
        """Send what deletes these; never raises, so that nothing that was sent is lost."""
        service, repository, name = self._service, self._repository, self._name
        taken: list[str] = []
        try:
            if len(images) > 1:
                digests = tuple(image.digest for image in images)
                return _Change(images=images, operation=service.delete_all(repository, name, digests))
            (image,) = images
            for tag in image.tags:
                if service.points_to(repository, name, tag) == image.digest:
                    taken.append(tag)
                    service.delete_tag(repository, name, tag)
            operation = service.delete(repository, name, image.digest)
        except RegistryError as exc:
            return _Change(images=images, taken=tuple(taken), error=exc)
        return _Change(images=images, taken=tuple(taken), operation=operation)

    def _asked_after(self, change: _Change) -> _Change:
        if change.operation is None:
            return change
        try:
            operation = self._service.operation(change.operation.name)
        except RegistryError:
            return change  # it is asked again, and in the end the image itself is looked at
        return msgspec.structs.replace(change, operation=operation)

    def _result(self, change: _Change) -> Result | Stopped:
        """Say what became of a single image, and give it back its tags where it stays."""
        (image,) = change.images
        trouble = change.trouble
        if isinstance(trouble, Gone):
            return Result(digest=image.digest, outcome=OutcomeKind.DELETED, detail=trouble.message)
        if trouble is None and not change.is_lasting:
            return Result(digest=image.digest, outcome=OutcomeKind.DELETED)
        if isinstance(trouble, Stopped) and not change.taken:
            return trouble
        try:
            tags = self._service.tags(self._repository, self._name, image.digest, finishing=True)
        except RegistryError as exc:
            why = f"{_why(change)}; whether it is still there could not be asked: {exc.message}"
            return Result(
                digest=image.digest, outcome=OutcomeKind.FAILED, detail=why + self._put_back(change)
            )
        if tags is None:
            detail = "gone: a request without an answer did it"
            return Result(digest=image.digest, outcome=OutcomeKind.DELETED, detail=detail)
        back = self._put_back(change)
        if isinstance(trouble, Stopped) and not back:
            return trouble
        came = sorted(tags - set(image.tags))
        if came:
            why = f"it has {', '.join(came)} by now, and stays{back}"
            return Result(digest=image.digest, outcome=OutcomeKind.FAILED, detail=why)
        outcome = OutcomeKind.REFUSED if isinstance(trouble, Refused) else OutcomeKind.FAILED
        return Result(digest=image.digest, outcome=outcome, detail=_why(change) + back)

    def _put_back(self, change: _Change) -> str:
        """Put tags back on an image that stays; what is to be told of it, or nothing."""
        if change.is_lasting:
            return f"; its tags are off: {', '.join(change.taken)}" if change.taken else ""
        (image,) = change.images
        for tag in change.taken:
            try:
                if self._service.points_to(self._repository, self._name, tag, finishing=True) is None:
                    self._service.create_tag(self._repository, self._name, tag, image.digest)
            except RegistryError as exc:
                return f"; its tag {tag} was taken off, and could not be put back: {exc.message}"
        return ""

    def _is_gone(self, image: Image) -> bool:
        try:
            return self._service.tags(self._repository, self._name, image.digest, finishing=True) is None
        except RegistryError:
            return False  # then it is tried alone, and told of there

    def _each(self, fn: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        return each(fn, items, workers=self._context.concurrency)


def _why(change: _Change) -> str:
    if change.is_lasting and change.operation is not None:
        return f"its deletion was still under way when waiting ended ({change.operation.name})"
    return "" if change.trouble is None else change.trouble.message
