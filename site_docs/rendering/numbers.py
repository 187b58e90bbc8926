"""Numbers as pages say them."""

from __future__ import annotations

#: What is said where nobody knows the number.
UNKNOWN = "not known"


def ms(seconds: float | None) -> str:
    """A time in whole milliseconds, or with one decimal below ten."""
    if seconds is None:
        return UNKNOWN
    value = 1000 * seconds
    return f"{value:,.{1 if 0 < abs(value) < 10 else 0}f} ms"


def seconds(time: float | None) -> str:
    """A time in seconds, in milliseconds below one."""
    if time is None:
        return "never"
    return ms(time) if abs(time) < 1 else f"{time:,.2f} s"


def rate(per_second: float | None) -> str:
    """A number per second, with one decimal."""
    return UNKNOWN if per_second is None else f"{per_second:,.1f}/s"


def percent(share: float | None) -> str:
    """A share as whole percent, or with one decimal below ten."""
    if share is None:
        return UNKNOWN
    value = 100 * share
    return f"{value:.{1 if abs(value) < 10 else 0}f} %"


def whole_percent(share: float) -> str:
    """A limit that somebody has set, as whole percent."""
    return f"{100 * share:.0f} %"


def signed_percent(share: float | None) -> str:
    """A difference as percent with its sign."""
    return UNKNOWN if share is None else f"{100 * share:+.1f} %"


def count(number: float | None) -> str:
    """A number of things, with one decimal where it is a mean."""
    if number is None:
        return UNKNOWN
    return f"{number:,.0f}" if number == round(number) or number >= 10 else f"{number:,.1f}"


def factor(ratio: float) -> str:
    """How many times as much: two digits."""
    return f"{ratio:.1f}" if ratio < 10 else f"{ratio:.0f}"


FILTERS = {
    "ms": ms,
    "seconds": seconds,
    "rate": rate,
    "percent": percent,
    "signed_percent": signed_percent,
    "count": count,
    "factor": factor,
}
