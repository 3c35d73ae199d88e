"""The JSON Schema (draft 2020-12) of policy files, from the tables that the parser reads.

It says what can be said of one key at a time: names, types, units, sides, choices. What takes two keys or two
files (a group that no pattern gives, a registry that isn't there) only the parser knows. Editors read YAML
before they apply a schema, so where a text is read as it stands, numbers and booleans pass too; and where
``${NAME}`` may stand, so does a text that holds one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from janitor.core.policy import Side
from janitor.policyfile.keys import REGISTRY, SOURCE, TABLES, Key, Kind, Table
from janitor.policyfile.registries import Kinds, struct_keys

Schema = dict[str, Any]

_VARIABLE = {"type": "string", "pattern": r"\$\{[A-Za-z_][A-Za-z0-9_]*\}"}
_AS_IT_STANDS = {"type": ["string", "number", "boolean", "null"]}
_TEXT = {"type": ["string", "number"], "minLength": 1}
_DURATION = "^([0-9]+y)?([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?$"
_SIZE = "^[0-9]+([.][0-9]+)?(B|kB|KB|MB|GB|TB|KiB|MiB|GiB|TiB)$"


def policy_schema(kinds: Kinds) -> Schema:
    """Return the schema of policy files for these providers and sources of use, ready for JSON."""
    definitions = {
        name: _object(table) for name, table in TABLES.items() if name not in ("file", "registry", "source")
    }
    definitions["rule"]["oneOf"] = [{"required": [side]} for side in Side]
    for side in Side:
        definitions[side]["minProperties"] = 1
    definitions["registry"] = {"oneOf": [_registry(name, kinds) for name in sorted(kinds.providers)]}
    definitions["source"] = {"oneOf": [_source(name, kinds) for name in sorted(kinds.sources)]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Policy of the registry janitor",
        **_object(TABLES["file"]),
        "$defs": definitions,
    }


def _object(table: Table) -> Schema:
    schema: Schema = {
        "type": "object",
        "properties": {name: _described(key) for name, key in table.items()},
        "additionalProperties": False,
    }
    required = [name for name, key in table.items() if key.required]
    if required:
        schema["required"] = required
    return schema


def _described(key: Key) -> Schema:
    return {"description": key.doc, **_SCHEMAS[key.kind](key)}


def _registry(name: str, kinds: Kinds) -> Schema:
    schema = _object({**REGISTRY, **struct_keys(kinds.providers[name])})
    schema["properties"]["provider"] = {"description": REGISTRY["provider"].doc, "const": name}
    return schema


def _source(name: str, kinds: Kinds) -> Schema:
    own = struct_keys(kinds.sources[name])
    value = _object({**own, **SOURCE})
    first, *others = own.values()
    short = [] if any(key.required for key in others) else [_SCHEMAS[first.kind](first)]
    return {
        "type": "object",
        "properties": {
            name: {"description": _doc(kinds.sources[name]), "anyOf": [value, *short]},
            **{key.name: _described(key) for key in SOURCE.values()},
        },
        "required": [name],
        "additionalProperties": False,
    }


def _doc(struct: type[msgspec.Struct]) -> str:
    return (struct.__doc__ or "").partition("\n")[0]


def _or_variable(schema: Schema) -> Schema:
    return {"anyOf": [schema, _VARIABLE]}


def _list(item: Schema) -> Schema:
    return {"anyOf": [item, {"type": "array", "items": item, "minItems": 1}]}


def _patterns(*exceptions: Schema) -> Schema:
    """A list of patterns of which one at least is not negated, or one of the exceptions."""
    positive = {"not": {"type": "string", "pattern": "^!"}}
    return {
        "anyOf": [
            {**_AS_IT_STANDS, **positive},
            {"type": "array", "items": _AS_IT_STANDS, "contains": positive, "minItems": 1},
            *exceptions,
        ]
    }


def _choices(key: Key) -> Schema:
    return {"enum": list(map(str, key.choices))}


def _unit(pattern: str, *, zero: bool) -> Schema:
    schema: Schema = {"type": "string", "minLength": 2, "pattern": pattern}
    if not zero:
        schema["not"] = {"pattern": "^[^1-9]*$"}
    return _or_variable(schema)


def _whole(least: int, most: int | None = None) -> Schema:
    schema: Schema = {"type": "integer", "minimum": least}
    if most is not None:
        schema["maximum"] = most
    return _or_variable(schema)


def _reference(table: str) -> Schema:
    return {"$ref": f"#/$defs/{table}"}


_SCHEMAS: Mapping[Kind, Callable[[Key], Schema]] = {
    Kind.TEXT: lambda _: _TEXT,
    Kind.NAME: lambda _: {"type": "string", "minLength": 1},
    Kind.TEXTS: lambda _: _list(_AS_IT_STANDS),
    Kind.PATH: lambda _: _TEXT,
    Kind.PATHS: lambda _: _list(_TEXT),
    Kind.BOOLEAN: lambda _: _or_variable({"type": "boolean"}),
    Kind.TRUE: lambda _: _or_variable({"const": True}),
    Kind.VERSION: lambda _: _or_variable({"const": 1}),
    Kind.COUNT: lambda _: _whole(1),
    Kind.NUMBER: lambda _: _whole(0),
    Kind.PERCENT: lambda _: _whole(0, 100),
    Kind.RATE: lambda _: _or_variable({"type": "number", "exclusiveMinimum": 0}),
    Kind.DURATION: lambda _: _unit(_DURATION, zero=False),
    Kind.DURATION_OR_NONE: lambda _: _unit(_DURATION, zero=True),
    Kind.SIZE: lambda _: _unit(_SIZE, zero=False),
    Kind.INSTANT: lambda _: _or_variable({"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}"}),
    Kind.PERIODS: lambda _: {**_reference("periods"), "minProperties": 1},
    Kind.CHOICE: lambda key: _or_variable(_choices(key)),
    Kind.CHOICES: lambda key: _list(_or_variable(_choices(key))),
    Kind.TAG_PATTERNS: lambda _: _patterns(),
    Kind.TAG_PATTERNS_ALL: lambda _: _list({**_AS_IT_STANDS, "not": {"type": "string", "pattern": "^!"}}),
    Kind.PROTECTED_TAGS: lambda _: _patterns({"const": "!latest"}, {"const": ["!latest"]}),
    Kind.REPOSITORY_PATTERNS: lambda _: _patterns(),
    Kind.REGISTRY_PATTERNS: lambda _: _patterns(),
    Kind.REPOSITORIES: lambda _: _list({**_AS_IT_STANDS, "not": {"type": "string", "pattern": "[*?{}!]"}}),
    Kind.HOSTS: lambda _: _list({"type": "string", "not": {"pattern": "://"}}),
    Kind.REFERENCES: lambda _: _list({"type": "string"}),
    Kind.LABELS: lambda _: {"type": "object", "additionalProperties": _AS_IT_STANDS, "minProperties": 1},
    Kind.TIMEZONE: lambda _: {"type": "string"},
    Kind.CRON: lambda _: {"type": "string"},
    Kind.URL: lambda _: _or_variable({"type": "string", "pattern": "^https?://"}),
    Kind.BLOCK: lambda key: _reference(key.table),
    Kind.BLOCKS: lambda key: {"type": "array", "items": _reference(key.table), "minItems": 1},
    Kind.NAMED_BLOCKS: lambda key: {"type": "object", "additionalProperties": _reference(key.table)},
    Kind.SOURCES: lambda _: {"type": "array", "items": _reference("source"), "minItems": 1},
}
