"""Types are made ready by one thread, and used by many."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

from tests.proofs.warm import ROOT

# Read by one thread alone: while a command starts, or by the scheduler.
_BY_ONE_THREAD = {"files/statefolder.py", "serve/history.py", "serve/served.py", "net/kubeconfig.py"}

# Many types, met by many threads at once; a thread is taken its turn as often as Python can.
_PROGRAM = """
import sys, threading, msgspec
from janitor.decoding import decode
sys.setswitchinterval(1e-6)
for number in range(300):
    inner = msgspec.defstruct("Inner", [("a", int), ("b", "dict[str, str] | None", None)])
    outer = msgspec.defstruct("Outer", [("one", inner | None, None), ("many", list[inner] | None, None)])
    together = threading.Barrier(8)
    def read():
        together.wait()
        value = decode(b'{"one": {"a": 1, "b": {"c": "d"}}, "many": [{"a": 2}]}', outer)
        assert (value.one.a, value.many[0].a) == (1, 2)
    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
"""


def test_many_threads_may_meet_a_type_at_once() -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM], check=False, cwd=ROOT, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("folder", ["core", "files", "net", "providers", "inuse", "serve"])
def test_what_threads_read_is_decoded_in_one_place(folder: str) -> None:
    """A type of msgspec that is first met where it is used may be met by two threads."""
    for path in sorted((ROOT / "janitor" / folder).rglob("*.py")):
        name = str(path.relative_to(ROOT / "janitor"))
        for function in ast.walk(ast.parse(path.read_text())):
            if not isinstance(function, ast.FunctionDef) or name in _BY_ONE_THREAD:
                continue
            for call in ast.walk(function):
                if isinstance(call, ast.Call):
                    assert not _makes_a_type(call), f"{name}:{call.lineno}: use janitor.decoding"


def _makes_a_type(call: ast.Call) -> bool:
    """Whether a call of msgspec decodes into a type of ours."""
    said = ast.unparse(call.func)
    if said == "msgspec.convert":
        return all(each.arg != "from_attributes" for each in call.keywords)
    if said not in {"msgspec.json.decode", "msgspec.json.Decoder", "msgspec.yaml.decode"}:
        return False
    kinds = [each.value for each in call.keywords if each.arg == "type"] or call.args[1:]
    if said.endswith("Decoder"):
        kinds = kinds or call.args
    return any(not _is_plain(ast.unparse(kind)) for kind in kinds)


def _is_plain(kind: str) -> bool:
    """Whether a type has no fields that would have to be looked up."""
    return not any(
        word[:1].isupper() or word.startswith("_") for word in _words(kind) if word not in {"Raw", "None"}
    )


def _words(kind: str) -> list[str]:
    return "".join(letter if letter.isalnum() or letter == "_" else " " for letter in kind).split()
