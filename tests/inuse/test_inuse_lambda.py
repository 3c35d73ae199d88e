from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from janitor.core.use import SourceReading
from janitor.inuse.interface import Context
from janitor.inuse.keys import LambdaKeys
from janitor.inuse.lambda_ import LambdaSource
from tests.inuse.amazon import ENVIRON
from tests.net.scripted import Time
from tests.simulators.aws import ACCOUNT, Role
from tests.simulators.awsserver import REGION
from tests.simulators.content import sha256
from tests.simulators.lambda_ import LambdaServer

APP = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/team/app"
SHA = sha256(b"a")
ROLE = f"arn:aws:iam::{ACCOUNT}:role/ops/janitor"


@pytest.fixture
def server() -> Iterator[LambdaServer]:
    with LambdaServer(roles=(Role(arn=ROLE, external_id="the-one"),)) as served:
        yield served


def read(
    server: LambdaServer, *, stop: threading.Event | None = None, time: Time | None = None, **keys: Any
) -> SourceReading:
    time = time or Time()
    source = LambdaSource(LambdaKeys(**{"region": REGION, "endpoint": server.address, **keys}))
    context = Context(
        environ=ENVIRON,
        sleep=time.sleep,
        clock=time.clock,
        random=lambda: 1.0,
        stop=stop or threading.Event(),
    )
    return source.read(context, allow_empty=False)


def names(reading: SourceReading) -> set[str]:
    assert reading.error is None
    return set(map(str, reading.references))


def error(reading: SourceReading) -> str:
    assert reading.error is not None
    return reading.error


def told(server: LambdaServer, uri: str, name: str = "resize", **extra: Any) -> set[str]:
    """A function of an image, and what must be said of it."""
    code = server.functions.image(name, uri, **extra)["Code"]
    return {code["ImageUri"], code["ResolvedImageUri"]}


# --- what counts


def test_the_image_of_a_function_counts_as_it_was_given_and_as_it_was_resolved(server: LambdaServer) -> None:
    server.functions.image("resize", f"{APP}:1.0", digest=SHA)
    assert names(read(server)) == {f"{APP}:1.0", f"{APP}@{SHA}"}


def test_every_published_version_counts(server: LambdaServer) -> None:
    expected = told(server, f"{APP}:1.2")
    for version in ("1", "2"):
        expected |= told(server, f"{APP}:1.{version}0", version=version)
    assert names(read(server)) == expected


def test_a_function_of_a_zip_file_names_no_image_and_is_not_asked_for(server: LambdaServer) -> None:
    server.functions.zip("report")
    expected = told(server, f"{APP}:1.0")
    assert names(read(server)) == expected
    assert len(server.asked_for("GetFunction")) == 1


def test_a_region_without_functions_of_images_is_an_answer_without_images(server: LambdaServer) -> None:
    server.functions.zip("report")
    reading = read(server)
    assert (reading.error, reading.references) == (None, ())


def test_an_image_that_was_given_by_digest_counts(server: LambdaServer) -> None:
    server.functions.image("resize", f"{APP}@{SHA}", digest=SHA)
    assert names(read(server)) == {f"{APP}@{SHA}"}


# --- whole or an error


def fill(server: LambdaServer, count: int = 7) -> set[str]:
    return set().union(*(told(server, f"{APP}:{n}", name=f"function-{n}") for n in range(count)))


def test_the_list_is_read_to_its_end(server: LambdaServer) -> None:
    expected = fill(server)
    assert names(read(server)) == expected
    assert len(server.asked_for("ListFunctions")) == 4


def test_empty_pages_and_pages_that_overlap_end_no_list(server: LambdaServer) -> None:
    expected = fill(server)
    server.pages.empty = server.pages.overlaps = True
    assert names(read(server)) == expected


@pytest.mark.parametrize("after", [0, 1])
@pytest.mark.parametrize("kind", ["repeated-page", "endless-page"])
def test_a_list_that_repeats_or_never_ends_closes(server: LambdaServer, kind: str, after: int) -> None:
    fill(server)
    server.world.fault(kind, match="ListFunctions", after=after, times=100)
    assert "the functions: " in error(read(server))
    assert server.asked_for("GetFunction") == []


def test_markers_that_come_round_close(server: LambdaServer) -> None:
    fill(server)
    server.pages.rounds = 2
    assert "never end" in error(read(server))


def test_a_marker_that_is_no_longer_taken_begins_the_list_anew(server: LambdaServer) -> None:
    expected = fill(server)
    server.pages.forgets = 1
    assert names(read(server)) == expected


def test_a_marker_that_is_never_taken_closes(server: LambdaServer) -> None:
    fill(server)
    server.pages.forgets = 100
    assert "cut off" in error(read(server))


