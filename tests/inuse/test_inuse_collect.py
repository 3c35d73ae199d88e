from __future__ import annotations

import threading
from pathlib import Path
from typing import Annotated, ClassVar, get_args, get_origin, get_type_hints

import msgspec
import pytest

from janitor.core.policy import SourceSpec
from janitor.inuse import SOURCES, collect
from janitor.inuse.interface import Context, Findings, Source
from janitor.inuse.keys import FileKeys
from tests.factories import WHERE


def spec(path: Path, *, allow_empty: bool = False) -> SourceSpec:
    return SourceSpec(kind="file", keys=FileKeys(file=str(path)), allow_empty=allow_empty, where=WHERE)


def test_a_source_that_cannot_be_read_hides_no_other(tmp_path: Path) -> None:
    path = tmp_path / "in-use.txt"
    path.write_text("ghcr.io/acme/app:1\n")
    in_use = collect((spec(tmp_path / "gone"), spec(path, allow_empty=True)), threading.Event())
    unread, good = in_use.readings
    assert unread.error is not None
    assert unread.references == ()
    assert good.error is None
    assert list(map(str, good.references)) == ["ghcr.io/acme/app:1"]
    assert (unread.allow_empty, good.allow_empty) == (False, True)


def test_no_source_is_no_reading() -> None:
    assert collect((), threading.Event()).readings == ()


class Broken(Source[FileKeys]):
    kind: ClassVar[str] = "broken"
    keys: ClassVar[type[msgspec.Struct]] = FileKeys

    @property
    def name(self) -> str:
        return "broken"

    def _read(self, found: Findings, context: Context, *, allow_empty: bool) -> None:  # noqa: ARG002 - the interface's
        raise LookupError("a slip in the code")


def test_a_fault_inside_of_a_source_closes_and_is_not_raised() -> None:
    reading = Broken(FileKeys(file="x")).read(Context(), allow_empty=True)
    assert reading.error == "LookupError: a slip in the code"


# What a single value after the word means, where that isn't called as the word itself.
FIRST = {"kubernetes": "context", "lambda": "region", "ecs": "region"}


@pytest.mark.parametrize("kind", SOURCES)
def test_the_first_key_is_what_a_single_value_means_and_every_key_is_described(kind: str) -> None:
    row = SOURCES[kind]
    assert (row.source.kind, row.source.keys) == (kind, row.keys)
    first, *_ = row.keys.__struct_fields__
    assert first == FIRST.get(kind, kind)
    for hint in get_type_hints(row.keys, include_extras=True).values():
        assert get_origin(hint) is Annotated
        _, meta = get_args(hint)
        assert meta.description
