"""Policy tests: files in which a policy's author says what is to become of which images.

A case is one repository at one instant. Ages count back from ``now``; images are named by ``id`` so that
others can hold them (``children``) or refer to them (``subject``); a time or size that isn't said is unknown,
as with a registry that doesn't say. A file without a test, a name that nothing has, a tag on two images
and an expectation that nothing can meet are mistakes, told with their places like a policy's.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from janitor.core.image import Image, ImageType, Inventory
from janitor.core.manifest import type_of
from janitor.core.policy import PolicySet, RegistrySpec, Where
from janitor.core.reference import ImageReferenceError, Reference
from janitor.core.units import parse_duration, parse_time
from janitor.core.use import InUse, SourceReading
from janitor.errors import PolicyError
from janitor.policyfile.keys import Key
from janitor.policyfile.load import load, read_bytes, shown_path
from janitor.policyfile.nodes import ListNode, MapNode, Node, Problems, shown
from janitor.policyfile.reader import Block, Reader, what
from janitor.policyfile.registries import Kinds
from janitor.policyfile.source import read
from janitor.policyfile.testkeys import PROTECTIONS, TEST_CASE, TEST_FILE, TEST_IMAGE
from janitor.policyfile.values import read_values

# Of what "…/" in front of a reference in use stands for: it is no host of any registry.
ANY_HOST = "any-host.invalid"
_ANY_HOST_WRITTEN = ("…/", ".../")
_TIMES = ("pushed", "created", "pulled", "tagged", "archived")


class Expectation(msgspec.Struct, frozen=True, kw_only=True):
    """What a case says of one image. ``label`` is how people would call it; ``by`` and tags are optional."""

    label: str
    digest: str
    expect: str = "keep"
    by: str | None = None
    remove_tags: tuple[str, ...] | None = None
    where: Where


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One test: a repository, what is in use, and what should become of every image."""

    name: str
    where: Where
    policies: PolicySet
    registry: RegistrySpec
    now: datetime
    inventory: Inventory
    in_use: InUse
    expectations: tuple[Expectation, ...]


def load_cases(path: str | Path, environ: Mapping[str, str], kinds: Kinds) -> tuple[Case, ...]:
    """Read a file of policy tests and the policies that it names.

    Raises PolicyError with every problem of both. Variables that only a run needs may be unset.
    """
    file = str(path)
    problems = Problems()
    data = read_bytes(file, problems)
    root = None if data is None else read(shown_path(file), data, problems)
    cases: tuple[Case, ...] = ()
    if root is not None:
        reader = Reader(problems, environ, folder=os.path.dirname(file))  # noqa: PTH120 - a text
        cases = _cases(reader, root, environ, kinds)
    if problems:
        raise PolicyError(problems.sorted())
    return cases


def _cases(reader: Reader, root: Node, environ: Mapping[str, str], kinds: Kinds) -> tuple[Case, ...]:
    block = reader.block(root, TEST_FILE, "a file of policy tests")
    if block is None:
        return ()
    values = read_values(reader, block, TEST_FILE)
    policies = _policies(reader, values.get("policies", ()), environ, kinds)
    now = _instant(reader, block, TEST_FILE["now"], values)
    if policies is None or not isinstance(now, datetime) or "tests" not in block.nodes:
        return ()
    cases = []
    for node in reader.blocks(block.nodes["tests"], "tests"):
        case = _case(reader, node, policies, now)
        if case is not None:
            cases.append(case)
    return tuple(cases)


def _policies(
    reader: Reader, paths: Sequence[str], environ: Mapping[str, str], kinds: Kinds
) -> PolicySet | None:
    try:
        return load(paths, environ, kinds, unset="keep") if paths else None
    except PolicyError as error:
        for problem in error.problems:
            reader.problems.put(problem)
        return None


def _case(reader: Reader, node: Node, policies: PolicySet, now: datetime) -> Case | None:
    before = len(reader.problems)
    block = reader.block(node, TEST_CASE, "a test")
    if block is None:
        return None
    values = read_values(reader, block, TEST_CASE)
    registry = _registry(reader, block, values, policies)
    in_use = _in_use(reader, block, values)
    images = _Images(reader, policies, now)
    if "images" in block.nodes:
        images.read(reader.blocks(block.nodes["images"], "images"))
    if len(reader.problems) != before or registry is None:
        return None
    return Case(
        name=values["name"],
        where=_where(node),
        policies=policies,
        registry=registry,
        now=now,
        inventory=Inventory(
            registry=registry.name, repository=values["repository"], images=tuple(images.images)
        ),
        in_use=in_use,
        expectations=tuple(images.expectations),
    )


