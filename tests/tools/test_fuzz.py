"""Inputs that once had a fault, or that nobody has written: each reader answers with one line.

`python -m tests.fuzz` makes more of them; it keeps those with a fault in ``tests/fuzz/found``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest
from faults import verdict
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutation import Mutator, smaller
from readers import READERS

from sim.errors import ExperimentError

FOUND = Path(__file__).parents[1] / "fuzz" / "found"

#: Changed seeds that each reader gets here.
INPUTS = 60


@pytest.fixture(autouse=True)
def writes_bytecode() -> Iterator[None]:
    """What `readers` sets for this process, undone."""
    before = sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    yield
    sys.dont_write_bytecode = before


@pytest.mark.parametrize(
    "path", sorted(FOUND.glob("*/*")), ids=lambda path: f"{path.parent.name}-{path.name}"
)
def test_an_input_that_had_a_fault_has_none(path: Path) -> None:
    fault = verdict(path.parent.name, path.read_bytes()).fault
    assert fault is None, fault


@pytest.mark.parametrize("reader", READERS)
def test_seeds_are_understood(reader: str) -> None:
    answers = [verdict(reader, data) for data in READERS[reader].seeds()]
    assert [answer.fault for answer in answers if answer.fault is not None] == []
    understood = sum(not answer.answer for answer in answers)
    assert understood >= 1
    # What all others are made from must reach far into the reader.
    assert 2 * understood >= len(answers), [answer.answer for answer in answers]


@pytest.mark.parametrize("reader", READERS)
def test_changed_seeds_have_no_fault(reader: str) -> None:
    mutator = Mutator(Random(f"unit {reader}"), READERS[reader].seeds())
    for _ in range(INPUTS):
        data = mutator.make()
        assert verdict(reader, data).fault is None, data


@pytest.mark.parametrize("reader", READERS)
def test_any_bytes_have_no_fault(reader: str) -> None:
    @settings(
        max_examples=40,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(st.one_of(st.binary(max_size=200), st.text(max_size=100).map(_encoded)))
    def check(data: bytes) -> None:
        assert verdict(reader, data).fault is None

    check()


def test_a_fault_is_seen_and_its_input_made_small(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(data: bytes) -> None:
        if b"x" in data:
            raise LookupError(data)
        raise ExperimentError("")

    monkeypatch.setitem(READERS, "costs", READERS["costs"]._replace(read=read))

    def kind_of(data: bytes) -> str:
        fault = verdict("costs", data).fault
        return "" if fault is None else fault.kind

    assert kind_of(b"").startswith("an empty message from ")
    kind = kind_of(b"a" * 500 + b"x" + b"b" * 500)
    assert kind.startswith("LookupError in tests/tools/test_fuzz.py read()")
    assert smaller(b"a" * 500 + b"x" + b"b" * 500, kind, kind_of) == b"x"


@pytest.mark.parametrize(
    ("read", "kind"),
    [
        (lambda _: bytearray(300 * 2**20), "MemoryError"),
        (lambda _: any(False for _ in iter(int, 1)), "TooLongError"),
        (lambda _: sys.exit(3), "SystemExit"),
    ],
    ids=["memory", "time", "exit"],
)
def test_what_an_input_may_take_is_limited(
    read: Callable[[bytes], None], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(READERS, "costs", READERS["costs"]._replace(read=read))
    fault = verdict("costs", b"").fault
    assert fault is not None
    assert fault.kind.startswith(kind)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
