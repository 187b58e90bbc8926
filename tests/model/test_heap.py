"""The queue and the search that only compiled code uses, held to Python's own.

Interpreted, `heapq` and `bisect` take their place. So their sources are run here as if they were
compiled.
"""

from __future__ import annotations

import bisect as python
import heapq
from collections import deque
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.model.engine import heap
from sim.run import column

#: Of the repository: where the model is compiled, Python finds no source of a module.
ROOT = Path(__file__).parents[2]


def as_compiled(module: str) -> dict[str, Any]:
    """The names of a module whose file is not Python."""
    source = ROOT.joinpath(*module.split(".")).with_suffix(".py")
    names: dict[str, Any] = {"__file__": str(source.with_suffix(".so")), "__name__": module}
    exec(compile(source.read_text(encoding="utf-8"), str(source), "exec"), names)  # noqa: S102
    return names


HEAP = as_compiled("sim.model.engine.heap")


def nothing(_: Any) -> None:  # noqa: ANN401 - what is due takes anything
    """Is due."""


def test_it_is_told_from_the_interpreted_one() -> None:
    compiled = as_compiled(heap.__name__)
    assert compiled["COMPILED"]
    assert not heap.COMPILED
    assert compiled["push"] is not heapq.heappush


def test_a_thousand_that_are_due_come_in_the_order_of_heapq() -> None:
    random = Random(1)
    compare([random.randrange(99) for _ in range(1000)], 1)


# Few different times, so that many are due at the same one.
@given(st.lists(st.integers(0, 9)), st.integers(0, 2**32))
def test_what_is_due_comes_in_the_order_of_heapq(times: list[int], seed: int) -> None:
    compare(times, seed)


def compare(times: list[int], seed: int) -> None:
    """Push all, popping some meanwhile, into either queue."""
    random = Random(seed)
    entries: list[heap.Entry] = []
    expected: list[heap.Due] = []
    popped: list[tuple[heap.Due, heap.Due]] = []
    for number, time in enumerate(times):
        due = (float(time), number, nothing, number)
        HEAP["push"](entries, due)
        heapq.heappush(expected, due)
        assert entries[0][0] == expected[0][0]
        if random.random() < 0.4:
            popped.append((HEAP["pop"](entries), heapq.heappop(expected)))
    while expected:
        popped.append((HEAP["pop"](entries), heapq.heappop(expected)))
    assert not entries
    assert all(ours == theirs for ours, theirs in popped)


@given(st.lists(st.integers(-5, 5)), st.integers(-7, 7))
def test_the_place_of_a_key_is_that_of_bisect(keys: list[int], key: int) -> None:
    compare_places(keys, key)


@pytest.mark.parametrize("key", range(-2, 11))
def test_the_place_of_a_key_among_some_is_that_of_bisect(key: int) -> None:
    compare_places([0, 1, 1, 1, 4, 7, 9, 9], key)


@pytest.mark.parametrize("pops", [[1, 0, 3], [9] * 4, [0] * 5, [2, 5, 0, 1, 4]])
def test_a_queue_that_empties_and_fills_is_first_in_first_out(pops: list[int]) -> None:
    compare_queues(pops, 2)


@given(st.lists(st.integers(0, 3)), st.integers(0, 5))
def test_a_queue_is_first_in_first_out_as_deque_is(pops: list[int], at_first: int) -> None:
    compare_queues(pops, at_first)


def compare_queues(pops: list[int], at_first: int) -> None:
    """Append to either queue and pop from it, by turns."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(heap, "COMPILED", True)
        fifo = as_compiled("sim.model.engine.fifo")
    assert fifo["Fifo"] is not deque
    fifo["KEPT"] = 3
    queue, expected = fifo["Fifo"](), deque[int]()
    number = 0
    for times in (0, *pops):
        for number in range(number, number + at_first + 1):  # noqa: B020 - it goes on
            queue.append(number)
            expected.append(number)
        for _ in range(min(times, len(expected))):
            assert queue.popleft() == expected.popleft()
        assert (list(queue), len(queue), bool(queue)) == (
            list(expected),
            len(expected),
            bool(expected),
        )


@given(st.lists(st.floats(0, 9), min_size=1), st.lists(st.floats(0, 9)))
def test_the_first_of_a_heap_is_replaced_as_heapq_does(
    heap: list[float], items: list[float]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(column, "COMPILED", True)
        heapreplace = as_compiled("sim.run.ideal_queue")["heapreplace"]
    assert heapreplace is not heapq.heapreplace
    heapq.heapify(heap)
    expected = heap[:]
    for item in items:
        assert heapreplace(heap, item) == heapq.heapreplace(expected, item)
        # What is in it is the same; its order is only that of a heap.
        assert sorted(heap) == sorted(expected)


def compare_places(keys: list[int], key: int) -> None:
    """The place that compiled code finds, beside Python's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(heap, "COMPILED", True)
        bisect = as_compiled("sim.model.engine.ordered")["bisect"]
    assert bisect is not python.bisect
    assert bisect(sorted(keys), key) == python.bisect(sorted(keys), key)
