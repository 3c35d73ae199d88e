"""ECR is listed whole, or not at all; and what it doesn't say is unknown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from msgspec import UNSET

from janitor.core.image import ImageType
from janitor.core.units import parse_duration
from janitor.errors import Malformed, RegistryError
from janitor.providers.interface import Field
from tests.conformance.stages import EVERYTHING, Memory
from tests.instant import NOW
from tests.providers.ecrs import ACCOUNT, APP, site
from tests.simulators.aws import Role
from tests.simulators.ecr import ACTIVATION, ROLE
from tests.simulators.world import ARM64, World

ALWAYS = 1_000_000


def filled(images: int = 3) -> World:
    world = World()
    for n in range(images):
        world.push(APP, tags=[f"1.{n}"], created="30d")
    return world


def with_index(world: World, pulled: str | None = None) -> tuple[str, list[str]]:
    children = [world.push(APP, created="50d"), world.push(APP, created="50d", platform=ARM64)]
    return world.push_index(APP, children=children, tags=["2.0"], pulled=pulled), children


@pytest.mark.parametrize("kind", ["cut", "cut-json"])
def test_half_a_page_is_no_shorter_repository(kind: str) -> None:
    with site(filled()) as ecr:
        ecr.world.fault(kind, times=ALWAYS, match="DescribeImages")
        with pytest.raises(Malformed):
            ecr.listed()


@pytest.mark.parametrize("body", [b"{}", b"[]", b"", b"<html>proxy</html>", b'{"imageDetails": null}'])
def test_a_good_answer_without_images_in_it_is_no_empty_repository(body: bytes) -> None:
    with site(filled()) as ecr:
        ecr.server.said["DescribeImages"] = body
        with pytest.raises(Malformed, match=APP):
            ecr.listed()


@pytest.mark.parametrize("body", [b"{}", b"[]", b"", b'{"repositories": null}'])
def test_a_good_answer_without_repositories_in_it_is_no_empty_registry(body: bytes) -> None:
    with site(filled()) as ecr:
        ecr.server.said["DescribeRepositories"] = body
        with pytest.raises(Malformed, match="repositories"):
            list(ecr.registry.units(EVERYTHING))


def test_pages_are_asked_for_by_the_thousand() -> None:
    with site(filled()) as ecr:
        ecr.listed()
        assert {asked["maxResults"] for asked in ecr.server.asked_for("DescribeImages")} == {1000}


def test_a_full_last_page_is_the_last() -> None:
    with site(filled(4), page=2) as ecr:
        assert len(ecr.listed()) == 4
        assert len(ecr.server.asked_for("DescribeImages")) == 2


def test_an_empty_page_with_a_token_is_gone_past_and_an_empty_token_ends_a_list() -> None:
    with site(filled(5)) as ecr:
        ecr.server.pages.empty = True
        assert len(ecr.listed()) == 5


def test_empty_pages_without_end_are_an_error() -> None:
    with site(filled()) as ecr:
        ecr.server.said["DescribeImages"] = b'{"imageDetails": [], "nextToken": "%d"}'
        with pytest.raises(Malformed, match="never end"):
            ecr.listed()
        assert len(ecr.server.requests) < 120


def test_tokens_that_come_round_are_an_error() -> None:
    with site(filled(), page=1) as ecr:
        ecr.server.pages.rounds = 2
        with pytest.raises(Malformed):
            ecr.listed()
        assert len(ecr.server.requests) < 20


def test_a_list_whose_token_expired_is_read_from_its_beginning() -> None:
    with site(filled(5)) as ecr:
        ecr.server.pages.forgets = 1
        assert len(ecr.listed()) == 5


def test_tokens_that_always_expire_are_an_error() -> None:
    with site(filled(5)) as ecr:
        ecr.server.pages.forgets = ALWAYS
        with pytest.raises(Malformed, match="times"):
            ecr.listed()


def test_an_image_on_two_pages_is_one_image() -> None:
    with site(filled(5)) as ecr:
        ecr.server.pages.overlaps = True
        assert len(ecr.listed()) == 5


def test_archived_images_are_listed_as_such_with_their_tags() -> None:
    world = filled()
    digest = world[APP].tags["1.1"]
    world[APP].archived[digest] = NOW - timedelta(days=40)
    with site(world) as ecr:
        image = ecr.listed()[digest]
    assert (image.tags, image.archived_at) == (("1.1",), NOW - timedelta(days=40))


def test_who_was_archived_nobody_knows_when_is_archived_still() -> None:
    world = filled()
    digest = world[APP].tags["1.1"]
    world[APP].archived[digest] = NOW
    with site(world) as ecr:
        ecr.server.mute.add("lastArchivedAt")
        image = ecr.listed()[digest]
    assert image.archived_at is not None
    assert image.archived_at < datetime(1981, 1, 1, tzinfo=UTC)


def test_what_came_back_from_the_archive_arrived_then() -> None:
    world = filled()
    digest = world[APP].tags["1.1"]
    with site(world) as ecr:
        ecr.server.activating[APP, digest] = NOW - timedelta(days=2)
        image = ecr.listed()[digest]
    assert image.pushed_at == NOW - timedelta(days=2) + ACTIVATION
    assert image.archived_at is None


def test_what_is_on_its_way_back_arrives_now() -> None:
    world = filled()
    digest = world[APP].tags["1.1"]
    with site(world) as ecr:
        ecr.server.activating[APP, digest] = NOW
        image = ecr.listed()[digest]
    assert (image.pushed_at, image.archived_at) == (NOW, None)


def test_an_image_of_a_status_that_nobody_knows_is_locked() -> None:
    world = filled(1)
    with site(world) as ecr:
        ecr.server.statuses["ACTIVE"] = "FROZEN"
        (image,) = ecr.listed().values()
    assert image.locked


def test_an_absent_time_of_a_pull_says_never() -> None:
    world = World()
    never = world.push(APP, tags=["1"])
    once = world.push(APP, tags=["2"], pulled="9d")
    with site(world) as ecr:
        listed = ecr.listed()
    assert (listed[never].pulled_at, listed[once].pulled_at) == (None, NOW - parse_duration("9d"))


def test_a_tag_does_not_renew_the_push_and_has_no_time() -> None:
    world = World()
    digest = world.push(APP, tags=["1"], created="90d")
    world.retag(APP, "stable", digest, at="1d")
    with site(world) as ecr:
        image = ecr.listed()[digest]
    assert (image.pushed_at, image.tagged_at) == (NOW - parse_duration("90d"), None)


def test_times_are_aware_and_exact_to_the_fraction() -> None:
    world = World()
    digest = world.push(APP, pushed=NOW - timedelta(milliseconds=1500))
    with site(world) as ecr:
        assert ecr.listed()[digest].pushed_at == NOW - timedelta(milliseconds=1500)


def test_the_largest_platform_is_not_taken_for_the_size_of_an_index() -> None:
    world = World()
    index, children = with_index(world)
    with site(world) as ecr:
        listed = ecr.listed()
    assert listed[index].size_bytes is None
    assert all(listed[child].size_bytes for child in children)


def test_children_are_read_of_indexes_alone() -> None:
    world = filled(5)
    index, children = with_index(world)
    with site(world) as ecr:
        assert ecr.listed()[index].children == tuple(children)
        read = [each for asked in ecr.server.asked_for("BatchGetImage") for each in asked["imageIds"]]
    assert read == [{"imageDigest": index}]


def test_indexes_are_read_in_batches_that_accept_every_type() -> None:
    world = World()
    child = world.push(APP)
    for n in range(30):
        world.push_index(APP, children=[child], tags=[f"{n}"], created=f"{n + 1}d", docker=bool(n % 2))
    with site(world, page=100) as ecr:
        listed = ecr.listed()
        asked = ecr.server.asked_for("BatchGetImage")
    assert [len(each["imageIds"]) for each in asked] == [25, 5]
    assert all(len(each["acceptedMediaTypes"]) == 6 for each in asked)
    assert all(image.children == (child,) for image in listed.values() if image.tags)


def test_an_index_of_many_tags_is_one_image() -> None:
    world = World()
    index, children = with_index(world)
    for tag in ("2", "latest"):
        world.retag(APP, tag, index)
    with site(world) as ecr:
        image = ecr.listed()[index]
    assert (set(image.tags), image.children) == ({"2", "2.0", "latest"}, tuple(children))


def test_times_of_pulls_are_those_before_the_janitor_read_anything() -> None:
    world = World()
    index, _ = with_index(world, pulled="40d")
    with site(world) as ecr:
        assert ecr.listed()[index].pulled_at == NOW - parse_duration("40d")
        assert world[APP].manifests[index].pulled_at == NOW


def test_an_index_that_was_read_once_is_not_pulled_again() -> None:
    world = World()
    index, children = with_index(world)
    with site(world, Memory()) as ecr:
        ecr.listed()
        assert ecr.listed()[index].children == tuple(children)
        assert len(ecr.server.asked_for("BatchGetImage")) == 1


def test_the_children_of_an_archived_index_are_unknown() -> None:
    world = World()
    index, children = with_index(world)
    world[APP].archived[index] = NOW
    with site(world) as ecr:
        listed = ecr.listed()
        assert ecr.server.asked_for("BatchGetImage") == []
    assert listed[index].children is UNSET
    assert set(listed) == {index, *children}


def test_the_children_of_an_archived_index_are_remembered() -> None:
    world = World()
    index, children = with_index(world)
    with site(world, Memory()) as ecr:
        ecr.listed()
        world[APP].archived[index] = NOW
        assert ecr.listed()[index].children == tuple(children)


def test_an_index_that_can_not_be_read_costs_its_children_and_not_the_repository() -> None:
    world = filled()
    index, _ = with_index(world)
    with site(world) as ecr:
        ecr.server.unreadable.add(index)
        listed = ecr.listed()
    assert listed[index].children is UNSET
    assert len(listed) == 6


def test_an_index_whose_upstream_does_not_answer_costs_its_children_alone() -> None:
    world = filled()
    index, _ = with_index(world)
    with site(world) as ecr:
        ecr.server.refused["BatchGetImage"] = "UnableToGetUpstreamImageException"
        assert ecr.listed()[index].children is UNSET


def test_a_manifest_that_ecr_is_silent_of_is_an_error() -> None:
    world = World()
    with_index(world)
    with site(world) as ecr:
        ecr.server.said["BatchGetImage"] = b'{"images": [], "failures": []}'
        with pytest.raises(Malformed, match="answered"):
            ecr.listed()


def test_a_referrer_names_its_subject() -> None:
    world = World()
    subject = world.push(APP, tags=["1"])
    signature = world.refer(APP, subject)
    with site(world) as ecr:
        listed = ecr.listed()
        assert ecr.server.asked_for("BatchGetImage") == []
    assert listed[signature].subject == subject


def test_labels_are_read_only_where_a_rule_asks_and_without_credentials() -> None:
    world = World()
    digest = world.push(APP, tags=["1"], created="90d", pushed="3d", labels={"team": "a"})
    with site(world, Memory()) as ecr:
        assert ecr.listed()[digest].labels is None
        image = ecr.listed(Field.LABELS, Field.CREATED)[digest]
        assert (image.labels, image.created_at) == ({"team": "a"}, NOW - parse_duration("90d"))
        assert ecr.listed(Field.LABELS)[digest].labels == {"team": "a"}
        assert len(ecr.server.asked("GET", "/blobs/")) == 1
        assert all(
            "authorization" not in each.headers for each in ecr.server.requests if each.method == "GET"
        )


def test_a_configuration_that_is_gone_leaves_labels_unknown() -> None:
    world = World()
    digest = world.push(APP, tags=["1"])
    world.blobs.clear()
    with site(world) as ecr:
        assert ecr.listed(Field.LABELS)[digest].labels is None


def test_what_kind_an_image_is_is_read_where_its_description_does_not_tell() -> None:
    world = World()
    plain = world.push(APP, tags=["1"])
    bundle = world.refer(APP, plain)
    index = world.push_index(APP, children=[plain], tags=["2"], provenance=True)
    (attestation,) = set(world[APP].manifests[index].children) - {plain}
    with site(world) as ecr:
        unasked, asked = ecr.listed(), ecr.listed(Field.TYPE)
    assert [unasked[each].type for each in (plain, bundle, attestation)] == [ImageType.IMAGE, None, None]
    assert asked[bundle].type is ImageType.SIGNATURE
    assert asked[attestation].type is ImageType.ATTESTATION


@pytest.mark.parametrize(
    ("host", "region"),
    [
        (f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com", "eu-west-1"),
        (f"{ACCOUNT}.dkr-ecr.eu-west-1.on.aws", "eu-west-1"),
        (f"{ACCOUNT}.dkr.ecr-fips.us-east-1.amazonaws.com", "us-east-1"),
        (f"{ACCOUNT}.dkr-ecr-fips.us-east-1.on.aws", "us-east-1"),
        (f"{ACCOUNT}.dkr.ecr.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        (f"{ACCOUNT}.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn", "cn-north-1"),
    ],
)
def test_a_registry_has_all_of_its_hosts(host: str, region: str) -> None:
    with site(World(), keys={"account": ACCOUNT, "region": region}) as ecr:
        assert host in ecr.registry.hosts
        assert ecr.server.requests == []


def test_the_account_is_learnt_from_the_first_answer() -> None:
    with site(filled()) as ecr:
        ecr.listed()
        asked = len(ecr.server.requests)
        assert f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com" in ecr.registry.hosts
        assert len(ecr.server.requests) == asked


def test_the_account_is_asked_for_where_hosts_are_wanted_first() -> None:
    with site(filled()) as ecr:
        assert f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com" in ecr.registry.hosts
        assert len(ecr.server.requests) == 1


def test_the_account_of_a_role_is_known_before() -> None:
    with site(filled(), keys={"role_arn": ROLE}, roles=(Role(arn=ROLE),)) as ecr:
        assert f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com" in ecr.registry.hosts
        assert ecr.server.requests == []


def test_an_account_is_sent_along_and_must_be_the_one_that_answers() -> None:
    with site(filled(), keys={"account": ACCOUNT}) as ecr:
        ecr.listed()
        assert {asked["registryId"] for asked in ecr.server.asked_for("DescribeImages")} == {ACCOUNT}
        ecr.server.account = "999999999999"
        with pytest.raises(RegistryError):
            ecr.listed()


def test_an_answer_of_another_account_is_an_error() -> None:
    with site(filled()) as ecr:
        ecr.listed()
        ecr.server.account = "999999999999"
        with pytest.raises(Malformed, match="account 999999999999"):
            ecr.listed()
