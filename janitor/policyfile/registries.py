"""``registries`` and ``protect.in_use``: entries whose keys a provider or a source of use declares.

Each declares them as a frozen struct: a field a key, its type what may be written, its Meta's description a
line of documentation, a field without default a required key. Of a Meta's ``extra``, ``path`` says that the
value is relative to the file, ``narrows`` that without it the registry is larger.
What a provider declares is not known here: it is handed over as :class:`Kinds`, and only the kinds that the
files name are looked up.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from enum import Enum
from functools import lru_cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from janitor.core.policy import RegistrySpec, SourceSpec, Where
from janitor.policyfile.keys import REGISTRY, SOURCE, Key, Kind, Table
from janitor.policyfile.nodes import ListNode, MapNode, Node, Scalar, flow, shown
from janitor.policyfile.reader import Reader, what
from janitor.policyfile.values import read_value, read_values

# What says who asks, not what is asked: two registries that differ in these alone are one place.
_CREDENTIALS = frozenset({"username", "password", "token", "client_id", "external_id", "ca_file"})
# These choose an account, and so a place, unless the account is said.
_ACCOUNT_CREDENTIALS = frozenset({"profile", "role_arn"})
_ADDRESS_KEYS = frozenset({"registry_endpoint", "endpoint"})
_NOT_IN_NAMES = re.compile(r"[*?\[\]{}!,/\s]")


class Kinds(msgspec.Struct, frozen=True, kw_only=True):
    """The structs of the keys of every provider and every source of use, by the names that files use."""

    providers: Mapping[str, type[msgspec.Struct]]
    sources: Mapping[str, type[msgspec.Struct]]


@lru_cache(maxsize=64)
def struct_keys(struct: type[msgspec.Struct]) -> Table:
    """Return the keys that a struct's fields declare, in their order."""
    keys = (_key(field) for field in msgspec.structs.fields(struct))
    return {key.name: key for key in keys}


def read_registry(reader: Reader, name: Scalar, node: Node, kinds: Kinds) -> RegistrySpec | None:
    """Read one entry of ``registries``."""
    before = len(reader.problems)
    if _NOT_IN_NAMES.search(name.text) or name.text.startswith(("re:", "semver:")):
        reader.problems.add(
            name,
            f'"{shown(name.text)}" can\'t be the name of a registry',
            "policies would read it as a pattern",
        )
    provider = _provider(reader, node, kinds)
    if provider is None:
        return None
    struct = kinds.providers[provider]
    own = struct_keys(struct)
    table = {**REGISTRY, **own}
    block = reader.block(node, table, f"a registry of {provider}")
    if block is None:
        return None
    values = read_values(reader, block, table)
    if len(reader.problems) != before:
        return None
    keys = _make(reader, node, provider, struct, {key: values[key] for key in own if key in values})
    if keys is None:
        return None
    generic = {key: values[key] for key in REGISTRY if key in values and key not in own and key != "provider"}
    return RegistrySpec(name=name.text, provider=provider, keys=keys, where=_where(node, name), **generic)


def read_source(reader: Reader, node: Node, kinds: Kinds) -> SourceSpec | None:
    """Read one entry of ``protect.in_use``: a source with its keys, or with the value of its first one."""
    before = len(reader.problems)
    found = _source_kind(reader, node, kinds)
    if found is None:
        return None
    kind, value, beside = found
    struct = kinds.sources[kind]
    table = {**struct_keys(struct), **SOURCE}
    if isinstance(value, MapNode):
        block = reader.block(value, table, f"{kind} of in_use")
        if block is None:
            return None
        values = read_values(reader, block, table)
    else:
        values = _shorthand(reader, kind, value, struct_keys(struct))
    for name, other in beside.items():
        values[name] = read_value(reader, other, SOURCE[name])
    if len(reader.problems) != before:
        return None
    allow_empty = values.pop("allow_empty", False)
    keys = _make(reader, value, kind, struct, values)
    if keys is None:
        return None
    return SourceSpec(kind=kind, keys=keys, allow_empty=allow_empty, where=_where(node, node))


class Place(msgspec.Struct, frozen=True):
    """Where a registry is, whoever asks. ``parts`` narrow it; an unset one takes in every other."""

    whole: tuple[object, ...]
    parts: tuple[object, ...]

    def overlaps(self, other: Place) -> bool:
        """Whether the same images may stand in both."""
        return self.whole == other.whole and all(
            mine is None or theirs is None or mine == theirs
            for mine, theirs in zip(self.parts, other.parts, strict=True)
        )


def place_of(spec: RegistrySpec) -> Place | None:
    """Return where a registry is; ``None``: a variable that isn't set keeps it from being told.

    An ``inventory`` plans for the lines of its own name alone, so a file may stand under several names.
    """
    credentials = _CREDENTIALS
    if getattr(spec.keys, "account", None) is not None:
        credentials |= _ACCOUNT_CREDENTIALS
    whole: list[object] = [spec.provider]
    parts: list[object] = []
    if spec.provider == "inventory":
        whole.append(spec.name)
    for field, key in zip(spec.keys.__struct_fields__, struct_keys(type(spec.keys)).values(), strict=True):
        if key.name in credentials:
            continue
        value = getattr(spec.keys, field)
        if isinstance(value, str) and "${" in value:
            return None
        (parts if key.narrows else whole).append(_normal(key, value))
    return Place(tuple(whole), tuple(parts))


