"""Files and folders of policy files -> one PolicySet.

Of a folder, every ``*.yaml`` and ``*.yml`` is read but tests (``*.test.yaml``). What several files say is put
together so that no file takes away what another protects: protections add up, of a limit said twice the
stricter counts, a registry or a policy has one meaning, and the order of the files changes nothing. Every
mistake of every file is told at once, as one PolicyError.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any

import msgspec

from janitor.core.pattern import TagMatcher
from janitor.core.policy import Limits, Policy, PolicySet, Protect, RegistrySpec, Rule, Where
from janitor.errors import PolicyError, Problem
from janitor.policyfile.nodes import Node, Problems, shown
from janitor.policyfile.parse import ParsedFile, Placed, parse
from janitor.policyfile.parse_rules import RegistryUse
from janitor.policyfile.reader import Reader, Unset
from janitor.policyfile.registries import Kinds, Place, place_of
from janitor.policyfile.source import MAX_BYTES, read

if TYPE_CHECKING:
    from pathlib import Path

_MAX_PATH = 4096
_SUFFIXES = (".yaml", ".yml")
TEST_SUFFIXES = (".test.yaml", ".test.yml")
_LITERAL = re.compile(r"(?!re:)[^*?\[\]{}\\]+")
# Of a limit that several files give, the one that lets less go.
_STRICTER: Mapping[str, Callable[[Iterable[Any]], Any]] = {
    "grace": max,
    "min_remaining": max,
    "max_percent": min,
    "max_deletions": min,
    "budget": min,
}


def load(
    paths: Sequence[str | Path], environ: Mapping[str, str], kinds: Kinds, *, unset: Unset = "error"
) -> PolicySet:
    """Read policy files, and folders of them, as one set.

    ``environ`` is what ``${NAME}`` is taken from. With ``unset="keep"`` a name that isn't set stays as it
    is written where nothing but a run uses the value: keys of registries and sources, webhooks. Raises
    PolicyError with every problem.
    """
    problems = Problems()
    texts: list[bytes] = []
    parsed: list[ParsedFile] = []
    readers: list[Reader] = []
    files = find_files(paths, problems)
    for file in files:
        data = read_bytes(file, problems)
        if data is None:
            continue
        texts.append(data)
        root = read(shown_path(file), data, problems)
        if root is None:
            continue
        reader = Reader(problems, environ, unset=unset, folder=os.path.dirname(file))  # noqa: PTH120 - a text
        readers.append(reader)
        parsed.append(parse(reader, root, kinds))
    suggester = readers[0] if readers else Reader(problems, environ)
    merged = _merge(suggester, parsed)
    if problems:
        raise PolicyError(problems.sorted())
    return msgspec.structs.replace(merged, files=tuple(map(shown_path, files)), texts=tuple(texts))


def find_files(paths: Sequence[str | Path], problems: Problems) -> list[str]:
    """Return the policy files that these paths mean, each once, in the order of their names."""
    found: dict[tuple[int, int], str] = {}
    if not paths:
        problems.put(Problem(file="", message="no policy file is given", hint="name a file or a folder"))
    for path in map(str, paths):
        for file in _files_of(path, problems):
            try:
                status = os.stat(file)  # noqa: PTH116 - a text
            except (OSError, ValueError) as error:
                problems.put(Problem(file=shown_path(file), message=_told(error)))
                continue
            key = (status.st_dev, status.st_ino)
            found[key] = min(file, found.get(key, file))
    return sorted(found.values())


def read_bytes(file: str, problems: Problems) -> bytes | None:
    """Return what a file holds; ``None``, and a problem, where it can't be read, is none or is too large."""
    name = shown_path(file)
    try:
        # Without O_NONBLOCK, opening a named pipe that nobody writes to would wait for ever.
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as opened:  # noqa: PTH123 - a descriptor
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                kind = "a folder" if stat.S_ISDIR(status.st_mode) else "no regular file"
                problems.put(Problem(file=name, message=f"this is {kind}"))
                return None
            data = opened.read(MAX_BYTES + 1) if status.st_size <= MAX_BYTES else None
    except (OSError, ValueError) as error:
        problems.put(Problem(file=name, message=_told(error)))
        return None
    if data is None or len(data) > MAX_BYTES:
        problems.put(
            Problem(
                file=name,
                message=f"the file is larger than the {MAX_BYTES // 2**20} MiB that a policy file may have",
            )
        )
        return None
    return data


def shown_path(path: str) -> str:
    """Return a path so that it can stand in a message or a report."""
    return shown(path, _MAX_PATH)


def _files_of(path: str, problems: Problems) -> list[str]:
    if not os.path.isdir(path):  # noqa: PTH112 - a text
        if path.endswith(TEST_SUFFIXES):
            problems.put(
                Problem(
                    file=shown_path(path), message="this is a file of policy tests", hint="run janitor test"
                )
            )
            return []
        return [path]
    try:
        names = sorted(os.listdir(path))  # noqa: PTH208 - texts
    except OSError as error:
        problems.put(Problem(file=shown_path(path), message=_told(error)))
        return []
    files = [
        os.path.join(path, name)  # noqa: PTH118 - texts
        for name in names
        if name.endswith(_SUFFIXES) and not name.endswith(TEST_SUFFIXES)
    ]
    if not files:
        problems.put(
            Problem(
                file=shown_path(path),
                message="no policy file stands in this folder",
                hint="policy files are called *.yaml or *.yml",
            )
        )
    return files


