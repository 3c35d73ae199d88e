"""The four switches of repositories, manifests and tags at an Azure registry, each apart from the others."""

from __future__ import annotations

from typing import Any

SWITCHES = ("deleteEnabled", "writeEnabled", "readEnabled", "listEnabled")
_ALL_ON = dict.fromkeys(SWITCHES, True)


class Switches:
    """By repository and by what of it: a digest, a tag, or with neither the repository itself."""

    def __init__(self) -> None:
        self._turned: dict[tuple[str, str], dict[str, bool]] = {}

    def turn(self, repository: str, what: str, **switches: bool) -> None:
        self._turned.setdefault((repository, what), dict(_ALL_ON)).update(switches)

    def on(self, repository: str, what: str, switch: str) -> bool:
        return self._turned.get((repository, what), _ALL_ON)[switch]

    def of(self, repository: str, what: str) -> dict[str, Any]:
        """As answers show them."""
        return dict(self._turned.get((repository, what), _ALL_ON))

    def lock(self, repository: str, what: str) -> bool:
        """Either switch blocks; of a repository only that of writing does, for all that is in it."""
        if not self.on(repository, "", "writeEnabled"):
            return True
        return not (self.on(repository, what, "deleteEnabled") and self.on(repository, what, "writeEnabled"))
