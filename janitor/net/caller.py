"""The one place where a request waits its turn, is stopped, counted and retried.

Every request to a registry goes through its :class:`Caller`, whichever library sends it:

- **turn**: at most so many requests are in flight, and not more a second than the policy allows; once a
  registry says "too many", all of its callers pause, not only the one that was told;
- **stop**: once the run is asked to stop, no further request is sent; one in flight is waited for;
- **count**: by what it was for, each attempt of its own;
- **retry**: what a classifier calls throttled or transient is tried again after an exponential back-off with
  full jitter, or after the server's ``Retry-After``, as long as the registry's shared budget lasts: a
  registry that is down is asked a few hundred times, not a few times for each image.

Refreshing the credentials of an SDK is the one thing that goes past it.
"""

from __future__ import annotations

import random as _random
import threading
import time
from collections.abc import Callable
from enum import StrEnum
from typing import TypeVar

import msgspec

from janitor.core.report import RequestCounts
from janitor.errors import RegistryError, Stopped

T = TypeVar("T")

BACKOFF_BASE_S = 0.5
BACKOFF_CAP_S = 20.0
RETRY_AFTER_CAP_S = 120.0  # a server that wants more gets a request after this, and says so again
STOP_LOOK_S = 0.5  # how often a wait looks at the stop event
ATTEMPTS = 6  # of one request: 0.25 + 0.5 + 1 + 2 + 4 s on average
THROTTLED_ATTEMPTS = 10
RETRY_BUDGET = 200.0
RETRY_REFUND = 0.5  # what one success gives back: a registry that throttles every third request goes on


class Purpose(StrEnum):
    """What a request is for, as reports count it."""

    LIST = "list"
    DELETE = "delete"
    OTHER = "other"


class Kind(StrEnum):
    """What a failure means for the one who asked."""

    THROTTLED = "throttled"
    TRANSIENT = "transient"
    GONE = "gone"
    REFUSED = "refused"
    DENIED = "denied"
    FINAL = "final"


_RETRIED = frozenset({Kind.THROTTLED, Kind.TRANSIENT})


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """A classified failure: what it means, and the error that is raised when it isn't retried.

    ``retry_after``: seconds that the server asked to wait, or ``None``. ``patience``: so long at most; a
    request after that is told again how long.
    """

    kind: Kind
    error: RegistryError
    retry_after: float | None = None
    patience: float = RETRY_AFTER_CAP_S


class Trouble(Exception):
    """A failure that carries its own verdict; what this package's own HTTP raises inside a call."""

    def __init__(
        self,
        kind: Kind,
        error: RegistryError,
        *,
        retry_after: float | None = None,
        patience: float = RETRY_AFTER_CAP_S,
    ) -> None:
        super().__init__(str(error))
        self.verdict = Verdict(kind=kind, error=error, retry_after=retry_after, patience=patience)


def classify_trouble(exc: Exception) -> Verdict | None:
    """Classify what classifies itself; anything else is a mistake of ours and goes on as it is."""
    return exc.verdict if isinstance(exc, Trouble) else None


