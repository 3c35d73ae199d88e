"""Where work says how far it is."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Where a run says how far it is; called from the run's own thread alone.

    A stage (``what``: "listing", "deleting") has ``total`` repositories, or who knows how many.
    """

    def started(self, total: int | None, what: str) -> None:
        """Begin a stage."""

    def advanced(self, what: str, images: int) -> None:
        """Say that one repository, ``what``, is done, and how many images it had."""

    def finished(self) -> None:
        """Close the stage, whether or not all of it was done."""
