"""The documentation says what is there: its tables, links and commands are checked."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs.generate import in_step, pages

ROOT = Path(__file__).parents[2]
PAGES = [*pages(), *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"))]


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_the_tables_are_those_that_the_parser_reads(page: Path) -> None:
    text = page.read_text()
    assert in_step(text) == text, f"{page.name} is not in step with the tables: make docs"


def test_every_block_of_the_language_has_its_table() -> None:
    from janitor.policyfile.keys import TABLES  # noqa: PLC0415 - hui

    text = (ROOT / "docs" / "policy-reference.md").read_text()
    assert {name for name in TABLES if f"<!-- keys: {name} -->" not in text} == set()
