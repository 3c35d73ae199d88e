"""What is to happen, as values: the one thing that deciding hands to acting.

The structs here have the shape of the plan file's lines, so that a million of them are written as they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

import msgspec
from msgspec import UNSET, UnsetType


class ActionKind(StrEnum):
    """What can happen to an image."""

    DELETE = "delete"
    UNTAG = "untag"
    ARCHIVE = "archive"


class Action(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag_field="kind", tag="action"):
    """Something that is to happen to one image.

    ``remove_tags`` is set of an ``untag`` alone; ``rules`` are ``policy/rule`` names; ``tags`` are all tags
    that the image has; ``size_bytes`` is what the image adds, or ``None`` where that is unknown.
    """

    action: ActionKind
    registry: str
    repository: str
    digest: str
    tags: tuple[str, ...]
    remove_tags: tuple[str, ...] | UnsetType = UNSET
    rules: tuple[str, ...]
    reason: str
    size_bytes: int | None
    pushed_at: datetime | None


def both(saved: Iterable[Action], fresh: Iterable[Action]) -> tuple[list[Action], list[Action], list[Action]]:
    """Part the actions on one repository into what two plans both hold, and what only the one or the other.

    What both hold is as the fresh plan says it, in its order; of tags to take off, those that both take off.
    """
    asked = {action.digest: action for action in saved}
    agreed: list[Action] = []
    new: list[Action] = []
    for action in fresh:
        wanted = asked.get(action.digest)
        if wanted is None or wanted.action is not action.action:
            new.append(action)
            continue
        if action.action is ActionKind.UNTAG:
            removed = tuple(tag for tag in action.remove_tags or () if tag in (wanted.remove_tags or ()))
            if not removed:
                new.append(action)
                continue
            action = msgspec.structs.replace(action, remove_tags=removed)  # noqa: PLW2901 - narrowed
        agreed.append(action)
        del asked[action.digest]
    return agreed, list(asked.values()), new


class RepositoryState(StrEnum):
    """Whether what is planned for a repository may be done."""

    OK = "ok"
    LIMITED = "limited"
    FAILED = "failed"


class RepositoryPlan(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="repository"):
    """One repository of a plan. ``detail`` says why it is limited or failed."""

    registry: str
    repository: str
    images: int
    state: RepositoryState = RepositoryState.OK
    detail: str | None = None


class PlanHeader(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="plan"):
    """The first line of a plan: when it was made, for which instant, by which policies."""

    version: int = 1
    created_at: datetime
    now: datetime
    policies_sha256: str


class Summary(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="summary"):
    """The last line of a plan: counts of its lines.

    ``freed_bytes`` is the sum of sizes: an upper bound, since images share layers. ``sha256`` is of all
    the bytes before the line.
    """

    repositories: int = 0
    images: int = 0
    delete: int = 0
    untag: int = 0
    archive: int = 0
    freed_bytes: int = 0
    sha256: str = ""
