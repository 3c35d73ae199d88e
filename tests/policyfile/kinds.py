"""Keys of a few providers and sources of use, as the policy language is handed them."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from janitor.policyfile import Kinds


class OciKeys(msgspec.Struct, frozen=True, kw_only=True):
    endpoint: Annotated[str, Meta(description="where it is")]
    username: Annotated[str | None, Meta(description="who asks")] = None
    password: Annotated[str | None, Meta(description="the password")] = None
    ca_file: Annotated[str | None, Meta(description="what signs its certificate", extra={"path": True})] = (
        None
    )
    deletes_tags: Annotated[bool, Meta(description="it can take a tag off")] = False


class EcrKeys(msgspec.Struct, frozen=True, kw_only=True):
    region: Annotated[str, Meta(description="the region")]
    account: Annotated[str | None, Meta(description="the account")] = None
    role_arn: Annotated[str | None, Meta(description="a role to take on")] = None
    endpoint: Annotated[str | None, Meta(description="instead of the service's address")] = None


class GarKeys(msgspec.Struct, frozen=True, kw_only=True):
    project: Annotated[str, Meta(description="the project")]
    repository: Annotated[str | None, Meta(description="one repository", extra={"narrows": True})] = None


class InventoryKeys(msgspec.Struct, frozen=True, kw_only=True):
    path: Annotated[str, Meta(description="the file", extra={"path": True})]


class KubernetesKeys(msgspec.Struct, frozen=True, kw_only=True):
    context: Annotated[str | None, Meta(description="of the kubeconfig")] = None
    namespaces: Annotated[tuple[str, ...], Meta(description="globs")] = ()


class ManifestsKeys(msgspec.Struct, frozen=True, kw_only=True):
    paths: Annotated[tuple[str, ...], Meta(description="globs", extra={"path": True})]


class FileKeys(msgspec.Struct, frozen=True, kw_only=True):
    path: Annotated[str, Meta(description="a reference a line", extra={"path": True})]


class EcsKeys(msgspec.Struct, frozen=True, kw_only=True):
    region: Annotated[str, Meta(description="the region")]
    cluster: Annotated[str, Meta(description="a glob of clusters")]


KINDS = Kinds(
    providers={"oci": OciKeys, "ecr": EcrKeys, "gar": GarKeys, "inventory": InventoryKeys},
    sources={"kubernetes": KubernetesKeys, "ecs": EcsKeys, "manifests": ManifestsKeys, "file": FileKeys},
)
