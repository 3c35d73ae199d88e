"""Nodes -> policies and their rules.

A rule says ``keep`` or ``delete``, once, and what it says must be able to hold: each condition stands on its
own side, selectors that exclude one another are refused, grouping needs something to count and a pattern that
gives the group, and nothing at all is said with ``all: true``, never by leaving everything out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any

import msgspec

from janitor.core.image import ImageType
from janitor.core.pattern import Pattern, PatternList
from janitor.core.policy import (
    CONDITION_KEYS,
    Condition,
    OrderBy,
    Policy,
    Rule,
    Selectors,
    Side,
    ValueKind,
    Where,
)
from janitor.core.units import parse_time
from janitor.policyfile.keys import CONDITIONS, COUNTING, OPTIONS, POLICY, RULE, SELECTORS, SIDES
from janitor.policyfile.nodes import Node, flow, shown
from janitor.policyfile.reader import Block, Reader, quoted
from janitor.policyfile.values import read_values

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
# A rule's text stands in every line of a plan that cites it.
_MAX_TEXT = 500
# What narrows a rule to some repositories speaks of all images there; the rest speaks of images.
_NARROWING = frozenset({"repositories", "registries"})
_EXCLUSIVE = (("tags", "tags_all"), ("tags", "untagged"), ("tags_all", "untagged"))
_VERSION_GROUPS = frozenset({"major", "minor"})


class RegistryUse(msgspec.Struct, frozen=True):
    """A list of registries that a policy or rule names; ``covers``: it must match one at least."""

    node: Node
    patterns: PatternList
    covers: bool


def read_policy(reader: Reader, node: Node, place: int, uses: list[RegistryUse]) -> tuple[str, Policy | None]:
    """Read one entry of ``policies``: its name, and the policy unless something in it is wrong.

    ``place`` counts from 1 and names what has no name. The lists of registries that it names are added to
    ``uses``, of a wrong policy too: whether there are such registries shows only when all files are read.
    """
    before = len(reader.problems)
    name = f"policy {place}"
    block = reader.block(node, POLICY, "a policy", elsewhere=_elsewhere_than_policy)
    if block is None:
        return name, None
    values = read_values(reader, block, POLICY)
    name = values.get("name", name)
    timezone = values.get("timezone", "UTC")
    if "registries" in values:
        uses.append(RegistryUse(block.nodes["registries"], values["registries"], covers=True))
    rules = _rules(reader, block.nodes["rules"], name, timezone, uses) if "rules" in block.nodes else ()
    if len(reader.problems) != before:
        return name, None
    return name, Policy(
        name=name,
        where=_where(node),
        timezone=timezone,
        registries=values["registries"],
        repositories=values["repositories"],
        rules=rules,
    )


def _rules(
    reader: Reader, node: Node, policy: str, timezone: str, uses: list[RegistryUse]
) -> tuple[Rule, ...]:
    zone = _zone(timezone)
    rules: list[Rule] = []
    first: dict[str, Node] = {}
    for place, entry in enumerate(reader.blocks(node, "rules"), 1):
        block = reader.block(entry, RULE, "a rule", elsewhere=_elsewhere_than_rule)
        if block is None:
            continue
        name = f"{policy}/{read_values(reader, block, RULE).get('name', place)}"
        earlier = first.get(name)
        first[name] = entry
        if earlier is not None:
            reader.problems.add(
                entry,
                f'two rules are called "{shown(name)}": in line {earlier.line} and in line {entry.line}',
            )
        rule = _rule(reader, block, name, zone, uses)
        if rule is not None:
            rules.append(rule)
    return tuple(rules)


def _rule(reader: Reader, rule: Block, name: str, zone: tzinfo, uses: list[RegistryUse]) -> Rule | None:
    before = len(reader.problems)
    sides = [side for side in SIDES if side in rule.nodes]
    if len(sides) != 1:
        message = "a rule says keep or delete, not both" if sides else "a rule needs keep or delete"
        hint = "write two rules" if sides else "such as delete: {untagged: true, older_than: 7d}"
        reader.problems.add(rule.node, message, hint)
    for side in sides:
        node = rule.nodes[side]
        block = reader.block(node, SIDES[side], f"{side} of a rule", elsewhere=_ELSEWHERE[side])
        if block is None:
            continue
        values = read_values(reader, block, SIDES[side])
        if "registries" in values:
            uses.append(RegistryUse(block.nodes["registries"], values["registries"], covers=False))
        conditions = _conditions(reader, block, values, zone)
        _check(reader, side, block, values)
        if len(reader.problems) == before:
            return Rule(
                name=name,
                side=side,
                where=_where(rule.node),
                select=_selectors(values),
                conditions=conditions,
                group_by=values.get("group_by"),
                order_by=OrderBy(values.get("order_by", OrderBy.TIME)),
                text=shown(f"{side} {flow(block.node)}", _MAX_TEXT),
                **{option: values[option] for option in OPTIONS if option in values},
            )
    return None


def _selectors(values: Mapping[str, Any]) -> Selectors:
    select = {key: values[key] for key in SELECTORS if key in values and key != "all"}
    if "type" in select:
        select["type"] = frozenset(map(ImageType, select["type"]))
    return Selectors(**select)


def _conditions(
    reader: Reader, block: Block, values: Mapping[str, Any], zone: tzinfo
) -> tuple[Condition, ...]:
    conditions = []
    for key, node in block.nodes.items():
        if key not in CONDITIONS or key not in values:
            continue
        value = values[key]
        if CONDITION_KEYS[key].kind is ValueKind.INSTANT:
            value = _instant(reader, node, key, value, zone)
        if value is not None:
            conditions.append(Condition(key=key, value=value, text=flow(node)))
    return tuple(conditions)


def _instant(reader: Reader, node: Node, key: str, text: str, zone: tzinfo) -> datetime | None:
    """A date is midnight in the timezone of the policy; a time says its own offset."""
    try:
        if _DATE.fullmatch(text):
            return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)
        return parse_time(text)
    except (ValueError, OverflowError) as error:
        message = str(error)
        if _DATE.fullmatch(text):
            message = f"{quoted(node)} is no day of any calendar"
        reader.wrong(node, CONDITIONS[key], shown(message, 200), "a date is written 2026-01-31")
        return None


def _check(reader: Reader, side: Side, block: Block, values: Mapping[str, Any]) -> None:
    """Refuse what can't hold together: by the keys that are there, whether or not their values are right."""
    _check_selectors(reader, side, block)
    _check_archive(reader, side, block)
    _check_groups(reader, block, values)


