"""Nodes of one file -> what that file says; files are put together by :mod:`janitor.policyfile.load`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

import msgspec

from janitor.core.policy import (
    NotifySpec,
    Policy,
    ProtectedImage,
    RegistrySpec,
    Schedule,
    SourceSpec,
    TagProtection,
    Where,
)
from janitor.policyfile.keys import FILE, LIMITS, NOTIFY, PROTECT, SCHEDULE
from janitor.policyfile.nodes import MapNode, Node
from janitor.policyfile.parse_rules import RegistryUse, read_policy
from janitor.policyfile.reader import Reader, what
from janitor.policyfile.registries import Kinds, read_registry, read_source
from janitor.policyfile.values import read_values

T = TypeVar("T")


class Placed(msgspec.Struct, Generic[T], frozen=True):
    """A value and the node that says it, for problems that only show when files meet."""

    value: T
    node: Node


class ParsedFile(msgspec.Struct, kw_only=True):
    """What one file says. ``registry_names`` has the wrong ones too, so that a policy may name them.

    ``policy_names`` and ``uses`` likewise. ``limits`` has only what the file says. ``latest``: no list of
    the file said ``!latest``.
    """

    registries: list[Placed[RegistrySpec]] = msgspec.field(default_factory=list)
    registry_names: set[str] = msgspec.field(default_factory=set)
    latest: bool = True
    tags: list[TagProtection] = msgspec.field(default_factory=list)
    images: list[ProtectedImage] = msgspec.field(default_factory=list)
    in_use: list[SourceSpec] = msgspec.field(default_factory=list)
    limits: dict[str, Any] = msgspec.field(default_factory=dict)
    notify: list[NotifySpec] = msgspec.field(default_factory=list)
    schedules: list[Schedule] = msgspec.field(default_factory=list)
    policies: list[Policy] = msgspec.field(default_factory=list)
    policy_names: list[Placed[str]] = msgspec.field(default_factory=list)
    uses: list[RegistryUse] = msgspec.field(default_factory=list)


def parse(reader: Reader, root: Node, kinds: Kinds) -> ParsedFile:
    """Read a whole file; what is wrong is said to the reader, and left out."""
    parsed = ParsedFile()
    block = reader.block(root, FILE, "a policy file")
    if block is None:
        return parsed
    read_values(reader, block, FILE)
    for key, node in block.nodes.items():
        part = _PARTS.get(key)
        if part is not None:
            part(reader, node, kinds, parsed)
    return parsed


def _registries(reader: Reader, node: Node, kinds: Kinds, parsed: ParsedFile) -> None:
    if not isinstance(node, MapNode):
        reader.problems.add(
            node,
            f"registries: names with their keys are wanted, not {what(node)}",
            "such as registries: {prod: {provider: …}}",
        )
        return
    for name, entry in node.entries:
        parsed.registry_names.add(name.text)
        spec = read_registry(reader, name, entry, kinds)
        if spec is not None:
            parsed.registries.append(Placed(spec, name))


def _protect(reader: Reader, node: Node, kinds: Kinds, parsed: ParsedFile) -> None:
    block = reader.block(node, PROTECT, "protect")
    if block is None:
        return
    values = read_values(reader, block, PROTECT)
    patterns = values.get("tags")
    if patterns is not None:
        parsed.latest = all(pattern.text != "!latest" for pattern in patterns.patterns)
        if not all(pattern.negated for pattern in patterns.patterns):
            parsed.tags.append(TagProtection(patterns=patterns, where=_where(block.nodes["tags"])))
    for reference, item in values.get("images", ()):
        parsed.images.append(ProtectedImage(reference=reference, where=_where(item)))
    if "in_use" in block.nodes:
        for entry in reader.blocks(block.nodes["in_use"], "in_use"):
            source = read_source(reader, entry, kinds)
            if source is not None:
                parsed.in_use.append(source)


def _limits(reader: Reader, node: Node, _: Kinds, parsed: ParsedFile) -> None:
    block = reader.block(node, LIMITS, "limits")
    if block is not None:
        parsed.limits = read_values(reader, block, LIMITS)


def _notify(reader: Reader, node: Node, _: Kinds, parsed: ParsedFile) -> None:
    for entry in reader.blocks(node, "notify"):
        before = len(reader.problems)
        block = reader.block(entry, NOTIFY, "an entry of notify")
        if block is None:
            continue
        values = read_values(reader, block, NOTIFY)
        events = values.get("on", ())
        if "always" in events and len(set(events)) > 1:
            reader.problems.add(block.nodes["on"], "on: always includes all others", "write on: [always]")
        if len(reader.problems) == before:
            parsed.notify.append(NotifySpec(where=_where(entry), **values))


def _schedules(reader: Reader, node: Node, _: Kinds, parsed: ParsedFile) -> None:
    for entry in reader.blocks(node, "schedules"):
        before = len(reader.problems)
        block = reader.block(entry, SCHEDULE, "an entry of schedules")
        if block is None:
            continue
        values = read_values(reader, block, SCHEDULE)
        if len(reader.problems) != before:
            continue
        if "registries" in values:
            parsed.uses.append(RegistryUse(block.nodes["registries"], values["registries"], covers=True))
        for key in ("registries", "repositories"):
            if key in values:
                values[key] = tuple(pattern.text for pattern in values[key].patterns)
        parsed.schedules.append(Schedule(where=_where(entry), **values))


def _policies(reader: Reader, node: Node, _: Kinds, parsed: ParsedFile) -> None:
    for place, entry in enumerate(reader.blocks(node, "policies"), 1):
        name, policy = read_policy(reader, entry, place, parsed.uses)
        parsed.policy_names.append(Placed(name, entry))
        if policy is not None:
            parsed.policies.append(policy)


def _where(node: Node) -> Where:
    return Where(file=node.source.file, line=node.line)


_PARTS: Mapping[str, Callable[[Reader, Node, Kinds, ParsedFile], None]] = {
    "registries": _registries,
    "protect": _protect,
    "limits": _limits,
    "notify": _notify,
    "schedules": _schedules,
    "policies": _policies,
}