def _registry(
    reader: Reader, block: Block, values: Mapping[str, Any], policies: PolicySet
) -> RegistrySpec | None:
    name = values.get("registry")
    if name is not None:
        for spec in policies.registries:
            if spec.name == name:
                return spec
        names = [spec.name for spec in policies.registries]
        reader.wrong(
            block.nodes["registry"],
            TEST_CASE["registry"],
            f'there is no registry "{shown(name)}"; there are {", ".join(names)}',
            reader.suggestion(name, names),
        )
        return None
    if "registry" in block.nodes:
        return None
    repository = values.get("repository", "")
    covering = [policy for policy in policies.policies if policy.repositories.selects(repository)]
    for policy in (*covering, *policies.policies):
        for pattern in policy.registries.patterns:
            for spec in policies.registries:
                named = not pattern.negated and pattern.matches(spec.name)
                if named and policy.registries.selects(spec.name):
                    return spec
    if policies.registries:
        return policies.registries[0]
    reader.problems.add(block.node, "the policies define no registry")
    return None


def _in_use(reader: Reader, block: Block, values: Mapping[str, Any]) -> InUse:
    references = []
    for text in values.get("in_use", ()):
        whole = text
        for written in _ANY_HOST_WRITTEN:
            if text.startswith(written):
                whole = f"{ANY_HOST}/{text.removeprefix(written)}"
        try:
            references.append(Reference.parse(whole))
        except ImageReferenceError as error:
            message = str(error).replace(whole, text)
            reader.wrong(block.nodes["in_use"], TEST_CASE["in_use"], shown(message, 300))
    if not references:
        return InUse()
    return InUse(readings=(SourceReading(source="in_use", references=tuple(references)),))


class _Images:
    """Reads the images of one case; ids and tags are of one image each."""

    def __init__(self, reader: Reader, policies: PolicySet, now: datetime) -> None:
        self.images: list[Image] = []
        self.expectations: list[Expectation] = []
        self._reader = reader
        self._now = now
        self._rules = [rule.name for policy in policies.policies for rule in policy.rules]
        self._digests: dict[str, str] = {}

    def read(self, nodes: Iterable[Node]) -> None:
        read: list[tuple[Block, dict[str, Any]]] = []
        for place, node in enumerate(nodes, 1):
            block = self._reader.block(node, TEST_IMAGE, "an image of a test")
            if block is not None:
                read.append((block, self._values(block, place)))
        self._check_tags(read)
        for block, values in read:
            self._add(block, values)

    def _values(self, block: Block, place: int) -> dict[str, Any]:
        reader = self._reader
        # An empty list is a mistake in a policy; here it says that the image has none.
        empty = {key for key in ("tags", "children") if _is_empty_list(block.nodes.get(key))}
        nodes = {key: node for key, node in block.nodes.items() if key not in empty}
        values = read_values(reader, Block(block.node, block.label, nodes), TEST_IMAGE)
        for key in _TIMES:
            values[key] = _instant(reader, block, TEST_IMAGE[key], values, self._now)
        if "labels" in block.nodes:
            values["labels"] = _labels(reader, block.nodes["labels"])
        name = values.get("id", f"image {place}")
        values["digest"] = values.get("digest") or _digest(name)
        if values["digest"] in self._digests.values():
            reader.problems.add(block.node, f'two images of the test are called "{shown(name)}"')
        self._digests[name] = values["digest"]
        return values

    def _check_tags(self, read: Iterable[tuple[Block, dict[str, Any]]]) -> None:
        first: dict[str, int] = {}
        for block, values in read:
            for tag in values.get("tags", ()):
                if tag in first:
                    self._reader.wrong(
                        block.nodes["tags"],
                        TEST_IMAGE["tags"],
                        f'the tag "{shown(tag)}" is on another image already, in line {first[tag]}',
                    )
                first[tag] = block.node.line

    def _add(self, block: Block, values: dict[str, Any]) -> None:
        tags = tuple(values.get("tags", ()))
        children = self._named(block, "children", values.get("children", ()))
        subject = self._named(block, "subject", [values["subject"]] if "subject" in values else [])
        image = Image(
            digest=values["digest"],
            tags=tags,
            media_type=values.get("media_type"),
            artifact_type=values.get("artifact_type"),
            type=_type(values, tags, has_children=bool(children)),
            pushed_at=values["pushed"],
            created_at=values["created"],
            pulled_at=_pulled(block, values["pulled"]),
            size_bytes=values.get("size"),
            children=tuple(children),
            subject=subject[0] if subject else None,
            tagged_at=values["tagged"],
            locked=values.get("locked", False),
            archived_at=values["archived"],
            labels=values.get("labels", {}),
        )
        self.images.append(image)
        self._expect(block, values, tags)

    def _expect(self, block: Block, values: Mapping[str, Any], tags: Sequence[str]) -> None:
        by = values.get("by")
        if by is not None and by not in self._rules and by not in PROTECTIONS:
            hint = self._reader.suggestion(by, [*self._rules, *PROTECTIONS])
            self._reader.wrong(
                block.nodes["by"],
                TEST_IMAGE["by"],
                f'"{shown(by)}" is no rule of these policies',
                hint or f"protections are {', '.join(PROTECTIONS)}",
            )
        expect = values.get("expect", "keep")
        if "remove_tags" in values and expect != "untag":
            self._reader.wrong(
                block.nodes["remove_tags"],
                TEST_IMAGE["remove_tags"],
                "only an untag removes tags",
                "expect: untag",
            )
        self.expectations.append(
            Expectation(
                label=" ".join(tags) or values.get("id") or f"the untagged image in line {block.node.line}",
                digest=values["digest"],
                expect=expect,
                by=by,
                remove_tags=values.get("remove_tags"),
                where=_where(block.node),
            )
        )

    def _named(self, block: Block, key: str, names: Iterable[str]) -> list[str]:
        digests = []
        for name in names:
            if name.startswith("sha256:"):
                digests.append(name)
            elif name in self._digests:
                digests.append(self._digests[name])
            else:
                self._reader.wrong(
                    block.nodes[key],
                    TEST_IMAGE[key],
                    f'no image of the test has the id "{shown(name)}"',
                    self._reader.suggestion(name, self._digests),
                )
        return digests


