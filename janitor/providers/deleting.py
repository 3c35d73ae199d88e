"""Deleting image by image, for registries without a batch: what holds others first, many side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from janitor.core.image import Image
from janitor.core.order import holders, levels
from janitor.core.report import OutcomeKind
from janitor.errors import Refused, RegistryError, Stopped
from janitor.parallel import each
from janitor.providers.interface import Result


def in_levels(
    images: Sequence[Image], delete: Callable[[Image], str | None], *, workers: int
) -> Iterator[Result]:
    """Delete images, an index and a referrer before what they name; where a holder stays, so does the image.

    ``delete`` sends what one image takes, and returns what is worth telling; a Refused of it is for good, any
    other RegistryError a failure. Raises Stopped once no answer to a request that was sent can be lost.
    """
    held_by = holders(images)
    left: set[str] = set()
    for level in levels(images):
        ready = [image for image in level if left.isdisjoint(held_by[image.digest])]
        for digest in sorted({image.digest for image in level} - {image.digest for image in ready}):
            left.add(digest)
            detail = "it stays, because an index that holds it could not be deleted"
            yield Result(digest=digest, outcome=OutcomeKind.FAILED, detail=detail)
        stopped: Stopped | None = None
        for image, answer in zip(
            ready, each(lambda image: _answer(image, delete), ready, workers=workers), strict=True
        ):
            if isinstance(answer, Stopped):
                stopped = stopped or answer
                continue
            if answer.outcome is not OutcomeKind.DELETED:
                left.add(image.digest)
            yield answer
        if stopped is not None:
            raise stopped


def _answer(image: Image, delete: Callable[[Image], str | None]) -> Result | Stopped:
    """Delete one image; never raises, so that no other's answer is lost."""
    try:
        detail = delete(image)
    except Stopped as stopped:
        return stopped
    except Refused as error:
        return Result(digest=image.digest, outcome=OutcomeKind.REFUSED, detail=error.message)
    except RegistryError as error:
        return Result(digest=image.digest, outcome=OutcomeKind.FAILED, detail=error.message)
    return Result(digest=image.digest, outcome=OutcomeKind.DELETED, detail=detail)
