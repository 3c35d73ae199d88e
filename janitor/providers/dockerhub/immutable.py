"""Immutable tags: which images of a repository can't be deleted, known beforehand.

A repository's setting names tags by regular expressions, which Docker Hub's own language reads; one that
matches anywhere in a tag counts here. Without expressions it is all tags, and where one can't be read, too.
"""

from __future__ import annotations

from typing import Any

import msgspec
import re2

from janitor.core.image import Image
from janitor.providers.dockerhub import answers


class ImmutableTags:
    """The setting of one repository."""

    def __init__(self, setting: answers.ImmutableTags | None) -> None:
        self._all = False
        self._patterns: list[Any] = []
        if setting is None or not setting.enabled:
            return
        self._all = not setting.rules
        options = re2.Options()
        options.log_errors = False
        for rule in setting.rules or ():
            try:
                self._patterns.append(re2.compile(rule, options))
            except re2.error:
                self._all = True

    def holds(self, tag: str) -> bool:
        """Whether a tag can be neither overwritten nor deleted."""
        return self._all or any(pattern.search(tag) for pattern in self._patterns)

    def lock(self, image: Image) -> Image:
        """Lock an image of which some tag is immutable."""
        if image.locked or not any(map(self.holds, image.tags)):
            return image
        return msgspec.structs.replace(image, locked=True)
