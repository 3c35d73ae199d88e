"""What a look at GitHub finds, before a run is trusted with it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from janitor.providers.interface import Finding, Level
from tests.providers.ghcrs import opened
from tests.simulators.ghcr import APP, CLASSIC, OWNER, READER, WORKFLOW, Ghcr, Token
from tests.simulators.world import World


def look(
    granted: Token = CLASSIC, *, organisation: bool = True, quota: int = 5000, **how: Any
) -> list[Finding]:
    """What is found with this token; nothing is changed, and nothing downloaded."""
    world = World()
    for tag in ("1", "2"):
        world.push("a", tags=[tag])
    with Ghcr(world, token=granted, organisation=organisation, quota=quota) as server:
        held = dict(world["a"].manifests)
        found = list(opened(server, **how).check())
        assert world["a"].manifests == held
        assert not server.books.downloads
        assert {each.method for each in server.api.requests} == {"GET"}
    return found


def levels(found: list[Finding], about: str) -> set[Level]:
    return {finding.level for finding in found if finding.about == about}


def told(found: list[Finding], about: str) -> str:
    return "\n".join(f"{finding.message}; {finding.advice}" for finding in found if finding.about == about)


def test_a_classic_token_with_all_scopes_and_rights_has_nothing_to_be_told() -> None:
    found = look()
    assert {finding.level for finding in found} <= {Level.OK, Level.NOTE}
    assert "a classic token from the policy file" in told(found, "credentials")
    assert "delete:packages, read:packages, write:packages" in told(found, "credentials")
    assert "its 2 versions" in told(found, "reading")


def test_no_finding_holds_the_token() -> None:
    found = look()
    assert CLASSIC.value not in "".join(map(repr, found))


def test_the_environment_s_token_is_said_to_be_from_there() -> None:
    found = look(token=None, context={"environ": {"GITHUB_TOKEN": CLASSIC.value}})
    assert "from GITHUB_TOKEN" in told(found, "credentials")


def test_a_token_that_only_reads_is_an_error_for_deleting_and_a_note_for_undo() -> None:
    found = look(READER)
    assert Level.ERROR in levels(found, "deleting")
    assert levels(found, "undo") == {Level.NOTE}
    assert "delete:packages" in told(found, "deleting")
    assert "write:packages" in told(found, "undo")


def test_a_fine_grained_token_is_an_error() -> None:
    assert levels(look(Token(value="github_pat_1", scopes=None)), "credentials") == {Level.ERROR}


def test_the_token_of_a_workflow_must_be_told_the_packages() -> None:
    assert Level.ERROR in levels(look(WORKFLOW), "reading")
    found = look(WORKFLOW, spec={"repositories": ("a",)})
    assert Level.ERROR not in {finding.level for finding in found}
    assert "workflow" in told(found, "credentials")
    assert "Manage Actions access" in told(found, "deleting")


def test_an_app_that_the_registry_does_not_let_in_is_an_error() -> None:
    assert Level.ERROR in levels(look(msgspec.structs.replace(APP, lists=True)), "reading")


def test_of_another_user_only_what_is_public_is_seen() -> None:
    assert "public packages" in told(look(organisation=False), "reading")
    assert "public packages" not in told(look(Token(login=OWNER), organisation=False), "reading")


@pytest.mark.parametrize("ahead", [timedelta(minutes=20), timedelta(minutes=-20)])
def test_a_clock_that_is_off_is_told(ahead: timedelta) -> None:
    found = look(context={"now": lambda: datetime.now(UTC) + ahead})
    assert levels(found, "clock") == {Level.WARNING}
    assert ("ahead of" if ahead > timedelta() else "behind") in told(found, "clock")
    assert levels(look(), "clock") == {Level.OK}


def test_what_is_left_of_the_quota_is_told() -> None:
    assert "of 5,000 requests are left" in told(look(), "reading")
    assert Level.WARNING in levels(look(quota=60), "reading")


def test_a_wrong_token_and_single_sign_on_are_errors_with_advice() -> None:
    assert levels(look(token="ghp_other"), "credentials") == {Level.ERROR}
    found = look(msgspec.structs.replace(CLASSIC, sso="required"))
    assert "single sign-on" in told(found, "reading")
    assert Level.ERROR in levels(found, "reading")


def test_that_there_are_no_pulls_and_no_untagging_is_told() -> None:
    found = look()
    assert "not_pulled_for" in told(found, "pulls")
    assert "untag" in told(found, "tags")
    assert "5,000 downloads" in told(found, "deleting")
