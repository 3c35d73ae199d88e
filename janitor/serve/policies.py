"""The policies that are in force: read at the start, and again when their files change.

A new version that is wrong, or schedules nothing, leaves the old one in force, and says why.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime

from janitor.core.policy import PolicySet
from janitor.errors import UsageError
from janitor.log import get_logger
from janitor.opening import load_policies
from janitor.policyfile.load import find_files
from janitor.policyfile.nodes import Problems
from janitor.redaction import redact
from janitor.serve.schedules import Planned, planned, refuse_read_only

_Print = tuple[tuple[str, int, int, int], ...]


class Policies:
    """Raises PolicyError and UsageError when it is made, where the first version is wrong."""

    def __init__(
        self, paths: Sequence[str], environ: Mapping[str, str], now: datetime, *, deleting: bool
    ) -> None:
        self._paths = paths
        self._deleting = deleting
        self._environ = environ
        self._print = _look(paths)
        self.trouble: str | None = None
        self.looked_at = now
        self.current: PolicySet
        self.schedules: tuple[Planned, ...]
        self._load()

    def reload(self, now: datetime, *, asked: bool) -> bool:
        """Read the files anew where they changed, or somebody ``asked``; whether they were read."""
        found = _look(self._paths)
        if found == self._print and not asked:
            return False
        self._print, self.looked_at = found, now
        before = self.current.sha256
        try:
            self._load()
        except UsageError as error:
            self.trouble = redact(error.message)
            get_logger().error("policies.broken", message=self.trouble)
            return True
        self.trouble = None
        get_logger().info("policies.loaded", changed=before != self.current.sha256, files=self.current.files)
        return True

    def _load(self) -> None:
        policies = load_policies(self._paths, self._environ)
        if self._deleting:
            refuse_read_only(policies)
        self.schedules = planned(policies)
        self.current = policies


def _look(paths: Sequence[str]) -> _Print:
    """What tells that files changed, without reading them; in a volume of Kubernetes the inodes do."""
    found = []
    for file in find_files(paths, Problems()):
        with suppress(OSError):
            status = os.stat(file)  # noqa: PTH116  a text, as find_files gives it
            found.append((file, status.st_ino, status.st_mtime_ns, status.st_size))
    return tuple(found)
