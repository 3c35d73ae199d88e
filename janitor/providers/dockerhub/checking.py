"""Looks whether a run could do its work on Docker Hub, and what would surprise; changes nothing.

Whether one may delete is asked without deleting: a repository says what its user may, and the token service
grants of a token what it allows, silently less than was asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

import msgspec

from janitor.decoding import convert
from janitor.errors import Denied, Gone, Malformed, RegistryError, Unsupported
from janitor.net import bearer
from janitor.net.bearer import Authenticator
from janitor.net.distribution import Distribution
from janitor.providers.dockerhub.answers import Repository
from janitor.providers.dockerhub.hub import Hub
from janitor.providers.dockerhub.meter import Meter
from janitor.providers.dockerhub.session import ACCOUNT, Session, claims
from janitor.providers.interface import Context, Finding, Level

MOST_LOOKED_AT = 10  # repositories; each costs a request
SKEW = timedelta(minutes=5)  # more than any grace or lag forgives


class Looker(msgspec.Struct, frozen=True, kw_only=True):
    """What looks, and at what: ``named`` are the repositories of the policy, ``None`` where it names none."""

    namespace: str
    named: Sequence[str] | None
    hub: Hub
    api: Distribution
    session: Session
    authenticator: Authenticator
    meter: Meter
    context: Context

    def look(self) -> Iterator[Finding]:
        """Yield what was found, the worst that ends it included."""
        try:
            yield self._credentials()
        except Denied as exc:
            yield Finding(
                about="credentials",
                level=Level.ERROR,
                message=exc.message,
                advice="make an access token with Read, Write, Delete in Docker Hub's account settings",
            )
            return
        yield from self._trap()
        try:
            names = self.hub.repositories(self.namespace) if self.named is None else tuple(self.named)
        except RegistryError as exc:
            yield Finding(about="reading", level=Level.ERROR, message=exc.message)
            return
        if names:
            yield from self._repositories(names)
        else:
            advice = "look at the name of the namespace, and whether the token may read its repositories"
            message = f"{self.namespace} can be read, and holds no repository that this account may see"
            yield Finding(about="reading", level=Level.WARNING, message=message, advice=advice)
        yield from self._limits()
        yield from self._clock()
        yield from _NOTES

    def _credentials(self) -> Finding:
        account = self.session.account
        self.session.header(ACCOUNT)
        message = f"logged in as {account.username} with the {account.kind} from {account.way}"
        return Finding(about="credentials", level=Level.OK, message=message)

    def _trap(self) -> Iterator[Finding]:
        match self.session.account.kind:
            case "password":
                yield Finding(
                    about="credentials",
                    level=Level.WARNING,
                    message="a password may do everything, and is refused under single sign-on",
                    advice="use an access token with Read, Write, Delete instead",
                )
            case "organization access token":
                yield Finding(
                    about="credentials",
                    level=Level.WARNING,
                    message="whether organization access tokens may delete tags isn't documented",
                    advice="where tags are refused, use a personal access token of a repository's admin",
                )

    def _repositories(self, names: Sequence[str]) -> Iterator[Finding]:
        """Look at the first few, and at the rights on the first that is there."""
        seen: list[Repository] = []
        for name in names[:MOST_LOOKED_AT]:
            try:
                seen.append(self.hub.repository(self.namespace, name))
            except Gone:
                message = f"{self.namespace}/{name} isn't there, or may not be seen"
                yield Finding(about="reading", level=Level.WARNING, message=message)
            except RegistryError as exc:
                yield Finding(about="reading", level=Level.ERROR, message=exc.message)
        if not seen:
            return
        count = f"{len(names):,} {'repository' if len(names) == 1 else 'repositories'}"
        yield Finding(about="reading", level=Level.OK, message=f"{count} of {self.namespace} can be listed")
        yield self._user_rights(seen[0])
        yield self._token_rights(seen[0])
        for repository in seen:
            setting = repository.immutable_tags_settings
            if setting is not None and setting.enabled:
                which = ", ".join(setting.rules or ()) or "all"
                message = f"{self.namespace}/{repository.name} has immutable tags ({which})"
                advice = (
                    "images with such tags are never deleted; change the repository's settings if they may"
                )
                yield Finding(about="tags", level=Level.WARNING, message=message, advice=advice)

    def _user_rights(self, repository: Repository) -> Finding:
        place = f"{self.namespace}/{repository.name}"
        rights = repository.permissions
        if rights is None:
            message = f"Docker Hub doesn't say what this account may do in {place}"
            return Finding(about="deleting", level=Level.NOTE, message=message)
        if rights.admin:
            message = f"this account is an admin of {place}"
            return Finding(about="deleting", level=Level.OK, message=message)
        level = Level.WARNING if rights.write else Level.ERROR
        message = f"this account is no admin of {place}, and may {'write' if rights.write else 'read'} there"
        advice = "deleting needs the admin permission: give it to the account, or to its team"
        return Finding(about="deleting", level=level, message=message, advice=advice)

    def _token_rights(self, repository: Repository) -> Finding:
        """Ask the token service for the right to delete, and read what it granted."""
        place = f"{self.namespace}/{repository.name}"
        try:
            self._knock(place)
            granted = _granted(self.authenticator.header(bearer.delete(place)), place)
        except Malformed:
            message = f"the registry doesn't say whether the token may delete in {place}"
            return Finding(about="deleting", level=Level.NOTE, message=message)
        except RegistryError as exc:
            return Finding(about="deleting", level=Level.ERROR, message=exc.message)
        if "delete" in granted:
            message = f"the token may delete manifests in {place}"
            return Finding(about="deleting", level=Level.OK, message=message)
        message = (
            f"the token may not delete in {place}: it is granted {', '.join(sorted(granted)) or 'nothing'}"
        )
        advice = "use an access token with Read, Write, Delete; Read & Write isn't enough"
        return Finding(about="deleting", level=Level.ERROR, message=message, advice=advice)

    def _knock(self, place: str) -> None:
        """Send something that counts as no pull, so that the registry says where its tokens are."""
        try:
            self.api.head(place, "latest")
        except (Gone, Unsupported):
            return

    def _limits(self) -> Iterator[Finding]:
        said = self.meter.last
        if said.requests_left is not None:
            message = f"{said.requests_left} of {said.requests_limit or '?'} requests of this minute are left"
            advice = "the limit is of the address, shared with all behind it; a run waits when it is reached"
            yield Finding(about="reading", level=Level.NOTE, message=message, advice=advice)
        if said.pulls_left is None:
            yield Finding(about="pulls", level=Level.OK, message="no pull limit is announced")
            return
        message = f"{_number(said.pulls_left)} of {_number(said.pulls_limit or '?')} pulls are left"
        advice = "an index that is read for the first time is a pull; keep the state folder from run to run"
        yield Finding(about="pulls", level=Level.NOTE, message=message, advice=advice)

    def _clock(self) -> Iterator[Finding]:
        time = self.meter.last.time
        if time is None:
            return
        ahead = self.context.now() - time
        if abs(ahead) <= SKEW:
            yield Finding(about="clock", level=Level.OK, message="the clock agrees with Docker Hub's")
            return
        side = "ahead of" if ahead > timedelta() else "behind"
        minutes = round(abs(ahead) / timedelta(minutes=1))
        message = f"this machine's clock is {minutes:,} minutes {side} Docker Hub's"
        yield Finding(about="clock", level=Level.WARNING, message=message, advice="set it: ages depend on it")


class _Access(msgspec.Struct, kw_only=True):
    type: str = ""
    name: str = ""
    actions: tuple[str, ...] = ()


class _Granted(msgspec.Struct, kw_only=True):
    access: tuple[_Access, ...] | None = None


def _granted(header: str | None, place: str) -> set[str]:
    """Read the actions that a registry's token allows; raises Malformed where it doesn't say."""
    try:
        said = convert(claims((header or "").partition(" ")[2]), _Granted)
    except msgspec.ValidationError as exc:
        raise Malformed(str(exc)) from exc
    if said.access is None:
        raise Malformed("the token doesn't say what it allows")
    return {action for each in said.access if each.name == place for action in each.actions}


def _number(value: str) -> str:
    """Cut the window off a limit: ``100;w=21600``."""
    return value.partition(";")[0]


_NOTES = (
    Finding(
        about="pulls",
        level=Level.NOTE,
        message="pulls are recorded, hours late; crawlers pull every tag of public repositories now and then",
        advice="not_pulled_for may never hold there; it keeps, and deletes nothing by mistake",
    ),
    Finding(
        about="tags",
        level=Level.NOTE,
        message="untagged images are in no list: rules for them find what the state folder remembers",
        advice="delete the others on the web page, under Image Management",
    ),
    Finding(about="undo", level=Level.NOTE, message="nothing that is deleted on Docker Hub comes back"),
)
