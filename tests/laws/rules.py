"""Which (image, tag) pairs a rule holds for, read a second time: selectors, conditions, ranks."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tests.laws.repository import Repository
from tests.laws.words import duration, group_of, instant, listed, matches, selects, size, version_key

File = Mapping[str, Any]
Place = tuple[str, str]
Truth = bool | None
Pair = tuple[str, str | None]
"""A digest and one of its tags; none of an untagged image."""


@dataclasses.dataclass
class Rule:
    """One rule of a policy that covers the repository: side, what stands under it, the policy's timezone."""

    side: str
    body: Mapping[str, Any]
    timezone: str

    def unknown(self, value: Truth) -> bool:
        """'An unknown value makes every condition and selector that asks for it true in a `keep` rule and
        false in a `delete` rule'."""
        return self.side == "keep" if value is None else value


def covering(files: Sequence[File], place: Place) -> list[Rule] | None:
    """'Every policy that covers a repository counts'; nothing where none does."""
    registry, repository = place
    rules: list[Rule] = []
    covered = False
    for policy in (policy for file in files for policy in file.get("policies", [])):
        names = [str(name) for name in listed(policy["registries"])]
        if not selects(names, registry) or not selects(listed(policy["repositories"]), repository, path=True):
            continue
        covered = True
        for rule in policy.get("rules", []):
            side = "keep" if "keep" in rule else "delete"
            body = rule[side]
            # It says '`repositories: [PATTERN…]`, `registries: [NAME…]` narrow the policy's'
            if "registries" in body and not selects(listed(body["registries"]), registry):
                continue
            if "repositories" in body and not selects(listed(body["repositories"]), repository, path=True):
                continue
            rules.append(Rule(side, body, policy.get("timezone", "UTC")))
    return rules if covered else None


def selected_pairs(repo: Repository, rule: Rule) -> tuple[set[Pair], set[Pair]]:
    """The pairs that the selectors choose for certain, and those of which it is unknown."""
    certain: set[Pair] = set()
    unknown: set[Pair] = set()
    for digest in repo.lines:
        # It says 'No rule speaks of an image that is no candidate'
        if not repo.is_candidate(digest):
            continue
        pairs = {(digest, tag) for tag in selected_tags(repo.tags(digest), rule.body)}
        asked = [selector(repo, digest, rule.body) for selector in _SELECTORS]
        if False in asked:
            continue
        (unknown if None in asked else certain).update(pairs)
    return certain, unknown


def selected_tags(tags: list[str], body: Mapping[str, Any]) -> list[str | None]:
    """Of one image: the tags that are selected, or nothing-for-a-tag where the image has none."""
    if "tags" in body:
        return [tag for tag in tags if selects(listed(body["tags"]), tag)]
    if "tags_all" in body:
        # It says 'tagged images that have, for each pattern, a tag that matches; all the tags that match any
        # of them are selected'
        patterns = listed(body["tags_all"])
        if not all(any(matches(pattern, tag) for tag in tags) for pattern in patterns):
            return []
        return [tag for tag in tags if any(matches(pattern, tag) for pattern in patterns)]
    if body.get("untagged"):
        # It says 'images without a tag'
        return [] if tags else [None]
    # It says 'none of these: tagged and untagged alike, every tag selected'
    return list(tags) or [None]


def _type(repo: Repository, digest: str, body: Mapping[str, Any]) -> Truth:
    if "type" not in body:
        return True
    kind = repo.type_of(digest)
    if kind is None:
        return None
    # It says '`image` (which selects what is of type `index`, too)'
    asked = set(listed(body["type"]))
    return kind in asked or (kind == "index" and "image" in asked)


def _labels(repo: Repository, digest: str, body: Mapping[str, Any]) -> Truth:
    if "labels" not in body:
        return True
    labels = repo.lines[digest].get("labels")
    if labels is None:
        return None
    return all(key in labels and matches(glob, labels[key]) for key, glob in body["labels"].items())


def _orphaned(repo: Repository, digest: str, body: Mapping[str, Any]) -> Truth:
    return not body.get("orphaned") or repo.is_orphan(digest)


def _undated(repo: Repository, digest: str, body: Mapping[str, Any]) -> Truth:
    # It says '`undated: true`: images without a usable time'
    return not body.get("undated") or repo.time(digest) is None


def _archived(repo: Repository, digest: str, body: Mapping[str, Any]) -> Truth:
    # It says '`archived: true`: images in the archive class; no other rule speaks of them'
    return bool(body.get("archived")) == repo.is_archived(digest)


