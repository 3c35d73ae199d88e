"""What ``acr`` brings back, and what it tells of a registry before a run."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from janitor.core.report import OutcomeKind
from janitor.errors import Unsupported
from janitor.providers.acr.registry import Acr
from janitor.providers.interface import Finding, Keepsake, Level
from tests.providers.azure import deleted, image, opened
from tests.simulators.acr import CLASSIC, SOFT, AcrFlavour, AcrServer
from tests.simulators.acr_access import ALL_ACTIONS, AcrAccess
from tests.simulators.server import Answer, Request
from tests.simulators.world import World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def server(world: World) -> Iterator[AcrServer]:
    with AcrServer(world, SOFT) as serving:
        yield serving


@pytest.fixture
def registry(server: AcrServer) -> Iterator[Acr]:
    made = opened(server)
    yield made
    made.close()


def kept(registry: Acr, *digests: str) -> list[Keepsake]:
    images = [image(registry, digest) for digest in digests]
    keepsakes = registry.keepsakes("a", images)
    return [keepsakes[digest] for digest in digests]


def by_word(findings: Iterator[Finding]) -> dict[str, Finding]:
    """The gravest finding of each word."""
    order = [Level.OK, Level.NOTE, Level.WARNING, Level.ERROR]
    found: dict[str, Finding] = {}
    for finding in findings:
        before = found.get(finding.about)
        if before is None or order.index(before.level) < order.index(finding.level):
            found[finding.about] = finding
    return found


def looked(world: World, now: Any = None, **access: Any) -> dict[str, Finding]:
    rules = AcrAccess(**access)
    with AcrServer(world, AcrFlavour(name="looked-at", access=rules)) as server:
        context = {} if now is None else {"now": now}
        return by_word(opened(server, context=context).check())


def test_without_soft_delete_nothing_is_kept_for_undo(world: World) -> None:
    digest = world.push("a", tags=["1"])
    with AcrServer(world, CLASSIC) as server:
        made = opened(server)
        assert made.keepsakes("a", [image(made, digest)]) == {}
        with pytest.raises(Unsupported, match="soft delete"):
            list(made.restore("a", [Keepsake(digest=digest)]))


def test_who_may_not_see_what_was_deleted_keeps_what_another_can_bring_back(world: World) -> None:
    digest = world.push("a", tags=["1"])
    access = AcrAccess(actions=ALL_ACTIONS, catalogues=frozenset({"catalog"}))
    with AcrServer(world, AcrFlavour(name="blind", soft_delete=True, access=access)) as server:
        (keepsake,) = kept(opened(server), digest)
    assert keepsake == Keepsake(
        digest=digest, tags=("1",), media_type=world["a"].manifests[digest].media_type
    )


def test_whether_deletions_are_kept_is_asked_once(server: AcrServer, registry: Acr, world: World) -> None:
    digest = world.push("a", tags=["1"])
    for _ in range(3):
        kept(registry, digest)
    assert len(server.asked("GET", "/_deleted/_catalog")) == 1


def test_several_tags_come_back_one_by_one(server: AcrServer, registry: Acr, world: World) -> None:
    digest = world.push("a", tags=["1", "2", "3"])
    world.push("a", tags=["other"])
    keepsakes = kept(registry, digest)
    deleted(registry, image(registry, digest))
    (result,) = registry.restore("a", keepsakes)
    assert (result.outcome, result.detail) == (OutcomeKind.RESTORED, None)
    assert world["a"].tags_of(digest) == {"1", "2", "3"}
    assert len(server.asked("POST", "/_deleted/")) == 3
    assert all("force=False" in target for target in server.asked("POST", "/_deleted/"))


def test_a_referrer_comes_back_after_its_subject_whatever_the_order(registry: Acr, world: World) -> None:
    """The registry refuses it before."""
    subject = world.push("a", tags=["1"])
    referrer = world.refer("a", subject)
    keepsakes = kept(registry, referrer, subject)
    deleted(registry, image(registry, subject))
    assert not world["a"].manifests
    results = list(registry.restore("a", keepsakes))
    assert {result.outcome for result in results} == {OutcomeKind.RESTORED}
    assert set(world["a"].manifests) == {subject, referrer}


def test_what_is_kept_no_longer_fails_and_says_why(server: AcrServer, registry: Acr, world: World) -> None:
    digest = world.push("a", tags=["1"])
    world.push("a", tags=["2"])
    keepsakes = kept(registry, digest)
    deleted(registry, image(registry, digest))
    server.bin.clear()
    (result,) = registry.restore("a", keepsakes)
    assert result.outcome is OutcomeKind.FAILED
    assert "doesn't keep it" in (result.detail or "")


def test_tags_that_were_taken_off_come_back(registry: Acr, world: World) -> None:
    digest = world.push("a", tags=["1", "2", "3"])
    (keepsake,) = kept(registry, digest)
    registry.untag("a", image(registry, digest), ["1", "2"])
    (result,) = registry.restore("a", [keepsake])
    assert (result.outcome, result.detail) == (OutcomeKind.RESTORED, None)
    assert world["a"].tags_of(digest) == {"1", "2", "3"}


def test_a_bin_that_can_not_be_asked_for_keeps_no_deletion_from_its_work(registry: Acr, world: World) -> None:
    """The registry has all that undo takes; whether it has is seen then."""
    digest = world.push("a", tags=["1"])
    world.fault("error", times=1000, match="/_deleted/")
    assert kept(registry, digest)


def test_what_is_there_already_gets_its_tags_back(registry: Acr, world: World) -> None:
    digest = world.push("a", tags=["1"])
    (result,) = registry.restore("a", kept(registry, digest))
    assert result.outcome is OutcomeKind.RESTORED


def test_a_tag_that_does_not_come_back_is_told(world: World) -> None:
    class OneTag(AcrServer):
        """Forgets the rest of an image's tags with the first that it brings back."""

        def answer(self, request: Request) -> Answer:
            answer = super().answer(request)
            if request.method == "POST" and "/_deleted/" in request.path:
                self.bin.clear()
            return answer

    digest = world.push("a", tags=["1", "2"])
    world.push("a", tags=["3"])
    with OneTag(world, SOFT) as server:
        made = opened(server)
        keepsakes = kept(made, digest)
        deleted(made, image(made, digest))
        (result,) = made.restore("a", keepsakes)
    assert result.outcome is OutcomeKind.RESTORED
    assert "2 did not come back" in (result.detail or "")
    assert world["a"].tags_of(digest) == {"1"}


