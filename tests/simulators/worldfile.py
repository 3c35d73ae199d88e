"""A world written down in YAML, as policy tests write images, for simulators that are started by hand.

::

    repositories:
      team/app:
        - {tags: [1.0.0], created: 400d, labels: {team: a}}
        - {id: amd, created: 9d}                          # named, for others
        - {tags: [1.1.0], children: [amd], created: 9d}   # an index
        - {subject: 1.1.0}                                # a sigstore bundle
        - {signs: 1.1.0}                                  # cosign's tag scheme
        - {kind: chart, tags: [chart-1]}                  # or cache, schema1
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.simulators.world import World


def read_world(path: Path, world: World) -> None:
    """Push what the file says into the world."""
    document = yaml.load(path.read_text(), Loader=yaml.BaseLoader)  # noqa: S506  BaseLoader makes only texts
    for repository, images in document["repositories"].items():
        names: dict[str, str] = {}
        world.empty(repository)
        for image in images:
            digest = _push(world, repository, dict(image), names)
            for name in (image.get("id"), *image.get("tags", ())):
                names[name] = digest


def sample(world: World) -> None:
    """Something of everything."""
    for number in range(1, 8):
        world.push("services/api", tags=[f"1.{number}.0"], created=f"{8 - number}w")
        world.push("services/api", tags=[f"pr-{number}"], created=f"{number * 9}d")
    platforms = [world.push("services/web", created="20d"), world.push("services/web", created="20d")]
    index = world.push_index("services/web", children=platforms, tags=["2.0.0", "latest"], created="20d")
    world.sign("services/web", index)
    world.refer("services/web", index)
    world.cache("services/web")
    world.chart("charts/web", tags=["0.1.0"])


def _push(world: World, repository: str, image: dict[str, Any], names: Mapping[str, str]) -> str:
    image.pop("id", None)
    if "signs" in image:
        return world.sign(repository, names[image["signs"]])
    if "subject" in image:
        return world.refer(repository, names[image.pop("subject")], **image)
    if "children" in image:
        return world.push_index(repository, children=[names[each] for each in image.pop("children")], **image)
    push: Mapping[str, Callable[..., str]] = {
        "chart": world.chart,
        "cache": world.cache,
        "schema1": world.schema1,
        "image": world.push,
    }
    return push[image.pop("kind", "image")](repository, **image)