_SELECTORS = (_type, _labels, _orphaned, _undated, _archived)


def holding_pairs(repo: Repository, rule: Rule) -> set[Pair]:
    """'Inside a rule everything must hold (AND)'."""
    certain, unknown = selected_pairs(repo, rule)
    pairs = certain | (unknown if rule.side == "keep" else set())
    for key in rule.body:
        if key in _COUNTING:
            truths = _COUNTING[key](repo, rule, certain)
            pairs = {pair for pair in pairs if rule.unknown(truths.get(pair))}
        elif key in _CONDITIONS:
            pairs = {pair for pair in pairs if rule.unknown(_CONDITIONS[key](repo, pair[0], rule))}
    return pairs


# --- conditions of one image ---


def _age(repo: Repository, when: datetime | None) -> timedelta | None:
    return None if when is None else repo.now - when


# It says 'exactly 30 days old, or exactly at the instant, is neither'
def _newer_than(repo: Repository, digest: str, rule: Rule) -> Truth:
    age = _age(repo, repo.time(digest))
    return None if age is None else age < duration(rule.body["newer_than"])


def _older_than(repo: Repository, digest: str, rule: Rule) -> Truth:
    age = _age(repo, repo.time(digest))
    return None if age is None else age > duration(rule.body["older_than"])


def _after(repo: Repository, digest: str, rule: Rule) -> Truth:
    when = repo.time(digest)
    return None if when is None else when > instant(str(rule.body["after"]), rule.timezone)


def _before(repo: Repository, digest: str, rule: Rule) -> Truth:
    when = repo.time(digest)
    return None if when is None else when < instant(str(rule.body["before"]), rule.timezone)


def _pulled_within(repo: Repository, digest: str, rule: Rule) -> Truth:
    age = _age(repo, repo.last_pull(digest))
    return None if age is None else age < duration(rule.body["pulled_within"])


def _not_pulled_for(repo: Repository, digest: str, rule: Rule) -> Truth:
    age = _age(repo, repo.last_pull(digest))
    return None if age is None else age > duration(rule.body["not_pulled_for"])


def _larger_than(repo: Repository, digest: str, rule: Rule) -> Truth:
    known = repo.size(digest)
    return None if known is None else known > size(rule.body["larger_than"])


def _archived_for(repo: Repository, digest: str, rule: Rule) -> Truth:
    # It says 'in the archive class for that long'
    age = _age(repo, repo.archived_at(digest))
    return None if age is None else age > duration(rule.body["archived_for"])


_CONDITIONS = {
    "newer_than": _newer_than,
    "older_than": _older_than,
    "after": _after,
    "before": _before,
    "pulled_within": _pulled_within,
    "not_pulled_for": _not_pulled_for,
    "larger_than": _larger_than,
    "archived_for": _archived_for,
}


# --- conditions that count ---

Rank = tuple[list[str], list[Pair]]
"""The digests of one group, the newest first, and the pairs that are counted in it."""


def ranks(repo: Repository, rule: Rule, certain: set[Pair]) -> list[Rank]:
    """'the N newest of the images that the rule's selectors choose, in each repository and group'."""
    groups: dict[str | None, list[Pair]] = {}
    for digest, tag in certain:
        # An orphan 'counts for no rank except in a rule that says `orphaned: true`'; of archived ones: 'they
        # count for no rank'
        if repo.is_archived(digest) or (repo.is_orphan(digest) and not rule.body.get("orphaned")):
            continue
        group = None
        if "group_by" in rule.body:
            patterns = listed(rule.body.get("tags")) or listed(rule.body.get("tags_all"))
            group = group_of(patterns, tag or "", rule.body["group_by"])
            if group is None:
                continue
        groups.setdefault(group, []).append((digest, tag))
    return [rank(repo, rule, pairs) for pairs in groups.values()]


def rank(repo: Repository, rule: Rule, pairs: list[Pair]) -> Rank:
    """One group, ordered."""
    keys = {}
    for digest in {digest for digest, _ in pairs}:
        tags = [tag for other, tag in pairs if other == digest and tag is not None]
        value = order_value(repo, digest, tags, rule.body.get("order_by", "time"))
        # An unknown value 'takes no place in a rank from an image whose value is known'
        if value is not None:
            keys[digest] = (value, *tie(digest, tags))
    # It says 'Ranks count images (digests), not tags'
    return sorted(keys, key=lambda digest: keys[digest], reverse=True), [p for p in pairs if p[0] in keys]


