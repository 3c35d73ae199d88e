"""All kinds of registries and sources that policy files may speak of, each looked up when a file names it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import msgspec

from janitor.inuse import SOURCES
from janitor.policyfile import Kinds
from janitor.providers import PROVIDERS


class _Looked(Mapping[str, type[msgspec.Struct]]):
    """Names, each with the struct of its keys; a struct's module is imported when it is asked for."""

    def __init__(self, names: Mapping[str, object], find: Callable[[str], type[msgspec.Struct]]) -> None:
        self._names = names
        self._find = find

    def __getitem__(self, name: str) -> type[msgspec.Struct]:
        if name not in self._names:
            raise KeyError(name)
        return self._find(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def kinds() -> Kinds:
    """All kinds, by the names that files use."""
    return Kinds(
        providers=_Looked(PROVIDERS, lambda name: PROVIDERS[name].keys),
        sources=_Looked(SOURCES, lambda name: SOURCES[name].keys),
    )
