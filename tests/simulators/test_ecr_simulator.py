"""The simulated ECR behaves as boto3's users know the real one."""

from __future__ import annotations

import http.client
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.session import Session

from tests.simulators import content
from tests.simulators.aws import ACCOUNT, Role
from tests.simulators.ecr import REGION, ROLE, EcrServer
from tests.simulators.world import World

APP = "team/app"
TYPES = [content.OCI_IMAGE, content.OCI_INDEX]


@pytest.fixture
def server() -> Iterator[EcrServer]:
    with EcrServer(World(), page=1000, roles=(Role(arn=ROLE),)) as made:
        yield made


@pytest.fixture
def ecr(server: EcrServer) -> Iterator[Any]:
    made = client(server)
    yield made
    made.close()


def client(server: EcrServer, service: str = "ecr", region: str = REGION, key: str = "AKIDTEST") -> Any:
    config = Config(retries={"mode": "standard", "total_max_attempts": 1})
    return Session().create_client(
        service,
        region_name=region,
        endpoint_url=server.address,
        aws_access_key_id=key,
        aws_secret_access_key="secret",
        config=config,
    )


def code_of(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def delete(ecr: Any, *ids: Mapping[str, str]) -> tuple[list[Any], list[str]]:
    answer = ecr.batch_delete_image(repositoryName=APP, imageIds=list(ids))
    return answer["imageIds"], [each["failureCode"] for each in answer["failures"]]


def digests(count: int) -> list[dict[str, str]]:
    return [{"imageDigest": content.sha256(b"%d" % n)} for n in range(count)]


@pytest.mark.parametrize(
    ("operation", "parameters"),
    [
        ("batch_delete_image", {"imageIds": digests(101)}),
        ("batch_get_image", {"imageIds": digests(101)}),
        ("batch_get_image", {"imageIds": digests(1), "acceptedMediaTypes": ["a"] * 101}),
        ("describe_images", {"imageIds": digests(101)}),
        ("describe_images", {"maxResults": 1001}),
        ("describe_images", {"maxResults": 10, "imageIds": digests(1)}),
        ("describe_images", {"nextToken": "of another list"}),
        ("describe_images", {"filter": {"imageStatus": "COLD"}}),
        ("list_images", {"filter": {"tagStatus": "SOME"}}),
        ("update_image_storage_class", {"imageId": digests(1)[0], "targetStorageClass": "GLACIER"}),
    ],
)
def test_what_boto3_lets_through_the_service_refuses(
    server: EcrServer, ecr: Any, operation: str, parameters: dict[str, Any]
) -> None:
    server.world.push(APP, tags=["1"])
    with pytest.raises(ClientError) as error:
        getattr(ecr, operation)(repositoryName=APP, **parameters)
    assert code_of(error) == "InvalidParameterException"


def test_a_name_of_one_letter_is_none(ecr: Any, server: EcrServer) -> None:
    server.world.push("A/b", tags=["1"])
    with pytest.raises(ClientError) as error:
        ecr.describe_images(repositoryName="A/b")
    assert code_of(error) == "InvalidParameterException"


def test_the_paginator_of_boto3_sees_every_image(server: EcrServer, ecr: Any) -> None:
    for n in range(7):
        server.world.push(APP, tags=[f"{n}"])
    server.pages.most = 3
    pages = list(ecr.get_paginator("describe_images").paginate(repositoryName=APP))
    assert [len(page["imageDetails"]) for page in pages] == [3, 3, 1]
    listed = [each for page in pages for each in page["imageDetails"]]
    assert {each["imageDigest"] for each in listed} == set(server.world[APP].manifests)


def test_a_token_goes_on_where_it_was_though_images_went_meanwhile(server: EcrServer, ecr: Any) -> None:
    for n in range(6):
        server.world.push(APP, tags=[f"{n}"])
    first = ecr.describe_images(repositoryName=APP, maxResults=3)
    for each in first["imageDetails"]:
        server.world.forget(APP, each["imageDigest"])
    second = ecr.describe_images(repositoryName=APP, maxResults=3, nextToken=first["nextToken"])
    listed = [each["imageDigest"] for page in (first, second) for each in page["imageDetails"]]
    assert len(set(listed)) == 6


def test_what_is_archived_is_described_only_when_it_is_asked_for(server: EcrServer, ecr: Any) -> None:
    digest = server.world.push(APP, tags=["1"])
    ecr.update_image_storage_class(
        repositoryName=APP, imageId={"imageDigest": digest}, targetStorageClass="ARCHIVE"
    )
    assert ecr.describe_images(repositoryName=APP)["imageDetails"] == []
    assert ecr.list_images(repositoryName=APP)["imageIds"] == []
    (detail,) = ecr.describe_images(repositoryName=APP, filter={"imageStatus": "ANY"})["imageDetails"]
    assert (detail["imageStatus"], detail["imageTags"]) == ("ARCHIVED", ["1"])
    answer = ecr.batch_get_image(repositoryName=APP, imageIds=[{"imageDigest": digest}])
    assert [each["failureCode"] for each in answer["failures"]] == ["ImageInaccessible"]


def test_what_there_is_not_has_no_key(server: EcrServer, ecr: Any) -> None:
    server.world.push(APP)
    (detail,) = ecr.describe_images(repositoryName=APP)["imageDetails"]
    absent = {"imageTags", "lastRecordedPullTime", "subjectManifestDigest", "lastArchivedAt"}
    assert absent.isdisjoint(detail)


def test_ids_are_listed_an_entry_a_tag(server: EcrServer, ecr: Any) -> None:
    digest = server.world.push(APP, tags=["1", "2"])
    untagged = server.world.push(APP)
    ids = ecr.list_images(repositoryName=APP)["imageIds"]
    assert sorted(map(str, ids)) == sorted(
        map(
            str,
            [
                {"imageDigest": digest, "imageTag": "1"},
                {"imageDigest": digest, "imageTag": "2"},
                {"imageDigest": untagged},
            ],
        )
    )


def test_one_missing_image_fails_a_whole_description(server: EcrServer, ecr: Any) -> None:
    digest = server.world.push(APP, tags=["1"])
    with pytest.raises(ClientError, match=digests(1)[0]["imageDigest"]) as error:
        ecr.describe_images(repositoryName=APP, imageIds=[{"imageDigest": digest}, *digests(1)])
    assert code_of(error) == "ImageNotFoundException"


def test_the_last_tag_takes_the_image_along(server: EcrServer, ecr: Any) -> None:
    digest = server.world.push(APP, tags=["1", "2"])
    assert delete(ecr, {"imageTag": "1"}) == ([{"imageDigest": digest, "imageTag": "1"}], [])
    assert digest in server.world[APP].manifests
    delete(ecr, {"imageTag": "2"})
    assert digest not in server.world[APP].manifests


def test_a_digest_is_answered_for_with_an_entry_a_tag(server: EcrServer, ecr: Any) -> None:
    digest = server.world.push(APP, tags=["1", "2"])
    entries, failures = delete(ecr, {"imageDigest": digest})
    assert ([each["imageTag"] for each in entries], failures) == (["1", "2"], [])


def test_a_digest_and_its_tag_in_one_request_are_one_entry(server: EcrServer, ecr: Any) -> None:
    digest = server.world.push(APP, tags=["1"])
    entries, failures = delete(ecr, {"imageDigest": digest}, {"imageTag": "1"})
    assert (entries, failures) == ([{"imageDigest": digest, "imageTag": "1"}], [])


def test_a_tag_goes_only_off_the_digest_that_is_named_with_it(server: EcrServer, ecr: Any) -> None:
    first = server.world.push(APP, tags=["1", "2"])
    second = server.world.push(APP, tags=["3"])
    asked = [
        ({"imageDigest": second, "imageTag": "1"}, "ImageTagDoesNotMatchDigest"),
        ({"imageDigest": first, "imageTag": "9"}, "ImageNotFound"),
        ({**digests(1)[0], "imageTag": "9"}, "ImageNotFound"),
        ({"imageDigest": "no digest"}, "InvalidImageDigest"),
        ({}, "MissingDigestAndTag"),
    ]
    for each, code in asked:
        assert delete(ecr, each) == ([], [code])
    assert delete(ecr, {"imageDigest": first, "imageTag": "1"})[1] == []
    assert server.world[APP].tags_of(first) == {"2"}


@pytest.mark.parametrize("order", [1, -1])
def test_what_an_index_names_stays_though_the_index_goes_in_the_same_request(
    server: EcrServer, ecr: Any, order: int
) -> None:
    child = server.world.push(APP)
    index = server.world.push_index(APP, children=[child], tags=["1"])
    ids = [{"imageDigest": index}, {"imageDigest": child}][::order]
    entries, failures = delete(ecr, *ids)
    assert ([each["imageDigest"] for each in entries], failures) == (
        [index],
        ["ImageReferencedByManifestList"],
    )
    assert delete(ecr, {"imageDigest": child})[1] == []


def test_the_last_tag_of_what_an_index_names_leaves_it_untagged(server: EcrServer, ecr: Any) -> None:
    child = server.world.push(APP, tags=["amd64"])
    server.world.push_index(APP, children=[child], tags=["1"])
    assert delete(ecr, {"imageTag": "amd64"})[1] == []
    assert child in server.world[APP].manifests


def test_a_referrer_keeps_no_subject_from_going(server: EcrServer, ecr: Any) -> None:
    subject = server.world.push(APP, tags=["1"])
    referrer = server.world.refer(APP, subject)
    assert delete(ecr, {"imageDigest": subject})[1] == []
    assert set(server.world[APP].manifests) == {referrer}


def test_a_manifest_is_given_an_entry_a_tag_and_that_is_a_pull(server: EcrServer, ecr: Any) -> None:
    digest = server.world.push(APP, tags=["1", "2"])
    ids = [{"imageDigest": digest}]
    answer = ecr.batch_get_image(repositoryName=APP, imageIds=ids, acceptedMediaTypes=TYPES)
    assert [each["imageId"]["imageTag"] for each in answer["images"]] == ["1", "2"]
    assert {content.sha256(each["imageManifest"].encode()) for each in answer["images"]} == {digest}
    (detail,) = ecr.describe_images(repositoryName=APP)["imageDetails"]
    assert detail["lastRecordedPullTime"] == server.world.now


def test_who_does_not_accept_an_index_gets_one_of_its_platforms(server: EcrServer, ecr: Any) -> None:
    child = server.world.push(APP)
    index = server.world.push_index(APP, children=[child], tags=["1"])
    ids = [{"imageDigest": index}]
    answer = ecr.batch_get_image(repositoryName=APP, imageIds=ids, acceptedMediaTypes=[content.OCI_IMAGE])
    (image,) = answer["images"]
    assert image["imageId"]["imageDigest"] == child


def test_an_index_is_as_large_as_its_largest_platform(server: EcrServer, ecr: Any) -> None:
    children = [server.world.push(APP, text=text) for text in ("x", "y" * 5000)]
    index = server.world.push_index(APP, children=children)
    details = ecr.describe_images(repositoryName=APP)["imageDetails"]
    sizes = {each["imageDigest"]: each["imageSizeInBytes"] for each in details}
    assert sizes[index] == max(sizes[child] for child in children)


def test_what_was_deleted_can_be_put_again_while_its_layers_are_there(server: EcrServer, ecr: Any) -> None:
    child = server.world.push(APP)
    index = server.world.push_index(APP, children=[child], tags=["1"])
    bodies = {digest: server.world[APP].manifests[digest].body.decode() for digest in (child, index)}
    delete(ecr, {"imageDigest": index})
    delete(ecr, {"imageDigest": child})
    with pytest.raises(ClientError) as error:
        ecr.put_image(repositoryName=APP, imageManifest=bodies[index], imageTag="1")
    assert code_of(error) == "ReferencedImagesNotFoundException"
    ecr.put_image(repositoryName=APP, imageManifest=bodies[child])
    ecr.put_image(repositoryName=APP, imageManifest=bodies[index], imageTag="1")
    with pytest.raises(ClientError) as error:
        ecr.put_image(repositoryName=APP, imageManifest=bodies[index], imageTag="1")
    assert code_of(error) == "ImageAlreadyExistsException"
    delete(ecr, {"imageDigest": index})
    delete(ecr, {"imageDigest": child})
    server.world.blobs.clear()
    with pytest.raises(ClientError) as error:
        ecr.put_image(repositoryName=APP, imageManifest=bodies[child])
    assert code_of(error) == "LayersNotFoundException"


def test_a_tag_of_an_immutable_repository_is_not_moved_and_is_deleted(server: EcrServer, ecr: Any) -> None:
    first = server.world.push(APP, tags=["1"])
    second = server.world.push(APP, tags=["2"])
    server.mutability[APP] = "IMMUTABLE"
    body = server.world[APP].manifests[second].body.decode()
    with pytest.raises(ClientError) as error:
        ecr.put_image(repositoryName=APP, imageManifest=body, imageTag="1")
    assert code_of(error) == "ImageTagAlreadyExistsException"
    assert delete(ecr, {"imageDigest": first})[1] == []


def test_who_is_not_known_or_signs_for_elsewhere_is_refused(server: EcrServer) -> None:
    wrong = {
        "UnrecognizedClientException": {"key": "AKIDOTHER"},
        "InvalidSignatureException": {"region": "us-east-1"},
    }
    for code, how in wrong.items():
        made = client(server, **how)
        with pytest.raises(ClientError) as error:
            made.describe_repositories()
        made.close()
        assert code_of(error) == code


def test_a_request_without_a_signature_is_refused(server: EcrServer) -> None:
    connection = http.client.HTTPConnection(server.host)
    target = "AmazonEC2ContainerRegistry_V20150921.DescribeRepositories"
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": target}
    connection.request("POST", "/", body=b"{}", headers=headers)
    answer = connection.getresponse()
    assert b"MissingAuthenticationToken" in answer.read()
    connection.close()


def test_a_role_is_another_with_keys_of_its_own(server: EcrServer) -> None:
    sts = client(server, "sts")
    assert sts.get_caller_identity()["Account"] == ACCOUNT
    keys = sts.assume_role(RoleArn=ROLE, RoleSessionName="test")["Credentials"]
    assert keys["AccessKeyId"] in server.door.keys
    with pytest.raises(ClientError) as error:
        sts.assume_role(RoleArn=ROLE + "x", RoleSessionName="test")
    assert code_of(error) == "AccessDenied"
    sts.close()


def test_a_blob_is_given_to_whoever_has_its_address_and_to_no_other(server: EcrServer, ecr: Any) -> None:
    digest = server.world.push(APP, tags=["1"])
    layer = server.world[APP].manifests[digest].blobs[0]
    url = ecr.get_download_url_for_layer(repositoryName=APP, layerDigest=layer)["downloadUrl"]
    target = url.removeprefix(server.address)
    for path, headers, status in (
        (target, {}, 200),
        (target, {"Authorization": "Basic x"}, 400),
        (target.partition("?")[0], {}, 400),
    ):
        connection = http.client.HTTPConnection(server.host)
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == status
        connection.close()
