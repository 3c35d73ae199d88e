"""The keys of each source of use in a policy file.

They stand apart from the sources, so that policies are read, and their schema is written, without loading
what reaches out. One struct a source: one field a key. The first field is what a single value after the
source's word means (``file: in-use.txt``). A field whose ``Meta`` says ``extra={"path": True}`` holds paths;
the policy file's folder already stands before them.
"""

from __future__ import annotations

import re
from typing import Annotated

import msgspec

from janitor.core.pattern import PatternKind, PatternList


def _doc(text: str) -> msgspec.Meta:
    return msgspec.Meta(description=text)


def _path(text: str) -> msgspec.Meta:
    return msgspec.Meta(description=text, extra={"path": True})


_ENDPOINT = _doc("asked instead of the service's address: an emulator, a private link")
_VARIABLE = "${"  # not filled in where policies alone are checked


class ManifestsKeys(msgspec.Struct, frozen=True, kw_only=True):
    """Which files."""

    manifests: Annotated[
        tuple[str, ...],
        msgspec.Meta(
            description="globs of rendered YAML or JSON files; `**` is any number of folders",
            extra={"path": True},
            min_length=1,
        ),
    ]


class FileKeys(msgspec.Struct, frozen=True, kw_only=True):
    """Which file."""

    file: Annotated[str, _path("a text file with one image reference a line")]


class UrlKeys(msgspec.Struct, frozen=True, kw_only=True):
    """Which address."""

    url: Annotated[str, _doc("an http or https address that answers with one image reference a line")]
    endpoint: Annotated[
        str | None, _doc("asked instead of the address's scheme and host: a private link, a test's server")
    ] = None

    def __post_init__(self) -> None:
        _check_address("url", self.url)
        _check_address("endpoint", self.endpoint)


class KubernetesKeys(msgspec.Struct, frozen=True, kw_only=True):
    """Which cluster, who asks, and what of it; without any key, the cluster that the janitor runs in."""

    context: Annotated[
        str | None, _doc("a context of the kubeconfig; with `kubeconfig` alone, the file's current one")
    ] = None
    kubeconfig: Annotated[
        str | None, _path("default: the files of `KUBECONFIG`, or `~/.kube/config`; with `context`")
    ] = None
    server: Annotated[
        str | None, _doc("the address of a cluster's API, as `https://10.0.0.1:6443`, instead of a context")
    ] = None
    token_file: Annotated[
        str | None, _path("a file with the token for `server`; it is read anew for each request")
    ] = None
    ca_file: Annotated[
        str | None, _path("the certificates that `server` is trusted by; default: the system's")
    ] = None
    namespaces: Annotated[
        tuple[str, ...] | None,
        _doc("names or globs, `!` in front leaves out; default: all. Names alone need rights there only"),
    ] = None
    resources: Annotated[
        tuple[str, ...],
        _doc("other kinds that name images, as `argoproj.io/v1alpha1/rollouts`"),
    ] = ()
    endpoint: Annotated[str | None, _ENDPOINT] = None

    def __post_init__(self) -> None:
        if self.server is not None and (self.context is not None or self.kubeconfig is not None):
            raise ValueError("server and context are two ways to say which cluster; leave one out")
        if self.server is None and (self.token_file is not None or self.ca_file is not None):
            raise ValueError("token_file and ca_file go with server")
        _check_address("server", self.server)
        _check_address("endpoint", self.endpoint)
        for resource in self.resources:
            if _VARIABLE not in resource and not _RESOURCE.fullmatch(resource):
                raise ValueError(
                    f"{resource} is no resource; one is written GROUP/VERSION/PLURAL, as"
                    " argoproj.io/v1alpha1/rollouts (kubectl api-resources shows them)"
                )
        if self.namespaces is not None:
            _check_patterns("namespaces", self.namespaces)


class AwsKeys(msgspec.Struct, frozen=True, kw_only=True):
    """Which account and region of AWS, and who asks."""

    region: Annotated[str, _doc("the region, as `eu-west-1`")]
    account: Annotated[
        str | None, _doc("twelve digits; credentials of another account leave the source unread")
    ] = None
    profile: Annotated[str | None, _doc("a profile of the AWS configuration")] = None
    role_arn: Annotated[str | None, _doc("a role to take on; it is renewed as long as the run lasts")] = None
    external_id: Annotated[str | None, _doc("what the role's trust policy asks for, with `role_arn`")] = None
    endpoint: Annotated[str | None, _ENDPOINT] = None

    def __post_init__(self) -> None:
        account = self.account
        if account is not None and _VARIABLE not in account and not _ACCOUNT.fullmatch(account):
            raise ValueError(f"account is twelve digits, not {account}")
        if self.external_id is not None and self.role_arn is None:
            raise ValueError("external_id goes with role_arn")
        _check_address("endpoint", self.endpoint)


class EcsKeys(AwsKeys, frozen=True, kw_only=True):
    """Which clusters, and who asks."""

    cluster: Annotated[
        tuple[str, ...], _doc("names of clusters or globs, `!` in front leaves out; default: all")
    ] = ("*",)

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_patterns("cluster", self.cluster)


class LambdaKeys(AwsKeys, frozen=True, kw_only=True):
    """Which functions, and who asks: all of a region."""


def _check_patterns(name: str, texts: tuple[str, ...]) -> None:
    """Refuse patterns of names that can select nothing."""
    if any(_VARIABLE in each for each in texts):
        return
    patterns = PatternList.of(texts, PatternKind.NAME)
    if all(pattern.negated for pattern in patterns.patterns):
        raise ValueError(f'{name}: these only leave out; add "*"')


def _check_address(name: str, address: str | None) -> None:
    """Refuse what is no address; it may hold a credential, so no message repeats it."""
    if address is None or _VARIABLE in address:
        return
    from urllib.parse import urlsplit  # noqa: PLC0415 - milliseconds that only policies with an address pay

    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError:
        raise ValueError(f"{name} is no address") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{name} is an address that begins with https:// or http://")


_ACCOUNT = re.compile(r"[0-9]{12}")
# GROUP/VERSION/PLURAL, or VERSION/PLURAL of the core group.
_RESOURCE = re.compile(r"(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?/)?v[0-9]+(?:(?:alpha|beta)[0-9]+)?/[a-z0-9-]+")
