"""What a look at an Azure container registry finds before a run, without changing anything.

The right to delete is told by a token: it is asked for, and the token says which rights were really given.
What only the resource manager knows (retention, the days of soft delete, replicas) isn't asked: the janitor
needs no right there.
"""

from __future__ import annotations

from collections.abc import Iterator

from janitor.core.pattern import PatternKind, PatternList
from janitor.errors import Denied, RegistryError, Unsupported
from janitor.net.bearer import CATALOGUE
from janitor.providers.acr.api import Api, deleting, restoring
from janitor.providers.acr.tokens import Tokens, reading
from janitor.providers.interface import Finding, Level, Registry, RepositoryFilter, Unit

SKEW_S = 300.0  # of our clock against the registry's; ages and the grace are off by as much

_EVERYTHING = RepositoryFilter(covered=(PatternList.of(["**"], PatternKind.REPOSITORY),))
_READERS = "AcrPull, or where rights are given by repository Container Registry Repository Reader"
_DELETERS = (
    "AcrDelete beside AcrPull, or where rights are given by repository"
    " Container Registry Repository Contributor"
)


def look(registry: Registry, api: Api, tokens: Tokens) -> Iterator[Finding]:
    """Yield what is found: credentials, reading, deleting, undo, pulls, replication, clock."""
    try:
        tokens.granted(CATALOGUE)
    except Denied as exc:
        yield Finding(about="credentials", level=Level.ERROR, message=exc.message)
        return
    yield Finding(about="credentials", level=Level.OK, message=f"found by {tokens.proof}")
    yield from _clock(tokens)
    if tokens.by_repository:
        yield Finding(
            about="credentials",
            level=Level.NOTE,
            message="the registry gives rights by repository (ABAC): AcrPull and AcrDelete don't count there",
            advice="the catalogue takes the role Container Registry Repository Catalog Lister of its own",
        )
    try:
        unit = next(registry.units(_EVERYTHING), None)
    except Denied as exc:
        yield Finding(about="reading", level=Level.ERROR, message=exc.message)
        return
    if unit is None:
        yield Finding(about="reading", level=Level.WARNING, message="it can be read, and holds nothing")
    else:
        yield _reading(registry, unit.name, tokens)
        yield _deleting(tokens, unit.name)
        yield _undo(api, unit.name, tokens)
    yield from _never_told()


def _reading(registry: Registry, repository: str, tokens: Tokens) -> Finding:
    lacking = _lacking(tokens, repository, "read")
    if lacking:
        message = f"{repository} can't be read: the right to {lacking} is lacking"
        return Finding(about="reading", level=Level.ERROR, message=message, advice=f"give it {_READERS}")
    try:
        for listing in registry.list(Unit(name=repository), frozenset()):
            count = len(listing.images)
            message = f"{repository} can be read, and holds {count:,} image{'' if count == 1 else 's'}"
            return Finding(about="reading", level=Level.OK, message=message)
    except RegistryError as exc:
        return Finding(about="reading", level=Level.ERROR, message=exc.message)
    return Finding(about="reading", level=Level.WARNING, message=f"{repository} is there no more")


def _deleting(tokens: Tokens, repository: str) -> Finding:
    lacking = _lacking(tokens, repository, "delete")
    if lacking:
        message = f"nothing can be deleted in {repository}: the right to {lacking} is lacking"
        return Finding(about="deleting", level=Level.WARNING, message=message, advice=f"give it {_DELETERS}")
    message = f"images of {repository} may be deleted; locks (deleteEnabled, writeEnabled) keep theirs"
    return Finding(about="deleting", level=Level.OK, message=message)


def _lacking(tokens: Tokens, repository: str, what: str) -> str:
    scope = reading(repository) if what == "read" else deleting(repository)
    return ", ".join(sorted(set(scope.actions) - tokens.granted(scope)))


def _undo(api: Api, repository: str, tokens: Tokens) -> Finding:
    try:
        api.keeps_deleted()
    except Unsupported:
        advice = "soft delete keeps what was deleted for 1 to 90 days, and bills it"
        message = "what is deleted is gone for good: soft delete is not switched on"
        return Finding(about="undo", level=Level.NOTE, message=message, advice=advice)
    except Denied:
        message = "whether soft delete is on can't be seen: the right to see what was deleted is lacking"
        advice = "registries/deleted/read shows it, registries/deleted/restore/action brings it back"
        return Finding(about="undo", level=Level.NOTE, message=message, advice=advice)
    scope = restoring(repository)
    if set(scope.actions) - tokens.granted(scope):
        message = "where soft delete is on, what was deleted can be seen, but not brought back"
        advice = "registries/deleted/restore/action brings it back"
        return Finding(about="undo", level=Level.NOTE, message=message, advice=advice)
    message = "what is deleted can be brought back for as long as soft delete, where it is on, keeps it"
    return Finding(about="undo", level=Level.OK, message=message)


def _never_told() -> Iterator[Finding]:
    """Tell what no registry of this kind tells."""
    yield Finding(
        about="pulls",
        level=Level.NOTE,
        message="pulls are not recorded: not_pulled_for deletes nothing here",
    )
    yield Finding(
        about="replication",
        level=Level.NOTE,
        message="a retention policy of the registry, and its replicas, can't be seen from here",
        advice="with a retention policy untagged images go by themselves; a replica may be minutes behind",
    )


def _clock(tokens: Tokens) -> Iterator[Finding]:
    ahead = tokens.ahead_s
    if ahead is not None and abs(ahead) > SKEW_S:
        which = "ahead of" if ahead > 0 else "behind"
        message = f"this machine's clock is {abs(ahead):,.0f} s {which} the registry's"
        yield Finding(about="clock", level=Level.WARNING, message=message, advice="set it by NTP")
