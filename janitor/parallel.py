"""The only thread pool of the tool: a function over many items, answers in the order of the items.

- Results come in the order of the items, whatever finishes first: output doesn't depend on timing.
- At most ``ahead`` items are begun before the first answer that wasn't taken yet: memory stays bounded.
- The first exception, an interrupt, or a consumer that leaves cancels what has not begun; what has begun is
  waited for, so that no thread works on behind the caller's back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sized
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def each(fn: Callable[[T], R], items: Iterable[T], *, workers: int, ahead: int | None = None) -> Iterator[R]:
    """Yield ``fn(item)`` of every item, in their order, computed by up to ``workers`` threads.

    ``ahead``: how many items may be begun before their turn; default four times the workers, so that one
    slow answer doesn't let the others idle. Raises what ``fn`` raised first in the order of the items.
    """
    if isinstance(items, Sized):
        workers = min(workers, len(items))
    if workers <= 1:
        return map(fn, items)
    return _threaded(fn, items, workers, max(workers, 4 * workers if ahead is None else ahead))


def _threaded(fn: Callable[[T], R], items: Iterable[T], workers: int, ahead: int) -> Iterator[R]:
    pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="janitor")
    pending: deque[Future[R]] = deque()
    source = iter(items)
    try:
        pending.extend(pool.submit(fn, item) for item in islice(source, ahead))
        while pending:
            result = pending.popleft().result()
            pending.extend(pool.submit(fn, item) for item in islice(source, 1))
            yield result
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
