"""The gate: turn, stop, count, retry."""

from __future__ import annotations

import threading
import time as real_time
from collections.abc import Callable

import pytest

from janitor.core.report import RequestCounts
from janitor.errors import Denied, Gone, Refused, RegistryError, Stopped, Unreachable
from janitor.net.caller import ATTEMPTS, RETRY_AFTER_CAP_S, RETRY_BUDGET, Caller, Kind, Purpose, Trouble
from tests.net.scripted import Time, caller

Fn = Callable[[], str]


def failing(times: int, kind: Kind = Kind.TRANSIENT, retry_after: float | None = None) -> Fn:
    """A request that fails so many times, then answers."""
    left = times

    def send() -> str:
        nonlocal left
        if left:
            left -= 1
            raise Trouble(kind, Unreachable("no"), retry_after=retry_after)
        return "yes"

    return send


def call(gate: Caller, fn: Fn, purpose: Purpose = Purpose.LIST) -> str:
    return gate.call(fn, purpose=purpose)


@pytest.mark.parametrize("kind", [Kind.TRANSIENT, Kind.THROTTLED])
def test_what_passes_is_tried_again(kind: Kind) -> None:
    gate = caller()
    assert call(gate, failing(3, kind)) == "yes"
    assert gate.retries == 3


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (Kind.GONE, Gone("x")),
        (Kind.REFUSED, Refused("x")),
        (Kind.DENIED, Denied("x")),
        (Kind.FINAL, Unreachable("x")),
    ],
)
def test_what_does_not_pass_is_raised_at_once_as_it_is(kind: Kind, error: RegistryError) -> None:
    gate = caller()

    def send() -> str:
        raise Trouble(kind, error)

    with pytest.raises(type(error)) as raised:
        call(gate, send)
    assert raised.value is error
    assert gate.requests == RequestCounts(list=1)


def test_it_gives_up_and_says_after_how_many_attempts() -> None:
    with pytest.raises(Unreachable, match=f"gave up after {ATTEMPTS} attempts"):
        call(caller(), failing(1000))


def test_back_off_doubles_up_to_its_jitter() -> None:
    time = Time()
    call(caller(time), failing(4))
    assert time.now == pytest.approx(0.5 + 1 + 2 + 4)


def test_jitter_goes_down_to_nothing() -> None:
    time = Time()
    gate = Caller(sleep=time.sleep, clock=time.clock, random=lambda: 0.0)
    call(gate, failing(4))
    assert time.now == 0


@pytest.mark.parametrize("kind", [Kind.TRANSIENT, Kind.THROTTLED])
def test_what_the_server_asks_to_wait_is_waited(kind: Kind) -> None:
    time = Time()
    call(caller(time), failing(1, kind, retry_after=30))
    assert 30 <= time.now < 40


def test_what_the_server_asks_to_wait_is_capped() -> None:
    time = Time()
    call(caller(time), failing(1, Kind.THROTTLED, retry_after=86_400))
    assert RETRY_AFTER_CAP_S <= time.now < RETRY_AFTER_CAP_S + 20


def test_a_registry_with_patience_of_its_own_is_waited_for_longer() -> None:
    time = Time()
    told: list[str] = []

    def throttled() -> str:
        if told:
            return "yes"
        told.append("once")
        raise Trouble(Kind.THROTTLED, Unreachable("spent"), retry_after=3000, patience=3600)

    assert call(caller(time), throttled) == "yes"
    assert 3000 <= time.now < 3020


def test_once_one_is_told_to_slow_down_all_wait() -> None:
    time = Time()
    gate = caller(time)
    told = threading.Event()

    def throttled() -> str:
        if not told.is_set():
            told.set()
            raise Trouble(Kind.THROTTLED, Unreachable("slow down"), retry_after=50)
        return "yes"

    waited: list[float] = []

    def sleep(seconds: float) -> None:
        if not waited:
            waited.append(time.now)
            # another caller comes while this one waits
            assert call(gate, lambda: "other") == "other"
            waited.append(time.now)
        time.sleep(seconds)

    gate._sleep = sleep
    assert call(gate, throttled) == "yes"
    assert waited[1] - waited[0] >= 50


