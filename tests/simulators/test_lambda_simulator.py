"""The simulated Lambda does what boto3 and its users know of the real one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.session import Session

from tests.simulators.awsserver import REGION
from tests.simulators.content import sha256
from tests.simulators.lambda_ import MOST_LISTED, LambdaServer, sample

APP = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app"


@pytest.fixture
def server() -> Iterator[LambdaServer]:
    with LambdaServer(page=MOST_LISTED) as made:
        yield made


@pytest.fixture
def functions(server: LambdaServer) -> Iterator[Any]:
    made = client(server)
    yield made
    made.close()


def client(server: LambdaServer) -> Any:
    return Session().create_client(
        "lambda",
        region_name=REGION,
        endpoint_url=server.address,
        aws_access_key_id="AKIDTEST",
        aws_secret_access_key="secret",
        config=Config(retries={"mode": "standard", "total_max_attempts": 1}),
    )


def code_of(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def test_fifty_are_listed_whatever_is_asked_for(server: LambdaServer, functions: Any) -> None:
    for n in range(60):
        server.functions.image(f"function-{n}", f"{APP}:{n}")
    first = functions.list_functions(MaxItems=10_000)
    assert len(first["Functions"]) == MOST_LISTED
    rest = functions.list_functions(Marker=first["NextMarker"])
    assert len(rest["Functions"]) == 10
    assert "NextMarker" not in rest


def test_versions_are_listed_only_where_they_are_asked_for(server: LambdaServer, functions: Any) -> None:
    server.functions.image("resize", f"{APP}:2")
    server.functions.image("resize", f"{APP}:1", version="1")
    (latest,) = functions.list_functions()["Functions"]
    assert latest["FunctionArn"] == f"{server.functions.prefix}:resize"
    listed = functions.list_functions(FunctionVersion="ALL")["Functions"]
    assert {each["FunctionArn"] for each in listed} == {
        f"{server.functions.prefix}:resize:{version}" for version in ("$LATEST", "1")
    }


def test_the_list_does_not_say_the_image(server: LambdaServer, functions: Any) -> None:
    server.functions.image("resize", f"{APP}:2")
    (listed,) = functions.list_functions()["Functions"]
    assert listed["PackageType"] == "Image"
    assert APP not in str(listed)


@pytest.mark.parametrize(
    ("uri", "resolved"),
    [
        (f"{APP}:2", f"{APP}@{sha256(b'x')}"),
        (f"{APP}@{sha256(b'x')}", f"{APP}@{sha256(b'x')}"),
        ("localhost:5000/app", f"localhost:5000/app@{sha256(b'x')}"),
    ],
)
def test_a_version_says_its_image_and_what_it_was_resolved_to(
    server: LambdaServer, functions: Any, uri: str, resolved: str
) -> None:
    server.functions.image("resize", uri, digest=sha256(b"x"), version="7")
    code = functions.get_function(FunctionName="resize", Qualifier="7")["Code"]
    assert (code["ImageUri"], code["ResolvedImageUri"]) == (uri, resolved)


def test_without_a_qualifier_it_is_the_latest(server: LambdaServer, functions: Any) -> None:
    server.functions.zip("report")
    assert functions.get_function(FunctionName="report")["Configuration"]["Version"] == "$LATEST"


@pytest.mark.parametrize("asked", [{"FunctionName": "gone"}, {"FunctionName": "resize", "Qualifier": "9"}])
def test_what_is_not_there_is_not_found(server: LambdaServer, functions: Any, asked: dict[str, str]) -> None:
    server.functions.image("resize", f"{APP}:2")
    with pytest.raises(functions.exceptions.ResourceNotFoundException, match="Function not found"):
        functions.get_function(**asked)


@pytest.mark.parametrize("asked", [{"FunctionVersion": "SOME"}, {"MaxItems": 10_001}, {"Marker": "other"}])
def test_what_boto3_lets_through_the_service_refuses(
    server: LambdaServer, functions: Any, asked: dict[str, Any]
) -> None:
    server.functions.zip("report")
    with pytest.raises(functions.exceptions.InvalidParameterValueException):
        functions.list_functions(**asked)


@pytest.mark.parametrize(
    ("kind", "code", "status"),
    [
        ("throttle", "TooManyRequestsException", 429),
        ("unauthorized", "ExpiredTokenException", 400),
        ("error", "ServiceException", 500),
    ],
)
def test_faults_are_told_as_lambda_tells_them(
    server: LambdaServer, functions: Any, kind: str, code: str, status: int
) -> None:
    server.world.fault(kind, status=500)
    with pytest.raises(ClientError) as error:
        functions.list_functions()
    assert code_of(error) == code
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == status


def test_a_right_that_is_missing_is_forbidden(server: LambdaServer, functions: Any) -> None:
    server.denied.add("ListFunctions")
    with pytest.raises(ClientError, match="lambda:ListFunctions") as error:
        functions.list_functions()
    assert code_of(error) == "AccessDeniedException"
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_what_it_does_not_do_is_unknown(functions: Any) -> None:
    with pytest.raises(ClientError) as error:
        functions.list_layers()
    assert code_of(error) == "UnknownOperationException"


def test_the_sample_is_whole() -> None:
    with LambdaServer(sample()) as server:
        made = client(server)
        pages = made.get_paginator("list_functions").paginate(FunctionVersion="ALL")
        assert sum(len(page["Functions"]) for page in pages) == 3
        made.close()
