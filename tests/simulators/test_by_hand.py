"""Every protocol serves other programs when it is started by hand, whatever they call themselves."""

from __future__ import annotations

import base64
import json
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import boto3
import grpc
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import artifactregistry_v1 as ar
from google.cloud.artifactregistry_v1.services.artifact_registry import transports

from tests.simulators.byhand import Hand, ask, started

ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")


@pytest.mark.parametrize(
    ("protocol", "lines", "stop"),
    [
        ("acr", 4, signal.SIGINT),
        ("dockerhub", 6, signal.SIGTERM),
        ("ecr", 4, signal.SIGINT),
        ("ecs", 3, signal.SIGTERM),
        ("gar", 5, signal.SIGINT),
        ("ghcr", 4, signal.SIGTERM),
        ("kubernetes", 1, signal.SIGINT),
        ("lambda", 3, signal.SIGTERM),
        ("oci", 1, signal.SIGINT),
    ],
)
def test_it_says_its_address_alone_and_then_a_fact_a_line_and_ends_well(
    tmp_path: Path, protocol: str, lines: int, stop: signal.Signals
) -> None:
    with started(tmp_path, protocol, stop=stop, lines=lines) as hand:
        assert ADDRESS.fullmatch(hand.address)
        assert len(hand.facts) == lines - 1
        assert all(hand.facts.values())


def test_a_distribution_registry_serves_who_asks(tmp_path: Path) -> None:
    world = {"team/app": [{"id": "amd"}, {"tags": ["1"], "children": ["amd"]}]}
    with started(tmp_path, "oci", world) as hand:
        tags = ask(f"{hand.address}/v2/team/app/tags/list", headers={"Authorization": "Basic bWU6bWU="})
        assert tags.json == {"name": "team/app", "tags": ["1"]}
        assert ask(f"{hand.address}/v2/team/none/tags/list").json["errors"][0]["code"] == "NAME_UNKNOWN"


@contextmanager
def aws(hand: Hand, service: str, *, region: str = "ap-south-1", key: str = "AKIAANY") -> Iterator[Any]:
    """A client of anybody, anywhere."""
    session = boto3.Session(key, "secret", "token", region_name=region)
    config = Config(retries={"total_max_attempts": 1})
    client = session.client(service, endpoint_url=hand.address, config=config)
    try:
        yield client
    finally:
        client.close()


