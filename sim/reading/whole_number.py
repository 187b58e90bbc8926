"""The type of a flag that takes a whole number."""

from __future__ import annotations

import argparse
from collections.abc import Callable


def whole_number(flag: str, low: int, high: int | None = None) -> Callable[[str], int]:
    """A type for `argparse`: digits, and nothing else.

    Args:
        flag: whose value it is, for the message.
        low: least value.
        high: greatest value; None for any.

    Raises:
        ArgumentError: by what is returned, with what was found and what was expected.
    """

    def read(text: str) -> int:
        if text.isascii() and text.isdigit():
            number = int(text)
            if low <= number and (high is None or number <= high):
                return number
        range_ = f">= {low}" if high is None else f"from {low} to {high}"
        raise argparse.ArgumentError(None, f"{flag} is {text!r}; expected a whole number {range_}")

    return read
