"""Who asks ECR, how fast, through what; and what AWS's errors mean."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from janitor.errors import Denied, Malformed, Unreachable
from janitor.providers.interface import Level
from tests.conformance.ecr_stage import ENVIRON
from tests.conformance.stages import EVERYTHING
from tests.instant import NOW
from tests.providers.ecrs import ACCOUNT, APP, site
from tests.simulators.aws import Role
from tests.simulators.ecr import ROLE
from tests.simulators.world import World

ALWAYS = 1_000_000
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/janitor/registry-janitor"


def filled(images: int = 3) -> World:
    world = World()
    for n in range(images):
        world.push(APP, tags=[f"1.{n}"], created="30d")
    return world


def test_a_role_is_taken_on_with_its_external_id() -> None:
    role = Role(arn=ROLE, external_id="shared")
    with site(filled(), keys={"role_arn": ROLE, "external_id": "shared"}, roles=(role,)) as ecr:
        assert len(ecr.listed()) == 3
        assert ecr.server.door.taken_on == 1
        assert ecr.server.door.callers == {SESSION}


def test_a_role_is_taken_on_again_before_it_expires() -> None:
    role = Role(arn=ROLE, uses=1)
    with site(filled(6), keys={"role_arn": ROLE}, roles=(role,)) as ecr:
        assert len(ecr.listed()) == 6
        assert ecr.server.door.taken_on > 3


def test_a_role_that_can_not_be_taken_on_is_denied_by_name() -> None:
    with site(filled(), keys={"role_arn": ROLE, "external_id": "wrong"}, roles=(Role(arn=ROLE),)) as ecr:
        with pytest.raises(Denied, match="AssumeRole") as caught:
            ecr.listed()
        assert ROLE in caught.value.message


def test_without_credentials_the_message_says_what_to_do() -> None:
    environ = {"AWS_EC2_METADATA_DISABLED": "true"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        with site(filled(), environ=environ) as ecr:
            with pytest.raises(Denied, match="no AWS credentials were found; set AWS_PROFILE"):
                ecr.listed()
            with pytest.raises(Denied):
                list(ecr.registry.check())


def test_a_profile_that_is_not_there_is_denied_by_name() -> None:
    with (
        site(filled(), keys={"profile": "nobody"}) as ecr,
        pytest.raises(Denied, match="nobody"),
    ):
        ecr.listed()


def test_keys_that_aws_does_not_know_are_denied() -> None:
    with (
        site(filled(), environ={**ENVIRON, "AWS_ACCESS_KEY_ID": "AKIDOTHER"}) as ecr,
        pytest.raises(Denied, match="UnrecognizedClientException"),
    ):
        ecr.listed()


def test_a_signature_for_another_region_is_denied_and_no_token_gets_into_the_message() -> None:
    with site(filled(), keys={"region": "us-east-1"}) as ecr:
        with pytest.raises(Denied, match="clock") as caught:
            ecr.listed()
        assert "SECRET" not in caught.value.message


def test_an_expired_session_is_denied_at_once_and_says_what_to_do() -> None:
    with site(filled()) as ecr:
        ecr.world.fault("unauthorized", times=ALWAYS, match="DescribeImages")
        with pytest.raises(Denied, match="renew"):
            ecr.listed()
        assert len(ecr.server.asked_for("DescribeImages")) == 1


def test_a_right_that_is_missing_for_one_repository_is_an_error_of_that_one() -> None:
    world = filled()
    world.push("team/other", tags=["1"])
    with site(world) as ecr:
        ecr.server.denied.add("DescribeImages team/other")
        assert len(ecr.listed()) == 3
        with pytest.raises(Denied, match="ecr:DescribeImages"):
            ecr.listed(repository="team/other")


@pytest.mark.parametrize(("kind", "status"), [("throttle", 0), ("error", 500), ("error", 503), ("reset", 0)])
def test_each_attempt_is_the_callers_own(kind: str, status: int) -> None:
    with site(filled()) as ecr:
        ecr.world.fault(kind, status=status, match="DescribeImages", times=2)
        assert len(ecr.listed()) == 3
        traffic = ecr.registry.traffic()
    assert traffic.retries == 2
    assert traffic.requests.list == len(ecr.server.requests)


def test_a_throttle_makes_all_wait_though_aws_does_not_say_how_long() -> None:
    with site(filled()) as ecr:
        ecr.world.fault("throttle", match="DescribeImages")
        ecr.listed()
    assert sum(ecr.time.slept) >= 1


def test_a_quota_that_never_heals_is_not_asked_for_again() -> None:
    with site(filled()) as ecr:
        ecr.server.refused["DescribeImages"] = "LimitExceededException"
        with pytest.raises(Malformed, match="LimitExceeded"):
            ecr.listed()
        assert len(ecr.server.asked_for("DescribeImages")) == 1


def test_nobody_answering_is_unreachable() -> None:
    with (
        site(filled(), keys={"endpoint": "http://127.0.0.1:1"}) as ecr,
        pytest.raises(Unreachable, match="the repositories"),
    ):
        ecr.listed()


def test_ecr_is_asked_ten_times_a_second_unless_the_policy_says_otherwise() -> None:
    with site(filled(21), page=1) as ecr:
        ecr.listed()
        asked = len(ecr.server.requests)
    assert sum(ecr.time.slept) == pytest.approx((asked - 1) / 10, rel=0.01)


def test_the_limit_of_the_policy_holds_for_all_requests_together() -> None:
    world = World()
    children = [world.push(APP)]
    for n in range(3):
        world.push_index(APP, children=children, tags=[f"{n}"], created=f"{n + 1}d")
    with site(world, requests_per_second=2.0) as ecr:
        ecr.listed()
        asked = len(ecr.server.requests)
    assert sum(ecr.time.slept) == pytest.approx((asked - 1) / 2, rel=0.01)


def test_a_proxy_of_the_environment_is_gone_through_and_loopback_never() -> None:
    environ = {**ENVIRON, "HTTPS_PROXY": "http://127.0.0.1:1", "HTTP_PROXY": "http://127.0.0.1:1"}
    with site(filled(), environ=environ) as ecr:
        assert len(ecr.listed()) == 3
    with (
        site(filled(), environ=environ, keys={"endpoint": "http://ecr.example.com"}) as ecr,
        pytest.raises(Unreachable, match="proxy"),
    ):
        ecr.listed()
    excepted = {**environ, "NO_PROXY": "example.com"}
    with (
        site(filled(), environ=excepted, keys={"endpoint": "http://ecr.example.com"}) as ecr,
        pytest.raises(Unreachable) as caught,
    ):
        ecr.listed()
    assert "proxy" not in caught.value.message


def test_a_private_link_is_no_place_to_ask_for_roles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    keys = {"role_arn": ROLE, "endpoint": "https://127.0.0.1:1"}
    with site(filled(), roles=(Role(arn=ROLE),)) as emulator:
        environ = {**ENVIRON, "AWS_ENDPOINT_URL_STS": emulator.server.address}
        with site(filled(), environ=environ, keys=keys) as ecr, pytest.raises(Unreachable):
            ecr.listed()
        assert emulator.server.door.taken_on == 1


def test_a_check_says_who_asks_and_what_may_be_done() -> None:
    with site(filled(), now=lambda: datetime.now(UTC)) as ecr:
        findings = list(ecr.registry.check())
    assert {finding.level for finding in findings} <= {Level.OK, Level.NOTE}
    (credentials,) = (finding for finding in findings if finding.about == "credentials")
    assert credentials.message == f"arn:aws:iam::{ACCOUNT}:user/janitor, by boto3's env"
    rights = [finding.message for finding in findings if "the right" in finding.message]
    assert len(rights) == 4


def test_a_check_changes_nothing() -> None:
    world = filled()
    before = world.copy()
    with site(world) as ecr:
        list(ecr.registry.check())
        assert ecr.registry.traffic().requests.delete == 0
    assert world.repositories == before.repositories


@pytest.mark.parametrize(
    ("right", "about", "level"),
    [
        ("BatchDeleteImage", "deleting", Level.WARNING),
        ("UpdateImageStorageClass", "deleting", Level.NOTE),
        ("BatchGetImage", "reading", Level.ERROR),
        ("GetDownloadUrlForLayer", "reading", Level.WARNING),
        ("DescribeRegistry", "replication", Level.NOTE),
        ("ListPullTimeUpdateExclusions", "pulls", Level.NOTE),
    ],
)
def test_a_check_names_each_right_that_is_missing(right: str, about: str, level: Level) -> None:
    with site(filled()) as ecr:
        ecr.server.denied.add(right)
        (found,) = (finding for finding in ecr.findings(about) if finding.level is not Level.OK)
    assert found.level is level
    assert f"ecr:{right}" in found.advice


def test_a_check_names_the_way_onto_the_list_of_those_whose_pulls_do_not_count() -> None:
    with site(filled(), keys={"role_arn": ROLE}, roles=(Role(arn=ROLE),)) as ecr:
        (before,) = ecr.findings("pulls")
        # The list has the role with its path, the session without.
        ecr.server.excluded.add(ROLE)
        (after,) = ecr.findings("pulls")
    assert before.level is Level.NOTE
    assert "register-pull-time-update-exclusion --principal-arn" in before.advice
    assert after.level is Level.OK


def test_a_check_warns_of_deletions_that_are_replicated() -> None:
    place = {"region": "us-east-1", "registryId": "999999999999"}
    with site(filled()) as ecr:
        ecr.server.rules = [{"destinations": [place], "deleteReplication": {"enabled": True}}]
        (cascading,) = ecr.findings("replication")
        ecr.server.rules = [{"destinations": [place]}]
        (copied,) = ecr.findings("replication")
    assert (cascading.level, copied.level) == (Level.WARNING, Level.NOTE)
    assert "999999999999/us-east-1" in cascading.message
    assert "in_use" in cascading.advice


def test_a_check_notes_immutable_tags() -> None:
    with site(filled()) as ecr:
        assert ecr.findings("tags") == []
        ecr.server.mutability[APP] = "IMMUTABLE_WITH_EXCLUSION"
        (found,) = ecr.findings("tags")
    assert (found.level, APP in found.message) == (Level.NOTE, True)


@pytest.mark.parametrize(
    ("now", "level"), [(lambda: NOW, Level.WARNING), (lambda: datetime.now(UTC), Level.OK)]
)
def test_a_check_compares_the_clocks(now: Callable[[], datetime], level: Level) -> None:
    with site(filled(), now=now) as ecr:
        (found,) = ecr.findings("clock")
    assert found.level is level


def test_a_check_of_nothing_says_so() -> None:
    with site(World()) as ecr:
        (found,) = ecr.findings("reading")
    assert found.level is Level.WARNING


def test_a_check_without_sts_tells_the_rest() -> None:
    environ = {**ENVIRON, "AWS_ENDPOINT_URL_STS": "http://127.0.0.1:1"}
    with site(filled(), environ=environ) as ecr:
        (credentials,) = ecr.findings("credentials")
        assert credentials.level is Level.WARNING
        assert ecr.findings("reading")


def test_repositories_of_the_policy_are_not_looked_for() -> None:
    with site(filled(), repositories=(APP,)) as ecr:
        assert [unit.name for unit in ecr.registry.units(EVERYTHING)] == [APP]
        assert len(ecr.listed()) == 3
        assert ecr.server.asked_for("DescribeRepositories") == []
