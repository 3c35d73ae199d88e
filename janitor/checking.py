"""A look at every registry and source of use that policies name, before a run is trusted with them.

Nothing is changed, and nothing is kept: the state folder is neither held nor written.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from janitor.core.fit import misfits_at
from janitor.core.policy import PolicySet, SourceSpec
from janitor.errors import RegistryError
from janitor.inuse import collect
from janitor.opening import Request, open_registries
from janitor.premises import Opened
from janitor.providers.interface import Finding, Forgetful, Level


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What was found of one registry or source; ``what`` is its provider, or ``in use``."""

    name: str
    what: str
    findings: tuple[Finding, ...]


def check_online(
    policies: PolicySet, environ: Mapping[str, str], concurrency: int, stop: threading.Event
) -> Iterator[Checked]:
    """Look at each registry, then at each source, in the order of the files; raises no RegistryError."""
    request = Request(concurrency=concurrency)
    with open_registries(policies, request, environ, stop, Forgetful()) as (opened, errors):
        for error in errors:
            finding = Finding(about="reading", level=Level.ERROR, message=error.message)
            yield Checked(name=error.registry or "", what=error.code, findings=(finding,))
        for one in opened:
            told = misfits_at(one.spec, one.registry.abilities, policies)
            rules = [Finding(about="rules", level=Level.WARNING, message=each) for each in told]
            found = (*_looked(one), *rules)
            yield Checked(name=one.spec.name, what=one.spec.provider, findings=found)
    for spec in policies.protect.in_use:
        yield _source(spec, stop, environ)


def _looked(one: Opened) -> Sequence[Finding]:
    found: list[Finding] = []
    try:
        for finding in one.registry.check():
            found.append(finding)  # noqa: PERF402 - what was found before an error counts
    except RegistryError as error:
        found.append(Finding(about="reading", level=Level.ERROR, message=error.message))
    return found


def _source(spec: SourceSpec, stop: threading.Event, environ: Mapping[str, str]) -> Checked:
    (reading,) = collect((spec,), stop, environ).readings
    count = len(reading.references)
    told = f"{count:,} {'reference' if count == 1 else 'references'} read"
    if reading.error is not None:
        finding = Finding(
            about="reading",
            level=Level.ERROR,
            message=reading.error,
            advice="as long as it can't be read, a run deletes nothing",
        )
    elif not count and not spec.allow_empty:
        finding = Finding(
            about="reading",
            level=Level.ERROR,
            message="it names no image at all",
            advice="a run deletes nothing then; `allow_empty: true` says that this is right",
        )
    else:
        finding = Finding(about="reading", level=Level.OK, message=told)
    return Checked(name=reading.source, what="in use", findings=(finding,))