@pytest.mark.parametrize("operation", ["ListFunctions", "GetFunction"])
@pytest.mark.parametrize("kind", ["reset", "cut", "cut-json", "error", "throttle", "gateway"])
def test_what_passes_is_asked_again(server: LambdaServer, kind: str, operation: str) -> None:
    expected = fill(server)
    server.world.fault(kind, match=operation, times=2)
    assert names(read(server)) == expected


@pytest.mark.parametrize("operation", ["ListFunctions", "GetFunction"])
@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"<html>", b'{"Functions": null, "Code": null}'])
def test_an_answer_without_what_it_is_about_closes(server: LambdaServer, operation: str, body: bytes) -> None:
    fill(server, 1)
    server.said[operation] = body
    assert "did not send the JSON that was expected" in error(read(server))


@pytest.mark.parametrize("kind", ["throttle", "reset", "error"])
def test_what_never_passes_closes(server: LambdaServer, kind: str) -> None:
    fill(server)
    server.world.fault(kind, match="GetFunction", times=10_000)
    assert "gave up after" in error(read(server))


def test_a_service_that_does_not_answer_is_asked_no_further(server: LambdaServer) -> None:
    fill(server, 60)
    server.world.fault("error", match="GetFunction", times=10_000)
    read(server)
    assert len({each.path for each in server.asked_for("GetFunction")}) < 60


def test_a_function_that_vanishes_meanwhile_runs_nothing(server: LambdaServer) -> None:
    expected = told(server, f"{APP}:1.0", name="stays")
    told(server, f"{APP}:2.0", name="goes")
    server.before["GetFunction"] = lambda: server.functions.delete("goes")
    assert names(read(server)) == expected


def test_a_right_that_is_missing_closes_and_names_it(server: LambdaServer) -> None:
    fill(server, 1)
    server.denied.add("ListFunctions")
    assert "lambda:ListFunctions" in error(read(server))
    server.denied = {"GetFunction"}
    assert "lambda:GetFunction" in error(read(server))


def test_one_function_that_can_not_be_read_closes_and_the_rest_protects(server: LambdaServer) -> None:
    expected = told(server, f"{APP}:1.0", name="told")
    server.functions.image("mute", f"{APP}:2.0")["Code"] = {"RepositoryType": "ECR"}
    reading = read(server)
    assert "mute:$LATEST is made of an image, but doesn't say of which" in error(reading)
    assert set(map(str, reading.references)) == expected


def test_nothing_secret_of_a_function_is_told(server: LambdaServer) -> None:
    server.functions.image("mute", f"{APP}:2.0")["Code"] = {"ImageUri": 7}
    assert "secret" not in error(read(server))


def test_nothing_is_asked_after_a_stop(server: LambdaServer) -> None:
    stop = threading.Event()
    stop.set()
    assert "asked to stop" in error(read(server, stop=stop))
    assert server.requests == []


# --- who asks


def test_a_role_is_taken_on(server: LambdaServer) -> None:
    expected = fill(server)
    assert names(read(server, role_arn=ROLE, external_id="the-one")) == expected
    assert server.door.callers == {f"arn:aws:sts::{ACCOUNT}:assumed-role/janitor/registry-janitor"}


def test_a_role_whose_credentials_expire_is_taken_on_again(server: LambdaServer) -> None:
    expected = fill(server)
    server.door.roles[ROLE] = Role(arn=ROLE, uses=2)
    assert names(read(server, role_arn=ROLE)) == expected
    assert server.door.taken_on > 1


def test_the_account_that_is_named_must_be_the_one_that_is_asked(server: LambdaServer) -> None:
    expected = fill(server)
    assert names(read(server, account=ACCOUNT)) == expected
    assert f"of account {ACCOUNT}, not of 210987654321" in error(read(server, account="210987654321"))


def test_without_credentials_it_is_closed_and_says_what_to_do(server: LambdaServer) -> None:
    fill(server)
    server.door.keys.clear()
    assert "the credentials are wrong" in error(read(server))


@pytest.mark.parametrize(
    ("keys", "name"),
    [
        ({}, "lambda: eu-west-1"),
        ({"account": ACCOUNT}, f"lambda: eu-west-1 of {ACCOUNT}"),
        ({"role_arn": ROLE}, f"lambda: eu-west-1 of {ROLE}"),
        ({"profile": "prod"}, "lambda: eu-west-1 of prod"),
    ],
)
def test_reports_call_it_by_its_region_and_whose_it_is(keys: dict[str, str], name: str) -> None:
    assert LambdaSource(LambdaKeys(region=REGION, **keys)).name == name


@pytest.mark.parametrize("keys", [{"account": "123"}, {"external_id": "x"}, {"endpoint": "nowhere"}], ids=min)
def test_keys_that_can_not_be_meant_are_refused(keys: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=min(keys)):
        LambdaKeys(region=REGION, **keys)
