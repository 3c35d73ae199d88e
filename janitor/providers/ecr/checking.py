"""What a look at an ECR registry finds: who asks, which rights there are, and what would surprise.

Rights are tried on an image that can't be there, whose digest is all zeros: where the right is missing ECR
says so, and where it isn't there is nothing to do it to.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from datetime import datetime, timedelta

import msgspec

from janitor.errors import Denied, Gone, Refused, RegistryError, Stopped
from janitor.net.aws import Identity
from janitor.net.caller import Purpose
from janitor.providers.ecr.answers import ReplicationRule, Repository
from janitor.providers.ecr.api import EcrApi
from janitor.providers.interface import Finding, Level

NOWHERE = f"sha256:{64 * '0'}"
# AWS refuses what is signed more than five minutes off.
CLOCK_WARNING = timedelta(minutes=1)


class _Right(msgspec.Struct, frozen=True, kw_only=True):
    """One right: how it is tried, and what is missing without it."""

    about: str
    action: str
    attempt: Callable[[EcrApi, str], object]
    level: Level
    without: str


_RIGHTS = (
    _Right(
        about="reading",
        action="ecr:BatchGetImage",
        attempt=lambda api, repository: api.manifests(repository, [NOWHERE]),
        level=Level.ERROR,
        without="repositories with multi-platform images can't be listed",
    ),
    _Right(
        about="reading",
        action="ecr:GetDownloadUrlForLayer",
        attempt=lambda api, repository: api.blob(repository, NOWHERE),
        level=Level.WARNING,
        without="rules that ask for labels or the time of creation can't be decided",
    ),
    _Right(
        about="deleting",
        action="ecr:BatchDeleteImage",
        attempt=lambda api, repository: api.delete(repository, [NOWHERE], purpose=Purpose.OTHER),
        level=Level.WARNING,
        without="a run with --delete deletes nothing here",
    ),
    _Right(
        about="deleting",
        action="ecr:UpdateImageStorageClass",
        attempt=lambda api, repository: api.move(repository, NOWHERE, "ARCHIVE", purpose=Purpose.OTHER),
        level=Level.NOTE,
        without="rules that say archive: true do nothing here, and undo brings nothing back",
    ),
)


def findings(
    api: EcrApi,
    *,
    identity: Callable[[], Identity],
    repositories: Sequence[str] | None,
    account: str | None,
    now: Callable[[], datetime],
) -> Iterator[Finding]:
    """Look at a registry; raises RegistryError when no more can be told.

    ``repositories``: the names, where the policy says them. ``account``: the registry's, where a key says it.
    """
    who = yield from _credentials(identity)
    found = api.repositories() if repositories is None else ()
    names = repositories if repositories is not None else [each.repository_name for each in found]
    yield from _reading(api, names)
    yield from _clock(api.server_time, now())
    if names:
        for right in _RIGHTS:
            yield _tried(right, api, min(names))
    yield from _tags(found)
    if who is None or account in {None, who.account}:
        yield from _replication(api)
        yield from _pulls(api, who)
    else:
        text = f"it is another account's ({account}): whether it is replicated, only that account can see"
        yield Finding(about="replication", level=Level.NOTE, message=text)
    text = "what is deleted is gone for good; what is archived can be brought back"
    yield Finding(about="undo", level=Level.NOTE, message=text)


def _credentials(identity: Callable[[], Identity]) -> Generator[Finding, None, Identity | None]:
    try:
        who = identity()
    except Denied:
        raise
    except RegistryError as exc:
        yield Finding(
            about="credentials",
            level=Level.WARNING,
            message=f"whose credentials they are can't be told: {exc.message}",
            advice="STS is asked for that alone, and for `role_arn`: nothing else needs it",
        )
        return None
    text = f"{who.arn}, by boto3's {who.method}"
    yield Finding(about="credentials", level=Level.OK, message=text)
    return who


def _reading(api: EcrApi, names: Sequence[str]) -> Iterator[Finding]:
    if not names:
        yield Finding(about="reading", level=Level.WARNING, message="it can be read, and holds nothing")
        return
    first = min(names)
    images = len(api.images(first))
    text = f"{len(names):,} repositories; {first} can be read and has {images:,} images"
    yield Finding(about="reading", level=Level.OK, message=text)


def _clock(there: datetime | None, here: datetime) -> Iterator[Finding]:
    if there is None:
        return
    off = abs(there - here)
    if off > CLOCK_WARNING:
        yield Finding(
            about="clock",
            level=Level.WARNING,
            message=f"this machine's clock is {off.total_seconds():.0f} s off AWS's",
            advice="set it by NTP: ages are counted by it, and AWS refuses what is signed 5 minutes off",
        )
        return
    yield Finding(about="clock", level=Level.OK, message="the clock is AWS's, give or take a minute")


def _tried(right: _Right, api: EcrApi, repository: str) -> Finding:
    """Try one right on an image that isn't there."""
    try:
        right.attempt(api, repository)
    except Stopped:
        raise
    except Denied as exc:
        return Finding(
            about=right.about,
            level=right.level,
            message=f"the right {right.action} is missing: {right.without} ({exc.message})",
            advice=f"grant {right.action}; the documentation of ecr lists all rights",
        )
    except (Gone, Refused):
        pass
    except RegistryError as exc:
        text = f"whether the right {right.action} is there can't be told: {exc.message}"
        return Finding(about=right.about, level=Level.WARNING, message=text)
    return Finding(about=right.about, level=Level.OK, message=f"the right {right.action} is there")


