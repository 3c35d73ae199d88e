"""pip gets what uv gets: requirements-dev.txt says what uv.lock says, hashes too."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def test_pip_installs_the_very_files_that_uv_installs() -> None:
    lock = tomllib.loads((ROOT / "uv.lock").read_text())
    locked = {
        (package["name"], package["version"]): {file["hash"] for file in _files(package)}
        for package in lock["package"]
        if "registry" in package["source"]
    }
    assert _required() == locked, "requirements-dev.txt is not in step with uv.lock: make requirements"


def _files(package: dict[str, Any]) -> list[dict[str, str]]:
    source = package.get("sdist")
    return [*package.get("wheels", []), *([source] if source else [])]


def _required() -> dict[tuple[str, str], set[str]]:
    text = (ROOT / "requirements-dev.txt").read_text().replace("\\\n", " ")
    pins = re.findall(r"^([a-z0-9-]+)==(\S+)(.*)$", text, re.MULTILINE)
    return {(name, version): set(re.findall(r"--hash=(\S+)", rest)) for name, version, rest in pins}