def basic(name: str, password: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"}


def form(url: str, **fields: str) -> Any:
    """What is answered to a form."""
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return ask(url, "POST", urlencode(fields).encode(), headers).json


def jwt() -> str:
    """A token that nobody here gave out."""
    parts = ({"alg": "RS256"}, {"aud": "https://management.azure.com"})
    return ".".join(
        [
            *(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts),
            "c2ln",
        ]
    )


ECR = {
    "team/app": [
        {"tags": ["1", "2"], "pushed": "20d", "pulled": "3d"},
        {"tags": ["old"], "pushed": "300d", "archived": "100d"},
        {"pushed": "30d"},
    ]
}


def test_ecr_serves_any_keys_of_any_region_and_account(tmp_path: Path) -> None:
    with started(tmp_path, "ecr", ECR, lines=4) as hand, aws(hand, "ecr") as ecr, aws(hand, "sts") as sts:
        assert sts.get_caller_identity()["Account"] == hand.facts["account"]
        pages = ecr.get_paginator("describe_images").paginate(
            registryId="210987654321", repositoryName="team/app", PaginationConfig={"PageSize": 1}
        )
        details = [each for page in pages for each in page["imageDetails"]]
        assert {each["registryId"] for each in details} == {"210987654321"}
        assert sorted(each.get("imageTags", []) for each in details) == [[], ["1", "2"]]
        (repository,) = ecr.describe_repositories()["repositories"]
        assert repository["repositoryUri"].endswith(".ecr.ap-south-1.amazonaws.com/team/app")
        tag = {"imageTag": "1"}
        ecr.start_image_scan(repositoryName="team/app", imageId=tag)
        ecr.get_waiter("image_scan_complete").wait(repositoryName="team/app", imageId=tag)
        gone = ecr.batch_delete_image(repositoryName="team/app", imageIds=[tag, {"imageTag": "none"}])
        assert [each["failureCode"] for each in gone["failures"]] == ["ImageNotFound"]
        with pytest.raises(ClientError, match="UnknownOperationException") as error:
            ecr.describe_pull_through_cache_rules()
        assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_ecr_gives_a_token_that_its_registry_takes(tmp_path: Path) -> None:
    with started(tmp_path, "ecr", ECR, lines=4) as hand, aws(hand, "ecr") as ecr:
        (given,) = ecr.get_authorization_token()["authorizationData"]
        assert base64.b64decode(given["authorizationToken"]).startswith(b"AWS:")
        assert given["proxyEndpoint"] == hand.facts["registry_endpoint"]
        tags = f"{given['proxyEndpoint']}/v2/team/app/tags/list"
        assert ask(tags).status == 401
        headers = {"Authorization": f"Basic {given['authorizationToken']}"}
        assert ask(tags, headers=headers).json["tags"] == ["1", "2", "old"]


def test_ecr_is_in_one_region_where_one_is_said(tmp_path: Path) -> None:
    with started(tmp_path, "ecr", ECR, "--flavour", "eu-north-1", lines=4) as hand:
        assert hand.facts["region"] == "eu-north-1"
        with aws(hand, "ecr") as ecr, pytest.raises(ClientError, match="InvalidSignatureException"):
            ecr.describe_repositories()


def test_keys_of_a_role_are_of_its_account(tmp_path: Path) -> None:
    role = "arn:aws:iam::999999999999:role/any"
    with started(tmp_path, "ecr", ECR, lines=4) as hand, aws(hand, "sts") as sts:
        taken = sts.assume_role(RoleArn=role, RoleSessionName="any", ExternalId="any")["Credentials"]
        session = boto3.Session(
            taken["AccessKeyId"], taken["SecretAccessKey"], taken["SessionToken"], region_name="eu-west-1"
        )
        ecr = session.client("ecr", endpoint_url=hand.address)
        (repository,) = ecr.describe_repositories()["repositories"]
        ecr.close()
        assert repository["registryId"] == "999999999999"


def test_ecs_serves_any_keys(tmp_path: Path) -> None:
    with started(tmp_path, "ecs", lines=3) as hand, aws(hand, "ecs") as ecs:
        (page,) = ecs.get_paginator("list_services").paginate()
        (service,) = ecs.describe_services(services=page["serviceArns"])["services"]
        assert service["serviceName"] == "app"
        tasks = ecs.list_tasks()["taskArns"]
        ecs.get_waiter("tasks_running").wait(tasks=tasks, WaiterConfig={"MaxAttempts": 1})
        assert ecs.describe_clusters()["clusters"][0]["clusterName"] == "default"


def test_lambda_serves_any_keys(tmp_path: Path) -> None:
    with started(tmp_path, "lambda", lines=3) as hand, aws(hand, "lambda") as functions:
        (page,) = functions.get_paginator("list_functions").paginate()
        assert {each["FunctionName"] for each in page["Functions"]} == {"report", "resize"}
        versions = functions.list_versions_by_function(FunctionName="resize")["Versions"]
        assert {each["Version"] for each in versions} == {"$LATEST", "1"}
        waiter = functions.get_waiter("function_exists")
        waiter.wait(FunctionName="resize", WaiterConfig={"MaxAttempts": 1})


ACR = {
    "team/app": [
        {"tags": ["1"], "pushed": "20d"},
        {"tags": ["2"], "pushed": "300d"},
        {"tags": ["3"], "pushed": "3d", "locked": True},
    ]
}


def acr_bearer(hand: Hand, scope: str, **by: str) -> dict[str, str]:
    given = form(f"{hand.address}/oauth2/token", service="anything.azurecr.io", scope=scope, **by)
    return {"Authorization": f"Bearer {given['access_token']}"}


def test_acr_exchanges_any_token_of_entra_and_lists_and_deletes_by_it(tmp_path: Path) -> None:
    with started(tmp_path, "acr", ACR, lines=4) as hand:
        service = {"service": "anything.azurecr.io"}
        exchanged = form(
            f"{hand.address}/oauth2/exchange", grant_type="access_token", access_token=jwt(), **service
        )
        by = {"grant_type": "refresh_token", "refresh_token": exchanged["refresh_token"]}
        reading = acr_bearer(hand, "repository:team/app:metadata_read", **by)
        listed = ask(f"{hand.address}/acr/v1/team/app/_manifests?orderby=timedesc&n=2", headers=reading)
        assert [each["tags"] for each in listed.json["manifests"]] == [["3"], ["1"]]
        assert [each["changeableAttributes"]["deleteEnabled"] for each in listed.json["manifests"]] == [
            False,
            True,
        ]
        following = listed.headers["Link"].partition(">")[0].removeprefix("<")
        rest = ask(f"{hand.address}{following}", headers=reading).json["manifests"]
        assert [each["tags"] for each in rest] == [["2"]]
        locked, other = (each["digest"] for each in listed.json["manifests"])
        deleting = acr_bearer(hand, "repository:team/app:delete", **by)
        manifests = f"{hand.address}/v2/team/app/manifests"
        assert ask(f"{manifests}/{locked}", "DELETE", headers=deleting).status == 405
        assert ask(f"{manifests}/{other}", "DELETE", headers=deleting).status == 202


def test_acr_takes_any_user_and_the_user_of_no_id_with_a_token(tmp_path: Path) -> None:
    with started(tmp_path, "acr", ACR, lines=4) as hand:
        catalogue = f"{hand.address}/acr/v1/_catalog"
        for user in ("robot", "00000000-0000-0000-0000-000000000000"):
            assert ask(catalogue, headers=basic(user, "any")).json == {"repositories": ["team/app"]}
            password = {"grant_type": "password", "username": user, "password": "any"}
            asked = acr_bearer(hand, "registry:catalog:*", **password)
            assert ask(catalogue, headers=asked).status == 200
        assert ask(catalogue, headers={"Authorization": "Basic nothing"}).status == 401
        assert ask(catalogue, headers=basic("robot", "")).status == 401
        unknown = ask(f"{hand.address}/acr/v2/nothing")
        assert (unknown.status, unknown.json["errors"][0]["code"]) == (404, "NOT_FOUND")


def test_acr_stands_for_a_managed_identity(tmp_path: Path) -> None:
    with started(tmp_path, "acr", ACR, lines=4) as hand:
        header = {"X-IDENTITY-HEADER": hand.facts["IDENTITY_HEADER"]}
        resource = urlencode({"resource": "https://containerregistry.azure.net"})
        given = ask(f"{hand.facts['IDENTITY_ENDPOINT']}?{resource}", headers=header)
        assert given.json["access_token"].count(".") == 2


def test_acr_deletes_a_repository_but_for_a_lock(tmp_path: Path) -> None:
    worlds = {"locked": ACR["team/app"], "free": [{"tags": ["1"]}]}
    with started(tmp_path, "acr", worlds, lines=4) as hand:
        somebody = basic("robot", "any")
        statuses = [
            ask(f"{hand.address}/acr/v1/{name}", "DELETE", headers=somebody).status for name in worlds
        ]
        left = ask(f"{hand.address}/v2/_catalog", headers=somebody).json["repositories"]
        assert (statuses, left) == ([405, 202], ["locked"])


GHCR = {"team/app": [{"tags": [f"1.{number}"], "pushed": f"{number + 1}d"} for number in range(3)]}
PACKAGE = "/container/team%2Fapp"


def versions_of(hand: Hand, packages: str, headers: dict[str, str]) -> list[Any]:
    """All pages, by the Link of each, as octokit goes."""
    found: list[Any] = []
    address: str | None = f"{hand.address}{packages}{PACKAGE}/versions?per_page=2"
    while address is not None:
        reply = ask(address, headers=headers)
        found += reply.json
        following = re.search('<([^>]+)>; rel="next"', reply.headers.get("Link", ""))
        address = following and following[1]
    return found


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer github_pat_any"},
        {"Authorization": "token ghs_any"},
        basic("somebody", "gho_any"),
    ],
)
def test_ghcr_takes_any_token_and_owner(tmp_path: Path, headers: dict[str, str]) -> None:
    with started(tmp_path, "ghcr", GHCR, lines=4) as hand:
        packages = "/orgs/Other/packages"
        listed = ask(f"{hand.address}{packages}?package_type=container", headers=headers)
        assert [(each["name"], each["owner"]["login"]) for each in listed.json] == [("team/app", "Other")]
        assert "delete:packages" in listed.headers["X-OAuth-Scopes"]
        versions = versions_of(hand, packages, headers)
        assert [each["metadata"]["container"]["tags"] for each in versions] == [["1.0"], ["1.1"], ["1.2"]]
        url = versions[-1]["url"]
        statuses = [ask(url, "DELETE", headers=headers).status, ask(url, headers=headers).status]
        statuses.append(ask(f"{url}/restore", "POST", headers=headers).status)
        statuses.append(ask(f"{hand.address}{packages}{PACKAGE}", "DELETE", headers=headers).status)
        assert statuses == [204, 404, 204, 204]
        assert ask(f"{hand.address}/nothing", headers=headers).json["message"] == "Not Found"
        assert ask(f"{hand.address}{packages}").json["message"] == "Requires authentication"


