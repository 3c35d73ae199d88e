"""The image's file: what a linter finds, what it names, and wheels of the lock for both kinds of machine."""

from __future__ import annotations

import re
import subprocess
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from packaging.markers import Marker
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import parse_wheel_filename

import janitor
from tests.deploy.manifests import ROOT, program

FILE = ROOT / "Dockerfile"
TEXT = FILE.read_text()
ARGUMENTS = dict(re.findall(r"^ARG (\w+)=(\S+)$", TEXT, re.MULTILINE))
LOCKED: dict[str, dict[str, Any]] = {
    package["name"]: package for package in tomllib.loads((ROOT / "uv.lock").read_text())["package"]
}
GLIBC = 41  # of Debian 13: 2.41


def test_the_linter_finds_nothing() -> None:
    done = subprocess.run(
        [program("hadolint"), str(FILE)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_versions_are_those_of_the_project() -> None:
    assert ARGUMENTS["VERSION"] == janitor.__version__
    assert ARGUMENTS["UV"].rpartition(":")[2] == LOCKED["uv"]["version"]


def test_what_builds_and_what_runs_have_one_python() -> None:
    (built,) = re.findall(r"python:(\d+\.\d+)-slim-trixie$", ARGUMENTS["BUILDER"])
    assert built == "3.13"
    assert "python3-debian13" in ARGUMENTS["RUNTIME"], "which has Python 3.13"


def test_every_base_can_be_replaced() -> None:
    bases = re.findall(r"^FROM (\S+)", TEXT, re.MULTILINE)
    assert bases == ["${UV}", "${BUILDER}", "${RUNTIME}"]


def test_it_is_somebody_by_number_and_starts_without_a_shell() -> None:
    final = TEXT[TEXT.rindex("\nFROM ") :]
    assert re.findall(r"^USER (\S+)$", final, re.MULTILINE) == ["65532:65532"]
    assert re.findall(r"^(?:ENTRYPOINT|CMD) (.)", final, re.MULTILINE) == ["[", "["]
    assert "\nRUN " not in final


def test_nothing_of_the_checkout_gets_in_but_what_it_is_made_of() -> None:
    lines = [
        line
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    assert lines[0] == "*"
    allowed = {line.removeprefix("!") for line in lines if line.startswith("!")}
    copied = {
        source
        for arguments in re.findall(r"^COPY (?!--)(.+) \S+$", TEXT, re.MULTILINE)
        for source in arguments.split()
    }
    assert allowed == copied


def _closure(environment: dict[str, str]) -> set[str]:
    """The packages that the janitor needs where the environment is such, extras too."""
    found: set[tuple[str, str]] = set()
    waiting = [("registry-janitor", "")]
    while waiting:
        key = waiting.pop()
        if key in found:
            continue
        found.add(key)
        package = LOCKED[key[0]]
        wanted = (
            package.get("optional-dependencies", {}).get(key[1], [])
            if key[1]
            else package.get("dependencies", [])
        )
        for each in wanted:
            if "marker" in each and not Marker(each["marker"]).evaluate(environment):
                continue
            waiting.append((each["name"], ""))
            waiting.extend((each["name"], extra) for extra in each.get("extra", ()))
    return {name for name, _ in found} - {"registry-janitor"}


def _tags(machine: str) -> Iterator[Tag]:
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in range(GLIBC, 16, -1)]
    platforms += [f"manylinux2014_{machine}", f"linux_{machine}"]
    yield from cpython_tags((3, 13), platforms=platforms)
    yield from compatible_tags((3, 13), "cp313", platforms)


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_everything_has_a_wheel_for(machine: str) -> None:
    environment = {
        "sys_platform": "linux",
        "platform_system": "Linux",
        "os_name": "posix",
        "platform_machine": machine,
        "python_version": "3.13",
        "python_full_version": "3.13.5",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }
    taken = set(_tags(machine))
    needed = _closure(environment)
    assert {"boto3", "cryptography", "grpcio", "google-re2", "pyyaml"} <= needed
    missing = [
        name
        for name in sorted(needed)
        if not any(
            parse_wheel_filename(wheel["url"].rpartition("/")[2])[3] & taken
            for wheel in LOCKED[name].get("wheels", ())
        )
    ]
    assert missing == []
