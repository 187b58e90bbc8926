"""Numbers in the sentences of reports."""

from __future__ import annotations


def count(number: int, noun: str) -> str:
    """A number with its noun."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def ms(seconds: float) -> str:
    """A time as about three digits of milliseconds."""
    value = 1000 * seconds
    return f"{value:,.{decimals_of(value)}f} ms"


def decimals_of(value: float) -> int:
    """Decimals that leave about three digits of a number."""
    return 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
