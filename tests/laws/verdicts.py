"""What becomes of one repository before the limits, read a second time: verdicts, protections, shapes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from tests.laws.repository import Repository
from tests.laws.rules import File, Pair, Place, Rule, holding_pairs
from tests.laws.words import listed, reference, selects


@dataclasses.dataclass(frozen=True)
class Source:
    """What one source of use said."""

    references: tuple[str, ...] = ()
    failed: bool = False
    allow_empty: bool = False


@dataclasses.dataclass
class Decided:
    """One repository before the limits: roots are what rules judged, with delete or archive."""

    repository: Repository
    roots: dict[str, str]
    untags: dict[str, tuple[str, ...]]
    protected: set[str]
    limited: bool = False


def decide_one(
    files: Sequence[File],
    place: Place,
    repo: Repository,
    rules: list[Rule],
    sources: Sequence[Source],
    *,
    grace: timedelta,
) -> Decided:
    """Rules, then what protects, then shapes: later steps can only save."""
    used_tags, used = in_use(files, place, repo, sources)
    named_tags, named = named_images(files, place, repo)
    protected_tags = {
        tag for digest in repo.lines for tag in repo.tags(digest) if is_protected_tag(files, tag)
    }
    direct = {
        digest
        for digest, line in repo.lines.items()
        if line.get("locked") or digest in used | named or protected_tags & set(repo.tags(digest))
    }
    # Deleting an index whose platforms nobody knows would leave them behind as plain untagged images.
    direct |= {digest for digest in repo.lines if repo.is_unread_index(digest)}
    protected = repo.protected_with(direct)

    held = [(rule, holding_pairs(repo, rule)) for rule in rules]
    kept = {pair for rule, pairs in held if rule.side == "keep" for pair in pairs}
    sticky = protected_tags | used_tags | named_tags
    roots: dict[str, str] = {}
    untags: dict[str, tuple[str, ...]] = {}
    for digest in repo.lines:
        condemned = [(rule, pairs_of(pairs, digest)) for rule, pairs in held if rule.side == "delete"]
        # It says 'An image without a usable time is deleted (or untagged) only by rules that say `undated:
        # true`; others have no say in that.'
        if repo.time(digest) is None:
            condemned = [(rule, tags) for rule, tags in condemned if rule.body.get("undated")]
        verdict = sentence(repo, digest, condemned)
        young = is_young(repo, digest, grace)
        # It says 'kept when **any** of its tags is selected by a `keep` rule that holds'
        if verdict and not pairs_of(kept, digest) and digest not in protected and not young:
            roots[digest] = verdict
            continue
        # It says 'nor any inside the grace or under a lock'
        if not young and not repo.lines[digest].get("locked"):
            tags = tags_to_take(repo, digest, condemned, sticky | pairs_of(kept, digest))
            if tags:
                untags[digest] = tags
    roots = hold_by_platforms(repo, roots, protected, grace)
    return Decided(repo, roots, untags, protected)


def pairs_of(pairs: Iterable[Pair], digest: str) -> set[str | None]:
    return {tag for other, tag in pairs if other == digest}


def sentence(repo: Repository, digest: str, condemned: list[tuple[Rule, set[str | None]]]) -> str | None:
    """'A tagged image is deleted only when **every one of its tags** is selected by a `delete` rule that
    holds'. 'An image that rules of both kinds take is deleted': only where those that delete don't take all
    of it, those that archive count with them."""
    everything = set[str | None](repo.tags(digest)) or {None}
    for kind, rules in (
        ("delete", [(rule, tags) for rule, tags in condemned if not rule.body.get("archive")]),
        ("archive", condemned),
    ):
        taken: set[str | None] = set()
        for rule, tags in rules:
            # It says '`any_tag: true`: one selected tag is enough … whatever its other tags'
            taken |= everything if tags and rule.body.get("any_tag") else tags
        if everything <= taken:
            return kind
    return None


def is_young(repo: Repository, digest: str, grace: timedelta) -> bool:
    """'The grace holds every image whose time … is younger'; '`grace: 0h` … say none'."""
    # It says 'A registry's time of last change whose meaning isn't documented … counts for the grace alone.'
    times = [repo.time(digest), repo.changed(digest)]
    return bool(grace) and any(when is not None and repo.now - when < grace for when in times)


def tags_to_take(
    repo: Repository,
    digest: str,
    condemned: list[tuple[Rule, set[str | None]]],
    sticky: set[str | None],
) -> tuple[str, ...]:
    """'`untag: true`: where an image must stay for another of its tags, take off the tags that the rule
    selects …; another tag is one that no rule condemns, or that is kept, protected or in use, and such a tag
    is never taken off'."""
    tags = repo.tags(digest)
    chosen = {tag for _, of_rule in condemned for tag in of_rule}
    any_tag = any(of_rule and rule.body.get("any_tag") for rule, of_rule in condemned)
    # Where one tag was enough to condemn the image, the others are no reason for it to stay.
    reasons = {tag for tag in tags if tag in sticky or (tag not in chosen and not any_tag)}
    if not reasons:
        return ()
    taken = {tag for rule, of_rule in condemned if rule.body.get("untag") for tag in of_rule if tag}
    return tuple(sorted(taken - sticky))


