"""Small but nasty registries and policies, as plain data that an inventory file and a policy file can say.

Everything that makes plans go wrong comes up often: equal times, times that are none, tags that several rules
select, shared, nested, missing and tagged children, signatures by both schemes with and without their
subject, locks, archives, and limits that are reached.

Choices are made from one strategy of small numbers: a world takes hundreds of them, and the first option is
the one that a failing example shrinks to.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

from hypothesis import strategies as st

from tests.instant import NOW
from tests.laws.verdicts import Source

T = TypeVar("T")
Body = dict[str, Any]

IMAGE_MEDIA = "application/vnd.oci.image.manifest.v1+json"
INDEX_MEDIA = "application/vnd.oci.image.index.v1+json"


@dataclasses.dataclass(frozen=True)
class World:
    """All that a plan depends on."""

    files: list[Body]
    lines: list[Body]
    sources: list[Source]
    now: datetime = NOW


_NUMBER = st.integers(0, 719)


class Chooser:
    """Choices, one number each."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw

    def pick(self, options: Sequence[T]) -> T:
        return options[self._draw(_NUMBER) % len(options)]

    def some(self, options: Sequence[T], most: int, least: int = 0) -> list[T]:
        """Distinct ones, in an order of their own."""
        left = list(options)
        count = self.pick(range(least, min(most, len(left)) + 1))
        return [left.pop(self._draw(_NUMBER) % len(left)) for _ in range(count)]

    def rarely(self, one_in: int) -> bool:
        return self._draw(_NUMBER) % one_in == one_in - 1


# --- what registries hold ---------------------------------------------------------------------------------

_AGES = [
    "400d",
    *("0m", "1h", "23h", "24h", "25h", "2d", "3d", "7d", "8d", "8d", "9d"),
    *("30d", "31d", "90d", "91d", "200d", "400d", "730d"),
]
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def _ago(age: str) -> str:
    return (NOW - timedelta(**{_UNITS[age[-1]]: int(age[:-1])})).isoformat()


_USABLE = [_ago(age) for age in _AGES]
_ODD = [
    "1970-01-01T00:00:00Z",
    "1980-12-31T23:59:59Z",
    (NOW + timedelta(minutes=30)).isoformat(),
    (NOW + timedelta(hours=1)).isoformat(),
    (NOW + timedelta(days=9)).isoformat(),
]
_TAGS = [
    *("pr-1", "1.0.0", "v1.0.0", "1.0.1", "1.2.0", "2.0.0-rc.1", "2.0.0-rc.2", "2.0.0", "1.2", "2024-01-31"),
    *(
        "pr-2",
        "main-abc1234",
        "main-def5678",
        "dev-abc1234",
        "dev-0000000",
        "sha-1",
        "sha-2",
        "stable",
        "latest",
    ),
]
_SUFFIXES = {".sig": "signature", ".att": "attestation", ".sbom": "sbom", "": "index"}
_LABELS: list[Body | None] = [None, {}, {"keep": "yes"}, {"keep": "no", "team": "a"}]


def digest(number: int) -> str:
    """The digest of that number; those from 900 on are held nowhere."""
    return f"sha256:{number:064x}"


def _time(choose: Chooser) -> str:
    return choose.pick(_ODD if choose.rarely(8) else _USABLE)


def _image(choose: Chooser, number: int, earlier: list[int], *, pushes: bool | None) -> Body:
    """One image; its plain tags belong to the repository and come later."""
    others = [*earlier, 900, 901]
    line: Body = {"digest": digest(number), "tags": [], "type": "image", "children": []}
    kind = choose.pick(
        ["image", "image", "image", "index", "index", "index", "referrer", "referrer", "scheme"]
    )
    if kind == "index":
        line["type"] = "index"
        line["children"] = [digest(other) for other in choose.some(others, 3)]
    elif kind == "referrer":
        line["type"] = choose.pick(["signature", "sbom", "attestation", "artifact"])
        line["subject"] = digest(choose.pick(others))
    elif kind == "scheme":
        suffix = choose.pick(list(_SUFFIXES))
        line["type"] = _SUFFIXES[suffix]
        line["tags"] = [f"{digest(choose.pick(others)).replace(':', '-')}{suffix}"]
        if not suffix:
            line["children"] = [digest(other) for other in choose.some(others, 2)]
    line["media_type"] = INDEX_MEDIA if line["type"] == "index" else IMAGE_MEDIA
    if line["type"] in {"image", "index"} and choose.rarely(2):
        del line["type"]
    return line | _facts(choose, pushes=pushes)