class Caller:
    """The gate before one registry.

    ``requests_per_second``: ``None`` for no such limit. ``stop``, ``sleep``, ``clock`` and ``random`` as in
    the run's context. Used from many threads.
    """

    def __init__(
        self,
        *,
        concurrency: int = 16,
        requests_per_second: float | None = None,
        stop: threading.Event | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = _random.random,
    ) -> None:
        self.concurrency = max(1, concurrency)
        self._places = threading.BoundedSemaphore(self.concurrency)
        self._interval = 1.0 / requests_per_second if requests_per_second else 0.0
        self._stop = stop or threading.Event()
        self._sleep = sleep
        self._clock = clock
        self._random = random
        self._lock = threading.Lock()
        self._next_slot = 0.0
        self._paused_until = 0.0
        self._budget = RETRY_BUDGET
        self._counts = dict.fromkeys(Purpose, 0)
        self._retries = 0

    def call(
        self,
        fn: Callable[[], T],
        *,
        purpose: Purpose,
        classify: Callable[[Exception], Verdict | None] = classify_trouble,
        turns: int = 1,
        finishing: bool = False,
    ) -> T:
        """Call ``fn``, which sends one request, and return what it returns.

        ``classify`` turns what ``fn`` raised into a verdict; ``None`` lets the exception pass. ``turns``: as
        how many requests a second it counts, where a registry weighs them. ``finishing``: it ends what was
        begun (asks what became of a change that was sent), and is sent after a stop too. Raises Stopped when
        nothing was sent, or nothing that may have been done; else the verdict's error.
        """
        attempt = 0
        unanswered: RegistryError | None = None
        while True:
            attempt += 1
            try:
                result = self._send(fn, purpose, turns, finishing=finishing)
            except Stopped as stopped:
                raise unanswered or stopped from None
            except Exception as exc:
                verdict = classify(exc)
                if verdict is None:
                    raise
                if not self._may_retry(verdict, attempt):
                    raise _last_word(verdict, attempt) from exc
            else:
                self._refund()
                return result
            if purpose is Purpose.DELETE and verdict.kind is Kind.TRANSIENT:
                unanswered = verdict.error
            try:
                self._wait(self._delay(verdict, attempt), finishing=finishing)
            except Stopped as stopped:
                raise unanswered or stopped from None

    @property
    def requests(self) -> RequestCounts:
        """Requests so far, retries counted in."""
        with self._lock:
            return RequestCounts(**{purpose.value: count for purpose, count in self._counts.items()})

    @property
    def retries(self) -> int:
        """Requests so far that were sent again."""
        return self._retries

    def _send(self, fn: Callable[[], T], purpose: Purpose, turns: int, *, finishing: bool) -> T:
        with self._places:
            self._take_turn(turns, finishing=finishing)
            with self._lock:
                self._counts[purpose] += 1
            return fn()

    def _take_turn(self, turns: int, *, finishing: bool) -> None:
        while True:
            with self._lock:
                now = self._clock()
                ready = max(now, self._paused_until)
                if self._interval:
                    ready = max(ready, self._next_slot)
                    self._next_slot = ready + turns * self._interval
            if ready <= now:
                self._look_at_stop(finishing=finishing)
                return
            self._wait(ready - now, finishing=finishing)
            if self._interval or self._paused_until <= ready:
                return

    def _wait(self, seconds: float, *, finishing: bool) -> None:
        """Sleep, but not past a stop."""
        self._look_at_stop(finishing=finishing)
        while seconds > 0:
            step = min(seconds, STOP_LOOK_S)
            self._sleep(step)
            seconds -= step
            self._look_at_stop(finishing=finishing)

    def _look_at_stop(self, *, finishing: bool) -> None:
        if self._stop.is_set() and not finishing:
            raise Stopped("the run was asked to stop before this request was sent")

    def _may_retry(self, verdict: Verdict, attempt: int) -> bool:
        if verdict.kind not in _RETRIED:
            return False
        if attempt >= (THROTTLED_ATTEMPTS if verdict.kind is Kind.THROTTLED else ATTEMPTS):
            return False
        with self._lock:
            if self._budget < 1:
                return False
            self._budget -= 1
            self._retries += 1
        return True

    def _refund(self) -> None:
        if self._budget < RETRY_BUDGET:
            with self._lock:
                self._budget = min(RETRY_BUDGET, self._budget + RETRY_REFUND)

    def _delay(self, verdict: Verdict, attempt: int) -> float:
        jitter = self._random() * min(BACKOFF_CAP_S, BACKOFF_BASE_S * 2.0 ** (attempt - 1))
        asked = min(verdict.retry_after or 0.0, verdict.patience)
        if verdict.kind is not Kind.THROTTLED:
            return max(jitter, asked)
        with self._lock:
            self._paused_until = max(self._paused_until, self._clock() + asked)
        return asked + jitter


def _last_word(verdict: Verdict, attempts: int) -> RegistryError:
    if verdict.kind not in _RETRIED or attempts == 1:
        return verdict.error
    return type(verdict.error)(f"{verdict.error} (gave up after {attempts} attempts)")
