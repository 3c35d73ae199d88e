"""The ``.xml`` report: JUnit's, which every CI system shows.

A testcase a repository, a testsuite a registry. A repository in which something failed is a failure, one that
is limited is skipped; what went wrong with a registry or the run as a whole is a failure in a testcase of its
own, so that the file is red whenever the exit code is 1. What doesn't change the exit code (a message that
couldn't be sent) stands in ``system-err``.

The shape is the one that Ant's schema and Jenkins' both take: attributes and order of elements as there, and
no ``error``, which the two don't call alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from html import escape

import msgspec

from janitor.core.legible import cut, number
from janitor.core.plan import RepositoryState
from janitor.core.report import NOTIFY, ErrorReport, Outcome, OutcomeKind, Report, RepositoryReport

# Images that are named at a failure, and characters of a sentence.
_MOST, _LONG = 20, 2000

# All else can't stand in XML 1.0 at all, not even escaped.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# In the value of an attribute these would be read as spaces.
_SPACES = str.maketrans({"\t": "&#9;", "\n": "&#10;", "\r": "&#13;"})

_Place = tuple[str, str]


def render(report: Report, outcomes: Iterable[Outcome]) -> Iterator[str]:
    """Yield the document, an element at a time; the outcomes are read before the first testcase."""
    failed = _failed(outcomes)
    yield '<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n'
    for place, suite in enumerate(_suites(report)):
        yield from _suite(place, suite, report, failed)
    yield "</testsuites>\n"


class _Suite(msgspec.Struct, frozen=True, kw_only=True):
    """A registry's testcases. ``asides`` are errors that change no exit code."""

    name: str
    repositories: list[RepositoryReport] = []
    errors: list[ErrorReport] = []
    asides: list[ErrorReport] = []


def _suites(report: Report) -> list[_Suite]:
    suites: dict[str, _Suite] = {}
    told = set()
    for repository in report.repositories:
        suite = suites.setdefault(repository.registry, _Suite(name=repository.registry))
        suite.repositories.append(repository)
        if _is_failure(repository):
            told.add((repository.registry, repository.repository))
    for error in report.errors:
        name = error.registry or "run"
        suite = suites.setdefault(name, _Suite(name=name))
        if error.code == NOTIFY:
            suite.asides.append(error)
        elif (error.registry, error.repository) not in told:
            suite.errors.append(error)
    return list(suites.values()) or [_Suite(name="run")]


def _failed(outcomes: Iterable[Outcome]) -> dict[_Place, list[str]]:
    """The first images that failed in each repository, each with why."""
    failed: dict[_Place, list[str]] = {}
    for outcome in outcomes:
        if outcome.outcome is not OutcomeKind.FAILED:
            continue
        action = outcome.action
        lines = failed.setdefault((action.registry, action.repository), [])
        if len(lines) < _MOST:
            tags = f" ({', '.join(action.tags)})" if action.tags else ""
            lines.append(cut(f"{action.digest}{tags}: {outcome.detail or 'failed'}", _LONG))
    return failed


def _suite(place: int, suite: _Suite, report: Report, failed: dict[_Place, list[str]]) -> Iterator[str]:
    # How long one registry took isn't known: the first has the time of the run, so that the sum is right.
    seconds = (report.finished_at - report.started_at).total_seconds() if place == 0 else 0
    yield (
        f'  <testsuite id="{place}" name={_value(suite.name)} package="janitor" hostname="localhost" '
        f'timestamp="{report.started_at:%Y-%m-%dT%H:%M:%S}" '
        f'tests="{len(suite.repositories) + len(suite.errors)}" '
        f'failures="{sum(map(_is_failure, suite.repositories)) + len(suite.errors)}" errors="0" '
        f'skipped="{sum(map(_is_skipped, suite.repositories))}" time="{seconds:.3f}">\n'
    )
    yield "    <properties>\n"
    for key, value in (("run_id", report.run_id), ("mode", report.mode), ("exit_code", report.exit_code)):
        yield f"      <property name={_value(key)} value={_value(str(value))}/>\n"
    yield "    </properties>\n"
    said = {(error.registry, error.repository): error.message for error in reversed(report.errors)}
    for repository in suite.repositories:
        where = repository.registry, repository.repository
        yield from _case(repository, said.get(where), failed.get(where, []))
    for place_of_error, error in enumerate(suite.errors, 1):
        title = error.repository or f"{suite.name} as a whole"
        title += f" ({place_of_error})" if place_of_error > 1 else ""
        yield f'    <testcase name={_value(title)} classname={_value(suite.name)} time="0">\n'
        yield f"      <failure type={_value(error.code)} message={_value(error.message)}/>\n    </testcase>\n"
    yield "    <system-out/>\n"
    asides = "\n".join(error.message for error in suite.asides)
    yield f"    <system-err>{_body(asides)}</system-err>\n  </testsuite>\n"


def _case(repository: RepositoryReport, said: str | None, failed: list[str]) -> Iterator[str]:
    name, suite = _value(repository.repository), _value(repository.registry)
    begin = f'    <testcase name={name} classname={suite} time="0"'
    if _is_failure(repository):
        what = f"{number(repository.failed, 'image')} of {repository.planned:,} failed"
        message = what if said is None else said
        rest = repository.failed - len(failed)
        lines = [*failed, *([f"and {rest:,} more"] if failed and rest > 0 else [])]
        yield f"{begin}>\n      <failure type={_value(_kind(repository))} message={_value(message)}>"
        yield f"{_body(chr(10).join(lines))}</failure>\n    </testcase>\n"
    elif _is_skipped(repository):
        what = f"stopped by a limit or an unread source of use: {number(repository.planned, 'image')} planned"
        yield f"{begin}>\n      <skipped message={_value(said or what)}/>\n    </testcase>\n"
    else:
        yield f"{begin}/>\n"


def _kind(repository: RepositoryReport) -> str:
    return "unread" if repository.state is RepositoryState.FAILED else "failed"


def _is_failure(repository: RepositoryReport) -> bool:
    return repository.state is RepositoryState.FAILED or repository.failed > 0


def _is_skipped(repository: RepositoryReport) -> bool:
    return not _is_failure(repository) and repository.state is RepositoryState.LIMITED


def _value(text: str) -> str:
    return f'"{escape(_legal(cut(text, _LONG))).translate(_SPACES)}"'


def _body(text: str) -> str:
    return escape(_legal(text), quote=False)


def _legal(text: str) -> str:
    return _FORBIDDEN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
