"""The policy language as values: what a policy file says once it is known to be right.

Nothing here reads YAML or decides anything; ``policyfile`` makes these values, ``decision`` obeys them. What
the language's words mean stands at the tables below, which the parser, the JSON Schema and the
documentation read too.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from janitor.core.image import ImageType
from janitor.core.pattern import Pattern, PatternList
from janitor.core.reference import Reference


class Where(msgspec.Struct, frozen=True, kw_only=True):
    """A place in a policy file; ``line`` counts from 1."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class Side(StrEnum):
    """The two things that a rule can say of images."""

    KEEP = "keep"
    DELETE = "delete"


class ValueKind(StrEnum):
    """What may be written after a condition."""

    DURATION = "duration"
    INSTANT = "instant"
    COUNT = "count"
    SIZE = "size"
    PERIODS = "periods"


class ConditionKey(msgspec.Struct, frozen=True, kw_only=True):
    """One condition of the language: on which side it may stand, what it takes, how its twin is called."""

    key: str
    side: Side
    kind: ValueKind
    counting: bool = False
    twin: str = ""
    doc: str


class Period(StrEnum):
    """The calendar periods of ``one_per``, in the timezone of the policy."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


CONDITION_KEYS: Mapping[str, ConditionKey] = {
    row.key: row
    for row in (
        ConditionKey(
            key="newer_than",
            side=Side.KEEP,
            kind=ValueKind.DURATION,
            twin="older_than",
            doc="its time is less long ago than this",
        ),
        ConditionKey(
            key="older_than",
            side=Side.DELETE,
            kind=ValueKind.DURATION,
            twin="newer_than",
            doc="its time is longer ago than this",
        ),
        ConditionKey(
            key="after",
            side=Side.KEEP,
            kind=ValueKind.INSTANT,
            twin="before",
            doc="its time is after this instant; a date is midnight in the policy's timezone",
        ),
        ConditionKey(
            key="before",
            side=Side.DELETE,
            kind=ValueKind.INSTANT,
            twin="after",
            doc="its time is before this instant; a date is midnight in the policy's timezone",
        ),
        ConditionKey(
            key="pulled_within",
            side=Side.KEEP,
            kind=ValueKind.DURATION,
            twin="not_pulled_for",
            doc="it, or any platform of it, was pulled less long ago than this",
        ),
        ConditionKey(
            key="not_pulled_for",
            side=Side.DELETE,
            kind=ValueKind.DURATION,
            twin="pulled_within",
            doc="it, and every platform of it, was last pulled longer ago than this",
        ),
        ConditionKey(
            key="newest",
            side=Side.KEEP,
            kind=ValueKind.COUNT,
            counting=True,
            twin="beyond_newest",
            doc="it is among the N newest that the selectors choose, in each repository and group",
        ),
        ConditionKey(
            key="beyond_newest",
            side=Side.DELETE,
            kind=ValueKind.COUNT,
            counting=True,
            twin="newest",
            doc="it is not among the N newest that the selectors choose, in each repository and group",
        ),
        ConditionKey(
            key="within_size",
            side=Side.KEEP,
            kind=ValueKind.SIZE,
            counting=True,
            twin="beyond_size",
            doc="sizes added from the newest on, it still fits",
        ),
        ConditionKey(
            key="beyond_size",
            side=Side.DELETE,
            kind=ValueKind.SIZE,
            counting=True,
            twin="within_size",
            doc="sizes added from the newest on, it does not fit any more",
        ),
        ConditionKey(
            key="one_per",
            side=Side.KEEP,
            kind=ValueKind.PERIODS,
            counting=True,
            doc="it is the newest of its hour, day, week, month or year, for the newest N of these",
        ),
        ConditionKey(
            key="larger_than",
            side=Side.DELETE,
            kind=ValueKind.SIZE,
            doc="its size is larger than this",
        ),
        ConditionKey(
            key="archived_for",
            side=Side.DELETE,
            kind=ValueKind.DURATION,
            doc="it has been in the archive class for longer than this",
        ),
    )
}


class OrderBy(StrEnum):
    """What newest means to the counting conditions."""

    TIME = "time"
    CREATED = "created"
    PULLED = "pulled"
    VERSION = "version"


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """One condition with its value, by the kind that :data:`CONDITION_KEYS` gives.

    DURATION: timedelta; INSTANT: aware datetime; COUNT: int; SIZE: bytes; PERIODS: ((Period, N), …).
    ``text`` is the value as the file says it.
    """

    key: str
    value: timedelta | datetime | int | tuple[tuple[Period, int], ...]
    text: str


class Selectors(msgspec.Struct, frozen=True, kw_only=True):
    """Which images a rule speaks of. ``None``, false or empty: the rule doesn't ask."""

    tags: PatternList | None = None
    tags_all: tuple[Pattern, ...] = ()
    untagged: bool = False
    type: frozenset[ImageType] = frozenset()
    labels: tuple[tuple[str, Pattern], ...] = ()
    registries: PatternList | None = None
    repositories: PatternList | None = None
    orphaned: bool = False
    undated: bool = False
    archived: bool = False


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One rule. ``name`` is the whole of it: ``policy/rule`` or ``policy/3``.

    ``text`` is the rule as its file says it, in one line, for reasons.
    """

    name: str
    side: Side
    where: Where
    select: Selectors = Selectors()
    conditions: tuple[Condition, ...] = ()
    group_by: str | None = None
    order_by: OrderBy = OrderBy.TIME
    untag: bool = False
    archive: bool = False
    any_tag: bool = False
    text: str = ""


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """Rules for the repositories that it covers. ``timezone`` is an IANA name."""

    name: str
    where: Where
    timezone: str = "UTC"
    registries: PatternList
    repositories: PatternList
    rules: tuple[Rule, ...] = ()


class ProtectedImage(msgspec.Struct, frozen=True, kw_only=True):
    """An image that a ``protect`` list names."""

    reference: Reference
    where: Where


class TagProtection(msgspec.Struct, frozen=True, kw_only=True):
    """One ``protect.tags`` list; each is judged by itself."""

    patterns: PatternList
    where: Where


class SourceSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of ``protect.in_use``: its kind, the frozen struct of its keys, and where it stands."""

    kind: str
    keys: msgspec.Struct
    allow_empty: bool = False
    where: Where