def test_ghcr_is_a_users_where_that_is_said(tmp_path: Path) -> None:
    token = {"Authorization": "Bearer ghp_any"}
    with started(tmp_path, "ghcr", GHCR, "--flavour", "user", lines=4) as hand:
        assert ask(f"{hand.address}/users/somebody", headers=token).json["type"] == "User"
        assert ask(f"{hand.address}/user", headers=token).json["login"] == "somebody"
        digests = {each["name"] for each in versions_of(hand, "/users/somebody/packages", token)}
        assert len(digests) == 3
        assert {each["name"] for each in versions_of(hand, "/user/packages", token)} == digests
        assert ask(f"{hand.address}/orgs/somebody/packages", headers=token).status == 404


def test_ghcr_lets_any_token_in_to_its_registry(tmp_path: Path) -> None:
    with started(tmp_path, "ghcr", GHCR, lines=4) as hand:
        registry = hand.facts["registry_endpoint"]
        scope = urlencode({"service": "ghcr.io", "scope": "repository:other/team/app:pull"})
        given = ask(f"{registry}/token?{scope}", headers=basic("any", "ghp_any")).json
        shown = base64.b64encode(b"ghp_other").decode()
        for bearer in (given["token"], shown):
            tags = ask(
                f"{registry}/v2/other/team/app/tags/list", headers={"Authorization": f"Bearer {bearer}"}
            )
            assert tags.json["tags"] == ["1.0", "1.1", "1.2"]
        assert ask(f"{registry}/token?{scope}").status == 403
        assert ask(f"{registry}/v2/other/team/app/tags/list").status == 401