def _check_selectors(reader: Reader, side: Side, block: Block) -> None:
    nodes = block.nodes
    says = [key for key in nodes if key in SELECTORS or key in CONDITIONS]
    if not says and not (block.node.entries and len(nodes) < len(block.node.entries)):
        beside = ", ".join(nodes)
        message = f"{side} selects nothing by {beside} alone" if beside else f"{side}: {{}} is refused"
        reader.problems.add(block.node, message, f"if all images are meant, write {side}: {{all: true}}")
    if "all" in nodes:
        choosing = [key for key in says if key in SELECTORS and key not in _NARROWING and key != "all"]
        if choosing:
            reader.problems.add(
                nodes["all"],
                f"all: true says that nothing narrows the rule, but {choosing[0]} does",
                "leave all out",
            )
    for one, other in _EXCLUSIVE:
        if one in nodes and other in nodes:
            reader.problems.add(
                nodes[other], f"{one} and {other} can't stand in one rule", "write two rules, or one of them"
            )


def _check_archive(reader: Reader, side: Side, block: Block) -> None:
    nodes = block.nodes
    if side is Side.KEEP:
        return
    if "archived" in nodes and "archived_for" not in nodes:
        reader.problems.add(
            nodes["archived"], "archived: true in delete needs archived_for", "such as archived_for: 90d"
        )
    if "archived_for" in nodes and "archived" not in nodes:
        reader.problems.add(nodes["archived_for"], "archived_for needs archived: true beside it")
    if "archived" in nodes:
        for key in _counting(block):
            reader.problems.add(
                nodes[key], f"{key} can't count archived images", "they count for no rank: leave it out"
            )


def _check_groups(reader: Reader, block: Block, values: Mapping[str, Any]) -> None:
    nodes = block.nodes
    if "group_by" not in nodes:
        return
    if not _counting(block):
        keys = ", ".join(key for key, row in CONDITION_KEYS.items() if row.counting)
        reader.problems.add(
            nodes["group_by"], "group_by needs a condition that counts", f"these count: {keys}"
        )
    wanted = {"tags", "tags_all"} & nodes.keys()
    if "group_by" not in values or any(key not in values for key in wanted):
        return
    group = values["group_by"]
    known = {name for pattern in _tag_patterns(values) for name in pattern.group_names}
    if group in known:
        return
    if group in _VERSION_GROUPS:
        hint = 'add a semver: pattern, such as "semver:*"'
    elif known:
        hint = reader.suggestion(group, known) or f"the patterns give {', '.join(sorted(known))}"
    else:
        hint = f'name the group in a pattern, such as "re:(?P<{shown(group, 20)}>.+)-[0-9a-f]+"'
    reader.problems.add(
        nodes["group_by"], f"no pattern of the rule gives the group {quoted(nodes['group_by'])}", hint
    )


def _tag_patterns(values: Mapping[str, Any]) -> tuple[Pattern, ...]:
    tags: PatternList | None = values.get("tags")
    chosen = () if tags is None else tuple(pattern for pattern in tags.patterns if not pattern.negated)
    return (*chosen, *values.get("tags_all", ()))


def _counting(block: Block) -> tuple[str, ...]:
    return tuple(key for key in block.nodes if key in CONDITIONS and CONDITION_KEYS[key].counting)


def _elsewhere_than(side: Side) -> Any:
    """What is wrong with a key that this side hasn't: most often it is the other side's."""
    other = Side.DELETE if side is Side.KEEP else Side.KEEP

    def elsewhere(key: str) -> tuple[str, str] | None:
        if key in OPTIONS:
            return f"{key} is an option of delete; {side} takes nothing off", "leave it out"
        row = CONDITION_KEYS.get(key)
        if row is not None:
            hint = f"in {side} write {row.twin}" if row.twin else f"{side} has no such condition"
            return f"{key} stands in {other} alone", hint
        if key in RULE:
            return f"{key} stands beside {side}, not in it", f"a rule is {{name: …, {side}: {{…}}}}"
        return None

    return elsewhere


_ELSEWHERE = {side: _elsewhere_than(side) for side in Side}


def _elsewhere_than_rule(key: str) -> tuple[str, str] | None:
    if key in SELECTORS or key in CONDITIONS or key in COUNTING or key in OPTIONS:
        sides = [side for side in Side if key in SIDES[side]]
        where = " or ".join(sides)
        return f"{key} stands in {where}, not beside it", f"write {sides[-1]}: {{{key}: …}}"
    return None


def _elsewhere_than_policy(key: str) -> tuple[str, str] | None:
    if key in ("keep", "delete"):
        return f"{key} stands in a rule", f"write rules: [{{{key}: {{…}}}}]"
    return None


def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - most policies are in UTC

    return ZoneInfo(name)


def _where(node: Node) -> Where:
    return Where(file=node.source.file, line=node.line)
