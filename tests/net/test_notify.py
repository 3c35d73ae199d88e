from __future__ import annotations

import base64

import pytest

from janitor.errors import Denied, Gone, Malformed, RegistryError, Unreachable
from janitor.net.notify import LASTS_S, Timing, post
from tests.simulators.server import Answer, Foreign
from tests.simulators.truth import FaultKind
from tests.simulators.webhook import Webhook, parts


class Time:
    """Time that passes where somebody waits."""

    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def timing(self) -> Timing:
        return Timing(sleep=self.sleep, clock=lambda: self.now, random=lambda: 0.5)


@pytest.fixture
def time() -> Time:
    return Time()


def failure(url: str, time: Time) -> RegistryError:
    with pytest.raises(RegistryError) as raised:
        post(url, b"{}", environ={}, timing=time.timing())
    return raised.value


@pytest.mark.parametrize("status", [200, 202, 204])
def test_any_yes_is_a_yes(status: int, time: Time) -> None:
    with Webhook(Answer(status=status)) as hook:
        post(hook.url, b'{"a":1}', environ={}, timing=time.timing())
        (request,) = hook.requests
    assert request.body == b'{"a":1}'
    assert request.headers["content-type"] == "application/json"
    assert request.target == hook.url.removeprefix(hook.address)


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_what_may_pass_is_tried_again(status: int, time: Time) -> None:
    with Webhook(Answer(status=status), Answer(status=status)) as hook:
        post(hook.url, b"{}", environ={}, timing=time.timing())
        assert len(hook.requests) == 3


def test_it_waits_as_long_as_it_is_asked_to(time: Time) -> None:
    with Webhook(Answer(status=429, headers={"Retry-After": "7"})) as hook:
        post(hook.url, b"{}", environ={}, timing=time.timing())
    assert 7 <= time.now < 10


@pytest.mark.parametrize("answer", [Answer(status=503), Answer(status=429, headers={"Retry-After": "3600"})])
def test_it_gives_up_soon_whatever_it_is_asked_to(answer: Answer, time: Time) -> None:
    with Webhook(*[answer] * 100) as hook:
        error = failure(hook.url, time)
        assert 1 <= len(hook.requests) < 10
    assert time.now <= LASTS_S + 1
    assert str(answer.status) in error.message


@pytest.mark.parametrize(
    ("status", "kind"), [(400, Malformed), (403, Denied), (404, Gone), (410, Gone), (413, Malformed)]
)
def test_a_no_is_a_no_at_once_and_repeats_what_the_other_side_says(
    status: int, kind: type[RegistryError], time: Time
) -> None:
    with Webhook(Answer(status=status, body=b"no_service\x1b[2J")) as hook:
        error = failure(hook.url, time)
        assert len(hook.requests) == 1
    assert isinstance(error, kind)
    assert error.message == f"the webhook: {hook.host} answered {status}: no_service\\x1b[2J"


def test_a_page_that_is_answered_is_not_repeated(time: Time) -> None:
    with Webhook(Answer(status=404, body=b"<html><body>" + b"x" * 100_000)) as hook:
        assert failure(hook.url, time).message.endswith("answered 404")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status: int, time: Time) -> None:
    with Foreign() as foreign, Webhook(Answer(status=status, headers={"Location": foreign.address})) as hook:
        error = failure(hook.url, time)
        assert foreign.requests == []
        assert len(hook.requests) == 1
    assert "redirects a POST" in error.message
    assert not [part for part in parts(hook.url) if part in error.message]


@pytest.mark.parametrize(
    "answer",
    [
        Answer(status=404),
        Answer(status=302),
        Answer(status=500),
        Answer(status=400, body=b"x" * 100),
        Answer(status=200, body=b"x" * (1 << 20)),
    ],
)
def test_no_part_of_the_address_stands_in_an_error(answer: Answer, time: Time) -> None:
    with Webhook(*[answer] * 20) as hook:
        hook.answers = [
            Answer(
                status=answer.status,
                headers={"Location": f"{hook.url}/again"},
                body=answer.body + hook.url.encode() if answer.status >= 300 else answer.body,
            )
        ] * 20
        error = failure(hook.url, time)
    assert not [part for part in parts(hook.url) if part in error.message]
    assert error.__cause__ is None
    assert len(error.message) <= 300


def test_no_part_of_the_address_stands_in_an_error_of_the_network(time: Time) -> None:
    with Webhook() as hook:
        url = hook.url
    error = failure(url, time)  # nobody listens there any more
    assert isinstance(error, Unreachable)
    assert not [part for part in parts(url) if part in error.message]


@pytest.mark.parametrize(
    "url", ["https://[/services/T0A1B2C3D", "ftp://example.com/T0A1B2C3D", "https:///T0A1B2C3D", "T0A1B2C3D"]
)
def test_what_is_no_address_is_an_error_that_does_not_show_it(url: str, time: Time) -> None:
    assert "T0A1B2C3D" not in failure(url, time).message


@pytest.mark.parametrize("kind", [FaultKind.RESET, FaultKind.LOST_ANSWER, FaultKind.CUT])
def test_a_broken_connection_is_tried_again(kind: FaultKind, time: Time) -> None:
    with Webhook() as hook:
        hook.world.fault(kind)
        post(hook.url, b"{}", environ={}, timing=time.timing())
        assert len(hook.requests) == 2


def test_user_and_password_of_the_address_are_sent_as_such(time: Time) -> None:
    with Webhook(Answer(status=401, body=b"who is me? p%40ssword p@ssword")) as hook:
        error = failure(hook.url.replace("http://", "http://me:p%40ssword@"), time)
        (request,) = hook.requests
    assert request.headers["authorization"] == f"Basic {base64.b64encode(b'me:p@ssword').decode()}"
    assert "ssword" not in error.message


def test_an_answer_that_comes_too_slowly_is_given_up(time: Time) -> None:
    with Webhook() as hook:
        # As if a quarter of an hour passed between the request and its answer.
        timing = Timing(sleep=time.sleep, clock=lambda: 900.0 * len(hook.requests), random=lambda: 0.5)
        with pytest.raises(Unreachable, match=r"not taken in 30 s; at last: .* did not finish its answer"):
            post(hook.url, b"{}", environ={}, timing=timing)
        assert len(hook.requests) == 1
