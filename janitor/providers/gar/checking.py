"""What ``check`` tells of Artifact Registry: credentials, clock, rights, and what would surprise."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from janitor.providers.interface import Finding, Level

LOOKING = (
    "artifactregistry.repositories.list",
    "artifactregistry.repositories.get",
    "artifactregistry.repositories.downloadArtifacts",
    "artifactregistry.dockerimages.list",
    "artifactregistry.tags.list",
)
DELETING = (
    "artifactregistry.versions.get",
    "artifactregistry.versions.delete",
    "artifactregistry.tags.get",
    "artifactregistry.tags.delete",
    "artifactregistry.tags.create",
)
# On a project, never on a repository: asked of one it is never held.
_OF_THE_PROJECT = frozenset({"artifactregistry.repositories.list"})
TESTED = tuple(right for right in (*LOOKING, *DELETING) if right not in _OF_THE_PROJECT)

SKEW_S = 60.0  # a clock that is off by more makes tokens look ended, and ages wrong

_REMOTE, _VIRTUAL = 3, 2


def rights(repository: str, held: frozenset[str]) -> Iterator[Finding]:
    """Say what one may do in a repository."""
    for about, wanted in (("reading", LOOKING), ("deleting", DELETING)):
        missing = [right for right in wanted if right in TESTED and right not in held]
        if not missing:
            verb = "read" if about == "reading" else "cleaned"
            yield Finding(about=about, level=Level.OK, message=f"{repository} can be {verb}")
            continue
        advice = (
            "grant roles/artifactregistry.reader"
            if about == "reading"
            else "grant roles/artifactregistry.repoAdmin"
        )
        yield Finding(
            about=about,
            level=Level.ERROR if about == "reading" else Level.WARNING,
            message=f"{repository}: {', '.join(missing)} is missing",
            advice=f"{advice}, or a role of exactly these rights",
        )


def habits(name: str, raw: Any) -> Iterator[Finding]:
    """Say what of a repository's settings would surprise."""
    if raw.mode in {_REMOTE, _VIRTUAL}:
        what = (
            "virtual: it holds nothing of its own" if raw.mode == _VIRTUAL else "a cache of another registry"
        )
        yield Finding(about="replication", level=Level.NOTE, message=f"{name} is {what}, and is left alone")
        return
    if raw.docker_config.immutable_tags:
        yield Finding(
            about="tags",
            level=Level.WARNING,
            message=f"{name} has immutable tags: tagged images can't be deleted in it, nor tags taken off",
            advice="only untagged images will go there",
        )
    if raw.cleanup_policies and not raw.cleanup_policy_dry_run:
        yield Finding(
            about="deleting",
            level=Level.NOTE,
            message=f"{name} has cleanup policies of its own, by which Google deletes too",
            advice="`janitor import gar` turns them into rules, so that one of the two can decide",
        )


ALWAYS = (
    Finding(
        about="pulls",
        level=Level.NOTE,
        message="Artifact Registry records no pulls: not_pulled_for deletes nothing here",
    ),
    Finding(
        about="undo",
        level=Level.NOTE,
        message="what was deleted can't be brought back",
        advice="look at the plan, and begin with a budget",
    ),
)


def clock(date: str | None, now: datetime) -> Iterator[Finding]:
    """Compare this machine's clock with the ``Date`` of an answer."""
    try:
        there = parsedate_to_datetime(date or "")
    except ValueError:
        return
    off = (now - there).total_seconds()
    side = "ahead of" if off > 0 else "behind"
    if abs(off) > SKEW_S:
        yield Finding(
            about="clock",
            level=Level.WARNING,
            message=f"this machine's clock is {abs(off):.0f} s {side} Google's",
            advice="set it by NTP: ages are counted by it",
        )
    else:
        yield Finding(about="clock", level=Level.OK, message="the clock is right")
