"""What a simulator that is started by hand says of itself: its address alone, then a line for each fact.

Facts are called as the janitor's policies and its environment call them, so that they can be copied there.
By hand any credentials do that the service would take for well-formed, and any owner, namespace, project or
account that a client is set to is the one of the world's repositories. Tests stay strict.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import msgspec

_Flavour = TypeVar("_Flavour")


class Started(msgspec.Struct, frozen=True, kw_only=True):
    """``address``: what a client is given as the service's own."""

    address: str
    facts: Mapping[str, str] = {}

    def __str__(self) -> str:
        return "\n".join([self.address, *(f"{name}: {value}" for name, value in self.facts.items())])


def choose(flavours: Mapping[str, _Flavour], name: str | None, usual: str) -> _Flavour:
    """The flavour that was asked for; ends the program where there is no such."""
    chosen = flavours.get(name or usual)
    if chosen is None:
        raise SystemExit(f"there is no flavour {name}, but: {', '.join(sorted(flavours))}")
    return chosen


def only_one(name: str, flavour: str | None) -> None:
    """End the program where a flavour was asked for though there is but one."""
    if flavour is not None:
        raise SystemExit(f"there is one {name}, and no {flavour}")
