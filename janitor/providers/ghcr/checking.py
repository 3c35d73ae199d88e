"""A look at GitHub before a run: whose token it is, what it may, and what would surprise.

Nothing is changed, and no manifest is fetched that would count as a download: the registry is asked with HEAD
alone. The right to delete can't be tried without deleting: a classic token says its scopes, of others, and of
roles on packages, nothing can be told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta

import msgspec

from janitor.errors import RegistryError
from janitor.net.distribution import Distribution
from janitor.net.github import GitHub
from janitor.net.packages import Owner, Packages
from janitor.providers.interface import Finding, Level

_SKEW = timedelta(minutes=5)  # of clocks; an age is told by ours, a push by GitHub's
_LOW_QUOTA = 500  # requests; a package of a thousand versions takes some thirty before a manifest is read

_KINDS = (
    ("ghp_", "a classic token"),
    ("github_pat_", "a fine-grained token"),
    ("ghs_", "the token of a workflow or an app"),
    ("gho_", "the token of an OAuth app"),
    ("ghu_", "the token of an app for a user"),
)


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """What is looked at, and by what.

    ``named``: the packages that the policy file names instead of a listing. ``source``: where the token is
    from, in words.
    """

    github: GitHub
    packages: Packages
    manifests: Distribution
    owner: str
    named: Sequence[str] | None
    token: str
    source: str
    now: Callable[[], datetime]

    def findings(self) -> Iterator[Finding]:
        """Everything that was found; what can't be read ends it."""
        try:
            owner = self.packages.owner
        except RegistryError as exc:
            yield Finding(about="credentials", level=Level.ERROR, message=exc.message, advice=_ADVICE)
            return
        yield self._token()
        yield from self._reading(owner)
        yield self._deleting()
        yield self._undo()
        yield from self._clock()
        yield from self._quota()
        yield from _ALWAYS

    def _token(self) -> Finding:
        kind = next((name for prefix, name in _KINDS if self.token.startswith(prefix)), "a token")
        scopes = self.github.standing.scopes
        told = f"{kind} from {self.source}"
        if self.token.startswith("github_pat_"):
            message = f"{told}: GitHub's packages can't be listed or deleted with one"
            return Finding(about="credentials", level=Level.ERROR, message=message, advice=_ADVICE)
        if scopes is None:
            return Finding(about="credentials", level=Level.OK, message=f"{told}, which tells no scopes")
        message = f"{told}, with {', '.join(sorted(scopes)) or 'no scope at all'}"
        return Finding(about="credentials", level=Level.OK, message=message)

    def _reading(self, owner: Owner) -> Iterator[Finding]:
        try:
            names = self.packages.names() if self.named is None else tuple(self.named)
            told = f"{len(names):,} packages of {self.owner} can be listed"
            yield Finding(about="reading", level=Level.OK if names else Level.WARNING, message=told)
            if names:
                yield self._one(min(names))
        except RegistryError as exc:
            yield Finding(about="reading", level=Level.ERROR, message=exc.message)
        if owner is Owner.OTHER:
            yield Finding(
                about="reading",
                level=Level.WARNING,
                message=f"the token isn't {self.owner}'s: GitHub lists that user's public packages alone",
                advice="use a token of that user, or name the packages under `repositories`",
            )

    def _one(self, name: str) -> Finding:
        """Read the versions of one package, and ask the registry for the newest."""
        versions = self.packages.versions(name)
        if not versions:
            return Finding(about="reading", level=Level.OK, message=f"{name} can be read, and is empty")
        there = self.manifests.exists(f"{self.owner.lower()}/{name}", versions[0].name)
        if there:
            message = f"{name} can be read: its {len(versions):,} versions, and what they hold"
            return Finding(about="reading", level=Level.OK, message=message)
        message = f"the registry doesn't have {name}@{versions[0].name}, which GitHub lists"
        return Finding(about="reading", level=Level.WARNING, message=message)

    def _deleting(self) -> Finding:
        scopes = self.github.standing.scopes
        if scopes is None:
            message = (
                "whether it may delete can't be told beforehand: it takes the role Admin on each package"
            )
            advice = "of a workflow: permissions `packages: write`, and Admin under Manage Actions access"
            return Finding(about="deleting", level=Level.NOTE, message=message, advice=advice)
        if "delete:packages" not in scopes:
            message = "the token lacks the scope delete:packages"
            return Finding(
                about="deleting", level=Level.ERROR, message=message, advice="add it, unless nothing is to go"
            )
        message = "the token has the scope delete:packages; it takes the role Admin on each package as well"
        return Finding(about="deleting", level=Level.OK, message=message)

    def _undo(self) -> Finding:
        scopes = self.github.standing.scopes
        message = "what is deleted can be restored for 30 days"
        if scopes is None or "write:packages" in scopes:
            return Finding(about="undo", level=Level.OK, message=message)
        return Finding(
            about="undo",
            level=Level.NOTE,
            message=f"{message}, but not with this token: it lacks the scope write:packages",
            advice="undo with another token, or add the scope",
        )

    def _clock(self) -> Iterator[Finding]:
        theirs = self.github.standing.date
        if theirs is None:
            return
        skew = self.now() - theirs
        if abs(skew) <= _SKEW:
            yield Finding(about="clock", level=Level.OK, message="the clock agrees with GitHub's")
            return
        way = "ahead of" if skew > timedelta() else "behind"
        message = f"this machine's clock is {abs(skew).total_seconds():,.0f} s {way} GitHub's"
        yield Finding(about="clock", level=Level.WARNING, message=message, advice="set it: ages depend on it")

    def _quota(self) -> Iterator[Finding]:
        standing = self.github.standing
        if standing.remaining is None or standing.limit is None:
            return
        until = "" if standing.reset is None else f" until {standing.reset:%H:%M} UTC"
        message = f"{standing.remaining:,} of {standing.limit:,} requests are left{until}"
        level = Level.WARNING if standing.remaining < _LOW_QUOTA else Level.NOTE
        yield Finding(about="reading", level=level, message=message)


_ADVICE = (
    "use a classic token with read:packages and delete:packages, authorized for the organisation's single"
    " sign-on, or a workflow's GITHUB_TOKEN"
)

_ALWAYS = (
    Finding(
        about="pulls",
        level=Level.NOTE,
        message="GitHub tells no pulls, so not_pulled_for deletes nothing here",
    ),
    Finding(
        about="tags",
        level=Level.NOTE,
        message="GitHub takes no tag off, so `untag: true` does nothing here",
    ),
    Finding(
        about="deleting",
        level=Level.NOTE,
        message=(
            "GitHub deletes no version of a public package with more than 5,000 downloads; each reading of a"
            " manifest is one, so what was read is kept in the state folder"
        ),
    ),
)