def _facts(choose: Chooser, *, pushes: bool | None) -> Body:
    """What a registry may know of an image, or not."""
    facts: Body = {"size_bytes": choose.pick([300, 100, 300, 500, 1000, None])}
    if pushes is None:
        # Some are recorded, and not all of these are times.
        if choose.rarely(2):
            facts["pushed_at"] = None if choose.rarely(6) else _time(choose)
    elif pushes:
        facts["pushed_at"] = choose.pick(_USABLE)
    facts["created_at"] = None if choose.rarely(3) else _time(choose)
    if not choose.rarely(4):
        facts["pulled_at"] = None if choose.rarely(4) else choose.pick(_USABLE)
    if choose.rarely(8):
        facts["tagged_at"] = _time(choose)
    if choose.rarely(20):
        facts["locked"] = True
    if choose.rarely(12):
        facts["archived_at"] = choose.pick(_USABLE)
    if choose.rarely(12):
        facts["changed_at"] = choose.pick(_USABLE)
    if choose.rarely(2):
        facts["labels"] = choose.pick(_LABELS)
    return facts


def _repository(choose: Chooser, registry: str, name: str, *, plain: bool) -> list[Body]:
    """The lines of one repository. ``plain``: nothing is left unknown of the whole."""
    count = choose.pick([1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 14])
    numbers = choose.some(range(1, count + 1), count, count)
    pushes = choose.pick([True, True, False] if plain else [True, True, False, None])
    lines: list[Body] = []
    for at, number in enumerate(numbers):
        lines.append(_image(choose, number, numbers[:at], pushes=pushes))
    taken: set[str] = set()
    for line in lines:
        line["tags"] = [tag for tag in line["tags"] if tag not in taken]
        taken.update(line["tags"])
    for tag in choose.some(_TAGS, count + 2):
        choose.pick([*lines, *lines[-2:]])["tags"].append(tag)
    if not plain and choose.rarely(12):
        # An index that nobody could read: whatever is untagged may be its platform.
        del choose.pick(lines)["children"]
    return [{"registry": registry, "repository": name, **line} for line in lines]


# --- policies ---------------------------------------------------------------------------------------------

_TAG_LISTS: list[list[str] | str] = [
    *(["*"], "*", ["pr-*"], "pr-*", ["semver:*"], ["*", "!semver:*"], ["*", "!pr-*"]),
    *(["semver:>=1.0.1"], ["semver:^1", "sha-*"], ["semver:pre"], ["semver:>=2.0.0-0"], ["pr-*", "sha-?"]),
    *(["{main,dev}-*"], ["re:(main|dev)-[0-9a-f]{7}"], ["re:v?[0-9]+([.][0-9]+)*", "latest"], ["sha256-*"]),
]
_POSITIVE = ["*", "pr-*", "semver:*", "sha-[0-9]", "{main,dev}-*"]
_GROUPED: list[Body] = [
    {"tags": ["re:(?P<branch>.+)-[0-9a-f]{7}"], "group_by": "branch"},
    {"tags": ["re:(?P<branch>.+)-[0-9a-f]{7}", "*"], "group_by": "branch"},
    {"tags": ["re:(?P<branch>main)-.*", "re:(?P<branch>[a-z]+)-?.*"], "group_by": "branch"},
    {"tags": ["semver:*", "semver:pre"], "group_by": "minor"},
    {"tags": ["semver:*", "pr-*"], "group_by": "major"},
    {"tags_all": ["semver:*"], "group_by": "major"},
]
_DURATIONS = ["1h", "24h", "2d", "1w", "1w1d", "30d", "90d", "1y"]
_INSTANTS = ["2026-05-24", "2026-05-02", "2026-05-24T00:00:00Z", "2025-04-27"]
_SIZES = ["300B", "100B", "400B", "500B", "1KB", "1KiB"]
_COUNTS = [1, 1, 2, 3, 4]
_PERIODS = ["hour", "day", "week", "month", "year"]

