"""What ``check`` finds out about Artifact Registry, without changing anything."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from janitor.errors import Denied
from janitor.providers.gar.checking import DELETING, LOOKING
from janitor.providers.gar.registry import Gar
from janitor.providers.interface import Finding, Level
from tests.providers.gars import opened
from tests.simulators.gar import GarServer, Settings
from tests.simulators.world import World


def world() -> World:
    made = World()
    made.push("all/a", tags=["1"])
    return made


def found(made: Gar, about: str) -> list[Finding]:
    return [finding for finding in made.check() if finding.about == about]


def real_now() -> datetime:
    return datetime.now(UTC)


def test_all_is_well_where_all_rights_are_there() -> None:
    with GarServer(world()) as server, opened(server, context={"now": real_now}) as made:
        findings = list(made.check())
        assert {finding.level for finding in findings} == {Level.OK, Level.NOTE}
        assert {finding.about for finding in findings if finding.level is Level.OK} == {
            "credentials",
            "clock",
            "reading",
            "deleting",
        }
        assert {call.method for call in server.calls} == {
            "ListRepositories",
            "ListDockerImages",
            "TestIamPermissions",
        }


def test_it_tells_which_rights_are_missing_and_what_to_grant() -> None:
    with GarServer(world()) as server, opened(server) as made:
        server.rights = frozenset(LOOKING)
        (finding,) = found(made, "deleting")
        assert finding.level is Level.WARNING
        assert all(right in finding.message for right in DELETING)
        assert "repoAdmin" in finding.advice
        (reading,) = found(made, "reading")
        assert reading.level is Level.OK


def test_a_right_to_read_manifests_that_is_missing_is_an_error() -> None:
    with GarServer(world()) as server, opened(server) as made:
        server.rights = frozenset({*LOOKING, *DELETING}) - {"artifactregistry.repositories.downloadArtifacts"}
        (finding,) = found(made, "reading")
        assert finding.level is Level.ERROR
        assert "downloadArtifacts" in finding.message


def test_what_can_not_be_listed_is_raised() -> None:
    with GarServer(world()) as server, opened(server) as made:
        server.rights = frozenset()
        with pytest.raises(Denied):
            list(made.check())


def test_it_names_immutable_tags_policies_and_modes() -> None:
    settings = {
        "all": Settings(immutable=True, cleans=True),
        "mirror": Settings(mode=3),
        "front": Settings(mode=2),
        "maven": Settings(format=2),
    }
    with GarServer(world(), settings=settings) as server, opened(server) as made:
        assert [finding.level for finding in found(made, "tags")] == [Level.WARNING]
        assert [finding.message.partition(" ")[0] for finding in found(made, "replication")] == [
            "front",
            "mirror",
        ]
        assert any("cleanup policies" in finding.message for finding in found(made, "deleting"))
        assert {request.resource.rpartition("/")[2] for request in server.asked("TestIamPermissions")} == {
            "all"
        }


def test_it_says_that_pulls_are_not_recorded_and_nothing_comes_back() -> None:
    with GarServer(world()) as server, opened(server) as made:
        assert [finding.level for finding in found(made, "pulls")] == [Level.NOTE]
        assert [finding.level for finding in found(made, "undo")] == [Level.NOTE]


@pytest.mark.parametrize(("hours", "word"), [(3, "ahead of"), (-3, "behind")])
def test_a_clock_that_is_off_is_told(hours: int, word: str) -> None:
    context = {"now": lambda: real_now() + timedelta(hours=hours)}
    with GarServer(world()) as server, opened(server, context=context) as made:
        (finding,) = found(made, "clock")
        assert finding.level is Level.WARNING
        assert word in finding.message


def test_a_location_without_repositories_is_told() -> None:
    with GarServer(World()) as server, opened(server) as made:
        (finding,) = found(made, "reading")
        assert finding.level is Level.WARNING
        assert "location" in finding.advice


def test_it_looks_at_what_the_policy_names_alone() -> None:
    made_world = world()
    made_world.push("other/a", tags=["1"])
    with GarServer(made_world) as server, opened(server, repository="other") as made:
        list(made.check())
        assert server.asked("ListRepositories") == []
        assert [request.resource.rpartition("/")[2] for request in server.asked("TestIamPermissions")] == [
            "other"
        ]
