"""Random registries that a simulator can serve, and random policies for them.

Everything that a run can get wrong comes up often: several tags of one image, shared, nested and missing
children, signatures by both schemes with and without their subject, equal times and times that are none.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from hypothesis import strategies as st

from tests.conformance.harness import Harness
from tests.laws.worlds import Chooser
from tests.simulators.world import AMD64, ARM64, World

Body = dict[str, Any]

_AGES = ["300d", "300d", "90d", "40d", "31d", "20d", "8d", "8d", "3d", "25h", "23h", "1h"]
_TAGS = [
    *("pr-1", "pr-2", "pr-3", "1.0.0", "1.0.1", "1.2.0", "v2.0.0", "2.0.0-rc.1"),
    *("main-abc1234", "main-def5678", "dev-abc1234", "sha-1", "sha-2", "stable", "latest"),
]
_NAMES = ("a", "team/app")


@dataclasses.dataclass(frozen=True)
class Case:
    """A world, policy files for it without their registries, and images in use (repository, tag or digest).

    ``locked``: images that can't be deleted, where the registry has such locks. ``faults``: what goes wrong.
    """

    world: World
    files: list[Body]
    used: list[str]
    locked: list[tuple[str, str]]
    faults: list[Body]

    def __repr__(self) -> str:
        said = [f"files={self.files}", f"used={self.used}", f"faults={self.faults}"]
        said += [f"locked {name} {digest[7:13]}" for name, digest in self.locked]
        for name, place in self.world.repositories.items():
            said.append(name)
            for held in place.manifests.values():
                links = [
                    f"{key} {', '.join(d[7:13] for d in found)}"
                    for key, found in (
                        ("holds", held.children),
                        ("of", [held.subject] if held.subject else []),
                    )
                    if found
                ]
                times = f"pushed {held.pushed_at} created {held.created_at} pulled {held.pulled_at}"
                tags = sorted(place.tags_of(held.digest))
                said.append(f"  {held.digest[7:13]} {held.type} {tags} {' '.join(links)} {times}")
        return "\n".join(said)

    @property
    def counts(self) -> bool:
        """Whether what goes hangs on what else is there: ranks, brakes, rations."""
        rules = [
            body
            for file in self.files
            for policy in file["policies"]
            for rule in policy["rules"]
            for body in rule.values()
        ]
        limits = {key: value for file in self.files for key, value in file["limits"].items()}
        ranked = any(_RANKS & body.keys() for body in rules)
        return ranked or limits["max_percent"] < 100 or "budget" in limits or limits["min_remaining"] > 0


_RANKS = {"newest", "beyond_newest", "within_size", "beyond_size", "one_per"}


@st.composite
def cases(draw: st.DrawFn, harness: Harness, *, faults: bool = False) -> Case:
    """One world of one or two repositories, and what is to be done in it."""
    choose = Chooser(draw)
    names = [harness.at(name) for name in choose.pick([_NAMES[:1], _NAMES])]
    world = World()
    for name in names:
        _fill(choose, harness, world, name)
    held = [(name, digest) for name in names for digest in world[name].manifests]
    return Case(
        world=world,
        files=[_file(choose, names)],
        used=[_used(choose, world, name) for name in choose.some(names, 1) if choose.rarely(2)],
        locked=choose.some(held, 1) if choose.rarely(2) else [],
        faults=_faults(choose, harness) if faults else [],
    )


# --- worlds -----------------------------------------------------------------------------------------------


def _fill(choose: Chooser, harness: Harness, world: World, name: str) -> None:
    """Put images of all kinds into one repository, and then tags on them."""
    world.empty(name)
    for _ in range(choose.pick([3, 4, 5, 6, 8])):
        kind = choose.pick(
            ["image", "image", "image", "index", "index", "nested", "referrer", "scheme", "lost"]
        )
        _KINDS[kind](choose, harness, world, name)
    held = list(world[name].manifests)
    for tag in choose.some(_TAGS, len(held) + 2, 1):
        world.retag(name, tag, choose.pick([*held, *held[-2:]]), at=choose.pick(_AGES))


def _times(choose: Chooser) -> Body:
    """When it was made, pushed and pulled; some don't say when they were made, or say something else."""
    pushed = choose.pick(_AGES)
    created = choose.pick([pushed, pushed, pushed, choose.pick(_AGES), None, "1970-01-01T00:00:00Z"])
    return {"created": created, "pushed": pushed, "pulled": choose.pick([None, None, "2d", "60d"])}


def _image(choose: Chooser, harness: Harness, world: World, name: str) -> None:  # noqa: ARG001 - as its siblings
    labels = choose.pick([None, {"keep": "yes"}, {"keep": "no"}])
    world.push(name, labels=labels, docker=choose.rarely(6), **_times(choose))


def _index(choose: Chooser, harness: Harness, world: World, name: str) -> None:
    there = [
        digest for digest, held in world[name].manifests.items() if not held.children and not held.subject
    ]
    children = choose.some(there, 2) if choose.rarely(2) else []
    times = _times(choose)
    for platform in (AMD64, ARM64)[: choose.pick([1, 2])]:
        children.append(world.push(name, platform=platform, **times))
    world.push_index(name, children=children, provenance=choose.rarely(4), **times)
    # A layout removes no blob while a manifest is missing of which these might be.
    if choose.rarely(6) and harness.provider != "oci-layout":
        world.forget(name, children[-1])


def _nested(choose: Chooser, harness: Harness, world: World, name: str) -> None:
    indexes = [digest for digest, held in world[name].manifests.items() if held.children]
    if not indexes:
        _index(choose, harness, world, name)
        return
    world.push_index(name, children=choose.some(indexes, 2, 1), **_times(choose))


