"""The ``inventory`` provider: a file that was written down, planned with as if it were the registry.

It is read-only, and plans everything. Only the lines of the registry of its own name are its images. The file
may be larger than memory, so that it is one unit, read once from its first line to its last; a wrong line
is an error there, and the repositories before it stay good.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Self

import msgspec

from janitor.core.policy import RegistrySpec
from janitor.core.reference import normal_host
from janitor.errors import FileError, Malformed, Unreachable
from janitor.files.inventoryfile import read_repositories
from janitor.providers.interface import Context, Field, Listing, Registry, RepositoryFilter, Unit
from janitor.providers.keys import InventoryKeys, Keys


class Inventory(Registry):
    """What a file says that a registry holds."""

    provider: ClassVar[str] = "inventory"
    keys: ClassVar[type[Keys]] = InventoryKeys
    abilities = InventoryKeys(path="").abilities

    def __init__(self, name: str, path: Path, hosts: tuple[str, ...], only: frozenset[str] | None) -> None:
        self.hosts = hosts
        self._name = name
        self._path = path
        self._named = only
        self._wanted: RepositoryFilter | None = None

    @classmethod
    def open(cls, spec: RegistrySpec, context: Context) -> Self:  # noqa: ARG003 - a file needs nothing of a run
        """Make it of ``spec.keys``; the file is opened when it is listed."""
        keys = msgspec.convert(spec.keys, InventoryKeys, from_attributes=True)
        named = None if spec.repositories is None else frozenset(spec.repositories)
        return cls(spec.name, Path(keys.path), tuple(map(normal_host, spec.aliases)), named)

    def _units(self, only: RepositoryFilter) -> Iterator[Unit]:
        self._wanted = only
        yield Unit(name=self._name, many=True)

    def _list(self, unit: Unit, wanted: frozenset[Field]) -> Iterator[Listing]:  # noqa: ARG002 - there is one
        labels = Field.LABELS in wanted
        try:
            for _, repository, images in read_repositories(self._path, self._name, labels=labels):
                if self._wants(repository):
                    yield Listing(repository=repository, images=tuple(images))
        except FileError as error:
            kind = Unreachable if isinstance(error.__cause__, OSError) else Malformed
            raise kind(error.message) from error

    def _wants(self, repository: str) -> bool:
        if self._named is not None and repository not in self._named:
            return False
        return self._wanted is None or self._wanted.wants(repository)
