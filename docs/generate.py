"""Writes the tables of the documentation anew, from the tables that the parser itself reads.

A page marks where a table goes, and this puts it there::

    <!-- keys: limits -->        the keys of a block of policy files
    <!-- provider: oci -->       the keys of a provider
    <!-- source: manifests -->   the keys of a source of use
    <!-- test: case -->          the keys of a block of policy tests
    <!-- end -->

Everything else on a page is written by hand. Run as ``make docs``; a test says when a page isn't in step.
"""  # noqa: INP001 - a folder of pages, no package

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from janitor.inuse import SOURCES
from janitor.policyfile.keys import TABLES, Key, Kind, Table
from janitor.policyfile.registries import struct_keys
from janitor.policyfile.testkeys import TEST_CASE, TEST_FILE, TEST_IMAGE
from janitor.providers import PROVIDERS

DOCS = Path(__file__).parent
TESTS: Mapping[str, Table] = {"file": TEST_FILE, "case": TEST_CASE, "image": TEST_IMAGE}

_BLOCK = re.compile(r"(<!-- (keys|provider|source|test): (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def in_step(text: str) -> str:
    """Return the page with every table written anew."""
    return _BLOCK.sub(lambda block: block[1] + "".join(_rows(_table(block[2], block[3]))) + block[4], text)


def pages() -> list[Path]:
    """All pages, in order."""
    return sorted(DOCS.rglob("*.md"))


def _table(what: str, name: str) -> Table:
    if what == "provider":
        return struct_keys(PROVIDERS[name].keys)
    if what == "source":
        return struct_keys(SOURCES[name].keys)
    return TESTS[name] if what == "test" else TABLES[name]


def _rows(table: Table) -> Iterator[str]:
    yield "\n| key | takes | meaning |\n| --- | --- | --- |\n"
    for key in table.values():
        told = f"{key.doc}; required" if key.required else key.doc
        yield f"| `{key.name}` | {_cell(_takes(key))} | {_cell(told)} |\n"
    yield "\n"


def _takes(key: Key) -> str:
    if not key.choices:
        return str(key.kind)
    listed = ", ".join(f"`{choice}`" for choice in key.choices)
    return f"one of {listed}" if key.kind is Kind.CHOICE else f"any of {listed}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    for page in pages():
        page.write_text(in_step(page.read_text()))