def _referrer(choose: Chooser, harness: Harness, world: World, name: str) -> None:
    if not world[name].manifests:
        _image(choose, harness, world, name)
    subject = choose.pick(list(world[name].manifests))
    world.refer(name, subject, created=choose.pick(_AGES), fallback=not harness.referrers)


def _scheme(choose: Chooser, harness: Harness, world: World, name: str) -> None:
    if not world[name].manifests:
        _image(choose, harness, world, name)
    subject = choose.pick(list(world[name].manifests))
    choose.pick([world.sign, world.attest, world.sbom])(name, subject)


def _lost(choose: Chooser, harness: Harness, world: World, name: str) -> None:
    """Something that is signed, or attested, and then gone: an orphan is left."""
    subject = world.push(name, **_times(choose))
    if choose.rarely(2):
        world.sign(name, subject)
    else:
        world.refer(name, subject, created=choose.pick(_AGES), fallback=not harness.referrers)
    world.forget(name, subject)


_KINDS: Mapping[str, Callable[[Chooser, Harness, World, str], None]] = {
    "image": _image,
    "index": _index,
    "nested": _nested,
    "referrer": _referrer,
    "scheme": _scheme,
    "lost": _lost,
}


def _used(choose: Chooser, world: World, name: str) -> str:
    place = world[name]
    tags = [f"{name}:{tag}" for tag in sorted(place.tags)]
    return choose.pick([*tags, *(f"{name}@{digest}" for digest in place.manifests)])


# --- policies ---------------------------------------------------------------------------------------------

_TAG_LISTS: list[Any] = ["*", "*", "pr-*", ["pr-*", "sha-*"], "semver:*", ["*", "!semver:*"], "main-*"]
_GROUPED: Body = {"tags": ["re:(?P<branch>.+)-[0-9a-f]{7}"], "group_by": "branch"}
_MAJOR: Body = {"tags": ["semver:*"], "group_by": "major"}
_KEEPS: list[Body] = [
    {"tags": "semver:*"},
    {"tags": "semver:*", "newest": 1},
    {"tags": "*", "newest": 2},
    {"newer_than": "30d"},
    {"tags": "*", "one_per": {"month": 2}},
    {"pulled_within": "30d"},
    {"labels": {"keep": "yes"}},
    {"within_size": "1KiB"},
]
_DELETES: list[Body] = [
    {"all": True},
    {"older_than": "7d"},
    {"untagged": True},
    {"untagged": True, "older_than": "7d"},
    {"orphaned": True},
    {"tags": "*", "beyond_newest": 2},
    _GROUPED | {"beyond_newest": 1},
    _MAJOR | {"beyond_newest": 1},
    {"tags": "*", "order_by": "version", "beyond_newest": 1},
    {"not_pulled_for": "30d"},
    {"larger_than": "600B"},
    {"type": ["index"]},
    {"undated": True},
    {"before": "2026-05-10"},
]


def _rule(choose: Chooser) -> Body:
    if choose.rarely(3):
        return {"keep": choose.pick(_KEEPS)}
    if choose.rarely(3):
        body = {
            "tags": choose.pick(_TAG_LISTS),
            **choose.pick([{}, {"older_than": "7d"}, {"older_than": "1d"}]),
        }
    else:
        body = dict(choose.pick(_DELETES))
    body |= choose.pick([{}, {}, {}, {"untag": True}, {"any_tag": True}, {"archive": True}])
    if body.get("untag") and "tags" not in body:
        del body["untag"]
    return {"delete": body}


def _file(choose: Chooser, names: list[str]) -> Body:
    rules = [_rule(choose) for _ in range(choose.pick([1, 2, 3]))]
    rules.append({"delete": choose.pick([{"older_than": "2d"}, {"tags": "*"}, *_DELETES])})
    repositories = choose.pick(["**", "**", "**", [names[0]]])
    found: Body = {
        "version": 1,
        "policies": [{"name": "p", "registries": "*", "repositories": repositories, "rules": rules}],
        "limits": {
            "max_percent": choose.pick([100, 100, 100, 80]),
            "min_remaining": choose.pick([0, 0, 1, 2]),
            "grace": choose.pick(["24h", "24h", "0h", "10d"]),
        },
    }
    if choose.rarely(6):
        found["limits"]["budget"] = choose.pick([1, 2, 3])
    if choose.rarely(3):
        found["protect"] = {"tags": choose.pick([["stable"], ["!latest"], ["semver:>=1.2", "!latest"]])}
    return found


# --- faults -----------------------------------------------------------------------------------------------


def _faults(choose: Chooser, harness: Harness) -> list[Body]:
    """One to three, passing or lasting, anywhere; arguments of ``World.fault``."""
    faults = harness.faults
    if faults is None:
        return []
    places = [("kinds", place) for place in faults.listing]
    places += [("page_kinds", place) for place in faults.pages]
    places += [("tag_kinds", faults.tags)] * 3
    changing = [
        ("kinds", faults.deleting),
        ("lost_kinds", faults.deleting),
        ("undone_kinds", faults.deleting),
    ]
    places += [each for each in changing if getattr(faults, each[0])] * 3
    found = []
    for _ in range(choose.pick([1, 2, 3])):
        kinds, place = choose.pick(places)
        found.append(
            {
                "kind": choose.pick(getattr(faults, kinds)),
                "match": place,
                "after": choose.pick([0, 0, 1, 2, 4, 7]),
                "times": choose.pick([1, 2, 1_000_000]),
                "retry_after": choose.pick([None, "3"]),
            }
        )
    return found
