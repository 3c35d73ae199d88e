"""JSON into types, from several threads.

msgspec works a type out when it is met first, and hands it to other threads half made: these die with a
segmentation fault, and the run with them (seen with msgspec 0.22, a few times in a hundred runs). So each
type is made ready once, by one thread, before any uses it; where several threads read, nothing else decodes.
"""

from __future__ import annotations

import threading
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}
_making = threading.Lock()


def decode(data: bytes | str | msgspec.Raw, kind: type[T]) -> T:
    """Decode JSON as a type; errors: as ``msgspec.json.decode``."""
    value: T = _decoder(kind).decode(data)
    return value


def convert(value: object, kind: type[T]) -> T:
    """Take a plain value as a type; errors: as ``msgspec.convert``."""
    _decoder(kind)
    return msgspec.convert(value, kind)


def _decoder(kind: type[T]) -> msgspec.json.Decoder[T]:
    found = _decoders.get(kind)
    if found is None:
        # One lock for all: types name one another.
        with _making:
            found = _decoders.setdefault(kind, msgspec.json.Decoder(kind))
    return found