def _told(error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file or folder"
    if isinstance(error, IsADirectoryError):
        return "this is a folder"
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"this can't be read: {reason}"


def _merge(reader: Reader, files: Sequence[ParsedFile]) -> PolicySet:
    registries = _merged_registries(reader, files)
    names = dict.fromkeys(sorted({name for file in files for name in file.registry_names}))
    policies = tuple(policy for file in files for policy in file.policies)
    _check_names(reader, [name for file in files for name in file.policy_names])
    if not reader.problems:
        _check_rule_names(reader.problems, policies)
    _check_places(reader, registries)
    uses = [use for file in files for use in file.uses]
    matcher = TagMatcher([use.patterns for use in uses])
    matched = reduce(or_, map(matcher.select, names), 0)
    for place, use in enumerate(uses):
        _check_use(reader, use, names, matches=bool(matched >> place & 1))
    return PolicySet(
        registries=tuple(placed.value for placed in registries),
        protect=Protect(
            latest=all(file.latest for file in files),
            tags=tuple(each for file in files for each in file.tags),
            images=tuple(each for file in files for each in file.images),
            in_use=tuple(each for file in files for each in file.in_use),
        ),
        limits=_merged_limits(files),
        notify=tuple(each for file in files for each in file.notify),
        schedules=tuple(each for file in files for each in file.schedules),
        policies=policies,
    )


def _merged_limits(files: Sequence[ParsedFile]) -> Limits:
    given = {
        name: stricter(file.limits[name] for file in files if name in file.limits)
        for name, stricter in _STRICTER.items()
        if any(name in file.limits for file in files)
    }
    return Limits(**given)


def _merged_registries(reader: Reader, files: Sequence[ParsedFile]) -> list[Placed[RegistrySpec]]:
    merged: dict[str, Placed[RegistrySpec]] = {}
    for placed in (placed for file in files for placed in file.registries):
        first = merged.setdefault(placed.value.name, placed)
        if first is not placed and _anywhere(first.value) != _anywhere(placed.value):
            reader.problems.add(
                placed.node,
                f'the registry "{placed.value.name}" is unlike the one of this name at {_at(first.node)}',
                "give one of them another name, or make them alike",
            )
    return list(merged.values())


def _anywhere(spec: RegistrySpec) -> RegistrySpec:
    return msgspec.structs.replace(spec, where=Where(file="", line=0))


def _check_names(reader: Reader, policies: Sequence[Placed[str]]) -> None:
    first: dict[str, Node] = {}
    for placed in policies:
        earlier = first.setdefault(placed.value, placed.node)
        if earlier is not placed.node:
            reader.problems.add(
                placed.node,
                f'two policies are called "{shown(placed.value)}", at {_at(earlier)} and {_at(placed.node)}',
                "give each a name of its own",
            )


def _check_rule_names(problems: Problems, policies: Sequence[Policy]) -> None:
    """With slashes in names, rules of two policies may have one name."""
    first: dict[str, Rule] = {}
    for rule in (rule for policy in policies for rule in policy.rules):
        earlier = first.setdefault(rule.name, rule)
        if earlier is not rule:
            problems.put(
                Problem(
                    file=rule.where.file,
                    line=rule.where.line,
                    column=1,
                    message=f'the rule "{shown(rule.name)}" has the name of the one at {earlier.where}',
                )
            )


def _check_places(reader: Reader, registries: Sequence[Placed[RegistrySpec]]) -> None:
    """One place under two names would let a rule for one name delete what a rule for the other keeps."""
    by_whole: dict[tuple[object, ...], list[tuple[Place, Placed[RegistrySpec]]]] = {}
    for placed in registries:
        place = place_of(placed.value)
        if place is None:
            continue
        known = by_whole.setdefault(place.whole, [])
        for other_place, other in known:
            if place.overlaps(other_place):
                reader.problems.add(
                    placed.node,
                    f'"{placed.value.name}" is the same place as "{other.value.name}" at {_at(other.node)}',
                    "one registry has one name",
                )
                break
        known.append((place, placed))


def _check_use(reader: Reader, use: RegistryUse, names: Collection[str], *, matches: bool) -> None:
    """A literal name that no registry has is a slip; behind a ``!`` it would let more go than was meant."""
    if not names:
        if use.covers:
            message = "registries: the files define no registry"
            reader.problems.add(use.node, message, "add registries: {name: {provider: …}}")
        return
    before = len(reader.problems)
    for pattern in use.patterns.patterns:
        text = pattern.text.removeprefix("!")
        if not _LITERAL.fullmatch(text) or text in names:
            continue
        near = reader.suggestion(text, names)
        message = f'registries: there is no registry "{shown(text)}"; there {_are(names)}'
        reader.problems.add(use.node, message, near)
    if use.covers and len(reader.problems) == before and not matches:
        reader.problems.add(use.node, f"registries: this matches no registry; there {_are(names)}")


def _are(names: Collection[str]) -> str:
    return f"{'is' if len(names) == 1 else 'are'} {shown(', '.join(names), 200)}"


def _at(node: Node) -> str:
    return f"{node.source.file}:{node.line}"
