"""All kinds of registries and sources that policy files may speak of, each looked up when a file names it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

import msgspec

from janitor.policyfile import Kinds


class _Row(Protocol):
    @property
    def keys(self) -> type[msgspec.Struct]: ...


class _Looked(Mapping[str, type[msgspec.Struct]]):
    """Names, each with the struct of its keys; the table is imported when something is looked up in it."""

    def __init__(self, table: Callable[[], Mapping[str, _Row]]) -> None:
        self._table = table

    def __getitem__(self, name: str) -> type[msgspec.Struct]:
        return self._table()[name].keys

    def __iter__(self) -> Iterator[str]:
        return iter(self._table())

    def __len__(self) -> int:
        return len(self._table())


def kinds() -> Kinds:
    """All kinds, by the names that files use."""
    return Kinds(providers=_Looked(_providers), sources=_Looked(_sources))


def _providers() -> Mapping[str, _Row]:
    from janitor.providers import PROVIDERS  # noqa: PLC0415 - as _Looked says

    return PROVIDERS


def _sources() -> Mapping[str, _Row]:
    from janitor.inuse import SOURCES  # noqa: PLC0415 - as _Looked says

    return SOURCES
