"""The keys of each provider in a policy file, beside those that every registry has.

They stand apart from the providers, so that policies are read, and their schema is written, without loading
what reaches out. One struct a provider: one field a key.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec


class Keys(msgspec.Struct, frozen=True, kw_only=True):
    """The keys of a provider in a policy file, beside those that every registry has.

    A subclass declares one field a key: its type is what the file may say (``Path``: relative to the file),
    its ``Meta(description=…)`` is its line in the documentation, a field without default is required.
    """

    def __repr__(self) -> str:
        shown = (
            f"{name}={'…' if name in _SECRETS and getattr(self, name) else repr(getattr(self, name))}"
            for name in self.__struct_fields__
        )
        return f"{type(self).__name__}({', '.join(shown)})"


_SECRETS = frozenset({"password", "token"})


def _doc(text: str) -> msgspec.Meta:
    return msgspec.Meta(description=text)


class OciKeys(Keys, frozen=True, kw_only=True):
    """The keys of an ``oci`` registry."""

    endpoint: Annotated[str, _doc("`https://HOST[:PORT]`, or `http://…` for a registry without TLS")]
    username: Annotated[str | None, _doc("with `password` or `token`; default: docker's config.json")] = None
    password: Annotated[str | None, _doc("the password of `username`")] = None
    token: Annotated[
        str | None, _doc("the password of `username`, or without one a token that is sent as it is")
    ] = None
    ca_file: Annotated[Path | None, _doc("certificates to trust beside the system's")] = None
    deletes_tags: Annotated[
        bool, _doc("the registry takes a tag off by its name and keeps the manifest; can't be probed")
    ] = False


class OciLayoutKeys(Keys, frozen=True, kw_only=True):
    """Where the layouts are."""

    path: Annotated[Path, _doc("a folder in which each folder with an `oci-layout` file is a repository")]


class InventoryKeys(Keys, frozen=True, kw_only=True):
    """Where the file is."""

    path: Annotated[Path, _doc("a file that `janitor inventory` wrote; it is only read")]