def is_protected_tag(files: Sequence[File], tag: str) -> bool:
    """'each list is judged by itself'; 'and latest, always, unless a list says "!latest"'."""
    lists = [listed(file.get("protect", {}).get("tags")) for file in files]
    if tag == "latest" and not any("!latest" in patterns for patterns in lists):
        return True
    return any(selects(patterns, tag) for patterns in lists)


def in_use(
    files: Sequence[File], place: Place, repo: Repository, sources: Sequence[Source]
) -> tuple[set[str | None], set[str]]:
    """The tags and the digests that sources name here."""
    texts = [text for source in sources for text in source.references]
    return referenced(files, place, repo, texts)


def named_images(files: Sequence[File], place: Place, repo: Repository) -> tuple[set[str | None], set[str]]:
    """The tags and the digests that `protect.images` names here."""
    texts = [text for file in files for text in listed(file.get("protect", {}).get("images"))]
    return referenced(files, place, repo, texts)


def referenced(
    files: Sequence[File], place: Place, repo: Repository, texts: Iterable[str]
) -> tuple[set[str | None], set[str]]:
    """'A reference protects the image that its tag names now …; a digest written in it is protected in every
    repository of every registry'."""
    names = {f"{host}/{place[1]}" for host in hosts(files, place[0])}
    tags: set[str | None] = set()
    digests: set[str] = set()
    for text in texts:
        name, tag, digest = reference(text)
        if digest:
            digests.add(digest)
        if tag and name in names:
            tags.add(tag)
    digests |= {digest for digest, line in repo.lines.items() if tags & set(line["tags"])}
    return tags, digests


def hosts(files: Sequence[File], registry: str) -> list[str]:
    """Of an inventory: 'its host names are its `aliases`'."""
    return listed(registries(files)[registry].get("aliases"))


def registries(files: Sequence[File]) -> dict[str, Mapping[str, Any]]:
    """'a registry defined alike in several files is one'."""
    return {name: spec for file in files for name, spec in file.get("registries", {}).items()}


def settle(
    repo: Repository, roots: Mapping[str, str], protected: set[str]
) -> tuple[dict[str, str], dict[str, str]]:
    """The roots that may go as shapes are, and what goes along with them."""
    left = dict(roots)
    while True:
        along = goes_along(repo, left, protected)
        going = left | along
        # It says 'never deleted while an index that names it stays'; an index that moves to the archive is
        # still there, and what it names may move, but not go.
        stuck = [
            digest
            for digest, kind in left.items()
            if not all(
                other == digest or going.get(other) in {kind, "delete"} for other in above(repo, digest)
            )
        ]
        if not stuck:
            return left, along
        for digest in stuck:
            del left[digest]


def above(repo: Repository, digest: str) -> set[str]:
    """What it lives with: the indexes that name it, and its subjects."""
    return repo.holders(digest) | repo.present_subjects(digest)


def goes_along(repo: Repository, roots: Mapping[str, str], protected: set[str]) -> dict[str, str]:
    """'it lives as long as any index that names it, and goes with the last'; 'A referrer … lives and goes
    with its subject'."""
    along: dict[str, str] = {}
    if repo.has_unread_index:
        # 'what isn't known never deletes': an index that stays may name any of them.
        return along
    changed = True
    while changed:
        changed = False
        for digest in repo.lines:
            if digest in along or digest in protected or not repo.goes_along(digest):
                continue
            kinds = {roots.get(other) or along.get(other) for other in above(repo, digest)}
            if kinds and None not in kinds:
                along[digest] = "delete" if kinds == {"delete"} else "archive"
                changed = True
    return along


def hold_by_platforms(
    repo: Repository, roots: Mapping[str, str], protected: set[str], grace: timedelta
) -> dict[str, str]:
    """The grace holds every image whose time, 'or that of a platform which would go with it, is younger'.

    Whether it would go depends on what else names it, and then 'adding a `keep` rule or a protection never
    deletes more' would fail: so every young platform without a tag of its own holds.
    """
    young = {digest for digest in repo.lines if not repo.own_tags(digest) and is_young(repo, digest, grace)}
    free = {root: kind for root, kind in roots.items() if not repo.descendants(root) & young}
    return settle(repo, free, protected)[0]