def _normal(key: Key, value: object) -> object:
    if key.kind is Kind.PATH and value is not None:
        return os.path.realpath(str(value))
    if not isinstance(value, str):
        return value
    text = value.casefold().rstrip("/")
    if key.name in _ADDRESS_KEYS:
        scheme, _, rest = text.partition("://")
        return f"{scheme}://{rest.removesuffix(':443' if scheme == 'https' else ':80')}"
    return text


def _key(field: Any) -> Key:
    """The key that a struct's field declares."""
    options: set[str] = set()
    doc = ""
    kind_type = field.type
    while True:
        origin = get_origin(kind_type)
        if origin is Annotated:
            kind_type, *metas = get_args(kind_type)
            for meta in metas:
                if isinstance(meta, msgspec.Meta):
                    doc = meta.description or doc
                    options |= {name for name, said in (meta.extra or {}).items() if said}
        elif origin in (UnionType, Union):
            kind_type = _only(arg for arg in get_args(kind_type) if arg is not NoneType)
        else:
            break
    kind, choices = _kind(kind_type, is_path="path" in options)
    return Key(
        name=field.encode_name,
        kind=kind,
        doc=doc,
        choices=choices,
        required=field.required,
        narrows="narrows" in options,
        deferred=True,
    )


def _kind(written: Any, *, is_path: bool) -> tuple[Kind, tuple[str, ...]]:
    origin = get_origin(written)
    if origin is Literal:
        return Kind.CHOICE, get_args(written)
    if origin is tuple:
        return (Kind.PATHS if is_path else Kind.TEXTS), ()
    if isinstance(written, type) and issubclass(written, Enum):
        return Kind.CHOICE, tuple(str(member.value) for member in written)
    if written is str and is_path:
        return Kind.PATH, ()
    return _KINDS[written], ()


_KINDS: Mapping[Any, Kind] = {
    str: Kind.TEXT,
    bool: Kind.BOOLEAN,
    int: Kind.COUNT,
    float: Kind.RATE,
}


def _only(types: Iterable[Any]) -> Any:
    (single,) = types
    return single


def _provider(reader: Reader, node: Node, kinds: Kinds) -> str | None:
    if not isinstance(node, MapNode):
        reader.problems.add(node, f"a registry is a mapping of keys to values, not {what(node)}")
        return None
    for key, value in node.entries:
        if key.text != "provider":
            continue
        provider = read_value(reader, value, REGISTRY["provider"])
        if provider is None or provider in kinds.providers:
            return provider  # type: ignore[no-any-return]  # a text by its kind
        known = f"there are {', '.join(sorted(kinds.providers))}"
        near = reader.nearest(provider, kinds.providers)
        reader.problems.add(
            value,
            f'"{shown(provider)}" is no provider; {known}',
            f'did you mean "{near}"?' if near else "",
        )
        return None
    reader.problems.add(node, "a registry needs provider", f"there are {', '.join(sorted(kinds.providers))}")
    return None


def _source_kind(reader: Reader, node: Node, kinds: Kinds) -> tuple[str, Node, Mapping[str, Node]] | None:
    """The source that an entry names, its value, and the keys that stand beside it."""
    known = f"there are {', '.join(sorted(kinds.sources))}"
    if not isinstance(node, MapNode):
        reader.problems.add(node, f"an entry of in_use names a source, not {what(node)}", known)
        return None
    named: list[tuple[Scalar, Node]] = []
    beside: dict[str, Node] = {}
    for key, value in node.entries:
        if key.text in kinds.sources:
            named.append((key, value))
        elif key.text in SOURCE:
            beside[key.text] = value
        else:
            near = reader.suggestion(key.text, [*kinds.sources, *SOURCE])
            reader.problems.add(key, f'"{shown(key.text)}" is no source of use; {known}', near)
            return None
    if len(named) != 1:
        said = " and ".join(key.text for key, _ in named) or "none"
        reader.problems.add(
            node, f"an entry of in_use names one source, not {said}", "begin each with a dash"
        )
        return None
    key, value = named[0]
    return key.text, value, beside


def _shorthand(reader: Reader, kind: str, value: Node, table: Table) -> dict[str, Any]:
    """What stands in place of a mapping is the value of the source's first key."""
    first = next(iter(table.values()))
    if isinstance(value, Scalar) and value.plain and not value.text:
        reader.problems.add(value, f"{kind}: nothing stands here", f"write {kind}: {{}} to say no more")
        return {}
    if isinstance(value, ListNode) and first.kind not in (Kind.TEXTS, Kind.PATHS):
        reader.problems.add(
            value,
            f"{kind}: one {first.name} is wanted, not a list",
            "several: several entries, each with a dash",
        )
        return {}
    lacking = [key.name for key in table.values() if key.required and key.name != first.name]
    if lacking:
        reader.problems.add(
            value,
            f"{kind} needs {' and '.join(lacking)}",
            f"write {kind}: {{{first.name}: {flow(value)}, …}}",
        )
        return {}
    return {first.name: read_value(reader, value, first)}


def _make(
    reader: Reader, node: Node, label: str, struct: type[msgspec.Struct], values: Mapping[str, Any]
) -> msgspec.Struct | None:
    """The struct of the keys; what its own checks refuse (``__post_init__``) is a problem at the entry."""
    fields = zip(struct.__struct_fields__, struct.__struct_encode_fields__, strict=True)
    try:
        return struct(**{name: values[key] for name, key in fields if key in values})
    except (ValueError, TypeError) as error:
        reader.problems.add(node, f"{label}: {shown(str(error), 200)}")
        return None


def _where(node: Node, named: Node) -> Where:
    return Where(file=node.source.file, line=named.line)
