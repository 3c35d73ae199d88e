"""What botocore raises is told once, in this project's words."""

from __future__ import annotations

import pytest
from botocore import exceptions as boto
from botocore.parsers import ResponseParserError

from janitor.errors import Denied, Gone, Malformed, Refused, RegistryError, Unreachable
from janitor.net.aws import SAID_LIMIT, classify
from janitor.net.caller import Kind, Trouble, Verdict

HOST = "https://ecr.example.com"


def told(exc: Exception) -> Verdict:
    meanings = {"OddException": (Kind.REFUSED, Refused)}
    verdict = classify(exc, what="the images of team/app", service="ecr", meanings=meanings)
    assert verdict is not None
    assert verdict.error.message.startswith("the images of team/app")
    return verdict


def answered(code: str, status: int = 400, message: str = "said") -> boto.ClientError:
    response = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return boto.ClientError(response, "DescribeImages")


@pytest.mark.parametrize(
    ("code", "status", "kind", "error"),
    [
        ("ThrottlingException", 400, Kind.THROTTLED, Unreachable),
        ("TooManyRequestsException", 429, Kind.THROTTLED, Unreachable),
        ("429", 429, Kind.THROTTLED, Unreachable),
        ("ServerException", 500, Kind.TRANSIENT, Unreachable),
        ("503", 503, Kind.TRANSIENT, Unreachable),
        ("ServiceUnavailableException", 400, Kind.TRANSIENT, Unreachable),
        ("AccessDeniedException", 400, Kind.DENIED, Denied),
        ("403", 403, Kind.DENIED, Denied),
        ("ExpiredTokenException", 400, Kind.DENIED, Denied),
        ("InvalidSignatureException", 403, Kind.DENIED, Denied),
        ("RepositoryNotFoundException", 400, Kind.GONE, Gone),
        ("OddException", 400, Kind.REFUSED, Refused),
        ("LimitExceededException", 400, Kind.FINAL, Malformed),
        # A proxy's own page says nothing of what was asked for.
        ("404", 404, Kind.FINAL, Malformed),
        ("", 400, Kind.FINAL, Malformed),
    ],
)
def test_an_error_code_has_one_meaning(
    code: str, status: int, kind: Kind, error: type[RegistryError]
) -> None:
    verdict = told(answered(code, status))
    assert (verdict.kind, type(verdict.error)) == (kind, error)


@pytest.mark.parametrize(
    "exc",
    [
        boto.EndpointConnectionError(endpoint_url=HOST),
        boto.ConnectTimeoutError(endpoint_url=HOST),
        boto.ReadTimeoutError(endpoint_url=HOST),
        boto.ConnectionClosedError(endpoint_url=HOST),
        boto.ProxyConnectionError(proxy_url="http://proxy.example.com"),
        boto.HTTPClientError(error="odd"),
        boto.SSLError(endpoint_url=HOST, error="EOF occurred"),
    ],
    ids=lambda exc: type(exc).__name__,
)
def test_a_connection_that_fails_is_tried_again(exc: Exception) -> None:
    verdict = told(exc)
    assert (verdict.kind, type(verdict.error)) == (Kind.TRANSIENT, Unreachable)


def test_a_certificate_that_is_not_trusted_is_final_and_names_the_way_out() -> None:
    verdict = told(boto.SSLError(endpoint_url=HOST, error="[SSL: CERTIFICATE_VERIFY_FAILED]"))
    assert verdict.kind is Kind.FINAL
    assert "SSL_CERT_FILE" in verdict.error.message


@pytest.mark.parametrize(
    "exc",
    [
        boto.NoCredentialsError(),
        boto.PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY"),
        boto.ProfileNotFound(profile="nobody"),
        boto.CredentialRetrievalError(provider="sso", error_msg="log in"),
    ],
    ids=lambda exc: type(exc).__name__,
)
def test_what_keeps_credentials_from_being_found_is_denied(exc: Exception) -> None:
    assert isinstance(told(exc).error, Denied)


def test_an_answer_that_botocore_can_not_read_is_asked_for_again() -> None:
    assert told(ResponseParserError("no XML")).kind is Kind.TRANSIENT


def test_only_the_first_line_of_what_aws_says_is_told() -> None:
    message = told(answered("InvalidSignatureException", 403, "wrong\n\nx-amz-security-token:SECRET")).error
    assert "SECRET" not in message.message
    assert len(told(answered("Odd", 400, "x" * 10_000)).error.message) < SAID_LIMIT + 100


def test_a_throttle_waits_for_as_long_as_it_is_told_and_a_second_at_least() -> None:
    exc = answered("ThrottlingException")
    assert told(exc).retry_after == 1.0
    exc.response["ResponseMetadata"]["HTTPHeaders"] = {"retry-after": "7"}
    assert told(exc).retry_after == 7.0


def test_what_has_a_verdict_keeps_it_and_a_mistake_of_ours_is_none() -> None:
    trouble = Trouble(Kind.GONE, Gone("the images of team/app"))
    assert told(trouble) is trouble.verdict
    assert classify(KeyError("x"), what="x", service="ecr") is None


def test_a_parameter_that_boto3_refuses_is_named() -> None:
    report = "Invalid length for parameter ExternalId, value: 1, valid min length: 2"
    assert report in told(boto.ParamValidationError(report=report)).error.message
