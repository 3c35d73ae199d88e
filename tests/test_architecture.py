"""What import-linter can't see: what the core may not touch, and how modules are kept small and apart."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "janitor"
MODULES = sorted(PACKAGE.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
MAX_LINES = 400

# All that the core may import: it takes `now` as an argument and gives back values, so it has no clock, no
# files, environment, network, chance, threads or logs. (zoneinfo reads its tables, the same everywhere.)
PURE = frozenset(
    {"__future__", "abc", "array", "bisect", "calendar", "collections", "contextlib", "datetime"}
)
PURE |= {
    "decimal",
    "enum",
    "fractions",
    "functools",
    "hashlib",
    "heapq",
    "itertools",
    "json",
    "math",
    "operator",
    "re",
}
PURE |= {"string", "types", "typing", "unicodedata", "zoneinfo", "msgspec", "re2", "janitor"}
IMPURE_CALLS = frozenset({"open", "print", "input", "exec", "eval", "compile", "__import__", "breakpoint"})
IMPURE_METHODS = frozenset({"now", "utcnow", "today"})

# Of these one pays seconds at import: `--help`, `check`, `schema` and `test` never load one.
HEAVY = frozenset(
    {"azure", "boto3", "botocore", "google", "googleapiclient", "grpc", "kubernetes", "lightkube"}
)

# Each module of these packages stands alone beside what its kind has in common.
APART = ("providers", "inuse", "reports", "policyfile/importers")
COMMON = frozenset({"awsdoor", "deleting", "interface", "keys", "lines", "mentions"})


def test_the_core_touches_nothing_outside_itself() -> None:
    faults = [
        f"{_name(path)}:{fault}"
        for path in sorted((PACKAGE / "core").rglob("*.py"))
        for fault in _impurities(_tree(path))
    ]
    assert faults == []


@pytest.mark.parametrize(
    "text",
    [
        "import time",
        "import os.path",
        "from pathlib import Path",
        "def f():\n    import threading",
        "from datetime import datetime\nnow = datetime.now(tz)",
        "import datetime\nnow = datetime.datetime.now(tz)",
        "from datetime import date\nday = date.today()",
        "data = open('x')",
        "print('x')",
        "import logging",
        "from random import random",
        "import subprocess, socket",
    ],
)
def test_a_clock_a_file_or_a_thread_in_the_core_would_be_seen(text: str) -> None:
    assert list(_impurities(ast.parse(text)))


@pytest.mark.parametrize(
    "text", ["from datetime import datetime, time", "x = time.hour", "def f(now): g(now)"]
)
def test_what_only_sounds_like_a_clock_is_none(text: str) -> None:
    assert not list(_impurities(ast.parse(text)))


def test_no_module_is_two_modules() -> None:
    lengths = {_name(path): len(path.read_text().splitlines()) for path in MODULES}
    assert {name: lines for name, lines in lengths.items() if lines > MAX_LINES} == {}


@pytest.mark.parametrize("package", APART)
def test_modules_of_one_kind_do_not_import_their_siblings(package: str) -> None:
    dotted = f"janitor.{package.replace('/', '.')}"
    faults = [
        f"{_name(path)}: {module}"
        for path in sorted((PACKAGE / package).glob("*.py"))
        if path.stem != "__init__"
        for module in _imports(_tree(path))
        if module.startswith(f"{dotted}.") and module.split(".")[dotted.count(".") + 1] not in COMMON
    ]
    assert faults == []


def test_no_module_loads_a_cloud_sdk_before_it_is_needed() -> None:
    faults = [
        f"{_name(path)}: {module}"
        for path in MODULES
        for module in _imports(_tree(path), top=True)
        if module.split(".")[0] in HEAVY
    ]
    assert faults == []


def test_tests_talk_to_simulators_and_mock_nothing() -> None:
    faults = [
        f"{_name(path)}: {module}"
        for path in TESTS
        for module in _imports(_tree(path))
        if module.split(".")[0] in {"mock", "pytest_mock"} or module.startswith("unittest.mock")
    ]
    assert faults == []


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=str(path))


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _imports(tree: ast.Module, *, top: bool = False) -> Iterator[str]:
    """Every module that is imported, `from a import b` as `a.b` too; ``top``: at the module's top only."""
    for node in _at_top(tree) if top else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _at_top(tree: ast.Module) -> Iterator[ast.AST]:
    """What runs at import: not what stands in functions, nor under ``if TYPE_CHECKING``."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            waiting.extend(node.orelse)
            continue
        waiting.extend(ast.iter_child_nodes(node))


def _impurities(tree: ast.Module) -> Iterator[str]:
    for module in _imports(tree):
        if module.split(".")[0] not in PURE:
            yield f" imports {module}"
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = node.func
        if isinstance(called, ast.Name) and called.id in IMPURE_CALLS:
            yield f"{node.lineno}: calls {called.id}()"
        if isinstance(called, ast.Attribute) and called.attr in IMPURE_METHODS:
            yield f"{node.lineno}: calls {ast.unparse(called)}()"
