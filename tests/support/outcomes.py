"""How the requests of a run ended."""

from __future__ import annotations

from collections import Counter

from sim.run import OUTCOMES, Run


def outcomes(run: Run) -> list[str]:
    """The outcome of each request, by arrival."""
    return [OUTCOMES[code] for code in run.requests.outcome]


def outcome_counts(run: Run) -> Counter[str]:
    """How many requests had each outcome."""
    return Counter(outcomes(run))
