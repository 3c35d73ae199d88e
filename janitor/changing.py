"""Changes to one repository, each announced in the journal before it is asked, and settled after.

A change that can't be announced isn't asked: FileError ends it there. Once it is asked, one Result an image
comes back, whatever goes wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime

from janitor.core.image import Image
from janitor.core.order import subjects_among
from janitor.core.plan import Action
from janitor.core.report import OutcomeKind
from janitor.errors import Refused, RegistryError, Stopped, Unsupported
from janitor.files.journal import Change, Intent, Journal
from janitor.providers.interface import Keepsake, Registry, Result


class Changes:
    """What is done to one repository of a registry; ``actions`` are what was planned for it, by digest."""

    def __init__(
        self,
        registry: Registry,
        actions: Mapping[str, Action],
        journal: Journal,
        clock: Callable[[], datetime],
        *,
        place: tuple[str, str],
    ) -> None:
        self._registry = registry
        self._actions = actions
        self._journal = journal
        self._clock = clock
        self._name, self._repository = place

    def delete(self, images: Sequence[Image], along: Mapping[str, Sequence[str]]) -> Iterator[Result]:
        """Delete images; ``along`` gives the digests that are to go with each.

        What refers to another of these is announced with it, since it may go with it, and is deleted after it
        or stays with it, unless the registry has it first.
        """
        try:
            kept = self._keepsakes(images)
        except RegistryError as error:
            outcome = OutcomeKind.SKIPPED if isinstance(error, Stopped) else OutcomeKind.FAILED
            why = f"what it takes to bring it back can't be read: {error.message}"
            return iter([Result(digest=image.digest, outcome=outcome, detail=why) for image in images])
        intents = [
            self._intent(Change.DELETE, image, kept.get(image.digest), along.get(image.digest, ()))
            for image in images
        ]
        together = self._registry.referrers_first
        return self._settled(images, intents, self._registry.delete if together else self._in_turn)

    def _in_turn(self, repository: str, images: Sequence[Image]) -> Iterator[Result]:
        subjects = subjects_among(images)
        if not subjects:
            yield from self._registry.delete(repository, images)
            return
        stayed: set[str] = set()
        for result in self._registry.delete(repository, [i for i in images if i.digest not in subjects]):
            if result.outcome is not OutcomeKind.DELETED:
                stayed.add(result.digest)
            yield result
        waiting = [image for image in images if image.digest in subjects]
        while held := [image for image in waiting if not stayed.isdisjoint(subjects[image.digest])]:
            for image in held:
                stayed.add(image.digest)
                why = "what it refers to was not deleted"
                yield Result(digest=image.digest, outcome=OutcomeKind.SKIPPED, detail=why)
            waiting = [image for image in waiting if image.digest not in stayed]
        yield from self._registry.delete(repository, waiting)

    def archive(self, images: Sequence[Image], along: Mapping[str, Sequence[str]]) -> Iterator[Result]:
        """Move images to the archive class."""
        intents = [self._intent(Change.ARCHIVE, image, None, along.get(image.digest, ())) for image in images]
        return self._settled(images, intents, self._registry.archive)

    def untag(self, image: Image, tags: Sequence[str]) -> Result:
        """Take tags off an image that stays. Raises Stopped."""
        try:
            kept = self._keepsakes([image])
        except RegistryError as error:
            return Result(digest=image.digest, outcome=OutcomeKind.FAILED, detail=error.message)
        intent = self._intent(Change.UNTAG, image, kept.get(image.digest), (), removed=tuple(tags))
        (number,) = self._journal.announce([intent]).values()
        try:
            result = self._registry.untag(self._repository, image, tags)
        except Stopped as error:
            self._journal.settle(number, self._clock(), OutcomeKind.SKIPPED, error.message)
            raise
        except RegistryError as error:
            refused = isinstance(error, Refused | Unsupported)
            outcome = OutcomeKind.REFUSED if refused else OutcomeKind.FAILED
            result = Result(digest=image.digest, outcome=outcome, detail=error.message)
        self._journal.settle(number, self._clock(), result.outcome, result.detail)
        return result

    def _keepsakes(self, images: Sequence[Image]) -> Mapping[str, Keepsake]:
        if not self._registry.abilities.restores:
            return {}
        return self._registry.keepsakes(self._repository, images)

    def _intent(
        self,
        change: Change,
        image: Image,
        kept: Keepsake | None,
        along: Sequence[str],
        *,
        removed: tuple[str, ...] = (),
    ) -> Intent:
        action = self._actions.get(image.digest)
        return Intent(
            at=self._clock(),
            action=change,
            registry=self._name,
            repository=self._repository,
            digest=image.digest,
            tags=image.tags,
            remove_tags=removed,
            returns=kept is not None,
            media_type=image.media_type if kept is None else kept.media_type,
            manifest=None if kept is None else kept.manifest,
            handle=None if kept is None else kept.handle,
            along=tuple(along),
            rules=() if action is None else action.rules,
        )

    def _settled(
        self,
        images: Sequence[Image],
        intents: Sequence[Intent],
        change: Callable[[str, Sequence[Image]], Iterator[Result]],
    ) -> Iterator[Result]:
        numbers = self._journal.announce(intents)
        for result in _answered(images, lambda: change(self._repository, images)):
            self._journal.settle(numbers[result.digest], self._clock(), result.outcome, result.detail)
            yield result


def _answered(images: Sequence[Image], change: Callable[[], Iterator[Result]]) -> Iterator[Result]:
    """Every result, and one for each image that an error left without."""
    answered: set[str] = set()
    try:
        for result in change():
            answered.add(result.digest)
            yield result
    except RegistryError as error:
        outcome = OutcomeKind.SKIPPED if isinstance(error, Stopped) else OutcomeKind.FAILED
        for image in images:
            if image.digest not in answered:
                yield Result(digest=image.digest, outcome=outcome, detail=error.message)
