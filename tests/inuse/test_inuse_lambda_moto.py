"""The source against moto, a second opinion on Lambda: what moto tells of functions is read from it, too."""

from __future__ import annotations

from collections.abc import Iterator

import boto3
import pytest
from moto.server import ThreadedMotoServer

from janitor.inuse.interface import Context
from janitor.inuse.keys import LambdaKeys
from janitor.inuse.lambda_ import LambdaSource
from tests.inuse.amazon import ENVIRON
from tests.simulators.aws import ACCOUNT
from tests.simulators.awsserver import REGION
from tests.simulators.content import sha256

APP = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/team/app"
BY_TAG, BY_DIGEST = f"{APP}:1.0", f"{APP}@{sha256(b'x')}"


@pytest.fixture
def moto() -> Iterator[str]:
    """A server with two functions; what it holds outlives it in this process, so that they are deleted."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    iam, functions = (
        boto3.client(
            name,
            region_name=REGION,
            endpoint_url=address,
            aws_access_key_id="AKIDTEST",
            aws_secret_access_key="secret",
        )
        for name in ("iam", "lambda")
    )
    role = iam.create_role(RoleName="function", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    images = {"by-tag": BY_TAG, "by-digest": BY_DIGEST}
    for name, image in images.items():
        functions.create_function(
            FunctionName=name, PackageType="Image", Role=role, Code={"ImageUri": image}, Publish=True
        )
    yield address
    for name in images:
        functions.delete_function(FunctionName=name)
    iam.delete_role(RoleName="function")
    functions.close()
    iam.close()
    server.stop()


def test_the_images_of_functions_and_their_versions_are_read(moto: str) -> None:
    source = LambdaSource(LambdaKeys(region=REGION, endpoint=moto, account=ACCOUNT))
    reading = source.read(Context(environ=ENVIRON, sleep=lambda _: None), allow_empty=False)
    assert reading.error is None
    assert {BY_TAG, BY_DIGEST} <= set(map(str, reading.references))
