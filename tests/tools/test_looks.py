"""What is measured together: each subject once, in its group, and again where it surprises.

Goal: no measurement is lost, repeated for nothing, or beside more than it may be. Method: subjects
that take a moment and say who else was under way, in place of servers.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

import looks
import pytest
from exhibits import needed
from looks import Measured, Measurements, looks_together


class Crowd:
    """Subjects that are under way at the same time.

    Attributes:
        most: of them, so far, in the group of each.
        order: of the subjects, as they began.
    """

    def __init__(self) -> None:
        self.most: dict[str, int] = {"many": 0, "few": 0}
        self.order: list[str] = []
        self._lock = Lock()
        self._under_way: list[str] = []

    @contextmanager
    def member(self, name: str) -> Iterator[None]:
        """One of them is under way in the block; those of the other group are not."""
        group = name.split(maxsplit=1)[0]
        with self._lock:
            self.order.append(name)
            self._under_way.append(name)
            assert all(it.startswith(group) for it in self._under_way), self._under_way
            self.most[group] = max(self.most[group], len(self._under_way))
        yield
        with self._lock:
            self._under_way.remove(name)


@pytest.fixture
def crowd(monkeypatch: pytest.MonkeyPatch) -> Crowd:
    monkeypatch.setattr(looks, "START", 0.0)
    return Crowd()


def group(crowd: Crowd, name: str, number: int, **more: object) -> Measured[str, int]:
    """Some subjects, whose names are what is measured; it is their length."""

    def measure(subject: str) -> int:
        with crowd.member(subject):
            time.sleep(0.02)
        return len(subject)

    subjects = {f"{name} {it}": f"{name} {it}" for it in range(number)}
    return Measured(Measurements(measure, subjects, seconds=len, **more))  # type: ignore[arg-type]


def test_few_follow_many_and_keep_to_their_numbers(crowd: Crowd) -> None:
    many, few = group(crowd, "many", 9), group(crowd, "few", 7, few=True)
    with looks_together(([many], 4), ([few], 2)):
        assert [few[name] for name in few.names] == [5] * 7
        assert [many[name] for name in many.names] == [6] * 9
    assert crowd.most == {"many": 4, "few": 2}
    assert sorted(crowd.order) == sorted([*many.names, *few.names])
    assert many.left_over() == []


@pytest.mark.parametrize("few", [False, True])
def test_what_surprises_is_measured_once_more(crowd: Crowd, few: bool) -> None:
    surprising = group(
        crowd, "many", 4, few=few, surprises=lambda name, seen: name == f"many {seen % 4}"
    )
    with looks_together(([surprising], 2)):
        assert surprising["many 2"] == 6
    assert sorted(crowd.order) == ["many 0", "many 1", "many 2", "many 2", "many 3"]


def test_an_error_is_of_its_subject_only(crowd: Crowd) -> None:
    def measure(subject: int) -> float:
        return 1 / subject

    del crowd
    parts = Measured(Measurements(measure, {"none": 0, "half": 2}, seconds=float))
    with looks_together(([parts], 2)):
        assert parts["half"] == 0.5
        with pytest.raises(ZeroDivisionError):
            parts["none"]


def test_long_and_short_take_turns() -> None:
    assert looks._in_turns([9, 7, 5, 3, 1]) == [9, 1, 7, 3, 5]
    assert looks._in_turns([9, 7, 5, 3]) == [9, 3, 7, 5]
    assert looks._in_turns([9]) == [9]


@pytest.mark.parametrize("name", ["one", "other"])
def test_a_choice_of_tests_needs_what_they_name(request: pytest.FixtureRequest, name: str) -> None:
    test = request.node
    assert isinstance(test, pytest.Function)
    subjects = {"one": 1, ("other", 0): 2, ("other", 1): 3, ("one", "other"): 4}
    chosen = {"one": [1], "other": [2, 3]}[name]
    assert [*needed(subjects, [test]).values()] == chosen
    # Its parameters are words of no name.
    assert needed({"third": 5}, [test]) == {"third": 5}