def test_a_registry_that_is_down_costs_a_bounded_number_of_retries() -> None:
    gate = caller()
    for _ in range(1000):
        with pytest.raises(Unreachable):
            call(gate, failing(1000))
    assert gate.retries == RETRY_BUDGET
    assert gate.requests.list == 1000 + RETRY_BUDGET


def test_success_refills_the_budget() -> None:
    gate = caller()
    for _ in range(200):
        with pytest.raises(Unreachable):
            call(gate, failing(1000))
    spent = gate.retries
    for _ in range(100):
        call(gate, failing(0))
    assert call(gate, failing(2)) == "yes"
    assert gate.retries == spent + 2


def test_each_attempt_is_counted_by_its_purpose() -> None:
    gate = caller()
    call(gate, failing(2), Purpose.LIST)
    call(gate, failing(1), Purpose.DELETE)
    call(gate, failing(0), Purpose.OTHER)
    assert gate.requests == RequestCounts(list=3, delete=2, other=1)
    assert gate.retries == 3


def test_once_stopped_nothing_is_sent() -> None:
    stop = threading.Event()
    stop.set()
    gate = caller(stop=stop)
    with pytest.raises(Stopped):
        call(gate, lambda: pytest.fail("sent"))
    assert gate.requests == RequestCounts()


def test_what_ends_a_change_that_was_begun_is_sent_after_a_stop_too() -> None:
    stop = threading.Event()
    stop.set()
    gate = caller(stop=stop)
    assert gate.call(failing(2), purpose=Purpose.OTHER, finishing=True) == "yes"
    assert gate.requests == RequestCounts(other=3)


def test_a_stop_ends_the_waiting_for_a_retry() -> None:
    stop = threading.Event()
    time = Time()
    gate = Caller(sleep=lambda _: stop.set(), clock=time.clock, random=lambda: 1.0, stop=stop)
    with pytest.raises(Stopped):
        call(gate, failing(5))
    assert gate.requests == RequestCounts(list=1)


def test_a_delete_whose_answer_was_lost_is_no_delete_that_was_never_sent() -> None:
    stop = threading.Event()
    gate = Caller(sleep=lambda _: stop.set(), clock=Time().clock, random=lambda: 1.0, stop=stop)
    with pytest.raises(Unreachable):
        call(gate, failing(5), Purpose.DELETE)


def test_a_delete_that_was_throttled_was_not_done() -> None:
    stop = threading.Event()
    gate = Caller(sleep=lambda _: stop.set(), clock=Time().clock, random=lambda: 1.0, stop=stop)
    with pytest.raises(Stopped):
        call(gate, failing(5, Kind.THROTTLED), Purpose.DELETE)


def test_a_mistake_of_ours_is_not_retried_and_not_hidden() -> None:
    gate = caller()

    def send() -> str:
        raise KeyError("ours")

    with pytest.raises(KeyError):
        call(gate, send)
    assert gate.requests == RequestCounts(list=1)


def test_requests_a_second_are_spread() -> None:
    time = Time()
    gate = caller(time, requests_per_second=4)
    for _ in range(9):
        call(gate, failing(0))
    assert time.now == pytest.approx(2.0)


def test_a_request_that_weighs_more_takes_more_turns() -> None:
    time = Time()
    gate = caller(time, requests_per_second=4)
    for _ in range(3):
        gate.call(failing(0), purpose=Purpose.DELETE, turns=4)
    assert time.now == pytest.approx(2.0)


def test_no_more_than_so_many_are_in_flight() -> None:
    gate = caller(concurrency=3)
    lock = threading.Lock()
    now = most = 0

    def send() -> str:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        real_time.sleep(0.005)
        with lock:
            now -= 1
        return ""

    threads = [threading.Thread(target=call, args=(gate, send)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most <= 3
