"""The keys of each provider in a policy file, beside those that every registry has.

They stand apart from the providers, so that policies are read, and their schema is written, without loading
what reaches out. One struct a provider: one field a key.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from janitor.core.image import Abilities


class Keys(msgspec.Struct, frozen=True, kw_only=True):
    """The keys of a provider in a policy file, beside those that every registry has.

    A subclass declares one field a key: its type is what the file may say, its ``Meta(description=…)`` is its
    line in the documentation, a field without default is required. ``Meta(extra={"path": True})`` says that
    the value is a path relative to the file; the file's folder already stands before what the struct holds.
    """

    @property
    def abilities(self) -> Abilities:
        """What a registry of these keys can do, known before it is asked anything."""
        return Abilities()

    def __repr__(self) -> str:
        shown = (
            f"{name}={'…' if name in _SECRETS and getattr(self, name) else repr(getattr(self, name))}"
            for name in self.__struct_fields__
        )
        return f"{type(self).__name__}({', '.join(shown)})"


_SECRETS = frozenset({"password", "token"})


def _doc(text: str) -> msgspec.Meta:
    return msgspec.Meta(description=text)


def _path(text: str) -> msgspec.Meta:
    return msgspec.Meta(description=text, extra={"path": True})


_ENDPOINT = _doc("asked instead of the service's address: an emulator, a private link")


class EcrKeys(Keys, frozen=True, kw_only=True):
    """Which registry of AWS, and who asks."""

    region: Annotated[str, _doc("the region of the registry, as `eu-west-1`")]
    account: Annotated[str | None, _doc("twelve digits; default: the account of the credentials")] = None
    profile: Annotated[str | None, _doc("a profile of the AWS configuration")] = None
    role_arn: Annotated[str | None, _doc("a role to take on; it is renewed as long as the run lasts")] = None
    external_id: Annotated[str | None, _doc("what the role's trust policy asks for, with `role_arn`")] = None
    endpoint: Annotated[str | None, _ENDPOINT] = None

    def __post_init__(self) -> None:
        if self.account is not None and not (len(self.account) == _ACCOUNT and self.account.isdecimal()):
            raise ValueError(f"account is twelve digits, not {self.account}")
        if self.external_id is not None and self.role_arn is None:
            raise ValueError("external_id goes with role_arn")

    @property
    def abilities(self) -> Abilities:
        """What it can do."""
        return Abilities(records_pushes=True, records_pulls=True, untags=True, archives=True)


_ACCOUNT = 12  # digits


class GarKeys(Keys, frozen=True, kw_only=True):
    """Which repositories of Google Artifact Registry."""

    project: Annotated[str, _doc("the project")]
    location: Annotated[str, _doc("a region or multi-region, as `europe-west1` or `europe`")]
    repository: Annotated[
        str | None,
        msgspec.Meta(description="one repository; default: all of them", extra={"narrows": True}),
    ] = None
    endpoint: Annotated[str | None, _ENDPOINT] = None

    @property
    def abilities(self) -> Abilities:
        """What it can do."""
        return Abilities(records_pushes=True, untags=True, cascades=True)


class AcrKeys(Keys, frozen=True, kw_only=True):
    """Which Azure container registry, and who asks."""

    registry: Annotated[str, _doc("the login server, as `NAME.azurecr.io`")]
    client_id: Annotated[
        str | None, _doc("of a managed or workload identity; default: the environment's")
    ] = None
    username: Annotated[str | None, _doc("with `password`, instead of azure-identity")] = None
    password: Annotated[str | None, _doc("the password of `username`")] = None
    endpoint: Annotated[str | None, _ENDPOINT] = None

    def __post_init__(self) -> None:
        if (self.username is None) is not (self.password is None):
            raise ValueError("username and password go together")

    @property
    def abilities(self) -> Abilities:
        """What it can do."""
        return Abilities(records_pushes=True, untags=True, restores=True, cascades=True)


class GhcrKeys(Keys, frozen=True, kw_only=True):
    """Whose packages on GitHub."""

    owner: Annotated[str, _doc("the organisation or user")]
    token: Annotated[str | None, _doc("default: `GITHUB_TOKEN` of the environment")] = None
    endpoint: Annotated[str | None, _doc("the root of the REST API; default: `https://api.github.com`")] = (
        None
    )
    registry_endpoint: Annotated[str | None, _doc("default: `https://ghcr.io`")] = None

    @property
    def abilities(self) -> Abilities:
        """What it can do."""
        return Abilities(records_pushes=True, restores=True, keeps_last_tagged=True)


class DockerHubKeys(Keys, frozen=True, kw_only=True):
    """Which namespace of Docker Hub, and who asks."""

    namespace: Annotated[str, _doc("the user or organisation")]
    username: Annotated[str | None, _doc("default: `DOCKERHUB_USERNAME` of the environment")] = None
    token: Annotated[str | None, _doc("default: `DOCKERHUB_TOKEN` of the environment")] = None
    endpoint: Annotated[str | None, _doc("the root of the Hub API; default: `https://hub.docker.com`")] = None
    registry_endpoint: Annotated[str | None, _doc("default: `https://registry-1.docker.io`")] = None

    @property
    def abilities(self) -> Abilities:
        """What it can do."""
        return Abilities(lists_untagged=False, records_pushes=True, records_pulls=True, untags=True)


class OciKeys(Keys, frozen=True, kw_only=True):
    """The keys of an ``oci`` registry."""

    endpoint: Annotated[str, _doc("`https://HOST[:PORT]`, or `http://…` for a registry without TLS")]
    username: Annotated[str | None, _doc("with `password` or `token`; default: docker's config.json")] = None
    password: Annotated[str | None, _doc("the password of `username`")] = None
    token: Annotated[
        str | None, _doc("the password of `username`, or without one a token that is sent as it is")
    ] = None
    ca_file: Annotated[str | None, _path("certificates to trust beside the system's")] = None
    deletes_tags: Annotated[
        bool, _doc("the registry takes a tag off by its name and keeps the manifest; can't be probed")
    ] = False

    @property
    def abilities(self) -> Abilities:
        """What it can do; some servers take along what refers to an image, as Harbor does."""
        return Abilities(lists_untagged=False, untags=self.deletes_tags, restores=True, cascades=True)


class OciLayoutKeys(Keys, frozen=True, kw_only=True):
    """Where the layouts are."""

    path: Annotated[str, _path("a folder in which each folder with an `oci-layout` file is a repository")]

    @property
    def abilities(self) -> Abilities:
        """What it can do."""
        return Abilities(untags=True, restores=True)


class InventoryKeys(Keys, frozen=True, kw_only=True):
    """Where the file is."""

    path: Annotated[str, _path("a file that `janitor inventory` wrote; it is only read")]

    @property
    def abilities(self) -> Abilities:
        """What it can do."""
        return Abilities(records_pushes=True, records_pulls=True, deletes=False, untags=True, archives=True)
