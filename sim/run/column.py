"""Columns of numbers, which compiled code reads and writes without boxing them.

Interpreted, a column is an `array.array`. Compiled, it is a vector of mypyc's runtime
(`librt.vecs`). To write a float into an array, compiled code makes a Python object of it and looks
up what arrays do with that. It takes ten times as long. A vector has the layout of an array, so
the one becomes the other by a copy of its bytes.

A vector that has grown may be another one, so that `appended` returns it.
"""

from __future__ import annotations

from array import array
from math import fsum, inf
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    # Only compiled code calls them.
    from librt.vecs import append, vec  # noqa: TC004
    from mypy_extensions import i32, i64, u8  # noqa: TC004

#: Whether this code is compiled. `sim.compiled.build` tells mypyc that it is.
COMPILED: Final = not __file__.endswith((".py", ".pyc"))

#: Half of the distance from 1 to the next float: the largest relative error of a rounding.
UNIT: Final = 2.0**-53


def floats(values: array[float]) -> vec[float]:
    """A column of the ``values``, an array of doubles."""
    if COMPILED:
        return vec[float](values)
    return values  # type: ignore[return-value]


def filled(value: float, number: int) -> vec[float]:
    """A column of so many floats, all the same."""
    if COMPILED:
        return vec[float]([value] * number)
    return array("d", (value,)) * number  # type: ignore[return-value]


def zeros(number: int) -> vec[float]:
    """A column of so many floats, all 0."""
    return filled(0.0, number)


def zero_integers(number: int) -> vec[i32]:
    """A column of so many integers, all 0."""
    if COMPILED:
        return vec[i32]([0] * number)
    return array("i", (0,)) * number  # type: ignore[return-value]


def filled_codes(code: int, number: int) -> vec[u8]:
    """A column of so many codes, all the same."""
    if COMPILED:
        its: u8 = code
        return vec[u8]([its] * number)
    return array("b", (code,)) * number  # type: ignore[return-value]


def integers(values: array[int]) -> vec[i32]:
    """A column of the ``values``, an array of C's integers."""
    if COMPILED:
        return vec[i32](values)
    return values  # type: ignore[return-value]


def codes(values: array[int]) -> vec[u8]:
    """A column of the ``values``, an array of small codes, from 0 to 127."""
    if COMPILED:
        return vec[u8](values.tobytes())
    return values  # type: ignore[return-value]


def float_array(column: vec[float]) -> array[float]:
    """The array that a column of floats is, or a copy of it."""
    if COMPILED:
        return _copied(column, "d")
    return column  # type: ignore[return-value]


def integer_array(column: vec[i32]) -> array[int]:
    """The same of integers."""
    if COMPILED:
        return _copied(column, "i")
    return column  # type: ignore[return-value]


def code_array(column: vec[u8]) -> array[int]:
    """The same of codes."""
    if COMPILED:
        return _copied(column, "b")
    return column  # type: ignore[return-value]


def _copied(column: Any, code: str) -> array[Any]:  # noqa: ANN401 - a vector of any numbers
    """An array of that type ``code`` with the numbers of a vector."""
    copy = array(code)
    if len(column) > 0:  # there is no view of none as bytes
        copy.frombytes(memoryview(column).cast("B"))
    return copy


def float_appended(column: vec[float], value: float) -> vec[float]:
    """The column with one more float."""
    if COMPILED:
        return append(column, value)
    column.append(value)  # type: ignore[attr-defined]
    return column


def integer_appended(column: vec[i32], value: int) -> vec[i32]:
    """The column with one more integer."""
    if COMPILED:
        return append(column, value)
    column.append(value)  # type: ignore[attr-defined]
    return column


def code_appended(column: vec[u8], value: int) -> vec[u8]:
    """The column with one more code."""
    if COMPILED:
        return append(column, value)
    column.append(value)  # type: ignore[attr-defined]
    return column


def smallest(column: vec[float], default: float) -> float:
    """The smallest number in a column that is not NaN; ``default`` without any."""
    minimum = inf
    row: i64 = 0
    number = len(column)
    while row < number:
        if column[row] < minimum:  # noqa: PLR1730 - the call would cost more
            minimum = column[row]
        row += 1
    return default if minimum == inf else minimum


def largest(column: vec[float], default: float) -> float:
    """The largest number in a column that is not NaN; ``default`` without any."""
    maximum = -inf
    row: i64 = 0
    number = len(column)
    while row < number:
        if column[row] > maximum:  # noqa: PLR1730 - the call would cost more
            maximum = column[row]
        row += 1
    return default if maximum == -inf else maximum


def occurrences(column: vec[i32]) -> list[int]:
    """How often each number occurs in a column of numbers from 0: those of 0 first."""
    times = zero_integers(1)
    row: i64 = 0
    number = len(column)
    while row < number:
        value: int = column[row]
        while value >= len(times):
            times = integer_appended(times, 0)
        times[value] += 1
        row += 1
    return [times[value] for value in range(len(times))]


def total(column: vec[float]) -> float:
    """The sum of a column, rounded once: that of `math.fsum`.

    Each addition's rounding error is a float (TwoSum: D. E. Knuth, The Art of Computer Programming
    2, 4.2.2), and so the sum is known up to the rounding of their sum, which has a bound (N. J.
    Higham, Accuracy and Stability of Numerical Algorithms, 4.2). Where both ends of what is left
    round to the same float, that is the sum; else, which is rare, `math.fsum` finds it.
    """
    if not COMPILED:
        return fsum(column)
    rounded, errors, size = 0.0, 0.0, 0.0
    row: i64 = 0
    number = len(column)
    while row < number:
        value = column[row]
        after = rounded + value
        added = after - rounded
        error = (rounded - (after - added)) + (value - added)
        errors += error
        size += error if error > 0.0 else -error
        rounded = after
        row += 1
    count: int = number
    unknown = 2.0 * UNIT * (count * size + 2.0 * (errors if errors > 0.0 else -errors))
    low, high = rounded + (errors - unknown), rounded + (errors + unknown)
    return low if low == high else fsum(column)
