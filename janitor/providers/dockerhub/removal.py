"""Deleting on Docker Hub: tags by the Hub API, then the manifest by the registry.

- A tag is looked at right before it is taken off. One that names something else by now is not touched.
- The registry deletes only what no tag and no other manifest names: that is its own look at the last moment.
  An untagged index that nobody can list may name a platform; then the platform stays, which is no failure.
- Where the registry goes on deleting by itself, it is looked at for a while, and what is still there then is
  told as failed: that it will go can't be known.
- After a few refusals for lack of rights in a row, nothing more is sent to the repository.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence

from janitor.core.image import Image
from janitor.core.report import OutcomeKind
from janitor.errors import Denied, Refused, RegistryError, Stopped, Unreachable
from janitor.net.distribution import Distribution
from janitor.providers.deleting import in_levels
from janitor.providers.dockerhub.answers import Pending, StillNamed
from janitor.providers.dockerhub.hub import Hub
from janitor.providers.dockerhub.tagging import Tagging
from janitor.providers.interface import Context, Result

DENIED_IN_A_ROW = 3
# Seconds between looks at a manifest that the registry deletes by itself, or still holds for a tag that is
# off: some 15 s, since others wait for it.
LOOKS = (1.0, 2.0, 4.0, 8.0)


class Remover:
    """Deletes and untags in one namespace. Used from many threads."""

    def __init__(
        self, *, hub: Hub, api: Distribution, tags: Tagging, namespace: str, context: Context
    ) -> None:
        self._hub = hub
        self._tags = tags
        self._api = api
        self._namespace = namespace
        self._context = context
        self._lock = threading.Lock()
        self._denied: Counter[str] = Counter()

    def delete(self, repository: str, images: Sequence[Image]) -> Iterator[Result]:
        """Delete these images with the tags that they have here, what holds others first."""
        return in_levels(
            images,
            lambda image: self._delete_one(repository, image),
            workers=self._context.concurrency,
        )

    def untag(self, repository: str, image: Image, tags: Sequence[str]) -> Result:
        """Take tags off an image; what came of it is told even where only some are off."""
        off: list[str] = []
        try:
            self._look_at_rights(repository)
            for tag in tags:
                found = self._tags.points_to(repository, tag)
                if found is not None and found != image.digest:
                    detail = f"{tag} points to {found} by now{_spoken(off)}"
                    return Result(digest=image.digest, outcome=OutcomeKind.FAILED, detail=detail)
                if found is not None:
                    self._hub.delete_tag(self._namespace, repository, tag)
                    off.append(tag)
        except RegistryError as exc:
            self._note(repository, exc)
            if not off:
                raise
            detail = f"{exc.message}{_spoken(off)}"
            return Result(digest=image.digest, outcome=OutcomeKind.FAILED, detail=detail)
        self._note(repository, None)
        return Result(digest=image.digest, outcome=OutcomeKind.UNTAGGED)

    def _delete_one(self, repository: str, image: Image) -> str | None:
        off: list[str] = []
        try:
            self._look_at_rights(repository)
            self._take_off(repository, image, off)
            detail = self._delete_manifest(repository, image.digest, patient=bool(off))
        except Stopped as exc:
            if not off:
                raise
            raise Unreachable(f"{exc.message}{_spoken(off)}") from exc
        except RegistryError as exc:
            if not isinstance(exc, Refused):
                self._note(repository, exc)
            raise type(exc)(f"{exc.message}{_spoken(off)}") from exc
        self._note(repository, None)
        return detail

    def _note(self, repository: str, error: RegistryError | None) -> None:
        """Count refusals for lack of rights; whatever is done ends the row."""
        with self._lock:
            if error is None:
                self._denied[repository] = 0
            else:
                self._denied[repository] += isinstance(error, Denied)

    def _look_at_rights(self, repository: str) -> None:
        if self._denied[repository] >= DENIED_IN_A_ROW:
            message = f"not tried: {DENIED_IN_A_ROW} deletions in a row were denied in"
            raise Denied(f"{message} {self._namespace}/{repository}; janitor check --online looks at rights")

    def _take_off(self, repository: str, image: Image, off: list[str]) -> None:
        """Take off the image's tags, but those that moved; ``off`` grows by each."""
        for tag in image.tags:
            if self._tags.points_to(repository, tag) != image.digest:
                continue
            self._hub.delete_tag(self._namespace, repository, tag)
            off.append(tag)

    def _delete_manifest(self, repository: str, digest: str, *, patient: bool) -> str | None:
        """Delete a manifest; ``patient``: the registry may not know yet that its tags are off."""
        name = f"{self._namespace}/{repository}"
        looks = iter(LOOKS)
        while True:
            try:
                return self._api.delete(name, digest)
            except Pending as exc:
                return self._gone_later(name, digest, exc)
            except StillNamed:
                wait = next(looks, None)
                if not patient or wait is None or not self._pause(wait):
                    raise

    def _gone_later(self, name: str, digest: str, pending: Pending) -> str:
        for wait in LOOKS:
            try:
                if not self._pause(wait):
                    break
                if not self._api.exists(name, digest):
                    return "the registry answered 500, and deleted it by itself afterwards"
            except RegistryError:
                break  # what became of it can't be looked at: it is not confirmed, whatever the reason
        raise Pending(f"{pending.message}: accepted, and not confirmed yet; it need not be sent again")

    def _pause(self, seconds: float) -> bool:
        """Wait; false once the run is asked to stop."""
        if self._context.stop.is_set():
            return False
        self._context.sleep(seconds)
        return not self._context.stop.is_set()


def _spoken(off: Sequence[str]) -> str:
    """What was done before something failed."""
    return f"; taken off before that: {', '.join(off)}" if off else ""
