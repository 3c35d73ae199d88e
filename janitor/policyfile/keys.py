"""Every key of a policy file as data: where it stands, what it takes, one line of what it means.

The reader, the JSON Schema and the documentation read these tables and nothing else. The conditions' own
table is the core's (:data:`janitor.core.policy.CONDITION_KEYS`); the keys of providers and of sources of use
come from their structs (:mod:`janitor.policyfile.registries`).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from janitor.core.image import ImageType
from janitor.core.policy import CONDITION_KEYS, OrderBy, Period, Side, ValueKind


class Kind(StrEnum):
    """What may be written after a key. A list of texts may always be written as a single one."""

    TEXT = "text"
    NAME = "name"
    TEXTS = "list of texts"
    PATH = "path"
    PATHS = "list of paths"
    BOOLEAN = "true or false"
    TRUE = "true"
    VERSION = "1"
    COUNT = "number from 1"
    NUMBER = "number from 0"
    PERCENT = "number from 0 to 100"
    RATE = "number above 0"
    DURATION = "duration"
    DURATION_OR_NONE = "duration or 0h"
    SIZE = "size"
    INSTANT = "date or time"
    PERIODS = "periods with counts"
    CHOICE = "choice"
    CHOICES = "list of choices"
    TAG_PATTERNS = "list of tag patterns"
    TAG_PATTERNS_ALL = "list of tag patterns without !"
    PROTECTED_TAGS = "list of tag patterns or !latest"
    REPOSITORY_PATTERNS = "list of repository patterns"
    REGISTRY_PATTERNS = "list of registry names or globs"
    REPOSITORIES = "list of repositories"
    HOSTS = "list of host prefixes"
    REFERENCES = "list of image references"
    LABELS = "labels with globs"
    TIMEZONE = "IANA timezone"
    CRON = "cron expression"
    URL = "http or https address"
    BLOCK = "keys"
    BLOCKS = "list of keys"
    NAMED_BLOCKS = "names with keys"
    SOURCES = "list of sources of use"


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """One key. ``choices`` of the two kinds of choice; ``table`` names the table of the blocks.

    ``deferred``: nothing but a run uses the value, so that checking doesn't need its variables. ``narrows``:
    of a registry, without it the registry is larger.
    """

    name: str
    kind: Kind
    doc: str
    required: bool = False
    choices: tuple[str, ...] = ()
    table: str = ""
    deferred: bool = False
    narrows: bool = False


Table = Mapping[str, Key]


def table(*keys: Key) -> Table:
    """Return the keys by their names, in their order."""
    return {key.name: key for key in keys}


FILE = table(
    Key(name="version", kind=Kind.VERSION, required=True, doc="the version of the language: 1"),
    Key(
        name="registries",
        kind=Kind.NAMED_BLOCKS,
        table="registry",
        doc="the registries by the names that policies use",
    ),
    Key(name="protect", kind=Kind.BLOCK, table="protect", doc="what beats every rule of every policy"),
    Key(name="limits", kind=Kind.BLOCK, table="limits", doc="how much may go, and how soon"),
    Key(name="notify", kind=Kind.BLOCKS, table="notify", doc="webhooks that are told of runs"),
    Key(
        name="schedules",
        kind=Kind.BLOCKS,
        table="schedule",
        doc="when janitor serve starts runs; each is a run of its own",
    ),
    Key(name="policies", kind=Kind.BLOCKS, table="policy", doc="rules for repositories"),
)

REGISTRY = table(
    Key(name="provider", kind=Kind.TEXT, required=True, doc="which kind of registry it is"),
    Key(
        name="aliases",
        kind=Kind.HOSTS,
        doc="other host prefixes under which the same images are pulled: mirrors, pull-through caches",
    ),
    Key(name="requests_per_second", kind=Kind.RATE, doc="ask the registry no faster than this"),
    Key(
        name="allow_unused",
        kind=Kind.BOOLEAN,
        doc="it is right that no source of use names anything in this registry",
    ),
    Key(name="repositories", kind=Kind.REPOSITORIES, doc="its repositories, instead of the catalogue's"),
)

PROTECT = table(
    Key(
        name="tags",
        kind=Kind.PROTECTED_TAGS,
        doc='images with such a tag; latest is protected too, unless a list says "!latest"',
    ),
    Key(name="images", kind=Kind.REFERENCES, doc="images by reference, with a tag or a digest"),
    Key(name="in_use", kind=Kind.SOURCES, doc="where to ask which images are in use"),
)

SOURCE = table(
    Key(
        name="allow_empty",
        kind=Kind.BOOLEAN,
        doc="it is right that the source names no image at all",
    ),
)

LIMITS = table(
    Key(
        name="grace",
        kind=Kind.DURATION_OR_NONE,
        doc="nothing that arrived more recently is ever deleted (default 24h)",
    ),
    Key(
        name="min_remaining",
        kind=Kind.NUMBER,
        doc="a floor: the newest stay until this many are left in a repository (default 1)",
    ),
    Key(
        name="max_percent",
        kind=Kind.PERCENT,
        doc="a brake: how much of a repository, and of a registry, may go in one run (default 80)",
    ),
    Key(name="max_deletions", kind=Kind.NUMBER, doc="a brake: how many images may go in one run"),
    Key(
        name="budget",
        kind=Kind.NUMBER,
        doc="a ration: the oldest this many go, the rest waits for the next run",
    ),
)

NOTIFY = table(
    Key(name="webhook", kind=Kind.URL, required=True, deferred=True, doc="the address that is told"),
    Key(name="format", kind=Kind.CHOICE, choices=("json", "slack", "teams"), doc="what it understands"),
    Key(
        name="on",
        kind=Kind.CHOICES,
        choices=("failure", "limit", "deletion", "always"),
        doc="of which runs it is told (default always)",
    ),
)

SCHEDULE = table(
    Key(
        name="cron",
        kind=Kind.CRON,
        required=True,
        doc="when a run starts: five fields, or @daily and its kin",
    ),
    Key(name="timezone", kind=Kind.TIMEZONE, doc="of the cron expression (default UTC)"),
    Key(name="registries", kind=Kind.REGISTRY_PATTERNS, doc="narrows the run, as --registry does"),
    Key(name="repositories", kind=Kind.REPOSITORY_PATTERNS, doc="narrows the run, as --repository does"),
)

POLICY = table(
    Key(name="name", kind=Kind.NAME, required=True, doc="what reports call it; unique among all files"),
    Key(name="timezone", kind=Kind.TIMEZONE, doc="of dates and of one_per (default UTC)"),
    Key(
        name="registries",
        kind=Kind.REGISTRY_PATTERNS,
        required=True,
        doc='which registries it covers: names or globs; "*" says all',
    ),
    Key(
        name="repositories",
        kind=Kind.REPOSITORY_PATTERNS,
        required=True,
        doc='which repositories it covers: patterns; "**" says all',
    ),
    Key(name="rules", kind=Kind.BLOCKS, table="rule", required=True, doc="what to keep and what to delete"),
)

RULE = table(
    Key(name="name", kind=Kind.NAME, doc="what reasons call it; without one it is called by its place"),
    Key(name="keep", kind=Kind.BLOCK, table="keep", doc="images that stay; beats every delete"),
    Key(name="delete", kind=Kind.BLOCK, table="delete", doc="images that go, unless something keeps them"),
)

SELECTORS = table(
    Key(name="all", kind=Kind.TRUE, doc="every image; says that nothing narrows the rule"),
    Key(
        name="tags",
        kind=Kind.TAG_PATTERNS,
        doc="tagged images; a tag is selected when some pattern matches and no !pattern does",
    ),
    Key(
        name="tags_all",
        kind=Kind.TAG_PATTERNS_ALL,
        doc="tagged images that have, for each pattern, a tag that matches",
    ),
    Key(name="untagged", kind=Kind.TRUE, doc="images without a tag"),
    Key(
        name="type",
        kind=Kind.CHOICES,
        choices=tuple(ImageType),
        doc="what it is; image selects what is of type index, too",
    ),
    Key(name="labels", kind=Kind.LABELS, doc="image labels or manifest annotations, each a glob"),
    Key(name="repositories", kind=Kind.REPOSITORY_PATTERNS, doc="narrows the policy's repositories"),
    Key(name="registries", kind=Kind.REGISTRY_PATTERNS, doc="narrows the policy's registries"),
    Key(
        name="orphaned",
        kind=Kind.TRUE,
        doc="untagged referrers (signatures, SBOMs, attestations) whose subject is gone",
    ),
    Key(name="undated", kind=Kind.TRUE, doc="images without a usable time"),
    Key(
        name="archived",
        kind=Kind.TRUE,
        doc="images in the archive class; in delete together with archived_for",
    ),
)

_KINDS: Mapping[ValueKind, Kind] = {
    ValueKind.DURATION: Kind.DURATION,
    ValueKind.INSTANT: Kind.INSTANT,
    ValueKind.COUNT: Kind.COUNT,
    ValueKind.SIZE: Kind.SIZE,
    ValueKind.PERIODS: Kind.PERIODS,
}

CONDITIONS = table(
    *(Key(name=row.key, kind=_KINDS[row.kind], doc=row.doc) for row in CONDITION_KEYS.values())
)

COUNTING = table(
    Key(
        name="group_by",
        kind=Kind.TEXT,
        doc="count in groups: a named group of a re: pattern of the rule, or major, or minor",
    ),
    Key(name="order_by", kind=Kind.CHOICE, choices=tuple(OrderBy), doc="what newest means (default time)"),
)

OPTIONS = table(
    Key(
        name="untag",
        kind=Kind.BOOLEAN,
        doc="where an image must stay for another of its tags, take off the tags that the rule selects",
    ),
    Key(name="archive", kind=Kind.BOOLEAN, doc="move to the archive class instead, where there is one"),
    Key(name="any_tag", kind=Kind.BOOLEAN, doc="one selected tag is enough, whatever the image's other tags"),
)


def _side(side: Side) -> Table:
    conditions = {name: key for name, key in CONDITIONS.items() if CONDITION_KEYS[name].side is side}
    options = OPTIONS if side is Side.DELETE else {}
    return {**SELECTORS, **conditions, **COUNTING, **options}


SIDES: Mapping[Side, Table] = {side: _side(side) for side in Side}

PERIODS = table(
    *(Key(name=period, kind=Kind.COUNT, doc=f"for the newest so many {period}s") for period in Period)
)

TABLES: Mapping[str, Table] = {
    "file": FILE,
    "registry": REGISTRY,
    "protect": PROTECT,
    "source": SOURCE,
    "limits": LIMITS,
    "notify": NOTIFY,
    "schedule": SCHEDULE,
    "policy": POLICY,
    "rule": RULE,
    "keep": SIDES[Side.KEEP],
    "delete": SIDES[Side.DELETE],
    "periods": PERIODS,
}
