"""AWS Lambda as boto3 meets it, as far as reading functions goes: REST and JSON, its limits enforced.

Functions are plain values that a test edits. Pages are smaller than asked for, so that few make several.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote

from tests.simulators.aws import ACCOUNT, Refusal, Role, shuffled
from tests.simulators.awsserver import REGION, AwsServer, Document
from tests.simulators.content import sha256
from tests.simulators.server import Answer, Request
from tests.simulators.started import Started, only_one
from tests.simulators.world import World

LATEST = "$LATEST"
MOST_LISTED = 50  # of a page, whatever is asked for

_PATH = re.compile(r"/2015-03-31/functions(?:/(?P<name>[^/]+)(?P<versions>/versions)?)?/?")


class Functions:
    """All functions of a region: by name and version, what ``GetFunction`` says of them."""

    def __init__(self, region: str = REGION, account: str = ACCOUNT) -> None:
        self.prefix = f"arn:aws:lambda:{region}:{account}:function"
        self.versions: dict[tuple[str, str], Document] = {}

    def image(self, name: str, uri: str, *, digest: str | None = None, version: str = LATEST) -> Document:
        """A function of an image, or a published version of it."""
        digest = digest or sha256(uri.encode())
        name_of = uri.partition("@")[0]
        before, colon, tag = name_of.rpartition(":")
        repository = before if colon and "/" not in tag else name_of
        code = {
            "RepositoryType": "ECR",
            "ImageUri": uri,
            "ResolvedImageUri": f"{repository}@{digest}",
        }
        return self._put(name, version, code, PackageType="Image", CodeSha256=digest.partition(":")[2])

    def zip(self, name: str, *, version: str = LATEST) -> Document:
        """A function of a .zip file."""
        code = {"RepositoryType": "S3", "Location": "https://bucket.example.com/zip?X-Amz-Signature=secret"}
        return self._put(name, version, code, PackageType="Zip", Runtime="python3.13", CodeSha256="c2hh")

    def delete(self, name: str) -> None:
        for key in [key for key in self.versions if key[0] == name]:
            del self.versions[key]

    def _put(self, name: str, version: str, code: Document, **configuration: Any) -> Document:
        told = {
            "FunctionName": name,
            "FunctionArn": f"{self.prefix}:{name}:{version}",
            "Version": version,
            "Environment": {"Variables": {"PASSWORD": "secret"}},
            **configuration,
        }
        document = {"Configuration": told, "Code": code, "Tags": {}}
        self.versions[name, version] = document
        return document


class LambdaServer(AwsServer):
    """One region."""

    service = "lambda"
    token = "NextMarker"
    denied_status = 403
    unknown_status = 404

    def __init__(
        self,
        functions: Functions | None = None,
        *,
        page: int = 2,
        roles: tuple[Role, ...] = (),
        world: World | None = None,
        port: int = 0,
    ) -> None:
        self.functions = functions or Functions()
        super().__init__(most=page, roles=roles, world=world, port=port)

    def operation(self, request: Request) -> str | None:
        found = _PATH.fullmatch(request.target.partition("?")[0])
        if request.method != "GET" or found is None:
            return None
        if found["versions"]:
            return "ListVersionsByFunction"
        return "GetFunction" if found["name"] else "ListFunctions"

    def refusal(self, refused: Refusal) -> Answer:
        """The code is in a header; a throttle is a 429."""
        code, status = refused.code, refused.status
        if code == "ThrottlingException":
            code, status = "TooManyRequestsException", 429
        elif code == "ServerException":
            code = "ServiceException"
        elif code == "InvalidParameterException":
            code = "InvalidParameterValueException"
        body = json.dumps({"Type": "User", "Message": str(refused)}).encode()
        headers = {"Content-Type": "application/json", "x-amzn-ErrorType": code}
        return Answer(status=status, headers=headers, body=body)

    def perform(self, operation: str, request: Request) -> Document:
        if operation == "ListVersionsByFunction":
            return self._list_versions(request)
        return self._list(request) if operation == "ListFunctions" else self._get(request)

    def _list(self, request: Request) -> Document:
        which = request.asked("FunctionVersion")
        if which not in {None, "ALL"}:
            raise _invalid(f"Value '{which}' at 'functionVersion' failed to satisfy constraint: [ALL]")
        keys = [key for key in self.functions.versions if which == "ALL" or key[1] == LATEST]
        page, marker = self._page(request, keys, f"functions {which}")
        listed = [self._listed(*key, qualified=which == "ALL") for key in page]
        return {"Functions": listed, "NextMarker": marker}

    def _list_versions(self, request: Request) -> Document:
        name = unquote(request.target.partition("?")[0].split("/")[3])
        keys = [key for key in self.functions.versions if key[0] == name]
        if not keys:
            raise self._missing(name, LATEST)
        page, marker = self._page(request, keys, f"versions {name}")
        return {"Versions": [self._listed(*key, qualified=True) for key in page], "NextMarker": marker}

    def _page(
        self, request: Request, keys: list[tuple[str, str]], query: str
    ) -> tuple[list[tuple[str, str]], str | None]:
        asked = request.asked("MaxItems") or str(MOST_LISTED)
        most = int(asked) if asked.isdigit() else 0
        if not 1 <= most <= 10_000:
            raise _invalid("Value at 'maxItems' failed to satisfy constraint: less than or equal to 10000")
        marker = request.asked("Marker")
        turn = {"maxResults": min(most, MOST_LISTED)} | ({} if marker is None else {"nextToken": marker})
        page, token = self.pages.page(sorted(map(json.dumps, keys), key=shuffled), turn, query)
        return [(name, version) for name, version in map(json.loads, page)], token.get("nextToken")

    def _listed(self, name: str, version: str, *, qualified: bool) -> Document:
        """A configuration: without the code, and of no version in particular unless all are listed."""
        told = dict(self.functions.versions[name, version]["Configuration"])
        return told if qualified else told | {"FunctionArn": f"{self.functions.prefix}:{name}"}

    def _get(self, request: Request) -> Document:
        found = _PATH.fullmatch(request.target.partition("?")[0])
        name = unquote(found["name"]) if found else ""
        version = request.asked("Qualifier") or LATEST
        document = self.functions.versions.get((name, version))
        if document is None:
            raise self._missing(name, version)
        return document

    def _missing(self, name: str, version: str) -> Refusal:
        arn = f"{self.functions.prefix}:{name}" + (f":{version}" if version != LATEST else "")
        return Refusal("ResourceNotFoundException", f"Function not found: {arn}", 404)


def _invalid(message: str) -> Refusal:
    return Refusal("InvalidParameterValueException", message)


def sample() -> Functions:
    """Some of everything."""
    functions = Functions()
    image = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/team/function"
    functions.zip("report")
    functions.image("resize", f"{image}:1.1")
    functions.image("resize", f"{image}:1.0", version="1")
    return functions


@contextmanager
def serve(world: World, port: int, flavour: str | None) -> Iterator[Started]:
    """The server that is started by hand; the world gives its faults alone."""
    only_one("Lambda", flavour)
    with LambdaServer(sample(), page=MOST_LISTED, world=world, port=port) as server:
        server.door.anybody = server.door.anywhere = True
        yield Started(address=server.address, facts={"region": server.region, "account": ACCOUNT})
