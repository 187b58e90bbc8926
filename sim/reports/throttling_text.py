"""What a CPU limit did, in sentences."""

from __future__ import annotations

from sim.analysis.throttling import Throttling
from sim.reports.number_text import count


def throttling_sentence(throttling: Throttling) -> str:
    """How often and for how long the limit made the server wait, and what it used."""
    limit = f"{throttling.cpu_limit:g} of {count(throttling.cores, 'core')}"
    used = "" if throttling.used is None else f", {throttling.used.value:.2f} used"
    periods = round(throttling.periods.value)
    if not throttling.throttled.value:
        return f"CPU limit: {limit}{used}; never throttled in {periods:,} periods of 100 ms."
    return (
        f"CPU limit: {limit}{used}; throttled in {round(throttling.throttled.value):,} of "
        f"{periods:,} periods of 100 ms ({100 * throttling.share.value:.0f}%), for "
        f"{throttling.throttled_s.value:.1f} s, added up over the cores."
    )
