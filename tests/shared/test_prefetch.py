"""Items made in the background: their order, how far ahead, errors."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from milopyp_shared.errors import InputError
from milopyp_shared.prefetch import Behind, Workers, prefetch


def test_the_next_item_is_made_while_the_caller_has_this_one() -> None:
    """While the caller has item 0, item 1 is being made, and nothing further."""
    started = [threading.Event() for _ in range(4)]

    def work(item: int) -> int:
        started[item].set()
        return item * item

    found = prefetch(work(item) for item in range(4))
    assert next(found) == 0
    assert started[1].wait(5)
    assert not started[2].is_set()
    assert list(found) == [1, 4, 9]
    assert list(prefetch([])) == []


@pytest.mark.parametrize("ahead", [0, 1, 2, 7, 30])
def test_items_are_the_same_in_the_same_order(ahead: int) -> None:
    made: list[int] = []

    def numbers() -> Iterator[int]:
        for number in range(12):
            time.sleep(0.001)
            made.append(number)
            yield number

    lead = []
    for count, number in enumerate(prefetch(numbers(), ahead), 1):
        assert number == count - 1
        lead.append(len(made) - count)
        time.sleep(0.002)
    assert made == list(range(12)) == list(range(count))
    assert max(lead) <= ahead
    if ahead > 1:
        assert max(lead) > 0  # they are made while the consumer is busy


@pytest.mark.parametrize("ahead", [0, 1, 3])
def test_an_error_arrives_after_the_items_before_it(ahead: int) -> None:
    def numbers() -> Iterator[int]:
        yield from range(4)
        raise InputError("a broken place", where="tomogram")

    got = []
    with pytest.raises(InputError, match="a broken place"):
        for number in prefetch(numbers(), ahead):
            got.append(number)
    assert got == [0, 1, 2, 3]


def test_leaving_early_stops_the_preparation() -> None:
    made = []

    def numbers() -> Iterator[int]:
        for number in range(10**6):
            made.append(number)
            yield number

    items = prefetch(numbers(), 3)
    assert [next(items), next(items)] == [0, 1]
    items.close()  # type: ignore[attr-defined]
    count = len(made)
    time.sleep(0.02)
    assert len(made) == count <= 5


def test_an_item_is_finished_while_the_caller_has_the_next_one() -> None:
    may, done = [threading.Event() for _ in range(3)], []

    def work(item: int) -> None:
        assert may[item].wait(20)
        done.append(item)

    with Behind() as behind:
        behind.finish(lambda: work(0))
        assert not done  # the caller goes on
        may[0].set()
        behind.finish(lambda: work(1))
        assert done == [0]  # one at a time
        may[1].set()
        may[2].set()
        behind.finish(lambda: work(2))
    assert done == [0, 1, 2]
    assert not running()


def test_an_error_behind_comes_before_the_next_item_is_begun() -> None:
    done: list[int] = []
    with pytest.raises(ZeroDivisionError), Behind() as behind:
        behind.finish(lambda: 1 / 0)
        behind.finish(lambda: done.append(1))
    with pytest.raises(ZeroDivisionError), Behind() as behind:
        behind.finish(lambda: 1 / 0)
    assert not done
    assert not running()


def test_what_was_begun_is_finished_where_the_caller_breaks() -> None:
    done: list[int] = []
    with pytest.raises(KeyboardInterrupt), Behind() as behind:
        behind.finish(lambda: (time.sleep(0.05), done.append(0)))
        raise KeyboardInterrupt
    assert done == [0]


@pytest.mark.parametrize("threads", [1, 2, 3, 30])
def test_workers_keep_the_order_and_stop(threads: int) -> None:
    taken, at_once, where = 0, 0, set()

    def numbers() -> Iterator[int]:
        nonlocal taken
        for taken in range(1, 13):
            where.add(threading.current_thread())
            yield taken

    def square(number: int) -> int:
        time.sleep(0.002 * (number % 3))
        return number * number

    with Workers(threads) as workers:
        for count, found in enumerate(workers.map(square, numbers()), 1):
            assert found == count * count
            at_once = max(at_once, taken - count)
    assert count == 12
    assert at_once <= (threads if threads > 1 else 0)
    assert where == {threading.current_thread()}  # of what is read, nothing is read twice or at the same time
    assert not running()


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_an_error_of_a_worker_comes_in_its_place(threads: int) -> None:
    def broken(number: int) -> int:
        if number == 4:
            raise InputError("a broken place", where="tomogram")
        return number

    got = []
    with pytest.raises(InputError, match="a broken place"), Workers(threads) as workers:
        for number in workers.map(broken, workers.map(lambda number: number + 1, range(1000))):
            got.append(number)
    assert got == [1, 2, 3]
    assert not running()


def running() -> list[str]:
    return [
        thread.name for thread in threading.enumerate() if thread.name.startswith(("milopyp-work", "milopyp-behind"))
    ]
