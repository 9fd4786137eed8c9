"""Turns at a scarce thing are taken in the order of arrival."""

import threading
from functools import partial

import pytest
from sqlalchemy.exc import TimeoutError as PoolTimeout

from core.kit.fair_semaphore import FairSemaphore
from tests.factories.waiting import wait_until


def _is_waiting(semaphore: FairSemaphore, threads: int) -> bool:
    return len(semaphore._waiting) == threads


def test_threads_are_served_in_the_order_of_their_arrival() -> None:
    semaphore = FairSemaphore(1, timeout_seconds=20)
    served: list[int] = []
    threads = []

    def take(number: int) -> None:
        with semaphore.slot():
            served.append(number)

    with semaphore.slot():
        for number in range(20):
            threads.append(threading.Thread(target=take, args=(number,)))
            threads[-1].start()
            wait_until(partial(_is_waiting, semaphore, number + 1), timeout_seconds=5, what="the thread")
    with semaphore.slot():
        served.append(99)
    for thread in threads:
        thread.join(5)
    assert served == [*range(20), 99]


def test_as_many_as_there_are_places_are_in_at_once() -> None:
    semaphore = FairSemaphore(3, timeout_seconds=5)
    inside = threading.Barrier(3)

    def take() -> None:
        with semaphore.slot():
            inside.wait(5)

    threads = [threading.Thread(target=take) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert not inside.broken


def test_who_waits_too_long_gets_an_error_and_takes_no_place_away() -> None:
    waits: list[tuple[float, bool]] = []
    semaphore = FairSemaphore(1, timeout_seconds=0.05, waited=lambda seconds, served: waits.append((seconds, served)))
    with semaphore.slot():
        with pytest.raises(PoolTimeout, match=r"within 0\.05 s"), semaphore.slot():
            pass
        assert not semaphore._waiting
    with semaphore.slot():
        pass
    [(seconds, served)] = waits
    assert seconds >= 0.05
    assert not served


def test_a_place_comes_back_when_its_block_raises() -> None:
    semaphore = FairSemaphore(1, timeout_seconds=0.05)
    with pytest.raises(ValueError, match="inside"), semaphore.slot():
        raise ValueError("inside")
    with semaphore.slot():
        pass
