"""Numbers of a document, as a page writes them."""

from __future__ import annotations

from sim.analysis.estimate import Estimate
from sim.reports.html.page import Number
from sim.reports.number_text import ms

#: Text for a number that is not known.
NONE = "-"

UNKNOWN = Number(None, NONE)


def time(seconds: float | None) -> Number:
    """A time as about three digits of milliseconds, or of seconds from 10 s on."""
    if seconds is None:
        return UNKNOWN
    if abs(seconds) >= 10:
        return Number(seconds, f"{seconds:,.1f} s")
    return Number(seconds, ms(seconds))


def milliseconds(seconds: float | None, decimals: int) -> Number:
    """A time in ms, without the unit."""
    return UNKNOWN if seconds is None else Number(seconds, f"{1000 * seconds:,.{decimals}f}")


def percent(share: float | None, decimals: int = 1) -> Number:
    """A share of all, in percent."""
    return UNKNOWN if share is None else Number(share, f"{100 * share:,.{decimals}f} %")


def number(value: float | None, decimals: int = 0, unit: str = "") -> Number:
    """A number with its unit."""
    return UNKNOWN if value is None else Number(value, f"{value:,.{decimals}f}{unit}")


def value_of(estimate: Estimate | None) -> float | None:
    """The value of an estimate, where there is one."""
    return None if estimate is None else estimate.value