def test_ghcr_never_deletes_what_is_locked(tmp_path: Path) -> None:
    world = {"app": [{"tags": ["1"], "locked": True}, {"tags": ["2"]}, {}]}
    token = {"Authorization": "Bearer ghp_any"}
    with started(tmp_path, "ghcr", world, lines=4) as hand:
        versions = ask(f"{hand.address}/orgs/any/packages/container/app/versions", headers=token).json
        told = [ask(each["url"], "DELETE", headers=token) for each in versions]
        assert sorted(each.status for each in told) == [204, 204, 400]


HUB = {
    "team/app": [
        {"tags": ["1.0"], "pushed": "1d"},
        {"tags": ["1.1"], "pushed": "2d"},
        {"tags": ["1.2"], "pushed": "3d"},
        {"tags": ["base"], "pushed": "90d", "locked": True},
    ]
}


def hub_token(hand: Hand, login: str, **body: str) -> dict[str, str]:
    given = ask(f"{hand.address}{login}", "POST", body).json
    return {"Authorization": f"Bearer {given.get('access_token') or given['token']}"}


@pytest.mark.parametrize("place", ["/v2/namespaces/other/repositories", "/v2/repositories/other"])
def test_docker_hub_leads_any_user_of_any_namespace_through_its_pages(tmp_path: Path, place: str) -> None:
    with started(tmp_path, "dockerhub", HUB, lines=6) as hand:
        assert hand.facts["renamed"] == "team/app=team-app"
        headers = hub_token(hand, "/v2/auth/token", identifier="any", secret="dckr_pat_any")
        address, found = f"{hand.address}{place}/team-app/tags?page_size=3", []
        while address:
            page = ask(address, headers=headers).json
            found += page["results"]
            address = page["next"]
        assert [each["name"] for each in found] == ["1.0", "1.1", "1.2", "base"]
        assert {each["tag_last_pulled"] for each in found} == {None}
        statuses = [
            ask(f"{hand.address}{place}/team-app/tags/{tag}/", "DELETE", headers=headers).status
            for tag in ("1.2", "1.2", "base")
        ]
        assert statuses == [204, 404, 403]