def _instant(
    reader: Reader, block: Block, key: Key, values: Mapping[str, Any], now: datetime | None = None
) -> datetime | None:
    """A time; with ``now``, an age before it too. ``None``: nothing is said, or a problem was."""
    text = values.get(key.name)
    if text is None or (key.name == "pulled" and text == "never"):
        return None
    try:
        if now is not None and text[-1:].isalpha() and not text.endswith(("Z", "z")):
            return now - parse_duration(text)
        if len(text) == len("2026-01-31"):
            return datetime.fromisoformat(text).replace(tzinfo=UTC)
        return parse_time(text)
    except (ValueError, OverflowError) as error:
        hint = "an age is written 30d" if now is not None else ""
        node = block.nodes[key.name]
        reader.wrong(node, key, reader.told(ValueError(error), text, node), hint)
        return None


def _pulled(block: Block, pulled: datetime | None) -> datetime | UnsetType | None:
    return UNSET if "pulled" not in block.nodes else pulled


def _type(values: Mapping[str, Any], tags: Sequence[str], *, has_children: bool) -> ImageType | None:
    if "type" in values:
        return ImageType(values["type"])
    told = type_of(
        media_type=values.get("media_type"),
        artifact_type=values.get("artifact_type"),
        annotations=values.get("labels"),
        tags=tags,
    )
    if told in (None, ImageType.ARTIFACT) and not ({"media_type", "artifact_type"} & values.keys()):
        return ImageType.INDEX if has_children else ImageType.IMAGE
    return told


def _labels(reader: Reader, node: Node) -> dict[str, str]:
    key = TEST_IMAGE["labels"]
    if not isinstance(node, MapNode):
        reader.wrong(node, key, f"a mapping of labels to texts is wanted, not {what(node)}")
        return {}
    texts = {name.text: reader.item(value, key) for name, value in node.entries}
    return {name: text for name, text in texts.items() if text is not None}


def _is_empty_list(node: Node | None) -> bool:
    return isinstance(node, ListNode) and not node.items


def _digest(name: str) -> str:
    if name.startswith("sha256:"):
        return name
    return f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"


def _where(node: Node) -> Where:
    return Where(file=node.source.file, line=node.line)
