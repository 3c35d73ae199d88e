"""A world written down in YAML, as policy tests write images, for simulators that are started by hand.

::

    repositories:
      team/app:
        - {tags: [1.0.0], created: 400d, labels: {team: a}}
        - {tags: [0.9.0], pushed: 20d, pulled: 3d}        # made when pushed; unless said, never pulled
        - {id: amd, created: 9d}                          # named, for others
        - {tags: [1.1.0], children: [amd]}                # an index, as old as the youngest in it
        - {subject: 1.1.0}                                # a sigstore bundle, as old as its subject
        - {signs: 1.1.0}                                  # cosign's tag scheme
        - {kind: chart, tags: [chart-1]}                  # or cache, schema1
        - {tags: [base], pushed: 2y, locked: true}        # can't be deleted
        - {tags: [0.1.0], pushed: 2y, archived: 100d}     # in the archive class since then
      team/empty: []

Times are ages before the moment of the start, or RFC 3339. ``pushed`` and ``created`` are taken for one
another where only one is said; where neither is, an image is 100 days old. ``pulled`` is told by ecr and
dockerhub, ``archived`` by ecr. ``locked`` is what each registry has of the kind: at acr the image's switch,
at dockerhub the tags are immutable, at ghcr a public version of too many downloads, at gar the tags of all of
its repository are immutable; others have none. Labels are of an image alone, as ``docker: true`` is (media
types of Docker), which an index takes too; an index takes ``provenance: true``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import yaml

from tests.simulators.world import World

_USUAL_AGE = "100d"
_WORDS = {"true": True, "false": False}
_SWITCHES = frozenset({"docker", "fallback", "locked", "names_its_type", "provenance", "signed"})


class Unreadable(Exception):
    """The file is no world; the message says where."""


def read_world(path: Path, world: World) -> None:
    """Push what the file says into the world; raises Unreadable."""
    try:
        document = yaml.load(path.read_text(), Loader=yaml.BaseLoader)  # noqa: S506  BaseLoader makes only texts
        repositories = dict(document["repositories"])
    except (yaml.YAMLError, KeyError, TypeError, ValueError) as exc:
        raise Unreadable(f"expected `repositories:` of lists of images ({exc})") from exc
    for repository, images in repositories.items():
        names: dict[str, str] = {}
        world.empty(repository)
        for number, image in enumerate(images or (), 1):
            try:
                digest = _put(world, repository, dict(image), names)
            except (KeyError, TypeError, ValueError) as exc:
                raise Unreadable(f"{repository}, image {number}: {exc}") from exc
            names |= dict.fromkeys([*image.get("tags", ()), *filter(None, [image.get("id")])], digest)


def sample(world: World) -> None:
    """Something of everything."""
    for number in range(1, 8):
        world.push("services/api", tags=[f"1.{number}.0"], created=f"{8 - number}w", pulled="5d")
        world.push("services/api", tags=[f"pr-{number}"], created=f"{number * 9}d")
    platforms = [world.push("services/web", created="20d"), world.push("services/web", created="20d")]
    index = world.push_index("services/web", children=platforms, tags=["2.0.0", "latest"], created="20d")
    signature = world.sign("services/web", index)
    # It says nothing of when it was made, but a registry knows when it came.
    _date(world, "services/web", signature, world.moment("20d"))
    world.refer("services/web", index, created="20d")
    world.cache("services/web")
    world.chart("charts/web", tags=["0.1.0"])


def _put(world: World, repository: str, image: dict[str, Any], names: Mapping[str, str]) -> str:
    """Push one image, and let the registry know of it what is said beside its content. -> its digest."""
    image.pop("id", None)
    image |= {key: _WORDS[image[key]] for key in _SWITCHES & image.keys()}
    known = {key: image.pop(key, None) for key in ("pushed", "pulled", "locked", "archived")}
    moment = world.moment(known["pushed"] or image.get("created")) or _usual(world, repository, image, names)
    digest = _push(world, repository, image, names, moment)
    place = world[repository]
    for each in [digest, *(each for each, held in place.manifests.items() if held.pushed_at is None)]:
        _date(world, repository, each, moment)
    if known["pulled"] not in {None, "never"}:
        pulled = world.moment(known["pulled"])
        place.manifests[digest] = msgspec.structs.replace(place.manifests[digest], pulled_at=pulled)
    if known["locked"]:
        place.locked.add(digest)
    archived = world.moment(known["archived"])
    if archived is not None:
        place.archived[digest] = archived
    return digest


def _push(
    world: World, repository: str, image: dict[str, Any], names: Mapping[str, str], moment: datetime
) -> str:
    if "signs" in image:
        return world.sign(repository, names[image["signs"]])
    if "children" in image:
        return world.push_index(repository, children=[names[each] for each in image.pop("children")], **image)
    kind = image.pop("kind", "image")
    if kind == "cache":
        return world.cache(repository, **image)
    image.setdefault("created", moment)
    if "subject" in image:
        return world.refer(repository, names[image.pop("subject")], **image)
    push: Mapping[str, Callable[..., str]] = {
        "chart": world.chart,
        "schema1": world.schema1,
        "image": world.push,
    }
    return push[kind](repository, **image)


def _usual(world: World, repository: str, image: Mapping[str, Any], names: Mapping[str, str]) -> datetime:
    """When it came, where it isn't said: with what it is of, or some time ago."""
    of = [*image.get("children", ()), *(image[key] for key in ("subject", "signs") if key in image)]
    pushed = [world[repository].manifests[names[each]].pushed_at for each in of]
    return max(filter(None, pushed), default=None) or world.moment(_USUAL_AGE) or world.now


def _date(world: World, repository: str, digest: str, moment: datetime | None) -> None:
    """It and its tags came at this moment."""
    place = world[repository]
    place.manifests[digest] = msgspec.structs.replace(place.manifests[digest], pushed_at=moment)
    for tag in place.tags_of(digest):
        world.retag(repository, tag, digest, at=moment)