def test_docker_hub_lets_strangers_look_and_never_delete(tmp_path: Path) -> None:
    with started(tmp_path, "dockerhub", HUB, lines=6) as hand:
        tag = f"{hand.address}/v2/repositories/other/team-app/tags/1.0/"
        assert [ask(tag).status, ask(tag, "DELETE").status, ask(tag).status] == [200, 401, 200]
        login = f"{hand.address}/v2/users/login/"
        headers = hub_token(hand, "/v2/users/login/", username="any", password="any")
        assert ask(tag, "DELETE", headers=headers).status == 204
        assert [ask(login, "POST", {"username": "any"}).status, ask(login, "POST", b"}").status] == [401, 400]
        assert ask(f"{hand.address}/v2/nothing").json == {"detail": "Not found"}


def test_docker_hubs_registry_gives_any_user_a_token(tmp_path: Path) -> None:
    with started(tmp_path, "dockerhub", HUB, lines=6) as hand:
        registry = hand.facts["registry_endpoint"]
        asked = {"service": "registry.docker.io", "scope": "repository:other/team-app:pull,push,delete"}
        given = ask(f"{registry}/token?{urlencode(asked)}", headers=basic("any", "dckr_oat_any")).json
        headers = {"Authorization": f"Bearer {given['token']}"}
        tags = ask(f"{registry}/v2/other/team-app/tags/list", headers=headers).json["tags"]
        assert tags == ["1.0", "1.1", "1.2", "base"]
        manifest = ask(f"{registry}/v2/other/team-app/manifests/1.0", headers=headers)
        digest = manifest.headers["Docker-Content-Digest"]
        # A tag still names it.
        target = f"{registry}/v2/other/team-app/manifests/{digest}"
        assert ask(target, "DELETE", headers=headers).status == 403


GAR = {
    "team/deep/app": [{"tags": ["1"], "pushed": "20d"}, {"pushed": "30d"}, {"pushed": "40d"}],
    "locked/app": [{"tags": ["1"], "locked": True}],
    "tool": [{"tags": ["1"]}],
}


@contextmanager
def artifact_registry(hand: Hand, way: str) -> Iterator[ar.ArtifactRegistryClient]:
    """Google's own client, by gRPC or by REST."""
    transport: Any
    if way == "grpc":
        channel = grpc.insecure_channel(hand.address.removeprefix("http://"))
        transport = transports.ArtifactRegistryGrpcTransport(channel=channel)
    else:
        transport = transports.ArtifactRegistryRestTransport(
            host=hand.facts["rest_endpoint"].removeprefix("http://"),
            url_scheme="http",
            credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call] # it has no types
        )
    with ar.ArtifactRegistryClient(transport=transport) as client:
        yield client


