"""Turns at a scarce thing are taken in the order of arrival."""

import threading
from functools import partial

import pytest
from sqlalchemy.exc import TimeoutError as PoolTimeout

from core.kit.turns import Turns
from tests.factories.waiting import wait_until


def _is_waiting(turns: Turns, threads: int) -> bool:
    return len(turns._waiting) == threads


def test_whoever_came_first_is_served_first_and_nobody_who_comes_later_gets_in_between() -> None:
    turns = Turns(1, timeout_seconds=20)
    served: list[int] = []
    threads = []

    def take(number: int) -> None:
        with turns.turn():
            served.append(number)

    with turns.turn():
        for number in range(20):
            threads.append(threading.Thread(target=take, args=(number,)))
            threads[-1].start()
            wait_until(partial(_is_waiting, turns, number + 1), timeout_seconds=5, what="the thread")
    with turns.turn():
        served.append(99)
    for thread in threads:
        thread.join(5)
    assert served == [*range(20), 99]


def test_as_many_as_there_are_places_are_in_at_once() -> None:
    turns = Turns(3, timeout_seconds=5)
    inside = threading.Barrier(3)

    def take() -> None:
        with turns.turn():
            inside.wait(5)

    threads = [threading.Thread(target=take) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert not inside.broken


def test_who_waits_too_long_is_told_so_and_takes_no_place_away() -> None:
    waits: list[tuple[float, bool]] = []
    turns = Turns(1, timeout_seconds=0.05, waited=lambda seconds, served: waits.append((seconds, served)))
    with turns.turn():
        with pytest.raises(PoolTimeout, match=r"within 0\.05 s"), turns.turn():
            pass
        assert not turns._waiting
    with turns.turn():
        pass
    [(seconds, served)] = waits
    assert seconds >= 0.05
    assert not served


def test_a_place_comes_back_when_its_block_raises() -> None:
    turns = Turns(1, timeout_seconds=0.05)
    with pytest.raises(ValueError, match="inside"), turns.turn():
        raise ValueError("inside")
    with turns.turn():
        pass