_CONDITIONS: dict[str, dict[str, list[Any]]] = {
    "keep": {"newer_than": _DURATIONS, "after": _INSTANTS, "pulled_within": _DURATIONS},
    "delete": {
        "older_than": _DURATIONS,
        "before": _INSTANTS,
        "not_pulled_for": _DURATIONS,
        "larger_than": _SIZES,
    },
}
_COUNTING: dict[str, dict[str, Callable[[Chooser], Any]]] = {
    "keep": {
        "newest": lambda choose: choose.pick(_COUNTS),
        "within_size": lambda choose: choose.pick(_SIZES),
        "one_per": lambda choose: {period: choose.pick(_COUNTS) for period in choose.some(_PERIODS, 2, 1)},
    },
    "delete": {
        "beyond_newest": lambda choose: choose.pick(_COUNTS),
        "beyond_size": lambda choose: choose.pick(_SIZES),
    },
}
_IMAGE_SELECTORS: list[Body] = [
    *({}, {}, {}, {}, {}, {}),
    *({"orphaned": True}, {"undated": True}, {"undated": True}),
    *({"type": "image"}, {"type": ["index"]}, {"type": ["signature", "sbom"]}, {"type": ["artifact"]}),
    *({"labels": {"keep": "yes"}}, {"labels": {"keep": "n*"}}, {"labels": {"keep": "*", "team": "a"}}),
    *({"repositories": ["team/*"]}, {"repositories": ["other"]}, {"registries": ["prod"]}),
]
_OPTIONS: list[Body] = [{}, {}, {}, {"archive": True}, {"any_tag": True}, {"untag": True}, {"untag": True}]
# Narrow rules alone leave nearly everything: mostly one that takes much stands beside them.
_BROAD: list[Body] = [
    {"all": True},
    {"tags": "*", "older_than": "2d"},
    {"tags": "*", "beyond_newest": 1},
    {"older_than": "24h", "archive": True},
    {"tags": ["*", "!semver:*"], "any_tag": True},
    {"tags": ["*", "!semver:*"], "untag": True},
    {"undated": True, "any_tag": True},
    {"order_by": "version", "beyond_newest": 2},
    {"untagged": True},
    {"orphaned": True},
]


def _rule(choose: Chooser, side: str, *, without: Collection[str]) -> Body:
    """One rule that the language allows; ``without``: options that it doesn't take."""
    if side == "delete" and choose.rarely(10):
        return {side: {"archived": True, "archived_for": choose.pick(_DURATIONS)}}
    body: Body = {}
    counting = choose.rarely(2)
    if counting and choose.rarely(2):
        body |= choose.pick(_GROUPED)
    else:
        body |= _tag_selectors(choose)
    body |= choose.pick(_IMAGE_SELECTORS)
    if counting:
        for key in choose.some(sorted(_COUNTING[side]), 2, 1):
            body[key] = _COUNTING[side][key](choose)
        if choose.rarely(2):
            body["order_by"] = choose.pick(["time", "created", "pulled", "version"])
    for key in choose.some(sorted(_CONDITIONS[side]), 1):
        body[key] = choose.pick(_CONDITIONS[side][key])
    if not body:
        body["all"] = True
    if side == "delete":
        option = choose.pick(_OPTIONS)
        pointless = "untag" in option and not {"tags", "tags_all"} & body.keys()
        if not pointless and option.keys().isdisjoint(without):
            body |= option
    return {side: body}


def _tag_selectors(choose: Chooser) -> Body:
    kind = choose.pick(["none", "tags", "tags", "tags", "tags_all", "untagged"])
    if kind == "tags":
        return {"tags": choose.pick(_TAG_LISTS)}
    if kind == "tags_all":
        return {"tags_all": choose.some(_POSITIVE, 2, 1)}
    return {"untagged": True} if kind == "untagged" else {}


