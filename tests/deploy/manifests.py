"""What is deployed, as values: the files, what kustomize makes of them, and the pods in it."""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

Document = dict[str, Any]

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
CRONJOB = ROOT / "cronjob.yaml"
LIVE = "GOING LIVE"

# Every folder that `kubectl apply -k` takes; components take part in others.
FOLDERS = sorted(
    str(path.parent.relative_to(ROOT))
    for path in DEPLOY.rglob("kustomization.yaml")
    if path.parents[1].name != "components"
)
SHAPES = ("deploy/base", "deploy/overlays/sharded", "deploy/overlays/daemon")
COMPONENTS = sorted(path.parent.name for path in (DEPLOY / "components").glob("*/kustomization.yaml"))


def program(name: str) -> str:
    """The program that came with the environment, which is of a known version; else the machine's."""
    own = Path(sys.executable).with_name(name)
    found = str(own) if own.exists() else shutil.which(name)
    assert found is not None, f"{name} is not installed: uv sync"
    return found


@functools.cache
def rendered(folder: str) -> tuple[Document, ...]:
    """What `kubectl kustomize` makes of a folder below the root."""
    return render(ROOT / folder)


def render(folder: Path) -> tuple[Document, ...]:
    done = subprocess.run(
        [program("kubectl"), "kustomize", str(folder)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return tuple(yaml.safe_load_all(done.stdout))


@functools.cache
def read(path: Path) -> tuple[Document, ...]:
    return tuple(yaml.safe_load_all(path.read_text()))


def every() -> Iterator[tuple[str, Document]]:
    """Each document that somebody could apply, with where it stands; the same one only once."""
    seen: list[Document] = []
    sources = [(path.name, read(path)) for path in (CRONJOB, DEPLOY / "rbac" / "in-use.yaml")]
    for place, documents in [*sources, *((folder, rendered(folder)) for folder in FOLDERS)]:
        for document in documents:
            if document not in seen:
                seen.append(document)
                yield f"{place}:{document['kind']}/{document['metadata']['name']}", document


def pods(documents: Iterable[Document]) -> Iterator[Document]:
    """The templates of pods in what makes them."""
    for document in documents:
        if document["kind"] == "CronJob":
            yield document["spec"]["jobTemplate"]["spec"]["template"]
        elif document["kind"] in {"Deployment", "Job"}:
            yield document["spec"]["template"]


def containers(documents: Iterable[Document]) -> Iterator[Document]:
    for pod in pods(documents):
        yield from pod["spec"]["containers"]


def of_kind(documents: Iterable[Document], kind: str) -> list[Document]:
    return [document for document in documents if document["kind"] == kind]