def _tags(repositories: Sequence[Repository]) -> Iterator[Finding]:
    immutable = [
        repository.repository_name
        for repository in repositories
        if repository.image_tag_mutability != "MUTABLE"
    ]
    if immutable:
        yield Finding(
            about="tags",
            level=Level.NOTE,
            message=f"{len(immutable):,} repositories have immutable tags ({', '.join(immutable[:3])}…)",
            advice="that keeps tags from being moved, not images from being deleted; "
            "a tag that was deleted can be pushed again, for another image",
        )


def _replication(api: EcrApi) -> Iterator[Finding]:
    try:
        rules = api.replication()
    except Denied as exc:
        yield _untold("replication", "whether this registry is replicated", exc, "ecr:DescribeRegistry")
        return
    cascading = _destinations(rule for rule in rules if rule.delete_replication.enabled)
    if cascading:
        yield Finding(
            about="replication",
            level=Level.WARNING,
            message=f"what is deleted here is deleted in {cascading} as well",
            advice="in_use must name what runs from there, too",
        )
    copied = _destinations(rule for rule in rules if not rule.delete_replication.enabled)
    if copied:
        yield Finding(
            about="replication",
            level=Level.NOTE,
            message=f"what is deleted here stays in {copied}",
            advice="each of them needs a registry of its own in the policy",
        )


def _destinations(rules: Iterable[ReplicationRule]) -> str:
    return ", ".join(dict.fromkeys(str(place) for rule in rules for place in rule.destinations))


def _pulls(api: EcrApi, who: Identity | None) -> Iterator[Finding]:
    """Say whether the janitor's own reading moves the times of pulls."""
    try:
        excluded = api.pull_time_exclusions()
    except Denied as exc:
        yield _untold("pulls", "whose pulls don't count", exc, "ecr:ListPullTimeUpdateExclusions")
        return
    if who is not None and _principal(who.arn) in map(_principal, excluded):
        text = "pulls are recorded, up to a day late; what the janitor reads does not count"
        yield Finding(about="pulls", level=Level.OK, message=text)
        return
    role = "ROLE_ARN" if who is None else _role_of(who)
    yield Finding(
        about="pulls",
        level=Level.NOTE,
        message="pulls are recorded, up to a day late; that the janitor reads an index counts as one, once",
        advice=f"aws ecr register-pull-time-update-exclusion --principal-arn {role}",
    )


def _untold(about: str, what: str, exc: RegistryError, action: str) -> Finding:
    text = f"{what} can't be told: {exc.message}"
    return Finding(about=about, level=Level.NOTE, message=text, advice=f"grant {action} to know")


def _principal(arn: str) -> tuple[str, str]:
    """Account and name of a role or user: a session names its role without the role's path."""
    _, _, rest = arn.partition("::")
    account, _, resource = rest.partition(":")
    kind, _, name = resource.partition("/")
    if kind == "assumed-role":
        return account, name.partition("/")[0]
    return account, name.rpartition("/")[2]


def _role_of(who: Identity) -> str:
    """The role's ARN, which is what the list of exclusions holds."""
    account, name = _principal(who.arn)
    partition = who.arn.split(":")[1]
    kind = "user" if ":user/" in who.arn else "role"
    return f"arn:{partition}:iam::{account}:{kind}/{name}"
