"""Pulls by the real skopeo: what it can't pull, nobody can."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from typing import Any


class PullError(Exception):
    """skopeo could not do it; in its own words."""


def pull_every_platform(host: str, repository: str, tag: str) -> int:
    """Pull the tag whole, then each platform that it names alone. -> how many these are."""
    source = f"docker://{host}/{repository}:{tag}"
    _pull(source, tag, everything=True)
    platforms = [each["platform"] for each in _raw(source).get("manifests", ())]
    for platform in platforms:
        _pull(source, tag, platform=platform)
    return len(platforms)


def tags_seen(host: str, repository: str) -> frozenset[str]:
    """The tags that skopeo lists."""
    listed = json.loads(_skopeo(["list-tags", "--tls-verify=false", f"docker://{host}/{repository}"]))
    return frozenset(listed["Tags"] or ())


def _pull(
    source: str, tag: str, *, everything: bool = False, platform: Mapping[str, str] | None = None
) -> None:
    """Copy into an empty layout."""
    words = {"os": "--override-os", "architecture": "--override-arch", "variant": "--override-variant"}
    chosen = [
        word
        for key, option in words.items()
        if platform and key in platform
        for word in (option, platform[key])
    ]
    with tempfile.TemporaryDirectory() as folder:
        whole = ["--all"] if everything else []
        _skopeo(["copy", "--src-tls-verify=false", *whole, source, f"oci:{folder}:{tag}"], chosen)


def _raw(source: str) -> Mapping[str, Any]:
    document: Mapping[str, Any] = json.loads(_skopeo(["inspect", "--raw", "--tls-verify=false", source]))
    return document


def _skopeo(command: Iterable[str], options: Iterable[str] = ()) -> str:
    line = ["skopeo", "--insecure-policy", *options, *command]
    done = subprocess.run(line, check=False, capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise PullError(f"{' '.join(line)}:\n{done.stderr}")
    return done.stdout