def test_a_restoration_whose_answer_is_lost_is_looked_up(registry: Acr, world: World) -> None:
    digest = world.push("a", tags=["1"])
    world.push("a", tags=["2"])
    keepsakes = kept(registry, digest)
    deleted(registry, image(registry, digest))
    world.fault("lost-answer", match="POST .*/_deleted/")
    (result,) = registry.restore("a", keepsakes)
    assert result.outcome is OutcomeKind.RESTORED
    assert world["a"].tags_of(digest) == {"1"}


def test_a_look_at_a_registry_where_all_is_well(world: World) -> None:
    world.push("a", tags=["1"])
    found = looked(world, now=None)
    levels = {about: finding.level for about, finding in found.items() if about != "clock"}
    assert levels == {
        "credentials": Level.OK,
        "reading": Level.OK,
        "deleting": Level.OK,
        "undo": Level.NOTE,
        "pulls": Level.NOTE,
        "replication": Level.NOTE,
    }
    assert "azure-identity" in found["credentials"].message
    assert "soft delete" in found["undo"].message


def test_a_look_changes_nothing(world: World) -> None:
    digest = world.push("a", tags=["1"])
    with AcrServer(world, SOFT) as server:
        list(opened(server).check())
        changing = [each for each in server.requests if each.method in {"DELETE", "PATCH", "PUT"}]
        assert changing == []
        assert not any("/_deleted/" in target for target in server.asked("POST"))
    assert world["a"].tags == {"1": digest}


def test_the_right_to_delete_is_told_by_a_token(world: World) -> None:
    world.push("a", tags=["1"])
    found = looked(world, actions=frozenset({"pull", "metadata_read"}))
    assert found["deleting"].level is Level.WARNING
    assert "AcrDelete" in found["deleting"].advice


def test_a_right_to_pull_alone_is_no_right_to_read(world: World) -> None:
    world.push("a", tags=["1"])
    found = looked(world, actions=frozenset({"pull"}))
    assert found["reading"].level is Level.ERROR
    assert "metadata_read" in found["reading"].message


def test_rights_by_repository_are_told(world: World) -> None:
    world.push("a", tags=["1"])
    found = looked(world, abac=True)
    assert found["credentials"].level is Level.NOTE
    assert "ABAC" in found["credentials"].message


def test_a_catalogue_without_its_role_is_told(world: World) -> None:
    world.push("a", tags=["1"])
    found = looked(world, abac=True, catalogues=frozenset())
    assert found["reading"].level is Level.ERROR
    assert "Catalog Lister" in found["reading"].message


def test_no_credentials_are_told(world: World) -> None:
    with AcrServer(world) as server:
        environ = {"AZURE_TOKEN_CREDENTIALS": "EnvironmentCredential"}
        found = by_word(opened(server, environ=environ).check())
    assert found["credentials"].level is Level.ERROR


@pytest.mark.parametrize("minutes", [-10, 10])
def test_a_clock_that_is_wrong_is_told(minutes: int) -> None:
    """Its answers are dated by the machine's own clock."""
    world = World()
    world.push("a", tags=["1"])
    found = looked(world, now=lambda: datetime.now(UTC) + timedelta(minutes=minutes))
    assert found["clock"].level is Level.WARNING
    assert ("ahead of" if minutes > 0 else "behind") in found["clock"].message


def test_a_clock_that_is_right_is_no_matter(world: World) -> None:
    world.push("a", tags=["1"])
    assert "clock" not in looked(world, now=lambda: datetime.now(UTC))


def test_an_empty_registry_is_told(world: World) -> None:
    assert looked(world)["reading"].level is Level.WARNING
