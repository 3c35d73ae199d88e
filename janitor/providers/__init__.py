"""The registries that the janitor can clean: one row a provider, one file a provider.

Nothing is imported before a row is used, so that a command loads only the providers that its policies name.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, cast

import msgspec

from janitor.providers.keys import (
    AcrKeys,
    DockerHubKeys,
    EcrKeys,
    GarKeys,
    GhcrKeys,
    InventoryKeys,
    Keys,
    OciKeys,
    OciLayoutKeys,
)

if TYPE_CHECKING:
    from janitor.core.policy import RegistrySpec
    from janitor.providers.interface import Context, Registry


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """One row: the name that policies use, its keys, and where its class stands, as ``module:class``."""

    name: str
    keys: type[Keys]
    place: str

    @property
    def registry(self) -> type[Registry]:
        """The provider's class; imports its module."""
        module, _, name = self.place.partition(":")
        return cast("type[Registry]", getattr(import_module(module), name))

    def open(self, spec: RegistrySpec, context: Context) -> Registry:
        """Make the registry that a policy file describes; asks it nothing yet.

        Raises RegistryError when the keys contradict one another or a file that they name can't be read.
        """
        return self.registry.open(spec, context)


PROVIDERS: Mapping[str, Provider] = {
    row.name: row
    for row in (
        Provider(name="acr", keys=AcrKeys, place="janitor.providers.acr.registry:Acr"),
        Provider(
            name="dockerhub",
            keys=DockerHubKeys,
            place="janitor.providers.dockerhub.registry:DockerHub",
        ),
        Provider(name="ecr", keys=EcrKeys, place="janitor.providers.ecr.registry:Ecr"),
        Provider(name="gar", keys=GarKeys, place="janitor.providers.gar.registry:Gar"),
        Provider(name="ghcr", keys=GhcrKeys, place="janitor.providers.ghcr.registry:Ghcr"),
        Provider(name="oci", keys=OciKeys, place="janitor.providers.oci:Oci"),
        Provider(
            name="oci-layout", keys=OciLayoutKeys, place="janitor.providers.oci_layout.registry:OciLayout"
        ),
        Provider(name="inventory", keys=InventoryKeys, place="janitor.providers.inventory:Inventory"),
    )
}