def done(operation: Any) -> None:
    """Wait for what was begun."""
    operation.result()


@pytest.mark.parametrize("way", ["grpc", "rest"])
def test_gar_answers_as_whichever_project_and_location_it_is_asked_for(tmp_path: Path, way: str) -> None:
    parent = "projects/other/locations/us"
    with started(tmp_path, "gar", GAR, lines=6) as hand, artifact_registry(hand, way) as client:
        assert hand.facts["renamed"] == "tool=images/tool"
        repositories = {each.name: each for each in client.list_repositories(parent=parent)}
        names = [f"{parent}/repositories/{name}" for name in ("images", "locked", "team")]
        assert sorted(repositories) == names
        assert repositories[names[1]].docker_config.immutable_tags
        asked = ar.ListDockerImagesRequest(parent=names[2], page_size=2)
        images = list(client.list_docker_images(asked))
        assert [each.uri.partition("/")[2].partition("@")[0] for each in images] == [
            "other/team/deep/app"
        ] * 3
        (package,) = client.list_packages(parent=names[2])
        assert package.name == f"{names[2]}/packages/deep%2Fapp"
        first, second, tagged = (
            f"{package.name}/versions/{each.uri.partition('@')[2]}"
            for each in sorted(images, key=lambda each: len(each.tags))
        )
        done(client.delete_version(name=first))
        done(client.batch_delete_versions({"parent": package.name, "names": [second]}))
        with pytest.raises(exceptions.GoogleAPICallError, match="still referenced by tag"):
            done(client.delete_version(name=tagged))
        (tag,) = client.list_tags(parent=package.name)
        client.delete_tag(name=tag.name)
        client.create_tag(parent=package.name, tag_id="2", tag=ar.Tag(version=tagged))
        done(client.delete_package(name=package.name))
        with pytest.raises(exceptions.NotFound):
            client.get_package(name=package.name)
        assert len(list(client.list_repositories(parent="projects/other/locations/-"))) == 2


def test_gars_registry_tells_and_deletes_as_google_does(tmp_path: Path) -> None:
    with started(tmp_path, "gar", GAR, lines=6) as hand:
        image = f"{hand.facts['registry_endpoint']}/v2/other/team/deep/app"
        listed = ask(f"{image}/tags/list").json
        assert (listed["name"], listed["tags"]) == ("other/team/deep/app", ["1"])
        (digest,) = (digest for digest, each in listed["manifest"].items() if each["tag"])
        refused = ask(f"{image}/manifests/{digest}", "DELETE")
        assert refused.json["errors"][0]["code"] == "GOOGLE_MANIFEST_DANGLING_TAG"
        statuses = [ask(f"{image}/manifests/{each}", "DELETE").status for each in ("1", digest)]
        assert statuses == [202, 202]
        missing = ask(f"{hand.facts['rest_endpoint']}/v1/nothing").json["error"]
        assert (missing["code"], missing["status"]) == (404, "NOT_FOUND")


def test_kubernetes_serves_any_bearer_lists_and_single_objects(tmp_path: Path) -> None:
    anybody = {"Authorization": "Bearer any"}
    with started(tmp_path, "kubernetes") as hand:
        pods = ask(f"{hand.address}/api/v1/pods", headers=anybody).json
        assert [each["metadata"]["name"] for each in pods["items"]] == ["app"]
        deployments = f"{hand.address}/apis/apps/v1/namespaces/default/deployments"
        assert ask(f"{deployments}/deployments", headers=anybody).json["kind"] == "Deployment"
        missing = ask(f"{deployments}/none", headers=anybody)
        assert (missing.status, missing.json["kind"]) == (404, "Status")
        assert ask(f"{hand.address}/apis/none/v1/nothing").json["reason"] == "NotFound"