def _policy(choose: Chooser, name: str, *, without: Collection[str]) -> Body:
    sides = ["delete", "delete", "keep"]
    found: Body = {
        "name": name,
        "registries": choose.pick(["*", "*", ["prod"], ["*", "!mirror"]]),
        "repositories": choose.pick(["**", "**", ["team/*"], ["**", "!other"]]),
        "rules": [_rule(choose, choose.pick(sides), without=without) for _ in range(choose.pick([1, 2, 3]))],
    }
    if not choose.rarely(4):
        broad = choose.pick([body for body in _BROAD if body.keys().isdisjoint(without)])
        found["rules"].append({"delete": broad})
    if choose.rarely(2):
        found["timezone"] = "Europe/Berlin"
    return found


_LIMITS: dict[str, list[Any]] = {
    "grace": ["24h", "0h", "1h", "10d"],
    "min_remaining": [0, 1, 2, 3],
    "max_percent": [100, 100, 80, 50, 20, 0],
    "max_deletions": [6, 3, 1, 0],
    "budget": [4, 2, 1, 0],
}


def _limits(choose: Chooser, *, reached: bool) -> Body:
    found: Body = {} if reached else {"min_remaining": 0, "max_percent": 100}
    for key in choose.some(sorted(_LIMITS), 3) if reached else choose.some(["grace"], 1):
        found[key] = choose.pick(_LIMITS[key])
    return found


_NAMES = ["r.example/team/app", "r.example/other", "mirror.example:5000/acme/team/app", "elsewhere.example/x"]


def _reference(choose: Chooser) -> str:
    tag = f":{choose.pick([*_TAGS, 'absent'])}"
    named = f"@{digest(choose.pick([1, 2, 3, 4, 5, 900]))}"
    return choose.pick(_NAMES) + choose.pick([tag, tag, named, "", tag + named])


def _protect(choose: Chooser) -> Body:
    found: Body = {}
    if choose.rarely(2):
        lists = [["stable"], ["!latest"], ["semver:>=2", "!latest"], ["*", "!pr-*", "!1.*"], "v*"]
        found["tags"] = choose.pick(lists)
    if choose.rarely(2):
        found["images"] = [_reference(choose) for _ in range(choose.pick([1, 2]))]
    return found


def _files(choose: Chooser, *, limits: bool, without: Collection[str]) -> list[Body]:
    """One or two policy files; the first says which registries there are."""
    found: list[Body] = []
    for at in range(choose.pick([1, 1, 2])):
        names = [f"p{at}{number}" for number in range(choose.pick([1, 1, 2]))]
        file: Body = {
            "version": 1,
            "policies": [_policy(choose, name, without=without) for name in names],
            "limits": _limits(choose, reached=limits),
        }
        if choose.rarely(3):
            file["protect"] = _protect(choose)
        found.append(file)
    shared = {"provider": "inventory", "path": "inventory.jsonl", "allow_unused": choose.rarely(2)}
    found[0]["registries"] = {
        "prod": {**shared, "aliases": ["r.example"]},
        "mirror": {**shared, "aliases": ["mirror.example:5000/acme"]},
    }
    return found


def _sources(choose: Chooser) -> list[Source]:
    """What sources of use say; mostly there is none, or one that answers."""
    if not choose.rarely(3):
        return []
    found = []
    for _ in range(choose.pick([1, 1, 2])):
        named = tuple(_reference(choose) for _ in range(choose.pick([1, 2, 3])))
        answered = Source(references=named)
        odd = [Source(), Source(failed=True), Source(allow_empty=True)]
        found.append(choose.pick(odd) if choose.rarely(5) else answered)
    return found


_PLACES = (("prod", "team/app"), ("prod", "other"), ("mirror", "team/app"))


@st.composite
def worlds(
    draw: st.DrawFn, *, limits: bool = True, without: Collection[str] = (), plain: bool = False
) -> World:
    """A whole world.

    ``limits``: floor, brakes and ration are reached. ``without``: options that no rule takes. ``plain``: what
    is known of the images that stay doesn't hang on those that go.
    """
    choose = Chooser(draw)
    places = choose.pick([_PLACES[:1], _PLACES[:1], _PLACES[:2], _PLACES[::2], _PLACES])
    lines = [line for registry, name in places for line in _repository(choose, registry, name, plain=plain)]
    return World(_files(choose, limits=limits, without=without), lines, _sources(choose))


@st.composite
def rules(draw: st.DrawFn, side: str, *, without: Collection[str] = ()) -> Body:
    """One more rule of that side."""
    return _rule(Chooser(draw), side, without=without)
