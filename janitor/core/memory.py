"""What was found of texts, so that a text that comes again is not asked about again.

Repositories of one organization share most of their versions, pull requests and branches, and commits where
one commit builds many images.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

_T = TypeVar("_T")

# Some 4 MB of tags. What one call asks for is remembered however much it is: it is held anyway.
MOST = 2**14


class Memory(Generic[_T]):
    """A function of many texts, which is asked for each text once, as long as that is remembered."""

    __slots__ = ("_function", "_known")

    def __init__(self, function: Callable[[Sequence[str]], Sequence[_T]]) -> None:
        self._function = function
        self._known: dict[str, _T] = {}

    def __call__(self, texts: Sequence[str]) -> list[_T]:
        """What the function says of each text."""
        known = self._known
        if len(known) > MOST:
            known.clear()
        new = [text for text in texts if text not in known]
        if new:
            known.update(zip(new, self._function(new), strict=True))
        return [known[text] for text in texts]
