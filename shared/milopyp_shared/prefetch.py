"""Work for the next item, or the last one, while the caller is busy with this one, and for several at the same time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, TypeVar

_T = TypeVar("_T")
_R = TypeVar("_R")


def prefetch(items: Iterable[_T], ahead: int = 1) -> Iterator[_T]:
    """The same items in the same order, up to `ahead` of them made by a background thread beforehand.

    An error in making an item comes when the item is asked for; 0 makes each when it is asked for.
    """
    if ahead < 1:
        yield from items
        return
    source, end = iter(items), object()
    with ThreadPoolExecutor(1, thread_name_prefix="milopyp-ahead") as thread:
        waiting: list[Future[Any]] = [thread.submit(next, source, end) for _ in range(ahead)]
        while (item := waiting.pop(0).result()) is not end:
            waiting.append(thread.submit(next, source, end))
            yield item


class Behind:
    """A thread that finishes an item while the caller goes on to the next: one at a time, in their order.

    As a context manager it waits for what was begun, even where the caller ends with an error, which then hides one of
    the thread's. A second Ctrl-C ends the waiting.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="milopyp-behind")
        self._last: Future[Any] | None = None

    def __enter__(self) -> Behind:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            if kind is None:
                self._wait()
        finally:
            self._pool.shutdown()

    def finish(self, work: Callable[[], object]) -> None:
        """Begin `work` when what was begun before is finished; an error of that is raised here, and `work` not done."""
        self._wait()
        self._last = self._pool.submit(work)

    def _wait(self) -> None:
        last, self._last = self._last, None
        if last is not None:
            last.result()


class Workers:
    """Threads that work on several items at the same time; as a context manager it leaves none of them running.

    Parameters
    ----------
    threads
        How many; with 1 the caller does all by itself.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="milopyp-work") if threads > 1 else None

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def map(self, function: Callable[[_T], _R], items: Iterable[_T]) -> Iterator[_R]:
        """`function` of each item in their order, for as many at a time as there are threads.

        The caller's thread takes the items, so that they may themselves be results of another `map`. An error comes in
        the place of its item.
        """
        if self._pool is None:
            yield from map(function, items)
            return
        waiting: deque[Future[_R]] = deque()
        for item in items:
            waiting.append(self._pool.submit(function, item))
            if len(waiting) > self._threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
