"""Work for the next item while the caller is busy with this one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

_T = TypeVar("_T")


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
