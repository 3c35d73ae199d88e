"""Core values with every field defaulted: a test says only what matters to it.

Ages are durations before :data:`NOW` (``"30d"``); digests are made from names, so that ``children=["amd"]``
and ``image(id="amd")`` are of one image. An image without a name is called by its tags.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from janitor.core.image import Image, ImageType, Inventory
from janitor.core.pattern import PatternKind, PatternList, parse_pattern
from janitor.core.policy import (
    CONDITION_KEYS,
    Condition,
    Limits,
    OrderBy,
    Period,
    Policy,
    PolicySet,
    Protect,
    ProtectedImage,
    RegistrySpec,
    Rule,
    Selectors,
    Side,
    TagProtection,
    ValueKind,
    Where,
)
from janitor.core.reference import Reference
from janitor.core.units import parse_duration, parse_size
from janitor.core.use import InUse, SourceReading
from tests.instant import NOW

IMAGE_TYPE = "application/vnd.oci.image.manifest.v1+json"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
BUNDLE_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
WHERE = Where(file="policy.yaml", line=1)

# Names by digest, so that a failing test speaks of names.
_NAMES: dict[str, str] = {}

When = str | datetime | None
Texts = str | Sequence[str]


class NoKeys(msgspec.Struct, frozen=True, kw_only=True):
    """The keys of a provider that needs none."""


def ago(age: str) -> datetime:
    """The instant that lies this duration before :data:`NOW`."""
    back: timedelta = parse_duration(age)
    return NOW - back


def digest(name: str) -> str:
    """The digest of the image called so; a digest is its own."""
    if name.startswith("sha256:"):
        return name
    made = f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"
    _NAMES[made] = name
    return made


def name_of(digest: str) -> str:
    """What a test calls the image of this digest."""
    return _NAMES[digest]


def image(
    *tags: str,
    id: str = "",  # noqa: A002  as policy tests call it
    pushed: When = "100d",
    created: When | UnsetType = UNSET,
    pulled: When | UnsetType = UNSET,
    tagged: When = None,
    archived: When = None,
    changed: When = None,
    children: Sequence[str] | UnsetType = (),
    subject: str | None = None,
    type: ImageType | str | None = ImageType.IMAGE,  # noqa: A002  as the field is called
    size: int | str | None = 1_000_000,
    media_type: str | None = IMAGE_TYPE,
    artifact_type: str | None = None,
    labels: Mapping[str, str] | None = None,
    locked: bool = False,
) -> Image:
    """A plain image, a hundred days old, of a megabyte, created when it was pushed.

    ``pulled=None``: never pulled; not given: unknown. ``children`` and ``subject`` are names or digests.
    """
    return Image(
        digest=digest(id or " ".join(tags) or "untagged"),
        tags=tags,
        media_type=media_type,
        artifact_type=artifact_type,
        type=None if type is None else ImageType(type),
        pushed_at=_instant(pushed),
        created_at=_instant(pushed if isinstance(created, UnsetType) else created),
        pulled_at=UNSET if isinstance(pulled, UnsetType) else _instant(pulled),
        size_bytes=parse_size(size) if isinstance(size, str) else size,
        children=UNSET if isinstance(children, UnsetType) else tuple(map(digest, children)),
        subject=None if subject is None else digest(subject),
        tagged_at=_instant(tagged),
        locked=locked,
        archived_at=_instant(archived),
        labels=labels,
        changed_at=_instant(changed),
    )


def index(*tags: str, children: Sequence[str] | UnsetType = ("amd", "arm"), **fields: Any) -> Image:
    """An index of two platforms, ``amd`` and ``arm``; the rest as of :func:`image`."""
    usual: dict[str, Any] = {"type": ImageType.INDEX, "media_type": INDEX_TYPE, "size": None}
    return image(*tags, children=children, **usual | fields)


def signature(subject: str, *tags: str, **fields: Any) -> Image:
    """A sigstore bundle that refers to ``subject``; untagged unless tags are given."""
    usual: dict[str, Any] = {
        "id": f"signature of {subject}",
        "type": ImageType.SIGNATURE,
        "artifact_type": BUNDLE_TYPE,
        "size": 1000,
    }
    return image(*tags, subject=subject, **usual | fields)


def cosign(subject: str, kind: str = "sig", **fields: Any) -> Image:
    """What cosign puts beside ``subject`` by its tag scheme: ``sig``, ``att`` or ``sbom``."""
    types = {"sig": ImageType.SIGNATURE, "att": ImageType.ATTESTATION, "sbom": ImageType.SBOM}
    usual: dict[str, Any] = {"type": types[kind], "size": 1000}
    return image(f"{digest(subject).replace(':', '-')}.{kind}", **usual | fields)


def inventory(*images: Image, repository: str = "team/app", registry: str = "prod") -> Inventory:
    """A repository that holds these images."""
    return Inventory(registry=registry, repository=repository, images=images)


def rule(
    side: Side | str = Side.DELETE,
    *,
    name: str = "",
    tags: Texts | None = None,
    tags_all: Texts = (),
    untagged: bool = False,
    type: Texts = (),  # noqa: A002  as the key is called
    labels: Mapping[str, str] | None = None,
    registries: Texts | None = None,
    repositories: Texts | None = None,
    orphaned: bool = False,
    undated: bool = False,
    archived: bool = False,
    group_by: str | None = None,
    order_by: OrderBy | str = OrderBy.TIME,
    untag: bool = False,
    archive: bool = False,
    any_tag: bool = False,
    where: Where = WHERE,
    **conditions: Any,
) -> Rule:
    """A rule from the words of the language; conditions are keywords (``older_than="30d"``).

    A name without a slash, or none, is completed by :func:`policy`.
    """
    select = Selectors(
        tags=None if tags is None else _patterns(tags, PatternKind.TAG),
        tags_all=tuple(parse_pattern(text, PatternKind.TAG) for text in _texts(tags_all)),
        untagged=untagged,
        type=frozenset(map(ImageType, _texts(type))),
        labels=tuple((key, parse_pattern(text, PatternKind.NAME)) for key, text in (labels or {}).items()),
        registries=None if registries is None else _patterns(registries, PatternKind.NAME),
        repositories=None if repositories is None else _patterns(repositories, PatternKind.REPOSITORY),
        orphaned=orphaned,
        undated=undated,
        archived=archived,
    )
    return Rule(
        name=name,
        side=Side(side),
        where=where,
        select=select,
        conditions=tuple(condition(key, value) for key, value in conditions.items()),
        group_by=group_by,
        order_by=OrderBy(order_by),
        untag=untag,
        archive=archive,
        any_tag=any_tag,
    )


def keep(**words: Any) -> Rule:
    """A ``keep`` rule."""
    return rule(Side.KEEP, **words)


def delete(**words: Any) -> Rule:
    """A ``delete`` rule."""
    return rule(Side.DELETE, **words)


def condition(key: str, value: Any) -> Condition:
    """A condition from what a policy file would say; values of the right type pass."""
    kind = CONDITION_KEYS[key].kind
    text = str(value)
    if kind is ValueKind.DURATION and isinstance(value, str):
        value = parse_duration(value)
    elif kind is ValueKind.INSTANT and not isinstance(value, datetime):
        day = value if isinstance(value, date) else date.fromisoformat(value)
        value = datetime.combine(day, time(), UTC)
    elif kind is ValueKind.SIZE and isinstance(value, str):
        value = parse_size(value)
    elif kind is ValueKind.PERIODS and isinstance(value, Mapping):
        value = tuple((Period(period), number) for period, number in value.items())
    return Condition(key=key, value=value, text=text)


def policy(
    *rules: Rule,
    name: str = "cleanup",
    registries: Texts = "*",
    repositories: Texts = "**",
    timezone: str = "UTC",
    where: Where = WHERE,
) -> Policy:
    """A policy of these rules for everything; a rule without a name is called by its place."""
    return Policy(
        name=name,
        where=where,
        timezone=timezone,
        registries=_patterns(registries, PatternKind.NAME),
        repositories=_patterns(repositories, PatternKind.REPOSITORY),
        rules=tuple(_named(each, name, place) for place, each in enumerate(rules, 1)),
    )


def registry_spec(
    name: str = "prod", provider: str = "oci", keys: msgspec.Struct | None = None, **fields: Any
) -> RegistrySpec:
    """A registry of the policy files."""
    return RegistrySpec(name=name, provider=provider, keys=keys or NoKeys(), where=WHERE, **fields)


def protect(
    *, tags: Texts | Sequence[Sequence[str]] = (), images: Texts = (), latest: bool = True
) -> Protect:
    """Protections: ``tags`` is one list of patterns, or several lists, each judged by itself."""
    lists = [_texts(tags)] if all(isinstance(each, str) for each in tags) else list(map(_texts, tags))
    return Protect(
        latest=latest,
        tags=tuple(
            TagProtection(patterns=_patterns(texts, PatternKind.TAG), where=WHERE) for texts in lists if texts
        ),
        images=tuple(ProtectedImage(reference=Reference.parse(text), where=WHERE) for text in _texts(images)),
    )


def limits(
    *,
    grace: str | timedelta = "24h",
    min_remaining: int = 1,
    max_percent: int = 80,
    max_deletions: int | None = None,
    budget: int | None = None,
) -> Limits:
    """The defaults of the language, unless said otherwise."""
    return Limits(
        grace=grace if isinstance(grace, timedelta) else parse_duration(grace),
        min_remaining=min_remaining,
        max_percent=max_percent,
        max_deletions=max_deletions,
        budget=budget,
    )


UNLIMITED = Limits(grace=timedelta(0), min_remaining=0, max_percent=100)


def policy_set(
    *policies: Policy | Rule,
    registries: Sequence[RegistrySpec] | None = None,
    protect: Protect | None = None,
    limits: Limits = UNLIMITED,
    **fields: Any,
) -> PolicySet:
    """Policies of one registry, ``prod``, without limits; bare rules are put into a policy ``cleanup``."""
    bare = tuple(each for each in policies if isinstance(each, Rule))
    whole = tuple(each for each in policies if isinstance(each, Policy))
    return PolicySet(
        registries=tuple(registries) if registries is not None else (registry_spec(),),
        protect=protect or Protect(),
        limits=limits,
        policies=whole + ((policy(*bare),) if bare else ()),
        files=("policy.yaml",),
        **fields,
    )


def in_use(*references: str, error: str | None = None, allow_empty: bool = False) -> InUse:
    """One source that names these references; none at all: no source is configured."""
    if not references and error is None and not allow_empty:
        return InUse()
    reading = SourceReading(
        source="file: in-use.txt",
        references=tuple(map(Reference.parse, references)),
        error=error,
        allow_empty=allow_empty,
    )
    return InUse(readings=(reading,))


def _instant(when: When) -> datetime | None:
    return ago(when) if isinstance(when, str) else when


def _texts(texts: Any) -> tuple[str, ...]:
    return (texts,) if isinstance(texts, str) else tuple(texts)


def _patterns(texts: Any, kind: PatternKind) -> PatternList:
    return PatternList.of(_texts(texts), kind)


def _named(rule: Rule, policy: str, place: int) -> Rule:
    if "/" in rule.name:
        return rule
    return msgspec.structs.replace(rule, name=f"{policy}/{rule.name or place}")
