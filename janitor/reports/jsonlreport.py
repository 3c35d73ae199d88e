"""The ``.jsonl`` report: everything, a line each.

The parts of the ``.json`` document come first, then the plan's action lines with what became of them. Each
line says in ``kind`` what it is: ``report`` (what there is once, with the totals), ``registry``,
``repository``, ``unselected``, ``in_use``, ``error``, and ``action``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from janitor.core.report import Outcome, Report

# The lists of the document, each with the kind of its lines.
_PARTS = {
    "registries": "registry",
    "repositories": "repository",
    "unselected": "unselected",
    "errors": "error",
}


def render(report: Report, outcomes: Iterable[Outcome]) -> Iterator[str]:
    """Yield a line a part, and a line an outcome."""
    encoder = msgspec.json.Encoder()
    fields = {name: getattr(report, name) for name in report.__struct_fields__}
    parts = {kind: fields.pop(name) for name, kind in _PARTS.items()}
    in_use = fields.pop("in_use")
    yield _line(encoder, "report", fields)
    for kind, values in parts.items():
        for value in values:
            yield _line(encoder, kind, value)
    yield _line(encoder, "in_use", in_use)
    for outcome in outcomes:
        # An action is encoded as the plan has it, and its outcome put before the brace that closes it.
        action = encoder.encode(outcome.action).decode()
        extra = encoder.encode({"outcome": outcome.outcome, "detail": outcome.detail}).decode()
        yield f"{action[:-1]},{extra[1:]}\n"


def _line(encoder: msgspec.json.Encoder, kind: str, value: Any) -> str:
    fields = msgspec.structs.asdict(value) if isinstance(value, msgspec.Struct) else value
    return encoder.encode({"kind": kind} | fields).decode() + "\n"
