"""Every provider's rows, and how a suite runs on those of them that can what it needs.

A new provider is a module here with its rows, beside its row in ``PROVIDERS``; every suite of this folder
then runs on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import pytest

from janitor.providers.interface import Forgetful
from tests.conformance import (
    acr_stage,
    dockerhub_stage,
    ecr_stage,
    gar_stage,
    ghcr_stage,
    inventory_stage,
    layout_stage,
    oci_stage,
)
from tests.conformance.harness import Faults, Harness

_ROWS: tuple[Harness, ...] = (
    *acr_stage.ROWS,
    *ecr_stage.ROWS,
    *gar_stage.ROWS,
    *dockerhub_stage.ROWS,
    *ghcr_stage.ROWS,
    *oci_stage.ROWS,
    *layout_stage.ROWS,
    *inventory_stage.ROWS,
)

HARNESSES: Mapping[str, tuple[Harness, ...]] = {
    provider: tuple(row for row in _ROWS if row.provider == provider)
    for provider in dict.fromkeys(row.provider for row in _ROWS)
}


def on(**abilities: bool) -> pytest.MarkDecorator:
    """Run a test on every harness that has these abilities."""
    return pytest.mark.parametrize("harness", [_parameter(row) for row in _able(abilities)])


def struck(
    names: str, cases: Callable[[Faults], Iterable[str | tuple[str, ...]]], **abilities: bool
) -> pytest.MarkDecorator:
    """Run a test on every harness that can be struck, once for each of its cases, under these names."""
    parameters = []
    for row in _able({"faults": True} | abilities):
        assert row.faults is not None
        for case in cases(row.faults):
            values = (case,) if isinstance(case, str) else case
            parameters.append(_parameter(row, *values))
    return pytest.mark.parametrize(f"harness, {names}", parameters)


def _able(abilities: Mapping[str, bool]) -> list[Harness]:
    return [
        row for row in _ROWS if all(bool(getattr(row, name)) is value for name, value in abilities.items())
    ]


def _parameter(row: Harness, *values: str) -> object:
    marks = [pytest.mark.peer(*row.peers)] if row.peers else []
    return pytest.param(row, *values, id="-".join((row.name, *values)), marks=marks)


FORGETFUL = Forgetful()
