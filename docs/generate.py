"""Writes the tables of the documentation anew, from the tables that the parser itself reads.

A page marks where a table goes, and this puts it there::

    <!-- keys: limits -->        the keys of a block of policy files
    <!-- provider: oci -->       the keys of a provider
    <!-- source: manifests -->   the keys of a source of use
    <!-- end -->

Everything else on a page is written by hand. Run as ``make docs``; a test says when a page isn't in step.
"""  # noqa: INP001 - a folder of pages, no package

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import msgspec
from msgspec import NODEFAULT, Meta

from janitor.inuse import SOURCES
from janitor.policyfile.keys import TABLES, Key, Kind
from janitor.providers import PROVIDERS

DOCS = Path(__file__).parent

_BLOCK = re.compile(r"(<!-- (keys|provider|source): (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def in_step(text: str) -> str:
    """Return the page with every table written anew."""
    return _BLOCK.sub(lambda block: block[1] + "".join(_table(block[2], block[3])) + block[4], text)


def pages() -> list[Path]:
    """All pages, in order."""
    return sorted(DOCS.rglob("*.md"))


def _table(what: str, name: str) -> Iterator[str]:
    if what == "keys":
        rows = [
            (key.name, _takes(key), _told(key.doc, required=key.required)) for key in TABLES[name].values()
        ]
    elif what == "provider":
        rows = list(_fields(PROVIDERS[name].keys))
    else:
        rows = list(_fields(SOURCES[name].keys))
    yield "| key | takes | meaning |\n| --- | --- | --- |\n"
    for row in rows:
        yield f"| `{row[0]}` | {_cell(row[1])} | {_cell(row[2])} |\n"


def _takes(key: Key) -> str:
    if key.choices:
        listed = ", ".join(f"`{choice}`" for choice in key.choices)
        return f"one of {listed}" if key.kind is Kind.CHOICE else f"any of {listed}"
    return str(key.kind)


def _told(doc: str, *, required: bool) -> str:
    return f"{doc}; required" if required else doc


_TYPES: Mapping[Any, str] = {str: "text", bool: "true or false", Path: "path", int: "number", float: "number"}


def _fields(keys: type[msgspec.Struct]) -> Iterator[tuple[str, str, str]]:
    required = {field.name for field in msgspec.structs.fields(keys) if _is_required(field)}
    for name, hint in get_type_hints(keys, include_extras=True).items():
        metas = [meta for meta in _metas(hint) if isinstance(meta, Meta)]
        doc = next((meta.description for meta in metas if meta.description), "")
        is_path = any((meta.extra or {}).get("path") for meta in metas)
        yield name, _typed(hint, is_path=is_path), _told(doc, required=name in required)


def _is_required(field: msgspec.structs.FieldInfo) -> bool:
    return field.default is NODEFAULT and field.default_factory is NODEFAULT


def _metas(hint: Any) -> Iterable[Any]:
    """Everything that is said of a type, of the parts of a union too."""
    if get_origin(hint) is Annotated:
        yield from get_args(hint)[1:]
        yield from _metas(get_args(hint)[0])
    else:
        for part in get_args(hint):
            yield from _metas(part)


def _typed(hint: Any, *, is_path: bool) -> str:
    if get_origin(hint) is Annotated:
        return _typed(get_args(hint)[0], is_path=is_path)
    if get_origin(hint) is tuple:
        return f"list of {_typed(get_args(hint)[0], is_path=is_path)}s"
    if hint is str and is_path:
        return "path"
    if hint in _TYPES:
        return _TYPES[hint]
    return " or ".join(_typed(part, is_path=is_path) for part in get_args(hint) if part is not type(None))


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    for page in pages():
        page.write_text(in_step(page.read_text()))
