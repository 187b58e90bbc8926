"""A queue of connections, first come first served.

As in `sim.model.engine.heap`: interpreted, Python's `deque` is fastest; compiled, this is faster.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, final

from sim.model.engine.heap import COMPILED

if TYPE_CHECKING:
    from mypy_extensions import i64

    from sim.model.connection import Connection

#: Places of connections that have left which are kept before the list is cut.
KEPT: Final = 1024


@final
class Fifo:
    """The methods of `collections.deque` that a queue needs.

    Most queues have one connection at most: that is not in a list, which would give its memory back
    whenever it is empty.

    State: ``_first`` (the connection that has waited longest; None of an empty queue), ``_others``,
    of which those before ``_head`` have left.
    """

    __slots__ = ("_first", "_head", "_others")

    def __init__(self) -> None:
        self._first: Connection | None = None
        self._others: list[Connection] = []
        self._head: i64 = 0

    def __len__(self) -> int:
        return 0 if self._first is None else 1 + len(self._others) - self._head

    def __bool__(self) -> bool:
        return self._first is not None

    def __iter__(self) -> Iterator[Connection]:
        if self._first is not None:
            yield self._first
            yield from self._others[self._head :]

    def append(self, connection: Connection) -> None:
        """Put a connection behind all others."""
        if self._first is None:
            self._first = connection
        else:
            self._others.append(connection)

    def popleft(self) -> Connection:
        """Take the connection that has waited longest; there must be one."""
        first, others, head = self._first, self._others, self._head
        assert first is not None, "the queue is not empty"
        if head == len(others):
            self._first = None
            return first
        self._first = others[head]
        head += 1
        if head == len(others):
            others.clear()
            head = 0
        elif head == KEPT:
            del others[:KEPT]
            head = 0
        self._head = head
        return first


if not COMPILED:
    from collections import deque as Fifo  # type: ignore[assignment]  # noqa: F401, N812
