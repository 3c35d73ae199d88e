"""What a look at Docker Hub finds, without changing anything."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from janitor.providers.interface import Finding, Level
from tests.providers.hubs import opened, staged
from tests.simulators.dockerhub import PERSONAL, TEAM, HubServer, Plan
from tests.simulators.world import World


def look(plan: Plan = TEAM, world: World | None = None, **late: float) -> list[Finding]:
    if world is None:
        world = World()
        world.push("app", tags=["1"])
        world.push("web", tags=["1"])
    with staged(world, plan) as stage:
        stage.server.hub.late = timedelta(**late)
        found = list(stage.registry.check())
        assert {request.method for request in stage.server.requests} <= {"GET", "HEAD", "POST"}
        assert stage.server.registry.pulls == []
        return found


def of(findings: list[Finding], about: str, level: Level) -> list[str]:
    return [
        f"{each.message} {each.advice}" for each in findings if (each.about, each.level) == (about, level)
    ]


def changed(**fields: Any) -> Plan:
    return msgspec.structs.replace(TEAM, **fields)


def test_where_all_is_well_nothing_warns() -> None:
    found = look()
    assert {each.level for each in found} == {Level.OK, Level.NOTE}
    assert of(found, "credentials", Level.OK) == [
        "logged in as robot with the personal access token from the policy file "
    ]
    assert of(found, "reading", Level.OK) == ["2 repositories of acme can be listed "]
    assert len(of(found, "deleting", Level.OK)) == 2
    assert {each.about for each in found} == {
        "credentials",
        "reading",
        "deleting",
        "pulls",
        "tags",
        "undo",
        "clock",
    }


def test_credentials_that_are_missing_or_refused_end_the_look() -> None:
    wrong: tuple[dict[str, Any], ...] = ({}, {"username": "me", "token": "dckr_pat_wrong"})
    with HubServer(World()) as server:
        for keys in wrong:
            (found,) = opened(endpoint=server.address, **keys).check()
            assert (found.about, found.level) == ("credentials", Level.ERROR)
            assert found.advice
            assert "dckr_pat_wrong" not in found.message


@pytest.mark.parametrize(
    ("secret", "warning"),
    [("hunter2", "a password may do everything"), ("dckr_oat_x", "isn't documented")],
)
def test_secrets_with_traps_are_told(secret: str, warning: str) -> None:
    (told,) = of(look(changed(secret=secret)), "credentials", Level.WARNING)
    assert warning in told


def test_a_token_without_the_right_to_delete_is_found_out_without_deleting() -> None:
    (told,) = of(look(changed(rights=frozenset({"read", "write"}))), "deleting", Level.ERROR)
    assert "may not delete in acme/app: it is granted pull" in told
    assert "Read, Write, Delete" in told


@pytest.mark.parametrize(
    ("rights", "level"), [({"read", "write", "delete"}, Level.WARNING), ({"read", "delete"}, Level.ERROR)]
)
def test_a_user_who_is_no_admin_is_told(rights: set[str], level: Level) -> None:
    (told,) = of(look(changed(admin=False, rights=frozenset(rights))), "deleting", level)
    assert "no admin of acme/app" in told


@pytest.mark.parametrize(("rules", "which"), [((), "all"), (("^v",), "^v")])
def test_immutable_tags_are_told(rules: tuple[str, ...], which: str) -> None:
    told = of(look(changed(immutable=rules)), "tags", Level.WARNING)
    assert [f"({which})" in each for each in told] == [True, True]


def test_what_is_left_of_limits_is_told() -> None:
    found = look(PERSONAL)
    assert any("of 600 requests" in each for each in of(found, "reading", Level.NOTE))
    assert any("200 of 200 pulls are left" in each for each in of(found, "pulls", Level.NOTE))
    assert of(look(), "pulls", Level.OK) == ["no pull limit is announced "]


def test_that_untagged_images_are_in_no_list_is_told() -> None:
    assert any("untagged images are in no list" in each for each in of(look(), "tags", Level.NOTE))


@pytest.mark.parametrize(("minutes", "side"), [(-30, "30 minutes ahead of"), (45, "45 minutes behind")])
def test_a_clock_that_is_wrong_is_told(minutes: int, side: str) -> None:
    (told,) = of(look(minutes=minutes), "clock", Level.WARNING)
    assert side in told


def test_an_empty_namespace_is_told() -> None:
    (told,) = of(look(world=World()), "reading", Level.WARNING)
    assert "no repository that this account may see" in told


def test_named_repositories_that_are_not_there_are_told() -> None:
    world = World()
    world.push("app", tags=["1"])
    with staged(world) as stage:
        registry = opened(
            spec={"repositories": ("app", "ap")},
            endpoint=stage.server.address,
            registry_endpoint=stage.server.registry_address,
            username=TEAM.user,
            token=TEAM.secret,
        )
        found = list(registry.check())
    assert of(found, "reading", Level.WARNING) == ["acme/ap isn't there, or may not be seen "]


def test_what_can_not_be_read_is_told_and_the_rest_too() -> None:
    world = World()
    world.push("app", tags=["1"])
    with staged(world) as stage:
        world.fault("error", times=1000, match="repositories/app")
        found = list(stage.registry.check())
    assert len(of(found, "reading", Level.ERROR)) == 1
    assert of(found, "undo", Level.NOTE)