def order_value(repo: Repository, digest: str, tags: list[str], order_by: str) -> Any:
    """'`order_by: time` (default: its time, as above) `| created | pulled | version` says what newest
    means.'"""
    if order_by == "created":
        return repo.created(digest)
    if order_by == "pulled":
        return repo.last_pull(digest)
    if order_by == "version":
        return greatest_version(tags)
    return repo.time(digest)


def greatest_version(tags: Iterable[str]) -> Any:
    """'version and tag are the greatest of those that the rule selects in the group'."""
    return max((key for key in map(version_key, tags) if key is not None), default=None)


def tie(digest: str, tags: Iterable[str]) -> tuple[Any, ...]:
    """'Ties are broken by version, then tag, then digest, the greater being the newer (SemVer precedence,
    then code points; an image without a version is the older …)'."""
    version = greatest_version(tags)
    return (version is not None, version or (), max(tags, default=""), digest)


def _newest(repo: Repository, rule: Rule, certain: set[Pair]) -> dict[Pair, Truth]:
    """'among the N newest'."""
    return {
        pair: pair[0] in order[: rule.body["newest"]]
        for order, pairs in ranks(repo, rule, certain)
        for pair in pairs
    }


def _beyond_newest(repo: Repository, rule: Rule, certain: set[Pair]) -> dict[Pair, Truth]:
    """'not among the N newest'."""
    return {
        pair: pair[0] not in order[: rule.body["beyond_newest"]]
        for order, pairs in ranks(repo, rule, certain)
        for pair in pairs
    }


def _fitting(repo: Repository, order: list[str], limit: int) -> dict[str, Truth]:
    """'sizes are added from the newest on; the first that does not fit, and all after it, are beyond; an
    unknown size adds nothing, and is unknown for the image itself'."""
    fits: dict[str, Truth] = {}
    total, full = 0, False
    for digest in order:
        known = repo.size(digest)
        if known is None:
            fits[digest] = None
            continue
        full = full or total + known > limit
        total += known
        fits[digest] = not full
    return fits


def _within_size(repo: Repository, rule: Rule, certain: set[Pair]) -> dict[Pair, Truth]:
    truths: dict[Pair, Truth] = {}
    for order, pairs in ranks(repo, rule, certain):
        fits = _fitting(repo, order, size(rule.body["within_size"]))
        truths |= {pair: fits[pair[0]] for pair in pairs}
    return truths


def _beyond_size(repo: Repository, rule: Rule, certain: set[Pair]) -> dict[Pair, Truth]:
    truths: dict[Pair, Truth] = {}
    for order, pairs in ranks(repo, rule, certain):
        fits = _fitting(repo, order, size(rule.body["beyond_size"]))
        truths |= {pair: None if fits[pair[0]] is None else not fits[pair[0]] for pair in pairs}
    return truths


def _one_per(repo: Repository, rule: Rule, certain: set[Pair]) -> dict[Pair, Truth]:
    """'the newest of its hour, day, week (ISO), month or year, for the newest N of these that hold an image,
    and the oldest image (of known time …) while fewer than N do … in the policy's timezone'."""
    truths: dict[Pair, Truth] = {}
    for order, pairs in ranks(repo, rule, certain):
        dated = [digest for digest in order if repo.time(digest) is not None]
        kept: set[str] = set()
        for period, count in rule.body["one_per"].items():
            newest_of: dict[Any, str] = {}
            for digest in dated:
                newest_of.setdefault(bucket(repo, digest, period, rule.timezone), digest)
            kept |= {newest_of[key] for key in sorted(newest_of, reverse=True)[:count]}
            if len(newest_of) < count:
                kept |= set(dated[-1:])
        truths |= {pair: pair[0] in kept for pair in pairs if pair[0] in dated}
    return truths


def bucket(repo: Repository, digest: str, period: str, timezone: str) -> tuple[int, ...]:
    """The hour, day, week, month or year in which the image's time lies."""
    when = repo.time(digest)
    assert when is not None
    local = when.astimezone(ZoneInfo(timezone))
    if period == "week":
        return tuple(local.isocalendar()[:2])
    parts = (local.year, local.month, local.day, local.hour)
    return parts[: {"year": 1, "month": 2, "day": 3, "hour": 4}[period]]


_COUNTING = {
    "newest": _newest,
    "beyond_newest": _beyond_newest,
    "within_size": _within_size,
    "beyond_size": _beyond_size,
    "one_per": _one_per,
}
