"""As much of a part of a page as it has room for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


class Room:
    """So many bytes for some lines. ``left`` counts those that found no place, and all after them."""

    def __init__(self, size: int) -> None:
        self.left = 0
        self._size = size

    def fitting(self, lines: Iterable[str]) -> Iterator[str]:
        """Yield lines as long as they fit, and count the rest."""
        for line in lines:
            size = len(line.encode())
            if self.left or size > self._size:
                self.left += 1
                continue
            self._size -= size
            yield line
