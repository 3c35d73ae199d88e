"""What is granted to read ECS and Lambda is what is asked of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from janitor.core.use import SourceReading
from janitor.inuse.ecs import EcsSource
from janitor.inuse.interface import Context
from janitor.inuse.keys import EcsKeys, LambdaKeys
from janitor.inuse.lambda_ import LambdaSource
from tests.inuse.amazon import ENVIRON
from tests.simulators import ecs, lambda_
from tests.simulators.awsserver import REGION, AwsServer

IAM = Path(__file__).parents[2] / "deploy" / "iam"
# Rights that a statement can't narrow to what they are to.
OF_EVERYTHING = frozenset(
    {
        "ecs:DescribeTaskDefinition",
        "ecs:ListClusters",
        "ecs:ListServices",
        "ecs:ListTasks",
        "lambda:ListFunctions",
    }
)


def read_ecs(server: AwsServer) -> SourceReading:
    source = EcsSource(EcsKeys(region=REGION, endpoint=server.address))
    return source.read(Context(environ=ENVIRON), allow_empty=False)


def read_lambda(server: AwsServer) -> SourceReading:
    source = LambdaSource(LambdaKeys(region=REGION, endpoint=server.address))
    return source.read(Context(environ=ENVIRON), allow_empty=False)


Case = tuple[str, Callable[[], AwsServer], Callable[[AwsServer], SourceReading]]
CASES: Mapping[str, Case] = {
    "ecs": ("ecs-in-use.json", lambda: ecs.EcsServer(ecs.sample()), read_ecs),
    "lambda": ("lambda-in-use.json", lambda: lambda_.LambdaServer(lambda_.sample()), read_lambda),
}


def statements(name: str) -> list[dict[str, Any]]:
    document = json.loads((IAM / name).read_text())
    assert document["Version"] == "2012-10-17"
    return list(document["Statement"])


def granted(name: str) -> list[str]:
    return [action for each in statements(name) for action in each["Action"]]


@pytest.mark.parametrize("case", CASES)
def test_the_role_grants_what_is_asked_and_nothing_else(case: str) -> None:
    name, serve, read = CASES[case]
    with serve() as server:
        reading = read(server)
        assert reading.error is None
        assert reading.references
        assert sorted(granted(name)) == sorted(f"{case}:{operation}" for operation in server.used)


@pytest.mark.parametrize("case", CASES)
def test_what_can_be_narrowed_is(case: str) -> None:
    for statement in statements(CASES[case][0]):
        if statement["Resource"] == "*":
            assert OF_EVERYTHING.issuperset(statement["Action"])
        else:
            assert OF_EVERYTHING.isdisjoint(statement["Action"])