class Protect(msgspec.Struct, frozen=True, kw_only=True):
    """What beats every rule. ``latest``: no list said ``!latest``."""

    latest: bool = True
    tags: tuple[TagProtection, ...] = ()
    images: tuple[ProtectedImage, ...] = ()
    in_use: tuple[SourceSpec, ...] = ()


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much may go, and how soon. ``None``: no such limit."""

    grace: timedelta = timedelta(hours=24)
    min_remaining: int = 1
    max_percent: int = 80
    max_deletions: int | None = None
    budget: int | None = None


class RegistrySpec(msgspec.Struct, frozen=True, kw_only=True):
    """One registry of the files. ``keys`` is the provider's own frozen struct."""

    name: str
    provider: str
    keys: msgspec.Struct
    aliases: tuple[str, ...] = ()
    repositories: tuple[str, ...] | None = None
    requests_per_second: float | None = None
    allow_unused: bool = False
    where: Where


class NotifySpec(msgspec.Struct, frozen=True, kw_only=True):
    """One webhook."""

    webhook: str
    format: str = "json"
    on: tuple[str, ...] = ("always",)
    where: Where


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """One start time of ``janitor serve``, narrowed as a run is."""

    cron: str
    timezone: str = "UTC"
    registries: tuple[str, ...] = ()
    repositories: tuple[str, ...] = ()
    where: Where


class PolicySet(msgspec.Struct, frozen=True, kw_only=True):
    """All policy files, merged. ``files`` are their paths, in order, ``texts`` their bytes."""

    registries: tuple[RegistrySpec, ...] = ()
    protect: Protect = Protect()
    limits: Limits = Limits()
    notify: tuple[NotifySpec, ...] = ()
    schedules: tuple[Schedule, ...] = ()
    policies: tuple[Policy, ...] = ()
    files: tuple[str, ...] = ()
    texts: tuple[bytes, ...] = ()

    @property
    def sha256(self) -> str:
        """The digest of all bytes of all files, which plans name; in hexadecimal digits."""
        from hashlib import sha256  # noqa: PLC0415 - loads OpenSSL, which takes milliseconds and only plans need

        return sha256(b"".join(self.texts)).hexdigest()

    def registry(self, name: str) -> RegistrySpec:
        """The registry of that name; KeyError if there is none."""
        for spec in self.registries:
            if spec.name == name:
                return spec
        raise KeyError(name)
